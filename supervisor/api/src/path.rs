//! Object paths: names as path elements, escaped as `sd_bus_path_encode(3)` does.
//!
//! A path element may hold only `[A-Za-z0-9_]`, a component's name also `.`, `-` and `:`. Every byte that is
//! not an ASCII letter or digit, and a leading digit, becomes `_` and two lowercase hexadecimal
//! digits; the empty name becomes `_`. The mapping is one to one.

use zbus::OwnedObjectPath;

/// The parent of all component objects.
pub const COMPONENTS: &str = "/io/hedgerow/Edge1/component";
/// The parent of all function objects.
pub const FUNCTIONS: &str = "/io/hedgerow/Edge1/function";
/// The parent of all job objects.
pub const JOBS: &str = "/io/hedgerow/Edge1/job";
/// The parent of all deployment objects.
pub const DEPLOYMENTS: &str = "/io/hedgerow/Edge1/deployment";

/// The object of the component of this name.
pub fn component(name: &str) -> OwnedObjectPath {
    object(COMPONENTS, &escape(name))
}

/// The object of the function of this name.
pub fn function(name: &str) -> OwnedObjectPath {
    object(FUNCTIONS, &escape(name))
}

/// The object of the job of this number.
pub fn job(number: u64) -> OwnedObjectPath {
    object(JOBS, &number.to_string())
}

/// The object of the deployment of this id.
pub fn deployment(id: &str) -> OwnedObjectPath {
    object(DEPLOYMENTS, &escape(id))
}

/// The name of the component whose object `path` is; `None` where it is not one.
pub fn component_name(path: &str) -> Option<String> {
    unescape(path.strip_prefix(COMPONENTS)?.strip_prefix('/')?)
}

/// The name of the function whose object `path` is; `None` where it is not one.
pub fn function_name(path: &str) -> Option<String> {
    unescape(path.strip_prefix(FUNCTIONS)?.strip_prefix('/')?)
}

/// The number of the job whose object `path` is; `None` where it is not one.
pub fn job_number(path: &str) -> Option<u64> {
    path.strip_prefix(JOBS)?.strip_prefix('/')?.parse().ok()
}

/// The id of the deployment whose object `path` is; `None` where it is not one.
pub fn deployment_id(path: &str) -> Option<String> {
    unescape(path.strip_prefix(DEPLOYMENTS)?.strip_prefix('/')?)
}

/// `name` as one element of an object path.
pub fn escape(name: &str) -> String {
    if name.is_empty() {
        return "_".to_owned();
    }
    let mut element = String::with_capacity(name.len() + 8);
    for (index, byte) in name.bytes().enumerate() {
        if byte.is_ascii_alphabetic() || (byte.is_ascii_digit() && index > 0) {
            element.push(char::from(byte));
        } else {
            element.push('_');
            element.push(hex_digit(byte >> 4));
            element.push(hex_digit(byte & 0xf));
        }
    }
    element
}

/// The name that was escaped to `element`; `None` where [`escape`] makes no such element.
pub fn unescape(element: &str) -> Option<String> {
    if element == "_" {
        return Some(String::new());
    }
    let mut name = Vec::with_capacity(element.len());
    let mut bytes = element.bytes();
    while let Some(byte) = bytes.next() {
        name.push(match byte {
            b'_' => hex_value(bytes.next()?)? << 4 | hex_value(bytes.next()?)?,
            other => other,
        });
    }
    let name = String::from_utf8(name).ok()?;
    // One to one: an element that escapes a letter, or leaves a dot, names nothing.
    (escape(&name) == element).then_some(name)
}

fn object(parent: &str, element: &str) -> OwnedObjectPath {
    OwnedObjectPath::try_from(format!("{parent}/{element}"))
        .expect("an escaped element is a valid one")
}

fn hex_digit(nibble: u8) -> char {
    char::from_digit(u32::from(nibble), 16).unwrap_or('0')
}

fn hex_value(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| value.try_into().ok())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_become_the_elements_that_systemd_would_make() {
        // Checked against `busctl` and sd_bus_path_encode of systemd 252.
        for (name, element) in [
            ("", "_"),
            ("com.example.Sensor", "com_2eexample_2eSensor"),
            ("a-b_c:d", "a_2db_5fc_3ad"),
            ("1st", "_31st"),
            ("a1", "a1"),
            ("é", "_c3_a9"),
        ] {
            assert_eq!(escape(name), element);
            assert_eq!(unescape(element).as_deref(), Some(name));
        }
    }

    #[test]
    fn what_no_name_escapes_to_names_nothing() {
        for element in ["", "__", "_2", "_2E", "a_61", "a.b", "1", "_ff", "a_"] {
            let unescaped = unescape(element);
            assert!(unescaped.is_none(), "{element:?} became {unescaped:?}");
        }
        assert_eq!(component_name("/io/hedgerow/Edge1/job/1"), None);
        assert_eq!(job_number("/io/hedgerow/Edge1/job/x"), None);
    }

    proptest! {
        #[test]
        fn every_name_survives_the_way_to_a_path_and_back(name in any::<String>()) {
            let path = component(&name);
            prop_assert_eq!(component_name(path.as_str()), Some(name.clone()));
            prop_assert_eq!(function_name(function(&name).as_str()), Some(name.clone()));
            prop_assert_eq!(deployment_id(deployment(&name).as_str()), Some(name));
        }

        #[test]
        fn every_job_survives_it_too(number in any::<u64>()) {
            prop_assert_eq!(job_number(job(number).as_str()), Some(number));
        }

        #[test]
        fn any_element_is_refused_or_one_to_one(element in "[A-Za-z0-9_.]{0,12}") {
            if let Some(name) = unescape(&element) {
                prop_assert_eq!(escape(&name), element);
            }
        }
    }
}

//! `{iot:thingName}` and `AWS_IOT_THING_NAME`: how this device is called among things.

use nix::unistd::gethostname;

/// Characters at most (AWS IoT's `CreateThing`).
const LONGEST: usize = 128;

/// Where neither the administrator nor the kernel knows a name.
const NAMELESS: &str = "localhost";

pub(super) fn is_valid(name: &str) -> bool {
    (1..=LONGEST).contains(&name.len()) && name.chars().all(is_allowed)
}

/// The host's name with `-` for what the name of a thing may not have. As it is now: it may change while the machine
/// runs.
pub(super) fn of_this_host() -> String {
    let found = gethostname().ok().and_then(|name| name.into_string().ok());
    from_host_name(&found.unwrap_or_default())
}

fn from_host_name(host: &str) -> String {
    // What Linux is called before anybody has named it.
    if host.is_empty() || host == "(none)" {
        return NAMELESS.to_owned();
    }
    let allowed = host.chars().map(|found| if is_allowed(found) { found } else { '-' });
    allowed.take(LONGEST).collect()
}

fn is_allowed(character: char) -> bool {
    character.is_ascii_alphanumeric() || matches!(character, ':' | '_' | '-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_host_has_a_name_that_a_thing_may_have() {
        for (host, expected) in [
            ("gateway-7", "gateway-7"),
            ("gate.example.com", "gate-example-com"),
            ("höhe 7", "h-he-7"),
            ("(none)", NAMELESS),
            ("", NAMELESS),
        ] {
            assert_eq!(from_host_name(host), expected);
            assert!(is_valid(expected));
        }
        assert!(is_valid(&from_host_name(&"x".repeat(300))) && is_valid(&of_this_host()));
        assert!(!is_valid("a b") && !is_valid("") && !is_valid(&"x".repeat(129)));
    }
}

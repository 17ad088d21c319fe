//! What a request is for.

use hyper::{Method, Uri};
use percent_encoding::percent_decode_str;

use crate::Target;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Route {
    Invoke(Target),
    InvokeWithResponseStream(Target),
    GetFunction(Target),
    GetFunctionConfiguration(Target),
    ListFunctions {
        marker: Option<String>,
        max_items: Option<String>,
    },
    /// Nothing that is served here.
    Unknown,
}

impl Route {
    pub fn of(method: &Method, uri: &Uri) -> Self {
        let segments: Vec<_> = uri.path().trim_matches('/').split('/').collect();
        let function = |name: &str| Some(target(name, parameter(uri, "Qualifier")?));
        let route = match (method.as_str(), &segments[..]) {
            ("POST", ["2015-03-31", "functions", name, "invocations"]) => {
                function(name).map(Self::Invoke)
            }
            ("POST", ["2021-11-15", "functions", name, "response-streaming-invocations"]) => {
                function(name).map(Self::InvokeWithResponseStream)
            }
            ("GET", ["2015-03-31", "functions", name]) => function(name).map(Self::GetFunction),
            ("GET", ["2015-03-31", "functions", name, "configuration"]) => {
                function(name).map(Self::GetFunctionConfiguration)
            }
            ("GET", ["2015-03-31", "functions"]) => {
                match (parameter(uri, "Marker"), parameter(uri, "MaxItems")) {
                    (Some(marker), Some(max_items)) => {
                        Some(Self::ListFunctions { marker, max_items })
                    }
                    (None, _) | (_, None) => None,
                }
            }
            _ => None,
        };
        route.unwrap_or(Self::Unknown)
    }
}

/// A name that is not UTF-8 is no function's, and is not found.
fn target(segment: &str, qualifier: Option<String>) -> Target {
    let name = percent_decode_str(segment).decode_utf8_lossy();
    let named = Target::from(&*name);
    Target { qualifier: qualifier.or(named.qualifier), ..named }
}

/// `Some(None)`: it is not given. `None`: it is not UTF-8.
#[allow(clippy::option_option, reason = "absent and unreadable are two things")]
fn parameter(uri: &Uri, name: &str) -> Option<Option<String>> {
    let pairs = uri.query().unwrap_or_default().split('&').filter_map(|pair| pair.split_once('='));
    let Some((_, value)) = pairs.into_iter().find(|(key, _)| *key == name) else {
        return Some(None);
    };
    Some(Some(percent_decode_str(value).decode_utf8().ok()?.into_owned()))
}

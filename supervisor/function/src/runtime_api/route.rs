//! What a request's method and path mean.

use hyper::Method;

const PREFIX: &str = "/2018-06-01/runtime/";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Route<'a> {
    Next,
    /// The result of the invocation with this request id.
    Response(&'a str),
    /// The failure of the invocation with this request id.
    Error(&'a str),
    InitError,
    /// Of runtimes that wait to be restored from a snapshot (SnapStart).
    RestoreNext,
    RestoreError,
    /// There is such a path, with another method.
    WrongMethod,
    Unknown,
}

impl<'a> Route<'a> {
    pub fn of(method: &Method, path: &'a str) -> Self {
        let Some(rest) = path.strip_prefix(PREFIX) else {
            return Self::Unknown;
        };
        let (wanted, route) = match rest {
            "invocation/next" => (Method::GET, Self::Next),
            "init/error" => (Method::POST, Self::InitError),
            "restore/next" => (Method::GET, Self::RestoreNext),
            "restore/error" => (Method::POST, Self::RestoreError),
            _ => match Self::of_invocation(rest) {
                Some(route) => (Method::POST, route),
                None => return Self::Unknown,
            },
        };
        match *method == wanted {
            true => route,
            false => Self::WrongMethod,
        }
    }

    fn of_invocation(rest: &'a str) -> Option<Self> {
        let (request_id, what) = rest.strip_prefix("invocation/")?.split_once('/')?;
        match what {
            "response" => Some(Self::Response(request_id)),
            "error" => Some(Self::Error(request_id)),
            _ => None,
        }
    }
}

//! What a request is for.

use hyper::{Method, StatusCode, Uri};
use percent_encoding::percent_decode_str;

use super::refusal::Refusal;
use crate::Target;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Route {
    Invoke(Target),
    InvokeWithResponseStream(Target),
    GetFunction(Target),
    GetFunctionConfiguration(Target),
    ListFunctions(Page),
    ListVersionsByFunction(Target, Page),
    ListAliases(Target, Page),
    /// The alias of this name.
    GetAlias(Target, String),
}

/// What of a list is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Page {
    /// The name of the last one of the page before.
    pub after: Option<String>,
    pub limit: usize,
}

/// On a page, as in Lambda.
const PAGE: usize = 50;

const SERVED: &str = "Invoke, InvokeWithResponseStream, ListFunctions, GetFunction, GetFunctionConfiguration, \
                      ListVersionsByFunction, ListAliases and GetAlias";

impl Route {
    pub fn of(method: &Method, uri: &Uri) -> Result<Self, Refusal> {
        let segments: Vec<_> = uri.path().trim_matches('/').split('/').collect();
        let function = |name: &str| target(name, uri);
        match (method.as_str(), &segments[..]) {
            ("POST", ["2015-03-31", "functions", name, "invocations"]) => {
                Ok(Self::Invoke(function(name)?))
            }
            ("POST", ["2021-11-15", "functions", name, "response-streaming-invocations"]) => {
                Ok(Self::InvokeWithResponseStream(function(name)?))
            }
            ("GET", ["2015-03-31", "functions"]) => Ok(Self::ListFunctions(Page::of(uri)?)),
            ("GET", ["2015-03-31", "functions", name]) => Ok(Self::GetFunction(function(name)?)),
            ("GET", ["2015-03-31", "functions", name, "configuration"]) => {
                Ok(Self::GetFunctionConfiguration(function(name)?))
            }
            ("GET", ["2015-03-31", "functions", name, "versions"]) => {
                Ok(Self::ListVersionsByFunction(function(name)?, Page::of(uri)?))
            }
            ("GET", ["2015-03-31", "functions", name, "aliases"]) => {
                Ok(Self::ListAliases(function(name)?, Page::of(uri)?))
            }
            ("GET", ["2015-03-31", "functions", name, "aliases", alias]) => {
                Ok(Self::GetAlias(function(name)?, decoded(alias)))
            }
            (method, _) => Err(Refusal::new(
                StatusCode::NOT_FOUND,
                "UnknownOperationException",
                format!("{method} {} is nothing that this device serves: {SERVED}", uri.path()),
            )),
        }
    }
}

impl Page {
    fn of(uri: &Uri) -> Result<Self, Refusal> {
        let limit = match parameter(uri, "MaxItems")?.as_deref().map(str::parse) {
            None => PAGE,
            Some(Ok(limit @ 1..=10_000)) => PAGE.min(limit),
            Some(_) => return Err(Refusal::parameter("MaxItems is a number from 1 to 10000")),
        };
        Ok(Self { after: parameter(uri, "Marker")?, limit })
    }
}

fn target(segment: &str, uri: &Uri) -> Result<Target, Refusal> {
    let named = Target::from(&*decoded(segment));
    let qualifier = match (named.qualifier, parameter(uri, "Qualifier")?) {
        (Some(derived), Some(specified)) if derived != specified => {
            return Err(Refusal::parameter(format!(
                "the qualifier {derived} of the function's name is not the specified qualifier {specified}"
            )));
        }
        (derived, specified) => specified.or(derived),
    };
    Ok(Target { function: named.function, qualifier })
}

/// A name that is not UTF-8 is nobody's, and is not found.
fn decoded(segment: &str) -> String {
    percent_decode_str(segment).decode_utf8_lossy().into_owned()
}

fn parameter(uri: &Uri, name: &str) -> Result<Option<String>, Refusal> {
    let mut pairs =
        uri.query().unwrap_or_default().split('&').filter_map(|pair| pair.split_once('='));
    let Some((_, value)) = pairs.find(|(key, _)| *key == name) else { return Ok(None) };
    match percent_decode_str(value).decode_utf8() {
        Ok(value) => Ok(Some(value.into_owned())),
        Err(_) => Err(Refusal::parameter(format!("{name} is not UTF-8"))),
    }
}

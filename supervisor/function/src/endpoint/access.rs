//! Who may call.

use std::collections::BTreeMap;
use std::fmt;
use std::time::SystemTime;

use hyper::http::request::Parts;

use super::refusal::Refusal;
use super::sigv4::{self, Fault};

/// Whom the endpoint serves.
#[derive(Debug)]
pub enum Access {
    /// Whoever connects: the socket lets in only those who may.
    Socket,
    /// Who signs with one of these, by access key.
    Keys(BTreeMap<String, Credential>),
}

/// A key pair of AWS's form, for this endpoint alone.
pub struct Credential {
    pub secret: String,
    /// Whether it is for the function of this name.
    pub covers: Box<dyn Fn(&str) -> bool + Send + Sync>,
}

/// What the caller of one request may do.
#[derive(Clone, Copy)]
pub(super) struct Caller<'a>(Option<&'a Credential>);

/// A request that claims to be signed with a key that there is; its body is yet to come.
pub(super) enum Claim<'a> {
    Socket,
    Signed(&'a Credential, sigv4::Signature<'a>),
}

impl Access {
    /// What can be said before the body is read.
    pub(super) fn claim<'a>(&'a self, head: &'a Parts) -> Result<Claim<'a>, Refusal> {
        let Self::Keys(keys) = self else { return Ok(Claim::Socket) };
        let signature = sigv4::Signature::of(&head.headers)?;
        signature.check_time(SystemTime::now())?;
        let credential = keys.get(signature.access_key).ok_or(Fault::UnknownKey)?;
        Ok(Claim::Signed(credential, signature))
    }
}

impl<'a> Claim<'a> {
    pub fn check(&self, head: &Parts, body: &[u8]) -> Result<Caller<'a>, Refusal> {
        match self {
            Self::Socket => Ok(Caller(None)),
            Self::Signed(credential, signature) => {
                let (path, query) = (head.uri.path(), head.uri.query().unwrap_or_default());
                let request = sigv4::Request {
                    method: head.method.as_str(),
                    path,
                    query,
                    headers: &head.headers,
                    body,
                };
                signature.verify(&credential.secret, &request)?;
                Ok(Caller(Some(credential)))
            }
        }
    }
}

impl Caller<'_> {
    pub fn may_call(&self, function: &str) -> bool {
        self.0.is_none_or(|credential| (credential.covers)(function))
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credential").finish_non_exhaustive()
    }
}

//! One request, from its head to its answer.

use std::sync::Arc;

use bytes::Bytes;
use hyper::Request;
use hyper::body::Incoming;
use hyper::header::{CONNECTION, HeaderValue};
use hyper::http::request::Parts;
use tokio::sync::Semaphore;

use super::access::{Access, Caller};
use super::find::{Found, find};
use super::read::{read, throw_away};
use super::refusal::Refusal;
use super::reply::{Reply, ReplyBody, refused};
use super::route::Route;
use super::{IDLE, invoke, list};
use crate::http::Pace;
use crate::{Events, Functions, InvokeError, RequestId, Target};

#[derive(Debug)]
pub(super) struct Api {
    pub functions: Functions,
    pub events: Events,
    pub access: Access,
    /// Bytes of bodies that may be read at once.
    pub room: Arc<Semaphore>,
}

impl Api {
    pub async fn answer(&self, request: Request<Incoming>, pace: &Arc<Pace>) -> Reply {
        let request_id = match RequestId::generate() {
            Ok(request_id) => request_id,
            Err(error) => {
                let refusal = InvokeError::Service(error.to_string()).into();
                return refused(&refusal, "").map(ReplyBody::Whole);
            }
        };
        let (head, mut body) = request.into_parts();
        let identified = self.identify(&head, &mut body, pace).await;
        let is_stranger = identified.is_err();
        let answered = match identified {
            Ok((caller, body)) => {
                pace.close_when_idle(IDLE);
                self.obey(caller, &head, body, pace, request_id.clone()).await
            }
            Err(refusal) => Err(refusal),
        };
        let mut reply = match answered {
            Ok(reply) => reply,
            Err(refusal) => {
                throw_away(&head, &mut body, pace).await;
                refused(&refusal, request_id.as_str()).map(ReplyBody::Whole)
            }
        };
        if is_stranger {
            reply.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        reply
    }

    async fn identify<'a>(
        &'a self,
        head: &'a Parts,
        body: &mut Incoming,
        pace: &Pace,
    ) -> Result<(Caller<'a>, Bytes), Refusal> {
        let claim = self.access.claim(head)?;
        let body = read(body, &self.room, pace).await?;
        let caller = claim.check(head, &body)?;
        Ok((caller, body))
    }

    async fn obey(
        &self,
        caller: Caller<'_>,
        head: &Parts,
        body: Bytes,
        pace: &Arc<Pace>,
        request_id: RequestId,
    ) -> Result<Reply, Refusal> {
        match Route::of(&head.method, &head.uri)? {
            Route::Invoke(target) => {
                let found = self.find(caller, target)?;
                let ask =
                    invoke::Ask { headers: &head.headers, body, request_id: request_id.clone() };
                let outcome = invoke::invoke(&self.functions, &self.events, &found, ask).await?;
                Ok(outcome.reply(&request_id).map(ReplyBody::Whole))
            }
            Route::InvokeWithResponseStream(target) => {
                let found = self.find(caller, target)?;
                let ask = invoke::Ask { headers: &head.headers, body, request_id };
                invoke::stream(&self.functions, &found, ask, pace).await
            }
            Route::GetFunction(target) => {
                let found = self.find(caller, target)?;
                Ok(list::function(&found, &request_id).map(ReplyBody::Whole))
            }
            Route::GetFunctionConfiguration(target) => {
                let found = self.find(caller, target)?;
                Ok(list::configuration(&found, &request_id).map(ReplyBody::Whole))
            }
            Route::ListFunctions(page) => {
                let all = self.functions.list();
                let visible = all.into_iter().filter(|spec| caller.may_call(&spec.name));
                Ok(list::functions(visible, &page, &request_id).map(ReplyBody::Whole))
            }
            Route::ListVersionsByFunction(target, page) => {
                let found = self.find(caller, target)?;
                Ok(list::versions(&found, &page, &request_id).map(ReplyBody::Whole))
            }
            Route::ListAliases(target, page) => {
                let found = self.find(caller, target)?;
                Ok(list::aliases(&found, &page, &request_id).map(ReplyBody::Whole))
            }
            Route::GetAlias(target, alias) => {
                let found = self.find(caller, target)?;
                Ok(list::one_alias(&found, &alias, &request_id)?.map(ReplyBody::Whole))
            }
        }
    }

    fn find(&self, caller: Caller<'_>, target: Target) -> Result<Found, Refusal> {
        find(&self.functions, target, |name| match caller.may_call(name) {
            true => Ok(()),
            false => Err(Refusal::not_allowed(name)),
        })
    }
}

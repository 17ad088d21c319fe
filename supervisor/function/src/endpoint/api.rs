//! One request, from its head to its answer.

use std::sync::Arc;

use bytes::Bytes;
use hyper::Request;
use hyper::StatusCode;
use hyper::body::{Body as _, Incoming};
use hyper::http::request::Parts;
use tokio::sync::Semaphore;

use super::access::{Access, Caller};
use super::refusal::Refusal;
use super::reply::{Reply, refused};
use super::route::Route;
use super::{invoke, list};
use crate::http::{Pace, body};
use crate::{Events, FunctionSpec, Functions, InvokeError, PAYLOAD_LIMIT, RequestId, Target};

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
            Err(error) => return refused(&InvokeError::Service(error.to_string()).into(), ""),
        };
        let (head, body) = request.into_parts();
        let answered = self.obey(&head, body, pace, request_id.clone()).await;
        answered.unwrap_or_else(|refusal| refused(&refusal, request_id.as_str()))
    }

    async fn obey(
        &self,
        head: &Parts,
        body: Incoming,
        pace: &Arc<Pace>,
        request_id: RequestId,
    ) -> Result<Reply, Refusal> {
        let claim = self.access.claim(head)?;
        let body = self.read(body, pace).await?;
        let caller = claim.check(head, &body)?;
        match Route::of(&head.method, &head.uri) {
            Route::Invoke(target) => {
                let spec = self.find(caller, &target)?;
                let ask = invoke::Ask { headers: &head.headers, body, request_id };
                invoke::invoke(self, &spec, target, ask).await
            }
            Route::InvokeWithResponseStream(target) => {
                let spec = self.find(caller, &target)?;
                let ask = invoke::Ask { headers: &head.headers, body, request_id };
                invoke::stream(self, &spec, target, ask, pace).await
            }
            Route::GetFunction(target) => {
                let spec = self.find(caller, &target)?;
                Ok(list::function(&spec, &request_id))
            }
            Route::GetFunctionConfiguration(target) => {
                let spec = self.find(caller, &target)?;
                Ok(list::configuration(&spec, &request_id))
            }
            Route::ListFunctions { marker, max_items } => {
                let all = self.functions.list();
                let visible = all.into_iter().filter(|spec| caller.may_call(&spec.name));
                list::functions(visible, marker, max_items, &request_id)
            }
            Route::Unknown => Err(Refusal::new(
                StatusCode::NOT_FOUND,
                "UnknownOperationException",
                "this endpoint serves Invoke, InvokeWithResponseStream, ListFunctions, GetFunction and \
                 GetFunctionConfiguration",
            )),
        }
    }

    /// Whom a key is not for cannot find out with it what there is.
    fn find(&self, caller: Caller<'_>, target: &Target) -> Result<Arc<FunctionSpec>, Refusal> {
        match self.functions.find(target) {
            Ok(spec) if caller.may_call(&spec.name) => Ok(spec),
            Err(error) if caller.may_call(&target.function) => Err(error.into()),
            Ok(_) | Err(_) => Err(Refusal::not_allowed(&target.function)),
        }
    }

    async fn read(&self, mut body: Incoming, pace: &Pace) -> Result<Bytes, Refusal> {
        if body.is_end_stream() {
            return Ok(Bytes::new());
        }
        let too_large = |size| InvokeError::RequestTooLarge { size, limit: PAYLOAD_LIMIT };
        let announced = usize::try_from(body.size_hint().upper().unwrap_or(PAYLOAD_LIMIT as u64));
        let announced = announced.unwrap_or(usize::MAX);
        if announced > PAYLOAD_LIMIT {
            return Err(too_large(announced).into());
        }
        pace.reading_body();
        // It fits: the limit is far below.
        let weight = u32::try_from(announced).unwrap_or(u32::MAX);
        let busy = |error: tokio::sync::AcquireError| InvokeError::Service(error.to_string());
        let _room = self.room.acquire_many(weight).await.map_err(busy)?;
        let whole = body::whole(&mut body, PAYLOAD_LIMIT).await;
        pace.serving();
        match whole {
            Ok(Ok(whole)) => Ok(whole),
            Ok(Err(_)) => Err(too_large(PAYLOAD_LIMIT + 1).into()),
            Err(_) => Err(InvokeError::InvalidRequestContent("the body ended early".into()).into()),
        }
    }
}

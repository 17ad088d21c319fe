//! One connection of a runtime.

use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, rt};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Sleep, sleep_until};

use super::api::Api;
use super::pace::{Pace, Wire};

/// Bytes of a request's line and headers. Runtimes tell of a failure's causes in a header of up to 1 MiB.
const HEAD_LIMIT: usize = (1 << 20) + (64 << 10);

/// Returns when the runtime hung up, broke HTTP, or let a deadline pass.
pub(super) async fn serve<S>(stream: S, api: Arc<Api>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let pace = Arc::new(Pace::default());
    let io = TokioIo::new(Wire { stream, pace: Arc::clone(&pace) });
    let mut connection = pin!(connection(io, api, Arc::clone(&pace)));
    let mut timer = pin!(None::<Sleep>);
    poll_fn(|context| {
        if connection.as_mut().poll(context).is_ready() {
            return Poll::Ready(());
        }
        let Some(deadline) = pace.deadline() else {
            timer.set(None);
            return Poll::Pending;
        };
        if timer.as_ref().as_pin_ref().is_none_or(|timer| timer.deadline() != deadline) {
            timer.set(Some(sleep_until(deadline)));
        }
        match timer.as_mut().as_pin_mut() {
            Some(timer) => timer.poll(context),
            None => Poll::Pending,
        }
    })
    .await;
}

/// Whether it ended well makes no difference here: what a runtime did not say it did not say.
async fn connection<I>(io: I, api: Arc<Api>, pace: Arc<Pace>)
where
    I: rt::Read + rt::Write + Unpin + Send + 'static,
{
    let service = service_fn(move |request: Request<Incoming>| {
        let (api, pace) = (Arc::clone(&api), Arc::clone(&pace));
        async move {
            pace.serving();
            let reply = api.answer(request, &pace).await;
            pace.served();
            Ok::<_, Infallible>(reply)
        }
    });
    let _ = http1::Builder::new()
        .auto_date_header(false)
        .max_buf_size(HEAD_LIMIT)
        .serve_connection(io, service)
        .await;
}

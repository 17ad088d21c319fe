//! One connection of a client.

use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use hyper::body::{Body, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, rt};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Sleep, sleep_until};

use super::Limits;
use super::pace::{Pace, Wire};

/// Returns when the peer hung up, broke HTTP, or let a deadline pass.
pub(crate) async fn serve<S, A, F, B>(stream: S, limits: Limits, answer: A)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    A: Fn(Request<Incoming>, Arc<Pace>) -> F,
    F: Future<Output = Response<B>>,
    B: Body<Error = Infallible> + 'static,
{
    let pace = Arc::new(Pace::new(limits.idle));
    let io = TokioIo::new(Wire { stream, pace: Arc::clone(&pace) });
    let mut connection = pin!(connection(io, limits.head, answer, Arc::clone(&pace)));
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

/// Whether it ended well makes no difference here: what a peer did not say it did not say.
async fn connection<I, A, F, B>(io: I, head_limit: usize, answer: A, pace: Arc<Pace>)
where
    I: rt::Read + rt::Write + Unpin + Send + 'static,
    A: Fn(Request<Incoming>, Arc<Pace>) -> F,
    F: Future<Output = Response<B>>,
    B: Body<Error = Infallible> + 'static,
{
    let service = service_fn(move |request: Request<Incoming>| {
        pace.serving();
        let (answering, pace) = (answer(request, Arc::clone(&pace)), Arc::clone(&pace));
        async move {
            let reply = answering.await;
            pace.served();
            Ok::<_, Infallible>(reply)
        }
    });
    let _ = http1::Builder::new()
        .auto_date_header(false)
        .max_buf_size(head_limit)
        .serve_connection(io, service)
        .await;
}

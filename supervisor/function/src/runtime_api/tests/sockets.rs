//! Instances whose runtime is the test itself, over a real socket.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot};
use tokio::task::{AbortHandle, JoinHandle};

use crate::tests::spec;
use crate::{
    Answer, Completed, Ended, FunctionError, FunctionSpec, Functions, Instance, InstanceId,
    InstanceLink, Instances, Invocation, InvokeError, LogTail, OpenError, RequestId, Target, Usage,
};

#[derive(Debug)]
struct Sockets {
    opened: mpsc::Sender<SocketAddr>,
    lives: Mutex<HashMap<InstanceId, (AbortHandle, oneshot::Sender<Ended>)>>,
}

impl Instances for Sockets {
    async fn open(&self, _: &FunctionSpec, link: InstanceLink) -> Result<Instance, OpenError> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (end, ended) = oneshot::channel();
        let id = link.id();
        let server = tokio::spawn(super::super::serve(listener, link, None)).abort_handle();
        self.lives.lock().unwrap().insert(id, (server, end));
        self.opened.send(address).await.unwrap();
        Ok(Instance { ended, log_tail: LogTail::default() })
    }

    async fn freeze(&self, _: InstanceId) -> Result<(), OpenError> {
        Ok(())
    }

    async fn thaw(&self, _: InstanceId) -> Result<(), OpenError> {
        Ok(())
    }

    async fn close(&self, id: InstanceId) {
        if let Some((server, _)) = self.lives.lock().unwrap().remove(&id) {
            server.abort();
        }
    }

    async fn usage(&self, _: InstanceId) -> Option<Usage> {
        None
    }

    fn log(&self, _: &str, _: &str) {}
}

/// One function `f` of at most one instance, and where the Runtime APIs of its instances are.
pub struct World {
    functions: Functions,
    opened: mpsc::Receiver<SocketAddr>,
}

pub type Call = JoinHandle<Result<Completed, InvokeError>>;

impl World {
    pub async fn new() -> Self {
        Self::with(FunctionSpec { max_instances: 1, ..spec("f", "x") }).await
    }

    pub async fn with(spec: FunctionSpec) -> Self {
        let (opened, addresses) = mpsc::channel(16);
        let functions = Functions::new(Arc::new(Sockets { opened, lives: Mutex::default() }));
        functions.define(spec).await;
        Self { functions, opened: addresses }
    }

    pub fn invoke(&self, payload: impl Into<Bytes>) -> Call {
        let invocation = Invocation {
            request_id: RequestId::generate().unwrap(),
            payload: payload.into(),
            client_context: None,
            trace_id: None,
            log_tail: false,
        };
        let functions = self.functions.clone();
        tokio::spawn(async move { functions.invoke(&Target::from("f"), invocation).await })
    }

    /// A connection to the Runtime API of the instance that is opened next.
    pub async fn connect(&mut self) -> Client {
        Client::to(self.opened.recv().await.unwrap()).await
    }
}

pub async fn success(call: Call) -> Bytes {
    match call.await.unwrap().map(|completed| completed.answer) {
        Ok(Answer::Success(body)) => body,
        other => panic!("{other:?}"),
    }
}

pub async fn failure(call: Call) -> FunctionError {
    match call.await.unwrap().map(|completed| completed.answer) {
        Ok(Answer::Failure(error)) => error,
        other => panic!("{other:?}"),
    }
}

/// A runtime's end of a connection: raw bytes, and as much of HTTP as it takes to read a response.
pub struct Client {
    pub stream: TcpStream,
    pub address: SocketAddr,
    read: Vec<u8>,
}

#[derive(Debug)]
pub struct Heard {
    pub status: u16,
    head: String,
    pub body: Bytes,
}

impl Client {
    pub async fn to(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream, address, read: Vec::new() }
    }

    /// Another connection to the same instance.
    pub async fn another(&self) -> Self {
        Self::to(self.address).await
    }

    pub async fn say(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).await.unwrap();
    }

    pub async fn poll(&mut self) {
        self.say("GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\nHost: x\r\n\r\n").await;
    }

    /// The request id of the next event.
    pub async fn next(&mut self) -> String {
        self.poll().await;
        let event = self.hear().await;
        assert_eq!(event.status, 200, "{event:?}");
        event.header("lambda-runtime-aws-request-id").unwrap()
    }

    pub async fn post(&mut self, path: &str, headers: &str, body: impl AsRef<[u8]>) {
        let body = body.as_ref();
        let size = body.len();
        let head = format!(
            "POST /2018-06-01/runtime/{path} HTTP/1.1\r\nHost: x\r\n{headers}Content-Length: {size}\r\n\r\n"
        );
        self.say([head.as_bytes(), body].concat()).await;
    }

    /// The status of the answer.
    pub async fn answer(&mut self, id: &str, body: impl AsRef<[u8]>) -> u16 {
        self.post(&format!("invocation/{id}/response"), "", body).await;
        self.hear().await.status
    }

    pub async fn hear(&mut self) -> Heard {
        let end = loop {
            if let Some(end) = self.read.windows(4).position(|four| four == b"\r\n\r\n") {
                break end + 4;
            }
            assert!(
                self.read_more().await,
                "hung up after {:?}",
                self.read.escape_ascii().to_string()
            );
        };
        let head = String::from_utf8(self.read.drain(..end).collect()).unwrap();
        let mut heard = Heard { status: head[9..12].parse().unwrap(), head, body: Bytes::new() };
        let size = heard.header("content-length").map_or(0, |size| size.parse().unwrap());
        while self.read.len() < size {
            assert!(self.read_more().await);
        }
        heard.body = self.read.drain(..size).collect();
        heard
    }

    /// Whatever comes before.
    pub async fn until_hung_up_on(&mut self) {
        while self.read_more().await {}
    }

    async fn read_more(&mut self) -> bool {
        let patience = Duration::from_secs(60);
        let read = tokio::time::timeout(patience, self.stream.read_buf(&mut self.read)).await;
        // A connection that is closed with bytes unread is reset.
        read.expect("neither answered nor hung up").is_ok_and(|size| size > 0)
    }
}

impl Heard {
    pub fn header(&self, name: &str) -> Option<String> {
        self.head.lines().find_map(|line| {
            let (key, value) = line.split_once(": ")?;
            key.eq_ignore_ascii_case(name).then(|| value.to_owned())
        })
    }

    pub fn error_type(&self) -> String {
        let body: serde_json::Value = serde_json::from_slice(&self.body).unwrap();
        body["errorType"].as_str().unwrap().to_owned()
    }
}

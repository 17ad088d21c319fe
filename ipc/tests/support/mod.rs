//! A device with components on real sockets in a temporary directory.

#![allow(dead_code)] // each test program uses its part

use hedgerow_ipc::client::{Client, ClientError};
use hedgerow_ipc::model::{
    ComponentDetails, Event, GetComponentDetailsResponse, GetConfigurationResponse, LifecycleState,
    ListComponentsResponse, Operation, OperationError, Request, Response,
    SubscribeToComponentUpdatesResponse, UpdateStateResponse,
};
use hedgerow_ipc::{Answer, Hub, Identity, Limits, Principal, Services, Token, serve};
use serde_json::{Value, json};
use std::ops::Range;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::task::JoinHandle;

/// Time after which a test fails instead of waiting on.
pub const PATIENCE: Duration = Duration::from_secs(20);

pub struct Device {
    pub directory: TempDir,
    pub hub: Hub,
    pub services: Arc<Recorder>,
}

/// A component's socket, served until it is dropped.
pub struct Component {
    pub path: PathBuf,
    pub token: String,
    stop: Option<oneshot::Sender<()>>,
    serving: JoinHandle<()>,
}

/// Services that note what they are told.
#[derive(Default)]
pub struct Recorder {
    /// "opened", "closed" and the requests' debug texts.
    pub events: Mutex<Vec<String>>,
    pub changed: Notify,
    /// `GetConfiguration` of the key `wait` is answered when this is notified.
    pub release: Notify,
    /// Where the events of the last `SubscribeToComponentUpdates` come from.
    pub updates: Mutex<Option<mpsc::Sender<Event>>>,
}

impl Recorder {
    fn note(&self, event: String) {
        self.events.lock().unwrap().push(event);
        self.changed.notify_one();
    }

    /// Waits until `event` has been noted.
    pub async fn wait_for(&self, event: &str) {
        let wait = async {
            while !self.events.lock().unwrap().iter().any(|noted| noted == event) {
                self.changed.notified().await;
            }
        };
        tokio::time::timeout(PATIENCE, wait).await.expect(event);
    }
}

impl Services for Recorder {
    fn missing(&self, operation: Operation) -> Option<&'static str> {
        match operation {
            Operation::GetSecretValue => Some("a keeper of secrets"),
            Operation::GetThingShadow => Some("a keeper of shadows"),
            _ => None,
        }
    }

    async fn call(&self, who: &Principal, request: Request) -> Result<Answer, OperationError> {
        self.note(format!("{who} calls {:?}", request.operation()));
        let details = |name: String| ComponentDetails {
            component_name: name,
            version: "1.0.0".into(),
            state: LifecycleState::Running,
            configuration: None,
        };
        let response = match request {
            Request::SubscribeToComponentUpdates(_) => {
                let (sender, receiver) = mpsc::channel(2);
                *self.updates.lock().unwrap() = Some(sender);
                let response = SubscribeToComponentUpdatesResponse {};
                let response = Response::SubscribeToComponentUpdates(response);
                return Ok(Answer::Subscribed(response, receiver));
            }
            Request::GetConfiguration(request) => {
                if request.key_path == ["wait"] {
                    self.release.notified().await;
                }
                let size = request.key_path.first().and_then(|key| key.parse().ok());
                let value = json!({ "filler": "x".repeat(size.unwrap_or(0)) });
                let component_name = request.component_name;
                Response::GetConfiguration(GetConfigurationResponse {
                    component_name,
                    value: Some(value),
                })
            }
            Request::UpdateState(_) => Response::UpdateState(UpdateStateResponse {}),
            Request::ListComponents(_) => Response::ListComponents(ListComponentsResponse {
                components: Some(vec![details("a".into())]),
            }),
            Request::GetComponentDetails(request) => {
                let component_details = details(request.component_name);
                Response::GetComponentDetails(GetComponentDetailsResponse { component_details })
            }
            other => return Err(OperationError::not_provided(other.operation(), "a better test")),
        };
        Ok(response.into())
    }

    fn session_opened(&self, who: &Principal) {
        self.note(format!("opened {who}"));
    }

    fn session_closed(&self, who: &Principal) {
        self.note(format!("closed {who}"));
    }
}

/// Everything about topics.
pub fn any_topic() -> Value {
    let all = json!({ "operations": ["*"], "resources": ["*"] });
    json!({ "aws.greengrass.ipc.pubsub": { "all": all } })
}

impl Device {
    pub fn new(limits: Limits) -> Device {
        Device {
            directory: TempDir::new().unwrap(),
            hub: Hub::new(limits),
            services: Arc::default(),
        }
    }

    /// Starts serving a component that may use every topic.
    pub fn component(&self, name: &str) -> Component {
        self.component_with(name, &any_topic(), 0..u32::MAX)
    }

    pub fn component_with(
        &self,
        name: &str,
        access_control: &Value,
        uids: Range<u32>,
    ) -> Component {
        assert_eq!(self.hub.set_policies(name, access_control), []);
        let path = self.directory.path().join(name);
        let listener = UnixListener::bind(&path).unwrap();
        let token = Token::generate().unwrap();
        let text = token.as_str().to_owned();
        let identity = Identity { principal: Principal::Component(name.into()), token, uids };
        let (stop, stopped) = oneshot::channel::<()>();
        let (hub, services) = (self.hub.clone(), Arc::clone(&self.services));
        let serving = tokio::spawn(async move {
            let stop = async {
                let _ = stopped.await;
            };
            serve(listener, identity, hub, services, stop).await;
        });
        Component { path, token: text, stop: Some(stop), serving }
    }
}

impl Component {
    pub async fn connect(&self) -> Client {
        patient(Client::connect(&self.path, &self.token)).await.unwrap()
    }

    /// A connection that has not said anything yet.
    pub async fn raw(&self) -> Raw {
        Raw(UnixStream::connect(&self.path).await.unwrap())
    }

    /// A connection through whose handshake we are.
    pub async fn raw_open(&self) -> Raw {
        let mut raw = self.raw().await;
        raw.send(&connect_frame(&self.token)).await;
        let ack = raw.frame().await;
        assert_eq!(ack[ack.len() - 24..][..4], 1i32.to_be_bytes(), "accepted");
        raw
    }

    /// Stops serving and waits until that is done.
    pub async fn stop(mut self) {
        drop(self.stop.take());
        patient(self.serving).await.unwrap();
    }
}

/// A connection whose bytes the test writes itself.
pub struct Raw(pub UnixStream);

impl Raw {
    pub async fn send(&mut self, bytes: &[u8]) {
        patient(self.0.write_all(bytes)).await.unwrap();
    }

    /// The next whole frame.
    pub async fn frame(&mut self) -> Vec<u8> {
        let mut frame = vec![0; 4];
        patient(self.0.read_exact(&mut frame)).await.unwrap();
        let length = u32::from_be_bytes([frame[0], frame[1], frame[2], frame[3]]) as usize;
        frame.resize(length, 0);
        patient(self.0.read_exact(&mut frame[4..])).await.unwrap();
        frame
    }

    /// Hangs up in one direction, then takes what comes until the server closes.
    pub async fn hang_up(&mut self) -> Vec<u8> {
        self.0.shutdown().await.unwrap();
        self.rest().await
    }

    /// What comes until the server closes.
    pub async fn rest(&mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        // A reset is a close as well: the server did not read everything.
        let _ = patient(self.0.read_to_end(&mut rest)).await;
        rest
    }
}

pub fn connect_frame(token: &str) -> Vec<u8> {
    let mut frame = bytes::BytesMut::new();
    let payload = json!({ "authToken": token }).to_string();
    hedgerow_ipc::wire::rpc::write_connect(&mut frame, payload.as_bytes());
    frame.to_vec()
}

pub async fn patient<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.expect("it takes too long")
}

/// A PublishToTopic request of a JSON message.
pub fn publish(topic: &str, message: Value) -> Value {
    json!({ "topic": topic, "publishMessage": { "jsonMessage": { "message": message } } })
}

/// The error's shape and message.
pub fn error_of(result: Result<Value, ClientError>) -> (String, String) {
    match result {
        Err(ClientError::Operation { model_type, payload }) => {
            let message = payload["message"].as_str().unwrap_or_default().to_owned();
            (model_type.trim_start_matches("aws.greengrass#").to_owned(), message)
        }
        other => panic!("expected an error of the operation, got {other:?}"),
    }
}

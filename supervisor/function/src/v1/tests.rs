//! A function's code that asks over a real socket, as the SDK's modules do. The real SDKs do in the cases.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::{CALLS, Destination, Device, DeviceError, Sdk};
use crate::queue::tests::world;
use crate::runtime_api::tests::sockets::{Client, Heard};
use crate::tests::spec;
use crate::{
    Broker, FunctionSpec, InstanceId, InstanceLink, PAYLOAD_LIMIT, Target, message, runtime_api,
};

const ROUTER: &str = "arn%3Aaws%3Alambda%3A%3A%3Afunction%3AGGRouter";

/// Longer than what these functions take.
const PATIENCE: Duration = Duration::from_secs(20);

/// Allows `caller` what its name is not in `denied` for.
#[derive(Debug)]
struct Fake {
    destinations: Vec<Destination>,
    /// Brokers whose topics the caller may publish to.
    allowed: Vec<Broker>,
    published: Mutex<Vec<String>>,
    told: Mutex<Vec<String>>,
    result_timeout: Duration,
}

impl Device for Fake {
    fn may_invoke(&self, caller: &str, callee: &str) -> Result<(), DeviceError> {
        assert_eq!(caller, "caller");
        match callee {
            "denied" => Err(DeviceError::Denied("no rule for denied".into())),
            _ => Ok(()),
        }
    }

    fn destinations(&self, _: &FunctionSpec, topic: &str) -> Result<Vec<Destination>, DeviceError> {
        assert_eq!(topic, "a/topic");
        Ok(self.destinations.clone())
    }

    fn publish(
        &self,
        source: &str,
        broker: Broker,
        topic: &str,
        payload: Bytes,
    ) -> Result<(), DeviceError> {
        match (self.allowed.contains(&broker), broker) {
            (false, _) => Err(DeviceError::Denied("no rule for the topic".into())),
            (true, Broker::IotCore) => Err(DeviceError::Service("no cloud link".into())),
            (true, Broker::Local) => {
                let payload = String::from_utf8_lossy(&payload).into_owned();
                self.published.lock().unwrap().push(format!("{source} {topic} {payload}"));
                Ok(())
            }
        }
    }

    fn result_timeout(&self) -> Duration {
        self.result_timeout
    }

    fn tell(&self, _: &str, what: &str) {
        self.told.lock().unwrap().push(what.to_owned());
    }
}

/// Functions `f` and `denied`, and where an instance of `caller` asks.
struct World {
    life: world::Life,
    log: Arc<world::Memory>,
    device: Arc<Fake>,
    address: SocketAddr,
    /// What keeps the instance there.
    _instance: (tokio::sync::watch::Sender<()>, mpsc::Receiver<crate::task::Message>),
    server: JoinHandle<()>,
}

impl Drop for World {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl World {
    async fn new(destinations: &[Destination], allowed: &[Broker]) -> Self {
        Self::with(destinations, allowed, PATIENCE).await
    }

    async fn with(
        destinations: &[Destination],
        allowed: &[Broker],
        result_timeout: Duration,
    ) -> Self {
        let disk = world::Device::default();
        let life = disk.start("a boot", Duration::from_secs(100)).await;
        for name in ["f", "denied"] {
            life.functions.define(FunctionSpec { max_instances: 40, ..spec(name, "x") }).await;
        }
        let device = Arc::new(Fake {
            destinations: destinations.to_vec(),
            allowed: allowed.to_vec(),
            published: Mutex::default(),
            told: Mutex::default(),
            result_timeout,
        });
        let sdk = Sdk {
            functions: life.functions.clone(),
            events: life.events.clone(),
            device: Arc::clone(&device) as Arc<dyn Device>,
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (messages, received) = mpsc::channel(1);
        let (link, present) = InstanceLink::new(InstanceId(1), messages);
        let caller = sdk.caller(Arc::new(spec("caller", "x")));
        let server = tokio::spawn(runtime_api::serve(listener, link, Some(caller)));
        let log = Arc::clone(&disk.log);
        Self { life, log, device, address, _instance: (present, received), server }
    }

    async fn ask(&self, function: &str, headers: &str, body: impl AsRef<[u8]>) -> Heard {
        let mut client = Client::to(self.address).await;
        client.say(request(function, headers, body)).await;
        client.hear().await
    }

    /// As `iot-data` publishes.
    async fn publish(&self, policy: &str) -> Heard {
        let custom =
            json!({ "source": "arn:of:another", "subject": "a/topic", "queueFullPolicy": policy });
        let context = BASE64_STANDARD.encode(json!({ "custom": custom }).to_string());
        let headers =
            format!("X-Amz-Invocation-Type: Event\r\nX-Amz-Client-Context: {context}\r\n");
        self.ask(ROUTER, &headers, "[1]").await
    }

    fn published(&self) -> Vec<String> {
        self.device.published.lock().unwrap().clone()
    }

    fn stored(&self) -> usize {
        self.log.rows.lock().unwrap().len()
    }
}

fn request(function: &str, headers: &str, body: impl AsRef<[u8]>) -> Vec<u8> {
    let body = body.as_ref();
    let size = body.len();
    let head = format!(
        "POST /2015-03-31/functions/{function}/invocations HTTP/1.1\r\nHost: x\r\n{headers}\
         Content-Length: {size}\r\n\r\n"
    );
    [head.as_bytes(), body].concat()
}

fn said(heard: &Heard) -> String {
    let body: Value = serde_json::from_slice(&heard.body).unwrap();
    body["Message"].as_str().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn functions_are_invoked_and_their_failures_told() {
    let world = World::new(&[], &[]).await;
    let arn = "arn%3Aaws%3Alambda%3Aeu-west-1%3A123456789012%3Afunction%3Af%3A7";
    for name in ["f", "f:prod", arn] {
        let answer = world.ask(name, "", "[1]").await;
        assert_eq!((answer.status, &*answer.body), (200, &b"[1]"[..]), "{name}");
        assert_eq!(answer.header("x-amz-function-error"), None);
    }
    let failed = world.ask("f", "", "\"raise\"").await;
    assert_eq!(failed.status, 200);
    assert!(failed.header("x-amz-function-error").is_some(), "{failed:?}");
    assert_eq!(failed.error_type(), "ValueError");
    let event = world.ask("f", "X-Amz-Invocation-Type: Event\r\n", "2").await;
    assert_eq!(event.status, 202);
}

#[tokio::test]
async fn answers_that_an_instance_does_not_take_are_bounded() {
    let world = World::new(&[], &[]).await;
    let large = format!("\"{}\"", "x".repeat(PAYLOAD_LIMIT - 2));
    let mut deaf = Client::to(world.address).await;
    deaf.say(request("f", "", &large)).await;
    let lost = timeout(PATIENCE, async {
        loop {
            let answer = world.ask("f", "", &large).await;
            if answer.status != 200 {
                return answer;
            }
        }
    });
    let lost = lost.await.expect("there is no room for both");
    assert_eq!(lost.status, 500);
    assert!(said(&lost).contains("is lost: take them"), "{lost:?}");
    // What takes no room of its own goes on.
    assert_eq!(&*world.ask("f", "", "[1]").await.body, b"[1]");
    assert_eq!(deaf.hear().await.body.len(), large.len());
    assert_eq!(world.ask("f", "", &large).await.status, 200);
}

#[tokio::test]
async fn what_is_wrong_is_refused_and_said() {
    let world = World::new(&[], &[]).await;
    let context = |context: &str| {
        let context = BASE64_STANDARD.encode(context);
        format!("X-Amz-Invocation-Type: Event\r\nX-Amz-Client-Context: {context}\r\n")
    };
    let long = context(&json!({ "custom": { "subject": "x".repeat(4000) } }).to_string());
    let large = "x".repeat(PAYLOAD_LIMIT + 1);
    let table = [
        ("denied", "", "1", 403, "no rule for denied"),
        ("nobody", "", "1", 404, "function not found: nobody"),
        ("f:9", "", "1", 404, "version 7 is deployed"),
        ("f", "", "{", 400, "Could not parse"),
        ("f", "X-Amz-Client-Context: %%\r\n", "1", 400, "Base64"),
        ("f", "X-Amz-Client-Context: \u{fc}\r\n", "1", 400, "not ASCII"),
        ("f", "X-Amz-Invocation-Type: Later\r\n", "1", 400, "Later"),
        ("f", "", &large, 413, "at most 6291456"),
        (ROUTER, "", "1", 400, "as an Event"),
        (ROUTER, "X-Amz-Invocation-Type: Event\r\n", "1", 400, "custom"),
        (ROUTER, &context("{\"custom\": {}}"), "1", 400, "subject"),
        (ROUTER, &context("\u{0}"), "1", 400, "custom"),
        (ROUTER, &long, "1", 400, "bytes of"),
    ];
    for (function, headers, body, status, why) in table {
        let refused = world.ask(function, headers, body).await;
        assert_eq!(refused.status, status, "{function} {headers}: {refused:?}");
        assert!(said(&refused).contains(why), "{function} {headers}: {refused:?}");
    }
    let mut client = Client::to(world.address).await;
    client.say("GET /2015-03-31/functions/ HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert_eq!(client.hear().await.status, 404);
    assert_eq!(world.stored(), 0);
}

#[tokio::test]
async fn services_that_are_missing_are_told_as_the_sdk_expects() {
    let world = World::new(&[], &[]).await;
    let service = |name: &str| format!("arn%3Aaws%3Alambda%3A%3A%3Afunction%3A{name}");
    for (name, code, text) in
        [("GGShadowService", "code", "message"), ("GGSecretManager", "Status", "Message")]
    {
        let answer = world.ask(&service(name), "", "{}").await;
        let body: Value = serde_json::from_slice(&answer.body).unwrap();
        assert_eq!((answer.status, &body[code]), (200, &json!(501)), "{body}");
        assert!(body[text].as_str().unwrap().starts_with("there is no"), "{body}");
        let event = world.ask(&service(name), "X-Amz-Invocation-Type: Event\r\n", "{}").await;
        assert_eq!(event.status, 501);
    }
}

#[tokio::test]
async fn what_is_published_goes_where_it_may() {
    use Broker::{IotCore, Local};
    let by_arn = Destination::Function(Target::from(&*spec("f", "x").arn));
    let component = |name: &str| Destination::Component(name.to_owned());
    let unknown = Destination::Function(Target::from("arn:aws:lambda:r:1:function:gone:3"));
    let cloud = || Destination::Cloud;
    // Subscriptions, what accessControl allows, the queue's policy: the answer, events, messages on local topics.
    let table = [
        (vec![by_arn.clone()], vec![], "", Ok(()), 1, 0),
        (vec![component("f"), by_arn.clone()], vec![], "", Ok(()), 1, 0),
        (vec![component("f")], vec![Local], "AllOrError", Ok(()), 1, 1),
        (vec![], vec![Local], "", Ok(()), 0, 1),
        (vec![component("other")], vec![Local], "", Ok(()), 0, 1),
        (vec![component("other")], vec![], "", Err("other: no rule for the topic"), 0, 0),
        (vec![cloud()], vec![], "", Err("cloud: there is no cloud link"), 0, 0),
        (vec![unknown], vec![], "", Err("gone:3: function not found"), 0, 0),
        (vec![cloud(), by_arn.clone()], vec![], "BestEffort", Ok(()), 1, 0),
        (vec![cloud(), by_arn], vec![Local], "AllOrError", Err("cloud"), 0, 0),
        (vec![], vec![IotCore], "", Err("no cloud link"), 0, 0),
        (
            vec![],
            vec![],
            "",
            Err("No subscription exists for the source \
                 arn:aws:lambda:eu-west-1:123456789012:function:caller:7 and subject a/topic"),
            0,
            0,
        ),
    ];
    for (destinations, allowed, policy, answer, events, messages) in table {
        let case = format!("{destinations:?} {allowed:?} {policy}");
        let world = World::new(&destinations, &allowed).await;
        // It stays stored where nobody takes it.
        world.life.functions.stop("f", Duration::ZERO).await;
        let heard = world.publish(policy).await;
        match answer {
            Ok(()) => assert_eq!(heard.status, 202, "{case}: {heard:?}"),
            Err(why) => {
                assert!(heard.status >= 400, "{case}: {heard:?}");
                assert!(said(&heard).contains(why), "{case}: {heard:?}");
            }
        }
        assert_eq!(world.stored(), events, "{case}");
        let published = vec!["caller a/topic [1]".to_owned(); messages];
        assert_eq!(world.published(), published, "{case}");
        let is_told = policy == "BestEffort";
        assert_eq!(world.device.told.lock().unwrap().len(), usize::from(is_told), "{case}");
    }
}

#[tokio::test]
async fn a_subscribed_function_finds_the_topic_where_it_looks_for_it() {
    let world = World::new(&[Destination::Component("f".into())], &[]).await;
    world.life.functions.stop("f", Duration::ZERO).await;
    assert_eq!(world.publish("").await.status, 202);
    let context = message("a/topic", "[1]".into()).client_context.unwrap();
    let stored: Vec<_> = world.log.rows.lock().unwrap().values().cloned().collect();
    let [(event, _)] = &stored[..] else { panic!("{stored:?}") };
    let event = String::from_utf8_lossy(event).replace('\\', "");
    assert!(event.contains(&context) && !event.contains("arn:of:another"), "{event}");
}

#[tokio::test]
async fn who_waits_is_answered_in_time_and_keeps_nobody_waiting() {
    let world = World::with(&[], &[], Duration::from_secs(2)).await;
    let mut waiting = Vec::new();
    for _ in 0..CALLS {
        let mut client = Client::to(world.address).await;
        client.say(request("f", "", "\"hang\"")).await;
        waiting.push(client);
    }
    // Its runtime is served, and one call more is answered at once.
    let mut runtime = Client::to(world.address).await;
    runtime.post("nothing", "", "").await;
    assert_eq!(runtime.hear().await.status, 404);
    let refused = loop {
        let refused = world.ask("f", "", "1").await;
        // The others may still be on their way.
        if refused.status != 200 {
            break refused;
        }
    };
    assert_eq!(refused.status, 429, "{refused:?}");
    for mut client in waiting {
        let late = client.hear().await;
        // One whose place the last question had took its answer.
        assert!(matches!(late.status, 504 | 429), "{late:?}");
        if late.status == 504 {
            assert!(said(&late).contains("getResultTimeoutInSecond"), "{late:?}");
        }
    }
    assert_eq!(world.ask("f", "", "1").await.status, 200);
}

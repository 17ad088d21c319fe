//! `io.hedgerow.Edge1.Messaging`.

use std::sync::Arc;

use hedgerow_api::{Act, Error, MAX_PAYLOAD, PublishOptions, SubscribeOptions};
use serde::de::IgnoredAny;
use tokio::sync::Semaphore;
use zbus::message::Header;
use zbus::{Connection, interface};

use super::Control;
use super::invocation::stream_pair;
use super::pump::pump;
use super::tree::Tree;

/// Each costs a task, a socket and its buffer.
const MAX_SUBSCRIPTIONS: usize = 256;

pub struct Messaging<C> {
    tree: Arc<Tree<C>>,
    free: Arc<Semaphore>,
}

impl<C: Control> Messaging<C> {
    pub fn new(tree: Arc<Tree<C>>) -> Self {
        Self { tree, free: Arc::new(Semaphore::new(MAX_SUBSCRIPTIONS)) }
    }
}

#[interface(name = "io.hedgerow.Edge1.Messaging", introspection_docs = false)]
impl<C: Control> Messaging<C> {
    async fn publish(
        &self,
        topic: &str,
        payload: Vec<u8>,
        options: PublishOptions,
        #[zbus(connection)] connection: &Connection,
        #[zbus(header)] header: Header<'_>,
    ) -> Result<(), Error> {
        let caller = self.tree.access.check(connection, &header, Act::Messages).await?;
        let json = options.json.unwrap_or(false);
        check_payload(&payload, json)?;
        self.tree.control.publish(caller, topic, payload, json).await
    }

    #[zbus(out_args("stream"))]
    async fn subscribe(
        &self,
        filter: &str,
        options: SubscribeOptions,
        #[zbus(connection)] connection: &Connection,
        #[zbus(header)] header: Header<'_>,
    ) -> Result<zbus::OwnedFd, Error> {
        let caller = self.tree.access.check(connection, &header, Act::Messages).await?;
        if let Some(option) = options.keys().next() {
            return Err(Error::InvalidArgument(format!("there is no option {option:?}")));
        }
        let permit = self.free.clone().try_acquire_owned().map_err(|_| {
            Error::Busy(format!("{MAX_SUBSCRIPTIONS} subscriptions are open on the bus already"))
        })?;
        let subscription = self.tree.control.subscribe(caller, filter).await?;
        let (ours, theirs) = stream_pair()?;
        tokio::spawn(async move {
            pump(subscription, ours).await;
            drop(permit);
        });
        Ok(theirs.into())
    }
}

fn check_payload(payload: &[u8], json: bool) -> Result<(), Error> {
    if payload.len() > MAX_PAYLOAD {
        let size = payload.len();
        return Err(Error::InvalidArgument(format!(
            "a payload of {size} bytes is over the limit of {MAX_PAYLOAD}"
        )));
    }
    if json && let Err(error) = serde_json::from_slice::<IgnoredAny>(payload) {
        return Err(Error::InvalidArgument(format!("the payload is not JSON: {error}")));
    }
    Ok(())
}

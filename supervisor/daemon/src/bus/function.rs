//! `io.hedgerow.Edge1.Function`.

use std::collections::BTreeMap;
use std::sync::Arc;

use hedgerow_api::{
    Act, Error, FunctionHealth, InstanceCounts, InvokeOptions, InvokeResult, MAX_PAYLOAD, Moment,
};
use tokio::sync::{Semaphore, watch};
use zbus::message::Header;
use zbus::{Connection, OwnedFd, interface};

use super::invocation::{self, Request};
use super::tree::Tree;
use super::{Control, FunctionView, payload};

pub struct Function<C> {
    tree: Arc<Tree<C>>,
    view: watch::Receiver<FunctionView>,
    free: Arc<Semaphore>,
}

impl<C: Control> Function<C> {
    /// `free`: descriptors that may be answered, over all functions.
    pub fn new(
        tree: Arc<Tree<C>>,
        view: watch::Receiver<FunctionView>,
        free: Arc<Semaphore>,
    ) -> Self {
        Self { tree, view, free }
    }

    /// The properties that differ between two views.
    pub fn changed(old: &FunctionView, new: &FunctionView) -> Vec<&'static str> {
        [
            ("Arn", old.arn != new.arn),
            ("Version", old.version != new.version),
            ("Aliases", old.aliases != new.aliases),
            ("Runtime", old.runtime != new.runtime),
            ("Handler", old.handler != new.handler),
            ("Pinned", old.pinned != new.pinned),
            ("Timeout", old.timeout != new.timeout),
            ("MemorySize", old.memory_size != new.memory_size),
            ("MaxInstances", old.max_instances != new.max_instances),
            ("Health", old.health != new.health),
            ("LastError", old.last_error != new.last_error),
            ("NextRetry", old.next_retry != new.next_retry),
            ("Instances", old.instances != new.instances),
            ("Waiting", old.waiting != new.waiting),
            ("Invocations", old.invocations != new.invocations),
            ("Errors", old.errors != new.errors),
            ("Timeouts", old.timeouts != new.timeouts),
            ("Throttles", old.throttles != new.throttles),
            ("ColdStarts", old.cold_starts != new.cold_starts),
            ("Durations", old.durations != new.durations),
            ("DurationSum", old.duration_sum != new.duration_sum),
            ("QueueDepth", old.queue_depth != new.queue_depth),
            ("QueueOldest", old.queue_oldest != new.queue_oldest),
            ("DeadLettered", old.dead_lettered != new.dead_lettered),
            ("Counted", old.counted != new.counted),
        ]
        .into_iter()
        .filter_map(|(name, changed)| changed.then_some(name))
        .collect()
    }

    async fn request(
        &self,
        connection: &Connection,
        header: &Header<'_>,
        options: InvokeOptions,
    ) -> Result<Request<C>, Error> {
        let caller = self.tree.access.check(connection, header, Act::Invoke).await?;
        let function = self.view.borrow().name.clone();
        Request::new(Arc::clone(&self.tree.control), caller, function, options)
    }
}

#[interface(name = "io.hedgerow.Edge1.Function", introspection_docs = false)]
impl<C: Control> Function<C> {
    #[zbus(out_args("answer", "result"))]
    async fn invoke(
        &self,
        payload: Vec<u8>,
        options: InvokeOptions,
        #[zbus(connection)] connection: &Connection,
        #[zbus(header)] header: Header<'_>,
    ) -> Result<(Vec<u8>, InvokeResult), Error> {
        let request = self.request(connection, &header, options).await?;
        if payload.len() > MAX_PAYLOAD {
            let size = payload.len();
            return Err(Error::InvalidArgument(format!(
                "a payload of {size} bytes is over the limit of {MAX_PAYLOAD}; use InvokeFd"
            )));
        }
        request.whole(payload.into()).await
    }

    #[zbus(out_args("answer"))]
    async fn invoke_fd(
        &self,
        payload: OwnedFd,
        options: InvokeOptions,
        #[zbus(connection)] connection: &Connection,
        #[zbus(header)] header: Header<'_>,
    ) -> Result<OwnedFd, Error> {
        let request = self.request(connection, &header, options).await?;
        request.check()?;
        let payload = payload::Reader::new(payload.into())?;
        let free = Arc::clone(&self.free).try_acquire_owned();
        let permit = free.map_err(|_| {
            Error::Busy(format!(
                "{} invocations by descriptor are under way already",
                invocation::DESCRIPTORS
            ))
        })?;
        let (ours, theirs) = invocation::stream_pair()?;
        tokio::spawn(async move {
            request.stream(payload, ours).await;
            drop(permit);
        });
        Ok(theirs.into())
    }

    #[zbus(property(emits_changed_signal = "const"))]
    fn name(&self) -> String {
        self.view.borrow().name.clone()
    }

    #[zbus(property)]
    fn arn(&self) -> String {
        self.view.borrow().arn.clone()
    }

    #[zbus(property)]
    fn version(&self) -> String {
        self.view.borrow().version.clone()
    }

    #[zbus(property)]
    fn aliases(&self) -> BTreeMap<String, String> {
        self.view.borrow().aliases.clone()
    }

    #[zbus(property)]
    fn runtime(&self) -> String {
        self.view.borrow().runtime.clone()
    }

    #[zbus(property)]
    fn handler(&self) -> String {
        self.view.borrow().handler.clone()
    }

    #[zbus(property)]
    fn pinned(&self) -> bool {
        self.view.borrow().pinned
    }

    #[zbus(property)]
    fn timeout(&self) -> u64 {
        self.view.borrow().timeout
    }

    #[zbus(property)]
    fn memory_size(&self) -> u64 {
        self.view.borrow().memory_size
    }

    #[zbus(property)]
    fn max_instances(&self) -> u32 {
        self.view.borrow().max_instances
    }

    #[zbus(property)]
    fn health(&self) -> FunctionHealth {
        self.view.borrow().health
    }

    #[zbus(property)]
    fn last_error(&self) -> String {
        self.view.borrow().last_error.clone()
    }

    #[zbus(property)]
    fn next_retry(&self) -> Moment {
        self.view.borrow().next_retry.clone()
    }

    #[zbus(property)]
    fn instances(&self) -> InstanceCounts {
        self.view.borrow().instances
    }

    #[zbus(property)]
    fn waiting(&self) -> u32 {
        self.view.borrow().waiting
    }

    #[zbus(property)]
    fn invocations(&self) -> u64 {
        self.view.borrow().invocations
    }

    #[zbus(property)]
    fn errors(&self) -> u64 {
        self.view.borrow().errors
    }

    #[zbus(property)]
    fn timeouts(&self) -> u64 {
        self.view.borrow().timeouts
    }

    #[zbus(property)]
    fn throttles(&self) -> u64 {
        self.view.borrow().throttles
    }

    #[zbus(property)]
    fn cold_starts(&self) -> u64 {
        self.view.borrow().cold_starts
    }

    #[zbus(property)]
    fn durations(&self) -> Vec<(u64, u64)> {
        self.view.borrow().durations.clone()
    }

    #[zbus(property)]
    fn duration_sum(&self) -> u64 {
        self.view.borrow().duration_sum
    }

    #[zbus(property)]
    fn queue_depth(&self) -> u64 {
        self.view.borrow().queue_depth
    }

    #[zbus(property)]
    fn queue_oldest(&self) -> Moment {
        self.view.borrow().queue_oldest.clone()
    }

    #[zbus(property)]
    fn dead_lettered(&self) -> u64 {
        self.view.borrow().dead_lettered
    }

    #[zbus(property)]
    fn counted(&self) -> Moment {
        self.view.borrow().counted.clone()
    }
}

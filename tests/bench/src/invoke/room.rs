//! The room of functions in this process, with bare processes as instances.

use std::net::Ipv4Addr;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitStatus};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use hedgerow_function::{
    Answer, Encoding, Ended, FunctionSpec, Functions, Instance, InstanceId, InstanceLink,
    Instances, Invocation, LogTail, OpenError, Overview, QueuePolicy, RequestId, Runtime, Target,
    Usage, runtime_api,
};
use tokio::net::TcpListener;
use tokio::sync::{oneshot, watch};

use super::bare::Function;

const NAME: &str = "bench";

/// Instances live as long as this process.
#[derive(Debug)]
struct Processes(Function);

impl Instances for Processes {
    async fn open(&self, _: &FunctionSpec, link: InstanceLink) -> Result<Instance, OpenError> {
        let failed = |error: anyhow::Error| OpenError::Function(format!("{error:#}"));
        let (command, listener) = self.prepare().await.map_err(failed)?;
        let mut command = tokio::process::Command::from(command);
        let mut child = command.kill_on_drop(true).spawn().map_err(|error| failed(error.into()))?;
        tokio::spawn(runtime_api::serve(listener, link, None));
        let (tell, ended) = oneshot::channel();
        tokio::spawn(async move {
            let how = child.wait().await.map_or_else(|error| Ended::Gone(error.to_string()), how);
            // The pool may have gone.
            let _ = tell.send(how);
        });
        Ok(Instance { ended, log_tail: LogTail::default() })
    }

    async fn freeze(&self, _: InstanceId) -> Result<(), OpenError> {
        Ok(())
    }

    async fn thaw(&self, _: InstanceId) -> Result<(), OpenError> {
        Ok(())
    }

    async fn close(&self, _: InstanceId) {}

    async fn usage(&self, _: InstanceId) -> Option<Usage> {
        None
    }

    fn log(&self, _: &str, _: &str) {}
}

impl Processes {
    async fn prepare(&self) -> Result<(Command, TcpListener)> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        Ok((self.0.command(listener.local_addr()?)?, listener))
    }
}

fn how(status: ExitStatus) -> Ended {
    match (status.code(), status.signal()) {
        (Some(code), _) => Ended::Exited(code),
        (None, Some(signal)) => Ended::Signalled(signal),
        (None, None) => Ended::Gone("neither exited nor killed".to_owned()),
    }
}

/// One function that can be invoked, in a Tokio runtime.
pub struct Room {
    functions: Functions,
    target: Target,
}

impl Room {
    pub async fn open(function: Function) -> Room {
        let functions = Functions::new(Arc::new(Processes(function)));
        functions.define(spec()).await;
        Room { functions, target: Target::from(NAME) }
    }

    pub fn idle(&self) -> Result<Idle> {
        Ok(Idle(self.functions.watch(NAME).context("the function is gone")?))
    }

    /// What the function answers.
    pub async fn invoke(&self, payload: Bytes) -> Result<Bytes> {
        let invocation = Invocation {
            request_id: RequestId::generate()?,
            payload,
            client_context: None,
            trace_id: None,
            log_tail: false,
        };
        let completed = self.functions.invoke(&self.target, invocation).await?;
        match completed.answer {
            Answer::Success(answer) => Ok(answer),
            Answer::Failure(error) => {
                bail!("the function failed: {}", String::from_utf8_lossy(&error.body))
            }
            Answer::Stream(_) => bail!("the function streams"),
        }
    }
}

/// Tells when the function's instance waits for an event.
pub struct Idle(watch::Receiver<Overview>);

impl Idle {
    pub async fn wait(&mut self) -> Result<()> {
        self.0.wait_for(|overview| overview.instances.idle > 0).await?;
        Ok(())
    }
}

/// A Tokio runtime as the daemon's: one thread.
pub fn block_on<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.context("a Tokio runtime")?.block_on(work)
}

fn spec() -> FunctionSpec {
    FunctionSpec {
        name: NAME.to_owned(),
        arn: format!("arn:aws:lambda:eu-west-1:000000000000:function:{NAME}"),
        version: "1".to_owned(),
        aliases: Default::default(),
        runtime: Runtime::Provided { name: "provided.al2023".to_owned() },
        handler: NAME.to_owned(),
        environment: Default::default(),
        encoding: Encoding::Json,
        pinned: false,
        timeout: Duration::from_secs(10),
        init_timeout: Some(Duration::from_secs(30)),
        memory: 128 << 20,
        ephemeral_storage: 0,
        max_instances: 1,
        max_idle: Duration::from_secs(60),
        queue: QueuePolicy {
            length: 10,
            max_age: Duration::from_secs(60),
            retries: 0,
            retry_delay: Duration::from_secs(60),
            dead_letter: None,
        },
        sources: vec![],
        digest: String::new(),
    }
}

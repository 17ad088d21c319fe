//! Instances that are bare processes.

use std::collections::HashMap;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::sync::Mutex;
use std::time::Duration;

use hedgerow_function::{
    Encoding, Ended, FunctionSpec, Instance, InstanceId, InstanceLink, Instances, LogTail,
    OpenError, QueuePolicy, Runtime, Usage, runtime_api,
};
use tokio::net::TcpListener;
use tokio::process::Command;
use tokio::sync::oneshot;
use tokio::task::AbortHandle;

pub const ARN: &str = "arn:aws:lambda:eu-west-1:123456789012:function:f";

#[derive(Debug, Clone, Copy)]
pub enum Client {
    Python,
    Node,
    Rust,
}

#[derive(Debug)]
pub struct Processes {
    client: Client,
    lives: Mutex<HashMap<InstanceId, Life>>,
}

#[derive(Debug)]
struct Life {
    server: AbortHandle,
    end: oneshot::Sender<()>,
    gone: oneshot::Receiver<()>,
}

pub fn spec(handler: &str) -> FunctionSpec {
    FunctionSpec {
        name: "f".into(),
        arn: ARN.into(),
        version: "1".into(),
        aliases: [].into(),
        runtime: Runtime::Provided { name: "provided.al2023".into() },
        handler: handler.into(),
        environment: [].into(),
        encoding: Encoding::Json,
        pinned: false,
        timeout: Duration::from_secs(30),
        init_timeout: Some(Duration::from_secs(60)),
        memory: 128 << 20,
        ephemeral_storage: 512 << 20,
        max_instances: 1,
        max_idle: Duration::from_secs(60),
        queue: QueuePolicy {
            length: 1000,
            max_age: Duration::from_secs(21_600),
            retries: 2,
            retry_delay: Duration::from_secs(60),
            dead_letter: None,
        },
        sources: vec![],
        digest: handler.into(),
    }
}

impl Client {
    pub fn handler(self) -> &'static str {
        match self {
            Self::Python => "app.handler",
            Self::Node => "index.handler",
            Self::Rust => "unused",
        }
    }

    fn command(self, handler: &str) -> Command {
        let runtimes = root().join("target/runtimes");
        let compiled = root().join("target/functions");
        for directory in [&runtimes, &compiled] {
            let path = directory.display();
            assert!(directory.exists(), "{path} is missing: `cargo xtask runtimes` makes it");
        }
        let functions = root().join("examples/functions");
        match self {
            Self::Python => {
                let mut command = Command::new("/usr/bin/python3");
                command.args(["-B", "-m", "awslambdaric", handler]);
                command.env("PYTHONPATH", runtimes.join("python"));
                command.current_dir(functions.join("echo-python"));
                command
            }
            Self::Node => {
                let client = "node/node_modules/aws-lambda-ric/bin/index.mjs";
                let mut command = Command::new("/usr/bin/node");
                command.arg(runtimes.join(client)).arg(handler);
                command.current_dir(functions.join("echo-node"));
                command
            }
            Self::Rust => Command::new(compiled.join("echo-rust/bootstrap")),
        }
    }
}

impl Processes {
    pub fn new(client: Client) -> Self {
        Self { client, lives: Mutex::default() }
    }
}

impl Instances for Processes {
    async fn open(&self, spec: &FunctionSpec, link: InstanceLink) -> Result<Instance, OpenError> {
        let machine = |error: std::io::Error| OpenError::Machine(error.to_string());
        let listener = TcpListener::bind("127.0.0.1:0").await.map_err(machine)?;
        let address = listener.local_addr().map_err(machine)?;
        let mut child = self
            .client
            .command(&spec.handler)
            .env("AWS_LAMBDA_RUNTIME_API", address.to_string())
            .env("AWS_LAMBDA_FUNCTION_NAME", "f")
            .env("AWS_LAMBDA_FUNCTION_VERSION", "1")
            .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128")
            .env("_HANDLER", &spec.handler)
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| OpenError::Function(error.to_string()))?;
        let ((tell, ended), (end, ends), (goes, gone)) =
            (oneshot::channel(), oneshot::channel::<()>(), oneshot::channel());
        let id = link.id();
        let server = tokio::spawn(runtime_api::serve(listener, link, None)).abort_handle();
        self.lives.lock().unwrap().insert(id, Life { server, end, gone });
        tokio::spawn(async move {
            let status = tokio::select! {
                status = child.wait() => status,
                _ = ends => {
                    child.start_kill().unwrap();
                    child.wait().await
                }
            };
            // The pool, or the one who closes it, may have gone.
            let _ = tell.send(how(status.unwrap()));
            let _ = goes.send(());
        });
        Ok(Instance { ended, log_tail: LogTail::default() })
    }

    async fn freeze(&self, _: InstanceId) -> Result<(), OpenError> {
        Ok(())
    }

    async fn thaw(&self, _: InstanceId) -> Result<(), OpenError> {
        Ok(())
    }

    async fn close(&self, id: InstanceId) {
        let life = self.lives.lock().unwrap().remove(&id);
        if let Some(Life { server, end, gone }) = life {
            drop(end);
            gone.await.unwrap();
            server.abort();
        }
    }

    async fn usage(&self, _: InstanceId) -> Option<Usage> {
        None
    }

    fn log(&self, _: &str, _: &str) {}
}

fn how(status: ExitStatus) -> Ended {
    match (status.code(), status.signal()) {
        (Some(code), _) => Ended::Exited(code),
        (None, Some(signal)) => Ended::Signalled(signal),
        (None, None) => Ended::Gone("neither exited nor killed".into()),
    }
}

fn root() -> PathBuf {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package.ancestors().nth(2).unwrap_or(package).to_owned()
}

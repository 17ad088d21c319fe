//! Runtimes of functions as bare processes: no fence around them.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::Result;
use clap::{Args, ValueEnum};

/// Which function, on which CPU.
#[derive(Debug, Clone, Args)]
pub struct Function {
    #[arg(long)]
    pub language: Language,
    #[arg(long)]
    pub function_cpu: Option<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Language {
    Rust,
    Python,
    Node,
}

impl Language {
    pub fn name(self) -> &'static str {
        match self {
            Language::Rust => "rust",
            Language::Python => "python",
            Language::Node => "node",
        }
    }

    pub fn handler(self) -> &'static str {
        match self {
            Language::Rust => "bootstrap",
            Language::Python => "app.handler",
            Language::Node => "index.handler",
        }
    }

    /// Where its echo function is.
    pub fn code(self) -> PathBuf {
        match self {
            Language::Rust => hedgerow_harness::rust_function(),
            Language::Python => hedgerow_harness::function("echo-python"),
            Language::Node => hedgerow_harness::function("echo-node"),
        }
    }

    fn words(self) -> Vec<PathBuf> {
        let client = hedgerow_harness::runtime_client(self.name());
        match self {
            Language::Rust => vec![self.code().join("bootstrap")],
            Language::Python => {
                ["/usr/bin/python3", "-m", "awslambdaric"].map(PathBuf::from).into()
            }
            Language::Node => vec![
                PathBuf::from("/usr/bin/node"),
                client.join("node_modules/aws-lambda-ric/bin/index.mjs"),
            ],
        }
    }
}

impl Function {
    /// The runtime's program, to be run where its Runtime API is served at `api`.
    pub fn command(&self, api: SocketAddr) -> Result<Command> {
        let language = self.language;
        let mut words = language.words();
        if let Some(cpu) = self.function_cpu {
            words.splice(0..0, ["taskset", "--cpu-list", &cpu.to_string()].map(PathBuf::from));
        }
        let code = language.code();
        let client = hedgerow_harness::runtime_client(language.name());
        let path = |directory: &Path| format!("{}:{}", code.display(), directory.display());
        let mut command = Command::new("setpriv");
        // It goes with us, however we end.
        command.args(["--pdeathsig", "KILL"]).args(words);
        if language != Language::Rust {
            command.arg(language.handler());
        }
        command
            .current_dir(&code)
            .env("AWS_LAMBDA_RUNTIME_API", api.to_string())
            .env("AWS_LAMBDA_FUNCTION_NAME", "bench")
            .env("AWS_LAMBDA_FUNCTION_VERSION", "1")
            .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128")
            .env("AWS_LAMBDA_LOG_GROUP_NAME", "/aws/lambda/bench")
            .env("AWS_LAMBDA_LOG_STREAM_NAME", "bench")
            .env("AWS_REGION", "eu-west-1")
            .env("LAMBDA_TASK_ROOT", &code)
            .env("_HANDLER", language.handler())
            .env("PYTHONPATH", path(&client))
            .env("NODE_PATH", path(&client.join("node_modules")))
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        Ok(command)
    }
}

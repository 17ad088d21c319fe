//! Runtimes that are real processes: a shell script that polls by writing `next` and is given work on its standard input.

use std::collections::HashMap;
use std::os::unix::process::ExitStatusExt;
use std::process::{ExitStatus, Stdio};
use std::sync::{Mutex, PoisonError};

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::oneshot;

use super::*;
use crate::{Ended, Instance, InstanceId, InstanceLink, Instances, LogTail, OpenError, Usage};

const RUNTIME: &str = r#"
while echo next; read -r id payload; do
    case $payload in
        '"exit"') exit 3 ;;
        '"kill"') kill -9 $$ ;;
        '"hang"') exec sleep 1000 ;;
        '"pid"') echo "$id $$" ;;
        *) echo "$id $payload" ;;
    esac
done"#;

#[derive(Debug, Default)]
struct Processes(Mutex<HashMap<InstanceId, Process>>);

#[derive(Debug)]
struct Process {
    pid: u32,
    end: oneshot::Sender<()>,
    gone: oneshot::Receiver<()>,
}

impl Instances for Processes {
    async fn open(&self, spec: &FunctionSpec, link: InstanceLink) -> Result<Instance, OpenError> {
        let failed = |error: std::io::Error| OpenError::Function(format!("sh: {error}"));
        let program = if spec.handler == "no such program" { "/nowhere/sh" } else { "sh" };
        let mut child = Command::new(program)
            .args(["-c", RUNTIME])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(failed)?;
        let (Some(pid), Some(stdin), Some(stdout)) =
            (child.id(), child.stdin.take(), child.stdout.take())
        else {
            return Err(OpenError::Machine("the process has no pipes".into()));
        };
        let ((end, ends), (goes, gone)) = (oneshot::channel(), oneshot::channel());
        let (tell, ended) = oneshot::channel();
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(link.id(), Process { pid, end, gone });
        tokio::spawn(serve(link, stdin, stdout));
        tokio::spawn(async move {
            let status = wait(&mut child, ends).await;
            // The pool, or the one who closes it, may have gone.
            let _ = tell.send(how(status));
            let _ = goes.send(());
        });
        Ok(Instance { ended, log_tail: LogTail::default() })
    }

    async fn freeze(&self, id: InstanceId) -> Result<(), OpenError> {
        self.signal(id, "-STOP").await?;
        let pid = self.0.lock().unwrap()[&id].pid;
        // The signal is delivered when the process runs next.
        while !is_stopped(pid) {
            tokio::task::yield_now().await;
        }
        Ok(())
    }

    async fn thaw(&self, id: InstanceId) -> Result<(), OpenError> {
        self.signal(id, "-CONT").await
    }

    async fn close(&self, id: InstanceId) {
        let process = self.0.lock().unwrap().remove(&id);
        if let Some(Process { end, gone, .. }) = process {
            drop(end);
            gone.await.unwrap();
        }
    }

    async fn usage(&self, _: InstanceId) -> Option<Usage> {
        None
    }

    fn log(&self, _: &str, _: &str) {}
}

impl Processes {
    async fn signal(&self, id: InstanceId, signal: &str) -> Result<(), OpenError> {
        let pid = self.0.lock().unwrap()[&id].pid.to_string();
        let status = Command::new("kill").args([signal, &pid]).status().await;
        match status {
            Ok(status) if status.success() => Ok(()),
            other => Err(OpenError::Machine(format!("{other:?}"))),
        }
    }
}

/// What the Runtime API's server does, over pipes.
async fn serve(link: InstanceLink, mut stdin: ChildStdin, stdout: ChildStdout) {
    let mut lines = BufReader::new(stdout).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        match line.split_once(' ') {
            None => {
                let Some(work) = link.next().await else {
                    return;
                };
                let payload = String::from_utf8_lossy(&work.payload).into_owned();
                let line = format!("{} {payload}\n", work.request_id);
                if stdin.write_all(line.as_bytes()).await.is_ok() {
                    work.delivered();
                }
            }
            Some((id, answer)) => {
                let answer = Answer::Success(Bytes::copy_from_slice(answer.as_bytes()));
                assert!(link.answer(id.to_owned(), answer).await);
            }
        }
    }
}

async fn wait(child: &mut Child, ends: oneshot::Receiver<()>) -> ExitStatus {
    tokio::select! {
        status = child.wait() => status.unwrap(),
        _ = ends => {
            child.kill().await.unwrap();
            child.wait().await.unwrap()
        }
    }
}

fn how(status: ExitStatus) -> Ended {
    match (status.code(), status.signal()) {
        (Some(code), _) => Ended::Exited(code),
        (None, Some(signal)) => Ended::Signalled(signal),
        (None, None) => Ended::Gone("neither exited nor killed".into()),
    }
}

fn is_stopped(pid: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap().contains(") T ")
}

fn is_alive(pid: &str) -> bool {
    // A zombie has no command line.
    std::fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| !line.is_empty())
}

async fn functions(spec: FunctionSpec) -> Functions {
    let functions = Functions::new(Arc::new(Processes::default()));
    functions.define(spec).await;
    functions
}

#[tokio::test]
async fn a_process_answers_is_stopped_when_idle_goes_on_and_is_gone_in_the_end() {
    let functions = functions(spec("f", "sh")).await;
    echo(&functions, "1").await;
    let pid = success(call(&functions, "\"pid\"").await);
    until(&functions, |overview| overview.instances.frozen == 1).await;
    assert!(is_stopped(pid.parse().unwrap()));
    assert_eq!(success(call(&functions, "\"pid\"").await), pid);
    functions.stop("f", Duration::ZERO).await;
    assert!(!is_alive(&pid));
}

#[tokio::test]
async fn a_process_that_ends_or_hangs_is_told_of_and_replaced() {
    let short = FunctionSpec { timeout: Duration::from_millis(300), ..spec("f", "sh") };
    let functions = functions(short).await;
    for (payload, error_type, text) in [
        ("\"exit\"", "Runtime.ExitError", "Runtime exited with error: exit status 3"),
        ("\"kill\"", "Runtime.ExitError", "Runtime exited with error: signal: killed"),
        ("\"hang\"", "Sandbox.Timedout", "Task timed out after 0.30 seconds"),
    ] {
        let pid = success(call(&functions, "\"pid\"").await);
        let error = failure(call(&functions, payload).await);
        assert_eq!(error.error_type, error_type);
        let body = String::from_utf8_lossy(&error.body).into_owned();
        assert!(body.contains(text), "{body}");
        until(&functions, |overview| overview.instances.total() == 0).await;
        assert!(!is_alive(&pid));
        echo(&functions, "1").await;
    }
}

#[tokio::test]
async fn a_runtime_that_is_not_there_is_the_functions_fault() {
    let functions = functions(spec("f", "no such program")).await;
    let error = failure(call(&functions, "1").await);
    assert_eq!(error.error_type, "Runtime.InvalidEntrypoint");
}

#[tokio::test]
async fn many_processes_answer_many_callers() {
    let functions = functions(FunctionSpec { max_instances: 4, ..spec("f", "sh") }).await;
    let callers: Vec<_> = (0..200)
        .map(|number: u32| {
            let functions = functions.clone();
            tokio::spawn(async move { echo(&functions, &number.to_string()).await })
        })
        .collect();
    for caller in callers {
        caller.await.unwrap();
    }
    let seen = until(&functions, |_| true).await;
    assert_eq!(seen.metrics.invocations, 200);
    assert!(seen.metrics.cold_starts <= 4);
}

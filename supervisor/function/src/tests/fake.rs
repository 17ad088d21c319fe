//! Instances in memory, whose runtimes do what handler and payload say.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::AbortHandle;
use tokio::time::{sleep, timeout};

use crate::{
    Answer, Ended, FunctionError, FunctionSpec, Instance, InstanceId, InstanceLink, Instances,
    LogTail, OpenError, ResponseStream, Usage, Work,
};

/// Until the first poll, for runtimes that start.
pub const INIT: Duration = Duration::from_millis(300);

#[derive(Debug, Default)]
pub struct Fake {
    lives: Mutex<HashMap<InstanceId, Life>>,
    log: Mutex<Vec<String>>,
    /// What happened to instances, in order.
    pub story: Mutex<Vec<(&'static str, InstanceId)>>,
    /// The most that there ever were at once.
    pub most: AtomicUsize,
    pub opened: AtomicUsize,
    /// Links that were told so.
    pub closed: Arc<AtomicUsize>,
    pub is_launcher_away: AtomicBool,
    /// Whether there is something to give back.
    pub keeps: AtomicBool,
    /// Invocations that a runtime has begun with, by request.
    pub begun: Arc<Mutex<Vec<String>>>,
}

#[derive(Debug)]
struct Life {
    runtime: AbortHandle,
    frozen: watch::Sender<bool>,
}

impl Fake {
    pub fn log_lines(&self) -> Vec<String> {
        self.log.lock().unwrap().clone()
    }

    pub fn alive(&self) -> usize {
        self.lives.lock().unwrap().len()
    }

    pub fn count(&self, what: &str) -> usize {
        self.story.lock().unwrap().iter().filter(|(did, _)| *did == what).count()
    }

    fn tell(&self, what: &'static str, id: InstanceId) {
        self.story.lock().unwrap().push((what, id));
    }
}

impl Instances for Fake {
    async fn open(&self, spec: &FunctionSpec, link: InstanceLink) -> Result<Instance, OpenError> {
        if self.is_launcher_away.load(Ordering::Relaxed) {
            return Err(OpenError::Machine("the launcher is away".into()));
        }
        if spec.handler == "is opened slowly" {
            sleep(Duration::from_secs(60)).await;
        }
        let id = link.id();
        self.opened.fetch_add(1, Ordering::Relaxed);
        self.tell("open", id);
        let (end, ended) = oneshot::channel();
        let (frozen, thawed) = watch::channel(false);
        let log_tail = LogTail::default();
        let (begun, closed) = (Arc::clone(&self.begun), Arc::clone(&self.closed));
        tokio::spawn({
            let link = link.clone();
            async move {
                link.closed().await;
                closed.fetch_add(1, Ordering::Relaxed);
            }
        });
        let mut runtime = Runtime { link, thawed, log_tail: log_tail.clone(), begun };
        let (handler, version) = (spec.handler.clone(), spec.version.clone());
        let runtime = tokio::spawn(async move {
            let how = runtime.live(&handler, &version).await;
            // A pool that is gone needs no telling.
            let _ = end.send(how);
        });
        let mut lives = self.lives.lock().unwrap();
        lives.insert(id, Life { runtime: runtime.abort_handle(), frozen });
        self.most.fetch_max(lives.len(), Ordering::Relaxed);
        Ok(Instance { ended, log_tail })
    }

    async fn freeze(&self, id: InstanceId) -> Result<(), OpenError> {
        self.tell("freeze", id);
        self.lives.lock().unwrap()[&id].frozen.send_replace(true);
        Ok(())
    }

    async fn thaw(&self, id: InstanceId) -> Result<(), OpenError> {
        self.tell("thaw", id);
        self.lives.lock().unwrap()[&id].frozen.send_replace(false);
        Ok(())
    }

    async fn close(&self, id: InstanceId) {
        sleep(Duration::from_millis(10)).await;
        if let Some(life) = self.lives.lock().unwrap().remove(&id) {
            self.tell("close", id);
            life.runtime.abort();
        }
    }

    async fn usage(&self, _: InstanceId) -> Option<Usage> {
        Some(Usage { memory: 20 << 20, peak_memory: 34 << 20, cpu_usec: 1000 })
    }

    fn give_back(&self) -> bool {
        self.keeps.swap(false, Ordering::Relaxed)
    }

    fn log(&self, function: &str, line: &str) {
        self.log.lock().unwrap().push(format!("{function}: {line}"));
    }
}

struct Runtime {
    link: InstanceLink,
    thawed: watch::Receiver<bool>,
    log_tail: LogTail,
    begun: Arc<Mutex<Vec<String>>>,
}

impl Runtime {
    async fn live(&mut self, handler: &str, version: &str) -> Ended {
        match handler {
            "hangs in init" => return std::future::pending().await,
            "exits in init" => {
                sleep(INIT).await;
                return Ended::Exited(1);
            }
            "says init error" => {
                self.link.init_failed(error("Runtime.ImportModuleError")).await;
                return Ended::Exited(1);
            }
            _ => sleep(INIT).await,
        }
        loop {
            let work = match handler {
                "hangs up now and then" => self.poll_in_turns().await,
                _ => self.link.next().await,
            };
            let Some(work) = work else {
                return std::future::pending().await;
            };
            if self.thawed.wait_for(|is_frozen| !is_frozen).await.is_err() {
                return Ended::Signalled(9);
            }
            if handler == "hangs up now and then" && is_now(&work) {
                continue;
            }
            work.delivered();
            self.begun.lock().unwrap().push(work.request_id.to_string());
            if let Some(end) = self.run(work, version).await {
                return end;
            }
            match handler {
                "exits after its answer" => return Ended::Exited(0),
                "polls no more" => return std::future::pending().await,
                _ => {}
            }
        }
    }

    /// As a client does that gives up after a while and tries again a little later.
    async fn poll_in_turns(&self) -> Option<Work> {
        loop {
            match timeout(Duration::from_millis(900), self.link.next()).await {
                Ok(work) => return work,
                Err(_) => sleep(Duration::from_millis(100)).await,
            }
        }
    }

    async fn run(&mut self, work: Work, version: &str) -> Option<Ended> {
        let id = work.request_id.to_string();
        let answer = match &*work.payload {
            br#""sleep""# => {
                sleep(Duration::from_secs(1)).await;
                Answer::Success(work.payload)
            }
            br#""hang""# => return std::future::pending().await,
            br#""exit""# => return Some(Ended::Exited(1)),
            br#""crash""# => return Some(Ended::Signalled(11)),
            br#""oom""# => return Some(Ended::OutOfMemory),
            br#""launcher dies""# => return Some(Ended::Gone("the launcher ended".into())),
            br#""raise""# => Answer::Failure(error("ValueError")),
            br#""version""# => Answer::Success(Bytes::copy_from_slice(version.as_bytes())),
            br#""arn""# => Answer::Success(work.arn.into()),
            br#""print""# => {
                self.log_tail.write(b"hello\n");
                Answer::Success(work.payload)
            }
            br#""twice""# => {
                assert!(self.link.answer(id.clone(), Answer::Success(work.payload)).await);
                Answer::Success("the second answer".into())
            }
            br#""wrong id""# => {
                let wrong = "00000000-0000-4000-8000-000000000000".to_owned();
                assert!(!self.link.answer(wrong, Answer::Success("not mine".into())).await);
                Answer::Success(work.payload)
            }
            br#""stream""# => {
                let (chunks, body) = mpsc::channel(1);
                let content_type = "text/plain".into();
                let answer = Answer::Stream(ResponseStream { content_type, body });
                assert!(self.link.answer(id, answer).await);
                for chunk in ["one ", "two"] {
                    sleep(Duration::from_millis(100)).await;
                    chunks.send(Ok(chunk.into())).await.unwrap();
                }
                return None;
            }
            _ => Answer::Success(work.payload),
        };
        self.link.answer(id, answer).await;
        None
    }
}

/// By the draw of the request's id.
fn is_now(work: &Work) -> bool {
    work.request_id.as_str().starts_with(['0', '1'])
}

fn error(error_type: &str) -> FunctionError {
    let body = format!(r#"{{"errorType":"{error_type}","errorMessage":"no"}}"#);
    FunctionError { error_type: error_type.into(), body: body.into() }
}

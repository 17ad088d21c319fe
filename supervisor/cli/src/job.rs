//! Follows a job to its end.

use std::io::IsTerminal;
use std::time::Duration;

use futures_util::StreamExt;
use hedgerow_api::zbus::OwnedObjectPath;
use hedgerow_api::{ComponentProxy, Error, JobKind, JobProperties, JobProxy, JobState, Progress};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

use crate::failure::{Failure, JobFailure};
use crate::grants::Suggestion;
use crate::output::{Output, print};
use crate::session::{Session, is_access_denied};

/// Between two looks at a job that cannot be watched.
const POLL: Duration = Duration::from_millis(200);

/// What can be asked of one component.
#[derive(Debug, Clone, Copy)]
pub enum Change {
    Start,
    Stop,
    Restart,
    Pause,
    Resume,
    Reset,
}

/// `hedgerow start|stop|restart|pause|resume|reset`.
pub async fn change(
    session: &Session,
    output: &Output,
    change: Change,
    name: &str,
) -> Result<(), Failure> {
    let component = session.component(name).await?;
    let job = match change {
        Change::Start => Some(component.start().await?),
        Change::Stop => Some(component.stop().await?),
        Change::Restart => Some(component.restart().await?),
        Change::Pause => component.pause().await.map(|()| None)?,
        Change::Resume => component.resume().await.map(|()| None)?,
        Change::Reset => component.reset().await.map(|()| None)?,
    };
    if let Some(job) = job {
        follow_and_report(session, output, job).await?;
    }
    if !output.json
        && let Some(state) = state(&component).await?
    {
        print(&format!("{name} is {state}"))?;
    }
    Ok(())
}

/// As `hedgerow status` has it; `None` for callers that cannot read properties.
async fn state(component: &ComponentProxy<'_>) -> Result<Option<String>, Failure> {
    match component.state().await {
        Err(error) if is_access_denied(&error) => Ok(None),
        state => {
            let paused = if component.paused().await? { " and paused" } else { "" };
            Ok(Some(format!("{}{paused}", state?)))
        }
    }
}

/// Shows the job's progress, prints its result, and fails if it failed.
pub async fn follow_and_report(
    session: &Session,
    output: &Output,
    path: OwnedObjectPath,
) -> Result<(), Failure> {
    let mut display = Display::new();
    let job = follow(session, &path, |progress| display.show(progress)).await?;
    drop(display);
    output.print(&Report::of(&path, &job), Report::summary)?;
    judge(job)
}

/// Waits for the job in silence, and fails if it failed.
pub async fn succeed(session: &Session, path: &OwnedObjectPath) -> Result<(), Failure> {
    judge(follow(session, path, |_| {}).await?)
}

fn judge(job: JobProperties) -> Result<(), Failure> {
    if job.state == JobState::Succeeded {
        return Ok(());
    }
    let unnamed = || Error::Internal("the daemon does not say why".to_owned());
    let log = job.result.log.unwrap_or_default();
    let component = job.result.component;
    let missed = component.as_ref().map(|name| Suggestion::of(name, &log.join("\n")));
    let missed = missed.filter(|grant| !grant.is_empty()).map(|grant| grant.toml());
    Err(Failure::Job(Box::new(JobFailure {
        error: Error::from_job(&job.error).unwrap_or_else(unnamed),
        deployment: job.result.deployment,
        component,
        step: job.result.step,
        log,
        missed,
    })))
}

async fn follow(
    session: &Session,
    path: &OwnedObjectPath,
    show: impl FnMut(&Progress),
) -> Result<JobProperties, Failure> {
    match JobProperties::of(&session.connection, path).await {
        Err(error) if is_access_denied(&error) => poll(session, path, show).await,
        _ => watch(session, path, show).await,
    }
}

/// For callers whom polkit alone lets in: the bus shows them neither properties nor signals.
async fn poll(
    session: &Session,
    path: &OwnedObjectPath,
    mut show: impl FnMut(&Progress),
) -> Result<JobProperties, Failure> {
    let manager = session.manager().await?;
    loop {
        let job = manager.get_job(path).await?;
        show(&job.progress);
        if job.state.is_final() {
            return Ok(job);
        }
        tokio::time::sleep(POLL).await;
    }
}

async fn watch(
    session: &Session,
    path: &OwnedObjectPath,
    mut show: impl FnMut(&Progress),
) -> Result<JobProperties, Failure> {
    let job = JobProxy::builder(&session.connection).path(path).build().await?;
    let mut owner = job.inner().receive_owner_changed().await?;
    let mut progress = job.receive_progress_changed().await;
    let mut states = job.receive_state_changed().await;
    loop {
        // A stream of a property begins with the present value, so nothing is missed.
        tokio::select! {
            state = states.next() => match state {
                Some(state) if state.get().await?.is_final() => break,
                Some(_) => {}
                None => return Err(Failure::Gone),
            },
            step = progress.next() => match step {
                Some(step) => show(&step.get().await?),
                None => return Err(Failure::Gone),
            },
            change = owner.next() => if change.flatten().is_none() {
                return Err(Failure::Gone);
            },
        }
    }
    let job = JobProperties::of(&session.connection, path).await?;
    show(&job.progress);
    Ok(job)
}

/// A bar on a terminal, plain lines elsewhere; both on the standard error stream.
struct Display {
    bar: Option<ProgressBar>,
    last: Progress,
}

impl Display {
    fn new() -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let style = ProgressStyle::with_template("{spinner} {bar:24} {percent:>3}% {msg}");
            let bar = ProgressBar::new(100);
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
            bar.enable_steady_tick(std::time::Duration::from_millis(100));
            bar
        });
        Self { bar, last: Progress::default() }
    }

    fn show(&mut self, progress: &Progress) {
        if *progress == self.last {
            return;
        }
        self.last = progress.clone();
        let Progress { percent, stage } = progress;
        match &self.bar {
            Some(bar) => {
                bar.set_position(u64::from(*percent));
                bar.set_message(stage.clone());
            }
            None => eprintln!("{percent:3}% {stage}"),
        }
    }
}

impl Drop for Display {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// A finished job, as `--json` prints it.
#[derive(Serialize)]
struct Report<'a> {
    job: &'a str,
    kind: JobKind,
    state: JobState,
    #[serde(skip_serializing_if = "Option::is_none")]
    deployment: Option<&'a str>,
    started: &'a [String],
    kept: &'a [String],
    removed: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<ErrorReport<'a>>,
}

#[derive(Serialize)]
struct ErrorReport<'a> {
    name: &'a str,
    message: &'a str,
    component: Option<&'a str>,
    step: Option<&'a str>,
    log: &'a [String],
}

impl<'a> Report<'a> {
    fn of(path: &'a OwnedObjectPath, job: &'a JobProperties) -> Self {
        let list = |names: &'a Option<Vec<String>>| names.as_deref().unwrap_or_default();
        Self {
            job: path.as_str(),
            kind: job.kind,
            state: job.state,
            deployment: job.result.deployment.as_deref(),
            started: list(&job.result.started),
            kept: list(&job.result.kept),
            removed: list(&job.result.removed),
            error: (job.state == JobState::Failed).then(|| ErrorReport {
                name: &job.error.name,
                message: &job.error.message,
                component: job.result.component.as_deref(),
                step: job.result.step.as_deref(),
                log: list(&job.result.log),
            }),
        }
    }

    /// What a deployment did; nothing for a job whose outcome is plain.
    fn summary(&self) -> String {
        if self.kind != JobKind::Deploy || self.state != JobState::Succeeded {
            return String::new();
        }
        let parts = [("started", self.started), ("kept", self.kept), ("removed", self.removed)];
        let lines = parts.into_iter().filter(|(_, names)| !names.is_empty());
        lines
            .map(|(what, names)| format!("{what}: {}", names.join(", ")))
            .collect::<Vec<_>>()
            .join("\n")
    }
}

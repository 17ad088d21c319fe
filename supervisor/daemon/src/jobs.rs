//! Long work that somebody asked for: how far it is, and how it ended.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hedgerow_api::{
    Error, JOB_KEPT, JobError, JobKind, JobProperties, JobResult, JobState, Progress,
};
use hedgerow_isolation::moment::Moment;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use crate::records::{Records, RecordsError};

/// A job as it is stored: when it is made, and when it has finished.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    pub id: u64,
    pub kind: JobKind,
    pub state: JobState,
    /// Components whose coming up (or going) the job waits for.
    pub components: Vec<String>,
    pub outcome: Outcome,
    pub created: Moment,
    pub finished: Option<Moment>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    pub started: Vec<String>,
    pub kept: Vec<String>,
    pub removed: Vec<String>,
    pub failure: Option<Failure>,
}

/// What a failed job says of the component at fault.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    pub error: String,
    pub message: String,
    pub component: Option<String>,
    pub step: Option<String>,
    pub log: Vec<String>,
}

#[derive(Debug)]
struct Entry {
    job: Job,
    progress: Progress,
}

#[derive(Debug)]
pub struct Jobs {
    records: Arc<Records>,
    entries: Mutex<BTreeMap<u64, Entry>>,
    changed: watch::Sender<()>,
}

impl Jobs {
    /// With what the store remembers.
    pub fn load(records: Arc<Records>) -> Result<Self, RecordsError> {
        let entries = records
            .jobs()?
            .into_iter()
            .map(|job| (job.id, Entry { job, progress: Progress::default() }))
            .collect();
        Ok(Self { records, entries: Mutex::new(entries), changed: watch::Sender::new(()) })
    }

    /// A job that is known of from now on. It is stored by the decision that it belongs to.
    pub fn create(&self, kind: JobKind) -> Job {
        let mut entries = self.lock();
        let id = entries.keys().next_back().map_or(1, |last| last + 1);
        let job = Job {
            id,
            kind,
            state: JobState::Queued,
            components: vec![],
            outcome: Outcome::default(),
            created: Moment::now(),
            finished: None,
        };
        entries.insert(id, Entry { job: job.clone(), progress: Progress::default() });
        drop(entries);
        self.changed.send_replace(());
        job
    }

    pub fn progress(&self, id: u64, percent: u32, stage: impl Into<String>) {
        if let Some(entry) = self.lock().get_mut(&id) {
            entry.job.state = JobState::Running;
            entry.progress.percent = entry.progress.percent.max(percent.min(100));
            entry.progress.stage = stage.into();
        }
        self.changed.send_replace(());
    }

    /// Stores how the job ended and shows it.
    pub fn finish(&self, id: u64, outcome: Outcome) {
        let mut entries = self.lock();
        let Some(entry) = entries.get_mut(&id) else { return };
        let failed = outcome.failure.is_some();
        entry.job.state = if failed { JobState::Failed } else { JobState::Succeeded };
        entry.job.outcome = outcome;
        entry.job.finished = Some(Moment::now());
        entry.progress.percent = 100;
        entry.progress.stage = if failed { "failed".into() } else { "done".into() };
        let job = entry.job.clone();
        drop(entries);
        if let Err(error) = self.records.put_job(&job) {
            tracing::error!("cannot store the end of job {id}: {error}");
        }
        self.changed.send_replace(());
    }

    /// Forgets what finished longer ago than [`JOB_KEPT`], or in an earlier boot.
    pub fn prune(&self) {
        let now = Moment::now();
        let kept = u64::try_from(JOB_KEPT.as_nanos()).unwrap_or(u64::MAX);
        let is_old = |job: &Job| {
            job.finished.as_ref().is_some_and(|at| now.since(at).is_none_or(|age| age >= kept))
        };
        let old: Vec<u64> = {
            let entries = self.lock();
            entries.values().filter(|entry| is_old(&entry.job)).map(|entry| entry.job.id).collect()
        };
        if old.is_empty() {
            return;
        }
        if let Err(error) = self.records.forget_jobs(&old) {
            return tracing::error!("cannot forget finished jobs: {error}");
        }
        self.lock().retain(|id, _| !old.contains(id));
        self.changed.send_replace(());
    }

    /// Jobs that the last daemon left unfinished.
    pub fn unfinished(&self) -> Vec<Job> {
        let entries = self.lock();
        entries
            .values()
            .map(|entry| &entry.job)
            .filter(|job| !job.state.is_final())
            .cloned()
            .collect()
    }

    pub fn watch(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    pub fn views(&self) -> BTreeMap<u64, JobProperties> {
        self.lock().iter().map(|(id, entry)| (*id, view(entry))).collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Failure {
    pub fn of(error: &Error) -> Self {
        let job_error = error.to_job();
        Self { error: job_error.name, message: job_error.message, ..Self::default() }
    }
}

fn view(Entry { job, progress }: &Entry) -> JobProperties {
    let outcome = &job.outcome;
    let failure = outcome.failure.clone();
    let list = |names: &Vec<String>| (!names.is_empty()).then(|| names.clone());
    JobProperties {
        kind: job.kind,
        state: job.state,
        progress: progress.clone(),
        result: JobResult {
            deployment: None,
            started: list(&outcome.started),
            kept: list(&outcome.kept),
            removed: list(&outcome.removed),
            component: failure.as_ref().and_then(|failure| failure.component.clone()),
            step: failure.as_ref().and_then(|failure| failure.step.clone()),
            log: failure.as_ref().and_then(|failure| list(&failure.log)),
        },
        error: failure
            .map(|failure| JobError { name: failure.error, message: failure.message })
            .unwrap_or_default(),
        created: moment(&job.created),
        finished: job.finished.as_ref().map(moment).unwrap_or_default(),
    }
}

pub fn moment(moment: &Moment) -> hedgerow_api::Moment {
    hedgerow_api::Moment {
        boot_id: moment.boot_id.clone(),
        boottime: moment.boottime,
        realtime: moment.realtime,
    }
}

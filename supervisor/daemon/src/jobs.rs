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

/// Numbers that are reserved at once, so that not every job costs a commit of its own.
const RESERVED: u64 = 64;

#[derive(Debug)]
pub struct Jobs {
    records: Arc<Records>,
    books: Mutex<Books>,
    changed: watch::Sender<()>,
}

#[derive(Debug, Default)]
struct Books {
    entries: BTreeMap<u64, Entry>,
    /// The number of the next job. None is given twice, whatever became of the job: a client may still ask for it.
    next: u64,
    /// Numbers below this one are reserved in the store.
    reserved: u64,
    /// Too old to be shown. Their rows go with the next write, so that a device that rests writes nothing.
    forgotten: Vec<u64>,
}

impl Jobs {
    /// With what the store remembers.
    pub fn load(records: Arc<Records>) -> Result<Self, RecordsError> {
        let entries: BTreeMap<u64, Entry> = records
            .jobs()?
            .into_iter()
            .map(|job| (job.id, Entry { job, progress: Progress::default() }))
            .collect();
        let reserved = records.reserved_jobs()?;
        let books = Books { entries, next: reserved, reserved, forgotten: vec![] };
        let jobs = Self { records, books: Mutex::new(books), changed: watch::Sender::new(()) };
        jobs.prune();
        Ok(jobs)
    }

    /// A job that is known of from now on. It is stored by the decision that it belongs to.
    pub fn create(&self, kind: JobKind) -> Job {
        let mut books = self.lock();
        let id = books.next;
        books.next += 1;
        if id >= books.reserved {
            match self.records.reserve_jobs(id + RESERVED) {
                Ok(()) => books.reserved = id + RESERVED,
                // It goes on; at worst a number is given again after a restart.
                Err(error) => tracing::error!("cannot reserve numbers of jobs: {error}"),
            }
        }
        let job = Job {
            id,
            kind,
            state: JobState::Queued,
            components: vec![],
            outcome: Outcome::default(),
            created: Moment::now(),
            finished: None,
        };
        books.entries.insert(id, Entry { job: job.clone(), progress: Progress::default() });
        drop(books);
        self.changed.send_replace(());
        job
    }

    pub fn progress(&self, id: u64, percent: u32, stage: impl Into<String>) {
        if let Some(entry) = self.lock().entries.get_mut(&id) {
            entry.job.state = JobState::Running;
            entry.progress.percent = entry.progress.percent.max(percent.min(100));
            entry.progress.stage = stage.into();
        }
        self.changed.send_replace(());
    }

    /// Stores how the job ended and shows it.
    pub fn finish(&self, id: u64, outcome: Outcome) {
        let store = |job: &Job, forgotten: &[u64]| self.records.put_job(job, forgotten);
        if let Err(error) = self.finish_with(id, outcome.clone(), store) {
            tracing::error!("cannot store the end of job {id}: {error}");
            self.finish_unstored(id, outcome);
        }
    }

    /// Shows how the job ended, once `store` has stored it and removed the rows of the jobs that are given to it.
    ///
    /// # Errors
    /// Those of `store`; the job has not ended then.
    pub fn finish_with(
        &self,
        id: u64,
        outcome: Outcome,
        store: impl FnOnce(&Job, &[u64]) -> Result<(), RecordsError>,
    ) -> Result<(), RecordsError> {
        let Some(job) = self.ended(id, outcome) else { return Ok(()) };
        let forgotten = self.lock().forgotten.clone();
        store(&job, &forgotten)?;
        self.lock().forgotten.retain(|id| !forgotten.contains(id));
        self.show(job);
        Ok(())
    }

    /// Shows how a job ended that changed nothing and leaves no trace.
    pub fn finish_unstored(&self, id: u64, outcome: Outcome) {
        if let Some(job) = self.ended(id, outcome) {
            self.show(job);
        }
    }

    fn ended(&self, id: u64, outcome: Outcome) -> Option<Job> {
        let job = self.lock().entries.get(&id)?.job.clone();
        let failed = outcome.failure.is_some();
        let state = if failed { JobState::Failed } else { JobState::Succeeded };
        Some(Job { state, outcome, finished: Some(Moment::now()), ..job })
    }

    fn show(&self, job: Job) {
        if let Some(entry) = self.lock().entries.get_mut(&job.id) {
            let stage = if job.state == JobState::Failed { "failed" } else { "done" };
            entry.progress = Progress { percent: 100, stage: stage.to_owned() };
            entry.job = job;
        }
        self.changed.send_replace(());
    }

    /// Shows no more what finished longer ago than [`JOB_KEPT`], or in an earlier boot.
    pub fn prune(&self) {
        let now = Moment::now();
        let kept = u64::try_from(JOB_KEPT.as_nanos()).unwrap_or(u64::MAX);
        let is_old = |job: &Job| {
            job.finished.as_ref().is_some_and(|at| now.since(at).is_none_or(|age| age >= kept))
        };
        let mut books = self.lock();
        let entries = &books.entries;
        let old: Vec<u64> =
            entries.values().filter(|entry| is_old(&entry.job)).map(|entry| entry.job.id).collect();
        if old.is_empty() {
            return;
        }
        books.entries.retain(|id, _| !old.contains(id));
        books.forgotten.extend(old);
        drop(books);
        self.changed.send_replace(());
    }

    /// Jobs that the last daemon left unfinished.
    pub fn unfinished(&self) -> Vec<Job> {
        let books = self.lock();
        let jobs = books.entries.values().map(|entry| &entry.job);
        jobs.filter(|job| !job.state.is_final()).cloned().collect()
    }

    pub fn watch(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    pub fn views(&self) -> BTreeMap<u64, JobProperties> {
        self.lock().entries.iter().map(|(id, entry)| (*id, view(entry))).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_has_not_ended_until_its_end_is_stored() {
        let directory = tempfile::tempdir().expect("a directory");
        let records = Records::open(&directory.path().join("state.redb")).expect("a store");
        let jobs = Jobs::load(Arc::new(records)).expect("readable");
        let id = jobs.create(JobKind::Deploy).id;
        let full = |_: &Job, _: &[u64]| Err(RecordsError::Missing("room".to_owned()));
        jobs.finish_with(id, Outcome::default(), full).expect_err("it is not stored");
        assert_eq!(jobs.unfinished().len(), 1);
        jobs.finish_with(id, Outcome::default(), |_, _| Ok(())).expect("stored");
        assert!(jobs.unfinished().is_empty());
    }
}

//! `io.hedgerow.Edge1.Job`.

use hedgerow_api::{JobError, JobKind, JobResult, JobState, Moment, Progress};
use tokio::sync::watch;
use zbus::interface;

use super::JobView;

pub struct Job {
    view: watch::Receiver<JobView>,
}

impl Job {
    pub fn new(view: watch::Receiver<JobView>) -> Self {
        Self { view }
    }

    /// The properties that differ between two views.
    pub fn changed(old: &JobView, new: &JobView) -> Vec<&'static str> {
        [
            ("State", old.state != new.state),
            ("Progress", old.progress != new.progress),
            ("Result", old.result != new.result),
            ("Error", old.error != new.error),
            ("Finished", old.finished != new.finished),
        ]
        .into_iter()
        .filter_map(|(name, changed)| changed.then_some(name))
        .collect()
    }
}

#[interface(name = "io.hedgerow.Edge1.Job", introspection_docs = false)]
impl Job {
    #[zbus(property(emits_changed_signal = "const"))]
    fn kind(&self) -> JobKind {
        self.view.borrow().kind
    }

    #[zbus(property)]
    fn state(&self) -> JobState {
        self.view.borrow().state
    }

    #[zbus(property)]
    fn progress(&self) -> Progress {
        self.view.borrow().progress.clone()
    }

    #[zbus(property)]
    fn result(&self) -> JobResult {
        self.view.borrow().result.clone()
    }

    #[zbus(property)]
    fn error(&self) -> JobError {
        self.view.borrow().error.clone()
    }

    #[zbus(property(emits_changed_signal = "const"))]
    fn created(&self) -> Moment {
        self.view.borrow().created.clone()
    }

    #[zbus(property)]
    fn finished(&self) -> Moment {
        self.view.borrow().finished.clone()
    }
}

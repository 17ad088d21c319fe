//! Deployments that wait: for the one at work, or for the components that have put them off.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use super::history::History;
use super::worker::Task;

/// Longer than any wait; the end of it is looked at anew.
const FAR: Duration = Duration::from_secs(86_400);

pub struct Queue {
    tasks: mpsc::Receiver<Task>,
    deferred: Vec<(Instant, Task)>,
    history: Arc<History>,
}

impl Queue {
    pub fn new(tasks: mpsc::Receiver<Task>, history: Arc<History>) -> Self {
        Self { tasks, deferred: vec![], history }
    }

    pub fn defer(&mut self, wait: Duration, task: Task) {
        self.deferred.push((Instant::now() + wait, task));
    }

    /// The next whose turn it is, or that was canceled while it was put off. `None` once nobody can send any.
    pub async fn next(&mut self) -> Option<Task> {
        loop {
            let mut changes = self.history.watch();
            if let Some(index) = self.deferred.iter().position(|waiting| self.is_due(waiting)) {
                return Some(self.deferred.swap_remove(index).1);
            }
            let earliest = self.deferred.iter().map(|(at, _)| *at).min();
            let earliest = earliest.unwrap_or_else(|| Instant::now() + FAR);
            tokio::select! {
                task = self.tasks.recv() => return task,
                () = sleep_until(earliest) => {}
                _ = changes.changed() => {}
            }
        }
    }

    fn is_due(&self, (at, task): &(Instant, Task)) -> bool {
        let id = &task.request.document.id;
        *at <= Instant::now() || *self.history.cancellation(id).borrow()
    }
}

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

#[cfg(test)]
mod tests {
    use super::super::document::Document;
    use super::super::prepare::Request;
    use super::super::view::DeploymentView;
    use super::*;
    use crate::jobs::{Job, Outcome};

    fn task(history: &History) -> Task {
        let document = Document::local([].into(), [].into());
        history.insert(DeploymentView::of(&document, 1));
        let request = Request { document, recipe_dir: None, artifact_dir: None, public_only: true };
        let job = Job {
            id: 1,
            kind: hedgerow_api::JobKind::Deploy,
            state: hedgerow_api::JobState::Queued,
            components: vec![],
            outcome: Outcome::default(),
            created: hedgerow_isolation::moment::Moment::now(),
            finished: None,
        };
        Task { job, request: Arc::new(request), deferred: None, overtaken: 0 }
    }

    #[tokio::test]
    async fn what_is_put_off_is_passed_and_comes_back_when_it_is_due() {
        let history = Arc::new(History::of([]));
        let (send, receive) = mpsc::channel(4);
        let mut queue = Queue::new(receive, Arc::clone(&history));
        let (late, later, soon) = (task(&history), task(&history), task(&history));
        let id = |task: &Task| task.request.document.id.clone();
        let (late_id, later_id, soon_id) = (id(&late), id(&later), id(&soon));
        queue.defer(Duration::from_millis(20), late);
        queue.defer(Duration::from_secs(3600), later);
        send.try_send(soon).expect("room");
        // The channel's turn comes first while nothing is due.
        assert_eq!(queue.next().await.map(|task| id(&task)), Some(soon_id));
        assert_eq!(queue.next().await.map(|task| id(&task)), Some(late_id));

        // One that is canceled does not wait for its time.
        let cancel = async {
            tokio::task::yield_now().await;
            history.cancel(&later_id).expect("known");
        };
        let (next, ()) = tokio::join!(queue.next(), cancel);
        assert_eq!(next.map(|task| id(&task)), Some(later_id));
        drop(send);
        assert!(queue.next().await.is_none());
    }
}

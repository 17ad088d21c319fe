//! What the fences of observed components denied them. In memory: an observation is repeated more easily than kept.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hedgerow_isolation::connection::Connection;
use hedgerow_isolation::moment::Moment;
use hedgerow_isolation::observation::{Finding, MAX_FINDINGS, Told};
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::launcher::{receive, register};

#[derive(Debug, Default)]
pub struct Observations {
    /// By component: one that is removed takes its own along.
    entries: Mutex<BTreeMap<String, Observation>>,
    changed: watch::Sender<()>,
}

#[derive(Debug)]
struct Observation {
    began: Moment,
    ended: Option<Moment>,
    /// Fences that were to be observed.
    fences: u64,
    /// Observers that have something to tell yet.
    observers: usize,
    findings: Vec<(Finding, u64)>,
    /// Calls that were denied and for which there was no room.
    more: u64,
}

impl Observations {
    /// From now on each fence of the component that is opened is observed, until [`Self::end`]. False where that is so
    /// already.
    pub fn begin(&self, component: &str) -> bool {
        let mut entries = self.lock();
        if entries.get(component).is_some_and(|one| one.ended.is_none()) {
            return false;
        }
        let observation = Observation {
            began: Moment::now(),
            ended: None,
            fences: 0,
            observers: 0,
            findings: Vec::new(),
            more: 0,
        };
        entries.insert(component.to_owned(), observation);
        true
    }

    pub fn end(&self, component: &str) {
        if let Some(observation) = self.lock().get_mut(component) {
            observation.ended = Some(Moment::now());
        }
    }

    pub fn forget(&self, component: &str) {
        self.lock().remove(component);
        self.changed.send_replace(());
    }

    /// Where the fence that is to be opened for the component shall tell. `None` where it is not to be observed.
    pub fn observer(self: &Arc<Self>, component: &str) -> io::Result<Option<OwnedFd>> {
        match self.lock().get_mut(component) {
            Some(observation) if observation.ended.is_none() => {
                observation.fences += 1;
                observation.observers += 1;
            }
            Some(_) | None => return Ok(None),
        }
        self.changed.send_replace(());
        let leaving = Leaving { observations: Arc::clone(self), component: component.to_owned() };
        let (ours, theirs) = Connection::pair()?;
        ours.set_nonblocking()?;
        let link = register(ours)?;
        tokio::spawn(async move {
            // It ends with the fence, or with one that could not be opened.
            while let Ok(Some((told, _))) = receive::<Told>(&link).await {
                leaving.observations.add(&leaving.component, told);
            }
        });
        Ok(Some(theirs.into()))
    }

    fn add(&self, component: &str, told: Told) {
        let mut entries = self.lock();
        let Some(observation) = entries.get_mut(component) else { return };
        observation.more += told.more;
        let findings = &mut observation.findings;
        for (finding, count) in told.findings {
            let is_full = findings.len() >= MAX_FINDINGS;
            match findings.iter_mut().find(|(known, _)| *known == finding) {
                Some((_, all)) => *all += count,
                None if is_full => observation.more += count,
                None => findings.push((finding, count)),
            }
        }
    }

    /// Waits until a fence of the component is to be observed; false where the component is gone.
    pub async fn opened(&self, component: &str) -> bool {
        self.once(component, |observation| observation.fences > 0).await
    }

    /// Whether an observed fence is open.
    pub fn is_told(&self, component: &str) -> bool {
        self.lock().get(component).is_some_and(|observation| observation.observers > 0)
    }

    /// Waits until every observer of the component has told everything.
    pub async fn settled(&self, component: &str) {
        self.once(component, |observation| observation.observers == 0).await;
    }

    async fn once(&self, component: &str, is_so: fn(&Observation) -> bool) -> bool {
        let mut changed = self.changed.subscribe();
        loop {
            match self.lock().get(component).map(is_so) {
                Some(false) => {}
                Some(true) => return true,
                None => return false,
            }
            if changed.changed().await.is_err() {
                return false;
            }
        }
    }

    /// As `Component.GetObservation` has it.
    pub fn report(&self, component: &str) -> Value {
        let entries = self.lock();
        let Some(observation) = entries.get(component) else { return Value::Null };
        let seconds = |moment: &Moment| moment.realtime / 1_000_000_000;
        let findings = observation.findings.iter().map(|(finding, count)| {
            let Finding { call, subject, remedy } = finding;
            json!({
                "call": call,
                "subject": subject,
                "count": count,
                "remedy": remedy,
                "grant": remedy.grant(),
                "advice": remedy.advice(),
            })
        });
        json!({
            "began": seconds(&observation.began),
            "ended": observation.ended.as_ref().map(seconds),
            "findings": findings.collect::<Vec<_>>(),
            "more": observation.more,
        })
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Observation>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Counts an observer out.
struct Leaving {
    observations: Arc<Observations>,
    component: String,
}

impl Drop for Leaving {
    fn drop(&mut self) {
        if let Some(observation) = self.observations.lock().get_mut(&self.component) {
            observation.observers = observation.observers.saturating_sub(1);
        }
        self.observations.changed.send_replace(());
    }
}

#[cfg(test)]
mod tests {
    use hedgerow_isolation::observation::Remedy;

    use super::*;

    #[tokio::test]
    async fn what_several_fences_tell_adds_up_until_the_next_observation() {
        let observations = Arc::new(Observations::default());
        assert!(observations.observer("a").unwrap().is_none());
        assert!(observations.begin("a") && !observations.begin("a"));
        let finding = |subject: &str| Finding {
            call: "openat".to_owned(),
            subject: subject.to_owned(),
            remedy: Remedy::HostNetwork,
        };
        for _ in 0..2 {
            let observer = Connection::from(observations.observer("a").unwrap().unwrap());
            let findings = vec![(finding("/x"), 2), (finding("/y"), 1)];
            observer.send(&Told { findings, more: 1 }, &[]).unwrap();
        }
        observations.end("a");
        assert!(observations.observer("a").unwrap().is_none());
        observations.settled("a").await;
        let report = observations.report("a");
        let counts = ["/findings/0/count", "/findings/1/count", "/more"];
        assert_eq!(
            counts.map(|at| report.pointer(at).and_then(Value::as_u64)),
            [Some(4), Some(2), Some(2)]
        );
        assert_eq!(report.pointer("/findings/0/grant").unwrap(), "host-network = true");

        assert!(observations.begin("a"));
        assert_eq!(observations.report("a").pointer("/findings").unwrap(), &json!([]));
        observations.forget("a");
        assert_eq!(observations.report("a"), Value::Null);
    }

    #[tokio::test]
    async fn there_is_room_for_so_many_and_the_rest_is_counted() {
        let observations = Arc::new(Observations::default());
        observations.begin("a");
        for number in 0..MAX_FINDINGS + 2 {
            let finding =
                Finding { call: String::new(), subject: number.to_string(), remedy: Remedy::None };
            observations.add("a", Told { findings: vec![(finding, 3)], more: 0 });
        }
        let report = observations.report("a");
        assert_eq!(report.pointer("/findings").unwrap().as_array().unwrap().len(), MAX_FINDINGS);
        assert_eq!(report.pointer("/more").unwrap(), 6);
    }
}

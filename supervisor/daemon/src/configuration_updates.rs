//! Who wants to know when a component's configuration changes.

use std::sync::{Mutex, MutexGuard, PoisonError};

use hedgerow_ipc::model::{ConfigurationUpdateEvent, ConfigurationUpdateEvents, Event};
use tokio::sync::mpsc;

use crate::consent::TooMany;

/// Events that may wait for one subscriber. Whoever leaves more unread loses the subscription, and so learns that
/// it knows not everything.
const UNREAD: usize = 64;

/// Subscriptions that one component may have at once.
const SUBSCRIPTIONS: usize = 128;

#[derive(Debug, Default)]
pub struct ConfigurationUpdates {
    subscribers: Mutex<Vec<Subscriber>>,
}

#[derive(Debug)]
struct Subscriber {
    who: String,
    component: String,
    path: Vec<String>,
    events: mpsc::Sender<Event>,
}

impl ConfigurationUpdates {
    /// An event for each value that changes at, below or above `path` in the configuration of `component`.
    ///
    /// # Errors
    /// `who` has 128 of these subscriptions already.
    pub fn subscribe(
        &self,
        who: &str,
        component: &str,
        path: Vec<String>,
    ) -> Result<mpsc::Receiver<Event>, TooMany> {
        let mut subscribers = self.subscribers();
        subscribers.retain(|subscriber| !subscriber.events.is_closed());
        if subscribers.iter().filter(|subscriber| subscriber.who == who).count() >= SUBSCRIPTIONS {
            return Err(TooMany { component: who.to_owned(), limit: SUBSCRIPTIONS });
        }
        let (events, receiver) = mpsc::channel(UNREAD);
        let (who, component) = (who.to_owned(), component.to_owned());
        subscribers.push(Subscriber { who, component, path, events });
        Ok(receiver)
    }

    /// Tells whoever is subscribed and still `may_read` that the values at `paths` have changed. A subscription
    /// without the right to it ends.
    pub fn changed(&self, component: &str, paths: &[Vec<String>], may_read: impl Fn(&str) -> bool) {
        self.subscribers().retain(|subscriber| {
            subscriber.component != component
                || (may_read(&subscriber.who) && subscriber.tell(component, paths))
        });
    }

    fn subscribers(&self) -> MutexGuard<'_, Vec<Subscriber>> {
        self.subscribers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Subscriber {
    /// `false` when the subscription is over.
    fn tell(&self, component: &str, paths: &[Vec<String>]) -> bool {
        for path in paths.iter().filter(|path| concerns(&self.path, path)) {
            let event = ConfigurationUpdateEvent {
                component_name: component.to_owned(),
                key_path: path.clone(),
            };
            let event = ConfigurationUpdateEvents::ConfigurationUpdateEvent(event);
            match self.events.try_send(Event::SubscribeToConfigurationUpdate(event)) {
                Ok(()) => {}
                Err(mpsc::error::TrySendError::Closed(_)) => return false,
                Err(mpsc::error::TrySendError::Full(_)) => {
                    let who = self.who.as_str();
                    tracing::warn!(
                        who,
                        "it reads no configuration events; the subscription is ended"
                    );
                    return false;
                }
            }
        }
        true
    }
}

/// Whether one lies on the way to the other. Keys are compared as the configuration does.
fn concerns(subscribed: &[String], changed: &[String]) -> bool {
    subscribed.iter().zip(changed).all(|(a, b)| a.to_lowercase() == b.to_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(keys: &[&str]) -> Vec<String> {
        keys.iter().map(|key| (*key).to_owned()).collect()
    }

    fn seen(events: &mut mpsc::Receiver<Event>) -> Vec<String> {
        let mut seen = Vec::new();
        while let Ok(event) = events.try_recv() {
            let event = serde_json::to_value(event).expect("JSON");
            seen.push(event["configurationUpdateEvent"]["keyPath"].to_string());
        }
        seen
    }

    #[test]
    fn each_learns_of_what_concerns_it() {
        let updates = ConfigurationUpdates::default();
        let mut all = updates.subscribe("a", "a", path(&[])).expect("room");
        let mut map = updates.subscribe("a", "a", path(&["Limits"])).expect("room");
        let mut deep = updates.subscribe("b", "a", path(&["limits", "high"])).expect("room");
        let mut other = updates.subscribe("a", "b", path(&[])).expect("room");
        let changes = [path(&["limits", "high"]), path(&["names"])];
        updates.changed("a", &changes, |_| true);
        assert_eq!(seen(&mut all), [r#"["limits","high"]"#, r#"["names"]"#]);
        assert_eq!(seen(&mut map), [r#"["limits","high"]"#]);
        assert_eq!(seen(&mut deep), [r#"["limits","high"]"#]);
        assert!(seen(&mut other).is_empty());
        // A value took the place of the map.
        updates.changed("a", &[path(&["limits"])], |_| true);
        assert_eq!(seen(&mut map), [r#"["limits"]"#]);
        assert_eq!(seen(&mut deep), [r#"["limits"]"#]);
        // What is not its business any more ends.
        updates.changed("a", &changes, |who| who == "a");
        assert_eq!(seen(&mut map).len(), 1);
        assert!(seen(&mut deep).is_empty() && deep.is_closed());
    }

    #[test]
    fn who_reads_nothing_is_cut_off() {
        let updates = ConfigurationUpdates::default();
        let events = updates.subscribe("a", "a", path(&[])).expect("room");
        for _ in 0..=UNREAD {
            updates.changed("a", &[path(&["k"])], |_| true);
        }
        assert_eq!(events.len(), UNREAD);
        assert!(events.is_closed());
    }
}

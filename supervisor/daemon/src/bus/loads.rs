//! What components use, asked of the control for all at once.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::Instant;

use super::{Control, Load};

/// For so long an answer is good: who reads all objects reads these properties one by one.
const FRESH: Duration = hedgerow_api::LOAD_AGE;

#[derive(Debug, Default)]
pub struct Loads(Mutex<Option<Known>>);

#[derive(Debug)]
struct Known {
    asked: Instant,
    loads: BTreeMap<String, Load>,
}

impl Loads {
    /// Who asks meanwhile waits for the same answer.
    pub async fn of<C: Control>(&self, control: &C, component: &str) -> Load {
        let mut known = self.0.lock().await;
        let fresh = known.take_if(|known| known.asked.elapsed() < FRESH);
        let now = match fresh {
            Some(fresh) => fresh,
            None => Known { loads: control.loads().await, asked: Instant::now() },
        };
        known.insert(now).loads.get(component).copied().unwrap_or_default()
    }
}

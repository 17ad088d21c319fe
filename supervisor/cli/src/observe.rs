//! `hedgerow observe`: what the fence of a component denies it.

use std::time::Duration;

use crate::failure::Failure;
use crate::grants::Observation;
use crate::job;
use crate::output::Output;
use crate::session::Session;

pub async fn run(
    session: &Session,
    output: &Output,
    name: &str,
    period: Duration,
) -> Result<(), Failure> {
    let component = session.component(name).await?;
    let seconds = u32::try_from(period.as_secs()).unwrap_or(u32::MAX);
    eprintln!(
        "{name} is restarted now, observed for {}, and restarted as usual after that",
        humantime::format_duration(Duration::from_secs(seconds.into()))
    );
    let path = component.observe(seconds).await?;
    job::succeed(session, &path).await?;
    match Observation::of(&component).await? {
        Some(observation) => output.print(&observation, |found| found.people(name)),
        None => Err(Failure::Gone),
    }
}

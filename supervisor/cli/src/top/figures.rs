//! From one look at the bus after another to what is shown.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use hedgerow_api::{ComponentProperties, FUNCTION_PACE, FunctionProperties, Objects};
use serde::Serialize;

use crate::clock::Clock;
use crate::histogram::{Histogram, real};

/// What durations, and what went wrong lately, are told of.
const LATELY: Duration = Duration::from_secs(60);

/// What was on the bus.
#[derive(Debug, Clone)]
pub struct Look {
    pub clock: Clock,
    pub objects: Objects,
}

/// The looks of the last minute, as far as they are needed again.
#[derive(Debug, Default)]
pub struct History(VecDeque<Counted>);

#[derive(Debug)]
struct Counted {
    /// Since the boot.
    at: Duration,
    /// Microseconds of CPU, by component.
    cpu: BTreeMap<String, u64>,
    functions: BTreeMap<String, Counts>,
}

#[derive(Debug)]
struct Counts {
    /// Since the boot, as of which the counts are.
    at: Duration,
    invocations: u64,
    errors: u64,
    throttles: u64,
    durations: Histogram,
}

#[derive(Debug, Clone, Default, Serialize)]
pub struct Figures {
    pub components: Vec<ComponentFigures>,
    pub functions: Vec<FunctionFigures>,
}

#[derive(Debug, Clone, Serialize)]
pub struct ComponentFigures {
    #[serde(flatten)]
    pub properties: ComponentProperties,
    /// Percent of one CPU since the last look; `None` where nothing of it runs.
    pub cpu_percent: Option<f64>,
    /// The same of each look of the last minute.
    #[serde(skip)]
    pub lately: Vec<f64>,
    /// Seconds in its state.
    pub since: Option<i64>,
    /// Until it is tried again.
    #[serde(skip)]
    pub retry: Option<String>,
}

#[derive(Debug, Clone, Serialize)]
pub struct FunctionFigures {
    #[serde(flatten)]
    pub properties: FunctionProperties,
    /// Invocations per second since the last look.
    pub rate: Option<f64>,
    #[serde(skip)]
    pub lately: Vec<f64>,
    /// Of the invocations of the last minute; of all where there were none.
    #[serde(skip)]
    pub p50: Option<Duration>,
    #[serde(skip)]
    pub p99: Option<Duration>,
    /// Whether some of the last minute failed, or were throttled.
    #[serde(skip)]
    pub has_erred: bool,
    #[serde(skip)]
    pub was_throttled: bool,
    /// Seconds for which the oldest event waits.
    pub oldest: Option<i64>,
    #[serde(skip)]
    pub retry: Option<String>,
    /// Bytes and percent of one CPU of all its instances.
    pub memory: u64,
    pub cpu_percent: Option<f64>,
}

impl History {
    pub fn add(&mut self, look: Look) -> Figures {
        let Look { clock, objects } = look;
        let is_old = |counted: &Counted| clock.boottime.saturating_sub(counted.at) > LATELY;
        while self.0.front().is_some_and(is_old) {
            self.0.pop_front();
        }
        self.0.push_back(Counted::of(&clock, &objects));
        let components: Vec<_> =
            objects.components.into_iter().map(|one| self.component(one, &clock)).collect();
        let function = |one: FunctionProperties| {
            let whole = components.iter().find(|component| component.properties.name == one.name);
            self.function(one, whole, &clock)
        };
        Figures { functions: objects.functions.into_iter().map(function).collect(), components }
    }

    fn component(&self, properties: ComponentProperties, clock: &Clock) -> ComponentFigures {
        let cpu = |counted: &Counted| Some((counted.at, *counted.cpu.get(&properties.name)?));
        let lately = self.rates(cpu).map(|micros| micros.map(|micros| micros / 10_000.0));
        let lately: Vec<_> = lately.collect();
        ComponentFigures {
            cpu_percent: lately.last().copied().flatten().filter(|_| properties.tasks > 0),
            lately: lately.into_iter().flatten().collect(),
            since: clock.since(&properties.state_changed).map(|seconds| seconds.max(0)),
            retry: clock.until(&properties.next_retry),
            properties,
        }
    }

    fn function(
        &self,
        properties: FunctionProperties,
        component: Option<&ComponentFigures>,
        clock: &Clock,
    ) -> FunctionFigures {
        let name = &properties.name;
        let invocations = |counted: &Counted| {
            let counts = counted.functions.get(name)?;
            Some((counts.at, counts.invocations))
        };
        let lately: Vec<_> = self.rates(invocations).collect();
        let mut known = self.0.iter().filter_map(|counted| counted.functions.get(name));
        let before = known.next();
        let all = Histogram::of(&properties);
        let lately_took = before.map(|before| all.since(&before.durations));
        let durations = lately_took.filter(|durations| durations.count() > 0).unwrap_or(all);
        FunctionFigures {
            rate: lately.last().copied().flatten(),
            lately: lately.into_iter().flatten().collect(),
            p50: durations.quantile(0.5),
            p99: durations.quantile(0.99),
            has_erred: before.is_some_and(|before| properties.errors > before.errors),
            was_throttled: before.is_some_and(|before| properties.throttles > before.throttles),
            oldest: (properties.queue_depth > 0)
                .then(|| clock.since(&properties.queue_oldest))
                .flatten()
                .map(|seconds| seconds.max(0)),
            retry: clock.until(&properties.next_retry),
            memory: component.map_or(0, |component| component.properties.memory),
            cpu_percent: component.and_then(|component| component.cpu_percent),
            properties,
        }
    }

    /// Per second, between each look and the one before. `None` where there is none, and where the count fell: another
    /// daemon or another fence counts.
    fn rates(
        &self,
        count: impl Fn(&Counted) -> Option<(Duration, u64)>,
    ) -> impl Iterator<Item = Option<f64>> {
        self.0.iter().zip(self.0.iter().skip(1)).map(move |(before, now)| {
            let ((since, before), (at, now)) = (count(before)?, count(now)?);
            let more = now.checked_sub(before)?;
            let seconds = at.saturating_sub(since).as_secs_f64();
            (seconds > 0.0).then(|| real(more) / seconds)
        })
    }
}

impl Counted {
    fn of(clock: &Clock, objects: &Objects) -> Self {
        let at = clock.boottime;
        // What has not been told for longer has not changed since.
        let earliest = at.saturating_sub(FUNCTION_PACE);
        let cpu = |one: &ComponentProperties| (one.name.clone(), one.cpu_time);
        let counts = |one: &FunctionProperties| {
            let counts = Counts {
                at: Duration::from_nanos(one.counted.boottime).max(earliest),
                invocations: one.invocations,
                errors: one.errors,
                throttles: one.throttles,
                durations: Histogram::of(one),
            };
            (one.name.clone(), counts)
        };
        Self {
            at,
            cpu: objects.components.iter().map(cpu).collect(),
            functions: objects.functions.iter().map(counts).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use hedgerow_api::ComponentState;

    use super::super::fixture::{component, function, look};
    use super::*;

    fn objects(cpu_time: u64, invocations: u64, durations: Vec<(u64, u64)>) -> Objects {
        let component = component("f", ComponentState::Running);
        // They lie evenly between half of each bound and the bound.
        let duration_sum = durations.iter().map(|(bound, count)| bound * 3 / 4 * count).sum();
        let counted = FunctionProperties { invocations, durations, duration_sum, ..function("f") };
        Objects {
            components: vec![ComponentProperties { cpu_time, ..component }],
            functions: vec![counted],
            deployments: vec![],
        }
    }

    #[test]
    fn rates_are_of_the_time_between_two_looks() {
        let mut history = History::default();
        let first = history.add(look(0, objects(1_000_000, 10, vec![])));
        assert_eq!((first.components[0].cpu_percent, first.functions[0].rate), (None, None));
        let second = history.add(look(2, objects(2_000_000, 30, vec![])));
        assert_eq!(second.components[0].cpu_percent, Some(50.0));
        assert_eq!(second.functions[0].rate, Some(10.0));
        assert_eq!(second.functions[0].cpu_percent, Some(50.0));
        let other_daemon = history.add(look(4, objects(0, 0, vec![])));
        assert_eq!(other_daemon.functions[0].rate, None);
        let third = history.add(look(6, objects(0, 1, vec![])));
        assert_eq!(third.functions[0].rate, Some(0.5));
        assert_eq!(third.functions[0].lately, [10.0, 0.5]);
    }

    #[test]
    fn what_is_told_late_is_of_the_time_when_it_was_counted() {
        let mut history = History::default();
        history.add(look(0, objects(0, 0, vec![])));
        let mut late = look(2, objects(0, 30, vec![]));
        late.objects.functions[0].counted.boottime -= 500_000_000;
        assert_eq!(history.add(late).functions[0].rate, Some(20.0));
        let on_time = look(4, objects(0, 80, vec![]));
        assert_eq!(history.add(on_time).functions[0].rate, Some(20.0));
        let mut idle = look(14, objects(0, 80, vec![]));
        idle.objects.functions[0].counted.boottime -= 10_000_000_000;
        assert_eq!(history.add(idle).functions[0].rate, Some(0.0));
        let busy = look(16, objects(0, 140, vec![]));
        assert_eq!(history.add(busy).functions[0].rate, Some(20.0), "not of the idle time as well");
    }

    #[test]
    fn durations_are_of_the_last_minute_and_else_of_all() {
        let mut history = History::default();
        let slow = vec![(1_000_000, 100)];
        let fast = vec![(1_000, 10), (1_000_000, 100)];
        let p50 = |figures: Figures| figures.functions[0].p50.unwrap().as_millis();
        assert_eq!(p50(history.add(look(0, objects(0, 0, slow)))), 750);
        assert_eq!(p50(history.add(look(30, objects(0, 0, fast.clone())))), 0);
        assert_eq!(p50(history.add(look(60, objects(0, 0, fast.clone())))), 0);
        assert_eq!(p50(history.add(look(100, objects(0, 0, fast)))), 725);
    }
}

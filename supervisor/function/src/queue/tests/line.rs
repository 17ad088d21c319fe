//! Any story at all of one line.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use proptest::prelude::*;

use crate::queue::age::Note;
use crate::queue::dead_letter::Condition;
use crate::queue::line::{Line, Next};
use crate::queue::policy::{Outcome, Verdict, judge, pause};
use crate::tests::spec;
use crate::{FunctionError, FunctionSpec, InvokeError, QueuePolicy, RequestId};

fn failed() -> Outcome {
    let error_type = "E".to_owned();
    let error = FunctionError { error_type, body: "{}".into() };
    Outcome::Failed { error, executed_version: "1".into() }
}

fn throttled() -> Outcome {
    Outcome::Refused(InvokeError::TooManyRequests("no".into()))
}

fn note(now: i64) -> Note {
    let request_id = RequestId::generate().unwrap();
    Note { request_id, boot: "b".into(), born: now, tries: 0, due: now }
}

#[derive(Debug, Clone)]
enum Act {
    Arrive(usize),
    End(usize, u8),
    Wait(u32),
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        (0usize..1_500_000).prop_map(Act::Arrive),
        (any::<usize>(), 0u8..4).prop_map(|(which, how)| Act::End(which, how)),
        (0u32..400_000).prop_map(Act::Wait),
    ]
}

proptest! {
    #[test]
    fn no_event_is_lost_run_twice_at_once_or_tried_too_often(
        acts in prop::collection::vec(act(), 1..120),
        instances in 1u32..4,
        retries in 0u32..4,
    ) {
        let max_age = Duration::from_secs(600);
        let queue = QueuePolicy { length: 10, max_age, retries, ..spec("f", "echo").queue };
        let spec = FunctionSpec { max_instances: instances, queue, ..spec("f", "echo") };
        let mut line = Line::default();
        let (mut now, mut arrived) = (0i64, 0u64);
        let (mut waiting, mut running) = (BTreeSet::new(), BTreeMap::<u64, usize>::new());
        let mut born = BTreeMap::new();
        let mut failures = BTreeMap::<u64, u32>::new();
        for act in acts {
            match act {
                Act::Arrive(size) => {
                    let is_there_room = waiting.len() + running.len() < 10;
                    prop_assert_eq!(line.reserve(10), is_there_room);
                    if is_there_room {
                        line.release();
                        line.insert(arrived, note(now), size, None);
                        born.insert(arrived, now);
                        waiting.insert(arrived);
                        arrived += 1;
                    }
                }
                Act::End(which, how) => {
                    let Some(number) = running.keys().nth(which % running.len().max(1)).copied() else { continue };
                    running.remove(&number);
                    let outcome = match how {
                        0 => Outcome::Answered,
                        1 | 2 => failed(),
                        _ => throttled(),
                    };
                    let count = failures.entry(number).or_default();
                    *count += u32::from(matches!(outcome, Outcome::Failed { .. }));
                    match line.settle(number, &outcome, now, &spec.queue).unwrap() {
                        Verdict::Complete => drop(line.gone(number)),
                        Verdict::GiveUp(condition) => {
                            prop_assert_eq!(condition, Condition::RetriesExhausted);
                            prop_assert_eq!(*count, retries + 1);
                            line.gone(number);
                        }
                        Verdict::Retry(_) | Verdict::Pause => {
                            prop_assert!(*count <= retries);
                            waiting.insert(number);
                        }
                    }
                }
                Act::Wait(milliseconds) => now += i64::from(milliseconds),
            }
            while let Some(next) = line.next(now, &spec) {
                match next {
                    Next::Deliver { number, size, .. } => {
                        prop_assert!(waiting.remove(&number));
                        prop_assert!(running.is_empty() || running.values().sum::<usize>() + size <= 2 << 20);
                        running.insert(number, size);
                        prop_assert!(running.len() <= instances as usize);
                    }
                    Next::Expire { number } => {
                        prop_assert!(waiting.remove(&number));
                        prop_assert!(now - born[&number] >= 600_000);
                        line.gone(number);
                    }
                }
            }
            // What nothing runs for is at rest only until a moment that is known.
            let alarm = line.alarm(now, &spec.queue);
            prop_assert!(alarm.is_none_or(|at| at > now));
            prop_assert!(waiting.is_empty() || alarm.is_some());
        }
        // In the end each is answered or given up.
        while !waiting.is_empty() || !running.is_empty() {
            for number in std::mem::take(&mut running).into_keys() {
                line.settle(number, &Outcome::Answered, now, &spec.queue).unwrap();
                line.gone(number);
            }
            while let Some(next) = line.next(now, &spec) {
                match next {
                    Next::Deliver { number, size, .. } => {
                        waiting.remove(&number);
                        running.insert(number, size);
                    }
                    Next::Expire { number } => {
                        waiting.remove(&number);
                        line.gone(number);
                    }
                }
            }
            now = line.alarm(now, &spec.queue).unwrap_or(now);
        }
        prop_assert!(line.is_empty());
    }

    #[test]
    fn pauses_grow_to_five_minutes(refusals in 1u32..) {
        let now = pause(refusals);
        let next = pause(refusals.saturating_add(1));
        prop_assert!(now >= Duration::from_secs(1) && next >= now && next <= Duration::from_secs(300));
    }
}

#[test]
fn lambdas_table_of_retries() {
    let policy = spec("f", "echo").queue;
    let minutes = |minutes: u64| Verdict::Retry(Duration::from_secs(minutes * 60));
    let refused = |error| Outcome::Refused(error);
    let table = [
        (Outcome::Answered, 1, Verdict::Complete),
        (Outcome::Missing, 1, Verdict::Complete),
        (failed(), 1, minutes(1)),
        (failed(), 2, minutes(2)),
        (failed(), 3, Verdict::GiveUp(Condition::RetriesExhausted)),
        (throttled(), 9, Verdict::Pause),
        (refused(InvokeError::Service("no".into())), 9, Verdict::Pause),
        (refused(InvokeError::ResourceConflict("no".into())), 9, Verdict::Pause),
        (
            refused(InvokeError::InvalidRequestContent("no".into())),
            1,
            Verdict::GiveUp(Condition::Undeliverable),
        ),
        (refused(InvokeError::ResourceNotFound("no".into())), 2, minutes(2)),
        (
            refused(InvokeError::ResourceNotFound("no".into())),
            3,
            Verdict::GiveUp(Condition::Undeliverable),
        ),
        (Outcome::Unreadable, 1, Verdict::GiveUp(Condition::Undeliverable)),
    ];
    for (outcome, tries, verdict) in table {
        assert_eq!(judge(&outcome, tries, &policy), verdict, "{outcome:?}, try {tries}");
    }
}

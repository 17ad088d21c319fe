//! Properties of every history.

use proptest::prelude::*;

use super::*;

fn any_news() -> impl Strategy<Value = StepNews> {
    proptest::sample::select(vec![
        StepNews::Started,
        StepNews::StartFailed(Blame::Component),
        StepNews::StartFailed(Blame::Launcher),
        StepNews::Skipped,
        StepNews::Exited { success: true },
        StepNews::Exited { success: false },
        StepNews::TimedOut,
    ])
}

fn any_steps() -> impl Strategy<Value = Steps> {
    any::<[bool; 6]>().prop_map(|[install, startup, run, shutdown, recover, uninstall]| Steps {
        install,
        startup,
        run,
        shutdown,
        recover,
        uninstall,
    })
}

fn any_step() -> impl Strategy<Value = StepKind> {
    proptest::sample::select(StepKind::ALL.to_vec())
}

fn any_event() -> impl Strategy<Value = Event> {
    prop_oneof![
        proptest::sample::select(vec![
            Event::Goal(Goal::Run),
            Event::Goal(Goal::Stop),
            Event::Restart,
            Event::Opened,
            Event::OpenFailed(Blame::Component),
            Event::Emptied,
            Event::Ended(Blame::Component),
            Event::Ended(Blame::Launcher),
            Event::OpenFailed(Blame::Launcher),
            Event::Reset,
            Event::Kill,
            Event::Closed,
            Event::GraceOver,
            Event::BackoffOver,
        ]),
        (any_steps(), any::<bool>())
            .prop_map(|(steps, installed)| Event::Replaced { steps, installed }),
        any::<bool>().prop_map(|ready| Event::Dependencies { ready }),
        any::<bool>().prop_map(|healthy| Event::Reported { healthy }),
        (any_step(), any_news()).prop_map(|(step, news)| Event::Step(step, news)),
        any_steps().prop_map(|steps| Event::Adjusted { steps }),
    ]
}

proptest! {
    /// Whatever happens, a step starts only in an open fence, and removal is always reached once the world
    /// answers what it is asked.
    #[test]
    fn any_history_can_be_removed(events in proptest::collection::vec(any_event(), 0..60)) {
        let mut machine = Machine::new(Goal::Run, ALL, false);
        for (now, event) in events.into_iter().enumerate() {
            // The launcher reports only on fences that there are.
            let about_fence = matches!(event, Event::Opened | Event::Ended(_) | Event::Closed | Event::Emptied);
            if about_fence && !machine.fence {
                continue;
            }
            for action in machine.step(event, &at(now as u64)) {
                if matches!(action, Action::Start(_) | Action::Terminate | Action::Close | Action::Open) {
                    prop_assert!(machine.fence);
                }
            }
        }
        machine.step(Event::Goal(Goal::Remove), &at(100));
        // Whatever it does last, its `uninstall` comes after it.
        for _ in 0..2 {
            for event in [
                exited(StepKind::Shutdown, true),
                Event::GraceOver,
                Event::Closed,
                Event::Opened,
                exited(StepKind::Uninstall, false),
                Event::GraceOver,
                Event::Closed,
            ] {
                machine.step(event, &at(100));
            }
        }
        prop_assert_eq!(machine.state, State::Removed);
    }

    /// A world in which every step fails at once, or the launcher dies each time: what is tried again is tried at most
    /// so often that the waits between grow to the longest one.
    #[test]
    fn no_world_makes_it_spin(
        steps in any_steps(),
        fates in proptest::collection::vec(0..5_u8, 400),
        awaited in any::<bool>(),
    ) {
        let steps = Steps { run: true, ..steps };
        let mut machine = Machine::new(Goal::Run, steps, false);
        let (mut now, mut opened) = (0, Vec::new());
        let mut actions = machine.step(READY, &at(now));
        actions.extend(machine.step(Event::Goal(Goal::Run), &at(now)));
        for fate in fates {
            let Some(event) = answer(&machine, fate) else {
                // It waits: let that time pass.
                let waits = actions.iter().rev().find_map(|action| match action {
                    Action::Arm(Timer::Backoff, wait) => *wait,
                    _ => None,
                });
                let Some(wait) = waits else { break };
                now += u64::try_from(wait.as_millis()).expect("short");
                actions = machine.step(Event::BackoffOver, &at(now));
                opened.extend(actions.contains(&Action::Open).then_some(now));
                continue;
            };
            let conditions = Conditions { awaited, ..at(now) };
            let answered = machine.step(event, &conditions);
            opened.extend(answered.contains(&Action::Open).then_some(now));
            actions.extend(answered);
        }
        // Ten waits of faults and ten of losses come before the longest.
        for window in opened.windows(24) {
            prop_assert!(window[23] - window[0] >= 600_000, "{opened:?}");
        }
    }
}

/// What a world in which nothing works says to a machine; nothing where it waits for time to pass.
fn answer(machine: &Machine, fate: u8) -> Option<Event> {
    let by = if fate == 0 { Blame::Launcher } else { Blame::Component };
    let event = match machine.state {
        State::Opening(_) if fate < 2 => Event::OpenFailed(by),
        State::Opening(_) => Event::Opened,
        State::Closing(_) => Event::Closed,
        State::Terminating(_) => Event::GraceOver,
        State::Errored(_) | State::Broken | State::Finished | State::Removed => return None,
        State::Launching if fate == 4 => STARTED,
        state => match state.step(machine.main) {
            Some(step) if fate == 3 => Event::Step(step, StepNews::StartFailed(by)),
            Some(step) => exited(step, false),
            None => Event::Ended(by),
        },
    };
    Some(event)
}

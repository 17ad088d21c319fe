use proptest::prelude::*;

use super::*;

const RUN_ONLY: Steps = Steps { install: false, startup: false, run: true, shutdown: false };
const ALL: Steps = Steps { install: true, startup: false, run: true, shutdown: true };

/// Drives a machine through events, and returns the published states it passed.
fn drive(machine: &mut Machine, events: &[Event]) -> Vec<Published> {
    let mut seen = vec![machine.state.published()];
    for event in events {
        machine.step(*event, 0);
        if seen.last() != Some(&machine.state.published()) {
            seen.push(machine.state.published());
        }
    }
    seen
}

fn exited(step: StepKind, success: bool) -> Event {
    Event::Exited { step, success }
}

const READY: Event = Event::Dependencies { ready: true };

fn running(steps: Steps) -> Machine {
    let mut machine = Machine::new(Goal::Run, steps, true);
    drive(
        &mut machine,
        &[READY, Event::Goal(Goal::Run), Event::Opened, Event::Started(StepKind::Run)],
    );
    assert_eq!(machine.state, State::Running);
    machine
}

#[test]
fn a_component_installs_runs_and_finishes() {
    let mut machine = Machine::new(Goal::Run, ALL, false);
    let seen = drive(
        &mut machine,
        &[
            READY,
            Event::Goal(Goal::Run),
            Event::Opened,
            exited(StepKind::Install, true),
            Event::Started(StepKind::Run),
            exited(StepKind::Run, true),
            exited(StepKind::Shutdown, true),
            Event::Emptied,
            Event::Closed,
        ],
    );
    use Published::{Finished, New, Running, Starting, Stopping};
    assert_eq!(seen, [New, Starting, Running, Stopping, Finished]);
}

#[test]
fn it_waits_in_installed_for_its_dependencies_and_restarts_when_they_fail() {
    let mut machine = Machine::new(Goal::Run, RUN_ONLY, false);
    assert_eq!(machine.step(Event::Goal(Goal::Run), 0), []);
    assert_eq!(machine.state, State::Installed);
    assert_eq!(machine.step(READY, 0), [Action::Open]);
    drive(&mut machine, &[Event::Opened, Event::Started(StepKind::Run)]);
    let seen = drive(
        &mut machine,
        &[
            Event::Dependencies { ready: false },
            exited(StepKind::Run, false),
            Event::Emptied,
            Event::Closed,
        ],
    );
    assert_eq!(seen, [Published::Running, Published::Stopping, Published::Installed]);
}

#[test]
fn the_third_fault_within_the_window_is_broken_and_the_waits_double() {
    let mut machine = running(RUN_ONLY);
    let mut waits = vec![];
    for now in [0, 10, 20] {
        machine.step(exited(StepKind::Run, false), now);
        assert_eq!(machine.state.published(), Published::Errored);
        machine.step(Event::Emptied, now);
        for action in machine.step(Event::Closed, now) {
            if let Action::Arm(Timer::Backoff, Some(wait)) = action {
                waits.push(wait.as_secs());
            }
        }
        drive(
            &mut machine,
            &[Event::TimedOut(Timer::Backoff), Event::Opened, Event::Started(StepKind::Run)],
        );
    }
    assert_eq!(waits, [1, 2]);
    assert_eq!(machine.state, State::Broken);
    machine.step(Event::Restart, 30);
    assert_eq!(machine.state, State::Opening(Purpose::Start));
}

#[test]
fn faults_far_apart_never_break_a_component() {
    let mut failures = Failures::default();
    let hour = 3_600_000;
    for n in 0..10 {
        assert_eq!(failures.record(Source::Running, n * hour), Some(failures::FIRST_BACKOFF));
    }
}

#[test]
fn install_is_not_repeated_after_a_fault_of_run() {
    let mut machine = Machine::new(Goal::Run, ALL, false);
    drive(
        &mut machine,
        &[READY, Event::Goal(Goal::Run), Event::Opened, exited(StepKind::Install, true)],
    );
    drive(
        &mut machine,
        &[
            Event::Started(StepKind::Run),
            exited(StepKind::Run, false),
            exited(StepKind::Shutdown, true),
            Event::Emptied,
            Event::Closed,
            Event::TimedOut(Timer::Backoff),
        ],
    );
    assert_eq!(machine.step(Event::Opened, 0)[0], Action::Start(StepKind::Run));
}

#[test]
fn a_component_that_ignores_sigterm_is_killed_after_the_grace() {
    let mut machine = running(RUN_ONLY);
    let actions = machine.step(Event::Goal(Goal::Stop), 0);
    assert_eq!(actions, [Action::Terminate, Action::Arm(Timer::Grace, Some(GRACE))]);
    assert_eq!(machine.step(Event::TimedOut(Timer::Grace), 0), [Action::Disarm, Action::Close]);
    machine.step(Event::Closed, 0);
    assert_eq!(machine.state, State::Finished);
}

#[test]
fn a_component_reports_itself() {
    let startup = Steps { startup: true, ..Steps::default() };
    let mut machine = Machine::new(Goal::Run, startup, false);
    drive(&mut machine, &[READY, Event::Goal(Goal::Run), Event::Opened]);
    machine.step(Event::Started(StepKind::Startup), 0);
    machine.step(Event::Reported { healthy: true }, 0);
    assert_eq!(machine.state, State::Running);
    machine.step(Event::Reported { healthy: false }, 0);
    assert_eq!(machine.state.published(), Published::Errored);
}

#[test]
fn a_finished_dependency_is_ready_and_a_failed_one_is_not() {
    let mut machine = running(RUN_ONLY);
    machine.step(exited(StepKind::Run, true), 0);
    assert!(machine.state.is_ready());
    let mut machine = running(RUN_ONLY);
    machine.step(exited(StepKind::Run, false), 0);
    assert!(!machine.state.is_ready());
}

#[test]
fn stopped_after_it_broke_it_has_all_its_tries_again() {
    let mut machine = running(RUN_ONLY);
    for now in 0..3 {
        let fault = [exited(StepKind::Run, false), Event::Emptied, Event::Closed];
        fault.into_iter().for_each(|event| drop(machine.step(event, now)));
        let retry = [Event::TimedOut(Timer::Backoff), Event::Opened, Event::Started(StepKind::Run)];
        drive(&mut machine, &retry);
    }
    assert_eq!(machine.state, State::Broken);
    let again = [Event::Goal(Goal::Stop), Event::Goal(Goal::Run), Event::OpenFailed, Event::Closed];
    drive(&mut machine, &again);
    assert_eq!(machine.state, State::Errored(Source::Starting));
}

#[test]
fn late_news_of_an_empty_fence_does_not_cut_the_grace_short() {
    let mut machine = running(RUN_ONLY);
    machine.step(Event::Goal(Goal::Stop), 0);
    assert_eq!(machine.step(Event::Emptied, 0), []);
    machine.step(exited(StepKind::Run, false), 0);
    assert_eq!(machine.step(Event::Emptied, 0), [Action::Disarm, Action::Close]);
}

#[test]
fn a_restart_leaves_a_fence_that_waits_for_dependencies() {
    let mut machine = Machine::new(Goal::Run, ALL, false);
    let install = [Event::Goal(Goal::Run), Event::Opened, exited(StepKind::Install, true)];
    drive(&mut machine, &install);
    assert_eq!((machine.state, machine.fence), (State::Installed, true));
    assert_eq!(machine.step(Event::Restart, 0), [Action::Disarm, Action::Close]);
    machine.step(Event::Closed, 0);
    assert_eq!((machine.state, machine.fence), (State::Installed, false));
}

#[test]
fn a_restart_with_nothing_to_run_is_seen() {
    let mut machine = Machine::new(Goal::Run, Steps::default(), false);
    drive(&mut machine, &[READY, Event::Goal(Goal::Run)]);
    assert_eq!((machine.state, machine.begun), (State::Finished, 0));
    machine.step(Event::Restart, 0);
    assert_eq!((machine.state, machine.begun), (State::Finished, 1));
}

#[test]
fn a_machine_survives_its_note() {
    let machine = running(ALL);
    let text = serde_json::to_string(&machine).expect("plain data");
    assert_eq!(serde_json::from_str::<Machine>(&text).expect("same version"), machine);
}

fn any_step() -> impl Strategy<Value = StepKind> {
    proptest::sample::select(StepKind::ALL.to_vec())
}

fn any_event() -> impl Strategy<Value = Event> {
    let steps = (any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>())
        .prop_map(|(install, startup, run, shutdown)| Steps { install, startup, run, shutdown });
    prop_oneof![
        proptest::sample::select(vec![
            Event::Goal(Goal::Run),
            Event::Goal(Goal::Stop),
            Event::Restart,
            Event::Opened,
            Event::OpenFailed,
            Event::Emptied,
            Event::Ended,
            Event::Closed,
            Event::TimedOut(Timer::Grace),
            Event::TimedOut(Timer::Backoff),
        ]),
        (steps, any::<bool>()).prop_map(|(steps, installed)| Event::Replaced { steps, installed }),
        any::<bool>().prop_map(|ready| Event::Dependencies { ready }),
        any::<bool>().prop_map(|healthy| Event::Reported { healthy }),
        any_step().prop_map(Event::Started),
        any_step().prop_map(Event::StartFailed),
        any_step().prop_map(|step| Event::TimedOut(Timer::Step(step))),
        (any_step(), any::<bool>()).prop_map(|(step, success)| Event::Exited { step, success }),
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
            let about_fence = matches!(event, Event::Opened | Event::Ended | Event::Closed | Event::Emptied);
            if about_fence && !machine.fence {
                continue;
            }
            for action in machine.step(event, now as u64) {
                if matches!(action, Action::Start(_) | Action::Terminate | Action::Close | Action::Open) {
                    prop_assert!(machine.fence);
                }
            }
        }
        machine.step(Event::Goal(Goal::Remove), 100);
        for event in [
            exited(StepKind::Shutdown, true),
            Event::TimedOut(Timer::Grace),
            Event::Closed,
        ] {
            machine.step(event, 100);
        }
        prop_assert_eq!(machine.state, State::Removed);
    }
}

#[test]
fn what_was_wanted_already_is_no_news() {
    let again = Event::Goal(Goal::Run);
    let mut finished = running(RUN_ONLY);
    drive(&mut finished, &[exited(StepKind::Run, true), Event::Emptied, Event::Closed]);
    assert_eq!(finished.step(again, 0), []);
    assert_eq!(finished.state, State::Finished);

    let mut failing = running(RUN_ONLY);
    for event in [exited(StepKind::Run, false), again, Event::Emptied, again, Event::Closed, again]
    {
        failing.step(event, 0);
    }
    assert_eq!(failing.state, State::Errored(Source::Running), "the fault counts all the same");
}

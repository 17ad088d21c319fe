mod histories;
mod restarting;
mod steps;

use hedgerow_api::ComponentState;

use super::*;

const NONE: Steps = Steps {
    install: false,
    startup: false,
    run: false,
    shutdown: false,
    recover: false,
    uninstall: false,
};
const RUN_ONLY: Steps = Steps { run: true, ..NONE };
const ALL: Steps = Steps { install: true, run: true, shutdown: true, ..NONE };

const POLICY: RestartPolicy = RestartPolicy {
    limit: 3,
    window: Duration::from_secs(3600),
    initial_backoff: Duration::from_secs(1),
    max_backoff: Duration::from_secs(600),
    greengrass: false,
};

fn at(now: u64) -> Conditions<'static> {
    Conditions { now, policy: &POLICY, awaited: false }
}

fn awaited(now: u64) -> Conditions<'static> {
    Conditions { awaited: true, ..at(now) }
}

/// Drives a machine through events, and returns the published states it passed.
fn drive(machine: &mut Machine, events: &[Event]) -> Vec<ComponentState> {
    let mut seen = vec![machine.state.published()];
    for event in events {
        machine.step(*event, &at(0));
        if seen.last() != Some(&machine.state.published()) {
            seen.push(machine.state.published());
        }
    }
    seen
}

fn exited(step: StepKind, success: bool) -> Event {
    Event::Step(step, StepNews::Exited { success })
}

const STARTED: Event = Event::Step(StepKind::Run, StepNews::Started);
const LOST: Event = Event::Ended(Blame::Launcher);
const READY: Event = Event::Dependencies { ready: true };

fn running(steps: Steps) -> Machine {
    let mut machine = Machine::new(Goal::Run, steps, true);
    drive(&mut machine, &[READY, Event::Goal(Goal::Run), Event::Opened, STARTED]);
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
            STARTED,
            exited(StepKind::Run, true),
            exited(StepKind::Shutdown, true),
            Event::Emptied,
            Event::Closed,
        ],
    );
    use ComponentState::{Finished, New, Running, Starting, Stopping};
    assert_eq!(seen, [New, Starting, Running, Stopping, Finished]);
}

#[test]
fn it_waits_in_installed_for_its_dependencies_and_restarts_when_they_fail() {
    let mut machine = Machine::new(Goal::Run, RUN_ONLY, false);
    assert_eq!(machine.step(Event::Goal(Goal::Run), &at(0)), []);
    assert_eq!(machine.state, State::Installed);
    assert_eq!(machine.step(READY, &at(0)), [Action::Open]);
    drive(&mut machine, &[Event::Opened, STARTED]);
    let seen = drive(
        &mut machine,
        &[
            Event::Dependencies { ready: false },
            exited(StepKind::Run, false),
            Event::Emptied,
            Event::Closed,
        ],
    );
    assert_eq!(
        seen,
        [ComponentState::Running, ComponentState::Stopping, ComponentState::Installed]
    );
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
            STARTED,
            exited(StepKind::Run, false),
            exited(StepKind::Shutdown, true),
            Event::Emptied,
            Event::Closed,
            Event::BackoffOver,
        ],
    );
    assert_eq!(machine.step(Event::Opened, &at(0))[0], Action::Start(StepKind::Run));
}

#[test]
fn a_component_that_ignores_sigterm_is_killed_after_the_grace() {
    let mut machine = running(RUN_ONLY);
    let actions = machine.step(Event::Goal(Goal::Stop), &at(0));
    assert_eq!(actions, [Action::Terminate, Action::Arm(Timer::Grace, Some(GRACE))]);
    assert_eq!(machine.step(Event::GraceOver, &at(0)), [Action::Disarm, Action::Close]);
    machine.step(Event::Closed, &at(0));
    assert_eq!(machine.state, State::Finished);
}

#[test]
fn a_component_reports_itself() {
    let startup = Steps { startup: true, ..Steps::default() };
    let mut machine = Machine::new(Goal::Run, startup, false);
    drive(&mut machine, &[READY, Event::Goal(Goal::Run), Event::Opened]);
    machine.step(Event::Step(StepKind::Startup, StepNews::Started), &at(0));
    machine.step(Event::Reported { healthy: true }, &at(0));
    assert_eq!(machine.state, State::Running);
    machine.step(Event::Reported { healthy: false }, &at(0));
    assert_eq!(machine.state.published(), ComponentState::Errored);
}

#[test]
fn a_finished_dependency_is_ready_and_a_failed_one_is_not() {
    let mut machine = running(RUN_ONLY);
    machine.step(exited(StepKind::Run, true), &at(0));
    assert!(machine.state.is_ready());
    let mut machine = running(RUN_ONLY);
    machine.step(exited(StepKind::Run, false), &at(0));
    assert!(!machine.state.is_ready());
}

#[test]
fn late_news_of_an_empty_fence_does_not_cut_the_grace_short() {
    let mut machine = running(RUN_ONLY);
    machine.step(Event::Goal(Goal::Stop), &at(0));
    assert_eq!(machine.step(Event::Emptied, &at(0)), []);
    machine.step(exited(StepKind::Run, false), &at(0));
    assert_eq!(machine.step(Event::Emptied, &at(0)), [Action::Disarm, Action::Close]);
}

#[test]
fn a_restart_leaves_a_fence_that_waits_for_dependencies() {
    let mut machine = Machine::new(Goal::Run, ALL, false);
    let install = [Event::Goal(Goal::Run), Event::Opened, exited(StepKind::Install, true)];
    drive(&mut machine, &install);
    assert_eq!((machine.state, machine.fence), (State::Installed, true));
    assert_eq!(machine.step(Event::Restart, &at(0)), [Action::Disarm, Action::Close]);
    machine.step(Event::Closed, &at(0));
    assert_eq!((machine.state, machine.fence), (State::Installed, false));
}

#[test]
fn a_restart_with_nothing_to_run_is_seen() {
    let mut machine = Machine::new(Goal::Run, Steps::default(), false);
    drive(&mut machine, &[READY, Event::Goal(Goal::Run)]);
    assert_eq!((machine.state, machine.begun), (State::Finished, 0));
    machine.step(Event::Restart, &at(0));
    assert_eq!((machine.state, machine.begun), (State::Finished, 1));
}

#[test]
fn a_machine_survives_its_note() {
    let machine = running(ALL);
    let text = serde_json::to_string(&machine).expect("plain data");
    assert_eq!(serde_json::from_str::<Machine>(&text).expect("same version"), machine);
}

#[test]
fn what_was_wanted_already_is_no_news() {
    let again = Event::Goal(Goal::Run);
    let mut finished = running(RUN_ONLY);
    drive(&mut finished, &[exited(StepKind::Run, true), Event::Emptied, Event::Closed]);
    assert_eq!(finished.step(again, &at(0)), []);
    assert_eq!(finished.state, State::Finished);

    let mut failing = running(RUN_ONLY);
    for event in [exited(StepKind::Run, false), again, Event::Emptied, again, Event::Closed, again]
    {
        failing.step(event, &at(0));
    }
    assert_eq!(failing.state, State::Errored(Source::Running), "the fault counts all the same");
}

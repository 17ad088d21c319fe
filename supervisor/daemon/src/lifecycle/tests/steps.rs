//! Steps beside the usual ones.

use super::*;

#[test]
fn recover_runs_before_the_teardown_and_not_once_it_is_broken() {
    let mut machine = running(Steps { recover: true, ..ALL });
    for now in 0..3 {
        let actions = machine.step(exited(StepKind::Run, false), &awaited(now));
        if now == 2 {
            assert_eq!(actions[0], Action::Start(StepKind::Shutdown));
            break;
        }
        assert_eq!(actions[0], Action::Start(StepKind::Recover));
        assert_eq!(machine.state.published(), ComponentState::Errored);
        let recovered = machine.step(exited(StepKind::Recover, now == 0), &awaited(now));
        assert_eq!(recovered[0], Action::Start(StepKind::Shutdown));
        drive(
            &mut machine,
            &[
                exited(StepKind::Shutdown, true),
                Event::Emptied,
                Event::Closed,
                Event::BackoffOver,
                Event::Opened,
                STARTED,
            ],
        );
        assert_eq!(machine.state, State::Running, "a recovery resets nothing and stops nothing");
    }
}

#[test]
fn uninstall_has_a_fence_of_its_own_after_everything_else() {
    let mut machine = running(Steps { uninstall: true, ..ALL });
    drive(
        &mut machine,
        &[
            Event::Goal(Goal::Remove),
            exited(StepKind::Run, true),
            exited(StepKind::Shutdown, true),
            Event::Emptied,
        ],
    );
    assert_eq!(machine.step(Event::Closed, &at(0)), [Action::Open]);
    let started = machine.step(Event::Opened, &at(0));
    assert_eq!(started[0], Action::Start(StepKind::Uninstall));
    drive(&mut machine, &[exited(StepKind::Uninstall, false), Event::Emptied, Event::Closed]);
    assert_eq!(machine.state, State::Removed, "its failure is nobody's concern");
}

#[test]
fn one_that_is_wanted_again_while_it_is_uninstalled_is_installed_again() {
    let mut machine = Machine::new(Goal::Remove, Steps { uninstall: true, ..ALL }, true);
    drive(&mut machine, &[READY, Event::Goal(Goal::Remove), Event::Opened]);
    assert_eq!(machine.state, State::Uninstalling);
    drive(&mut machine, &[Event::Goal(Goal::Run), Event::Emptied]);
    machine.step(Event::Closed, &at(0));
    assert_eq!(machine.state, State::Opening(Purpose::Install));
}

#[test]
fn a_step_that_is_skipped_counts_as_absent() {
    let skipped = |step| Event::Step(step, StepNews::Skipped);
    let both = Steps { startup: true, ..ALL };
    let mut machine = Machine::new(Goal::Run, both, false);
    drive(&mut machine, &[READY, Event::Goal(Goal::Run), Event::Opened]);
    let actions = machine.step(skipped(StepKind::Install), &at(0));
    assert!(!actions.contains(&Action::RecordInstalled), "it is asked again next time");
    assert_eq!(machine.state, State::Startup);
    machine.step(skipped(StepKind::Startup), &at(0));
    assert_eq!(machine.state, State::Launching, "without startup, run is what it has");
    machine.step(skipped(StepKind::Run), &at(0));
    machine.step(Event::Closed, &at(0));
    assert_eq!(machine.state, State::Finished, "nothing was left to run");
}

#[test]
fn a_new_text_for_later_changes_nothing_now() {
    let mut machine = running(RUN_ONLY);
    assert_eq!(machine.step(Event::Adjusted { steps: ALL }, &at(0)), []);
    assert_eq!(machine.state, State::Running);
}

#[test]
fn one_that_must_go_at_once_is_not_asked() {
    let mut machine = running(ALL);
    machine.step(Event::Goal(Goal::Stop), &at(0));
    assert!(matches!(machine.state, State::ShuttingDown(_)));
    assert_eq!(machine.step(Event::Kill, &at(0)), [Action::Disarm, Action::Close]);
    machine.step(Event::Closed, &at(0));
    assert_eq!(machine.state, State::Finished);
}

//! When a component that fails is tried again.

use super::*;

/// A running component fails once; the answer is how long it waits then.
fn fail(machine: &mut Machine, conditions: &Conditions<'_>) -> Option<Duration> {
    machine.step(exited(StepKind::Run, false), conditions);
    machine.step(Event::Emptied, conditions);
    machine.step(Event::Closed, conditions).into_iter().find_map(|action| match action {
        Action::Arm(Timer::Backoff, wait) => wait,
        _ => None,
    })
}

fn try_again(machine: &mut Machine, now: u64) {
    for event in [Event::BackoffOver, Event::Opened, STARTED] {
        machine.step(event, &at(now));
    }
}

fn seconds(count: u64) -> Option<Duration> {
    Some(Duration::from_secs(count))
}

#[test]
fn the_waits_double_up_to_the_longest_and_nothing_is_broken() {
    let mut machine = running(RUN_ONLY);
    for expected in [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 600, 600] {
        assert_eq!(fail(&mut machine, &at(10)), seconds(expected));
        assert_eq!(machine.state, State::Errored(Source::Running));
        try_again(&mut machine, 10);
    }
}

#[test]
fn a_component_that_ran_for_a_while_begins_with_the_first_wait_again() {
    let mut machine = running(RUN_ONLY);
    fail(&mut machine, &at(0));
    try_again(&mut machine, 1000);
    assert_eq!(fail(&mut machine, &at(1000 + 599_999)), seconds(2));
    try_again(&mut machine, 602_000);
    assert_eq!(fail(&mut machine, &at(602_000 + 600_000)), seconds(1));
}

#[test]
fn the_third_fault_breaks_it_for_the_deployment_that_waits_and_it_is_tried_again_later() {
    let mut machine = running(RUN_ONLY);
    assert_eq!(fail(&mut machine, &awaited(0)), seconds(1));
    try_again(&mut machine, 1000);
    assert_eq!(fail(&mut machine, &awaited(1000)), seconds(2));
    try_again(&mut machine, 3000);
    assert_eq!(fail(&mut machine, &awaited(3000)), seconds(600));
    assert_eq!(machine.state, State::Broken);
    try_again(&mut machine, 603_000);
    assert_eq!(machine.state, State::Running);
}

#[test]
fn faults_far_apart_fail_no_deployment() {
    let mut machine = running(RUN_ONLY);
    for hour in 0..10 {
        fail(&mut machine, &awaited(hour * 3_600_000));
        assert_eq!(machine.state, State::Errored(Source::Running));
        try_again(&mut machine, hour * 3_600_000);
    }
}

#[test]
fn by_greengrass_s_own_rule_it_is_tried_at_once_and_broken_for_good() {
    let policy = RestartPolicy { greengrass: true, ..POLICY };
    let conditions = |now| Conditions { policy: &policy, ..at(now) };
    let mut machine = running(RUN_ONLY);
    for now in [0, 1] {
        assert_eq!(fail(&mut machine, &conditions(now)), None);
        assert_eq!(machine.state, State::Opening(Purpose::Start));
        drive(&mut machine, &[Event::Opened, STARTED]);
    }
    assert_eq!(fail(&mut machine, &conditions(2)), None);
    assert_eq!(machine.state, State::Broken);
    machine.step(Event::Restart, &conditions(3));
    assert_eq!(machine.state, State::Opening(Purpose::Start));
}

#[test]
fn a_reset_forgets_and_tries_at_once() {
    let mut machine = running(RUN_ONLY);
    for now in 0..3 {
        fail(&mut machine, &awaited(now));
        if now < 2 {
            try_again(&mut machine, now);
        }
    }
    assert_eq!(machine.state, State::Broken);
    machine.step(Event::Reset, &at(10));
    drive(&mut machine, &[Event::Opened, STARTED]);
    assert_eq!(machine.step(Event::Reset, &at(11)), [], "what runs goes on");
    assert_eq!(fail(&mut machine, &awaited(12)), seconds(1));
}

#[test]
fn stopped_after_it_broke_it_has_all_its_tries_again() {
    let mut machine = running(RUN_ONLY);
    for now in 0..3 {
        fail(&mut machine, &awaited(now));
        if now < 2 {
            try_again(&mut machine, now);
        }
    }
    assert_eq!(machine.state, State::Broken);
    machine.step(Event::Goal(Goal::Stop), &at(5));
    drive(&mut machine, &[Event::Goal(Goal::Run), Event::Opened, STARTED]);
    assert_eq!(fail(&mut machine, &awaited(10)), seconds(1));
}

#[test]
fn the_launcher_s_death_is_no_fault_of_the_component() {
    let mut machine = running(RUN_ONLY);
    for expected in [None, seconds(1), seconds(2), seconds(4)] {
        machine.step(LOST, &awaited(0));
        assert_eq!(machine.state.published(), ComponentState::Stopping);
        let actions = machine.step(Event::Closed, &awaited(0));
        let wait = actions.iter().find_map(|action| match action {
            Action::Arm(Timer::Backoff, wait) => *wait,
            _ => None,
        });
        assert_eq!(wait, expected, "at once the first time, and never so that it spins");
        if expected.is_some() {
            machine.step(Event::BackoffOver, &at(0));
        }
        drive(&mut machine, &[Event::Opened, STARTED]);
    }
    assert_eq!(fail(&mut machine, &awaited(0)), seconds(1), "and it counts for nothing");
}

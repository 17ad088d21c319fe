//! What a pool does, one story after the other.

use super::super::{NotGiven, Outcome, Refusal};
use super::*;
use crate::fault::Fault;
use crate::{Ended, OpenError};

/// A pool and its clock.
struct Story {
    pool: Pool,
    now: Duration,
    tickets: u64,
}

impl Story {
    fn of(limits: Limits) -> Self {
        Self { pool: Pool::new(limits, InstanceId(0), 1), now: SECOND, tickets: 0 }
    }

    /// It is everybody's turn at once.
    fn on(&mut self, event: Event) -> Vec<Action> {
        let mut actions = vec![];
        for action in self.pool.step(event, self.now) {
            match action {
                Action::Queue(id) => actions.extend(self.on(Event::Admitted(id))),
                action => actions.push(action),
            }
        }
        actions
    }

    fn after(&mut self, wait: Duration) -> Vec<Action> {
        self.now += wait;
        self.on(Event::Tick)
    }

    fn invoke(&mut self) -> Vec<Action> {
        self.tickets += 1;
        let expires = self.now + 13 * SECOND;
        self.on(Event::Invoked { ticket: Ticket(self.tickets), expires })
    }

    fn poll(&mut self, id: u64) -> Vec<Action> {
        self.on(Event::Polled { id: InstanceId(id), delivered: true })
    }

    fn answer(&mut self, id: u64) -> Vec<Action> {
        self.on(Event::Answered { id: InstanceId(id), streams: false })
    }

    fn end(&mut self, id: u64, how: Ended) -> Vec<Action> {
        self.on(Event::Ended { id: InstanceId(id), how, delivered: true })
    }

    /// Takes an instance through its cold start.
    fn ready(&mut self, id: u64) -> Vec<Action> {
        assert_eq!(self.on(Event::Opened(InstanceId(id))), []);
        self.poll(id)
    }

    /// Answers, and asks for more.
    fn work(&mut self, id: u64) -> Vec<Action> {
        let mut actions = self.answer(id);
        actions.extend(self.poll(id));
        actions
    }
}

fn open(id: u64) -> Action {
    Action::Open(InstanceId(id))
}

fn close(id: u64) -> Action {
    Action::Close(InstanceId(id))
}

fn freeze(id: u64) -> Action {
    Action::Freeze(InstanceId(id))
}

fn thaw(id: u64) -> Action {
    Action::Thaw(InstanceId(id))
}

fn give(id: u64, ticket: u64) -> Action {
    Action::Give { id: InstanceId(id), ticket: Ticket(ticket) }
}

fn refuse(ticket: u64, why: Refusal) -> Action {
    Action::Refuse { ticket: Ticket(ticket), why }
}

fn finish(id: u64, ticket: u64, took: Duration, init: Option<Duration>) -> Action {
    ended(id, ticket, Outcome::Answered, took, init)
}

fn ended(id: u64, ticket: u64, outcome: Outcome, took: Duration, init: Option<Duration>) -> Action {
    Action::Finish { id: InstanceId(id), ticket: Ticket(ticket), outcome, duration: took, init }
}

#[test]
fn an_instance_starts_on_demand_is_reused_frozen_thawed_and_goes() {
    let mut story = Story::of(on_demand(10));
    assert_eq!(story.pool.alarm(story.now), None, "an idle function has no timer");
    assert_eq!(story.invoke(), [open(0)]);
    story.now += 300 * MS;
    assert_eq!(story.ready(0), [give(0, 1)]);
    story.now += 5 * MS;
    assert_eq!(story.answer(0), [finish(0, 1, 5 * MS, Some(300 * MS))]);
    // Faster than the runtime polls again: no other instance for that.
    assert_eq!(story.invoke(), []);
    assert_eq!(story.poll(0), [give(0, 2)]);
    assert_eq!(story.work(0), [finish(0, 2, Duration::ZERO, None)]);

    assert_eq!(story.after(99 * MS), []);
    assert_eq!(story.after(MS), [freeze(0)]);
    assert_eq!(story.on(Event::Froze { id: InstanceId(0), done: true }), []);
    assert_eq!(story.pool.counts().frozen, 1);
    assert_eq!(story.invoke(), [thaw(0)]);
    assert_eq!(story.on(Event::Thawed { id: InstanceId(0), done: true }), [give(0, 3)]);
    assert_eq!(story.work(0), [finish(0, 3, Duration::ZERO, None)]);

    assert_eq!(story.after(100 * MS), [freeze(0)]);
    story.on(Event::Froze { id: InstanceId(0), done: true });
    assert_eq!(story.pool.alarm(story.now), Some(story.now + 60 * SECOND - 100 * MS));
    assert_eq!(story.after(60 * SECOND), [close(0)]);
    story.on(Event::Closed(InstanceId(0)));
    assert_eq!(story.pool.alarm(story.now), None);
    assert_eq!(story.pool.counts().total(), 0);
}

#[test]
fn cold_starts_overlap_up_to_the_limit_and_not_beyond_what_waits() {
    let mut story = Story::of(on_demand(3));
    assert_eq!(story.invoke(), [open(0)]);
    assert_eq!(story.invoke(), [open(1)]);
    assert_eq!(story.ready(0), [give(0, 1)]);
    // The second start is for the second invocation, the first instance is about to be busy.
    assert_eq!(story.work(0), [finish(0, 1, Duration::ZERO, Some(Duration::ZERO)), give(0, 2)]);
    assert_eq!(story.invoke(), []);
    assert_eq!(story.invoke(), [open(2)]);
    assert_eq!(story.invoke(), []);
    assert_eq!(story.pool.counts().starting, 2);
    assert_eq!(story.ready(2), [give(2, 3)]);
}

#[test]
fn the_last_used_instance_works_so_that_the_others_can_go() {
    let mut story = Story::of(on_demand(2));
    story.invoke();
    story.invoke();
    story.ready(0);
    story.ready(1);
    story.work(1);
    story.now += MS;
    story.work(0);
    for ticket in 3..6 {
        story.now += MS;
        assert_eq!(story.invoke(), [give(0, ticket)]);
        story.work(0);
    }
    assert_eq!(story.on(Event::Reclaim), [close(1)], "the longest idle one goes");
}

#[test]
fn what_is_too_much_is_refused() {
    let mut story = Story::of(Limits { max_waiting: 2, ..on_demand(1) });
    story.invoke();
    story.ready(0);
    assert_eq!(story.invoke(), []);
    assert_eq!(story.invoke(), []);
    assert_eq!(story.invoke(), [refuse(4, Refusal::Full { waiting: 2 })]);
    // The one that runs is replaced when it hangs, and gives the first of the line its turn.
    let late = Outcome::Failed(Fault::Timeout(3 * SECOND));
    assert_eq!(
        story.after(3 * SECOND),
        [ended(0, 1, late, 3 * SECOND, Some(Duration::ZERO)), close(0)]
    );
    assert_eq!(story.on(Event::Closed(InstanceId(0))), [open(1)]);
    assert_eq!(
        story.after(10 * SECOND),
        [refuse(2, Refusal::Expired), refuse(3, Refusal::Expired)],
        "they have waited for 13 s"
    );
}

#[test]
fn an_update_lets_what_runs_finish_and_runs_the_rest_on_the_new_version() {
    let mut story = Story::of(on_demand(2));
    story.invoke();
    story.invoke();
    story.ready(0);
    story.ready(1);
    story.work(1);
    story.invoke();
    story.invoke();
    story.work(1);
    assert_eq!(story.pool.counts().busy, 2);
    story.invoke();
    // 0 and 1 run the first and the fourth, the fifth waits.
    let new = Event::Defined { limits: on_demand(2), replaced: true };
    assert_eq!(story.on(new), [], "the limit counts what still drains");
    assert_eq!(story.pool.counts().draining, 2);
    story.answer(0);
    assert_eq!(story.poll(0), [close(0)]);
    assert_eq!(story.on(Event::Closed(InstanceId(0))), [open(2)]);
    assert_eq!(story.ready(2), [give(2, 5)]);
}

#[test]
fn an_idle_instance_of_an_old_version_goes_at_once_and_one_that_is_opened_when_it_is_there() {
    let mut story = Story::of(on_demand(2));
    story.invoke();
    story.ready(0);
    story.work(0);
    story.invoke();
    assert_eq!(story.invoke(), [open(1)]);
    story.work(0);
    let new = Event::Defined { limits: on_demand(2), replaced: true };
    // 0 runs the third invocation by now.
    assert_eq!(story.on(new), []);
    assert_eq!(story.on(Event::Opened(InstanceId(1))), [close(1)]);
    story.on(Event::Closed(InstanceId(1)));
    assert_eq!(story.work(0).last(), Some(&close(0)));
}

#[test]
fn a_pinned_function_has_one_instance_that_is_never_frozen_and_comes_back_ever_slower() {
    let mut story = Story::of(pinned());
    assert_eq!(story.on(Event::Start), [open(0)]);
    assert_eq!(story.ready(0), []);
    assert_eq!(story.pool.alarm(story.now), None);
    assert_eq!(story.on(Event::Reclaim), []);
    let mut last = Duration::ZERO;
    for id in 0..12 {
        assert_eq!(story.end(id, Ended::Exited(1)), [close(id)]);
        story.on(Event::Closed(InstanceId(id)));
        let wait = story.pool.alarm(story.now).unwrap() - story.now;
        assert!(
            wait >= last.min(600 * SECOND) && wait >= SECOND && wait <= 720 * SECOND,
            "{wait:?}"
        );
        last = wait;
        assert_eq!(story.after(wait - MS), []);
        assert_eq!(story.after(MS), [open(id + 1)]);
        assert_eq!(story.ready(id + 1), []);
    }
    // Once it has run for a while it is as it was in the beginning.
    story.now += 60 * SECOND;
    story.end(12, Ended::Exited(1));
    story.on(Event::Closed(InstanceId(12)));
    assert!(story.pool.alarm(story.now).unwrap() - story.now < 2 * SECOND);
}

#[test]
fn callers_of_what_does_not_start_are_told_why_and_it_does_not_spin() {
    let mut story = Story::of(on_demand(4));
    story.invoke();
    story.invoke();
    let exit = Ended::Exited(1);
    story.on(Event::Opened(InstanceId(0)));
    story.on(Event::Opened(InstanceId(1)));
    let fault = Fault::InitExit(exit.clone());
    let report = Action::ReportInit { fault: fault.clone(), duration: Duration::ZERO };
    assert_eq!(story.end(0, exit.clone()), [close(0), report.clone()], "the other one may come up");
    assert_eq!(
        story.end(1, exit.clone()),
        [
            close(1),
            report,
            refuse(1, Refusal::Failing(fault.clone())),
            refuse(2, Refusal::Failing(fault.clone()))
        ]
    );
    assert_eq!(story.invoke(), [refuse(3, Refusal::Failing(fault.clone()))]);
    story.on(Event::Closed(InstanceId(0)));
    story.on(Event::Closed(InstanceId(1)));
    assert_eq!(story.pool.alarm(story.now), None, "nobody waits");
    story.now += 3 * SECOND;
    assert_eq!(story.invoke(), [open(2)]);
    assert!(story.pool.failing().is_some());
    assert_eq!(story.ready(2), [give(2, 4)]);
    assert!(story.pool.failing().is_none());
}

#[test]
fn an_instance_that_the_machine_cannot_open_is_no_fault_of_the_function() {
    let mut story = Story::of(on_demand(4));
    story.invoke();
    let error = OpenError::Machine("the launcher is away".into());
    let fault = Fault::Open(error.clone());
    assert_eq!(
        story.on(Event::OpenFailed(InstanceId(0), error)).last(),
        Some(&refuse(1, Refusal::Failing(fault)))
    );
}

#[test]
fn a_runtime_that_hangs_in_its_init_is_ended() {
    let mut story = Story::of(on_demand(4));
    story.invoke();
    story.on(Event::Opened(InstanceId(0)));
    let fault = Fault::InitTimeout(10 * SECOND);
    assert_eq!(story.after(10 * SECOND - MS), []);
    assert_eq!(
        story.after(MS),
        [
            close(0),
            Action::ReportInit { fault: fault.clone(), duration: 10 * SECOND },
            refuse(1, Refusal::Failing(fault)),
        ]
    );
}

#[test]
fn an_answer_counts_that_was_sent_before_the_exit() {
    let mut story = Story::of(on_demand(4));
    story.invoke();
    story.ready(0);
    assert_eq!(story.end(0, Ended::Exited(0)), []);
    assert_eq!(story.answer(0), [finish(0, 1, Duration::ZERO, Some(Duration::ZERO)), close(0)]);

    story.invoke();
    story.ready(1);
    assert_eq!(story.end(1, Ended::Exited(0)), []);
    let failed = Outcome::Failed(Fault::Exit(Ended::Exited(0)));
    assert_eq!(
        story.after(50 * MS),
        [ended(1, 2, failed, 50 * MS, Some(Duration::ZERO)), close(1)]
    );
}

#[test]
fn an_invocation_that_no_runtime_has_seen_waits_again_but_not_for_ever() {
    let mut story = Story::of(on_demand(4));
    story.invoke();
    story.ready(0);
    let hung_up = |id| Event::NotGiven { id: InstanceId(id), why: NotGiven::HungUp };
    for _ in 0..5 {
        assert_eq!(story.on(hung_up(0)), []);
        assert_eq!(story.poll(0), [give(0, 1)]);
    }
    let polled = Event::Polled { id: InstanceId(0), delivered: false };
    assert_eq!(story.on(polled.clone()), [give(0, 1)]);
    assert_eq!(story.on(polled), [give(0, 1)]);
    let gone = Event::Ended { id: InstanceId(0), how: Ended::Exited(0), delivered: false };
    let failed = Outcome::Failed(Fault::HungUp);
    assert_eq!(
        story.on(gone),
        [ended(0, 1, failed, Duration::ZERO, Some(Duration::ZERO)), close(0)]
    );
}

#[test]
fn a_caller_that_went_away_takes_no_instance() {
    let mut story = Story::of(on_demand(4));
    story.invoke();
    story.ready(0);
    let unwanted = Event::NotGiven { id: InstanceId(0), why: NotGiven::Unwanted };
    assert_eq!(story.on(unwanted), []);
    assert_eq!(story.pool.counts().idle, 1);
    assert_eq!(story.invoke(), [give(0, 2)]);
}

#[test]
fn a_stream_has_its_deadline_too_and_is_reported_when_the_runtime_polls() {
    let mut story = Story::of(on_demand(4));
    story.invoke();
    story.ready(0);
    let begun = Event::Answered { id: InstanceId(0), streams: true };
    let stream = |ticket| Action::Stream { id: InstanceId(0), ticket: Ticket(ticket) };
    assert_eq!(story.on(begun.clone()), [stream(1)]);
    assert_eq!(story.pool.holds(InstanceId(0)), None, "a second answer is refused");
    story.now += SECOND;
    assert_eq!(story.poll(0), [finish(0, 1, SECOND, Some(Duration::ZERO))]);

    story.invoke();
    story.on(begun);
    let late = Outcome::Failed(Fault::Timeout(3 * SECOND));
    assert_eq!(story.after(3 * SECOND), [ended(0, 2, late, 3 * SECOND, None), close(0)]);
}

#[test]
fn a_runtime_that_answers_and_polls_no_more_holds_nobody_up() {
    let mut story = Story::of(on_demand(2));
    story.invoke();
    story.ready(0);
    story.answer(0);
    assert_eq!(story.invoke(), []);
    assert_eq!(story.after(20 * MS), [open(1)]);
    assert_eq!(story.after(3 * SECOND), [close(0)]);
}

#[test]
fn one_that_cannot_be_frozen_stays_awake_and_one_that_cannot_be_thawed_goes() {
    let mut story = Story::of(on_demand(1));
    story.invoke();
    story.ready(0);
    story.work(0);
    assert_eq!(story.after(100 * MS), [freeze(0)]);
    // Wanted while it is being frozen: first the one, then the other.
    assert_eq!(story.invoke(), []);
    assert_eq!(story.on(Event::Froze { id: InstanceId(0), done: true }), [thaw(0)]);
    assert_eq!(story.on(Event::Thawed { id: InstanceId(0), done: false }), [close(0)]);
    assert_eq!(story.on(Event::Closed(InstanceId(0))), [open(1)]);
    story.ready(1);
    story.work(1);
    assert_eq!(story.after(100 * MS), [freeze(1)]);
    story.on(Event::Froze { id: InstanceId(1), done: false });
    assert_eq!(story.after(SECOND), []);
    assert_eq!(story.invoke(), [give(1, 3)]);
}

#[test]
fn a_stop_refuses_what_waits_and_ends_what_runs_after_its_grace() {
    let mut story = Story::of(on_demand(1));
    story.invoke();
    story.ready(0);
    story.invoke();
    assert_eq!(story.on(Event::Stop { grace: SECOND }), [refuse(2, Refusal::Stopped)]);
    assert_eq!(story.invoke(), [refuse(3, Refusal::Stopped)]);
    let stopped = Outcome::Failed(Fault::Stopped);
    assert_eq!(story.after(SECOND), [ended(0, 1, stopped, SECOND, Some(Duration::ZERO)), close(0)]);
    story.on(Event::Closed(InstanceId(0)));
    assert_eq!(story.on(Event::Start), []);
    assert_eq!(story.invoke(), [open(1)]);
}

#[test]
fn an_instance_that_nobody_needs_any_more_by_its_turn_is_not_opened() {
    let mut pool = Pool::new(on_demand(3), InstanceId(0), 1);
    let mut on = |event| pool.step(event, SECOND);
    on(Event::Start);
    let (id, queue) = (InstanceId, |id| Action::Queue(InstanceId(id)));
    let invoked = |ticket| Event::Invoked { ticket: Ticket(ticket), expires: 9 * SECOND };
    assert_eq!(on(invoked(1)), [queue(0)]);
    // One after the other, lest another function wait behind all of them.
    assert_eq!(on(invoked(2)), []);
    assert_eq!(on(Event::Admitted(id(0))), [open(0), queue(1)]);
    on(Event::Opened(id(0)));
    assert_eq!(on(Event::Polled { id: id(0), delivered: true }), [give(0, 1)]);
    on(Event::Answered { id: id(0), streams: false });
    assert_eq!(on(Event::Polled { id: id(0), delivered: true }), [give(0, 2)]);
    assert_eq!(on(Event::Admitted(id(1))), []);
    // It is forgotten, and does not count.
    assert_eq!(on(invoked(3)), [queue(2)]);
    assert_eq!(on(Event::Admitted(id(1))), []);
    assert_eq!(on(invoked(4)), []);
    assert_eq!(on(Event::Admitted(id(2))), [open(2), queue(3)]);
}

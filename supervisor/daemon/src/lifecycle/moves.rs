//! The moves from state to state that the table is made of.

use super::restart::Verdict;
use super::{
    Action, Blame, Cause, Conditions, GRACE, Goal, Machine, Purpose, Source, State, StepKind, Timer,
};

impl Machine {
    /// From a state of rest to the next thing that the goal asks for.
    pub(super) fn settle(&mut self) -> Vec<Action> {
        match (self.goal, self.fence) {
            (Goal::Stop | Goal::Remove, true) => self.tear_down(Cause::Change),
            (Goal::Stop, false) => self.rest(State::Finished),
            (Goal::Remove, false) if self.steps.uninstall => self.enter(Purpose::Uninstall),
            (Goal::Remove, false) => self.rest(State::Removed),
            (Goal::Run, _) if !self.installed => self.enter(Purpose::Install),
            (Goal::Run, fence) => {
                self.state = State::Installed;
                let nothing_to_run = !self.steps.startup && !self.steps.run;
                match (self.ready, nothing_to_run) {
                    (false, _) => vec![],
                    (true, true) if fence => self.close(Cause::Done),
                    (true, true) => self.rest(State::Finished),
                    (true, false) => self.enter(Purpose::Start),
                }
            }
        }
    }

    pub(super) fn begin_again(&mut self) -> Vec<Action> {
        if self.goal == Goal::Run {
            self.begun += 1;
        }
        self.verdict = None;
        self.state = if self.installed { State::Installed } else { State::New };
        let mut actions = vec![Action::Disarm];
        actions.extend(self.settle());
        actions
    }

    fn rest(&mut self, state: State) -> Vec<Action> {
        self.state = state;
        vec![Action::Disarm]
    }

    /// The next step in an open fence, or in one that is opened for it.
    fn enter(&mut self, purpose: Purpose) -> Vec<Action> {
        match (self.fence, purpose) {
            (false, _) => {
                self.fence = true;
                self.state = State::Opening(purpose);
                vec![Action::Open]
            }
            (true, Purpose::Install) => self.start(StepKind::Install, State::Installing),
            (true, Purpose::Start) => self.start_main(),
            (true, Purpose::Uninstall) => self.uninstall(),
        }
    }

    /// `startup` and `run` exclude each other; a recipe with both runs `startup` (as the nucleus does).
    pub(super) fn start_main(&mut self) -> Vec<Action> {
        if self.steps.startup {
            self.start(StepKind::Startup, State::Startup)
        } else {
            self.start(StepKind::Run, State::Launching)
        }
    }

    /// From here on nothing is installed any more.
    pub(super) fn uninstall(&mut self) -> Vec<Action> {
        self.installed = !self.steps.install;
        self.start(StepKind::Uninstall, State::Uninstalling)
    }

    pub(super) fn start(&mut self, step: StepKind, state: State) -> Vec<Action> {
        self.state = state;
        vec![Action::Start(step), Action::Arm(Timer::Step(step), None)]
    }

    pub(super) fn install_done(&mut self, is_lasting: bool) -> Vec<Action> {
        self.installed = true;
        self.failures.forget(Source::New);
        self.state = State::Installed;
        let mut actions = vec![Action::Disarm];
        if is_lasting {
            actions.push(Action::RecordInstalled);
        }
        actions.extend(self.settle());
        actions
    }

    /// `run` has a process. Its timeout, where it has one, goes on.
    pub(super) fn launched(&mut self, now: u64) -> Vec<Action> {
        self.state = State::Running;
        self.failures.enter_running(now);
        vec![]
    }

    pub(super) fn running(&mut self, now: u64) -> Vec<Action> {
        self.state = State::Running;
        self.failures.enter_running(now);
        self.failures.forget(Source::Starting);
        vec![Action::Disarm]
    }

    /// Counts it, lets the component recover where it can and will be tried again, and tears the fence down.
    pub(super) fn fault(&mut self, source: Source, conditions: &Conditions<'_>) -> Vec<Action> {
        let verdict = self.failures.record(source, conditions);
        self.verdict = Some(verdict);
        match verdict {
            Verdict::Retry(_) if self.steps.recover => {
                self.start(StepKind::Recover, State::Recovering(source))
            }
            Verdict::Retry(_) | Verdict::Break(_) => self.tear_down(Cause::Fault(source)),
        }
    }

    /// Nothing was started, so there is nothing for `recover` or `shutdown` to undo.
    pub(super) fn not_started(
        &mut self,
        source: Source,
        by: Blame,
        conditions: &Conditions<'_>,
    ) -> Vec<Action> {
        let cause = self.blame(source, by, conditions);
        self.terminate(cause)
    }

    /// The fence is gone, or never came to be.
    pub(super) fn lost(
        &mut self,
        source: Source,
        by: Blame,
        conditions: &Conditions<'_>,
    ) -> Vec<Action> {
        let cause = self.blame(source, by, conditions);
        self.close(cause)
    }

    fn blame(&mut self, source: Source, by: Blame, conditions: &Conditions<'_>) -> Cause {
        let (verdict, cause) = match by {
            Blame::Component => (self.failures.record(source, conditions), Cause::Fault(source)),
            Blame::Launcher => {
                (Verdict::Retry(self.failures.lose(conditions)), Cause::Loss(source))
            }
        };
        self.verdict = Some(verdict);
        cause
    }

    pub(super) fn tear_down(&mut self, cause: Cause) -> Vec<Action> {
        if self.state == State::Running && !matches!(cause, Cause::Fault(_)) {
            self.failures.forget(Source::Running);
        }
        match self.state {
            State::Startup
            | State::Launching
            | State::Running
            | State::Recovering(Source::Starting | Source::Running)
                if self.steps.shutdown =>
            {
                self.start(StepKind::Shutdown, State::ShuttingDown(cause))
            }
            State::Startup
            | State::Launching
            | State::Running
            | State::Installing
            | State::Recovering(_)
            | State::Uninstalling => self.terminate(cause),
            // No step of the component has a process: nobody is there to be asked politely.
            State::New
            | State::Opening(_)
            | State::Installed
            | State::ShuttingDown(_)
            | State::Terminating(_)
            | State::Closing(_)
            | State::Errored(_)
            | State::Broken
            | State::Finished
            | State::Removed => self.close(cause),
        }
    }

    pub(super) fn terminate(&mut self, cause: Cause) -> Vec<Action> {
        self.state = State::Terminating(cause);
        vec![Action::Terminate, Action::Arm(Timer::Grace, Some(GRACE))]
    }

    pub(super) fn close(&mut self, cause: Cause) -> Vec<Action> {
        self.state = State::Closing(cause);
        vec![Action::Disarm, Action::Close]
    }

    /// The goal turned to running again while the fence is being torn down: finish that, then start.
    pub(super) fn divert(&mut self) -> Vec<Action> {
        self.state = match self.state {
            State::ShuttingDown(_) => State::ShuttingDown(Cause::Change),
            State::Terminating(_) => State::Terminating(Cause::Change),
            State::Closing(_) => State::Closing(Cause::Change),
            other => other,
        };
        vec![]
    }

    pub(super) fn closed(&mut self, cause: Cause) -> Vec<Action> {
        self.fence = false;
        match (cause, self.goal) {
            (Cause::Uninstalled, Goal::Remove) => self.rest(State::Removed),
            (Cause::Fault(source) | Cause::Loss(source), Goal::Run) => self.wait(source),
            (Cause::Done, Goal::Run) => self.rest(State::Finished),
            (Cause::Change | Cause::Uninstalled, Goal::Run) => self.begin_again(),
            (
                Cause::Fault(_) | Cause::Loss(_) | Cause::Done | Cause::Change | Cause::Uninstalled,
                Goal::Stop | Goal::Remove,
            ) => self.settle(),
        }
    }

    fn wait(&mut self, source: Source) -> Vec<Action> {
        let backoff = |wait| vec![Action::Arm(Timer::Backoff, Some(wait))];
        match self.verdict.take() {
            Some(Verdict::Break(again)) => {
                self.state = State::Broken;
                again.map(backoff).unwrap_or_default()
            }
            Some(Verdict::Retry(wait)) if !wait.is_zero() => {
                self.state = State::Errored(source);
                backoff(wait)
            }
            Some(Verdict::Retry(_)) | None => self.begin_again(),
        }
    }
}

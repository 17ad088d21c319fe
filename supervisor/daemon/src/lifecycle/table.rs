//! What each event means in each state.

use super::{
    Action, Blame, Cause, Conditions, Event, Goal, Machine, Purpose, Source, State, StepKind,
    StepNews,
};
use State::{
    Broken, Closing, Errored, Finished, Installed, Installing, Launching, New, Opening, Recovering,
    Removed, Running, ShuttingDown, Startup, Terminating, Uninstalling,
};

impl Machine {
    pub(super) fn respond(&mut self, event: Event, conditions: &Conditions<'_>) -> Vec<Action> {
        match event {
            Event::Goal(goal) => self.on_goal(goal),
            Event::Restart | Event::Replaced { .. } => self.on_restart(),
            Event::Reset => self.on_reset(),
            Event::Adjusted { .. } => vec![],
            Event::Dependencies { ready } => self.on_dependencies(ready),
            Event::Opened => self.on_opened(),
            Event::OpenFailed(by) => self.on_open_failed(by, conditions),
            Event::Step(step, news) => self.on_step(step, news, conditions),
            Event::Reported { healthy } => self.on_report(healthy, conditions),
            Event::GraceOver => self.on_grace_over(),
            Event::BackoffOver => self.on_backoff_over(),
            Event::Emptied => self.on_emptied(),
            Event::Ended(by) => self.on_ended(by, conditions),
            Event::Closed => self.on_closed(),
            Event::Kill => self.on_kill(),
        }
    }

    fn on_goal(&mut self, goal: Goal) -> Vec<Action> {
        match (self.state, goal) {
            (New | Installed, _) => self.settle(),
            (
                Opening(Purpose::Install | Purpose::Start) | Installing | Startup | Launching
                | Running | Recovering(_),
                Goal::Stop | Goal::Remove,
            )
            // It is wanted again after all.
            | (Opening(Purpose::Uninstall) | Uninstalling, Goal::Run | Goal::Stop) => {
                self.tear_down(Cause::Change)
            }
            (
                Opening(Purpose::Install | Purpose::Start) | Installing | Startup | Launching
                | Running | Recovering(_),
                Goal::Run,
            )
            | (Opening(Purpose::Uninstall) | Uninstalling, Goal::Remove)
            | (ShuttingDown(_) | Terminating(_) | Closing(_), Goal::Stop | Goal::Remove) => vec![],
            (ShuttingDown(_) | Terminating(_) | Closing(_), Goal::Run) => self.divert(),
            (Errored(_) | Broken | Finished, Goal::Run) => self.begin_again(),
            (Errored(_) | Broken | Finished, Goal::Stop | Goal::Remove) => self.settle(),
            (Removed, _) => vec![],
        }
    }

    fn on_restart(&mut self) -> Vec<Action> {
        match self.state {
            // A fence that waits for dependencies is of the definition that is to be left.
            New | Installed if self.fence => self.tear_down(Cause::Change),
            New | Installed => self.settle(),
            Opening(_) | Installing | Startup | Launching | Running | Recovering(_)
            | Uninstalling => self.tear_down(Cause::Change),
            ShuttingDown(_) | Terminating(_) | Closing(_) => self.divert(),
            Errored(_) | Broken | Finished => self.begin_again(),
            Removed => vec![],
        }
    }

    fn on_reset(&mut self) -> Vec<Action> {
        match self.state {
            Errored(_) | Broken => self.begin_again(),
            New | Opening(_) | Installing | Installed | Startup | Launching | Running
            | Recovering(_) | ShuttingDown(_) | Terminating(_) | Closing(_) | Finished
            | Uninstalling | Removed => vec![],
        }
    }

    fn on_dependencies(&mut self, ready: bool) -> Vec<Action> {
        match self.state {
            Installed => self.settle(),
            Opening(Purpose::Start) | Startup | Launching | Running => {
                if ready {
                    vec![]
                } else {
                    self.tear_down(Cause::Change)
                }
            }
            New
            | Opening(Purpose::Install | Purpose::Uninstall)
            | Installing
            | Recovering(_)
            | ShuttingDown(_)
            | Terminating(_)
            | Closing(_)
            | Errored(_)
            | Broken
            | Finished
            | Uninstalling
            | Removed => vec![],
        }
    }

    fn on_opened(&mut self) -> Vec<Action> {
        match self.state {
            Opening(Purpose::Install) => self.start(StepKind::Install, Installing),
            Opening(Purpose::Start) => self.start_main(),
            Opening(Purpose::Uninstall) => self.uninstall(),
            New | Installing | Installed | Startup | Launching | Running | Recovering(_)
            | ShuttingDown(_) | Terminating(_) | Closing(_) | Errored(_) | Broken | Finished
            | Uninstalling | Removed => vec![],
        }
    }

    fn on_open_failed(&mut self, by: Blame, conditions: &Conditions<'_>) -> Vec<Action> {
        match self.state {
            Opening(Purpose::Install) => self.lost(Source::New, by, conditions),
            Opening(Purpose::Start) => self.lost(Source::Starting, by, conditions),
            Opening(Purpose::Uninstall) => self.close(Cause::Uninstalled),
            New | Installing | Installed | Startup | Launching | Running | Recovering(_)
            | ShuttingDown(_) | Terminating(_) | Closing(_) | Errored(_) | Broken | Finished
            | Uninstalling | Removed => vec![],
        }
    }

    fn on_ended(&mut self, by: Blame, conditions: &Conditions<'_>) -> Vec<Action> {
        match self.state {
            Opening(Purpose::Install) | Installing => self.lost(Source::New, by, conditions),
            Opening(Purpose::Start) | Startup | Launching => {
                self.lost(Source::Starting, by, conditions)
            }
            Running => self.lost(Source::Running, by, conditions),
            Opening(Purpose::Uninstall) | Uninstalling => self.close(Cause::Uninstalled),
            Recovering(source) => self.close(Cause::Fault(source)),
            ShuttingDown(cause) | Terminating(cause) => self.close(cause),
            // It waited for its dependencies.
            New | Installed if self.fence => self.close(Cause::Change),
            New | Installed | Closing(_) | Errored(_) | Broken | Finished | Removed => vec![],
        }
    }

    fn on_emptied(&mut self) -> Vec<Action> {
        match self.state {
            // While the main step has a process, this is late news of the step before it.
            Terminating(_) if self.main.is_some() => vec![],
            Terminating(cause) => self.close(cause),
            New | Opening(_) | Installing | Installed | Startup | Launching | Running
            | Recovering(_) | ShuttingDown(_) | Closing(_) | Errored(_) | Broken | Finished
            | Uninstalling | Removed => vec![],
        }
    }

    fn on_grace_over(&mut self) -> Vec<Action> {
        match self.state {
            Terminating(cause) => self.close(cause),
            New | Opening(_) | Installing | Installed | Startup | Launching | Running
            | Recovering(_) | ShuttingDown(_) | Closing(_) | Errored(_) | Broken | Finished
            | Uninstalling | Removed => vec![],
        }
    }

    fn on_backoff_over(&mut self) -> Vec<Action> {
        match self.state {
            Errored(_) | Broken => self.begin_again(),
            New | Opening(_) | Installing | Installed | Startup | Launching | Running
            | Recovering(_) | ShuttingDown(_) | Terminating(_) | Closing(_) | Finished
            | Uninstalling | Removed => vec![],
        }
    }

    fn on_closed(&mut self) -> Vec<Action> {
        match self.state {
            Closing(cause) => self.closed(cause),
            New | Opening(_) | Installing | Installed | Startup | Launching | Running
            | Recovering(_) | ShuttingDown(_) | Terminating(_) | Errored(_) | Broken | Finished
            | Uninstalling | Removed => vec![],
        }
    }

    fn on_kill(&mut self) -> Vec<Action> {
        match self.state {
            ShuttingDown(cause) | Terminating(cause) => self.close(cause),
            Opening(_) | Installing | Startup | Launching | Running | Recovering(_)
            | Uninstalling => self.close(Cause::Change),
            New | Installed if self.fence => self.close(Cause::Change),
            New | Installed | Closing(_) | Errored(_) | Broken | Finished | Removed => vec![],
        }
    }

    /// News of the step that is under way: [`State::step`].
    fn on_step(
        &mut self,
        step: StepKind,
        news: StepNews,
        conditions: &Conditions<'_>,
    ) -> Vec<Action> {
        match self.state {
            Installing => self.on_install(news, conditions),
            Startup | Launching | Running => self.on_main(step, news, conditions),
            // However these end, the next thing is the same.
            Recovering(_) | ShuttingDown(_) | Uninstalling if news == StepNews::Started => vec![],
            Recovering(source) => self.tear_down(Cause::Fault(source)),
            ShuttingDown(cause) => self.terminate(cause),
            Uninstalling => self.terminate(Cause::Uninstalled),
            New | Opening(_) | Installed | Terminating(_) | Closing(_) | Errored(_) | Broken
            | Finished | Removed => vec![],
        }
    }

    fn on_install(&mut self, news: StepNews, conditions: &Conditions<'_>) -> Vec<Action> {
        match news {
            StepNews::Started => vec![],
            StepNews::Exited { success: true } => self.install_done(true),
            // Asked again next time: what makes it unnecessary may be gone by then.
            StepNews::Skipped => self.install_done(false),
            StepNews::Exited { success: false } | StepNews::TimedOut => {
                self.fault(Source::New, conditions)
            }
            StepNews::StartFailed(by) => self.not_started(Source::New, by, conditions),
        }
    }

    /// News of `startup` or `run`, whichever the component is about.
    fn on_main(
        &mut self,
        step: StepKind,
        news: StepNews,
        conditions: &Conditions<'_>,
    ) -> Vec<Action> {
        let is_up = self.state == Running;
        let source = if is_up { Source::Running } else { Source::Starting };
        match (news, step == StepKind::Run) {
            (StepNews::Started, true) if !is_up => self.launched(conditions.now),
            (StepNews::Started, _) => vec![],
            (StepNews::Exited { success: true }, true) => self.tear_down(Cause::Done),
            // What it left in the background is the component.
            (StepNews::Exited { success: true }, false) if is_up => vec![],
            (StepNews::Exited { success: true }, false) => self.running(conditions.now),
            (StepNews::Exited { success: false } | StepNews::TimedOut, _) => {
                self.fault(source, conditions)
            }
            (StepNews::StartFailed(by), _) => self.not_started(source, by, conditions),
            (StepNews::Skipped, false) if self.steps.run => self.start(StepKind::Run, Launching),
            (StepNews::Skipped, _) => self.close(Cause::Done),
        }
    }

    /// What a component says of itself (inventory 2.2).
    fn on_report(&mut self, healthy: bool, conditions: &Conditions<'_>) -> Vec<Action> {
        match (self.state, healthy) {
            (Startup, true) => self.running(conditions.now),
            (Installing, false) => self.fault(Source::New, conditions),
            (Startup | Launching, false) => self.fault(Source::Starting, conditions),
            (Running, false) => self.fault(Source::Running, conditions),
            // It gives up shutting down by itself.
            (ShuttingDown(cause), false) => self.terminate(cause),
            (Installing | Launching | Running | ShuttingDown(_), true)
            | (
                New | Opening(_) | Installed | Recovering(_) | Terminating(_) | Closing(_)
                | Errored(_) | Broken | Finished | Uninstalling | Removed,
                _,
            ) => vec![],
        }
    }
}

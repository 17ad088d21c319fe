//! The steps of one fence: each from the request to start it until its exit is acknowledged, with duplicates of
//! its pipes for a new daemon.

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;

use hedgerow_isolation::moment::Moment;
use hedgerow_isolation::plan::StepId;
use hedgerow_isolation::protocol::{
    Error, ErrorKind, Exit, ExitStatus, MAX_STEPS, Response, StepReport,
};

use crate::daemon::{Output, Ticket};

#[derive(Debug, Default)]
pub struct Steps {
    runs: BTreeMap<StepId, Run>,
}

#[derive(Debug)]
struct Run {
    /// 0 until the step's process has reported itself.
    pid: i32,
    started: Moment,
    oom_kills_before: u64,
    stdout: OwnedFd,
    stderr: OwnedFd,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    Starting(Ticket),
    Running,
    Exited(Exit),
}

impl Steps {
    /// Whether a step of that number may be started.
    pub fn admit(&self, id: StepId) -> Result<(), Error> {
        let refused = |message| Err(Error::new(ErrorKind::Invalid, message));
        if self.runs.contains_key(&id) {
            return refused(format!("step {} is there already", id.0));
        }
        if self.runs.len() >= MAX_STEPS {
            return refused(format!("{MAX_STEPS} steps at most whose exit is not acknowledged"));
        }
        Ok(())
    }

    pub fn add(&mut self, id: StepId, [stdout, stderr]: [OwnedFd; 2], oom_kills: u64, by: Ticket) {
        let run = Run {
            pid: 0,
            started: Moment::now(),
            oom_kills_before: oom_kills,
            stdout,
            stderr,
            stage: Stage::Starting(by),
        };
        self.runs.insert(id, run);
    }

    /// Succeeds where the step has not exited, as far as is known.
    pub fn alive(&self, id: StepId) -> Result<(), Error> {
        match self.runs.get(&id).map(|run| &run.stage) {
            None => Err(no_step(id)),
            Some(Stage::Exited(_)) => {
                Err(Error::new(ErrorKind::NoSuchStep, format!("step {} has exited", id.0)))
            }
            Some(_) => Ok(()),
        }
    }

    pub fn forked(&mut self, id: StepId, pid: i32) {
        if let Some(run) = self.runs.get_mut(&id) {
            run.pid = pid;
        }
    }

    /// The answer to the request that started it.
    pub fn started(&mut self, id: StepId) -> Option<Output> {
        let run = self.runs.get_mut(&id)?;
        let Stage::Starting(ticket) = run.stage else { return None };
        run.stage = Stage::Running;
        Some(match (run.stdout.try_clone(), run.stderr.try_clone()) {
            (Ok(stdout), Ok(stderr)) => {
                Output::Reply(ticket, Ok(Response::Started { pid: run.pid }), vec![stdout, stderr])
            }
            // The step runs; it can be adopted once descriptors are free again.
            (Err(error), _) | (_, Err(error)) => {
                Output::Reply(ticket, Err(cannot_duplicate(error)), Vec::new())
            }
        })
    }

    /// The answer to the request that would have started it.
    pub fn failed(&mut self, id: StepId, reason: String) -> Option<Output> {
        match self.runs.remove(&id)?.stage {
            Stage::Starting(ticket) => {
                Some(Output::Reply(ticket, Err(Error::new(ErrorKind::Exec, reason)), Vec::new()))
            }
            Stage::Running | Stage::Exited(_) => None,
        }
    }

    pub fn exited(&mut self, id: StepId, status: ExitStatus, oom_kills: u64) -> Option<Exit> {
        let run = self.runs.get_mut(&id)?;
        let oom_kills = oom_kills.saturating_sub(run.oom_kills_before);
        let exit = Exit { status, oom_kills, at: Moment::now() };
        run.stage = Stage::Exited(exit.clone());
        Some(exit)
    }

    pub fn acknowledge(&mut self, id: StepId) -> Result<Response, Error> {
        match self.runs.get(&id).map(|run| &run.stage) {
            None => Err(no_step(id)),
            Some(Stage::Exited(_)) => {
                self.runs.remove(&id);
                Ok(Response::Done)
            }
            Some(_) => {
                let message = format!("step {} still runs: there is no exit to acknowledge", id.0);
                Err(Error::new(ErrorKind::Invalid, message))
            }
        }
    }

    /// Steps that run, and steps that are being started with who waits for it.
    pub fn unfinished(&self) -> (Vec<StepId>, Vec<(StepId, Ticket)>) {
        let (mut running, mut starting) = (Vec::new(), Vec::new());
        for (&id, run) in &self.runs {
            match run.stage {
                Stage::Starting(ticket) => starting.push((id, ticket)),
                Stage::Running => running.push(id),
                Stage::Exited(_) => {}
            }
        }
        (running, starting)
    }

    pub fn reports(&self) -> Vec<StepReport> {
        let report = |(&id, run): (&StepId, &Run)| StepReport {
            id,
            pid: run.pid,
            started: run.started.clone(),
            exit: match &run.stage {
                Stage::Exited(exit) => Some(exit.clone()),
                Stage::Starting(_) | Stage::Running => None,
            },
        };
        self.runs.iter().map(report).collect()
    }

    /// Duplicates of stdout and stderr of each, in the order of [`Self::reports`].
    pub fn pipes(&self) -> Result<Vec<OwnedFd>, Error> {
        self.runs
            .values()
            .flat_map(|run| [&run.stdout, &run.stderr])
            .map(|pipe| pipe.try_clone().map_err(cannot_duplicate))
            .collect()
    }
}

pub fn cannot_duplicate(error: std::io::Error) -> Error {
    Error::new(ErrorKind::System, format!("cannot duplicate a descriptor: {error}"))
}

fn no_step(id: StepId) -> Error {
    Error::new(ErrorKind::NoSuchStep, format!("there is no step {}", id.0))
}

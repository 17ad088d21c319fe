//! Any story at all: a world that answers the pool's actions as well or badly as it likes.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::super::{NotGiven, Refusal};
use super::*;
use crate::{Ended, FunctionError, OpenError};

#[derive(Debug, Clone)]
enum Turn {
    Invoke {
        impatient: bool,
    },
    Abandon(usize),
    Wait(u64),
    Define {
        limits: usize,
        replaced: bool,
    },
    Start,
    Stop {
        grace: u64,
    },
    Reclaim,
    /// It is the turn of that one of those that are to be opened.
    Admit(usize),
    /// That instance (of those there are) does one of the things that it can do.
    Instance {
        which: usize,
        does: u8,
    },
}

fn turn() -> impl Strategy<Value = Turn> {
    prop_oneof![
        6 => any::<bool>().prop_map(|impatient| Turn::Invoke { impatient }),
        1 => any::<usize>().prop_map(Turn::Abandon),
        4 => (0..5000_u64).prop_map(Turn::Wait),
        1 => (0..LIMITS, any::<bool>()).prop_map(|(limits, replaced)| Turn::Define { limits, replaced }),
        1 => Just(Turn::Start),
        1 => (0..5000_u64).prop_map(|grace| Turn::Stop { grace }),
        1 => Just(Turn::Reclaim),
        8 => any::<usize>().prop_map(Turn::Admit),
        20 => (any::<usize>(), any::<u8>()).prop_map(|(which, does)| Turn::Instance { which, does }),
    ]
}

const LIMITS: usize = 4;

fn limits(choice: usize) -> Limits {
    match choice {
        0 => on_demand(1),
        1 => on_demand(3),
        2 => Limits { max_waiting: 1, max_idle: MS, ..on_demand(5) },
        _ => pinned(),
    }
}

/// What the world knows of an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Life {
    Opening,
    Starting,
    Polling,
    Freezing,
    Frozen,
    Thawing,
    Working(Ticket),
    Streaming,
    Answered,
    /// Its runtime has exited.
    Dead,
    Closing,
}

#[derive(Debug)]
struct World {
    pool: Pool,
    now: Duration,
    limits: Limits,
    lives: BTreeMap<InstanceId, Life>,
    opened: BTreeSet<InstanceId>,
    /// To be opened when it is their turn.
    queued: BTreeSet<InstanceId>,
    /// Were to be opened, and are not wanted any more.
    unwanted: BTreeSet<InstanceId>,
    /// Opened for a version that was replaced, or before a stop.
    old: BTreeSet<InstanceId>,
    /// Of the invocations that nothing was said of yet: whether an instance has it.
    open_calls: BTreeMap<Ticket, bool>,
    tickets: u64,
    is_stopped: bool,
    admitted: Option<InstanceId>,
}

impl World {
    fn new(choice: usize) -> Self {
        let limits = limits(choice);
        let mut world = Self {
            pool: Pool::new(limits, InstanceId(0), 7),
            now: Duration::ZERO,
            limits,
            lives: BTreeMap::new(),
            opened: BTreeSet::new(),
            queued: BTreeSet::new(),
            unwanted: BTreeSet::new(),
            old: BTreeSet::new(),
            open_calls: BTreeMap::new(),
            tickets: 0,
            is_stopped: false,
            admitted: None,
        };
        world.step(Event::Start);
        world
    }

    fn step(&mut self, event: Event) {
        let actions = self.pool.step(event, self.now);
        for action in actions {
            self.obey(action);
        }
        if let Some(alarm) = self.pool.alarm(self.now) {
            assert!(alarm > self.now, "it would spin");
        }
        assert!(self.lives.len() <= self.limits.max_instances.max(5), "more than ever allowed");
        let counts = self.pool.counts();
        assert_eq!(counts.total(), self.lives.len() + self.queued.len());
        let waiting = self.open_calls.values().filter(|runs| !**runs).count();
        assert_eq!(self.pool.waiting().len(), waiting);
    }

    fn obey(&mut self, action: Action) {
        match action {
            Action::Queue(id) => {
                assert!(!self.is_stopped);
                assert!(self.lives.len() + self.queued.len() < self.limits.max_instances);
                assert!(self.queued.insert(id));
            }
            Action::Open(id) => {
                assert!(!self.is_stopped);
                assert_eq!(self.admitted, Some(id), "it is not its turn");
                let starting = self.lives.iter().filter(|(id, life)| {
                    matches!(life, Life::Opening | Life::Starting) && !self.old.contains(id)
                });
                let waiting = self.open_calls.values().filter(|runs| !**runs).count();
                assert!(self.limits.pinned || starting.count() < waiting, "nobody needs it");
                assert!(self.opened.insert(id), "used again");
                self.lives.insert(id, Life::Opening);
            }
            Action::Freeze(id) => self.goes(id, &[Life::Polling], Life::Freezing),
            Action::Thaw(id) => self.goes(id, &[Life::Frozen], Life::Thawing),
            Action::Close(id) => {
                let life = self.lives.get_mut(&id).unwrap();
                assert_ne!(*life, Life::Closing);
                *life = Life::Closing;
            }
            Action::Give { id, ticket } => {
                assert!(!self.old.contains(&id), "run by a version that was replaced");
                self.goes(id, &[Life::Polling], Life::Working(ticket));
                let runs = self.open_calls.get_mut(&ticket).unwrap();
                assert!(!*runs, "run twice");
                *runs = true;
            }
            Action::Refuse { ticket, why } => {
                assert_ne!(self.open_calls.remove(&ticket), Some(true), "it runs: {why:?}");
                assert_eq!(why == Refusal::Stopped, self.is_stopped);
            }
            Action::Stream { ticket, .. } => assert!(self.open_calls.contains_key(&ticket)),
            Action::Finish { ticket, .. } => {
                assert!(self.open_calls.remove(&ticket).is_some(), "it is over already");
            }
            Action::ReportInit { .. } => {}
        }
    }

    fn goes(&mut self, id: InstanceId, from: &[Life], to: Life) {
        let life = self.lives.get_mut(&id).unwrap();
        assert!(from.contains(life), "{life:?} to {to:?}");
        *life = to;
    }

    fn wait(&mut self, milliseconds: u64) {
        let until = self.now + Duration::from_millis(milliseconds);
        while let Some(alarm) = self.pool.alarm(self.now).filter(|alarm| *alarm <= until) {
            self.now = alarm;
            self.step(Event::Tick);
        }
        self.now = until;
    }

    fn take(&mut self, turn: Turn) {
        match turn {
            Turn::Invoke { impatient } => {
                self.tickets += 1;
                let ticket = Ticket(self.tickets);
                self.open_calls.insert(ticket, false);
                let expires = self.now + if impatient { 4 * SECOND } else { 4000 * SECOND };
                self.step(Event::Invoked { ticket, expires });
            }
            Turn::Abandon(which) => {
                let waiting = self.open_calls.iter().filter(|(_, runs)| !**runs);
                let waiting: Vec<Ticket> = waiting.map(|(ticket, _)| *ticket).collect();
                if let Some(ticket) = waiting.get(which % waiting.len().max(1)) {
                    self.open_calls.remove(ticket);
                    self.step(Event::Abandoned(*ticket));
                }
            }
            Turn::Wait(milliseconds) => self.wait(milliseconds),
            Turn::Define { limits: choice, replaced } => {
                let limits = limits(choice);
                if replaced || limits.pinned != self.limits.pinned {
                    self.old = self.lives.keys().copied().collect();
                    self.unwanted.append(&mut self.queued);
                }
                self.limits = limits;
                self.step(Event::Defined { limits, replaced });
            }
            Turn::Start => {
                self.is_stopped = false;
                self.step(Event::Start);
            }
            Turn::Stop { grace } => {
                self.is_stopped = true;
                self.old = self.lives.keys().copied().collect();
                self.unwanted.append(&mut self.queued);
                self.step(Event::Stop { grace: Duration::from_millis(grace) });
            }
            Turn::Reclaim => self.step(Event::Reclaim),
            Turn::Admit(which) => {
                let ids: Vec<_> = self.queued.union(&self.unwanted).copied().collect();
                if let Some(id) = ids.get(which % ids.len().max(1)) {
                    self.admit(*id);
                }
            }
            Turn::Instance { which, does } => {
                let ids: Vec<InstanceId> = self.lives.keys().copied().collect();
                if let Some(id) = ids.get(which % ids.len().max(1)) {
                    self.live(*id, does);
                }
            }
        }
    }

    fn admit(&mut self, id: InstanceId) {
        self.unwanted.remove(&id);
        self.admitted = self.queued.remove(&id).then_some(id);
        self.step(Event::Admitted(id));
        self.admitted = None;
    }

    /// `does`: 0 is what a good instance on a good machine does.
    fn live(&mut self, id: InstanceId, does: u8) {
        let polled = |delivered| Event::Polled { id, delivered };
        let exited = |delivered| Event::Ended { id, how: Ended::Exited(1), delivered };
        let (life, event) = match (self.lives[&id], does % 4) {
            (Life::Opening, 0 | 1) => (Life::Starting, Event::Opened(id)),
            (Life::Opening, _) => {
                (Life::Dead, Event::OpenFailed(id, OpenError::Machine("no room".into())))
            }
            (Life::Starting, 0 | 1) => (Life::Polling, polled(true)),
            (Life::Starting, 2) => (Life::Dead, exited(true)),
            (Life::Starting, _) => {
                let error = FunctionError {
                    error_type: "Runtime.ImportModuleError".into(),
                    body: "{}".into(),
                };
                (Life::Dead, Event::InitFailed(id, error))
            }
            (Life::Polling, 0..=2) => (Life::Polling, polled(true)),
            (Life::Polling | Life::Frozen | Life::Answered, _) if does % 4 == 3 => {
                (Life::Dead, exited(true))
            }
            (Life::Freezing, 0 | 1) => (Life::Frozen, Event::Froze { id, done: true }),
            (Life::Freezing, _) => (Life::Polling, Event::Froze { id, done: false }),
            (Life::Thawing, 0 | 1) => (Life::Polling, Event::Thawed { id, done: true }),
            (Life::Thawing, _) => (Life::Dead, Event::Thawed { id, done: false }),
            (Life::Working(ticket), _) => {
                assert_eq!(self.pool.holds(id), Some(ticket));
                match does % 8 {
                    0 | 1 => (Life::Answered, Event::Answered { id, streams: false }),
                    2 => (Life::Streaming, Event::Answered { id, streams: true }),
                    3 => (Life::Dead, exited(true)),
                    4 => {
                        self.open_calls.insert(ticket, false);
                        (Life::Dead, exited(false))
                    }
                    5 => {
                        self.open_calls.insert(ticket, false);
                        (Life::Polling, polled(false))
                    }
                    6 => {
                        self.open_calls.insert(ticket, false);
                        (Life::Answered, Event::NotGiven { id, why: NotGiven::HungUp })
                    }
                    _ => {
                        self.open_calls.remove(&ticket);
                        (Life::Polling, Event::NotGiven { id, why: NotGiven::Unwanted })
                    }
                }
            }
            (Life::Streaming | Life::Answered, _) => (Life::Polling, polled(true)),
            (Life::Closing, _) => {
                self.lives.remove(&id);
                self.old.remove(&id);
                self.step(Event::Closed(id));
                return;
            }
            (Life::Polling | Life::Frozen | Life::Dead, _) => return,
        };
        self.lives.insert(id, life);
        self.step(event);
    }

    /// From here on everything goes well, until there is nothing left to do.
    fn calm_down(&mut self) {
        for _ in 0..10_000 {
            let busy = self
                .lives
                .iter()
                .find(|(_, life)| !matches!(life, Life::Polling | Life::Frozen | Life::Dead));
            let busy = busy.map(|(id, _)| *id);
            if let Some(id) = self.queued.first().copied() {
                self.admit(id);
                continue;
            }
            match (busy, self.pool.alarm(self.now)) {
                (Some(id), _) => self.live(id, 0),
                (None, Some(alarm)) => {
                    self.now = alarm;
                    self.step(Event::Tick);
                }
                (None, None) => return,
            }
        }
        panic!("it never rests: {self:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(250))]

    /// Whatever happens: each invocation ends once, none runs twice or on an old version, there are never more
    /// instances than allowed or needed, and nothing spins.
    #[test]
    fn no_story_breaks_a_pool(choice in 0..LIMITS, turns in prop::collection::vec(turn(), 0..120)) {
        let mut world = World::new(choice);
        for turn in turns {
            world.take(turn);
        }
        world.take(Turn::Start);
        world.calm_down();
        prop_assert_eq!(world.open_calls.len(), 0, "somebody still waits");
        let kept = world.lives.len();
        prop_assert_eq!(kept, usize::from(world.limits.pinned), "idle instances go");
        world.take(Turn::Stop { grace: 0 });
        world.calm_down();
        prop_assert_eq!(world.lives.len(), 0);
        prop_assert_eq!(world.pool.alarm(world.now), None);
    }
}

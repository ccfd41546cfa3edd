//! What a random tree looks like: drawn from the seed before anything starts.

use std::{sync::Arc, time::Duration};

use synod_runtime::{
    backoff::Backoff,
    mailbox::{Mailbox, Overflow},
    sim::World,
    spawn::Spawn,
    supervisor::{Restart, Strategy, Supervisor},
};

use super::{
    Life, Shared,
    deeds::KEYS,
    extent::ACTORS,
    worker::{Ledger, Worker},
};

/// Longer than any run, so that no restart is ever forgotten.
const PERIOD: Duration = Duration::from_secs(3_600);
const NODES_MAX: usize = 2;
const LEDGERS: usize = 2;
/// Actors of a tree that are started for a while, at the most.
pub(crate) const GUESTS: usize = 16;

/// The tree: supervisors and workers, each behind its parent.
pub(crate) struct Plan {
    nodes: usize,
    /// What the workers of a node may send that are charged for it.
    pub(crate) messages: u64,
    entries: Vec<Entry>,
    /// Names of all workers.
    workers: Vec<usize>,
    /// The workers without whom the tree goes on.
    mortals: Vec<usize>,
}

struct Entry {
    node: usize,
    parent: Option<usize>,
    name: String,
    /// From the root of its tree.
    path: String,
    depth: usize,
    kind: Kind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Supervisor { intensity: u32, strategy: Strategy },
    Worker { restart: Restart, capacity: usize, overflow: Overflow },
}

impl Plan {
    pub(crate) fn random(world: &World) -> Self {
        let nodes = 1 + pick(world, NODES_MAX);
        let rooms = GUESTS + NODES_MAX * KEYS;
        let size = ACTORS.start() + pick(world, ACTORS.end() + 1 - ACTORS.start() - rooms);
        let depth_max = 2 + pick(world, 5);
        let mut plan = Self {
            nodes,
            messages: 200 + world.below(2_000),
            entries: Vec::new(),
            workers: Vec::new(),
            mortals: Vec::new(),
        };
        let wanted = size.saturating_sub(Self::fixtures(nodes)).max(16);
        for node in 0..nodes {
            plan.add(world, node, None, depth_max);
        }
        plan.add(world, 0, Some(0), 2);
        while plan.entries.len() < wanted {
            let parent = pick(world, plan.entries.len() + 1);
            let node = plan.entries.get(parent).map(|parent| parent.node);
            let open = plan.entries.get(parent).is_none_or(|entry| entry.depth < depth_max);
            if open {
                let node = node.unwrap_or_else(|| pick(world, nodes));
                plan.add(world, node, (parent < plan.entries.len()).then_some(parent), depth_max);
            }
        }
        let mortals = plan.workers.iter().copied().filter(|at| plan.entries[*at].parent != Some(0));
        plan.mortals = mortals.collect();
        plan
    }

    fn add(&mut self, world: &World, node: usize, parent: Option<usize>, depth_max: usize) {
        let above = parent.and_then(|parent| self.entries.get(parent));
        let (path, depth) =
            above.map_or((String::new(), 0), |above| (format!("{}/", above.path), above.depth));
        let supervised = above.is_none_or(|above| matches!(above.kind, Kind::Supervisor { .. }));
        let may_supervise = supervised && depth + 2 <= depth_max;
        let supervises = above.is_none() || (may_supervise && world.below(3) == 0);
        let kind = if self.entries.is_empty() {
            // One that never gives up, so that something is left of every tree.
            Kind::Supervisor { intensity: 100_000, strategy: Strategy::OneForOne }
        } else if supervises {
            let strategies = [Strategy::OneForOne, Strategy::OneForAll, Strategy::RestForOne];
            let intensity = u32::try_from(world.below(12)).unwrap_or(0);
            Kind::Supervisor { intensity, strategy: strategies[pick(world, 3)] }
        } else {
            Self::worker(world, parent == Some(0))
        };
        let name = format!("{}{}", if supervises { 's' } else { 'w' }, self.entries.len());
        if !supervises {
            self.workers.push(self.entries.len());
        }
        let path = format!("{path}{name}");
        self.entries.push(Entry { node, parent, name, path, depth: depth + 1, kind });
    }

    /// Some kind of worker; one that stays is always started again.
    fn worker(world: &World, stays: bool) -> Kind {
        let restart =
            [Restart::Permanent, Restart::Permanent, Restart::Transient, Restart::Temporary];
        let overflow = [
            Overflow::Wait,
            Overflow::Wait,
            Overflow::Reject,
            Overflow::DropOldest,
            Overflow::DropNewest,
        ];
        Kind::Worker {
            restart: if stays { Restart::Permanent } else { restart[pick(world, 4)] },
            capacity: 1 << world.below(8),
            overflow: overflow[pick(world, 5)],
        }
    }

    /// The ledgers, their supervisors and the routers of keys are actors too.
    const fn fixtures(nodes: usize) -> usize {
        LEDGERS + 2 * nodes
    }

    /// Its actors, and its levels.
    pub(crate) fn extent(&self) -> (usize, usize) {
        let depth = self.entries.iter().map(|entry| entry.depth).max();
        (self.entries.len() + Self::fixtures(self.nodes), depth.unwrap_or(0))
    }

    pub(crate) const fn nodes(&self) -> usize {
        self.nodes
    }

    pub(crate) const fn ledgers(&self) -> usize {
        LEDGERS
    }

    pub(crate) fn node_name(number: usize) -> String {
        format!("n{number}")
    }

    pub(crate) fn ledger_node(&self, at: usize) -> &'static str {
        if at.is_multiple_of(self.nodes) { "n0" } else { "n1" }
    }

    pub(crate) fn ledger_name(at: usize) -> String {
        format!("books/{at}")
    }

    pub(crate) fn some_worker(&self, dice: u64) -> Option<(&'static str, &str)> {
        let at = self.workers.get(remainder(dice, self.workers.len()))?;
        let entry = self.entries.get(*at)?;
        Some((if entry.node == 0 { "n0" } else { "n1" }, &entry.path))
    }

    /// A worker without whom the tree goes on: not of those that are always started again.
    pub(crate) fn some_mortal(&self, dice: u64) -> Option<(&'static str, &str)> {
        let at = self.mortals.get(remainder(dice, self.mortals.len()))?;
        let entry = self.entries.get(*at)?;
        Some((if entry.node == 0 { "n0" } else { "n1" }, &entry.path))
    }

    /// The node and the path of a supervisor, and a child of it without which the tree goes on.
    pub(crate) fn some_child(&self, dice: u64) -> Option<(&'static str, &str, &str)> {
        let count = self.entries.len();
        let supervised = |at: &usize| {
            let parent = self.entries[*at].parent.filter(|parent| *parent > 0);
            parent.is_some_and(|at| matches!(self.entries[at].kind, Kind::Supervisor { .. }))
        };
        let at = (0..count).map(|more| (remainder(dice, count) + more) % count).find(supervised)?;
        let entry = &self.entries[at];
        let path = &self.entries[entry.parent?].path;
        Some((if entry.node == 0 { "n0" } else { "n1" }, path, &entry.name))
    }

    /// The number of a node.
    pub(crate) fn number(&self, node: &str) -> usize {
        usize::from(node == "n1")
    }

    /// Whether the actor of this name hears of events.
    pub(crate) fn subscribes(name: &str) -> bool {
        let own = name.rsplit('/').next().and_then(|own| own.strip_prefix('w'));
        let at = own.and_then(|own| own.parse::<usize>().ok());
        at.is_some_and(|at| at.is_multiple_of(8))
    }

    /// The workers that a worker starts itself.
    pub(crate) fn kin(&self, of: usize) -> Vec<usize> {
        (0..self.entries.len()).filter(|at| self.entries[*at].parent == Some(of)).collect()
    }

    /// How a worker is started.
    pub(crate) fn spawn(&self, at: usize) -> Spawn {
        let entry = &self.entries[at];
        let mailbox = match entry.kind {
            Kind::Worker { capacity, overflow, .. } => Mailbox::new(capacity, overflow),
            Kind::Supervisor { .. } => Mailbox::default(),
        };
        Spawn::named(&entry.name).mailbox(mailbox).shutdown(Duration::from_millis(100))
    }

    /// Starts a node's part of the plan.
    pub(crate) fn start(&self, shared: &Arc<Shared>, life: &Life<'_>) {
        let Life { number, node, .. } = *life;
        let books = (0..LEDGERS).filter(|at| at % self.nodes == number).fold(
            Supervisor::one_for_one("books").intensity(10_000, PERIOD),
            |books, at| {
                let spawn = Spawn::named(format!("{at}")).journal(Ledger::run(at));
                let on = Arc::clone(shared);
                books.child_with(spawn, Restart::Permanent, move || Ledger::new(&on))
            },
        );
        node.supervise(books);
        for (at, entry) in self.entries.iter().enumerate() {
            if entry.node == number && entry.parent.is_none() {
                node.supervise(self.supervisor(shared, at, life));
            }
        }
    }

    fn supervisor(&self, shared: &Arc<Shared>, at: usize, of: &Life<'_>) -> Supervisor {
        let entry = &self.entries[at];
        let Kind::Supervisor { intensity, strategy } = entry.kind else {
            return Supervisor::one_for_one("none");
        };
        let children = self.kin(at);
        let workers = children.iter().filter(|at| self.workers.contains(at)).count() as u64;
        // One that restarts each alone, and is itself started once in a life, restarts no more than it may.
        let counted = strategy == Strategy::OneForOne && entry.parent.is_none();
        let backoff =
            [Backoff::NONE, Backoff::new(Duration::from_millis(5), Duration::from_millis(80))];
        let supervisor = Supervisor::new(&entry.name, strategy)
            .intensity(intensity, PERIOD)
            .backoff(backoff[at % 2]);
        children.into_iter().fold(supervisor, |supervisor, child| {
            let Kind::Worker { restart, .. } = self.entries[child].kind else {
                return supervisor.supervisor(self.supervisor(shared, child, of));
            };
            let (on, path, node) = (Arc::clone(shared), entry.path.clone(), entry.node);
            // The first tree is charged for nothing, so that something goes on when the budget is used up.
            let spawn = self.spawn(child);
            let spawn = if at == 0 { spawn } else { spawn.budget(of.budget.clone()) };
            let life = of.life;
            supervisor.child_with(spawn, restart, move || {
                if counted {
                    on.oracle.born((node, life), &path, workers, u64::from(intensity));
                }
                Worker::new(&on, node, Some(child))
            })
        })
    }
}

fn pick(world: &World, bound: usize) -> usize {
    usize::try_from(world.below(bound as u64)).unwrap_or(0)
}

/// A place in a list of so many, for some dice.
pub(crate) fn remainder(dice: u64, count: usize) -> usize {
    usize::try_from(dice % count.max(1) as u64).unwrap_or(0)
}

//! The agent system of one node: its roster, its agents, its runs.
//!
//! Wraps a runtime [`Node`]; the facade's `Node` is this with the embedded engine.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicUsize, Ordering},
    },
    time::Duration,
};

use parking_lot::Mutex;
use protocol::Refusal;
use runtime::{
    address::Addr,
    admission::Admission,
    engine::journal::JournalError,
    events::{Filter, Received},
    graph::Graph,
    limiter::{Rate, RateLimiter},
    mailbox::{Mailbox, Overflow},
    node::{Node, Stopped},
    spawn::Spawn,
    supervisor::{Restart, Supervised, Supervisor},
    telemetry::metrics::Histogram,
};

use crate::{
    agent::{
        below::PatternAgent,
        call::{Behaviour, CallContext},
        function::{Blocking, Function},
        handle::{Agent, AgentBuilder},
        hearing::{self, Hearing},
    },
    assign::SlotId,
    dispatch::{Pattern, RunBuilder},
    limits::{RATE_KEYS_MAX, ROSTER_MAILBOX, ROSTER_RESTART_PERIOD, ROSTER_RESTARTS},
    pattern::{Counters, PatternKind, assignment_latency},
    roster::{self, Known, KnownSlot, Roster},
};

/// How a node was drained.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Drained {
    /// Runs that had not ended by the deadline.
    pub cut_off: usize,
    /// How the node then stopped.
    pub stopped: Stopped,
}

/// A node that has agents.
#[derive(Clone)]
pub struct AgentSystem(Arc<Inner>);

struct Inner {
    node: Node,
    roster: Addr<roster::Msg>,
    /// Has a coordinator for each run that goes on.
    runs: Supervised,
    known: Known,
    admission: Admission,
    /// By the number of the pattern.
    counters: [Arc<Counters>; PatternKind::ALL.len()],
    latency: Histogram,
    agents: AtomicU32,
    slots: AtomicU32,
    instances: AtomicUsize,
    /// The rate limits that agents share, by key.
    rates: Mutex<BTreeMap<String, (Rate, RateLimiter<()>)>>,
}

/// Why a key has no such rate limit.
pub(crate) enum RateRefused {
    /// It has another one.
    Other,
    /// There are too many keys.
    TooMany,
}

impl AgentSystem {
    /// Starts the roster on `node`, below a supervisor that starts it again, and the supervisor of the runs' coordinators.
    ///
    /// That one is stopped before all others: runs that are cut off see none of the agents go that they work with.
    pub fn start(node: Node) -> Self {
        let known = Known::default();
        let spawn = Spawn::named("roster").mailbox(Mailbox::new(ROSTER_MAILBOX, Overflow::Wait));
        let knows = known.clone();
        let birth = move || Roster::knowing(knows.clone());
        let supervisor = Supervisor::one_for_one("agents")
            .intensity(ROSTER_RESTARTS, ROSTER_RESTART_PERIOD)
            .child_with(spawn.clone(), Restart::Permanent, birth.clone());
        let roster = node.supervise(supervisor).child("roster");
        let roster = roster.unwrap_or_else(|| node.spawn(spawn, birth));
        let runs = node.supervise_as_last(Supervisor::one_for_one("runs"));
        Self(Arc::new(Inner {
            counters: PatternKind::ALL
                .map(|pattern| Arc::new(Counters::new(node.metrics(), pattern))),
            latency: assignment_latency(node.metrics()),
            node,
            roster,
            runs,
            known,
            admission: Admission::new(),
            agents: AtomicU32::new(0),
            slots: AtomicU32::new(0),
            instances: AtomicUsize::new(0),
            rates: Mutex::default(),
        }))
    }

    /// Describes an agent that is an async closure; see [`Function`].
    pub fn agent<I, O, E, W>(
        &self,
        name: impl Into<String>,
        function: impl Fn(I, CallContext) -> W + Send + Sync + 'static,
    ) -> AgentBuilder<I, O>
    where
        I: Send + 'static,
        O: Send + 'static,
        E: fmt::Display + Send + 'static,
        W: Future<Output = Result<O, E>> + Send + 'static,
    {
        self.agent_of(name, Arc::new(Function(function)))
    }

    /// Describes an agent that blocks or computes for long, on threads of its own; see [`Blocking`].
    pub fn blocking_agent<I, O, E>(
        &self,
        name: impl Into<String>,
        function: impl Fn(I, CallContext) -> Result<O, E> + Clone + Send + Sync + 'static,
    ) -> AgentBuilder<I, O>
    where
        I: Send + 'static,
        O: Send + 'static,
        E: fmt::Display + Send + 'static,
    {
        AgentBuilder::new(self.clone(), name, move |_, threads| {
            Arc::new(Blocking::new(function.clone(), threads))
        })
    }

    /// Describes an agent whose instances share one behaviour.
    pub fn agent_of<I: Send + 'static, O: Send + 'static>(
        &self,
        name: impl Into<String>,
        behaviour: Arc<dyn Behaviour<I, O>>,
    ) -> AgentBuilder<I, O> {
        self.agent_each(name, move |_| Arc::clone(&behaviour))
    }

    /// Describes an agent each of whose instances, numbered from 0, has a behaviour of its own: a process, a connection.
    pub fn agent_each<I: Send + 'static, O: Send + 'static>(
        &self,
        name: impl Into<String>,
        make: impl Fn(usize) -> Arc<dyn Behaviour<I, O>> + Send + 'static,
    ) -> AgentBuilder<I, O> {
        AgentBuilder::new(self.clone(), name, move |instance, _| make(instance))
    }

    /// Describes an agent each of whose calls is a run of a pattern below it: what `make` makes of the input. See
    /// [`CallContext::run`] for what passes from the call to its run.
    ///
    /// So a stage, a voter or whoever does parts may itself be a map_reduce, a pipeline or a vote.
    pub fn pattern_agent<I: Send + 'static, P: Pattern>(
        &self,
        name: impl Into<String>,
        make: impl Fn(I, CallContext) -> P + Send + Sync + 'static,
    ) -> AgentBuilder<I, P::Output> {
        let name = name.into();
        let behaviour = PatternAgent::new(&name, make);
        self.agent_of(name, Arc::new(behaviour))
    }

    /// Calls `agent` for each event that passes `filter`, published from now on; each call may take the time `within`.
    ///
    /// Of the events for somebody, those count that are for the agent by name (`agent/rust` for the agent `rust`) or for the run
    /// in `filter`. `into_input` makes the agent's input of an event, or of the number of events that were lost because the agent
    /// is slow. Calls run as far as the agent has places, [`HEARD_EVENTS_MAX`](crate::limits::HEARD_EVENTS_MAX) events wait. A
    /// call that fails is published as `task_failed`. It ends with the agent, or when the address returned is stopped.
    ///
    /// # Errors
    /// [`Code::Overloaded`](protocol::Code::Overloaded): the node has no more subscriptions; nothing was started.
    pub fn on<I: Send + 'static, O: Send + 'static>(
        &self,
        filter: Filter,
        agent: &Agent<I, O>,
        within: Duration,
        into_input: impl Fn(Received) -> Option<I> + Send + Sync + 'static,
    ) -> Result<Addr<hearing::Msg>, Refusal> {
        let (agent, into_input) = (agent.clone(), Arc::new(into_input));
        let spawn = Spawn::named(format!("agent/{}/hearing", agent.name()));
        let hearing = self.0.node.spawn(spawn, move || {
            let into_input = Arc::<_>::clone(&into_input);
            Hearing::new(agent.clone(), within, into_input)
        });
        hearing.subscribe(filter, hearing::Msg::Heard).inspect_err(|_| hearing.stop())?;
        Ok(hearing)
    }

    /// Describes a run of a pattern; awaiting it starts it and waits for its outcome.
    pub fn run<P: Pattern>(&self, pattern: P) -> RunBuilder<P> {
        RunBuilder::new(self.clone(), pattern)
    }

    /// The node below.
    pub fn node(&self) -> &Node {
        &self.0.node
    }

    /// What runs on the node, its agents' slots and its runs' coordinators among them; see [`Node::graph`].
    pub fn graph(&self) -> Graph {
        self.node().graph()
    }

    /// The door through which runs come in.
    pub fn admission(&self) -> &Admission {
        &self.0.admission
    }

    /// Takes no new runs, lets those that go on end `within` this time, then stops the node in reverse order and flushes its
    /// journal. A run that is cut off keeps what its journal has and may be taken up again.
    ///
    /// # Errors
    /// What the journal could not make durable.
    ///
    /// # Cancel safety
    /// Dropping the future leaves the door closed and the rest as it is.
    pub async fn drain(&self, within: Duration) -> Result<Drained, JournalError> {
        let admission = self.admission();
        admission.close();
        let node = self.node();
        let idle = async {
            tokio::select! {
                () = admission.idle() => {}
                () = node.sleep(within) => {}
            }
        };
        idle.await;
        let cut_off = admission.active();
        let stopped = node.close().await?;
        Ok(Drained { cut_off, stopped })
    }

    /// The rate limit of a key, which all that use it share.
    pub(crate) fn rate_limiter(
        &self,
        key: &str,
        rate: Rate,
    ) -> Result<RateLimiter<()>, RateRefused> {
        let mut rates = self.0.rates.lock();
        match rates.get(key) {
            Some((known, limiter)) if *known == rate => return Ok(limiter.clone()),
            Some(_) => return Err(RateRefused::Other),
            None if rates.len() >= RATE_KEYS_MAX => return Err(RateRefused::TooMany),
            None => {}
        }
        let limiter = RateLimiter::new(rate, 1);
        rates.insert(key.to_owned(), (rate, limiter.clone()));
        Ok(limiter)
    }

    /// What the runs of a pattern count.
    pub(crate) fn counters(&self, pattern: PatternKind) -> Arc<Counters> {
        let [map_reduce, pipeline, consensus, plan, hierarchy, swarm] = &self.0.counters;
        Arc::clone(match pattern {
            PatternKind::MapReduce => map_reduce,
            PatternKind::Pipeline => pipeline,
            PatternKind::Consensus => consensus,
            PatternKind::Plan => plan,
            PatternKind::Hierarchy => hierarchy,
            PatternKind::Swarm => swarm,
        })
    }

    /// How long work takes from its handing out to its begin at the slot, in seconds.
    pub(crate) fn latency(&self) -> &Histogram {
        &self.0.latency
    }

    pub(crate) fn roster(&self) -> &Addr<roster::Msg> {
        &self.0.roster
    }

    /// The supervisor of the runs' coordinators.
    pub(crate) fn runs(&self) -> &Supervised {
        &self.0.runs
    }

    /// Lets the roster's incarnations know a slot. None is lost: the roster's mailbox is larger than all slots of a node.
    pub(crate) fn join(&self, id: SlotId, slot: KnownSlot) {
        let KnownSlot { card, child, cancel, .. } = slot.clone();
        self.0.known.join(id, slot);
        if let Err(error) = self.0.roster.try_tell(roster::Msg::Join(id, card, child, cancel)) {
            tracing::error!(%error, "the roster takes no more slots");
        }
    }

    /// Whom the roster's incarnations know.
    pub(crate) fn known(&self) -> &Known {
        &self.0.known
    }

    pub(crate) fn next_agent(&self) -> u32 {
        self.0.agents.fetch_add(1, Ordering::Relaxed)
    }

    pub(crate) fn next_slot(&self) -> SlotId {
        SlotId(self.0.slots.fetch_add(1, Ordering::Relaxed))
    }

    pub(crate) fn next_instance(&self) -> usize {
        self.0.instances.fetch_add(1, Ordering::Relaxed)
    }
}

impl fmt::Debug for AgentSystem {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "AgentSystem({:?})", self.0.node)
    }
}

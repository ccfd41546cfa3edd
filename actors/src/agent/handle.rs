//! An agent as others see it: a name and the slots of its instances, each supervised on its own.
//!
//! Made by [`AgentBuilder::start`]; asked directly by actors and futures, or given to a pattern.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use runtime::{
    actor::ActorId,
    address::{Addr, Delivery, Target},
    ask::{AskError, Reply},
    breaker,
    child::ChildRef,
    context::AskTarget,
    limiter::{Rate, RateLimiter},
    mailbox::{Mailbox, Overflow},
    spawn::Spawn,
    supervisor::{Restart, Supervised, Supervisor},
    telemetry::metrics::{AGENTS_SILENT, BREAKERS_OPENED},
};

use super::{
    call::Behaviour,
    chain::{Direct, Heir, Link},
    gate::{Gate, Report},
    heartbeat::Stethoscope,
    slot::{self, Slot},
};
use crate::{
    assign::{AgentKey, Card, SlotId},
    limits::{
        AGENT_INSTANCES_MAX, AGENT_RESTART_PERIOD, AGENT_RESTARTS, FALLBACKS_MAX, HEARTBEAT_MIN,
        RATE_KEYS_MAX, SLOT_MAILBOX,
    },
    roster::{self, KnownSlot},
    system::{AgentSystem, RateRefused},
};

/// A running agent: cheap to clone; its instances restart behind it.
pub struct Agent<I, O>(Arc<Group<I, O>>);

struct Group<I, O> {
    key: AgentKey,
    /// By ascending id.
    slots: Vec<(SlotId, Addr<slot::Msg<I, O>>)>,
    supervisors: Vec<Supervised>,
    /// Calls of one instance at a time.
    concurrency: u32,
    turn: AtomicUsize,
    /// There is one where calls have a time of their own, or a fallback.
    link: Option<Link<I, O>>,
}

impl<I: Send + 'static, O: Send + 'static> Agent<I, O> {
    /// The agent's name.
    pub fn name(&self) -> &Arc<str> {
        &self.0.key.name
    }

    /// What tells it from other agents of its name.
    pub(crate) fn key(&self) -> &AgentKey {
        &self.0.key
    }

    /// How many instances were started.
    pub fn count(&self) -> usize {
        self.0.slots.len()
    }

    /// Asks one of the instances, in turn, and waits for the answer, at the most for `within`; what it fails at goes on to its
    /// [fallback](AgentBuilder::fallback) within that time.
    ///
    /// # Errors
    /// [`AskError::Failed`] when the agent failed at the work, else why there is no answer.
    ///
    /// # Cancel safety
    /// Dropping the future gives the answer up; the agent may still do the work.
    pub async fn ask(&self, input: I, within: Duration) -> Result<O, AskError> {
        if let Some(link) = &self.0.link {
            let (reply, promise) = link.node.promise(within);
            Direct::new(self, link, input).ask(reply);
            return promise.await?.map_err(Into::into);
        }
        let Some(slot) = self.next_slot() else { return Err(AskError::Stopped) };
        slot.ask(|reply| slot::Msg::Call(input, reply), within).await?.map_err(Into::into)
    }

    /// The agent and its fallbacks, in the order in which they are asked.
    pub(crate) fn chain(&self) -> Vec<Self> {
        let behind = |agent: &Self| Some(agent.0.link.as_ref()?.heir.as_ref()?.agent.clone());
        std::iter::successors(Some(self.clone()), behind).collect()
    }

    /// The time that each call has of its own.
    pub(crate) fn timeout(&self) -> Option<Duration> {
        self.0.link.as_ref()?.timeout
    }

    /// Ends every instance; work they have is lost, which its owners hear. Until they have [ended](Self::stopped) a run that starts
    /// may still be given one, which then costs it an attempt.
    pub fn stop(&self) {
        for supervisor in self.0.supervisors.iter().rev() {
            supervisor.stop();
        }
    }

    /// Waits until every instance has ended for good; from then on no run is given one.
    ///
    /// # Cancel safety
    /// Dropping the future changes nothing.
    pub async fn stopped(&self) {
        for supervisor in &self.0.supervisors {
            supervisor.stopped().await;
        }
    }

    /// An agent without instances: asks of it end as [`AskError::Stopped`]. For tests of actors that hold one.
    pub fn mock() -> Self {
        Self(Arc::new(Group {
            key: AgentKey { number: u32::MAX, name: "mock".into() },
            slots: Vec::new(),
            supervisors: Vec::new(),
            concurrency: 1,
            turn: AtomicUsize::new(0),
            link: None,
        }))
    }

    /// How many calls it can do at a time.
    pub(crate) fn places(&self) -> usize {
        let concurrency = usize::try_from(self.0.concurrency).unwrap_or(usize::MAX);
        self.0.slots.len().saturating_mul(concurrency)
    }

    /// The actors that stand for its instances.
    pub(crate) fn instances(&self) -> Vec<ChildRef> {
        self.0.slots.iter().map(|(_, slot)| slot.child()).collect()
    }

    /// The address of one instance.
    pub(crate) fn slot(&self, id: SlotId) -> Option<&Addr<slot::Msg<I, O>>> {
        let at = self.0.slots.binary_search_by_key(&id, |(slot, _)| *slot).ok()?;
        self.0.slots.get(at).map(|(_, addr)| addr)
    }

    pub(super) fn next_slot(&self) -> Option<&Addr<slot::Msg<I, O>>> {
        let slots = &self.0.slots;
        let first = self.0.turn.fetch_add(1, Ordering::Relaxed);
        (0..slots.len())
            .filter_map(|step| slots.get((first.wrapping_add(step)) % slots.len()))
            .map(|(_, addr)| addr)
            .find(|addr| !addr.is_stopped())
    }
}

impl<I: Send + 'static, O: Send + 'static> AskTarget<I, O> for Agent<I, O> {
    fn deliver_question(&self, question: I, reply: Reply<O>, from: ActorId) -> Delivery {
        if let (Some(link), Some((_, first))) = (&self.0.link, self.0.slots.first()) {
            Direct::new(self, link, question).ask(reply.fallible());
            return Delivery::Done(first.id());
        }
        match self.next_slot() {
            Some(slot) => slot.deliver(slot::Msg::Call(question, reply.fallible()), from),
            None => Delivery::Refused(AskError::Stopped, Box::new((question, reply))),
        }
    }
}

impl<I, O> Clone for Agent<I, O> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<I, O> fmt::Debug for Agent<I, O> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Agent({}, {} instances)", self.0.key.name, self.0.slots.len())
    }
}

type Make<I, O> = Box<dyn Fn(usize, u32) -> Arc<dyn Behaviour<I, O>> + Send>;

/// Describes an agent before it starts.
pub struct AgentBuilder<I, O> {
    system: AgentSystem,
    name: String,
    /// From the number of the instance and its calls at a time.
    make: Make<I, O>,
    count: usize,
    concurrency: u32,
    prefetch: u32,
    capabilities: Vec<String>,
    restarts: (u32, Duration),
    breaker: Option<breaker::Options>,
    limit: Option<(String, Rate)>,
    timeout: Option<Duration>,
    heir: Option<Heir<I, O>>,
    heartbeat: Option<Duration>,
}

/// Why an agent could not start.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StartError {
    /// No instance, or too many.
    #[error("agent `{name}` asks for {count} instances; 1 to {AGENT_INSTANCES_MAX} are possible")]
    Count {
        /// The agent.
        name: String,
        /// The instances it asked for.
        count: usize,
    },
    /// The key that it shares has another rate already.
    #[error(
        "agent `{name}` asks for {count} in {period:?} of `{key}`, which is limited to another rate already; give all its agents the same"
    )]
    Rate {
        /// The agent.
        name: String,
        /// The key.
        key: String,
        /// How many it asked for.
        count: u32,
        /// In which time.
        period: Duration,
    },
    /// There are too many keys.
    #[error("agent `{name}`: {RATE_KEYS_MAX} keys have a rate limit already; share some")]
    Keys {
        /// The agent.
        name: String,
    },
    /// Too many fallbacks stand behind one another.
    #[error(
        "agent `{name}` has {count} fallbacks behind one another; at most {FALLBACKS_MAX} are possible"
    )]
    Fallbacks {
        /// The agent.
        name: String,
        /// How many there are.
        count: usize,
    },
}

impl<I: Send + 'static, O: Send + 'static> AgentBuilder<I, O> {
    pub(crate) fn new(
        system: AgentSystem,
        name: impl Into<String>,
        make: impl Fn(usize, u32) -> Arc<dyn Behaviour<I, O>> + Send + 'static,
    ) -> Self {
        Self {
            system,
            name: name.into(),
            make: Box::new(make),
            count: 1,
            concurrency: 1,
            prefetch: 0,
            capabilities: Vec::new(),
            restarts: (AGENT_RESTARTS, AGENT_RESTART_PERIOD),
            breaker: None,
            limit: None,
            timeout: None,
            heir: None,
            heartbeat: None,
        }
    }

    /// Starts this many instances; 1 by default.
    #[must_use]
    pub fn count(mut self, instances: usize) -> Self {
        self.count = instances;
        self
    }

    /// Gives each instance this many calls at a time; 1 by default.
    #[must_use]
    pub fn concurrency(mut self, calls: u32) -> Self {
        self.concurrency = calls.max(1);
        self
    }

    /// Hands each instance this many calls more than it works on, so that it goes from one to the next without asking for it; 0 by
    /// default.
    ///
    /// For short calls: the wait in line counts towards a call's timeout, and a panic before it costs a call an attempt.
    #[must_use]
    pub fn prefetch(mut self, calls: u32) -> Self {
        self.prefetch = calls;
        self
    }

    /// Says what the agent can do, for `capability_match`.
    #[must_use]
    pub fn capabilities(
        mut self,
        capabilities: impl IntoIterator<Item = impl Into<String>>,
    ) -> Self {
        self.capabilities = capabilities.into_iter().map(Into::into).collect();
        self
    }

    /// Lets an instance restart this often within `period`; one more ends it, the others go on.
    #[must_use]
    pub fn restarts(mut self, restarts: u32, period: Duration) -> Self {
        self.restarts = (restarts, period);
        self
    }

    /// Gives each instance a circuit breaker: after so many failures in a row it is given no work for a while, then a few probes,
    /// and all of it again when these succeed. None by default.
    ///
    /// What it has not begun goes back, counts as no attempt, and is given to others as soon as one is free.
    #[must_use]
    pub fn breaker(mut self, options: breaker::Options) -> Self {
        self.breaker = Some(options);
        self
    }

    /// Lets all agents of `key` together begin no more calls than `rate` allows; calls beyond it wait for their turn, which counts
    /// towards their timeout.
    #[must_use]
    pub fn rate_limit(mut self, key: impl Into<String>, rate: Rate) -> Self {
        self.limit = Some((key.into(), rate));
        self
    }

    /// Gives each call this time, its wait in line included; without an answer by then it has failed. By default a direct call has
    /// its asker's time, and a part that of its run.
    #[must_use]
    pub fn timeout(mut self, within: Duration) -> Self {
        self.timeout = Some(within);
        self
    }

    /// Lets `agent` do what this one has failed at for good; what that one fails at goes on to its own fallback.
    ///
    /// A direct call goes on at once: when it failed, its time was up, the agent's breaker is open or no instance is left. A part of
    /// a run goes on when its retries are used up, or when all instances rest behind open breakers and the fallback has a place for
    /// it; the parts that wait by then come back to the agent when it is tried again. The same input goes along the whole chain, within one deadline and one budget; a call that is cancelled or whose input is refused goes nowhere. Since a fallback
    /// has started before the agent that it is behind, no chain is a circle.
    #[must_use]
    pub fn fallback(mut self, agent: &Agent<I, O>) -> Self
    where
        I: Clone,
    {
        self.heir = Some(Heir { agent: agent.clone(), copy: I::clone });
        self
    }

    /// What calls of the agent go through, where they go not straight to it.
    fn link(&mut self) -> Result<Option<Link<I, O>>, StartError> {
        let (timeout, heir) = (self.timeout, self.heir.take());
        let count = heir.as_ref().map_or(0, |heir| heir.agent.chain().len());
        if count > FALLBACKS_MAX {
            return Err(StartError::Fallbacks { name: self.name.clone(), count });
        }
        let node = self.system.node().clone();
        let is_plain = timeout.is_none() && heir.is_none();
        Ok((!is_plain).then_some(Link { node, timeout, heir }))
    }

    /// Expects a sign of life about every so often during a call, at least every 100 ms: a report of
    /// [progress](super::call::ProgressSink), or [`alive`](super::call::ProgressSink::alive). None by default.
    ///
    /// An agent that shows none for so long that it surely hangs, by phi accrual, is ended before its timeout: after one and a half
    /// to three and a half times `every`, later only where its beats were irregular. The call ends as lost, to be tried elsewhere,
    /// and the instance restarts.
    #[must_use]
    pub fn heartbeat(mut self, every: Duration) -> Self {
        self.heartbeat = Some(every.max(HEARTBEAT_MIN));
        self
    }

    /// The limit of the agent's key, shared with the others that use it.
    fn shared_limit(&self) -> Result<Option<RateLimiter<()>>, StartError> {
        let Some((key, rate)) = &self.limit else { return Ok(None) };
        let name = || self.name.clone();
        match self.system.rate_limiter(key, *rate) {
            Ok(limiter) => Ok(Some(limiter)),
            Err(RateRefused::TooMany) => Err(StartError::Keys { name: name() }),
            Err(RateRefused::Other) => {
                let Rate { count, period } = *rate;
                Err(StartError::Rate { name: name(), key: key.clone(), count, period })
            }
        }
    }

    /// Starts the instances, each under a supervisor of its own, and puts them on the roster.
    ///
    /// # Errors
    /// [`StartError`]: no instance or too many, a rate that its key cannot have, or too many fallbacks.
    pub fn start(mut self) -> Result<Agent<I, O>, StartError> {
        if self.count == 0 || self.count > AGENT_INSTANCES_MAX {
            return Err(StartError::Count { name: self.name, count: self.count });
        }
        let key = AgentKey { number: self.system.next_agent(), name: self.name.as_str().into() };
        let card = Card {
            agent: key.clone(),
            capabilities: self.capabilities.iter().cloned().collect(),
            concurrency: self.concurrency.saturating_add(self.prefetch),
        };
        let (limit, link) = (self.shared_limit()?, self.link()?);
        let (mut slots, mut supervisors) = (Vec::new(), Vec::new());
        for instance in 0..self.count {
            let (id, gate) = (self.system.next_slot(), Gate::new(self.breaker, limit.clone()));
            let supervised = self.start_instance((instance, id), &key.name, &gate);
            for child in supervised.children() {
                let Some(slot) = child.addr::<slot::Msg<I, O>>() else { continue };
                let (card, cancel) = (card.clone(), slot.recipient(slot::Msg::Cancel));
                self.system.join(id, KnownSlot { card, child, cancel, gate: gate.clone() });
                slots.push((id, slot));
            }
            supervisors.push(supervised);
        }
        let (concurrency, turn) = (self.concurrency, AtomicUsize::new(0));
        Ok(Agent(Arc::new(Group { key, slots, supervisors, concurrency, turn, link })))
    }

    fn start_instance(
        &self,
        (instance, id): (usize, SlotId),
        name: &Arc<str>,
        gate: &Gate,
    ) -> Supervised {
        let behaviour = (self.make)(instance, self.concurrency);
        let (concurrency, name) = (self.concurrency, Arc::clone(name));
        let (latency, system) = (self.system.latency().clone(), self.system.clone());
        let to = self.system.roster().recipient(move |health| roster::Msg::Health(id, health));
        let opened = self.system.node().metrics().counter(BREAKERS_OPENED, &[]);
        let (gate, report) = (gate.clone(), Report { to, opened });
        let silent = || self.system.node().metrics().counter(AGENTS_SILENT, &[]);
        let stethoscope = self.heartbeat.map(|every| Stethoscope { every, silent: silent() });
        let spawn = Spawn::named("slot").mailbox(Mailbox::new(SLOT_MAILBOX, Overflow::Wait));
        let number = self.system.next_instance();
        let supervisor = Supervisor::one_for_one(format!("agent/{}/{number}", self.name))
            .intensity(self.restarts.0, self.restarts.1)
            .child_with(spawn, Restart::Permanent, move || {
                Slot::new(Arc::clone(&behaviour), concurrency)
                    .of(Arc::clone(&name), latency.clone())
                    .within(system.clone())
                    .behind(gate.clone(), report.clone())
                    .listening(stethoscope.clone())
            });
        self.system.node().supervise(supervisor)
    }
}

impl<I, O> fmt::Debug for AgentBuilder<I, O> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "AgentBuilder({}, {} instances)", self.name, self.count)
    }
}

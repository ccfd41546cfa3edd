//! A vote before it is opened: the proposal, who votes by which agent, and how.
//!
//! Made by [`consensus`]; launched by dispatch.

use std::{borrow::Borrow, collections::BTreeMap, fmt, sync::Arc, time::Duration};

use runtime::retry::Retries;

use super::{
    Ballot, Decision, Electorate, Exact, Opening, OpeningError, Opinion, Proposal, Request, Rules,
    Voter, Weigh, Weighting, coordinator::Coordinator,
};
use crate::{
    agent::handle::Agent,
    dispatch::{Coordination, Launch, Pattern},
    limits::{ATTEMPT_TIMEOUT_DEFAULT, VOTERS_MAX},
    pattern::PatternKind,
};

/// A run of consensus before it starts.
///
/// Whatever the outcome of its vote is, the run completes with it; it fails only where the vote was cut off or could not be opened.
#[must_use = "a vote is opened when it is run"]
#[derive(Clone)]
pub struct Consensus {
    pub(super) name: String,
    pub(super) proposal: Proposal,
    pub(super) voters: Vec<(Voter, Agent<Request, Opinion>)>,
    pub(super) rules: Rules,
    pub(super) weigh: Option<Weigh>,
    pub(super) seed: Option<u64>,
    pub(super) within: Option<Duration>,
    pub(super) retries: Retries,
    pub(super) timeout: Duration,
}

/// Describes a vote: each voter's ballot is what its agent, or that agent's fallback, answers.
///
/// ```
/// use std::time::Duration;
/// use runtime::node::Node;
/// use synod_actors::{
///     pattern::consensus::{Opinion, Outcome, Proposal, Request, Rules, Voter, consensus},
///     system::AgentSystem,
/// };
///
/// # tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(async {
/// let system = AgentSystem::start(Node::in_memory()?);
/// let careful = |_: Request, _| async { Ok::<_, String>(Opinion::one("hold").because("it is Friday")) };
/// let bold = |_: Request, _| async { Ok::<_, String>(Opinion::one("ship")) };
/// let (ann, bob) = (system.agent("ann", careful).start()?, system.agent("bob", bold).start()?);
///
/// let ship = Proposal::new("Does it go out?", ["ship", "hold"]);
/// let voters = [(Voter::new("ann").expertise("2".parse()?), &ann), (Voter::new("bob"), &bob)];
/// let vote = consensus(ship, voters).rules(Rules { quorum: Some("2/3".parse()?), ..Rules::default() });
/// let done = system.run(vote).deadline(Duration::from_secs(60)).await?;
/// assert_eq!(done.value.outcome, Outcome::Consensus { choice: "hold".into() });
/// assert_eq!(done.value.reasoning[0].reasoning, "it is Friday");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn consensus<A: Borrow<Agent<Request, Opinion>>>(
    proposal: Proposal,
    voters: impl IntoIterator<Item = (Voter, A)>,
) -> Consensus {
    // One more than allowed, so that an endless iterator ends as a refusal.
    let voters = voters.into_iter().take(VOTERS_MAX + 1);
    Consensus {
        name: PatternKind::Consensus.as_str().to_owned(),
        proposal,
        voters: voters.map(|(voter, agent)| (voter, agent.borrow().clone())).collect(),
        rules: Rules::default(),
        weigh: None,
        seed: None,
        within: None,
        retries: Retries::default(),
        timeout: ATTEMPT_TIMEOUT_DEFAULT,
    }
}

impl Consensus {
    /// Sets how ballots become a decision.
    pub fn rules(mut self, rules: Rules) -> Self {
        self.rules = rules;
        self
    }

    /// Gives each round this time, at whose end it is closed with what has come in; the run's deadline by default.
    pub fn within(mut self, a_round: Duration) -> Self {
        self.within = Some(a_round);
        self
    }

    /// Weighs ballots by a function of ballot, proposal and voter; no early close then looks ahead.
    pub fn weigh(
        mut self,
        weigh: impl Fn(&Ballot, &Proposal, &Voter) -> Result<Exact, String> + Send + Sync + 'static,
    ) -> Self {
        self.weigh = Some(Arc::new(weigh));
        self
    }

    /// Sets the dice of the tie-breaker that throws them; by default a throw of the node's, which is recorded.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// Names the run in listings.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// Sets how often and when a voter's agent that failed is asked again; three times in all by default.
    pub fn retries(mut self, retries: Retries) -> Self {
        self.retries = retries;
        self
    }

    /// Gives each call of an agent this time, unless the agent's own is shorter.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Says what would be opened, with these dice.
    ///
    /// # Errors
    /// What of it contradicts itself; a run of it would fail with the same words.
    pub fn opening(&self, seed: u64) -> Result<Opening, OpeningError> {
        let electorate = Electorate::new(self.voters.iter().map(|(voter, _)| voter.clone()))?;
        let mut rules = self.rules.clone();
        match (&self.weigh, rules.weighting) {
            (Some(_), _) => rules.weighting = Weighting::Custom,
            (None, Weighting::Custom) => return Err(OpeningError::NoWeigh),
            (None, Weighting::Confident | Weighting::Expertise) => {}
        }
        Opening::new(self.proposal.clone(), electorate, rules, self.seed.unwrap_or(seed))
    }

    /// The agents of the voters, each with its fallbacks behind it, by ascending id of the voter.
    pub(super) fn chains(&self) -> Vec<Vec<Agent<Request, Opinion>>> {
        let by_id: BTreeMap<&str, &Agent<Request, Opinion>> =
            self.voters.iter().map(|(voter, agent)| (voter.id.as_str(), agent)).collect();
        by_id.into_values().map(Agent::chain).collect()
    }
}

impl Pattern for Consensus {
    type Output = Decision;

    fn launch(self, launch: Launch<Decision>) -> Coordination {
        let plan = Arc::new(self);
        launch.start(PatternKind::Consensus, move |brief, outcome| {
            Coordinator::new(brief, Arc::clone(&plan), outcome)
        })
    }
}

impl fmt::Debug for Consensus {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let voters = self.voters.iter().map(|(voter, _)| voter.id.as_str()).collect::<Vec<_>>();
        write!(out, "Consensus({}, {:?}, {voters:?})", self.name, self.proposal.choices)
    }
}

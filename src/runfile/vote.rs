//! `[consensus.NAME]`: read from a checked tree, checked against the rest of the file, filled in.
//!
//! # Invariants
//! What is built can be opened: [`Opening::new`] has said so.

use std::time::Duration;

use actors::pattern::consensus::{
    Electorate, Method, Opening, OpeningError, Proposal, Quorum, QuorumOf, Rules, TieBreaker,
    TieBreakerOn, Voter, Weighting,
};

use runtime::retry::Retries;

use super::build::{Fields, retry};
use super::cross::{field, known_agent, text};
use super::keys::{CONSENSUS, QUORUM, RETRY, ROUNDS};
use super::model::Name;
use super::problem::Problem;
use super::scalar;
use super::suggest::suggest;
use super::template::{Template, Values};
use super::tree::{Entry, Node, Table, Value};

/// One `[consensus.NAME]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Consensus<T = String> {
    /// What `main` calls it.
    pub name: Name,
    /// What is voted on.
    pub question: T,
    /// What the question is about.
    pub topic: String,
    /// The answers to choose from.
    pub choices: Vec<String>,
    /// The safest of them.
    pub otherwise: Option<String>,
    /// The one that leaves everything as it is.
    pub status_quo: Option<String>,
    /// Who votes, by the names of their agents.
    pub voters: Vec<Voter>,
    /// How ballots become a decision.
    pub rules: Rules,
    /// The dice of the tie-breaker that throws them.
    pub seed: Option<u64>,
    /// How long each round may take.
    pub within: Option<Duration>,
    /// How often and when a voter that failed is asked again.
    pub retry: Retries,
    /// The working directory of the voters' programs.
    pub path: T,
    /// The patterns that it comes after.
    pub after: Vec<Name>,
}

/// Builds the vote that a checked table stands for.
pub(super) fn build(entry: &Entry, table: &Table) -> Option<Consensus<Template>> {
    let fields = Fields { table, shape: &CONSENSUS };
    let veto = fields.strings("veto");
    let voter = |own: &Entry| {
        let expertise = scalar::weight(&own.node.value).ok()?;
        let voter = Voter::new(own.key.as_str()).expertise(expertise);
        Some(if veto.contains(&own.key) { voter.with_veto() } else { voter })
    };
    let voters = fields.node("voters")?;
    Some(Consensus {
        name: Name::new(&entry.key)?,
        question: Template::new(&fields.text("question")?),
        topic: fields.text("topic")?,
        choices: fields.strings("choices"),
        otherwise: fields.text("otherwise"),
        status_quo: fields.text("status_quo"),
        voters: voters.value.table()?.entries.iter().map(voter).collect::<Option<_>>()?,
        rules: rules(&fields)?,
        seed: fields.integer("seed").and_then(|seed| u64::try_from(seed).ok()),
        within: fields.duration("within"),
        retry: retry(&fields.inner("retry", &RETRY))?,
        path: Template::new(&fields.text("path")?),
        after: fields.names("after")?,
    })
}

fn rules(fields: &Fields<'_>) -> Option<Rules> {
    let quorum = fields.inner("quorum", &QUORUM);
    let share = |of: &Fields<'_>, key: &str| of.node(key).map(|node| scalar::share(&node.value));
    let mut tie_breakers = Vec::new();
    for breaker in fields.strings("tie_breakers") {
        tie_breakers.push(match breaker.as_str() {
            "another_round" => TieBreaker::AnotherRound,
            "status_quo" => TieBreaker::StatusQuo,
            "highest_confidence" => TieBreaker::HighestConfidence,
            "random" => TieBreaker::Random,
            _ => return None,
        });
    }
    tie_breakers.extend(fields.text("chair").map(TieBreaker::Chair));
    tie_breakers.extend(fields.text("otherwise").map(|_| TieBreaker::Conservative));
    let of = match quorum.text("of")?.as_str() {
        "electorate" => QuorumOf::Electorate,
        _ => QuorumOf::Cast,
    };
    let strict = quorum.boolean("strict");
    let (repeats, rounds) =
        (fields.table.entry("rounds").is_some(), fields.inner("rounds", &ROUNDS));
    let threshold = share(&rounds, "change_threshold").filter(|_| repeats);
    let quorum_share = share(&quorum, "share").transpose().ok()?;
    Some(Rules {
        method: method(&fields.text("rule")?)?,
        quorum: quorum_share.map(|share| Quorum { share, of, strict }),
        min_participation: share(&quorum, "participation")?.ok()?,
        weighting: match fields.text("weight")?.as_str() {
            "expertise" => Weighting::Expertise,
            _ => Weighting::Confident,
        },
        revisable: false,
        close_early: fields.boolean("early"),
        tie_breakers,
        tie_breaker_on: match fields.text("tie_breaker_on")?.as_str() {
            "tie" => TieBreakerOn::Tie,
            _ => TieBreakerOn::NoConsensus,
        },
        rounds: if repeats { rounds.count32("most")?.get() } else { 1 },
        change_threshold: threshold.transpose().ok()?,
    })
}

fn method(rule: &str) -> Option<Method> {
    Some(match rule {
        "plurality" => Method::Plurality,
        "majority" => Method::Majority,
        "supermajority" => Method::Supermajority,
        "unanimity" => Method::Unanimity,
        "approval" => Method::Approval,
        "borda" => Method::Borda,
        "schulze" => Method::Schulze,
        _ => return None,
    })
}

/// Fills in the texts of a vote.
pub(super) fn fill(vote: &Consensus<Template>, values: &Values) -> Consensus {
    Consensus {
        name: vote.name.clone(),
        question: vote.question.fill(values).unwrap_or_default(),
        topic: vote.topic.clone(),
        choices: vote.choices.clone(),
        otherwise: vote.otherwise.clone(),
        status_quo: vote.status_quo.clone(),
        voters: vote.voters.clone(),
        rules: vote.rules.clone(),
        seed: vote.seed,
        within: vote.within,
        retry: vote.retry,
        path: vote.path.fill(values).unwrap_or_else(|| ".".to_owned()),
        after: vote.after.clone(),
    }
}

impl<T> Consensus<T> {
    /// What is voted on, in these words.
    pub fn proposal(&self, question: impl Into<String>) -> Proposal {
        let mut proposal =
            Proposal::new(question, self.choices.iter().map(String::as_str)).topic(&*self.topic);
        proposal.safest.clone_from(&self.otherwise);
        proposal.status_quo.clone_from(&self.status_quo);
        proposal
    }

    /// The names of the voters, in the order of the file.
    pub fn names(&self) -> Vec<Name> {
        self.voters.iter().filter_map(|voter| Name::new(&voter.id)).collect()
    }
}

/// Finds every problem of a vote with itself and with the rest of the file.
pub(super) fn check(pattern: &Entry, root: &Table, problems: &mut Vec<Problem>) {
    let before = problems.len();
    voters(pattern, root, problems);
    choices(pattern, problems);
    for key in ["veto", "chair"] {
        let nodes = field(pattern, key).map(|entry| list(&entry.node)).unwrap_or_default();
        problems.extend(nodes.into_iter().filter_map(|node| is_voter(pattern, node, key)));
    }
    let wants = field(pattern, "tie_breakers").map(|entry| list(&entry.node)).unwrap_or_default();
    let wanted = wants.iter().find(|node| text(node) == Some("status_quo"));
    if let (Some(node), None) = (wanted, field(pattern, "status_quo")) {
        let problem = Problem::new(node.at, "there is no `status_quo` to decide for")
            .label("which choice is it?")
            .help_with("write `status_quo = \"…\"` beside it, or leave it out");
        problems.push(problem);
    }
    problems.extend(quorum(pattern));
    if problems.len() == before {
        problems.extend(opening(pattern));
    }
}

/// Checks that a quorum says of what it is, only if it says how much.
fn quorum(pattern: &Entry) -> Option<Problem> {
    let table = field(pattern, "quorum")?.node.value.table()?;
    let key = ["of", "strict"].into_iter().find_map(|key| table.entry(key))?;
    table.entry("share").is_none().then(|| {
        Problem::new(key.key_at, format!("`{}` says nothing without a `share`", key.key))
            .label("of how much?")
            .help_with("write `share = \"2/3\"` beside it, or delete it")
    })
}

/// The values of a list, or the one value that is there.
fn list(node: &Node) -> Vec<&Node> {
    node.value.list().map_or_else(|| vec![node], |nodes| nodes.iter().collect())
}

/// Checks who votes: agents of the file that can be asked.
fn voters(pattern: &Entry, root: &Table, problems: &mut Vec<Problem>) {
    let Some(own) = field(pattern, "voters") else { return };
    let Some(table) = own.node.value.table() else { return };
    if table.entries.is_empty() {
        let message = format!("the electorate of `consensus.{}` is empty", pattern.key);
        let problem = Problem::new(own.node.at, message)
            .label("nobody votes")
            .help_with("name agents with their expertise: `voters = { risk = 2, tests = 1 }`");
        problems.push(problem);
    }
    for voter in &table.entries {
        let name = Node { at: voter.key_at, value: Value::String(voter.key.clone()) };
        if let Some(problem) = known_agent(&name, root) {
            problems.push(problem);
            continue;
        }
        let agent = root.entries_of("agents").iter().find(|agent| agent.key == voter.key);
        let Some(agent) = agent else { continue };
        if field(agent, "builtin").is_some() {
            let problem = Problem::new(voter.key_at, format!("`{}` has no vote", voter.key))
                .label("a built-in reviewer finds, it does not choose")
                .also(agent.key_at, "the agent")
                .help_with("let a `command` or a `process` vote");
            problems.push(problem);
        }
        let argv = field(agent, "command").and_then(|entry| entry.node.value.list());
        let files = argv.into_iter().flatten().find(|node| text(node) == Some("{files}"));
        if let Some(files) = files {
            let problem = Problem::new(files.at, "a voter is given no files")
                .label("nothing would be here")
                .also(voter.key_at, format!("`{}` votes", voter.key))
                .help_with("leave it out: a voter works in the `path` of its vote");
            problems.push(problem);
        }
    }
}

/// Checks the choices against each other, and those that other keys name against them.
fn choices(pattern: &Entry, problems: &mut Vec<Problem>) {
    let Some(own) = field(pattern, "choices") else { return };
    let nodes = own.node.value.list().unwrap_or_default();
    let known: Vec<&str> = nodes.iter().filter_map(text).collect();
    if nodes.len() == 1 {
        let problem = Problem::new(own.node.at, "there is nothing to choose")
            .label("one choice")
            .help_with("a vote has at least two choices");
        problems.push(problem);
    }
    for (at, node) in nodes.iter().enumerate() {
        let earlier = nodes.get(..at).unwrap_or_default();
        if let Some(first) = earlier.iter().find(|other| text(other) == text(node)) {
            let problem = Problem::new(node.at, "a choice is named twice")
                .label("again")
                .also(first.at, "first here")
                .help_with("delete one of the two");
            problems.push(problem);
        }
    }
    for key in ["otherwise", "status_quo"] {
        let Some(entry) = field(pattern, key) else { continue };
        if let Some(choice) = text(&entry.node).filter(|choice| !known.contains(choice)) {
            let problem = Problem::new(entry.node.at, format!("`{choice}` is no choice"))
                .label("not among the choices")
                .also(own.key_at, "the choices")
                .help_with(suggest(choice, &known, "the choices are"));
            problems.push(problem);
        }
    }
}

fn is_voter(pattern: &Entry, node: &Node, key: &str) -> Option<Problem> {
    let name = text(node)?;
    let voters = field(pattern, "voters")?;
    let known: Vec<&str> =
        voters.node.value.table()?.entries.iter().map(|voter| voter.key.as_str()).collect();
    (!known.contains(&name)).then(|| {
        Problem::new(node.at, format!("`{name}` in `{key}` is no voter"))
            .label("does not vote")
            .also(voters.key_at, "the voters")
            .help_with(suggest(name, &known, "the voters are"))
    })
}

/// Says at its key why a vote that is right in all its parts could not be opened.
fn opening(pattern: &Entry) -> Option<Problem> {
    let vote = build(pattern, pattern.node.value.table()?)?;
    let electorate = Electorate::new(vote.voters.iter().cloned());
    let proposal = vote.proposal("?");
    let error = electorate
        .and_then(|electorate| Opening::new(proposal, electorate, vote.rules.clone(), 0))
        .err()?;
    let key = match &error {
        OpeningError::EmptyElectorate
        | OpeningError::TooManyVoters
        | OpeningError::SameVoter { .. }
        | OpeningError::Expertise { .. }
        | OpeningError::NoExpertise { .. } => "voters",
        OpeningError::Choices { .. } | OpeningError::SameChoice => "choices",
        OpeningError::Share { .. }
        | OpeningError::QuorumForMany
        | OpeningError::Supermajority { .. } => "quorum",
        OpeningError::Rounds { .. } | OpeningError::NoFurtherRound { .. } => "rounds",
        OpeningError::OneRound => "tie_breakers",
        OpeningError::Undeclared { .. }
        | OpeningError::Undeclarable { .. }
        | OpeningError::Chair { .. }
        | OpeningError::NoWeigh
        | OpeningError::Number(_) => "",
    };
    let at = field(pattern, key).map_or(pattern.key_at, |entry| entry.key_at);
    let help = "docs/CONSENSUS.md says what goes together";
    Some(Problem::new(at, error.to_string()).label("cannot be opened").help_with(help))
}

//! The pattern that a test runs: who does its work, and what can be said of a run of its kind.
//!
//! [`cross`](super::cross) calls it, and refuses by it what would never count.

use super::super::model::{
    Agent, AgentKind, Consensus, Hierarchy, MapReduce, Name, Pipeline, Planning, RunFile, crew_of,
};
use super::super::problem::Problem;
use super::super::suggest::suggest;
use super::super::template::Template;
use super::super::tree::{Node, Table};
use super::build::each;

/// A pattern with all who may do its work, and that of the patterns that it comes after.
pub(super) struct Team<'f> {
    pub(super) name: &'f str,
    /// Who does the work of any of the patterns, each once.
    pub(super) agents: Vec<&'f Agent<Template>>,
    kind: Kind<'f>,
    /// Those of the patterns that run, each alone, this one last.
    patterns: Vec<Self>,
}

/// What kind of pattern it is.
#[derive(Clone, Copy)]
enum Kind<'f> {
    MapReduce(&'f MapReduce<Template>),
    Consensus(&'f Consensus<Template>),
    Pipeline(&'f Pipeline<Template>),
    Swarm,
    Hierarchy(&'f Hierarchy<Template>),
}

/// What is said of a run of one kind of pattern alone: the kind, as `[KIND.NAME]` names it, and the keys.
const OF_ONE_KIND: [(&str, &[&str]); 4] = [
    ("map_reduce", &["findings", "finding"]),
    ("consensus", &["choice", "confidence", "reasoning", "abstains"]),
    ("pipeline", &["done", "passes", "stage"]),
    ("swarm", &["cost", "ticks", "pattern"]),
];

/// What only one kind of pattern comes to: the kind, what a pattern is called that comes to it, and the outcomes.
const OUTCOMES_OF_ONE_KIND: [(&str, &str, &[&str]); 2] = [
    (
        "consensus",
        "vote",
        &["consensus", "tie_broken", "no_decision", "insufficient_participation", "vetoed"],
    ),
    ("hierarchy", "rollout", &["rolled_out", "rolled_back"]),
];

impl<'f> Team<'f> {
    /// The team of the pattern of this name, with those before it.
    pub(super) fn of(run_file: &'f RunFile, name: &str) -> Option<Self> {
        let (name, team) = Self::alone(run_file, name)?;
        let order = run_file.order_of(name).into_iter();
        let patterns = order.filter_map(|name| Some(Self::alone(run_file, name.as_str())?.1));
        let patterns: Vec<Self> = patterns.collect();
        let mut agents = team.agents.clone();
        for agent in patterns.iter().flat_map(|team| &team.agents) {
            if agents.iter().all(|other| other.name != agent.name) {
                agents.push(agent);
            }
        }
        Some(Self { agents, patterns, ..team })
    }

    /// The pattern of this name, and its team without those before it.
    fn alone(run_file: &'f RunFile, name: &str) -> Option<(&'f Name, Self)> {
        let is = |own: &Name| own.as_str() == name;
        let reviews = run_file.map_reduces.iter().filter(|own| is(&own.name));
        let reviews =
            reviews.map(|own| (&own.name, own.workers.names().to_vec(), Kind::MapReduce(own)));
        let votes = run_file.votes.iter().filter(|own| is(&own.name));
        let votes = votes.map(|own| (&own.name, own.names(), Kind::Consensus(own)));
        let pipelines = run_file.pipelines.iter().filter(|own| is(&own.name));
        let pipelines = pipelines.map(|own| (&own.name, own.names(), Kind::Pipeline(own)));
        let swarms = run_file.swarms.iter().filter(|own| is(&own.name));
        let swarms = swarms.map(|own| (&own.name, Vec::new(), Kind::Swarm));
        let teams = run_file.hierarchies.iter().filter(|own| is(&own.name));
        let teams = teams.map(|own| (&own.name, own.names(), Kind::Hierarchy(own)));
        let all = reviews.chain(votes).chain(pipelines).chain(swarms).chain(teams);
        let (name, names, kind) = { all }.next()?;
        let agents = crew_of(&run_file.agents, &names);
        Some((name, Self { name: name.as_str(), agents, kind, patterns: Vec::new() }))
    }

    /// Those of the patterns that an agent works in, each alone; the whole team where it works in none.
    fn of_agent(&self, agent: &str) -> Vec<&Self> {
        let works = |team: &&Self| team.agents.iter().any(|own| own.name.as_str() == agent);
        let teams: Vec<&Self> = self.patterns.iter().filter(works).collect();
        if teams.is_empty() { vec![self] } else { teams }
    }

    /// The names of all patterns.
    pub(super) fn names(run_file: &RunFile) -> Vec<&str> {
        let reviews = run_file.map_reduces.iter().map(|own| own.name.as_str());
        let votes = run_file.votes.iter().map(|own| own.name.as_str());
        let pipelines = run_file.pipelines.iter().map(|own| own.name.as_str());
        let swarms = run_file.swarms.iter().map(|own| own.name.as_str());
        let teams = run_file.hierarchies.iter().map(|own| own.name.as_str());
        reviews.chain(votes).chain(pipelines).chain(swarms).chain(teams).collect()
    }

    /// What a mock of this agent could do.
    pub(super) fn example(&self, agent: &str) -> String {
        match self.of_agent(agent).first().map_or(self.kind, |team| team.kind) {
            Kind::MapReduce(_) => "says = []".to_owned(),
            Kind::Consensus(vote) => {
                format!("says = {:?}", vote.choices.first().map_or("", String::as_str))
            }
            Kind::Pipeline(_) | Kind::Swarm => "passes = true".to_owned(),
            Kind::Hierarchy(_) => "says = {}".to_owned(),
        }
    }

    /// Refuses a cassette of a program that is given what differs from run to run.
    pub(super) fn unrepeatable(&self, test: &Table) -> Option<Problem> {
        let in_stages = self.patterns.iter().find_map(|team| team.unrepeatable_stage(test));
        in_stages
            .or_else(|| self.patterns.iter().find_map(|team| self.unrepeatable_data(team, test)))
    }

    /// Of one pattern that is told what a pipeline has brought, with its times.
    fn unrepeatable_data(&self, told: &Self, test: &Table) -> Option<Problem> {
        let cassette = test.entry("cassette")?;
        let after = match told.kind {
            Kind::MapReduce(own) => &own.after,
            Kind::Consensus(own) => &own.after,
            Kind::Hierarchy(own) => &own.after,
            Kind::Pipeline(_) | Kind::Swarm => return None,
        };
        let is_timed = |team: &&Self| match team.kind {
            Kind::Pipeline(own) => {
                after.contains(&own.name)
                    && own.stages.iter().any(|stage| stage.transform.is_some())
            }
            Kind::MapReduce(_) | Kind::Consensus(_) | Kind::Swarm | Kind::Hierarchy(_) => false,
        };
        let timed = self.patterns.iter().find(is_timed)?;
        let agent = told.agents.iter().find(|agent| told.is_played(&agent.name, test))?;
        let words = format!(
            "what `{}` is told of `{}` says by `metadata` when it was made, so no recorded answer fits it",
            told.name, timed.name
        );
        let help = format!("mock `{}`, or delete each `transform` of `{}`", agent.name, timed.name);
        Some(Problem::new(cassette.key_at, words).label("cannot be played back").help_with(help))
    }

    /// Whether an agent is a program whose recorded answers are played back.
    fn is_played(&self, name: &Name, test: &Table) -> bool {
        let agent = self.agents.iter().find(|agent| agent.name == *name);
        let is_mocked = test.entries_of("mock").iter().any(|mock| mock.key == name.as_str());
        !is_mocked && agent.is_some_and(|agent| !matches!(agent.kind, AgentKind::Builtin(_)))
    }

    /// Of one pipeline that adds to a document when something was made of it.
    fn unrepeatable_stage(&self, test: &Table) -> Option<Problem> {
        let (Kind::Pipeline(pipeline), Some(cassette)) = (self.kind, test.entry("cassette")) else {
            return None;
        };
        let stages = pipeline.stages.iter().skip_while(|stage| stage.transform.is_none()).skip(1);
        let stage = stages.into_iter().find(|stage| self.is_played(&stage.agent, test))?;
        let words = format!(
            "what stage `{}` is given says by `metadata` when it was made, so no recorded answer fits it",
            stage.name
        );
        let help = format!("mock `{}`, or delete the `transform` before it", stage.agent);
        Some(Problem::new(cassette.key_at, words).label("cannot be played back").help_with(help))
    }

    /// Finds what a mock says that this agent never does in any of the patterns that it works in.
    pub(super) fn mock(&self, agent: &str, node: &Node) -> Vec<Problem> {
        let found = self.of_agent(agent).into_iter().map(|team| team.mock_alone(node));
        found.min_by_key(Vec::len).unwrap_or_default()
    }

    fn mock_alone(&self, node: &Node) -> Vec<Problem> {
        let Some(mock) = node.value.table() else { return Vec::new() };
        let mut problems = self.foreign(mock);
        match self.kind {
            Kind::MapReduce(_) | Kind::Swarm => {}
            Kind::Hierarchy(_) => problems.extend(no_files(mock, (self.kind(), "worker"))),
            Kind::Consensus(vote) => {
                problems.extend(mock.node("says").into_iter().flat_map(|says| chosen(says, vote)));
                problems.extend(no_files(mock, (self.kind(), "voter")));
                problems.extend(unsaid(mock));
            }
            Kind::Pipeline(pipeline) => {
                problems.extend(mock.node("stage").and_then(|node| stage(node, pipeline)));
            }
        }
        problems
    }

    /// Finds what a condition says that is never so of a run of this team.
    pub(super) fn condition(&self, node: &Node) -> Vec<Problem> {
        let Some(condition) = node.value.table() else { return Vec::new() };
        let mut problems = self.foreign(condition);
        let outcomes = condition.node("outcome").map_or(&[][..], each);
        if let Kind::Consensus(vote) = self.kind {
            let choices = condition.node("choice").map_or(&[][..], each);
            problems.extend(choices.iter().filter_map(|node| choice(node, vote)));
        }
        for (kind, what, names) in OUTCOMES_OF_ONE_KIND {
            let is_own = match self.kind {
                Kind::Hierarchy(own) => {
                    kind == "hierarchy" && matches!(own.planning, Planning::Rollout(_))
                }
                Kind::MapReduce(_) | Kind::Consensus(_) | Kind::Pipeline(_) | Kind::Swarm => {
                    kind == self.kind()
                }
            };
            let is_named =
                |node: &&Node| node.value.text().is_some_and(|text| names.contains(&text));
            if let Some(named) = outcomes.iter().filter(|_| !is_own).find(is_named) {
                let problem = Problem::new(named.at, format!("`{}` is no {what}", self.name))
                    .label(format!("only a {what} comes to this"))
                    .help_with(format!("delete it, or name a {kind} in `run`"));
                problems.push(problem);
            }
        }
        problems
    }

    fn kind(&self) -> &'static str {
        match self.kind {
            Kind::MapReduce(_) => "map_reduce",
            Kind::Consensus(_) => "consensus",
            Kind::Pipeline(_) => "pipeline",
            Kind::Swarm => "swarm",
            Kind::Hierarchy(_) => "hierarchy",
        }
    }

    /// Refuses keys that say something of another kind of pattern.
    fn foreign(&self, table: &Table) -> Vec<Problem> {
        let others = OF_ONE_KIND.into_iter().filter(|(kind, _)| *kind != self.kind());
        let of = others.flat_map(|(kind, keys)| keys.iter().map(move |key| (kind, *key)));
        let wrong = of.filter_map(|(kind, key)| {
            let entry = table.entry(key)?;
            let words = format!("`{key}` says nothing of a {}", self.kind());
            let problem = Problem::new(entry.key_at, words)
                .label(format!("of a {kind} alone"))
                .help_with(format!("delete it: `{}` is a {}", self.name, self.kind()));
            Some(problem)
        });
        wrong.collect()
    }
}

/// Checks the choices that a voter says: one, a list, or those of a ballot.
fn chosen(says: &Node, vote: &Consensus<Template>) -> Vec<Problem> {
    let ballot = says.value.table().and_then(|table| table.node("choice"));
    each(ballot.unwrap_or(says)).iter().filter_map(|node| choice(node, vote)).collect()
}

/// Refuses a choice that there is not.
fn choice(node: &Node, vote: &Consensus<Template>) -> Option<Problem> {
    let name = node.value.text()?;
    let known: Vec<&str> = vote.choices.iter().map(String::as_str).collect();
    (!known.contains(&name)).then(|| {
        Problem::new(node.at, format!("`{}` has no choice `{name}`", vote.name))
            .label("not among the choices")
            .help_with(suggest(name, &known, "the choices are"))
    })
}

/// Refuses a stage that there is not.
fn stage(node: &Node, pipeline: &Pipeline<Template>) -> Option<Problem> {
    let name = node.value.text()?;
    let known: Vec<&str> = pipeline.stages.iter().map(|stage| stage.name.as_str()).collect();
    (!known.contains(&name)).then(|| {
        Problem::new(node.at, format!("`{}` has no stage `{name}`", pipeline.name))
            .label("not in the pipeline")
            .help_with(suggest(name, &known, "the stages are"))
    })
}

/// Refuses `on` where nobody is given files.
fn no_files(mock: &Table, (kind, who): (&str, &str)) -> Option<Problem> {
    let on = mock.entry("on")?;
    Some(
        Problem::new(on.key_at, format!("`on` says nothing of a {kind}"))
            .label(format!("a {who} is given no files"))
            .help_with(format!(
                "delete it; a list of mocks is for the {who}'s calls one after the other"
            )),
    )
}

/// Refuses how sure a voter is, and why, where it says nothing or says it itself.
fn unsaid(mock: &Table) -> Option<Problem> {
    let more = ["confidence", "reasoning"].into_iter().find_map(|key| mock.entry(key))?;
    let says = mock.node("says");
    if says.is_some_and(|says| says.value.table().is_none()) {
        return None;
    }
    let (words, help) = match says {
        Some(_) => ("is said twice", "write it in `says`, with the choice"),
        None if mock.entry("abstains").is_some() && more.key == "reasoning" => return None,
        None => ("is that of no choice", "write the choice beside it, as in `says = \"ship\"`"),
    };
    Some(Problem::new(more.key_at, format!("`{}` {words}", more.key)).label("here").help_with(help))
}

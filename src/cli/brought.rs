//! What a pattern has brought as people read it, each kind in its own way; what is found in reviews, [`result`](super::result)
//! shows itself.
//!
//! [`result`](super::result) calls it with what a run was told, [`show`](super::show) with what its journal tells.

use actors::pattern::{hierarchy::Report as Account, pipeline::Report as Passages};
use serde::Serialize;

use super::{ballots::Voted, missions, passages, swarms};
use crate::job::{Plan, Swarmed, Work};

/// What a pattern has brought; its name is the key of a JSON document.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Brought {
    /// A vote.
    Vote(Box<Voted>),
    /// What became of the documents of a pipeline.
    Pipeline(Passages),
    /// What a swarm has found.
    Swarm(Box<Swarmed>),
    /// What teams have done.
    Hierarchy(Box<Account>),
}

impl Brought {
    /// All of it as lines of text.
    pub fn text(&self) -> String {
        match self {
            Self::Vote(vote) => vote.text(),
            Self::Pipeline(passages) => passages::text(passages),
            Self::Swarm(swarm) => swarms::text(swarm),
            Self::Hierarchy(account) => missions::text(account),
        }
    }

    /// All of it as Markdown, below a title that is its own where it has one.
    pub fn markdown(&self, title: &str, facts: &[String]) -> String {
        match self {
            Self::Vote(vote) => vote.markdown(facts),
            Self::Pipeline(passages) => passages::markdown(passages, title, facts),
            Self::Swarm(swarm) => swarms::markdown(swarm, title, facts),
            Self::Hierarchy(account) => missions::markdown(account, title, facts),
        }
    }

    /// The same as one page that needs nothing else; above it the picture of the plan that it is in, if it is in one.
    pub fn html(&self, (title, plan): (&str, &str), facts: &[String]) -> String {
        match self {
            Self::Vote(vote) => vote.html(facts, plan),
            Self::Pipeline(passages) => passages::html(passages, (title, plan), facts),
            Self::Swarm(swarm) => swarms::html(swarm, (title, plan), facts),
            Self::Hierarchy(account) => missions::html(account, (title, plan), facts),
        }
    }
}

/// The kinds of runs, each with its words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Work that was split.
    Review,
    /// A question that was voted on.
    Vote,
    /// Documents that went through stages.
    Pipeline,
    /// Agents of its own that looked for something.
    Swarm,
    /// A mission of teams.
    Hierarchy,
}

impl Kind {
    /// That of the pattern that was asked for.
    pub fn of(plan: &Plan) -> Self {
        match plan.main() {
            Work::Review(_) => Self::Review,
            Work::Vote(_) => Self::Vote,
            Work::Pipeline(_) => Self::Pipeline,
            Work::Swarm(_) => Self::Swarm,
            Work::Hierarchy(_) => Self::Hierarchy,
        }
    }

    /// What has no findings.
    pub const fn without_findings(self) -> Option<&'static str> {
        match self {
            Self::Review => None,
            Self::Vote => Some("a vote"),
            Self::Pipeline => Some("a pipeline"),
            Self::Swarm => Some("a swarm"),
            Self::Hierarchy => Some("a hierarchy"),
        }
    }

    /// What was done of what is looked at.
    pub const fn title(self) -> &'static str {
        match self {
            Self::Review | Self::Vote => "Review",
            Self::Pipeline => "Documents",
            Self::Swarm => "Swarm",
            Self::Hierarchy => "Mission",
        }
    }

    /// What the work comes in, and how that is done.
    pub const fn units(self) -> (&'static str, &'static str) {
        match self {
            Self::Review | Self::Vote => ("piece", " of work"),
            Self::Pipeline => ("document", ""),
            Self::Swarm => ("tick", ""),
            Self::Hierarchy => ("task", ""),
        }
    }

    /// What may have no result.
    pub const fn failed(self) -> &'static str {
        match self {
            Self::Review => "Parts without a result",
            Self::Vote => "Voters that failed",
            Self::Pipeline => "Documents that failed",
            Self::Swarm => "Agents that failed",
            Self::Hierarchy => "Tasks that failed",
        }
    }
}

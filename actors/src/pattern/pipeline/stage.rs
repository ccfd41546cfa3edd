//! A stage: an agent with those behind it, what may go in and come out, and what becomes of that.

use std::{fmt, sync::Arc, time::Duration};

use runtime::retry::Retries;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use super::{
    Schema,
    link::{Link, Typed},
};
use crate::{
    agent::handle::Agent,
    limits::{
        ATTEMPT_TIMEOUT_DEFAULT, FALLBACKS_MAX, STAGE_NAME_BYTES_MAX, STAGE_WINDOW_DEFAULT,
        STAGE_WINDOW_MAX,
    },
    pattern::link::taken,
};

/// What a stage knows of the document and the call behind an output.
#[derive(Clone, Copy, Debug)]
pub struct About<'a> {
    /// The document's number, from 0.
    pub document: u32,
    /// Its name.
    pub name: &'a str,
    /// The stage.
    pub stage: &'a str,
    /// Who answered; empty before anyone has.
    pub agent: &'a str,
    /// The calls that were made at this stage.
    pub attempts: u32,
    /// How long the call took.
    pub took: Duration,
    /// The present time, in Unix milliseconds.
    pub at: i64,
}

/// Makes of an agent's answer what goes on.
pub(super) type Transform = Arc<dyn Fn(Value, &About<'_>) -> Result<Value, String> + Send + Sync>;

/// Judges an answer beside what it is the answer to.
pub(super) type Validate = Arc<dyn Fn(&Value, &Value) -> Result<(), String> + Send + Sync>;

/// One stage of a pipeline.
#[derive(Clone)]
pub struct Stage {
    pub(super) name: Arc<str>,
    pub(super) links: Vec<Arc<dyn Link>>,
    pub(super) input: Option<Schema>,
    pub(super) output: Option<Schema>,
    pub(super) transform: Option<Transform>,
    pub(super) validate: Option<Validate>,
    pub(super) timeout: Duration,
    pub(super) window: usize,
    pub(super) retries: Retries,
    problems: Vec<String>,
}

/// A stage that `agent` does: it gets each document as its own type of input.
///
/// The agent's own fallbacks stand behind it.
pub fn stage<I, O>(name: impl Into<String>, agent: &Agent<I, O>) -> Stage
where
    I: DeserializeOwned + Send + 'static,
    O: Serialize + Send + 'static,
{
    stage_with(name, agent, |document, _| taken(document))
}

/// A stage whose agent gets what `take` makes of each document.
pub fn stage_with<I, O>(
    name: impl Into<String>,
    agent: &Agent<I, O>,
    take: impl Fn(&Value, &About<'_>) -> Result<I, String> + Send + Sync + 'static,
) -> Stage
where
    I: Send + 'static,
    O: Serialize + Send + 'static,
{
    let mut stage = Stage {
        name: name.into().into(),
        links: Vec::new(),
        input: None,
        output: None,
        transform: None,
        validate: None,
        timeout: ATTEMPT_TIMEOUT_DEFAULT,
        window: STAGE_WINDOW_DEFAULT,
        retries: Retries::default(),
        problems: Vec::new(),
    };
    stage.add(agent, take);
    stage
}

impl Stage {
    /// Asks `agent` where those before it have failed for good: at each call, or because what they said was not valid.
    #[must_use]
    pub fn fallback<I, O>(self, agent: &Agent<I, O>) -> Self
    where
        I: DeserializeOwned + Send + 'static,
        O: Serialize + Send + 'static,
    {
        self.fallback_with(agent, |document, _| taken(document))
    }

    /// As [`fallback`](Self::fallback), for an agent that gets what `take` makes of each document.
    #[must_use]
    pub fn fallback_with<I, O>(
        mut self,
        agent: &Agent<I, O>,
        take: impl Fn(&Value, &About<'_>) -> Result<I, String> + Send + Sync + 'static,
    ) -> Self
    where
        I: Send + 'static,
        O: Serialize + Send + 'static,
    {
        self.add(agent, take);
        self
    }

    /// Refuses documents that this JSON Schema forbids, before an agent is asked: a document that is not valid fails.
    #[must_use]
    pub fn input(mut self, schema: &Value) -> Self {
        self.input = self.compile("input", schema);
        self
    }

    /// Takes an answer that this JSON Schema forbids for a failure of the agent.
    #[must_use]
    pub fn output(mut self, schema: &Value) -> Self {
        self.output = self.compile("output", schema);
        self
    }

    /// Takes an answer for a failure of the agent unless `validate` finds it good, of the document (first) and the answer.
    ///
    /// It is asked after the output schema, in a step of an actor: it computes for a moment, and waits for nothing.
    #[must_use]
    pub fn validate(
        mut self,
        validate: impl Fn(&Value, &Value) -> Result<(), String> + Send + Sync + 'static,
    ) -> Self {
        self.validate = Some(Arc::new(validate));
        self
    }

    /// Makes of each answer that is valid what goes on to the next stage, or out of the last.
    ///
    /// It computes for a moment, and waits for nothing; where it fails, the agent counts as having failed.
    #[must_use]
    pub fn transform(
        mut self,
        transform: impl Fn(Value, &About<'_>) -> Result<Value, String> + Send + Sync + 'static,
    ) -> Self {
        self.transform = Some(Arc::new(transform));
        self
    }

    /// Sets the time that each call may take; an agent's own time may be shorter. Five minutes by default.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Lets at most this many documents into the stage at a time, those that wait for the next stage included; 64 by default.
    #[must_use]
    pub fn window(mut self, documents: usize) -> Self {
        self.window = documents;
        self
    }

    /// Sets how failed calls of each agent are repeated, before the next agent is asked.
    #[must_use]
    pub fn retries(mut self, retries: Retries) -> Self {
        self.retries = retries;
        self
    }

    fn compile(&mut self, what: &str, schema: &Value) -> Option<Schema> {
        match Schema::new(schema) {
            Ok(schema) => Some(schema),
            Err(why) => {
                let name = &self.name;
                self.problems.push(format!("the {what} schema of stage `{name}` is none: {why}"));
                None
            }
        }
    }

    fn add<I, O>(
        &mut self,
        agent: &Agent<I, O>,
        take: impl Fn(&Value, &About<'_>) -> Result<I, String> + Send + Sync + 'static,
    ) where
        I: Send + 'static,
        O: Serialize + Send + 'static,
    {
        let take: Arc<_> = Arc::new(take);
        for agent in agent.chain() {
            if !self.links.iter().any(|link| link.agent().key() == agent.key()) {
                let take = Arc::<_>::clone(&take);
                let link = Typed { agent, take: Box::new(move |value, about| take(value, about)) };
                self.links.push(Arc::new(link));
            }
        }
    }

    /// What is wrong with it.
    pub(super) fn problems(&self) -> Vec<String> {
        let (name, mut problems) = (&self.name, self.problems.clone());
        if name.is_empty() || name.contains('/') || name.len() > STAGE_NAME_BYTES_MAX {
            problems.push(format!(
                "`{name}` is no name of a stage; give it 1 to {STAGE_NAME_BYTES_MAX} bytes without `/`"
            ));
        }
        if self.window == 0 || self.window > STAGE_WINDOW_MAX {
            let window = self.window;
            problems.push(format!(
                "stage `{name}` has a window of {window} documents; 1 to {STAGE_WINDOW_MAX} are possible"
            ));
        }
        if self.timeout.is_zero() {
            problems
                .push(format!("stage `{name}` has no time for a call; give it a timeout above 0"));
        }
        if self.links.len() > FALLBACKS_MAX + 1 {
            let count = self.links.len() - 1;
            problems.push(format!(
                "stage `{name}` has {count} fallbacks; at most {FALLBACKS_MAX} are possible"
            ));
        }
        problems
    }
}

impl fmt::Debug for Stage {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let agents: Vec<&str> = self.links.iter().map(|link| &**link.agent().name()).collect();
        write!(out, "Stage({}, {agents:?}, window {})", self.name, self.window)
    }
}

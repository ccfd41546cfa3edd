//! pipeline: many documents go through stages, each done by an agent, with what may go in and come out checked at each.
//!
//! [`pipeline()`] describes a run; [`AgentSystem::run`](crate::system::AgentSystem::run) starts its coordinator. Documents are JSON;
//! [`stage()`] says who does a stage, and how.
//!
//! # Invariants
//! - A document is in one stage at a time; a stage never has more documents than its window, so a slow one stops the intake.
//! - What passes a stage is in the journal before the next stage gets it; it is accepted once.
//! - A document that fails fails alone, with its stage named. There is no barrier: none waits for another, unless in order.

mod coordinator;
mod document;
mod journal;
mod line;
mod link;
mod record;
mod report;
mod schema;
mod stage;
mod worker;

use std::{collections::BTreeSet, fmt, sync::Arc};

use parking_lot::Mutex;
use serde_json::{Map, Value, json};

pub use document::Document;
pub use journal::{Recount, recount};
pub use record::{Record, StageBegan};
pub use report::{Passage, PassageEnd, Report, Spread, StageFigures, Step};
pub use schema::Schema;
pub use stage::{About, Stage, stage, stage_with};

use coordinator::Coordinator;
use document::Source;

use super::PatternKind;
use crate::{
    dispatch::{Coordination, Launch, Pattern},
    limits::STAGES_MAX,
};

/// A run of a pipeline before it starts.
pub struct Pipeline {
    source: Source,
    plan: Plan,
}

/// Describes a run: each document goes through all stages, many at a time.
///
/// Documents are pulled one by one, when the first stage has room; the iterator is asked in a step of an actor, so it must not
/// wait: what reads files belongs into the first stage. A run that is taken up again is given the same documents again, and skips
/// those that had come in.
///
/// ```
/// use std::time::Duration;
/// use runtime::node::Node;
/// use serde_json::json;
/// use synod_actors::{pattern::pipeline::{pipeline, stage}, system::AgentSystem};
///
/// # tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(async {
/// let system = AgentSystem::start(Node::in_memory()?);
/// let words = system.agent("words", |text: String, _| async move {
///     Ok::<_, String>(text.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
/// });
/// let count = system.agent("count", |words: Vec<String>, _| async move { Ok::<_, String>(words.len()) });
/// let stages = [
///     stage("words", &words.start()?).output(&json!({ "type": "array", "minItems": 1 })),
///     stage("count", &count.start()?).transform(|count, about| Ok(json!({ "of": about.name, "count": count }))),
/// ];
/// let run = pipeline(["two words", "", "three more words"], stages);
/// let done = system.run(run).deadline(Duration::from_secs(60)).await?;
/// let outputs: Vec<_> = done.value.outputs().collect();
/// assert_eq!(outputs, [(0, &json!({ "of": "document 0", "count": 2 })), (2, &json!({ "of": "document 2", "count": 3 }))]);
/// assert!(done.failed[0].error.contains("stage `words`"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn pipeline<D>(documents: D, stages: impl IntoIterator<Item = Stage>) -> Pipeline
where
    D: IntoIterator<Item: Into<Document> + 'static, IntoIter: Send + 'static>,
{
    let name = PatternKind::Pipeline.as_str().to_owned();
    let stages = stages.into_iter().take(STAGES_MAX + 1).collect();
    let plan = Plan { name, stages, ordered: false, output: None, problems: Vec::new() };
    Pipeline { source: Source::new(documents.into_iter().map(Into::into)), plan }
}

impl Pipeline {
    /// Sets what the run is called in listings.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.plan.name = name.into();
        self
    }

    /// Keeps the order of the intake: no document goes on to a stage, or leaves the last, before an earlier one that may still do
    /// so. Within a stage, as many run at a time as its window and its agents allow.
    #[must_use]
    pub fn ordered(mut self) -> Self {
        self.plan.ordered = true;
        self
    }

    /// Takes what leaves the last stage, its transform included, for a failure of its agent where this JSON Schema forbids it.
    #[must_use]
    pub fn output(mut self, schema: &Value) -> Self {
        match Schema::new(schema) {
            Ok(schema) => self.plan.output = Some(schema),
            Err(why) => {
                self.plan.problems.push(format!("the pipeline's output schema is none: {why}"));
            }
        }
        self
    }
}

impl Pattern for Pipeline {
    type Output = Report;

    fn launch(self, launch: Launch<Report>) -> Coordination {
        let (plan, source) = (Arc::new(self.plan), Arc::new(Mutex::new(self.source)));
        launch.start(PatternKind::Pipeline, move |brief, outcome| {
            Coordinator::new(brief, Arc::clone(&plan), Arc::clone(&source), outcome)
        })
    }
}

impl fmt::Debug for Pipeline {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Pipeline({:?}, {:?})", self.source, self.plan.stages)
    }
}

/// What a run does: the same for its coordinator and its workers.
struct Plan {
    name: String,
    stages: Vec<Stage>,
    ordered: bool,
    output: Option<Schema>,
    problems: Vec<String>,
}

impl Plan {
    fn stage(&self, stage: u32) -> Option<&Stage> {
        self.stages.get(stage as usize)
    }

    /// The stage behind this one.
    fn next(&self, stage: u32) -> Option<u32> {
        Some(stage + 1).filter(|next| self.stage(*next).is_some())
    }

    /// The schema of what leaves this stage, if it is the last.
    fn last_output(&self, stage: u32) -> Option<&Schema> {
        self.output.as_ref().filter(|_| self.next(stage).is_none())
    }

    /// Numbers a document's passing of a stage.
    fn unit(&self, document: u32, stage: u32) -> u64 {
        u64::from(document) * self.stages.len() as u64 + u64::from(stage)
    }

    /// What events say of a document at a stage.
    fn about(&self, document: u32, stage: u32, name: &str) -> Map<String, Value> {
        let mut data = Map::new();
        data.insert("unit".to_owned(), json!(self.unit(document, stage)));
        data.insert("part".to_owned(), json!(document));
        data.insert("name".to_owned(), json!(name));
        data.insert("stage".to_owned(), json!(self.stage(stage).map(|stage| &*stage.name)));
        data
    }

    fn began(&self) -> Vec<StageBegan> {
        let name = |link: &Arc<dyn link::Link>| link.agent().name().to_string();
        let stage = |stage: &Stage| StageBegan {
            name: stage.name.to_string(),
            agents: stage.links.iter().map(name).collect(),
        };
        self.stages.iter().map(stage).collect()
    }

    /// The agents of all stages, those behind them included.
    fn agents(&self) -> usize {
        self.stages.iter().map(|stage| stage.links.len()).sum()
    }

    /// Everything that is wrong with it.
    ///
    /// # Errors
    /// All of it, with what to change.
    fn check(&self) -> Result<(), String> {
        let mut problems = self.problems.clone();
        match self.stages.len() {
            0 => problems.push("a pipeline has no stages; give it one at the least".to_owned()),
            count if count > STAGES_MAX => problems.push(format!(
                "a pipeline has {count} stages or more; at most {STAGES_MAX} are possible"
            )),
            _ => {}
        }
        let mut names = BTreeSet::new();
        for stage in &self.stages {
            problems.extend(stage.problems());
            if !names.insert(&stage.name) {
                problems.push(format!(
                    "two stages are called `{}`; give them names of their own",
                    stage.name
                ));
            }
        }
        if problems.is_empty() { Ok(()) } else { Err(problems.join("; ")) }
    }
}

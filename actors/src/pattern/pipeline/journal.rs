//! A pipeline made anew from its journal: what `synod show` tells of a run, whoever runs it or did.

use std::sync::Arc;

use runtime::engine::journal::{Journal, records};
use serde_json::Value;

use super::{Passage, PassageEnd, Record, Report, StageBegan, StageFigures, Step};
use crate::{agent::Walk, pattern::bounds::clip};

/// Makes the report of a run anew from its journal: of one that goes on, or was cut off, what there is so far.
///
/// What only the process knew that ran it is left at 0: how full a stage was, and how often its actor was started anew.
///
/// # Errors
/// The journal cannot be read, or its records are not those of a pipeline.
pub fn recount(journal: &dyn Journal, run: protocol::RunId) -> Result<Report, String> {
    let mut recount = Recount::default();
    for record in records(journal, run) {
        let record = record.map_err(|error| error.to_string())?;
        recount.take(runtime::record::decode(&record)?)?;
    }
    Ok(recount.report())
}

/// A report on its way: takes the records of a run in their order.
#[derive(Debug, Default)]
pub struct Recount {
    stages: Vec<StageBegan>,
    report: Report,
    /// By document, what it is now.
    values: Vec<Arc<Value>>,
    /// By document, who has left it to the next of the chain where it is.
    walks: Vec<Option<Walk>>,
}

impl Recount {
    /// Takes the next record.
    ///
    /// # Errors
    /// It names a document or a stage that no record before it does.
    pub fn take(&mut self, record: Record) -> Result<(), String> {
        match record {
            Record::Began { stages, .. } => {
                let figures = |stage: &StageBegan| StageFigures {
                    name: stage.name.clone(),
                    ..StageFigures::default()
                };
                self.report.stages = stages.iter().map(figures).collect();
                self.stages = stages;
            }
            Record::Entered { document, name, content, .. } => {
                let stage = self.stages.first().map(|stage| stage.name.clone());
                let end = PassageEnd::Open { stage: stage.unwrap_or_default() };
                self.report.documents.push(Passage { document, name, steps: Vec::new(), end });
                self.walks.push(None);
                self.values.push(Arc::new(content));
            }
            Record::Passed {
                document, stage, agent, attempts, at, waited, micros, output, ..
            } => {
                let fallback = agent > 0;
                let (name, agent) = self.named(stage, agent)?;
                let (waited_micros, took_micros, resumed) = (waited, micros, false);
                let value = self.values.get_mut(document as usize);
                let value = value.ok_or_else(|| format!("document {document} never came in"))?;
                if let Some(output) = output {
                    *value = Arc::new(output);
                }
                let output = Arc::clone(value);
                let step = Step {
                    stage: name,
                    agent,
                    attempts,
                    fallback,
                    at,
                    waited_micros,
                    took_micros,
                    resumed,
                    output,
                };
                self.pass((document, stage), step)?;
            }
            Record::FellBack { document, stage, agent, error, .. } => {
                let (_, name) = self.named(stage, agent)?;
                let links = self.stages.get(stage as usize).map_or(0, |stage| stage.agents.len());
                if let Some(walk) = self.walks.get_mut(document as usize) {
                    walk.get_or_insert_with(|| Walk::new(links)).passed(&name, &error);
                }
            }
            Record::Failed { document, stage, agent, attempts, error, .. } => {
                let story = self.walks.get(document as usize).and_then(Option::as_ref);
                let why = clip(format!("{error}{}", story.map_or_else(String::new, Walk::story)));
                let (name, agent) = match agent {
                    Some(agent) => {
                        let (name, agent) = self.named(stage, agent)?;
                        (name, Some(agent.to_string()))
                    }
                    None => (self.named(stage, 0)?.0, None),
                };
                if let Some(figures) = self.report.stages.get_mut(stage as usize) {
                    figures.failed += 1;
                    figures.attempts += u64::from(attempts);
                }
                let stage = name.to_string();
                self.passage(document)?.end =
                    PassageEnd::Failed { stage, agent, attempts, error, why };
            }
            Record::Dry { .. } | Record::Spent { .. } | Record::Ended(_) => {}
        }
        Ok(())
    }

    /// What the records say.
    pub fn report(self) -> Report {
        self.report
    }

    /// Puts a document behind a stage that it has passed.
    fn pass(&mut self, (document, stage): (u32, u32), step: Step) -> Result<(), String> {
        let next = self.stages.get(stage as usize + 1).map(|next| next.name.clone());
        if let Some(figures) = self.report.stages.get_mut(stage as usize) {
            figures.count(&step);
            figures.attempts += u64::from(step.attempts);
        }
        if let Some(walk) = self.walks.get_mut(document as usize) {
            *walk = None;
        }
        let passage = self.passage(document)?;
        passage.steps.push(step);
        passage.end = next.map_or(PassageEnd::Done, |stage| PassageEnd::Open { stage });
        Ok(())
    }

    fn passage(&mut self, document: u32) -> Result<&mut Passage, String> {
        let passage = self.report.documents.get_mut(document as usize);
        passage.ok_or_else(|| format!("document {document} never came in"))
    }

    /// A stage's name, and that of an agent of its chain.
    fn named(&self, stage: u32, agent: u32) -> Result<(Arc<str>, Arc<str>), String> {
        let unknown = || format!("the run began without agent {agent} of stage {stage}");
        let of = self.stages.get(stage as usize).ok_or_else(unknown)?;
        let agent = of.agents.get(agent as usize).ok_or_else(unknown)?;
        Ok((of.name.as_str().into(), agent.as_str().into()))
    }
}

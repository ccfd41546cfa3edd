//! Restoring: what the journal says of the run before, and where its documents go on.

use super::*;

impl Coordinator {
    pub(super) fn restore(&mut self, record: Record) -> Result<(), String> {
        match record {
            Record::Began { stages, .. } => self.began = Some(stages),
            Record::Entered { document, name, content, .. } => {
                if document as usize != self.documents.len() {
                    return Err(format!("document {document} came in out of turn"));
                }
                self.documents.push(Entry::new(&name, &Arc::new(content)));
            }
            Record::Dry { .. } => self.dry = true,
            Record::Passed {
                document, stage, agent, attempts, at, waited, micros, output, ..
            } => {
                let of = self.plan.stage(stage);
                let agent_name = of.and_then(|of| of.links.get(agent as usize));
                let input = self.documents.get(document as usize).and_then(Entry::input);
                let output = output.map(Arc::new).or_else(|| input.map(Arc::clone));
                let Some(output) = output else {
                    return Err(format!("document {document} never came in"));
                };
                let step = Step {
                    stage: of.map_or_else(|| "".into(), |of| Arc::clone(&of.name)),
                    agent: agent_name
                        .map_or_else(|| "".into(), |link| Arc::clone(link.agent().name())),
                    attempts,
                    fallback: agent > 0,
                    at,
                    waited_micros: waited,
                    took_micros: micros,
                    resumed: true,
                    output,
                };
                if let Some(entry) = self.entry(document) {
                    entry.pass(stage, step);
                }
            }
            Record::Failed { document, stage, agent, attempts, error, .. } => {
                let plan = Arc::clone(&self.plan);
                if let Some(entry) = self.entry(document) {
                    let why = format!("{error}{}", story(&plan, stage, &entry.fallen));
                    entry.at = At::Failed(Box::new(Fate { stage, agent, attempts, error, why }));
                    entry.content = None;
                }
            }
            Record::FellBack { document, agent, attempts, error, .. } => {
                if let Some(entry) = self.entry(document) {
                    entry.fallen.push((agent, error));
                    entry.attempts = attempts;
                }
            }
            Record::Spent(cost) => self.spending.replay(cost),
            // The run was ended by its deadline or its owner and is now taken up again.
            Record::Ended(_) => {}
        }
        Ok(())
    }

    /// Puts each document of an earlier life where it goes on: before the stage that it has not passed.
    pub(super) fn take_up(&mut self) {
        for document in 0..u32::try_from(self.documents.len()).unwrap_or(u32::MAX) {
            let Some(entry) = self.documents.get_mut(document as usize) else { continue };
            for (step, seat) in entry.steps.iter().zip(&mut self.seats) {
                seat.figures.count(step);
            }
            match &entry.at {
                At::Outside | At::In(_) => self.returning.push_back(document),
                At::Ready(stage) if *stage as usize + 1 == self.seats.len() => {
                    entry.at = At::Done;
                    self.closed += 1;
                    self.tally.done += 1;
                    self.tally.resumed += 1;
                }
                At::Ready(stage) => {
                    if let Some(seat) = self.seats.get_mut(*stage as usize) {
                        seat.line.enter(document);
                        seat.line.ready(document);
                    }
                }
                At::Failed(fate) => {
                    self.closed += 1;
                    if let Some(seat) = self.seats.get_mut(fate.stage as usize) {
                        seat.figures.failed += 1;
                    }
                }
                At::Done => {}
            }
        }
    }
}

/// Who failed before the last, as a [`Walk`](crate::agent::Walk) tells it.
fn story(plan: &Plan, stage: u32, fallen: &[(u32, AgentError)]) -> String {
    let Some(stage) = plan.stage(stage) else { return String::new() };
    let mut walk = crate::agent::Walk::new(stage.links.len());
    for (link, error) in fallen {
        if let Some(link) = stage.links.get(*link as usize) {
            walk.passed(link.agent().name(), error);
        }
    }
    walk.story()
}

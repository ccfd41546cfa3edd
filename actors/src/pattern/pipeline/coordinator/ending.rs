//! Ending: early or when all is done; recorded, told.

use super::*;
use crate::pattern::{
    FailedPart,
    bounds::clip,
    ending::End,
    pipeline::report::{Passage, PassageEnd},
};

impl Coordinator {
    /// Ends the run before all is done: running calls are cancelled and given a moment to end.
    pub(super) fn stop_early(&mut self, kind: FailureKind, cx: &mut In) {
        if self.phase != Phase::Running {
            return;
        }
        self.ending = Some(kind);
        self.phase = Phase::Stopping;
        for seat in &self.seats {
            cx.send(&seat.worker, worker::Msg::Stop);
        }
        if self.seats.is_empty() {
            return self.end(cx);
        }
        cx.after(QUIESCENCE_WAIT, Msg::Quiesced);
    }

    /// Records how the run ended, tells whoever waits, and stops.
    pub(super) fn end(&mut self, cx: &mut In) {
        if self.phase == Phase::Ended {
            return;
        }
        self.phase = Phase::Ended;
        self.record_spent(cx);
        self.tally.units = self.units();
        let report = self.report();
        self.tally.fallbacks = report.stages.iter().map(|stage| stage.fallbacks).sum();
        let failed: Vec<FailedPart> = report.documents.iter().filter_map(failure).collect();
        let value = match self.ending.take() {
            None => Ok(report),
            Some(kind) => Err((kind, Some(report))),
        };
        let (tally, agents) = (self.tally.clone(), self.plan.agents());
        let end = End { value, failed, tally, agents };
        self.brief.end(end, Record::Ended, self.outcome.take(), cx);
        self.phase_span = tracing::Span::none();
    }

    fn report(&mut self) -> Report {
        let plan = Arc::clone(&self.plan);
        let stages = self.seats.iter_mut().map(|seat| {
            seat.figures.most_inside = seat.line.most() as u64;
            seat.figures.clone()
        });
        let stages = stages.collect();
        let entries = (0..).zip(std::mem::take(&mut self.documents));
        let documents = entries.map(|(document, entry)| passage(document, entry, &plan)).collect();
        Report { documents, stages }
    }
}

fn passage(document: u32, entry: Entry, plan: &Plan) -> Passage {
    let Entry { name, steps, at, .. } = entry;
    let stage_name =
        |stage: u32| plan.stage(stage).map_or_else(String::new, |of| of.name.to_string());
    let end = match at {
        At::Done => PassageEnd::Done,
        At::Outside => PassageEnd::Open { stage: stage_name(0) },
        At::In(stage) => PassageEnd::Open { stage: stage_name(stage) },
        // In order, it may have waited for its turn behind the last.
        At::Ready(stage) => match plan.next(stage) {
            Some(next) => PassageEnd::Open { stage: stage_name(next) },
            None => PassageEnd::Done,
        },
        At::Failed(fate) => {
            let Fate { stage, agent, attempts, error, why } = *fate;
            let links = plan.stage(stage).map(|of| of.links.as_slice()).unwrap_or_default();
            let agent =
                agent.and_then(|agent| Some(links.get(agent as usize)?.agent().name().to_string()));
            PassageEnd::Failed { stage: stage_name(stage), agent, attempts, error, why }
        }
    };
    Passage { document, name: name.to_string(), steps, end }
}

/// A document that failed, as all patterns tell it.
fn failure(passage: &Passage) -> Option<FailedPart> {
    let PassageEnd::Failed { stage, agent, attempts, why, .. } = &passage.end else { return None };
    Some(FailedPart {
        part: passage.document,
        name: passage.name.clone(),
        agent: agent.clone().unwrap_or_default(),
        attempts: *attempts,
        error: clip(format!("stage `{stage}`: {why}")),
    })
}

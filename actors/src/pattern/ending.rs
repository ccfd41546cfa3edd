//! The end of a run, as most patterns tell it: its record, its counters, its event, its outcome.

use runtime::{actor::Actor, ask::Reply, context::Cx, events::EventKind};
use serde::Serialize;
use serde_json::json;

use super::{
    Brief, Completed, Ended, FailedPart, FailureKind, Outcome, RunError, Tally, bounds::fitting,
    brief::millis,
};

/// How a run ended.
pub(super) struct End<T> {
    /// What came of it; or why it did not complete, and what there is of it.
    pub(super) value: Result<T, (FailureKind, Option<T>)>,
    /// Pieces of work without a result.
    pub(super) failed: Vec<FailedPart>,
    pub(super) tally: Tally,
    /// How many took part.
    pub(super) agents: usize,
}

impl Brief {
    /// Ends the run and its coordinator: records that, behind which it is published and told to whoever waits.
    pub(super) fn end<A: Actor, R: Serialize, T: Send + 'static>(
        &self,
        end: End<T>,
        record: impl FnOnce(Ended) -> R,
        waits: Option<Reply<Outcome<T>>>,
        cx: &mut Cx<A>,
    ) {
        let (run, End { value, failed, tally, agents }) = (self.run, end);
        let failure = value.as_ref().err().map(|(kind, _)| kind.clone());
        self.counters.ended(failure.as_ref(), agents);
        let (at, few) = (millis(cx), fitting(&failed));
        let ended = Ended { at, failure: failure.clone(), failed: few, tally: tally.clone() };
        cx.record(&record(ended));
        cx.publish(EventKind::RunEnded, Some(run), || json!({ "failure": failure }));
        if let Some(reply) = waits {
            let outcome = match value {
                Ok(value) => Ok(Completed { run, value, failed, tally }),
                Err((kind, partial)) => {
                    Err(Box::new(RunError { run, kind, partial, failed, tally }))
                }
            };
            cx.reply(reply, outcome);
        }
        cx.stop();
    }
}

//! `findings.merge`: folds the reviews of all parts, as they arrive, into one report.

use std::sync::Arc;

use actors::pattern::{
    FailedPart,
    map_reduce::{Done, Reduce},
};
use review::{Review, merge::Fold, merge::Report};
use serde::Deserialize;
use serde_json::Value;

use super::Files;

/// Folds reviews into a report; the order in which they come does not matter.
#[derive(Debug, Default)]
pub struct Merge {
    fold: Fold,
}

impl Merge {
    /// A fold that knows what was not looked at, and nothing else yet.
    pub fn new(files: &Arc<Files>) -> Self {
        let mut fold = Fold::default();
        fold.add(Review { skipped: files.skipped().to_vec(), ..Review::default() });
        Self { fold }
    }

    /// Takes a review as it was answered.
    ///
    /// # Errors
    /// It is none.
    pub(super) fn take(&mut self, answer: &Value) -> Result<(), String> {
        let review = Review::deserialize(answer);
        self.fold.add(review.map_err(|error| format!("a result is no review: {error}"))?);
        Ok(())
    }
}

impl Reduce<Value> for Merge {
    type Output = Report;

    fn absorb(&mut self, done: Done<Value>) -> Option<Done<Value>> {
        match Review::deserialize(&done.output) {
            Ok(review) => {
                self.fold.add(review);
                None
            }
            Err(_) => Some(done),
        }
    }

    fn reduce(&mut self, results: &[Done<Value>]) -> Result<Report, String> {
        match results.first() {
            None => Ok(std::mem::take(&mut self.fold).into_report()),
            Some(wrong) => Err(format!("what {} said of {} is no review", wrong.agent, wrong.name)),
        }
    }

    fn reduce_partial(
        &mut self,
        results: &[Done<Value>],
        _: &[FailedPart],
        _: Option<&str>,
    ) -> Result<Report, String> {
        // Missing parts leave a report of the others; an answer that is no review does not.
        self.reduce(results)
    }
}

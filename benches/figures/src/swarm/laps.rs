//! Times the ticks of a swarm from the end of the first one, so that births and ends do not count.
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result};
use synod::actors::swarm::Model;
use synod::actors::swarm::detect::{Detector, Finding, Sight};

use crate::clock::Watch;

/// Looks at the clock after each tick.
#[derive(Clone, Default)]
pub(crate) struct Laps(Arc<Mutex<Option<(Watch, Duration)>>>);

impl Laps {
    /// The time from the end of the first tick to the end of the last.
    pub(crate) fn time(&self) -> Result<Duration> {
        let laps = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        laps.as_ref().map(|(_, time)| *time).context("a swarm without a tick")
    }
}

impl<M: Model> Detector<M> for Laps {
    fn detect(&self, _: &M, _: Sight<'_, M>) -> Finding<M::Solution> {
        let mut laps = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (first, time) = laps.get_or_insert_with(|| (Watch::start(), Duration::ZERO));
        *time = first.time();
        Finding::Nothing
    }
}

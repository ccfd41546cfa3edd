//! How large the trees are and what happens in them: measured while they live, so that what is said of them is so.
//!
//! Each tree has an [`Extent`]; [`Totals`] is what the soak prints of all of them.

use std::{
    collections::BTreeMap,
    fmt,
    ops::RangeInclusive,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
};

use synod_runtime::child::ChildRef;

/// Actors of a tree, and its levels.
pub(crate) const ACTORS: RangeInclusive<usize> = 20..=200;
pub(crate) const DEPTH: RangeInclusive<usize> = 2..=6;
/// Faults that each tree meets at least, and messages that its workers, ledgers and keyed actors take.
pub(crate) const FAULTS_MIN: u64 = 10;
pub(crate) const DELIVERIES_MIN: u64 = 2_000;

/// What one tree has come to.
#[derive(Default)]
pub(crate) struct Extent {
    /// The most actors that lived at once, of all moments at which somebody looked.
    actors: AtomicUsize,
    depth: AtomicUsize,
    deliveries: AtomicU64,
}

impl Extent {
    /// Looks at all actors that live now.
    pub(crate) fn look(&self, actors: &[ChildRef]) {
        let levels = actors.iter().map(|actor| 1 + actor.name().matches('/').count());
        self.actors.fetch_max(actors.len(), Ordering::Relaxed);
        self.depth.fetch_max(levels.max().unwrap_or(0), Ordering::Relaxed);
    }

    /// A message is taken.
    pub(crate) fn delivers(&self) {
        self.deliveries.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn deliveries(&self) -> u64 {
        self.deliveries.load(Ordering::Relaxed)
    }
}

/// What all trees have come to, each in both of its runs.
#[derive(Debug, Default)]
pub(crate) struct Totals {
    runs: u64,
    actors: Span,
    depth: Span,
    faults: Span,
    deliveries: Span,
    deeds: BTreeMap<&'static str, u64>,
}

/// The least and the most.
#[derive(Clone, Copy, Debug, Default)]
struct Span(Option<(u64, u64)>);

impl Span {
    fn add(&mut self, value: u64) {
        let (least, most) = self.0.unwrap_or((value, value));
        self.0 = Some((least.min(value), most.max(value)));
    }
}

impl fmt::Display for Span {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (least, most) = self.0.unwrap_or_default();
        write!(out, "{least} to {most}")
    }
}

impl Totals {
    /// Adds a tree that has come to rest, and fails if it was not what it has to be; `planned` are its actors and its levels.
    pub(crate) fn add(
        &mut self,
        extent: &Extent,
        planned: (usize, usize),
        faults: u64,
        deeds: &BTreeMap<&'static str, u64>,
    ) {
        let actors = planned.0.max(extent.actors.load(Ordering::Relaxed));
        let depth = planned.1.max(extent.depth.load(Ordering::Relaxed));
        assert!(ACTORS.contains(&planned.0) && ACTORS.contains(&actors), "{actors} actors");
        assert!(DEPTH.contains(&planned.1) && DEPTH.contains(&depth), "{depth} levels");
        assert!(faults >= FAULTS_MIN, "only {faults} faults");
        let deliveries = extent.deliveries();
        assert!(deliveries >= DELIVERIES_MIN, "only {deliveries} deliveries");
        self.runs += 1;
        self.actors.add(actors as u64);
        self.depth.add(depth as u64);
        self.faults.add(faults);
        self.deliveries.add(deliveries);
        for (deed, times) in deeds {
            *self.deeds.entry(deed).or_default() += times;
        }
    }

    /// How often somebody did this.
    pub(crate) fn times(&self, deed: &str) -> u64 {
        self.deeds.get(deed).copied().unwrap_or(0)
    }
}

impl fmt::Display for Totals {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { runs, actors, depth, faults, deliveries, deeds } = self;
        writeln!(
            out,
            "trees: {actors} actors, {depth} levels, {faults} faults, {deliveries} deliveries a tree"
        )?;
        for (deed, times) in deeds {
            let tenths = 10 * times / (*runs).max(1);
            writeln!(out, "| {deed} | {}.{} a tree |", tenths / 10, tenths % 10)?;
        }
        Ok(())
    }
}

/// Room for actors that are started for a while: no tree outgrows what it may have.
#[derive(Clone)]
pub(crate) struct Room(Arc<AtomicUsize>);

/// One actor's part of the room, given back when nobody can be born of it any more.
pub(crate) struct Place(Arc<AtomicUsize>);

impl Room {
    pub(crate) fn new(places: usize) -> Self {
        Self(Arc::new(AtomicUsize::new(places)))
    }

    pub(crate) fn take(&self) -> Option<Place> {
        let less = |places: usize| places.checked_sub(1);
        let taken = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less).is_ok();
        taken.then(|| Place(Arc::clone(&self.0)))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

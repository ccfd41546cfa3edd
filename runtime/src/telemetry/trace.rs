//! The names of spans and their fields, the same for every pattern.
//!
//! `collaboration.execute` covers a run of a pattern; `collaboration.phase` with the field `phase` covers one of its phases, and is
//! shown as `collaboration.phase.<name>`.

/// Opens the span of one run of a pattern: `task.id`, `pattern`, `agents.count`.
pub fn execute(run: &str, pattern: &'static str, agents: usize) -> tracing::Span {
    tracing::info_span!("collaboration.execute", task.id = run, pattern, agents.count = agents)
}

/// Opens the span of one phase of a run: `phase.type`, `phase.agents`.
pub fn phase(parent: &tracing::Span, name: Phase, agents: usize) -> tracing::Span {
    match name {
        Phase::Map => {
            tracing::info_span!(parent: parent, "collaboration.phase.map", phase.r#type = "map", phase.agents = agents)
        }
        Phase::Execute => {
            tracing::info_span!(parent: parent, "collaboration.phase.execute", phase.r#type = "execute", phase.agents = agents)
        }
        Phase::Reduce => {
            tracing::info_span!(parent: parent, "collaboration.phase.reduce", phase.r#type = "reduce", phase.agents = agents)
        }
    }
}

/// A phase of a pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// The task is split and the split checked.
    Map,
    /// The parts are with agents.
    Execute,
    /// The results are put together.
    Reduce,
}

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

#[cfg(test)]
mod tests {
    use std::{
        fmt::{Debug, Write},
        sync::Arc,
    };

    use parking_lot::Mutex;
    use tracing::{
        Event, Metadata, Subscriber,
        field::{Field, Visit},
        span,
    };

    use super::*;

    /// Writes down the spans that are opened.
    struct Spans(Arc<Mutex<Vec<String>>>);

    struct Fields(String);

    impl Visit for Fields {
        fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
            write!(self.0, " {}={value:?}", field.name()).unwrap();
        }
    }

    impl Subscriber for Spans {
        fn enabled(&self, _: &Metadata<'_>) -> bool {
            true
        }

        fn new_span(&self, span: &span::Attributes<'_>) -> span::Id {
            let mut line = Fields(span.metadata().name().to_owned());
            span.record(&mut line);
            if let Some(parent) = span.parent() {
                write!(line.0, " in {}", parent.into_u64()).unwrap();
            }
            let mut spans = self.0.lock();
            spans.push(line.0);
            span::Id::from_u64(spans.len() as u64)
        }

        fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
        fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
        fn event(&self, _: &Event<'_>) {}
        fn enter(&self, _: &span::Id) {}
        fn exit(&self, _: &span::Id) {}
    }

    #[test]
    fn a_run_and_its_phases_are_spans_by_their_published_names() {
        let spans = Arc::<Mutex<Vec<String>>>::default();
        tracing::subscriber::with_default(Spans(Arc::clone(&spans)), || {
            let run = execute("run-1", "map_reduce", 4);
            for name in [Phase::Map, Phase::Execute, Phase::Reduce] {
                drop(phase(&run, name, 4));
            }
        });
        assert_eq!(
            *spans.lock(),
            [
                "collaboration.execute task.id=\"run-1\" pattern=\"map_reduce\" agents.count=4",
                "collaboration.phase.map phase.type=\"map\" phase.agents=4 in 1",
                "collaboration.phase.execute phase.type=\"execute\" phase.agents=4 in 1",
                "collaboration.phase.reduce phase.type=\"reduce\" phase.agents=4 in 1",
            ]
        );
    }
}

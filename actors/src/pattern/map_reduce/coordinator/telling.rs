//! Telling: events, spans, progress and names.

use super::*;

/// What an event of a unit is about: with its attempt and the branch that makes it, where there is one.
#[derive(Clone, Copy)]
pub(super) struct About<'a> {
    pub(super) kind: EventKind,
    pub(super) unit: UnitId,
    pub(super) attempt: Option<(usize, &'a Attempt)>,
}

impl<P: Datum, O: Datum, R: Reduce<O>> Coordinator<P, O, R> {
    pub(super) fn enter(&mut self, phase: SpanPhase) {
        self.phase_span = trace::phase(&self.span, phase, self.branches.len());
    }

    pub(super) fn publish(
        &self,
        kind: EventKind,
        cx: &mut In<P, O, R>,
        data: impl FnOnce() -> Value,
    ) {
        cx.publish(kind, Some(self.brief.run), data);
    }

    pub(super) fn publish_unit(
        &self,
        about: About<'_>,
        cx: &mut In<P, O, R>,
        more: impl FnOnce(&mut serde_json::Map<String, Value>),
    ) {
        let About { kind, unit, attempt } = about;
        self.publish(kind, cx, || {
            let state = self.board.unit(unit);
            let branch = attempt
                .map_or_else(|| state.map_or(0, |unit| unit.branch as usize), |(branch, _)| branch);
            let agent = self.branches.get(branch).map_or("", |branch| branch.agent.name());
            let part = state.map_or(0, |unit| unit.piece);
            let mut data = serde_json::Map::new();
            data.insert("unit".to_owned(), json!(unit.0));
            data.insert("part".to_owned(), json!(part));
            data.insert("name".to_owned(), json!(self.piece_name(part)));
            data.insert("agent".to_owned(), json!(agent));
            if let Some((_, attempt)) = attempt {
                data.insert("slot".to_owned(), json!(attempt.lease.slot));
                data.insert("attempt".to_owned(), json!(attempt.number));
            }
            more(&mut data);
            Value::Object(data)
        });
    }

    pub(super) fn piece_name(&self, part: u32) -> String {
        match self.pieces.get(part as usize) {
            Some(piece) if !piece.name.is_empty() => piece.name.clone(),
            _ => format!("part {part}"),
        }
    }

    pub(super) fn agent_keys(&self, branches: &[u32]) -> Vec<AgentKey> {
        let taken = branches.iter().filter_map(|branch| self.branches.get(*branch as usize));
        taken.map(|branch| branch.agent.key().clone()).collect()
    }

    /// The branch for which a unit runs at a slot: under `all_of` its own, under `any_of` that of the slot.
    pub(super) fn branch_at(&self, unit: UnitId, slot: SlotId) -> usize {
        let own = self.board.unit(unit).map_or(0, |unit| unit.branch as usize);
        let has = |branch: &Branch<P, O>| branch.agent.slot(slot).is_some();
        if self.branches.get(own).is_some_and(has) {
            return own;
        }
        self.branches.iter().position(has).unwrap_or(own)
    }
}

//! Telling: events, names and counts.

use super::*;

/// What an event of a voter is about: with the instance and number of the attempt, where there is one.
#[derive(Clone, Copy)]
pub(super) struct About {
    pub(super) kind: EventKind,
    pub(super) voter: usize,
    pub(super) attempt: Option<(SlotId, u32)>,
}

impl Coordinator {
    pub(super) fn publish(
        &self,
        kind: EventKind,
        cx: &mut Cx<Self>,
        data: impl FnOnce() -> serde_json::Value,
    ) {
        cx.publish(kind, Some(self.brief.run), data);
    }

    pub(super) fn publish_voter(
        &self,
        about: About,
        cx: &mut Cx<Self>,
        more: impl FnOnce(&mut serde_json::Map<String, serde_json::Value>),
    ) {
        let About { kind, voter, attempt } = about;
        self.publish(kind, cx, || {
            let mut data = serde_json::Map::new();
            let agent = self.seats.get(voter).map(Seat::agent_name).unwrap_or_default();
            data.insert("unit".to_owned(), json!(self.unit(voter)));
            data.insert("part".to_owned(), json!(voter));
            data.insert("name".to_owned(), json!(self.name_of(voter)));
            data.insert("round".to_owned(), json!(self.round()));
            data.insert("agent".to_owned(), json!(*agent));
            if let Some((slot, attempt)) = attempt {
                data.insert("slot".to_owned(), json!(slot));
                data.insert("attempt".to_owned(), json!(attempt));
            }
            more(&mut data);
            serde_json::Value::Object(data)
        });
    }

    /// The number of a voter's ballot among all of the run.
    pub(super) fn unit(&self, voter: usize) -> u64 {
        let rounds = u64::from(self.round().saturating_sub(1));
        rounds * self.seats.len() as u64 + voter as u64
    }

    /// Ballots of all rounds so far, one a voter in each.
    pub(super) fn units(&self) -> u64 {
        u64::from(self.round()) * self.seats.len() as u64
    }

    /// Of these, those that count.
    pub(super) fn counted(&self) -> u64 {
        self.vote.as_ref().map_or(0, Vote::counted)
    }

    /// Whether a voter's ballot is still to come.
    pub(super) fn awaits(&self, voter: usize) -> bool {
        self.vote.as_ref().is_some_and(|vote| vote.awaits_number(voter))
    }

    /// A voter's id.
    pub(super) fn name_of(&self, voter: usize) -> &str {
        let vote = self.vote.as_ref();
        let voter = vote.and_then(|vote| vote.opening().electorate.voters().get(voter));
        voter.map_or("", |voter| voter.id.as_str())
    }

    pub(super) fn number_of(&self, voter: &str) -> Option<usize> {
        self.vote.as_ref()?.opening().electorate.index(voter)
    }
}

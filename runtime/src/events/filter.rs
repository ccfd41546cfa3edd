//! `Filter`: which events a subscriber wants.

use protocol::{ActorId, Event, RunId, event::Target};

#[cfg(doc)]
use super::EventKind;

/// Picks events by type, run and receiver; a new one passes all.
///
/// Without a receiver it is for those who watch, such as a log or a progress bar: they see events for others too.
///
/// ```
/// use synod_runtime::events::{EventKind, Filter};
/// let ends = Filter::new().kinds([EventKind::RunEnded, EventKind::TaskFailed]);
/// let own_words = Filter::new().kinds(["price_changed"]);
/// # let _ = (ends, own_words);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    kinds: Vec<String>,
    run: Option<RunId>,
    receiver: Option<Receiver>,
}

/// As whom a subscriber receives what is for somebody.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Receiver {
    Actor(ActorId),
    Name(String),
}

impl Filter {
    /// Passes every event.
    pub fn new() -> Self {
        Self::default()
    }

    /// Passes events of these types only: [`EventKind`]s or words of the user's own.
    #[must_use]
    pub fn kinds<K: Into<String>>(mut self, kinds: impl IntoIterator<Item = K>) -> Self {
        self.kinds = kinds.into_iter().map(Into::into).collect();
        self
    }

    /// Passes events of this run only.
    #[must_use]
    pub fn run(mut self, run: RunId) -> Self {
        self.run = Some(run);
        self
    }

    /// Passes, of the events for somebody, only those for the actor or agent with this id, or for the followers of its run.
    #[must_use]
    pub fn receiver(mut self, receiver: ActorId) -> Self {
        self.receiver = Some(Receiver::Actor(receiver));
        self
    }

    /// Passes, of the events for somebody, only those for this name or one above it, or for the followers of its run.
    ///
    /// Subscriptions of actors have this by themselves, under the actor's own name.
    #[must_use]
    pub fn receiver_named(mut self, name: impl Into<String>) -> Self {
        self.receiver = Some(Receiver::Name(name.into()));
        self
    }

    pub(super) fn wants(&self, kind: &str, run: Option<RunId>) -> bool {
        (self.kinds.is_empty() || self.kinds.iter().any(|wanted| wanted == kind))
            && (self.run.is_none() || self.run == run)
    }

    pub(super) fn passes(&self, event: &Event) -> bool {
        self.is_for_us(event) && self.wants(&event.kind, event.run)
    }

    fn is_for_us(&self, event: &Event) -> bool {
        let (Some(receiver), Some(target)) = (&self.receiver, &event.target) else { return true };
        match (target, receiver) {
            (Target::Run, _) => self.run.is_some() && self.run == event.run,
            (Target::Actor(id), Receiver::Actor(own)) => id == own,
            (Target::Name(_), Receiver::Name(own)) => target.names(own),
            (Target::Actor(_), Receiver::Name(_)) | (Target::Name(_), Receiver::Actor(_)) => false,
        }
    }
}

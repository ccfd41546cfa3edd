//! `Draft`: an event before the bus gives it an id and its stamps.

use std::collections::BTreeMap;

use protocol::{Code, EventId, Fault, Refusal, RunId, Value, event::Target, weight};

use super::Event;
use crate::limits::EVENT_DATA_BYTES_MAX;

/// What somebody wants to publish; whoever publishes it is its source.
///
/// ```
/// use synod_runtime::events::{Draft, Target};
/// let draft = Draft::new("price_changed").to(Target::Name("shop".into())).data("9.99".into());
/// # drop(draft);
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Draft {
    kind: String,
    target: Option<Target>,
    run: Option<RunId>,
    data: Value,
    labels: BTreeMap<String, String>,
}

impl Draft {
    /// An event for everyone, of a type of Synod's or a word of the user's own, without data.
    pub fn new(kind: impl Into<String>) -> Self {
        let (target, run, data, labels) = (None, None, Value::Null, BTreeMap::new());
        Self { kind: kind.into(), target, run, data, labels }
    }

    /// Makes it an event of `run`.
    #[must_use]
    pub fn run(mut self, run: RunId) -> Self {
        self.run = Some(run);
        self
    }

    /// Says whom it is for; others do not receive it.
    #[must_use]
    pub fn to(mut self, target: Target) -> Self {
        self.target = Some(target);
        self
    }

    /// Gives it data, at most [`EVENT_DATA_BYTES_MAX`] bytes of it.
    #[must_use]
    pub fn data(mut self, data: Value) -> Self {
        self.data = data;
        self
    }

    /// Adds a free label.
    #[must_use]
    pub fn label(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.labels.insert(name.into(), value.into());
        self
    }

    /// The event that `source` publishes of it.
    ///
    /// # Errors
    /// What of it is not valid.
    pub(crate) fn event(self, id: EventId, source: &str) -> Result<Event, PublishError> {
        let Self { kind, target, run, data, labels } = self;
        let event = Event { target, run, data, metadata: labels, ..Event::new(id, kind, source) };
        match check(&event) {
            Ok(()) => Ok(event),
            Err(fault) => {
                Err(PublishError { kind: event.kind, publisher: source.to_owned(), fault })
            }
        }
    }
}

/// An event that was not published, because it is not valid.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "event `{kind}` of {publisher} reaches nobody: its {fault}; mend that and publish it again"
)]
pub struct PublishError {
    /// The event's type.
    pub kind: String,
    /// Who wanted to publish it.
    pub publisher: String,
    /// What of it is wrong.
    pub fault: Fault,
}

impl From<PublishError> for Refusal {
    fn from(error: PublishError) -> Self {
        Self::new(Code::Invalid, error.to_string())
    }
}

/// Checks what an event of this node must be.
pub(super) fn check(event: &Event) -> Result<(), Fault> {
    event.check()?;
    let bytes = weight(&event.data, EVENT_DATA_BYTES_MAX);
    if bytes > EVENT_DATA_BYTES_MAX {
        let rule = format!("has {bytes} bytes or more, at most {EVENT_DATA_BYTES_MAX} are allowed");
        return Err(Fault { field: "data", rule });
    }
    Ok(())
}

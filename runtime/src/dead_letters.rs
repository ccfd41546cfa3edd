//! Dead letters: messages that nobody took or that crashed their actor, noted and, where they were kept, delivered once more.
//!
//! Filled by sends that find no taker, by slots that close and by steps that fail; read and replayed through
//! [`Node`](crate::node::Node).
//!
//! # Invariants
//! - Of the latest [`DEAD_LETTERS_MAX`] messages note is kept; older ones are forgotten first.
//! - A kept message is delivered at most once, and only to the address that it crashed.

use std::{
    any::{Any, type_name},
    collections::VecDeque,
    fmt,
    sync::{Arc, Weak},
};

use parking_lot::Mutex;

use crate::{
    ask::AskError,
    clock::Moment,
    kernel::Kernel,
    limits::{DEAD_LETTER_TEXT_BYTES_MAX, DEAD_LETTERS_MAX},
    mailbox::Slot,
    work::contained,
};

/// What an actor keeps of a message while it handles it, for the case that the step crashes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Kept<M> {
    /// Nothing; costs nothing.
    #[default]
    Nothing,
    /// What it says, mostly its `Debug` form; cut after 4 KiB.
    Text(String),
    /// A message like it, which can be replayed.
    Clone(M),
}

/// A message that nobody took, or that crashed its actor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetter {
    /// Names it to [`Node::replay_dead_letter`](crate::node::Node::replay_dead_letter); from 1 upwards.
    pub id: u64,
    /// When it died.
    pub at: Moment,
    /// The name of the address, where it is known.
    pub to: Option<Arc<str>>,
    /// The message's type.
    pub message: &'static str,
    /// Why it was not taken.
    pub why: AskError,
    /// Which incarnation it crashed, from 1; none where nobody took it.
    pub incarnation: Option<u32>,
    /// What the actor kept of it as text.
    pub text: Option<String>,
    /// Whether it can be replayed.
    pub replayable: bool,
}

/// Why a dead letter was not replayed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReplayError {
    /// No note is kept of this letter (any more).
    #[error("no dead letter has the number {0}: {DEAD_LETTERS_MAX} are kept, the oldest go first")]
    Unknown(u64),
    /// The message itself was not kept, or was replayed before.
    #[error(
        "dead letter {0} cannot be replayed: its actor did not keep it (`Actor::keep`), or it was replayed before"
    )]
    NotKept(u64),
    /// Its actor does not take it now.
    #[error("dead letter {0} was not taken: {1}")]
    Refused(u64, AskError),
}

/// The latest dead letters of one node.
#[derive(Default)]
pub(crate) struct DeadLetters(Mutex<Shelf>);

#[derive(Default)]
struct Shelf {
    ever: u64,
    letters: VecDeque<(DeadLetter, Option<Box<dyn Replay>>)>,
}

/// A message that was kept, and where it belongs.
trait Replay: Send {
    /// Delivers the message, or keeps it.
    fn replay(&mut self) -> Result<(), AskError>;
}

struct Message<M> {
    slot: Weak<Slot<M>>,
    message: Option<M>,
}

impl<M: Send + 'static> Replay for Message<M> {
    fn replay(&mut self) -> Result<(), AskError> {
        let slot = self.slot.upgrade().ok_or(AskError::Stopped)?;
        let Some(message) = self.message.take() else { return Ok(()) };
        slot.offer(message).map_err(|(message, closed)| {
            self.message = Some(message);
            closed.into()
        })
    }
}

impl DeadLetters {
    /// The latest, oldest first.
    pub(crate) fn list(&self) -> Vec<DeadLetter> {
        self.0.lock().letters.iter().map(|(letter, _)| letter.clone()).collect()
    }

    fn keep(&self, mut letter: DeadLetter, replay: Option<Box<dyn Replay>>) {
        let mut shelf = self.0.lock();
        shelf.ever += 1;
        letter.id = shelf.ever;
        letter.replayable = replay.is_some();
        let full = shelf.letters.len() == DEAD_LETTERS_MAX;
        let oldest = full.then(|| shelf.letters.pop_front());
        shelf.letters.push_back((letter, replay));
        drop(shelf);
        // A kept message may run anybody's code when dropped.
        contained("dropping a dead letter", || drop(oldest));
    }

    /// Delivers a kept message once more.
    pub(crate) fn replay(&self, id: u64) -> Result<(), ReplayError> {
        let mut replay = {
            let mut shelf = self.0.lock();
            let (letter, replay) = shelf.find(id).ok_or(ReplayError::Unknown(id))?;
            letter.replayable = false;
            replay.take().ok_or(ReplayError::NotKept(id))?
        };
        let Err(why) = replay.replay() else { return Ok(()) };
        if why != AskError::Stopped
            && let Some((letter, place)) = self.0.lock().find(id)
        {
            letter.replayable = true;
            *place = Some(replay);
        }
        Err(ReplayError::Refused(id, why))
    }
}

impl Shelf {
    fn find(&mut self, id: u64) -> Option<&mut (DeadLetter, Option<Box<dyn Replay>>)> {
        let at = self.letters.binary_search_by_key(&id, |(letter, _)| letter.id).ok()?;
        self.letters.get_mut(at)
    }
}

impl fmt::Debug for DeadLetters {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "DeadLetters({})", self.0.lock().letters.len())
    }
}

impl Kernel {
    /// Keeps note of a message that a send could not deliver, then drops it (which answers an ask in it).
    pub(crate) fn dead_letter<M>(
        &self,
        to: Option<Arc<str>>,
        why: AskError,
        message: Box<dyn Any + Send>,
    ) {
        self.note::<M>(to, why);
        contained("dropping a dead letter", || drop(message));
    }

    /// Keeps note of the messages that an ended actor left.
    pub(crate) fn dead_letters<M>(&self, to: &Arc<str>, messages: Vec<M>) {
        for message in messages {
            self.note::<M>(Some(Arc::clone(to)), AskError::Stopped);
            contained("dropping a dead letter", || drop(message));
        }
    }

    /// Keeps note of the message on which an incarnation of `slot` crashed, and of what was kept of it.
    pub(crate) fn poison<M: Send + 'static>(
        &self,
        slot: &Arc<Slot<M>>,
        incarnation: u32,
        why: &str,
        kept: Kept<M>,
    ) {
        self.metrics.dead_letters(1);
        let why = AskError::Failed(why.to_owned());
        let mut letter = self.letter::<M>(Some(Arc::clone(&slot.name)), why);
        letter.incarnation = Some(incarnation);
        let replay: Option<Box<dyn Replay>> = match kept {
            Kept::Nothing => None,
            Kept::Text(mut text) => {
                text.truncate(text.floor_char_boundary(DEAD_LETTER_TEXT_BYTES_MAX));
                letter.text = Some(text);
                None
            }
            Kept::Clone(message) => {
                Some(Box::new(Message { slot: Arc::downgrade(slot), message: Some(message) }))
            }
        };
        self.dead.keep(letter, replay);
    }

    fn note<M>(&self, to: Option<Arc<str>>, why: AskError) {
        self.metrics.dead_letters(1);
        let letter = self.letter::<M>(to, why);
        self.dead.keep(letter, None);
    }

    fn letter<M>(&self, to: Option<Arc<str>>, why: AskError) -> DeadLetter {
        let (id, at, message) = (0, self.now(), type_name::<M>());
        let (incarnation, text, replayable) = (None, None, false);
        DeadLetter { id, at, to, message, why, incarnation, text, replayable }
    }
}

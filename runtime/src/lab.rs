//! What a simulation may do to the actors of a node: watch their steps, make one fail, hold a message up, send it twice.
//!
//! Implemented by [`sim`](crate::sim); asked by `stage`, the mailbox and the context. A node in production has none and pays
//! one predictable branch at each of these places.

use std::{any::Any, hash::Hasher, sync::Arc};

use crate::{
    actor::ActorId,
    address::{Delivery, Placed, Target},
    kernel::Kernel,
    outbox::Sending,
};

/// One step of an actor that has just run, its effects not yet performed.
pub(crate) struct Stepped<'a> {
    pub(crate) actor: &'a Arc<str>,
    pub(crate) incarnation: u32,
    /// The type of the actor's messages.
    pub(crate) message: &'static str,
    /// Which of its variants was handled, hashed; 0 for a start.
    pub(crate) variant: u64,
    pub(crate) effects: usize,
}

/// The hand of a simulation in one node.
pub(crate) trait Lab: Send + Sync {
    /// Tells the node apart from the others of its world; the same in every run.
    fn number(&self) -> usize;
    /// How many messages a host takes at once, of `most`.
    fn batch(&self, most: usize) -> usize;
    /// Takes note of a step; true makes it panic.
    fn stepped(&self, step: &Stepped<'_>) -> bool;
    /// Carries a send of `from` to the address `to`, or gives it back to be performed at once.
    fn carry(&self, from: ActorId, to: Arc<str>, send: Sending) -> Option<Sending>;
    /// A second message like this one, where those of its type may come twice and this one shall.
    fn twin(&self, message: &dyn Any) -> Option<Box<dyn Any + Send>>;
}

/// Performs a send at once, or lets the lab carry it to the address `to`.
pub(crate) fn carried(
    kernel: &Kernel,
    from: ActorId,
    to: Option<Arc<str>>,
    sending: impl FnOnce(&Kernel) -> Option<Box<dyn Placed>> + Send + 'static,
) -> Option<Box<dyn Placed>> {
    match &kernel.lab {
        None => sending(kernel),
        Some(lab) => carry(kernel, &**lab, from, to, Box::new(sending)),
    }
}

/// Delivers `message` the way that the node has for it; returns its place where it stands in line.
pub(crate) fn sent<T: Send + 'static>(
    kernel: &Kernel,
    target: &impl Target<T>,
    message: T,
    from: ActorId,
) -> Option<Box<dyn Placed>> {
    match &kernel.lab {
        None => hand_over(kernel, from, target, message),
        Some(lab) => send_by(kernel, &**lab, from, target, message),
    }
}

/// Delivers a message, or makes a dead letter of it; returns the place in line that it has to wait for.
fn hand_over<T: Send + 'static>(
    kernel: &Kernel,
    from: ActorId,
    target: &impl Target<T>,
    message: T,
) -> Option<Box<dyn Placed>> {
    match target.deliver(message, from) {
        Delivery::Done(_) => None,
        Delivery::InLine(place) => Some(place.0),
        Delivery::Refused(why, message) => {
            kernel.dead_letter::<T>(target.target_name(), why, message);
            None
        }
    }
}

/// Sends a message the way that the lab has for it.
#[cold]
fn send_by<T: Send + 'static>(
    kernel: &Kernel,
    lab: &dyn Lab,
    from: ActorId,
    target: &impl Target<T>,
    message: T,
) -> Option<Box<dyn Placed>> {
    let twin = lab.twin(&message).and_then(|twin| twin.downcast::<T>().ok());
    let one = |message: T| {
        let to = target.clone();
        let send = Box::new(move |kernel: &Kernel| hand_over(kernel, from, &to, message));
        carry(kernel, lab, from, target.target_name(), send)
    };
    let placed = one(message);
    // A twin that would have to stand in line is one that did not come.
    drop(twin.and_then(|twin| one(*twin)));
    placed
}

/// Lets the lab carry a send; what it gives back, and what goes to no known address, is performed at once.
#[cold]
fn carry(
    kernel: &Kernel,
    lab: &dyn Lab,
    from: ActorId,
    to: Option<Arc<str>>,
    send: Sending,
) -> Option<Box<dyn Placed>> {
    let send = match to {
        Some(to) => lab.carry(from, to, send)?,
        None => send,
    };
    send(kernel)
}

/// A hash that is the same in every process: what traces are made of.
///
/// Words are taken in as FNV-1a does (Fowler, Noll and Vo, 1991), each mixed as SplitMix64 does (Steele, Lea and Flood, 2014).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fingerprint(u64);

impl Default for Fingerprint {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Hasher for Fingerprint {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for word in bytes.chunks(8) {
            let mut whole = [0; 8];
            whole.iter_mut().zip(word).for_each(|(to, byte)| *to = *byte);
            self.write_u64(u64::from_le_bytes(whole));
        }
        self.write_u64(bytes.len() as u64);
    }

    fn write_u64(&mut self, word: u64) {
        let mixed = (self.0 ^ word).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        self.0 = mixed ^ (mixed >> 29);
    }
}

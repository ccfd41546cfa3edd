//! A queue that most slots never need: one word until something is put in.
//!
//! Kept by the slot's lanes for what is rare, so that an idle actor has no room for it.

use std::collections::VecDeque;

/// A queue that takes room from its first entry on.
#[expect(clippy::box_collection, reason = "the box is what makes it one word")]
pub(super) struct Seldom<T>(Option<Box<VecDeque<T>>>);

impl<T> Seldom<T> {
    pub(super) fn is_empty(&self) -> bool {
        self.0.as_ref().is_none_or(|queue| queue.is_empty())
    }

    pub(super) fn len(&self) -> usize {
        self.0.as_ref().map_or(0, |queue| queue.len())
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        self.0.iter().flat_map(|queue| queue.iter())
    }

    pub(super) fn push_back(&mut self, entry: T) {
        self.0.get_or_insert_default().push_back(entry);
    }

    pub(super) fn push_front(&mut self, entry: T) {
        self.0.get_or_insert_default().push_front(entry);
    }

    pub(super) fn pop_front(&mut self) -> Option<T> {
        self.0.as_mut()?.pop_front()
    }

    /// Takes out the first entry that is `wanted`.
    pub(super) fn remove(&mut self, wanted: impl FnMut(&T) -> bool) -> Option<T> {
        let queue = self.0.as_mut()?;
        let at = queue.iter().position(wanted)?;
        queue.remove(at)
    }

    /// Takes everything out, and gives the room back.
    pub(super) fn take(&mut self) -> VecDeque<T> {
        self.0.take().map(|queue| *queue).unwrap_or_default()
    }

    /// Moves everything behind what `to` holds; keeps the room.
    pub(super) fn append_to(&mut self, to: &mut VecDeque<T>) {
        if let Some(queue) = &mut self.0 {
            to.append(queue);
        }
    }
}

impl<T> Default for Seldom<T> {
    fn default() -> Self {
        Self(None)
    }
}

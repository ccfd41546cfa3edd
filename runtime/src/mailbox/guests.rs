//! Guests: children that async work of an actor starts, from outside of its steps.
//!
//! Taken in by [`WorkCx::spawn`](crate::work_cx::WorkCx::spawn); `serve` makes them belongings of the incarnation when that ends.

use std::mem;

use super::Slot;
use crate::{belongings::Pruned, child::ChildRef, spawn::Shutdown};

/// Guests, and how each is ended.
pub(super) type Guests = Pruned<(ChildRef, Shutdown)>;

impl<M> Slot<M> {
    /// Takes `child` in, to end with `incarnation`; false when that has ended already.
    pub(crate) fn take_in(&self, incarnation: u32, child: &ChildRef, shutdown: Shutdown) -> bool {
        let mut lanes = self.lanes.lock();
        let serves = lanes.live && lanes.incarnation == incarnation;
        if serves {
            let guests = &mut lanes.aside.get_or_insert_default().guests;
            guests.push((child.clone(), shutdown), |(child, _)| child.ended().is_none());
        }
        serves
    }

    /// The guests, in the order of their start: whoever takes them ends them.
    pub(crate) fn take_guests(&self) -> Vec<(ChildRef, Shutdown)> {
        let mut lanes = self.lanes.lock();
        let Some(aside) = &mut lanes.aside else { return Vec::new() };
        mem::take(&mut aside.guests).into_vec()
    }

    /// Whether a guest lives.
    pub(crate) fn has_guests(&self) -> bool {
        let lanes = self.lanes.lock();
        let Some(aside) = &lanes.aside else { return false };
        aside.guests.iter().any(|(child, _)| child.ended().is_none())
    }
}

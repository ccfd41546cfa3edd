//! The node's own registry: live actors by name.
//!
//! # Invariants
//! - A name leads to the actor that took it last; a later namesake's entry is never removed by an earlier one's end.

use std::{any::Any, sync::Arc};

use dashmap::DashMap;

use crate::{actor::ActorId, address::Addr, child::ChildRef, mailbox::Slot};

/// Live actors by name.
#[derive(Default)]
pub(crate) struct Registry {
    actors: DashMap<Arc<str>, Entry>,
}

struct Entry {
    child: ChildRef,
    slot: Arc<dyn Any + Send + Sync>,
}

impl Registry {
    pub(crate) fn add<M: Send + 'static>(&self, addr: &Addr<M>) {
        let slot: Arc<dyn Any + Send + Sync> = Arc::<Slot<M>>::clone(&addr.0);
        self.actors.insert(Arc::clone(&addr.0.name), Entry { child: addr.child(), slot });
    }

    pub(crate) fn remove(&self, name: &str, id: ActorId) {
        self.actors.remove_if(name, |_, entry| entry.child.id() == id);
    }

    /// The address called `name`, if it takes messages of type `M`.
    pub(crate) fn find<M: Send + 'static>(&self, name: &str) -> Option<Addr<M>> {
        let entry = self.actors.get(name)?;
        Arc::clone(&entry.slot).downcast::<Slot<M>>().ok().map(Addr)
    }

    /// Every live actor, by name.
    pub(crate) fn list(&self) -> Vec<ChildRef> {
        let mut all: Vec<ChildRef> = self.actors.iter().map(|entry| entry.child.clone()).collect();
        all.sort_by(|a, b| a.name().cmp(b.name()).then(a.id().cmp(&b.id())));
        all
    }
}

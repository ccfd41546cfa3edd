//! The node's own registry: live actors by name.
//!
//! # Invariants
//! - A name belongs to one live actor: a namesake of one that still lives is called `name#id`.
//! - An entry goes before its actor's watchers hear of the end, so whoever hears can use the name again.

use std::{collections::BTreeMap, sync::Arc};

use dashmap::{DashMap, Entry};
use foldhash::fast::RandomState;

use crate::{actor::ActorId, address::Addr, child::ChildRef, mailbox::Slot};

/// Live actors by name.
#[derive(Default)]
pub(crate) struct Registry {
    actors: DashMap<Arc<str>, ChildRef, RandomState>,
}

impl Registry {
    /// Lists the slot that `make` makes of the name it gets: `name`, or `name#id` where that lives.
    pub(crate) fn add<M: Send + 'static>(
        &self,
        name: Arc<str>,
        id: ActorId,
        make: impl FnOnce(Arc<str>) -> Slot<M>,
    ) -> Arc<Slot<M>> {
        let vacant = match self.actors.entry(name) {
            Entry::Vacant(vacant) => vacant,
            Entry::Occupied(taken) => {
                let name: Arc<str> = [&**taken.key(), &id.to_string()].concat().into();
                drop(taken);
                let slot = Arc::new(make(Arc::clone(&name)));
                self.actors.insert(name, listed(&slot));
                return slot;
            }
        };
        let slot = Arc::new(make(Arc::clone(vacant.key())));
        drop(vacant.insert(listed(&slot)));
        slot
    }

    pub(crate) fn remove(&self, name: &str, id: ActorId) {
        let listed = self.actors.remove_if(name, |_, listed| listed.id() == id);
        drop(listed);
    }

    /// The address called `name`, if it takes messages of type `M`.
    pub(crate) fn find<M: Send + 'static>(&self, name: &str) -> Option<Addr<M>> {
        self.actors.get(name)?.addr()
    }

    /// Every live actor below one of the `roots`, in the order of their births, so parents before their children.
    pub(crate) fn below(&self, roots: &[ActorId]) -> Vec<ChildRef> {
        let mut children: BTreeMap<ActorId, Vec<ChildRef>> = BTreeMap::new();
        for listed in &self.actors {
            if let Some(parent) = listed.0.parent() {
                children.entry(parent).or_default().push(listed.clone());
            }
        }
        let first = roots.iter().filter_map(|root| children.remove(root));
        let mut found: Vec<ChildRef> = first.flatten().collect();
        let mut at = 0;
        while let Some(child) = found.get(at) {
            let next = children.remove(&child.id());
            found.extend(next.into_iter().flatten());
            at += 1;
        }
        // Whoever is told first must not depend on the order of a hash table.
        found.sort_by_cached_key(ChildRef::id);
        found
    }

    /// Every live actor, by name.
    pub(crate) fn list(&self) -> Vec<ChildRef> {
        let mut all: Vec<ChildRef> = self.actors.iter().map(|listed| listed.clone()).collect();
        all.sort_by(|a, b| a.name().cmp(b.name()).then(a.id().cmp(&b.id())));
        all
    }
}

fn listed<M: Send + 'static>(slot: &Arc<Slot<M>>) -> ChildRef {
    ChildRef(Arc::<Slot<M>>::clone(slot))
}

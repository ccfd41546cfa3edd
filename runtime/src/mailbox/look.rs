//! What an observer sees of a mailbox from outside, and how it asks the actor inside for its state.
//!
//! Called by [`graph`](crate::graph) through `child`. Nothing here is done unless somebody looks.

use std::{any::TypeId, sync::atomic::Ordering};

use protocol::{Code, Refusal};

use super::{Aside, Control, Intake, Lanes, Slot};
use crate::{
    actor::ActorId,
    ask::{AskError, Reply},
    graph::{ActorNode, ActorState, ObservableState},
    limits::OBSERVERS_MAX,
    supervisor::{ChildKind, Command},
};

impl<M: 'static> Slot<M> {
    /// What is to be seen from outside, and who watches; none of an actor that has ended.
    pub(crate) fn look(&self) -> Option<(ActorNode, Vec<ActorId>)> {
        let lanes = self.lanes.lock();
        if lanes.ended.is_some() {
            return None;
        }
        let begun = self.begun.load(Ordering::Relaxed);
        let (state, incarnation) = (lanes.state(begun), lanes.incarnation);
        let (queued, senders) = (self.depth(&lanes), lanes.line.len());
        let (watchers, last_exit) = lanes.aside.as_deref().map(Aside::seen).unwrap_or_default();
        drop(lanes);
        let is_supervisor = TypeId::of::<M>() == TypeId::of::<Command>();
        let node = ActorNode {
            id: self.id,
            name: (*self.name).into(),
            kind: if is_supervisor { ChildKind::Supervisor } else { ChildKind::Worker },
            actor: (self.actor)(),
            parent: self.parent,
            state,
            queued,
            capacity: self.mailbox.capacity,
            senders,
            incarnation,
            restarts: incarnation.saturating_sub(1),
            last_exit,
            watches: Vec::new(),
            waits: Vec::new(),
            shows: None,
        };
        Some((node, watchers))
    }

    /// Lets the actor show its state, between two steps and even while calls are open.
    pub(crate) fn observe(&self, to: Reply<ObservableState>) {
        let refusal = {
            let mut lanes = self.lanes.lock();
            let waiting =
                lanes.answers.iter().filter(|entry| matches!(entry, Control::Observe(_))).count();
            if lanes.ended.is_some() {
                AskError::Stopped
            } else if !lanes.live {
                let why = "the actor has no incarnation now: try again later";
                Refusal::new(Code::Unavailable, why).into()
            } else if waiting >= OBSERVERS_MAX {
                let why = format!("{OBSERVERS_MAX} observers wait for the actor: try again later");
                Refusal::new(Code::Overloaded, why).into()
            } else {
                lanes.answers.push_back(Control::Observe(to));
                return self.urge(lanes);
            }
        };
        to.refuse(refusal);
    }
}

impl Aside {
    /// Which actors watch, and how the last incarnation ended.
    fn seen(&self) -> (Vec<ActorId>, Option<String>) {
        let watchers = self.watches.iter().filter_map(|watch| watch.by).collect();
        (watchers, self.last_exit.as_ref().map(ToString::to_string))
    }
}

impl<M> Lanes<M> {
    fn state(&self, begun: u32) -> ActorState {
        if self.orders.stop {
            return ActorState::Stopping;
        }
        if self.resting {
            return ActorState::Paused;
        }
        if self.incarnation == 0 || self.orders.restart {
            return ActorState::Starting;
        }
        if !self.live || self.orders.halt.is_some() {
            return ActorState::Stopping;
        }
        match self.intake {
            None => ActorState::Starting,
            Some(_) if self.host.is_none() => ActorState::Running,
            Some(Intake::All) if begun != self.done => ActorState::Working,
            Some(Intake::All) => ActorState::Idle,
            Some(Intake::Control) => ActorState::Blocked,
            Some(Intake::Answers) => ActorState::Waiting,
        }
    }
}

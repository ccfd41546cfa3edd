//! What the thread of a simulated world has to do: its tasks, those that could run, the events to come, who is held.
//!
//! Only [`Core`](super::core::Core) uses it, under its one lock.

use std::{
    collections::BTreeMap,
    mem,
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, Ordering},
    },
    task::{Wake, Waker},
    time::Duration,
};

use futures_util::future::BoxFuture;
use parking_lot::Mutex;

use super::core::{Event, Kind, Place};
use crate::{clock::Moment, timers::Timers, wheel::TICK_NANOS};

#[derive(Default)]
pub(crate) struct Ready(pub(crate) Mutex<Vec<Arc<Nudge>>>);

/// A task's waker.
pub(crate) struct Nudge {
    pub(crate) index: usize,
    pub(crate) serial: u64,
    pub(crate) queued: AtomicBool,
    pub(crate) ready: Weak<Ready>,
}

impl Wake for Nudge {
    fn wake(self: Arc<Self>) {
        // A world that has ended runs nobody any more.
        if let Some(ready) = self.ready.upgrade()
            && !self.queued.swap(true, Ordering::Relaxed)
        {
            ready.0.lock().push(self);
        }
    }
}

pub(crate) struct Task {
    pub(crate) place: Place,
    pub(crate) name: Arc<str>,
    pub(crate) kind: Kind,
    pub(crate) future: BoxFuture<'static, ()>,
    pub(crate) nudge: Arc<Nudge>,
    pub(crate) waker: Waker,
}

#[derive(Default)]
pub(crate) struct State {
    pub(crate) tasks: Vec<Option<Task>>,
    pub(crate) vacant: Vec<usize>,
    pub(crate) serials: u64,
    pub(crate) events: BTreeMap<(Moment, u64), Event>,
    pub(crate) events_ever: u64,
    pub(crate) nodes: Vec<NodeState>,
    pub(crate) holds: BTreeMap<(usize, Arc<str>), Hold>,
    /// The tick up to which the wheels have been turned.
    pub(crate) turned: u64,
    pub(crate) running: Option<Arc<str>>,
    /// What went wrong outside of every node.
    pub(crate) broken: Option<String>,
    /// Who waits for the tasks of a node to end.
    pub(crate) stopping: Vec<Waker>,
}

#[derive(Default)]
pub(crate) struct NodeState {
    pub(crate) epoch: u32,
    pub(crate) timers: Option<Arc<Timers>>,
    /// Set when the node drops its tasks: what is spawned later is dropped too.
    pub(crate) aborts: bool,
}

/// Keeps an actor or a task from running.
pub(crate) struct Hold {
    /// Not before this moment.
    pub(crate) next: Moment,
    /// From one poll to the next, at least this long.
    pub(crate) every: Duration,
    /// The hold itself ends here.
    pub(crate) until: Moment,
}

impl State {
    pub(crate) fn live(&mut self, place: Place) -> Option<&mut NodeState> {
        self.nodes.get_mut(place.node).filter(|node| node.epoch == place.epoch)
    }

    /// Takes a task out to poll it, unless it has ended or is held.
    pub(crate) fn take(&mut self, nudge: &Arc<Nudge>, now: Moment) -> Option<Task> {
        let place = self.tasks.get_mut(nudge.index)?;
        let task = place.take_if(|task| task.nudge.serial == nudge.serial)?;
        if let Some(until) = self.held(&task, now) {
            let waker = task.waker.clone();
            self.events_ever += 1;
            self.events.insert((until, self.events_ever), Box::new(move |_| waker.wake()));
            if let Some(place) = self.tasks.get_mut(nudge.index) {
                *place = Some(task);
            }
            return None;
        }
        self.running = Some(Arc::clone(&task.name));
        Some(task)
    }

    /// Until when the task may not run.
    pub(crate) fn held(&mut self, task: &Task, now: Moment) -> Option<Moment> {
        if self.holds.is_empty() || task.kind == Kind::Link {
            return None;
        }
        let key = (task.place.node, Arc::clone(&task.name));
        let hold = self.holds.get_mut(&key)?;
        if now >= hold.until {
            self.holds.remove(&key);
            return None;
        }
        if now < hold.next {
            return Some(hold.next);
        }
        hold.next = now + hold.every;
        None
    }

    /// Puts a polled task back, or returns it with whom to wake when it has ended or its node has.
    pub(crate) fn put_back(&mut self, task: Task, ended: bool) -> (Option<Task>, Vec<Waker>) {
        self.running = None;
        let index = task.nudge.index;
        if !ended && self.live(task.place).is_some() {
            if let Some(place) = self.tasks.get_mut(index) {
                *place = Some(task);
            }
            return (None, Vec::new());
        }
        self.vacant.push(index);
        (Some(task), mem::take(&mut self.stopping))
    }

    pub(crate) fn drain(&mut self, goes: impl Fn(&Task) -> bool) -> Vec<Task> {
        let mut gone = Vec::new();
        for (index, place) in self.tasks.iter_mut().enumerate() {
            if let Some(task) = place.take_if(|task| goes(task)) {
                self.vacant.push(index);
                gone.push(task);
            }
        }
        gone
    }

    pub(crate) fn due_event(&mut self, now: Moment) -> Option<Event> {
        let first = self.events.first_entry()?;
        (first.key().0 <= now).then(|| first.remove())
    }

    pub(crate) fn wheels_to_turn(&mut self, now: Moment, turn: bool) -> Vec<Arc<Timers>> {
        let tick = now.as_nanos() / TICK_NANOS;
        if !turn && tick == self.turned {
            return Vec::new();
        }
        self.turned = tick;
        self.nodes.iter().filter_map(|node| node.timers.clone()).collect()
    }
}

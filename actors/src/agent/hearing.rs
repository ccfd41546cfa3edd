//! Events that call an agent: a handler of its own for each filter, an actor that turns events into calls.
//!
//! Started by [`AgentSystem::on`](crate::system::AgentSystem::on). What the agent answers is its own affair: it publishes what
//! others shall know. A call that fails is published as `task_failed`.
//!
//! # Invariants
//! - It ends with the last instance of its agent.
//! - At most as many calls run as the agent has places; events beyond wait, bounded, and what is lost then is told.

use std::{collections::VecDeque, fmt, sync::Arc, time::Duration};

use runtime::{
    actor::Actor,
    ask::AskError,
    context::Cx,
    events::{Draft, EventKind, Received},
};
use serde_json::json;

use super::handle::Agent;
use crate::{guard::guarded, limits::HEARD_EVENTS_MAX};

/// Makes the agent's input of what was received; none where there is nothing to do.
type IntoInput<I> = Arc<dyn Fn(Received) -> Option<I> + Send + Sync>;

/// What the handler is told.
pub enum Msg {
    /// Something was received.
    Heard(Received),
    /// A call has ended.
    Done(Result<(), AskError>),
    /// An instance of the agent has ended for good.
    Gone,
}

/// Calls an agent for each event that it hears of; whoever starts it subscribes it.
pub struct Hearing<I, O> {
    agent: Agent<I, O>,
    into_input: IntoInput<I>,
    within: Duration,
    waiting: VecDeque<Received>,
    calls: usize,
    missed: u64,
    gone: usize,
}

impl<I, O> Hearing<I, O> {
    /// Lets `agent` handle what it is told of; each call has an answer `within` this time, or has failed.
    pub(crate) fn new(
        agent: Agent<I, O>,
        within: Duration,
        into_input: Arc<dyn Fn(Received) -> Option<I> + Send + Sync>,
    ) -> Self {
        let (waiting, calls, missed, gone) = (VecDeque::new(), 0, 0, 0);
        Self { agent, into_input, within, waiting, calls, missed, gone }
    }
}

impl<I: Send + 'static, O: Send + 'static> Actor for Hearing<I, O> {
    type Msg = Msg;

    fn start(&mut self, cx: &mut Cx<Self>) {
        for instance in self.agent.instances() {
            cx.watch(&instance, |_| Msg::Gone);
        }
    }

    fn handle(&mut self, msg: Msg, cx: &mut Cx<Self>) {
        match msg {
            Msg::Heard(received) => self.waiting.push_back(received),
            Msg::Done(outcome) => {
                self.calls -= 1;
                if let Err(error) = outcome {
                    self.failed(&error, cx);
                }
            }
            Msg::Gone => {
                self.gone += 1;
                if self.gone == self.agent.count() {
                    return cx.stop();
                }
            }
        }
        self.next(cx);
    }
}

impl<I: Send + 'static, O: Send + 'static> Hearing<I, O> {
    /// Calls the agent as far as it has places, and forgets the oldest of what is too much.
    fn next(&mut self, cx: &mut Cx<Self>) {
        while self.calls < self.agent.places() {
            let received = match std::mem::take(&mut self.missed) {
                0 => self.waiting.pop_front(),
                missed => Some(Received::Missed(missed)),
            };
            let Some(received) = received else { return };
            // Were it to crash, what waits would be lost.
            match guarded("the function that makes input of an event", || {
                (self.into_input)(received)
            }) {
                Ok(Some(input)) => {
                    self.calls += 1;
                    cx.ask(&self.agent, input, self.within, |outcome| Msg::Done(outcome.map(drop)));
                }
                Ok(None) => {}
                Err(panic) => self.failed(&AskError::Failed(panic), cx),
            }
        }
        while self.waiting.len() > HEARD_EVENTS_MAX {
            match self.waiting.pop_front() {
                Some(Received::Missed(count)) => self.missed += count,
                Some(Received::Event(_)) => self.missed += 1,
                None => return,
            }
        }
    }

    fn failed(&self, error: &AskError, cx: &mut Cx<Self>) {
        let name = self.agent.name();
        tracing::warn!(agent = %name, %error, "an event was not handled");
        let data = json!({ "agent": **name, "error": error.to_string() });
        let failed = Draft::new(EventKind::TaskFailed).data(data);
        if let Err(error) = cx.publish_event(failed) {
            tracing::error!(%error, "a failure was not published");
        }
    }
}

impl fmt::Debug for Msg {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Heard(received) => write!(out, "Heard({received:?})"),
            Self::Done(outcome) => write!(out, "Done({outcome:?})"),
            Self::Gone => out.write_str("Gone"),
        }
    }
}

impl<I, O> fmt::Debug for Hearing<I, O> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Hearing({} calls, {} waiting)", self.calls, self.waiting.len())
    }
}

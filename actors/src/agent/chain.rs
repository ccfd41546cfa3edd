//! Fallback chains: whom to ask next when an agent has failed finally, and why the ones before did not answer.
//!
//! A [`Walk`] is what coordinators and direct calls share: it says who is next. A [`Direct`] call walks by itself, from agent to
//! agent; coordinators give their parts on (`pattern/map_reduce/coordinator/falling.rs`).
//!
//! # Invariants
//! - The agents of a chain are asked in order with the same input, none again after the next one was begun.
//! - What can succeed nowhere ends the walk at once: the call was cancelled, or its input was refused.
//! - A direct call walks within its asker's deadline, and no further once nobody waits for it.

use std::{fmt::Write as _, sync::Arc};

use runtime::{
    address::TellError,
    ask::{AskError, Reply},
    events::{Draft, EventKind},
    fallback::{Fallback, Next},
    node::Node,
    retry::Retries,
    telemetry::metrics::FALLBACKS,
};
use serde_json::json;

use super::{call::AgentError, handle::Agent, slot};
use crate::{guard::guarded, limits::EXCERPT_CHARS_MAX};

/// A walk along the agents of a chain: who is asked now, and why the ones before did not answer.
#[derive(Clone, Debug)]
pub(crate) struct Walk {
    agents: usize,
    fallback: Fallback,
    /// Who did not answer, and why.
    passed: Vec<(Arc<str>, String)>,
}

impl Walk {
    /// A walk along `agents`, the first of which is asked now.
    pub(crate) fn new(agents: usize) -> Self {
        // Whoever walks has retried an agent before it says that it failed.
        Self { agents, fallback: Fallback::new(agents, Retries::NEVER), passed: Vec::new() }
    }

    /// Takes how the agent that is asked now has failed finally; gives the number of the next one to ask, if there is one.
    pub(crate) fn failed(&mut self, agent: &Arc<str>, error: &AgentError) -> Option<usize> {
        // Held back, or never again with this agent: others are not it.
        let of_agent = matches!(
            error,
            AgentError::Held { .. }
                | AgentError::NotFound { .. }
                | AgentError::NotExecutable { .. }
                | AgentError::TooMuchOutput { .. }
        );
        let next = match of_agent {
            true => self.fallback.skip(),
            false => self.fallback.failed(error.retry(), 0),
        };
        let Next::Link { at, .. } = next else { return None };
        self.passed.push((Arc::clone(agent), excerpt(&error.to_string())));
        Some(at)
    }

    /// Takes from a journal that an agent has failed, and how.
    pub(crate) fn passed(&mut self, agent: &Arc<str>, error: &AgentError) {
        self.fallback.skip();
        self.passed.push((Arc::clone(agent), excerpt(&error.to_string())));
    }

    /// Whether one of the chain has failed.
    pub(crate) fn has_fallen(&self) -> bool {
        !self.passed.is_empty()
    }

    /// Whether there is another agent behind the one that is asked now.
    pub(crate) fn has_next(&self) -> bool {
        self.at().is_some_and(|at| at + 1 < self.agents)
    }

    /// The number of the agent that is asked now, from 0.
    fn at(&self) -> Option<usize> {
        self.fallback.at()
    }

    /// Why those before did not answer, to be put behind why the last one did not; empty where there were none.
    pub(crate) fn story(&self) -> String {
        let mut story = String::new();
        for ((agent, error), at) in self.passed.iter().zip(0..) {
            let lead = if at == 0 { "; tried before:" } else { ";" };
            // Writing into a text cannot fail.
            write!(story, "{lead} {agent}: {error}").ok();
        }
        story
    }
}

/// The beginning of an error's text: it stands beside the others of its chain.
fn excerpt(text: &str) -> String {
    text.chars().take(EXCERPT_CHARS_MAX).collect()
}

/// Notes that `agent` has failed and the next of its chain is asked: counts it, and says so where somebody reads along.
pub(crate) fn note(node: &Node, agent: &str, error: &AgentError, next: &str) {
    node.metrics().counter(FALLBACKS, &[("reason", error.word())]).increment(1);
    tracing::info!(agent, %error, fallback = next, "agent failed, its fallback is asked");
}

/// What an agent has that is not asked straight away: a time for each call, or a fallback.
pub(super) struct Link<I, O> {
    pub(super) node: Node,
    pub(super) timeout: Option<std::time::Duration>,
    pub(super) heir: Option<Heir<I, O>>,
}

/// The agent behind another one, and how inputs are copied for it.
pub(super) struct Heir<I, O> {
    pub(super) agent: Agent<I, O>,
    pub(super) copy: fn(&I) -> I,
}

/// A direct call on its way along a chain.
pub(super) struct Direct<I, O> {
    node: Node,
    chain: Vec<Agent<I, O>>,
    copy: Option<fn(&I) -> I>,
    /// There until the last agent is asked.
    input: Option<I>,
    walk: Walk,
}

impl<I: Send + 'static, O: Send + 'static> Direct<I, O> {
    /// A call of `agent`, whose link this is.
    pub(super) fn new(agent: &Agent<I, O>, link: &Link<I, O>, input: I) -> Self {
        let chain = agent.chain();
        let (copy, walk) = (link.heir.as_ref().map(|heir| heir.copy), Walk::new(chain.len()));
        Self { node: link.node.clone(), chain, copy, input: Some(input), walk }
    }

    /// Asks the agent whose turn it is; `reply` is answered once one of the chain has, or none will.
    pub(super) fn ask(mut self, reply: Reply<Result<O, AgentError>>) {
        let Some(agent) = self.walk.at().and_then(|at| self.chain.get(at)).cloned() else { return };
        let Some(slot) = agent.next_slot() else {
            return self.ended(&agent, Err(AskError::Stopped), reply);
        };
        let input = match self.input() {
            Ok(Some(input)) => input,
            Ok(None) => return,
            Err(panic) => {
                reply.refuse(panic);
                return;
            }
        };
        let (node, of) = (self.node.clone(), agent.clone());
        let within = agent.timeout().map(|within| (&node, within));
        let then = move |outcome, reply| self.ended(&of, outcome, reply);
        let reply = reply.passed_to(slot.id()).through(within, then);
        if let Err(refused) = slot.try_tell(slot::Msg::Call(input, reply)) {
            let why = match &refused {
                TellError::Full(_) => AskError::Full,
                TellError::Stopped(_) => AskError::Stopped,
            };
            if let slot::Msg::Call(_, reply) = refused.into_message() {
                reply.refuse(why);
            }
        }
    }

    /// The input for the agent whose turn it is; a copy, as long as there is another one behind it.
    ///
    /// # Errors
    /// Copying it panicked.
    fn input(&mut self) -> Result<Option<I>, String> {
        match (&self.input, self.copy) {
            (Some(input), Some(copy)) if self.walk.has_next() => {
                guarded("copying an agent's input", || copy(input)).map(Some)
            }
            _ => Ok(self.input.take()),
        }
    }

    /// Takes how the call of `agent` has ended.
    fn ended(
        mut self,
        agent: &Agent<I, O>,
        outcome: Result<Result<O, AgentError>, AskError>,
        reply: Reply<Result<O, AgentError>>,
    ) {
        let error = match &outcome {
            Ok(Ok(_)) => None,
            Ok(Err(error)) => Some(error.clone()),
            Err(error) => Some(AgentError::from(error.clone())),
        };
        if let Some(error) = error.filter(|_| reply.is_wanted())
            && let Some(next) = self.walk.failed(agent.name(), &error)
            && let Some(next) = self.chain.get(next)
        {
            note(&self.node, agent.name(), &error, next.name());
            self.publish(agent, &error, next);
            return self.ask(reply);
        }
        match outcome {
            Ok(answer) => reply.send(answer.map_err(|error| error.with(&self.walk.story()))),
            Err(error) => reply.refuse(error),
        };
    }

    fn publish(&self, agent: &Agent<I, O>, error: &AgentError, next: &Agent<I, O>) {
        let data = json!({
            "agent": **agent.name(),
            "error": excerpt(&error.to_string()),
            "fallback": **next.name(),
        });
        let source = format!("agent/{}", agent.name());
        let draft = Draft::new(EventKind::TaskRetried).data(data);
        if let Err(error) = self.node.publish_event(draft, &source) {
            tracing::error!(%error, "a fallback was not published");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn failed(message: &str) -> AgentError {
        AgentError::Failed { message: message.to_owned() }
    }

    #[test]
    fn whatever_another_agent_may_do_better_goes_on_and_is_told_in_the_end() {
        let others = [
            failed("broken"),
            AgentError::Panicked { message: "oh".to_owned() },
            AgentError::TimedOut { after: SECOND },
            AgentError::Lost { reason: "killed".to_owned() },
            AgentError::TooMuchOutput { limit: 1 },
            AgentError::NotFound { program: "ruff".to_owned() },
            AgentError::NotExecutable { program: "/bin/ruff".to_owned() },
            AgentError::Busy { reason: "limit".to_owned(), after: SECOND },
            AgentError::Held { reason: "open".to_owned(), after: SECOND },
        ];
        for error in others {
            let mut walk = Walk::new(2);
            assert_eq!(walk.failed(&"a".into(), &error), Some(1), "{error}");
            assert_eq!(walk.failed(&"b".into(), &error), None, "{error}");
            assert_eq!(walk.story(), format!("; tried before: a: {error}"));
        }
    }

    #[test]
    fn what_can_succeed_nowhere_ends_the_walk() {
        for error in [AgentError::Cancelled, AgentError::Refused { reason: "bad".to_owned() }] {
            let mut walk = Walk::new(3);
            assert_eq!(walk.failed(&"a".into(), &error), None, "{error}");
            assert!(!walk.has_fallen());
        }
    }

    #[test]
    fn a_walk_goes_on_where_a_journal_left_it() {
        let mut walk = Walk::new(3);
        walk.passed(&"a".into(), &failed("first"));
        assert_eq!(walk.failed(&"b".into(), &failed("second")), Some(2));
        assert_eq!(walk.story(), "; tried before: a: first; b: second");
        assert_eq!(walk.failed(&"c".into(), &failed("third")), None);
    }
}

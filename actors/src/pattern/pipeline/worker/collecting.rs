//! Collecting: answers judged, failures repeated, given on along the chain, or final.

use super::*;
use crate::{
    agent::note,
    guard::guarded,
    limits::{EXCERPT_CHARS_MAX, HELD_RETRY_WAIT},
    pattern::{
        bounds::{check_datum, clip, clipped},
        brief::millis,
        link::end,
        pipeline::stage::About,
    },
};

impl Worker {
    /// Takes how a call has ended, and what to do with its place.
    pub(super) fn answered(
        &mut self,
        document: u32,
        lease: Lease,
        outcome: Result<Result<Value, AgentError>, Duration>,
        cx: &mut In,
    ) {
        let now = cx.now();
        let Some(guest) = self.guests.get_mut(&document) else { return };
        let (Some((_, since)), link) = (guest.call.take(), guest.link) else { return };
        self.running -= 1;
        let took = now.since(since);
        let usable =
            matches!(&outcome, Ok(outcome) if !matches!(outcome, Err(AgentError::Held { .. })));
        if outcome.is_err()
            && let Some(link) = self.link(link)
        {
            end(link.agent(), lease, true, cx);
        }
        let answer = outcome.unwrap_or_else(|after| Err(AgentError::TimedOut { after }));
        match answer.and_then(|answer| self.judge(document, answer, took, cx)) {
            Ok(output) => self.passed(document, output, (lease, since), cx),
            Err(error) => self.failed(document, error, cx),
        }
        // A place whose agent has answered is free for the next document, unless somebody else waits for places.
        let alive = usable && self.link(link).is_some_and(|agent| agent.agent().has(lease.slot));
        match self.lanes.get_mut(link).filter(|_| alive && self.alone && !self.stopping) {
            Some(lane) => lane.idle.push(lease),
            None => self.release(vec![lease], cx),
        }
        if !self.stopping {
            self.serve(link, cx);
        }
        self.say_idle(cx);
    }

    /// What goes on of an answer: it is what the schema allows and the validator finds good, transformed, and fits a record. Where
    /// that is what came in, it is the very same.
    fn judge(
        &self,
        document: u32,
        answer: Value,
        took: Duration,
        cx: &In,
    ) -> Result<Arc<Value>, AgentError> {
        let (Some(stage), Some(guest)) = (self.stage(), self.guests.get(&document)) else {
            return Err(AgentError::Cancelled);
        };
        let agent = stage.links.get(guest.link).map_or("", |link| &**link.agent().name());
        let garbage = |value: &Value, expected: String| AgentError::Garbage {
            what: agent.to_owned(),
            expected,
            excerpt: excerpt(value),
        };
        if let Some(Err(why)) = stage.output.as_ref().map(|schema| schema.check(&answer)) {
            let expected =
                format!("what the output schema of stage `{}` allows: {why}", stage.name);
            return Err(garbage(&answer, expected));
        }
        if let Some(validate) = &stage.validate {
            let valid = guarded("the validator", || validate(&guest.content, &answer));
            if let Err(why) = valid.flatten() {
                let expected =
                    format!("what the validator of stage `{}` allows: {why}", stage.name);
                return Err(garbage(&answer, clip(expected)));
            }
        }
        let output = match &stage.transform {
            None => answer,
            Some(transform) => {
                let (name, attempts, at) = (&*guest.name, guest.attempts, millis(cx));
                let about = About { document, name, stage: &stage.name, agent, attempts, took, at };
                guarded("it", || transform(answer, &about)).flatten().map_err(|why| {
                    let message = clip(format!("the transform of stage `{}`: {why}", stage.name));
                    AgentError::Failed { message }
                })?
            }
        };
        if let Some(Err(why)) =
            self.post.plan.last_output(self.post.stage).map(|schema| schema.check(&output))
        {
            return Err(garbage(
                &output,
                format!("what the pipeline's output schema allows: {why}"),
            ));
        }
        if output == *guest.content {
            return Ok(Arc::clone(&guest.content));
        }
        check_datum(&output)?;
        Ok(Arc::new(output))
    }

    fn passed(&mut self, document: u32, output: Arc<Value>, (lease, since): Placed, cx: &mut In) {
        let took = cx.now().since(since);
        self.post.brief.counters.done(took);
        let Some(guest) = self.guests.remove(&document) else { return };
        let passed = Passed {
            output,
            link: number(guest.link),
            slot: lease.slot.0,
            attempts: guest.attempts,
            calls: guest.calls,
            waited: since.since(guest.since),
            took,
        };
        self.tell(document, News::Passed(passed), cx);
    }

    fn failed(&mut self, document: u32, error: AgentError, cx: &mut In) {
        self.post.brief.counters.failed(&error);
        let Some(guest) = self.guests.get_mut(&document).filter(|_| !self.stopping) else { return };
        if let AgentError::Held { .. } = error {
            // Nobody was called: that is no attempt, and whoever is free next may have it.
            guest.uncount();
            cx.after(HELD_RETRY_WAIT, Msg::Held(document));
            return;
        }
        let attempts = guest.attempts.saturating_sub(guest.before);
        let retries = self.stage().map(|stage| stage.retries).unwrap_or_default();
        let wait = match error.retry() {
            protocol::Retry::Never => None,
            protocol::Retry::After(asked) => retries.next(attempts, Some(asked), cx.random()),
            protocol::Retry::Elsewhere => retries.next(attempts, None, cx.random()),
        };
        let Some(wait) = wait else { return self.fall(document, error, cx) };
        self.publish(EventKind::TaskRetried, document, cx, |data| {
            data.insert("error".to_owned(), json!(error.to_string()));
        });
        cx.after(wait, Msg::Rested(document));
    }

    /// Gives a document at which its agent has failed for good to the next of the chain; it fails where there is none.
    pub(super) fn fall(&mut self, document: u32, error: AgentError, cx: &mut In) {
        if self.stopping {
            return;
        }
        let Some(stage) = self.post.plan.stage(self.post.stage) else { return };
        let Some(guest) = self.guests.get_mut(&document) else { return };
        let (error, from) = (clipped(error), guest.link);
        let Some(agent) = stage.links.get(from) else { return };
        let walk = guest.walk.get_or_insert_with(|| Walk::new(stage.links.len()));
        let Some((to, next)) = walk
            .failed(agent.agent().name(), &error)
            .and_then(|to| Some((to, stage.links.get(to)?)))
        else {
            return self.fail(document, error, cx);
        };
        (guest.link, guest.before) = (to, guest.attempts);
        let (attempts, calls) = (guest.attempts, std::mem::take(&mut guest.calls));
        note(self.post.brief.system.node(), agent.agent().name(), &error, next.agent().name());
        let (failed, next) = (Arc::clone(agent.agent().name()), Arc::clone(next.agent().name()));
        self.publish(EventKind::TaskRetried, document, cx, |data| {
            data.insert("agent".to_owned(), json!(*failed));
            data.insert("error".to_owned(), json!(error.to_string()));
            data.insert("fallback".to_owned(), json!(*next));
        });
        let fell = Fell { from: number(from), to: number(to), attempts, error };
        self.tell(document, News::Again(calls, Some(fell)), cx);
    }

    fn fail(&mut self, document: u32, error: AgentError, cx: &mut In) {
        let Some(guest) = self.guests.remove(&document) else { return };
        let story = guest.walk.map_or_else(String::new, |walk| walk.story());
        let why = clip(format!("{error}{story}"));
        let (link, attempts, calls) = (Some(number(guest.link)), guest.attempts, guest.calls);
        self.tell(document, News::Failed(Failed { link, attempts, calls, error, why }), cx);
    }
}

impl Guest {
    /// A call begins.
    pub(super) fn count(&mut self) {
        self.calls.made += 1;
        self.calls.again += u32::from(self.attempts > 0);
        self.attempts += 1;
    }

    /// Takes a call back that nobody got.
    pub(super) fn uncount(&mut self) {
        self.attempts = self.attempts.saturating_sub(1);
        self.calls.made = self.calls.made.saturating_sub(1);
        self.calls.again = self.calls.again.saturating_sub(u32::from(self.attempts > 0));
    }
}

fn number(link: usize) -> u32 {
    u32::try_from(link).unwrap_or(u32::MAX)
}

/// The beginning of a value, for an error's text.
fn excerpt(value: &Value) -> String {
    value.to_string().chars().take(EXCERPT_CHARS_MAX).collect()
}

//! Speaking: what the leader's own agent is asked, one thing after the other, and what a leader without one bids.

use super::*;
use crate::{guard::guarded, pattern::hierarchy::Offer};

/// Something that the leader's own agent is asked.
pub(super) enum Speech {
    /// To do an assignment that has no tasks.
    Lead(Box<Job>),
    Decide {
        worker: u32,
        failure: Box<Failure>,
    },
    Bid {
        assignment: u32,
        offer: Value,
    },
}

/// What tells the calls of a leader's agent from the tasks of the run.
const DECIDES: u64 = 1 << 63;
const BIDS: u64 = 3 << 62;

impl Leader {
    /// Bids for an assignment, or has its agent bid.
    pub(super) fn bid(&mut self, assignment: u32, name: &str, (tasks, open): (u64, u64)) {
        let scheme = Arc::clone(&self.post.scheme);
        let Some(team) = scheme.team(self.post.team) else { return };
        let workers = team.workers.len() as u64;
        let offer = Offer { team: &team.name, assignment: name, tasks, open, workers };
        if team.led_by.is_some() {
            return self.speech.push_back(Speech::Bid { assignment, offer: json!(offer) });
        }
        let bid = guarded("the leader", || team.lead.bid(&offer)).unwrap_or_else(|why| {
            tracing::warn!(team = &*team.name, why, "a leader bids nothing");
            None
        });
        self.news.push(News::Bid(assignment, bid));
    }

    /// Nobody wants to hear of this task any more.
    pub(super) fn unsay(&mut self, unit: u64) {
        let is_of = |speech: &Speech| match speech {
            Speech::Lead(job) => job.charge.unit == unit,
            Speech::Decide { failure, .. } => failure.of == Subject::Task(unit),
            Speech::Bid { .. } => false,
        };
        self.speech.retain(|speech| !is_of(speech));
        if self.asking.as_ref().is_some_and(is_of) {
            self.asking = None;
        }
    }

    /// The seat of its own agent, where it has one.
    fn own_seat(&self) -> u32 {
        self.post.team().map_or(0, |team| u32::try_from(team.workers.len()).unwrap_or(u32::MAX))
    }

    /// Asks its agent for what is next; where that is gone, for nothing.
    pub(super) fn speak(&mut self, cx: &mut In) {
        let seat = self.own_seat();
        while self.crew.is_down(seat)
            && let Some(speech) = self.speech.pop_front()
        {
            let reason = "the leader's agent ended too often".to_owned();
            self.said(speech, Err(AgentError::Lost { reason }), (0, Duration::ZERO, false), cx);
        }
        if !self.crew.is_free(seat) {
            return;
        }
        let Some(mut speech) = self.speech.pop_front() else { return };
        if let Speech::Decide { .. } = speech
            && let Err(exceeded) = self.post.brief.budget.spend(Cost::MESSAGE, cx.now())
        {
            let reason = exceeded.to_string();
            let call = (0, Duration::ZERO, false);
            return self.said(speech, Err(AgentError::Refused { reason }), call, cx);
        }
        let (charge, attempt) = charge_of(&mut speech);
        self.crew.give(seat, Arc::new(charge), attempt);
        self.asking = Some(speech);
    }

    /// Takes what its agent says.
    pub(super) fn spoken(
        &mut self,
        answer: Result<Arc<Value>, AgentError>,
        call: (i64, Duration, bool),
        cx: &mut In,
    ) {
        if let Some(speech) = self.asking.take() {
            self.said(speech, answer, call, cx);
        }
    }

    fn said(
        &mut self,
        speech: Speech,
        answer: Result<Arc<Value>, AgentError>,
        (at, took, fallback): (i64, Duration, bool),
        cx: &mut In,
    ) {
        let worker = self.own_seat();
        match (speech, answer) {
            (Speech::Lead(job), Ok(output)) => {
                let (unit, attempts) = (job.charge.unit, job.attempts);
                let done = Done { unit, worker, output, attempts, fallback, at, took };
                self.news.push(News::Done(Box::new(done)));
            }
            (Speech::Lead(job), Err(AgentError::Held { .. })) => self.hold(job, cx),
            (Speech::Lead(job), Err(error)) => self.failed(&job, worker, (error, false), cx),
            (Speech::Decide { worker, failure }, answer) => {
                let decision = answer.map_err(|error| error.to_string()).and_then(|said| {
                    Option::<Decision>::deserialize(&*said)
                        .map_err(|error| format!("what it says is no decision: {error}"))
                });
                self.decided(worker, failure, decision);
            }
            (Speech::Bid { assignment, .. }, answer) => {
                let bid = answer.ok().and_then(|said| said.as_f64());
                self.news.push(News::Bid(assignment, bid));
            }
        }
    }
}

/// What the agent is given, and which attempt it is.
fn charge_of(speech: &mut Speech) -> (Charge, u32) {
    match speech {
        Speech::Lead(job) => {
            job.attempts += 1;
            let Charge { unit, assignment, task, input, before } = &*job.charge;
            let input = json!({
                "act": "lead",
                "assignment": **assignment,
                "input": **input,
                "before": **before,
            });
            let charge = Charge {
                unit: *unit,
                assignment: Arc::clone(assignment),
                task: Arc::clone(task),
                input: Arc::new(input),
                before: Arc::clone(before),
            };
            (charge, job.attempts)
        }
        Speech::Decide { failure, .. } => {
            let Subject::Task(unit) = failure.of else {
                return (asked(DECIDES, "decide", Arc::default()), 1);
            };
            let unit = DECIDES | u64::from(failure.decisions) << 40 | unit;
            (asked(unit, "decide", Arc::new(json!({ "act": "decide", "failure": failure }))), 1)
        }
        Speech::Bid { assignment, offer } => {
            let input = json!({ "act": "bid", "offer": offer });
            (asked(BIDS | u64::from(*assignment), "bid", Arc::new(input)), 1)
        }
    }
}

/// Something that an agent is asked which is no task of the plan.
pub(in crate::pattern::hierarchy) fn asked(unit: u64, act: &str, input: Arc<Value>) -> Charge {
    let (assignment, task) = ("".into(), act.into());
    Charge { unit, assignment, task, input, before: Arc::default() }
}

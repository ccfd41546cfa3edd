//! Acting: the plan made, the results put together, failures decided on, by the supervisor itself or by an agent in its place.

use serde::Deserialize as _;

use super::*;
use crate::{
    agent::AgentError,
    guard::guarded,
    limits::HELD_RETRY_WAIT,
    pattern::{
        bounds::{check_datum, clipped},
        hierarchy::{Plan, TeamCard, leader::asked, record::PlannedRecord},
    },
};

/// What tells the calls for the supervisor's acts from the tasks of the run.
const ACTS: u64 = 1 << 62;

impl Coordinator {
    pub(super) fn has_agent(&self, act: Act) -> bool {
        self.scheme.supervisor.agents.iter().any(|(of, _)| *of == act)
    }

    /// Has the mission planned; tells whether there is a plan now.
    pub(super) fn plan(&mut self, cx: &mut In) -> bool {
        if self.acting.is_some() {
            return false;
        }
        self.enter(SpanPhase::Map);
        let cards: Vec<TeamCard> = self.scheme.teams.iter().map(TeamCard::from).collect();
        let mission = Arc::clone(&self.scheme.mission);
        if self.has_agent(Act::Plan) {
            let input = json!({ "act": "plan", "mission": *mission, "teams": cards });
            self.act(Act::Plan, input, None, cx);
            return false;
        }
        let supervisor = Arc::clone(&self.scheme.supervisor.own);
        let plan = guarded("the supervisor", || supervisor.plan(&mission, &cards)).flatten();
        self.planned(plan, cx);
        self.is_planned
    }

    fn planned(&mut self, plan: Result<Plan, String>, cx: &mut In) {
        let fits = |plan: &Plan| {
            plan.check(&self.scheme.teams, &[])?;
            check_datum(plan).map_err(|error| format!("the plan: {error}"))
        };
        match plan.and_then(|plan| fits(&plan).map(|()| plan)) {
            Ok(plan) => {
                cx.record(&PlannedRecord { record: "planned", at: millis(cx), plan: &plan });
                let supervisor = Arc::clone(&self.scheme.supervisor.own);
                if let Err(why) = guarded("the supervisor", || supervisor.planned(&plan)) {
                    return self.stop_early(FailureKind::Split { why: clip(why) }, cx);
                }
                self.board.plan(plan);
                self.is_planned = true;
                self.enter(SpanPhase::Execute);
                let (units, done) = (self.board.units, 0);
                self.publish(
                    EventKind::TaskCreated,
                    cx,
                    || json!({ "units": units, "done": done }),
                );
            }
            Err(why) => self.stop_early(FailureKind::Split { why: clip(why) }, cx),
        }
    }

    /// Has the results put together; tells whether there is more to do for that.
    pub(super) fn integrate(&mut self, cx: &mut In) -> bool {
        self.enter(SpanPhase::Reduce);
        let (results, mission) = (self.board.results(), Arc::clone(&self.scheme.mission));
        if self.has_agent(Act::Integrate) {
            let input = json!({ "act": "integrate", "mission": *mission, "results": results });
            self.act(Act::Integrate, input, None, cx);
            return false;
        }
        let supervisor = Arc::clone(&self.scheme.supervisor.own);
        let output =
            guarded("the supervisor", || supervisor.integrate(&mission, &results)).flatten();
        self.integrated(output, cx);
        true
    }

    fn integrated(&mut self, output: Result<Value, String>, cx: &mut In) {
        let fits = |output: &Value| check_datum(output).map_err(|error| error.to_string());
        match output.and_then(|output| fits(&output).map(|()| output)) {
            Ok(output) => {
                let record = Record::Integrated { output };
                cx.record(&record);
                self.restore(record);
                self.end(cx);
            }
            Err(message) => {
                let error = clipped(AgentError::Failed { message });
                let failure = self.failure(Subject::Mission, None, error);
                self.troubles.push_back(Box::new(failure));
            }
        }
    }

    fn enter(&mut self, phase: SpanPhase) {
        self.phase_span = trace::phase(&self.span, phase, self.scheme.workers());
    }

    /// Asks an agent for an act.
    pub(super) fn act(
        &mut self,
        act: Act,
        input: Value,
        failure: Option<Box<Failure>>,
        cx: &mut In,
    ) {
        let decided = self.decided.len() as u64;
        let unit = match act {
            Act::Plan => ACTS,
            Act::Integrate => ACTS | 1 << 60 | decided,
            Act::Intervene => ACTS | 2 << 60 | decided,
        };
        let input = Arc::new(input);
        self.acting = Some(Acting { act, input, unit, attempt: 0, failure });
        self.act_again(cx);
    }

    pub(super) fn act_again(&mut self, cx: &mut In) {
        if self.phase != Phase::Running || !self.spend(cx) {
            return;
        }
        let Some(acting) = &mut self.acting else { return };
        acting.attempt += 1;
        let (act, attempt) = (acting.act, acting.attempt);
        let charge = asked(acting.unit, act.as_str(), Arc::clone(&acting.input));
        let seat = self.scheme.supervisor.agents.iter().position(|(of, _)| *of == act);
        if let Some(seat) = seat.and_then(|seat| u32::try_from(seat).ok()) {
            self.crew.give(seat, Arc::new(charge), attempt);
            self.owed += 1;
        }
    }

    /// The actor by which an agent is asked has ended: it is started again, and the agent asked again.
    pub(super) fn act_ended(&mut self, seat: u32, exit: &ChildExit, cx: &mut In) {
        let orphan = self.crew.ended(seat, exit, cx);
        if self.phase == Phase::Running {
            self.crew.restart(seat, cx);
        }
        if orphan.is_some() {
            let reason = format!("its actor ended: {}", exit.reason);
            self.acted(Err(AgentError::Lost { reason }), cx);
        }
    }

    /// Takes what an agent says that was asked for an act.
    pub(super) fn acted(&mut self, answer: Result<Arc<Value>, AgentError>, cx: &mut In) {
        let Some(acting) = &mut self.acting else { return };
        self.owed -= 1;
        if self.phase != Phase::Running {
            return;
        }
        let answer = match answer {
            Ok(answer) => Ok(answer),
            Err(AgentError::Held { .. }) => {
                acting.attempt -= 1;
                cx.after(HELD_RETRY_WAIT, Msg::ActAgain);
                return;
            }
            Err(error) => {
                let wait = again(&self.scheme, &error, acting.attempt, cx);
                if let Some(wait) = wait {
                    cx.after(wait, Msg::ActAgain);
                    return;
                }
                Err(format!("the supervisor's agent: {error}"))
            }
        };
        let Some(Acting { act, failure, .. }) = self.acting.take() else { return };
        match act {
            Act::Plan => {
                let plan = answer.and_then(|said| {
                    Plan::deserialize(&*said).map_err(|error| format!("it is no plan: {error}"))
                });
                self.planned(plan, cx);
            }
            Act::Integrate => self.integrated(answer.map(Arc::unwrap_or_clone), cx),
            Act::Intervene => {
                let Some(failure) = failure else { return };
                let decision = answer.and_then(|said| {
                    Decision::deserialize(&*said)
                        .map_err(|error| format!("what it says is no decision: {error}"))
                });
                match decision {
                    Ok(decision) => {
                        self.decide(Decider::Supervisor, &failure, decision, cx);
                    }
                    Err(why) => self.abort(&failure, format!("{}; {why}", failure.why()), cx),
                }
            }
        }
    }
}

/// How long to wait before an agent is asked again that has failed at an act; none where it is not.
fn again(scheme: &Scheme, error: &AgentError, attempts: u32, cx: &mut In) -> Option<Duration> {
    let asked = match error.retry() {
        protocol::Retry::Never => return None,
        protocol::Retry::After(after) => Some(after),
        protocol::Retry::Elsewhere => None,
    };
    scheme.rules.retries.next(attempts, asked, cx.random())
}

//! Deciding: failures brought before the supervisor, and decisions, whoever took them, checked, written down and carried out.

use super::*;
use crate::{
    agent::AgentError,
    guard::guarded,
    limits::DECISIONS_MAX,
    pattern::{
        bounds::check_datum,
        hierarchy::{
            DecisionLevel,
            board::{Carried, DutyState, JobState, NOBODY},
        },
    },
};

impl Coordinator {
    /// Brings a failure before the supervisor; tells whether it has decided.
    pub(super) fn intervene(&mut self, failure: Box<Failure>, cx: &mut In) -> bool {
        if !self.is_undecided(failure.of) {
            return true;
        }
        if self.has_agent(Act::Intervene) {
            let input = json!({ "act": "intervene", "failure": failure });
            self.act(Act::Intervene, input, Some(failure), cx);
            return false;
        }
        let supervisor = Arc::clone(&self.scheme.supervisor.own);
        match guarded("the supervisor", || supervisor.intervene(&failure)) {
            Ok(decision) => self.decide(Decider::Supervisor, &failure, decision, cx),
            Err(why) => self.abort(&failure, why, cx),
        }
        true
    }

    /// Whether a failure still waits for a decision: another plan may have taken the place of what it is about.
    fn is_undecided(&self, of: Subject) -> bool {
        match of {
            Subject::Task(unit) => {
                self.board.job(unit).is_some_and(|job| matches!(job.state, JobState::Failing(_)))
            }
            Subject::Assignment(duty) => {
                let duty = self.board.duties.get(duty as usize);
                duty.is_some_and(|duty| duty.state == DutyState::Waiting)
            }
            Subject::Team(team) => self.seats.get(team as usize).is_some_and(|seat| seat.is_down),
            Subject::Mission => true,
        }
    }

    /// Carries a decision out, behind its record, if whoever took it may take it and it can be done; else the run ends.
    pub(super) fn decide(
        &mut self,
        by: Decider,
        failure: &Failure,
        decision: Decision,
        cx: &mut In,
    ) {
        if self.phase != Phase::Running {
            return;
        }
        let (wanted, may) = (decision.level(), self.scheme.supervisor.level);
        if by != Decider::Leader && wanted > may {
            let why = format!(
                "{}; to {wanted} is above what the supervisor may, which is to {may}",
                failure.why()
            );
            return self.abort(failure, why, cx);
        }
        let count = self.board.decisions.get(&failure.of).copied().unwrap_or_default();
        if count >= DECISIONS_MAX {
            let why = format!("{}; {count} decisions on it were in vain", failure.why());
            return self.abort(failure, why, cx);
        }
        let at = millis(cx);
        let (of, team, avoid) = (failure.of, None, None);
        let why = clip(failure.why());
        let mut decided = Decided { at, by, of, decision, team, avoid, why };
        if let Err(why) = self.settle_on(&mut decided, self.worker_of(failure)) {
            return self.abort(failure, format!("{}; {why}", failure.why()), cx);
        }
        cx.record(&Record::Decided(decided.clone()));
        self.set_wait(failure, &decided, cx);
        if let Decision::Abort { why } = &decided.decision {
            let why = why.clone();
            self.tell_decision(failure, &decided, cx);
            self.decided.push(decided);
            return self.abort(failure, why, cx);
        }
        let Carried { vain, lost } = self.carry_out(decided.clone());
        self.tell_decision(failure, &decided, cx);
        for (team, unit) in vain {
            self.order(team, Order::Withdraw(unit));
            self.settle(unit);
        }
        for unit in lost {
            let team = self.board.job(unit).and_then(|job| job.team).unwrap_or(NOBODY);
            self.publish_task(EventKind::TaskFailed, (unit, team), cx, |data| {
                data.insert("error".to_owned(), json!(failure.why()));
            });
        }
        if let (Subject::Team(team), DecisionLevel::Retry) = (of, wanted) {
            self.restart_leader(team, cx);
        }
    }

    /// Settles who has it from now on, and whether it can be done at all.
    ///
    /// # Errors
    /// Why it cannot.
    fn settle_on(&self, decided: &mut Decided, worker: Option<u32>) -> Result<(), String> {
        match (&decided.decision, decided.of) {
            (Decision::Replan { plan }, _) => {
                check_datum(plan).map_err(|error| format!("the new plan: {error}"))?;
                plan.check(&self.scheme.teams, &self.board.done_names())
                    .map_err(|why| format!("the new plan is none: {why}"))
            }
            (Decision::Inform | Decision::Reassign { .. }, Subject::Mission) => {
                Err("the results can be put together again, replanned for, or given up".to_owned())
            }
            (Decision::Reassign { to }, of) => {
                let (team, avoid) = self.successor(of, to.as_deref(), (decided.by, worker))?;
                (decided.team, decided.avoid) = (team, avoid);
                Ok(())
            }
            (Decision::Inform, Subject::Task(_)) => {
                decided.avoid = worker;
                Ok(())
            }
            (Decision::Inform | Decision::Retry | Decision::Abort { .. }, _) => Ok(()),
        }
    }

    /// Who has what is reassigned: a team, or in the same team any worker but this one.
    fn successor(
        &self,
        of: Subject,
        to: Option<&str>,
        (by, worker): (Decider, Option<u32>),
    ) -> Result<(Option<u32>, Option<u32>), String> {
        let had = match of {
            Subject::Task(unit) => self.board.job(unit).and_then(|job| job.team),
            Subject::Team(team) => Some(team),
            Subject::Assignment(_) | Subject::Mission => None,
        };
        let by_leader = match of {
            Subject::Task(unit) => self.board.duty_of(unit).is_some_and(|duty| duty.by_leader),
            Subject::Assignment(duty) => {
                self.board.duties.get(duty as usize).is_some_and(|duty| duty.by_leader)
            }
            Subject::Team(_) | Subject::Mission => false,
        };
        let able = |number: u32| {
            let is_up = self.seats.get(number as usize).is_some_and(|seat| !seat.is_down);
            is_up && self.scheme.team(number).is_some_and(|team| team.can(by_leader))
        };
        let teams = (0..).zip(&self.scheme.teams).map(|(number, _)| number);
        let colleague = worker.filter(|worker| self.has_colleagues(of, *worker));
        let colleague = colleague.map(|worker| (None, Some(worker)));
        match to {
            None if by == Decider::Leader => {
                colleague.ok_or_else(|| "no other worker can take it".to_owned())
            }
            None => {
                let others = teams.filter(|team| Some(*team) != had && able(*team));
                match others.min_by(|one, other| self.by_load(*one, *other)) {
                    Some(team) => Ok((Some(team), None)),
                    None => colleague.ok_or_else(|| "no other team can take it".to_owned()),
                }
            }
            Some(name) => {
                let named = |team: &u32| self.team_name(*team) == name && able(*team);
                match teams.into_iter().find(named) {
                    Some(team) if Some(team) == had => {
                        colleague.ok_or_else(|| format!("team `{name}` has it already"))
                    }
                    Some(team) => Ok((Some(team), None)),
                    None => {
                        Err(format!("it was reassigned to team `{name}`, which cannot take it"))
                    }
                }
            }
        }
    }

    /// The worker that a failure is of.
    fn worker_of(&self, failure: &Failure) -> Option<u32> {
        let team = self.scheme.teams.iter().find(|team| *team.name == failure.team)?;
        let worker = team.workers.iter().position(|own| *own.name == failure.worker)?;
        u32::try_from(worker).ok()
    }

    /// Whether a task's team has workers that may have it instead of this one.
    fn has_colleagues(&self, of: Subject, worker: u32) -> bool {
        let Subject::Task(unit) = of else { return false };
        let Some(job) = self.board.job(unit) else { return false };
        let workers =
            job.team.and_then(|team| self.scheme.team(team)).map_or(0, |team| team.workers.len());
        let workers = 0..u32::try_from(workers).unwrap_or(u32::MAX);
        workers.into_iter().any(|other| other != worker && !job.avoid.contains(&other))
    }

    /// How long a task waits before it is done again by the same team.
    fn set_wait(&mut self, failure: &Failure, decided: &Decided, cx: &mut In) {
        let (Subject::Task(unit), Decision::Retry) = (decided.of, &decided.decision) else {
            return;
        };
        let asked = match failure.error.retry() {
            protocol::Retry::After(after) => after,
            protocol::Retry::Never | protocol::Retry::Elsewhere => Duration::ZERO,
        };
        let backoff = self.scheme.rules.retries.backoff;
        let wait = backoff.wait(failure.attempts.max(1), cx.random()).max(asked);
        if decided.by != Decider::Monitor && wait > Duration::ZERO {
            self.waits.insert(unit, wait);
        }
    }

    fn tell_decision(&self, failure: &Failure, decided: &Decided, cx: &mut In) {
        self.publish(EventKind::Intervened, cx, || {
            json!({
                "by": decided.by,
                "decision": decided.decision.level(),
                "team": failure.team,
                "assignment": failure.assignment,
                "task": failure.task,
                "to": decided.team.map(|team| self.team_name(team)),
                "error": decided.why,
                "units": self.board.units,
            })
        });
    }

    /// Does what was decided, in this life of the run or, by the journal, in an earlier one.
    pub(super) fn carry_out(&mut self, decided: Decided) -> Carried {
        if matches!(decided.decision, Decision::Replan { .. }) {
            self.bids.clear();
        }
        let carried = self.board.carry_out(&decided);
        self.decided.push(decided);
        carried
    }

    /// Ends the run over a failure on which nobody else may decide.
    pub(super) fn abort(&mut self, failure: &Failure, why: String, cx: &mut In) {
        let why = clip(why);
        let kind = match failure.of {
            Subject::Mission => FailureKind::Reduce { why },
            Subject::Task(_) | Subject::Assignment(_) | Subject::Team(_) => FailureKind::Aborted {
                team: failure.team.clone(),
                task: match failure.task.as_str() {
                    "" => failure.assignment.clone(),
                    task => format!("{}/{task}", failure.assignment),
                },
                why,
            },
        };
        self.stop_early(kind, cx);
    }

    /// A failure that no leader reports.
    pub(super) fn failure(&self, of: Subject, team: Option<u32>, error: AgentError) -> Failure {
        let (assignment, task) = match of {
            Subject::Task(unit) => (
                self.board.duty_of(unit).map(|duty| duty.name.to_string()),
                self.board.job(unit).map(|job| job.name.to_string()),
            ),
            Subject::Assignment(duty) => {
                let duty = self.board.duties.get(duty as usize);
                (duty.map(|duty| duty.name.to_string()), None)
            }
            Subject::Team(_) | Subject::Mission => (None, None),
        };
        let attempts = match of {
            Subject::Task(unit) => self.board.job(unit).map_or(0, |job| job.attempts),
            Subject::Assignment(_) | Subject::Team(_) | Subject::Mission => 0,
        };
        Failure {
            of,
            team: team.map_or_else(String::new, |team| self.team_name(team).to_owned()),
            assignment: assignment.unwrap_or_default(),
            task: task.unwrap_or_default(),
            worker: String::new(),
            may_retry: error.retry() != protocol::Retry::Never,
            error,
            crashed: false,
            attempts,
            others: 0,
            decisions: self.board.decisions.get(&of).copied().unwrap_or_default(),
            note: String::new(),
        }
    }
}

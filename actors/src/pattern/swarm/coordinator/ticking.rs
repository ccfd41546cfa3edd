//! Ticking: the rounds of a tick, who is asked in each, and who has missed it.

use std::ops::Range;

use super::*;
use crate::{limits::MISSED_RECORD_SPANS, swarm::Spans};

impl<M: Model> Coordinator<M> {
    /// Begins the next tick, or ends the run where it is over.
    pub(super) fn begin_tick(&mut self, cx: &mut In<M>) {
        let Some(course) = &mut self.course else { return };
        let begun = match course.over() {
            Ok(Some(end)) => return self.end_well(end, cx),
            Ok(None) => course.begin_tick(),
            Err(why) => Err(why),
        };
        if let Err(why) = begun {
            return self.stop_early(FailureKind::Reduce { why: clip(why) }, cx);
        }
        let next = course.ticks() + 1;
        let timer = cx.after(self.scheme.options.tick_deadline, Msg::TickOver(next));
        self.tick = Tick { timer: Some(timer), ..Tick::default() };
        self.host_all(cx);
        self.next_round(cx);
    }

    /// Opens the rounds of the tick one after the other, until somebody has to be waited for; then ends the tick.
    fn next_round(&mut self, cx: &mut In<M>) {
        while !self.ended && self.asked.is_none() {
            let Some(round) = self.course.as_mut().and_then(Course::next_round) else {
                return self.end_tick(cx);
            };
            self.open(round, cx);
        }
    }

    /// Asks all that take part in a round. Nobody is asked whose actor still owes an earlier answer; but where that goes for all of
    /// them, they are waited for.
    fn open(&mut self, round: Round, cx: &mut In<M>) {
        let Range { start, end } = round.agents;
        let Some(last) = end.checked_sub(1).filter(|last| *last >= start) else { return };
        let (first, last) = (self.scheme.host(start), self.scheme.host(last));
        self.rounds += 1;
        let answers = std::iter::repeat_with(|| None).take(last + 1 - first).collect();
        self.asked = Some(Asked { number: self.rounds, round, first, answers, left: 0 });
        let takes_part = |host: &usize| self.part(*host).any(|agent| self.lives(agent));
        let hosts: Vec<usize> = (first..=last).filter(takes_part).collect();
        if hosts.is_empty() || self.tick.over {
            return self.close(cx);
        }
        self.tick.has_asked = true;
        let is_free = |host: &&usize| self.seats.get(**host).is_some_and(|own| own.owes.is_none());
        let free: Vec<usize> = hosts.iter().filter(is_free).copied().collect();
        if self.pay(free.len(), cx) {
            free.into_iter().for_each(|host| self.put(host, cx));
        }
    }

    /// Pays for so many questions; ends the run where its budget does not allow them.
    fn pay(&mut self, questions: usize, cx: &mut In<M>) -> bool {
        let cost = Cost { messages: questions as u64, ..Cost::ZERO };
        if let Err(exceeded) = self.brief.budget.spend(cost, cx.now()) {
            let (why, (done, units)) = (exceeded.to_string(), self.done());
            self.stop_early(FailureKind::OverBudget { why, done, units }, cx);
            return false;
        }
        true
    }

    /// The agents of a host that take part in the open round.
    fn part(&self, host: usize) -> Range<u32> {
        let (Some(course), Some(asked)) = (&self.course, &self.asked) else { return 0..0 };
        let (own, all) = (self.scheme.hosted(host, course.born()), &asked.round.agents);
        own.start.max(all.start)..own.end.min(all.end)
    }

    fn lives(&self, agent: u32) -> bool {
        let course = self.course.as_ref();
        course.is_some_and(|course| self.scheme.setup.model.lives(course.world(), agent))
    }

    /// Asks a host for its part of the open round, by itself.
    pub(super) fn ask(&mut self, host: usize, cx: &mut In<M>) {
        if self.pay(1, cx) {
            self.put(host, cx);
        }
    }

    /// Puts the question to a host that is paid.
    fn put(&mut self, host: usize, cx: &mut In<M>) {
        let agents = self.part(host);
        let (Some(course), Some(asked)) = (&self.course, &mut self.asked) else { return };
        let (round, tick, stage) = (asked.number, course.ticks() + 1, asked.round.stage);
        let known = self.missed.get(&(tick, stage));
        let except = known.map(|missed| Box::new(missed.within(&agents)));
        let Some(seat) = self.seats.get_mut(host) else { return };
        let (world, room) = (Arc::clone(course.world()), std::mem::take(&mut seat.room));
        asked.left += 1;
        self.tally.attempts += 1;
        seat.owes = Some(round);
        cx.send(&seat.host, Job { round, tick, stage, agents, except, world, room });
    }

    /// A host has told what its agents do.
    pub(super) fn decided(
        &mut self,
        host: usize,
        round: u64,
        acts: Acts<M::Action>,
        cx: &mut In<M>,
    ) {
        let owed = self.seats.get_mut(host).filter(|seat| seat.owes == Some(round));
        let Some(seat) = owed else { return };
        seat.owes = None;
        let open = self.asked.as_mut().filter(|asked| asked.number == round);
        let Some(asked) = open else { return self.freed(host, cx) };
        asked.left -= 1;
        if let Some(answer) = host.checked_sub(asked.first).and_then(|at| asked.answers.get_mut(at))
        {
            *answer = Some(acts);
        }
        if asked.left == 0 {
            self.close(cx);
            self.next_round(cx);
        }
    }

    /// A host owes no answer to an earlier round any more: where a round waits for whoever comes first, it is asked.
    pub(super) fn freed(&mut self, host: usize, cx: &mut In<M>) {
        let is_waiting = self.asked.as_ref().is_some_and(|asked| asked.left == 0);
        if is_waiting && self.part(host).any(|agent| self.lives(agent)) {
            self.ask(host, cx);
        }
    }

    /// The deadline of a tick has passed: whoever has not answered has missed it.
    pub(super) fn tick_over(&mut self, tick: u64, cx: &mut In<M>) {
        if self.ended || self.asked.is_none() || self.done().0 + 1 != tick {
            return;
        }
        self.tick.over = true;
        self.close(cx);
        self.next_round(cx);
    }

    /// Closes the open round: what its agents decided is done, in their order; who has not decided has missed the move.
    fn close(&mut self, cx: &mut In<M>) {
        let hosts =
            self.asked.as_ref().map_or(0..0, |own| own.first..own.first + own.answers.len());
        let parts: Vec<Range<u32>> = hosts.clone().map(|host| self.part(host)).collect();
        let Some(Asked { round: Round { stage, agents }, answers, .. }) = self.asked.take() else {
            return;
        };
        let mut missed = Spans::default();
        for (agents, _) in parts.into_iter().zip(&answers).filter(|(_, acts)| acts.is_none()) {
            agents.filter(|agent| self.lives(*agent)).for_each(|own| missed.add(own..own + 1));
        }
        for (host, acts) in hosts.zip(answers) {
            let (Some(acts), Some(course)) = (acts, &mut self.course) else { continue };
            acts.missed().into_iter().for_each(|own| missed.join(own));
            if let Some((who, why)) = acts.panicked() {
                let (run, agents) = (self.brief.run, who.len());
                tracing::warn!(%run, agents, why, "agents panicked and have missed a move");
            }
            match course.apply(acts) {
                Ok(room) => {
                    if let Some(seat) = self.seats.get_mut(host) {
                        seat.room = room;
                    }
                }
                Err(why) => {
                    return self.stop_early(FailureKind::Reduce { why: clip(why) }, cx);
                }
            }
        }
        self.record_missed(stage, &missed, &agents, cx);
    }

    /// Records who has missed a move, unless the journal knows.
    fn record_missed(&mut self, stage: u32, missed: &Spans, of: &Range<u32>, cx: &mut In<M>) {
        self.tick.missed += missed.len();
        let tick = self.done().0 + 1;
        let known = self.missed.get(&(tick, stage)).map(|known| known.within(of));
        if known.unwrap_or_default() == *missed {
            return;
        }
        for agents in missed.parts(MISSED_RECORD_SPANS) {
            cx.record(&Record::Missed { tick, stage, agents });
        }
    }

    /// Ends the tick, and begins the next one.
    fn end_tick(&mut self, cx: &mut In<M>) {
        let Some(course) = &mut self.course else { return };
        let known = course.emerged().len();
        if let Err(why) = course.end_tick(self.tick.missed) {
            return self.stop_early(FailureKind::Reduce { why: clip(why) }, cx);
        }
        let tick = course.ticks();
        self.missed = self.missed.split_off(&(tick + 1, 0));
        self.missed_in_all += self.tick.missed;
        if let Some(timer) = self.tick.timer.take() {
            cx.cancel_timer(&timer);
        }
        self.tell_of_tick(known, cx);
        self.keep(false, cx);
        if self.tick.has_asked {
            self.begin_tick(cx);
        } else {
            // Nobody lives: without an answer to wait for, nobody else would be heard.
            cx.after(std::time::Duration::ZERO, Msg::GoOn);
        }
    }

    /// Publishes what a tick has brought: a better best, patterns that were not there before, and now and then how far it is.
    fn tell_of_tick(&self, known: usize, cx: &mut In<M>) {
        let Some(course) = &self.course else { return };
        let (tick, ticks) = self.done();
        for emerged in course.emerged().iter().skip(known) {
            let (name, strength, share) =
                (&emerged.pattern.name, emerged.pattern.strength, emerged.pattern.share);
            let data =
                || json!({ "pattern": name, "tick": tick, "strength": strength, "share": share });
            self.publish(EventKind::MilestoneReached, cx, data);
        }
        let is_better = course.best().is_some_and(|best| best.tick == tick);
        if is_better || tick.is_multiple_of(ticks.div_ceil(PROGRESS_PARTS).max(1)) {
            let best = course.best().map(|best| best.cost);
            let share = tick as f64 / ticks as f64;
            let data = || json!({ "tick": tick, "ticks": ticks, "share": share, "best": best });
            self.publish(EventKind::ProgressUpdate, cx, data);
        }
    }
}

//! Moving: documents let in, paid for, moved on, and closed.

use super::*;
use crate::pattern::{
    bounds::{check_datum, clip},
    pipeline::{
        Document,
        record::{EnteredRecord, PassedRecord},
        report::micros,
        worker::{Calls, Fell},
    },
};

impl Coordinator {
    /// Moves what can move, from the last stage to the intake; ends the run once all is done.
    pub(super) fn go_on(&mut self, cx: &mut In) {
        for stage in (0..self.seats.len()).rev() {
            let Ok(stage) = u32::try_from(stage) else { return };
            if self.plan.next(stage).is_none() {
                while let Some(document) = self.seat(stage).and_then(|seat| seat.line.next()) {
                    self.close(document, At::Done);
                }
            }
            while self.moves() && self.has_room(stage) {
                let Some(document) = self.next_for(stage, cx) else { break };
                self.enter(document, stage, cx);
            }
        }
        self.hand_out(cx);
        match self.phase {
            Phase::Running if self.broke.is_some() && self.owed == 0 => {
                let (done, units) = (self.tally.done, self.units());
                let why = self.broke.take().unwrap_or_default();
                self.stop_early(FailureKind::OverBudget { why, done, units }, cx);
            }
            Phase::Running if self.dry && self.closed == self.documents.len() as u64 => {
                self.end(cx);
            }
            Phase::Stopping if self.seats.iter().all(|seat| seat.idle) => self.end(cx),
            Phase::Running | Phase::Stopping | Phase::Ended => {}
        }
    }

    /// Gives each stage the documents that have come to it.
    fn hand_out(&mut self, cx: &mut In) {
        for seat in self.seats.iter_mut().filter(|seat| !seat.entrants.is_empty()) {
            let entrants = std::mem::take(&mut seat.entrants);
            cx.send(&seat.worker, worker::Msg::Enter(entrants));
        }
    }

    /// Whether documents go on.
    fn moves(&self) -> bool {
        self.phase == Phase::Running && self.broke.is_none()
    }

    fn has_room(&self, stage: u32) -> bool {
        let (seat, of) = (self.seats.get(stage as usize), self.plan.stage(stage));
        seat.zip(of).is_some_and(|(seat, of)| seat.line.len() < of.window)
    }

    /// The document that comes to a stage next; it has left the one before.
    fn next_for(&mut self, stage: u32, cx: &mut In) -> Option<u32> {
        match stage.checked_sub(1) {
            Some(before) => self.seat(before)?.line.next(),
            None => self.returning.pop_front().or_else(|| self.pull(cx)),
        }
    }

    /// Lets another document in, if there is one.
    fn pull(&mut self, cx: &mut In) -> Option<u32> {
        while self.phase == Phase::Running && !self.dry {
            let number = u32::try_from(self.documents.len()).unwrap_or(u32::MAX);
            let pulled = self.source.lock().get(number);
            match pulled {
                Ok(Some(_)) if self.documents.len() >= DOCUMENTS_MAX => {
                    let why = format!(
                        "there are more than {DOCUMENTS_MAX} documents; make several runs of them"
                    );
                    self.stop_early(FailureKind::Split { why }, cx);
                }
                Ok(Some(document)) => {
                    if self.admit(number, document, cx) {
                        return Some(number);
                    }
                }
                Ok(None) => {
                    self.dry = true;
                    cx.record(&Record::Dry { documents: number });
                }
                Err(why) => self.stop_early(FailureKind::Split { why: clip(why) }, cx),
            }
        }
        None
    }

    /// Writes down that a document came in. One that no record holds comes in without its content, and fails alone.
    fn admit(&mut self, number: u32, document: Document, cx: &mut In) -> bool {
        let Document { name, mut content } = document;
        let name = if name.is_empty() { format!("document {number}") } else { clip(name) };
        let refused = check_datum(&*content).err();
        if refused.is_some() {
            content = Arc::new(Value::Null);
        }
        let (record, at) = ("entered", millis(cx));
        cx.record(&EnteredRecord { record, document: number, name: &name, at, content: &content });
        self.documents.push(Entry::new(&name, &content));
        let Some(error) = refused else { return true };
        let reason = format!("the document is too large to be kept, name it instead: {error}");
        self.fail(number, 0, Failed::unasked(reason), cx);
        false
    }

    /// Puts a document into a stage that has room.
    fn enter(&mut self, document: u32, stage: u32, cx: &mut In) {
        if let Some(seat) = self.seat(stage) {
            seat.line.enter(document);
        }
        if let Some(entry) = self.entry(document) {
            entry.at = At::In(stage);
        }
        self.hand_over(document, stage, cx);
    }

    /// Pays the first call for a document that the stage's input schema allows, and puts it among those that the stage's worker gets.
    pub(super) fn hand_over(&mut self, document: u32, stage: u32, cx: &mut In) {
        let entry = self.documents.get(document as usize);
        let Some(content) = entry.and_then(Entry::input).map(Arc::clone) else { return };
        let input = self.plan.stage(stage).and_then(|of| Some((&of.name, of.input.as_ref()?)));
        if let Some((name, Err(why))) = input.map(|(name, schema)| (name, schema.check(&content))) {
            let reason = format!("the input schema of stage `{name}` forbids the document: {why}");
            return self.fail(document, stage, Failed::unasked(reason), cx);
        }
        if !self.pay(document, cx) {
            return;
        }
        let (Some(seat), Some(entry)) =
            (self.seats.get_mut(stage as usize), self.documents.get(document as usize))
        else {
            return;
        };
        let (name, passed, attempts) =
            (Arc::clone(&entry.name), entry.fallen.clone(), entry.attempts);
        seat.entrants.push(Entrant { document, name, content, passed, attempts });
    }

    /// Takes a document's next call from the budget, and writes down what is spent before it is made, so that no crash makes it free.
    fn pay(&mut self, document: u32, cx: &mut In) -> bool {
        if self.broke.is_some() {
            return false;
        }
        if let Err(exceeded) = self.brief.budget.spend(Cost::MESSAGE, cx.now()) {
            self.broke = Some(exceeded.to_string());
            return false;
        }
        self.record_spent(cx);
        if let Some(entry) = self.entry(document) {
            entry.paid = true;
            self.owed += 1;
        }
        true
    }

    /// Something was heard of a document's call, or nothing ever will be.
    fn settle(&mut self, document: u32) {
        if self.entry(document).is_some_and(|entry| std::mem::take(&mut entry.paid)) {
            self.owed -= 1;
        }
    }

    pub(super) fn told(&mut self, from: (u32, u32), news: Vec<(u32, News)>, cx: &mut In) {
        for (document, news) in news {
            self.hear(from, document, news, cx);
        }
        self.go_on(cx);
    }

    fn hear(&mut self, (stage, life): (u32, u32), document: u32, news: News, cx: &mut In) {
        let Some(seat) = self.seat(stage).filter(|seat| seat.life == life) else { return };
        if let News::Idle(calls) = news {
            seat.idle = true;
            return self.count_calls(stage, calls);
        }
        let is_there = |entry: &&mut Entry| matches!(entry.at, At::In(at) if at == stage);
        if self.entry(document).filter(is_there).is_none() {
            return;
        }
        self.settle(document);
        match news {
            News::Passed(passed) => self.passed(document, stage, passed, cx),
            News::Failed(failed) => self.fail(document, stage, failed, cx),
            News::Again(calls, fell) => {
                if let Some(fell) = fell {
                    self.fell_back(document, stage, fell, cx);
                }
                self.count_calls(stage, calls);
                if self.phase == Phase::Running
                    && self.pay(document, cx)
                    && let Some(seat) = self.seats.get(stage as usize)
                {
                    cx.send(&seat.worker, worker::Msg::Go(document));
                }
            }
            News::Idle(_) => {}
        }
    }

    fn passed(&mut self, document: u32, stage: u32, passed: Passed, cx: &mut In) {
        let Passed { output, link, slot, attempts, calls, waited, took } = passed;
        let (waited, took_micros) = (micros(waited), micros(took));
        let at = millis(cx) - i64::try_from(took.as_millis()).unwrap_or(0);
        let input = self.documents.get(document as usize).and_then(Entry::input);
        let is_changed = input.is_none_or(|input| !Arc::ptr_eq(input, &output));
        cx.record(&PassedRecord {
            record: "passed",
            document,
            stage,
            agent: link,
            attempts,
            slot,
            at,
            waited,
            micros: took_micros,
            output: is_changed.then_some(&*output),
        });
        let plan = Arc::clone(&self.plan);
        let Some(of) = plan.stage(stage) else { return };
        let agent = of
            .links
            .get(link as usize)
            .map_or_else(|| "".into(), |link| Arc::clone(link.agent().name()));
        self.publish_document(EventKind::TaskCompleted, (document, stage), cx, |data| {
            data.insert("agent".to_owned(), json!(*agent));
            data.insert("slot".to_owned(), json!(slot));
            data.insert("attempt".to_owned(), json!(attempts));
            data.insert("micros".to_owned(), json!(took_micros));
        });
        let step = Step {
            stage: Arc::clone(&of.name),
            agent,
            attempts,
            fallback: link > 0,
            at,
            waited_micros: waited,
            took_micros,
            resumed: false,
            output,
        };
        if let Some(seat) = self.seat(stage) {
            seat.figures.count(&step);
            seat.line.ready(document);
        }
        self.count_calls(stage, calls);
        if let Some(entry) = self.entry(document) {
            entry.pass(stage, step);
        }
        if stage == 0 {
            self.source.lock().forget(document);
        }
    }

    fn fell_back(&mut self, document: u32, stage: u32, fell: Fell, cx: &mut In) {
        let Fell { from: agent, to, attempts, error } = fell;
        if let Some(entry) = self.entry(document) {
            entry.attempts = attempts;
            entry.fallen.push((agent, error.clone()));
        }
        let at = millis(cx);
        cx.record(&Record::FellBack { document, stage, agent, to, attempts, at, error });
    }

    /// Closes a document that has failed for good.
    fn fail(&mut self, document: u32, stage: u32, failed: Failed, cx: &mut In) {
        let Failed { link: agent, attempts, calls, error, why } = failed;
        let at = millis(cx);
        cx.record(&Record::Failed { document, stage, agent, attempts, at, error: error.clone() });
        self.publish_document(EventKind::TaskFailed, (document, stage), cx, |data| {
            data.insert("error".to_owned(), json!(why));
        });
        self.count_calls(stage, calls);
        let inside = self.entry(document).is_some_and(|entry| matches!(entry.at, At::In(_)));
        if let Some(seat) = self.seat(stage) {
            seat.figures.failed += 1;
            if inside {
                seat.line.leave(document);
            }
        }
        if stage == 0 {
            self.source.lock().forget(document);
        }
        self.close(document, At::Failed(Box::new(Fate { stage, agent, attempts, error, why })));
    }

    pub(super) fn close(&mut self, document: u32, at: At) {
        self.closed += 1;
        self.tally.done += u64::from(matches!(at, At::Done));
        if let Some(entry) = self.entry(document) {
            (entry.at, entry.content) = (at, None);
        }
    }

    /// Counts what a stage's agents were asked.
    fn count_calls(&mut self, stage: u32, calls: Calls) {
        let Calls { made, again } = calls;
        self.tally.attempts += u64::from(made);
        self.tally.retries += u64::from(again);
        if let Some(seat) = self.seat(stage) {
            seat.figures.attempts += u64::from(made);
        }
    }

    /// Puts another worker in the place of one that has ended, and gives it the documents that were with that.
    pub(super) fn replace(&mut self, stage: u32, life: u32, down: &Down, cx: &mut In) {
        if self.seat(stage).is_none_or(|seat| seat.life != life) {
            return;
        }
        if self.phase != Phase::Running {
            if let Some(seat) = self.seat(stage) {
                seat.idle = true;
            }
            return self.go_on(cx);
        }
        if self.restarts.spend(u64::from(stage), cx.now()).is_none() {
            return cx.crash(format!("stage {stage} ended too often: {}", down.reason));
        }
        tracing::warn!(run = %self.brief.run, stage, reason = %down.reason, "a stage ended and is started anew");
        let Some(worker) = self.post(stage, life + 1, cx) else { return };
        if let Some(seat) = self.seat(stage) {
            (seat.worker, seat.life) = (worker, life + 1);
            seat.figures.restarts += 1;
        }
        let there = |(document, entry): (u32, &Entry)| {
            matches!(entry.at, At::In(at) if at == stage).then_some(document)
        };
        let again: Vec<u32> = (0..).zip(&self.documents).filter_map(there).collect();
        for document in again {
            self.settle(document);
            self.hand_over(document, stage, cx);
        }
        self.go_on(cx);
    }
}

impl Entry {
    pub(super) fn new(name: &str, content: &Arc<Value>) -> Self {
        let (name, content) = (name.into(), Some(Arc::clone(content)));
        let (steps, fallen) = (Vec::new(), Vec::new());
        Self { name, content, steps, at: At::Outside, paid: false, fallen, attempts: 0 }
    }

    /// What it is now: what came in, or what the last stage made of it.
    pub(super) fn input(&self) -> Option<&Arc<Value>> {
        self.steps.last().map(|step| &step.output).or(self.content.as_ref())
    }

    /// Takes what it has passed.
    pub(super) fn pass(&mut self, stage: u32, step: Step) {
        self.steps.push(step);
        self.fallen.clear();
        (self.at, self.attempts, self.content) = (At::Ready(stage), 0, None);
    }
}

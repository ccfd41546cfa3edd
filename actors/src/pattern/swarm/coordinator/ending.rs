//! Ending: well or early; recorded, told.

use super::*;
use crate::pattern::ending;

impl<M: Model> Coordinator<M> {
    /// Ends the run as over: well, unless it sought an answer and has none.
    pub(super) fn end_well(&mut self, end: End, cx: &mut In<M>) {
        let has_best = self.course.as_ref().is_some_and(|course| course.best().is_some());
        if has_best || !self.scheme.setup.model.seeks() {
            return self.end(Ok(end), cx);
        }
        let ticks = self.done().0;
        let why = match end {
            End::Hopeless { why } | End::Solution { why } => why,
            End::Ticks => format!("{ticks} ticks brought none"),
            End::Time => format!("its time was over after {ticks} ticks, which brought none"),
        };
        self.stop_early(FailureKind::NoAnswer { why: clip(why) }, cx);
    }

    /// Ends the run before it is over, with the best so far.
    pub(super) fn stop_early(&mut self, kind: FailureKind, cx: &mut In<M>) {
        self.end(Err(kind), cx);
    }

    /// Records how the run ended, tells whoever waits, and stops; the hosts end with it.
    fn end(&mut self, end: Result<End, FailureKind>, cx: &mut In<M>) {
        if std::mem::replace(&mut self.ended, true) {
            return;
        }
        self.asked = None;
        self.keep(true, cx);
        self.record_spent(cx);
        (self.tally.done, self.tally.units) = self.done();
        let agents = self.course.as_ref().map_or(0, Course::born) as usize;
        let (end, failure) = match end {
            Ok(end) => (Some(end), None),
            Err(kind) => (None, Some(kind)),
        };
        let report = self.course.take().map(|course| self.report(&course, end));
        if let Some(report) = &report {
            self.record_report(report, cx);
        }
        let value = match (failure, report) {
            (None, Some(report)) => Ok(report),
            (Some(kind), partial) => Err((kind, partial)),
            (None, None) => {
                Err((FailureKind::NodeLost { why: "its course is gone".to_owned() }, None))
            }
        };
        let ended = ending::End { value, failed: Vec::new(), tally: self.tally.clone(), agents };
        self.brief.end(ended, Record::Ended, self.outcome.take(), cx);
        self.phase_span = tracing::Span::none();
    }

    fn report(&self, course: &Course<M>, end: Option<End>) -> Report<M> {
        Report {
            best: course.best().cloned(),
            end,
            ticks: course.ticks(),
            agents: course.living(),
            missed: self.missed_in_all,
            emerged: course.emerged().to_vec(),
            trace: course.trace().clone(),
            world: Some(Arc::clone(course.world())),
        }
    }
}

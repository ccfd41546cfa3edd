//! How far a run is: bars on a terminal, a line now and then elsewhere; both on standard error.

use std::collections::BTreeMap;

use indicatif::{ProgressBar, ProgressStyle};
use protocol::{Event, RunId, Value};
use runtime::{
    clock::Moment,
    events::{EventKind, Received},
};

use super::{logs::Screen, output::counted, swarms::decimal};
use crate::{
    limits::{FAILURES_TOLD, LINE_EVERY},
    watch::can_draw,
};

/// Follows the events of one run.
#[derive(Debug)]
pub struct Progress {
    screen: Screen,
    bars: Option<Bars>,
    total: Count,
    units: u64,
    agents: BTreeMap<String, Count>,
    shares: Option<BTreeMap<String, u64>>,
    told: usize,
    /// The first failures, as they were told.
    failures: Vec<String>,
    last_line: Moment,
    changed: bool,
    /// Several patterns, by their runs.
    patterns: BTreeMap<RunId, String>,
    /// How far swarms are, by their runs.
    swarms: BTreeMap<RunId, Flight>,
}

/// How far a swarm is.
#[derive(Debug, Default)]
struct Flight {
    tick: u64,
    /// What its best so far costs.
    best: Option<f64>,
}

#[derive(Debug)]
struct Bars {
    total: ProgressBar,
    agents: BTreeMap<String, ProgressBar>,
}

/// What is counted of all agents or of one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Count {
    running: u64,
    done: u64,
    failed: u64,
    retried: u64,
}

impl Count {
    fn take(&mut self, kind: EventKind) {
        let ends = [
            (EventKind::TaskCompleted, &mut self.done),
            (EventKind::TaskFailed, &mut self.failed),
            (EventKind::TaskRetried, &mut self.retried),
        ];
        for (_, count) in ends.into_iter().filter(|(end, _)| *end == kind) {
            *count += 1;
            self.running = self.running.saturating_sub(1);
        }
        if kind == EventKind::TaskAssigned {
            self.running += 1;
        }
    }

    fn words(self) -> String {
        let mut words = format!("{} done", self.done);
        for (count, word) in
            [(self.running, "running"), (self.failed, "failed"), (self.retried, "retried")]
        {
            if count > 0 {
                words.push_str(&format!(", {count} {word}"));
            }
        }
        words
    }
}

impl Progress {
    /// Begins to show the progress of a run; without bars where something else is drawn.
    pub fn new(screen: &Screen, now: Moment, has_bars: bool) -> Self {
        let bars = (has_bars && can_draw()).then(|| Bars {
            total: screen.bars().add(ProgressBar::no_length().with_style(total_style())),
            agents: BTreeMap::new(),
        });
        Self {
            screen: screen.clone(),
            bars,
            total: Count::default(),
            units: 0,
            agents: BTreeMap::new(),
            shares: None,
            told: 0,
            failures: Vec::new(),
            last_line: now,
            changed: false,
            patterns: BTreeMap::new(),
            swarms: BTreeMap::new(),
        }
    }

    /// Follows the runs of several patterns, by their names; events of any other run are those of the plan that they are in.
    pub fn follow(&mut self, patterns: BTreeMap<RunId, String>) {
        self.patterns = patterns;
    }

    /// Whether there are bars that want to know what each agent has to do.
    pub fn wants_shares(&self) -> bool {
        self.bars.is_some() && self.units > 0 && self.shares.is_none()
    }

    /// Takes the pieces of work of each agent.
    pub fn share(&mut self, shares: BTreeMap<String, u64>) {
        self.shares = Some(shares);
    }

    /// Takes what the event bus says.
    pub fn take(&mut self, received: &Received) {
        match received {
            Received::Event(event) => self.event(event),
            Received::Missed(count) => {
                tracing::debug!(count, "events came faster than they were shown");
            }
        }
    }

    fn event(&mut self, event: &Event) {
        let Some(kind) = EventKind::of(&event.kind) else { return };
        let number = |key: &str| event.data.get(key).and_then(Value::as_u64).unwrap_or(0);
        let text = |key: &str| event.data.get(key).and_then(Value::as_str).unwrap_or_default();
        let pattern = event.run.and_then(|run| self.patterns.get(&run)).cloned();
        if pattern.is_none() && !self.patterns.is_empty() {
            return self.of_plan(kind, event);
        }
        if kind == EventKind::TaskCreated {
            let (units, done) = (number("units"), number("done"));
            self.units += units;
            self.total.done += done;
            if let ("tick", Some(run)) = (text("unit"), event.run) {
                self.swarms.insert(run, Flight { tick: done, best: None });
            }
            self.begin((pattern.as_deref(), text("unit")), units, done);
            return;
        }
        if let Some(flight) = event.run.and_then(|run| self.swarms.get_mut(&run)) {
            if kind == EventKind::ProgressUpdate {
                self.total.done += number("tick").saturating_sub(flight.tick);
                flight.tick = flight.tick.max(number("tick"));
                flight.best = event.data.get("best").and_then(Value::as_f64).or(flight.best);
                self.changed = true;
            }
            return;
        }
        if kind == EventKind::Intervened {
            return self.of_decision(event);
        }
        // Of a hierarchy the teams are told.
        let agent = if text("team").is_empty() { text("agent") } else { text("team") };
        // What goes to a fallback before it was tried was no attempt.
        let untried = kind == EventKind::TaskRetried && event.data.get("attempt").is_none();
        if agent.is_empty() || untried {
            return;
        }
        self.total.take(kind);
        self.agents.entry(agent.to_owned()).or_default().take(kind);
        self.changed = true;
        if kind == EventKind::TaskFailed {
            self.tell_wrong(format!("failed: {agent}: {}: {}", named(event), text("error")));
        }
    }

    /// Tells who decided what on which failure.
    fn of_decision(&mut self, event: &Event) {
        let text = |key: &str| event.data.get(key).and_then(Value::as_str).unwrap_or_default();
        let units = event.data.get("units").and_then(Value::as_u64);
        if let Some(units) = units.filter(|_| self.patterns.is_empty()) {
            // Another plan may have more tasks, or fewer.
            self.units = units;
        }
        let (by, decision, name) = (text("by"), text("decision"), named(event));
        let of = if name.is_empty() { text("team") } else { &name };
        self.tell_wrong(format!("{of}: {by}: {decision}: {}", text("error")));
    }

    /// Tells what became of one of several patterns.
    fn of_plan(&mut self, kind: EventKind, event: &Event) {
        let number = |key: &str| event.data.get(key).and_then(Value::as_u64).unwrap_or(0);
        let text = |key: &str| event.data.get(key).and_then(Value::as_str).unwrap_or_default();
        let name = text("name");
        if kind == EventKind::TaskCreated {
            let all = counted(number("units"), "pattern");
            self.screen.tell(&match number("done") {
                0 => all,
                done => format!("{all}, {done} done before and not run again"),
            });
        } else if kind == EventKind::TaskCompleted {
            let missing = match number("missing") {
                0 => String::new(),
                some => format!(", {} without a result", counted(some, "part")),
            };
            self.screen.tell(&format!("{name}: done{missing}"));
        } else if kind == EventKind::TaskFailed {
            let line = match text("skipped_because") {
                "" => format!("failed: {name}: {}", text("error")),
                before => format!("{name}: not begun, since `{before}` failed"),
            };
            self.screen.tell(&line);
            self.failures.push(line);
        }
    }

    fn begin(&mut self, (pattern, unit): (Option<&str>, &str), units: u64, done: u64) {
        let of = pattern.map_or_else(String::new, |pattern| format!("{pattern}: "));
        let all = of
            + &match unit {
                "" => counted(units, "piece") + " of work",
                unit => counted(units, unit),
            };
        match (done, self.bars.is_some()) {
            (0, true) => {}
            (0, false) => {
                self.screen.tell(&all);
            }
            (done, _) => {
                self.screen.tell(&format!("{all}, {done} done before and not run again"));
            }
        }
    }

    /// Tells of a failure, as long as there are few.
    fn tell_wrong(&mut self, line: String) {
        self.told += 1;
        if self.told <= FAILURES_TOLD {
            self.screen.tell(&line);
            self.failures.push(line);
        } else if self.told == FAILURES_TOLD + 1 {
            self.screen.tell("failed: more; the report names all");
        }
    }

    /// How far the run is, in lines: all of it, then each agent.
    pub fn lines(&self) -> Vec<String> {
        let agents = self.agents.iter().map(|(agent, count)| format!("{agent}: {}", count.words()));
        let agents: Vec<String> = agents.collect();
        let unit =
            if self.swarms.is_empty() { "pieces of work" } else { "ticks and pieces of work" };
        vec![format!("{} {unit}: {}", self.units, self.words()), agents.join("; ")]
    }

    /// What is done, and the best of each swarm.
    fn words(&self) -> String {
        let best = |(run, flight): (&RunId, &Flight)| {
            let of = self.patterns.get(run).map_or_else(String::new, |name| format!("{name} "));
            Some(format!(", {of}best {}", decimal(flight.best?)))
        };
        self.total.words() + &self.swarms.iter().filter_map(best).collect::<String>()
    }

    /// All that is known of the run, in lines: how far it is, then its first failures.
    pub fn known(&self) -> Vec<String> {
        let mut known: Vec<String> =
            self.lines().into_iter().filter(|line| !line.is_empty()).collect();
        known.extend(self.failures.iter().cloned());
        if self.told > FAILURES_TOLD {
            known.push(format!("and {} more failures", self.told - FAILURES_TOLD));
        }
        known
    }

    /// Draws the bars, or tells a line if the last one is long ago.
    pub fn draw(&mut self, now: Moment) {
        let words = self.words();
        let Some(bars) = &mut self.bars else {
            if self.changed && now.since(self.last_line) >= LINE_EVERY {
                self.last_line = now;
                self.changed = false;
                self.screen.tell(&format!("{} of {}: {}", self.total.done, self.units, words));
            }
            return;
        };
        if self.units == 0 {
            return;
        }
        bars.total.set_length(self.units);
        bars.total.set_position(self.total.done + self.total.failed);
        bars.total.set_message(words);
        for (agent, count) in &self.agents {
            let share = self.shares.as_ref().and_then(|shares| shares.get(agent)).copied();
            let bar = bars.agents.entry(agent.clone()).or_insert_with(|| {
                let bar = ProgressBar::no_length().with_style(agent_style(share));
                let bar = self.screen.bars().insert_before(&bars.total, bar);
                bar.set_prefix(agent.clone());
                bar.set_length(share.unwrap_or_default());
                bar
            });
            bar.set_position(count.done + count.failed);
            bar.set_message(count.words());
            bar.tick();
        }
        bars.total.tick();
    }

    /// Takes the bars away.
    pub fn end(self) {
        if let Some(bars) = self.bars {
            bars.agents.values().for_each(ProgressBar::finish_and_clear);
            bars.total.finish_and_clear();
        }
    }
}

/// What an event is about: a piece of work, or a task with its assignment.
fn named(event: &Event) -> String {
    let text = |key: &str| event.data.get(key).and_then(Value::as_str).unwrap_or_default();
    let task = if text("name").is_empty() { text("task") } else { text("name") };
    match text("assignment") {
        "" => task.to_owned(),
        assignment if task.is_empty() || task == assignment => assignment.to_owned(),
        assignment => format!("{assignment}/{task}"),
    }
}

/// Says on a terminal that something takes its time; dropping it takes the line away.
#[derive(Debug)]
pub struct Waiting(Option<ProgressBar>);

impl Waiting {
    /// Begins to say `what` is done.
    pub fn new(screen: &Screen, what: &'static str) -> Self {
        let bar = || {
            let bar = ProgressBar::no_length().with_style(style(WAITING));
            let bar = screen.bars().add(bar);
            bar.set_message(what);
            bar
        };
        Self(can_draw().then(bar))
    }

    /// Draws the line.
    pub fn draw(&self) {
        if let Some(bar) = &self.0 {
            bar.tick();
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if let Some(bar) = &self.0 {
            bar.finish_and_clear();
        }
    }
}

fn total_style() -> ProgressStyle {
    style(TOTAL_BAR).progress_chars("█▉▊▋▌▍▎▏ ")
}

/// A bar where the agent's share is known.
fn agent_style(share: Option<u64>) -> ProgressStyle {
    style(if share.is_some() { AGENT_BAR } else { AGENT_LINE }).progress_chars("█▉▊▋▌▍▎▏ ")
}

const TOTAL_BAR: &str = "{bar:30} {pos}/{len} {percent}% {elapsed} eta {eta} {wide_msg}";
const AGENT_BAR: &str = "{spinner} {prefix:16!} {bar:12} {pos}/{len} {wide_msg}";
const AGENT_LINE: &str = "{spinner} {prefix:16!} {wide_msg}";
const WAITING: &str = "{spinner} {wide_msg} {elapsed}";

/// Every template here is right; a wrong one would show the default.
fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attempts_are_counted_from_their_events() {
        let mut count = Count::default();
        for kind in [
            EventKind::TaskAssigned,
            EventKind::TaskAssigned,
            EventKind::TaskRetried,
            EventKind::TaskCompleted,
            EventKind::TaskAssigned,
            EventKind::TaskFailed,
            EventKind::ProgressUpdate,
        ] {
            count.take(kind);
        }
        assert_eq!(count, Count { running: 0, done: 1, failed: 1, retried: 1 });
        assert_eq!(count.words(), "1 done, 1 failed, 1 retried");
    }

    #[test]
    fn every_template_is_right() {
        for template in [TOTAL_BAR, AGENT_BAR, AGENT_LINE, WAITING] {
            assert!(ProgressStyle::with_template(template).is_ok(), "{template}");
        }
    }
}

//! `synod show`: a run's outcome, its parts, and where its time went, from its journal alone.

use std::{collections::BTreeMap, fmt::Write as _};

use actors::pattern::{FailureKind, Tally};
use protocol::RunId;
use runtime::emergency::StopRecord;
use serde::Serialize;

use super::{
    args::Show,
    brought::Brought,
    control,
    folder::Folder,
    history::{self, History, Work, end},
    output::{Failure, clean, counted, print},
    patterns::Patterns,
    result::outcome_word,
    timeline::{self, millis},
};
use crate::{
    job::SkippedAgent,
    limits::{NAMES_SHOWN, WATERFALL_COLUMNS, WATERFALL_PARTS},
};

/// Where a run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// A process runs it.
    Running,
    /// It ended.
    Ended,
    /// Its process died; it can be resumed.
    Interrupted,
}

impl State {
    /// Tells where a run is, by its socket and its journal.
    pub fn of(folder: &Folder, run: RunId, is_ended: bool) -> Self {
        match (control::is_running(&folder.socket(run)), is_ended) {
            (true, _) => Self::Running,
            (false, true) => Self::Ended,
            (false, false) => Self::Interrupted,
        }
    }
}

/// Shows a run.
///
/// # Errors
/// [`Failure`] when there is no such run, or its journal cannot be read.
pub fn show(options: &Show) -> Result<(), Failure> {
    let folder =
        Folder::look(options.data.folder.as_deref()).map_err(|error| Failure::failed(&error))?;
    let run = folder.find(&options.run).map_err(|error| Failure::usage(&error))?;
    let journal = history::open(&folder.journal(run)).map_err(|error| Failure::failed(&error))?;
    let history = history::read(&journal, run).map_err(|error| Failure::failed(&error))?;
    let state = State::of(&folder, run, history.ended.is_some());
    if options.json {
        return print(&document(&history, state)?);
    }
    print(&text(&history, state, options.events))
}

#[derive(Serialize)]
struct Document<'a> {
    synod: u32,
    run: RunId,
    name: &'a str,
    file: &'a str,
    inputs: &'a [(String, String)],
    directory: &'a std::path::Path,
    state: State,
    outcome: Option<&'a str>,
    failure: Option<&'a FailureKind>,
    requested_at: i64,
    began_at: Option<i64>,
    ended_at: Option<i64>,
    tally: Option<&'a Tally>,
    parts: usize,
    work: &'a [Work],
    skipped_agents: &'a [SkippedAgent],
    #[serde(flatten)]
    brought: Option<&'a Brought>,
    #[serde(skip_serializing_if = "Option::is_none")]
    patterns: Option<&'a Patterns>,
    emergency_stops: Vec<Stop<'a>>,
}

/// An emergency stop.
#[derive(Serialize)]
struct Stop<'a> {
    /// Unix milliseconds.
    at: i64,
    by: &'a str,
    reason: &'a str,
}

impl<'a> Stop<'a> {
    fn of(record: &'a StopRecord) -> Self {
        Self { at: millis(record), by: &record.by, reason: &record.stop.reason }
    }
}

fn document(history: &History, state: State) -> Result<String, Failure> {
    let History { request, began, name, parts, work, brought, patterns, ended, stops } = history;
    let document = Document {
        synod: 1,
        run: request.run,
        name,
        file: &request.request.name,
        inputs: &request.request.inputs,
        directory: &request.directory,
        state,
        outcome: outcome(history, state),
        failure: ended.as_ref().and_then(|ended| ended.failure.as_ref()),
        requested_at: request.at,
        began_at: *began,
        ended_at: ended.as_ref().map(|ended| ended.at),
        tally: ended.as_ref().map(|ended| &ended.tally),
        parts: *parts,
        work,
        skipped_agents: &request.cast.skipped,
        brought: brought.as_ref(),
        patterns: patterns.as_ref(),
        emergency_stops: stops.iter().map(Stop::of).collect(),
    };
    let text = serde_json::to_string_pretty(&document).map_err(|error| Failure::failed(&error))?;
    Ok(text + "\n")
}

/// How the run ended; what an earlier end was does not matter while it runs again.
fn outcome(history: &History, state: State) -> Option<&'static str> {
    let ended = history.ended.as_ref().filter(|_| state == State::Ended)?;
    Some(outcome_word(ended.failure.as_ref()))
}

fn text(history: &History, state: State, all: bool) -> String {
    let request = &history.request;
    let mut text = format!("Run {}\n", request.run);
    let name = if history.name.is_empty() { "(not begun)" } else { &history.name };
    writeln!(text, "{} of {}", clean(name), clean(&request.request.name)).ok();
    let word = match (state, outcome(history, state)) {
        (_, Some(word)) => word.replace('_', " "),
        (State::Running, _) => "running".to_owned(),
        (State::Interrupted, _) | (State::Ended, None) => {
            format!("interrupted; take it up again: synod resume {}", request.run)
        }
    };
    writeln!(text, "{word}").ok();
    if let Some(failure) = history.ended.as_ref().and_then(|ended| ended.failure.as_ref()) {
        writeln!(text, "{}", clean(&failure.to_string())).ok();
    }
    for stop in &history.stops {
        writeln!(text, "{}", timeline::stopped(stop)).ok();
    }
    // A swarm has no parts that agents of the file could do.
    if !matches!((&history.brought, history.work.as_slice()), (Some(Brought::Swarm(_)), [])) {
        writeln!(text, "{}", pieces(history)).ok();
    }
    if let Some(patterns) = &history.patterns {
        writeln!(text, "\n{}", patterns.text().trim_end()).ok();
    }
    if let Some(brought) = &history.brought {
        writeln!(text, "\n{}", brought.text()).ok();
    }
    waterfall(&mut text, history);
    failures(&mut text, history);
    text.push('\n');
    text.push_str(&timeline::lines(&timeline::events(history, all)));
    for skipped in &request.cast.skipped {
        writeln!(text, "skipped: {}: {}", clean(&skipped.agent), clean(&skipped.reason)).ok();
    }
    text
}

/// Counts the parts and what became of them.
fn pieces(history: &History) -> String {
    let done = history.work.iter().filter(|work| work.error.is_none()).count();
    let failed = history.work.len() - done;
    let (parts, done) = (counted(history.parts as u64, "part"), counted(done as u64, "piece"));
    format!("{parts}, {done} of work done, {failed} failed")
}

fn failures(text: &mut String, history: &History) {
    let failed: Vec<&Work> = history.work.iter().filter(|work| work.error.is_some()).collect();
    if failed.is_empty() {
        return;
    }
    text.push('\n');
    for work in failed.iter().take(NAMES_SHOWN) {
        let error = work.error.as_deref().unwrap_or_default();
        let line = format!("failed: {}: {}: {error}", work.agent, timeline::named(work));
        writeln!(text, "{}", clean(&line)).ok();
    }
    if failed.len() > NAMES_SHOWN {
        writeln!(text, "failed: {} more; `--json` has all", failed.len() - NAMES_SHOWN).ok();
    }
}

/// Shows by agent when it worked and on what it worked longest; all bars have one time axis.
fn waterfall(text: &mut String, history: &History) {
    let done: Vec<&Work> = history.work.iter().filter(|work| work.error.is_none()).collect();
    let first = done.iter().map(|work| work.at).min().unwrap_or(0);
    let last = done.iter().map(|work| end(work)).max().unwrap_or(0);
    if done.is_empty() {
        return;
    }
    let axis = Axis { first, millis: (last - first).max(1) };
    let mut agents: BTreeMap<&str, Vec<&Work>> = BTreeMap::new();
    for work in done {
        agents.entry(&work.agent).or_default().push(work);
    }
    writeln!(
        text,
        "\n{:<14} 0 s {:>width$}",
        "",
        seconds(axis.millis),
        width = WATERFALL_COLUMNS - 4
    )
    .ok();
    for (agent, mut work) in agents {
        let busy: u64 = work.iter().map(|work| work.micros).sum();
        let count = work.len();
        let busy = seconds(i64::try_from(busy / 1_000).unwrap_or(i64::MAX));
        let name: String = clean(agent).chars().take(14).collect();
        writeln!(text, "{name:<14} {} {count} in {busy}", axis.density(&work)).ok();
        work.sort_by_key(|work| std::cmp::Reverse(work.micros));
        for work in work.iter().take(WATERFALL_PARTS) {
            let took = seconds(i64::try_from(work.micros / 1_000).unwrap_or(i64::MAX));
            let again = if work.attempt > 1 {
                format!(", attempt {}", work.attempt)
            } else {
                String::new()
            };
            writeln!(text, "{:<14} {} {took} {}{again}", "", axis.bar(work), timeline::named(work))
                .ok();
        }
    }
}

fn seconds(millis: i64) -> String {
    format!("{}.{:03} s", millis / 1_000, millis % 1_000)
}

/// The time from the first beginning to the last end, in columns.
struct Axis {
    first: i64,
    millis: i64,
}

impl Axis {
    fn column(&self, at: i64) -> usize {
        let columns = i64::try_from(WATERFALL_COLUMNS).unwrap_or(i64::MAX);
        let column = (at - self.first).saturating_mul(columns) / self.millis;
        usize::try_from(column.clamp(0, columns - 1)).unwrap_or(0)
    }

    fn bar(&self, work: &Work) -> String {
        let (from, to) = (self.column(work.at), self.column(end(work)));
        (0..WATERFALL_COLUMNS).map(|at| if (from..=to).contains(&at) { '█' } else { '·' }).collect()
    }

    /// How many pieces of work ran at each time, as bars from low to high.
    fn density(&self, work: &[&Work]) -> String {
        const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
        let mut running = vec![0_usize; WATERFALL_COLUMNS];
        for work in work {
            let columns = self.column(work.at)..=self.column(end(work));
            running
                .iter_mut()
                .enumerate()
                .filter(|(at, _)| columns.contains(at))
                .for_each(|(_, count)| *count += 1);
        }
        let most = running.iter().copied().max().unwrap_or(1).max(1);
        let bar = |count: usize| match count {
            0 => ' ',
            count => BARS
                .get((count * BARS.len()).div_ceil(most).saturating_sub(1))
                .copied()
                .unwrap_or('█'),
        };
        running.into_iter().map(bar).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn work(agent: &str, at: i64, millis: u64) -> Work {
        Work {
            pattern: None,
            part: 0,
            name: "src/lib.rs".to_owned(),
            agent: agent.to_owned(),
            attempt: 1,
            slot: Some(0),
            at,
            micros: millis * 1_000,
            error: None,
            instead_of: Vec::new(),
        }
    }

    #[test]
    fn bars_lie_on_one_axis() {
        let axis = Axis { first: 1_000, millis: 600 };
        let bar = axis.bar(&work("a", 1_300, 300));
        assert_eq!(bar.chars().filter(|c| *c == '█').count(), 30);
        assert!(bar.starts_with('·') && bar.ends_with('█'));
        let density = axis.density(&[&work("a", 1_000, 600), &work("a", 1_300, 100)]);
        assert_eq!(density.chars().count(), WATERFALL_COLUMNS);
        assert!(density.starts_with('▄') && density.ends_with('▄') && density.contains('█'));
    }
}

//! `synod runs`: every run that is kept, the newest first.

use std::fmt::Write as _;

use protocol::RunId;
use serde::Serialize;

use super::{
    args::Listing,
    folder::Folder,
    history::{self, HistoryError},
    output::{Failure, clean, print},
    result::outcome_word,
    show::State,
};
use crate::limits::RUNS_LISTED_MAX;

#[derive(Serialize)]
struct Line {
    run: RunId,
    /// Unix milliseconds.
    requested_at: i64,
    state: State,
    outcome: Option<&'static str>,
    file: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
}

/// Lists the runs.
///
/// # Errors
/// [`Failure`] when the folder cannot be read.
pub fn list(options: &Listing) -> Result<(), Failure> {
    let folder =
        Folder::look(options.data.folder.as_deref()).map_err(|error| Failure::failed(&error))?;
    let runs = folder.runs().map_err(|error| Failure::failed(&error))?;
    let lines: Vec<Line> =
        runs.into_iter().take(RUNS_LISTED_MAX).map(|run| line(&folder, run)).collect();
    if options.json {
        let text = serde_json::to_string_pretty(&lines).map_err(|error| Failure::failed(&error))?;
        return print(&(text + "\n"));
    }
    if lines.is_empty() {
        return print(&format!(
            "there are no runs in {}\n",
            clean(&folder.path().display().to_string())
        ));
    }
    let mut text = String::new();
    for line in &lines {
        let state = match (line.state, line.outcome) {
            (State::Running, _) => "running".to_owned(),
            (State::Ended, outcome) => outcome.unwrap_or("ended").replace('_', " "),
            (State::Interrupted, _) => "interrupted".to_owned(),
        };
        let what = line.problem.as_ref().unwrap_or(&line.file);
        writeln!(text, "{}  {}  {state:<11}  {}", line.run, time(line.requested_at), clean(what))
            .ok();
    }
    print(&text)
}

/// Reads what a line says of a run; one that cannot be read says why.
fn line(folder: &Folder, run: RunId) -> Line {
    match read(folder, run) {
        Ok(line) => line,
        Err(error) => Line {
            run,
            requested_at: 0,
            state: State::of(folder, run, false),
            outcome: None,
            file: String::new(),
            problem: Some(error.to_string()),
        },
    }
}

fn read(folder: &Folder, run: RunId) -> Result<Line, HistoryError> {
    let journal = history::open(&folder.journal(run))?;
    let request = history::request(&journal, run)?;
    let ended = history::end_of(&journal, run)?;
    let state = State::of(folder, run, ended.is_some());
    let outcome = ended.filter(|_| state == State::Ended);
    Ok(Line {
        run,
        requested_at: request.at,
        state,
        outcome: outcome.map(|ended| outcome_word(ended.failure.as_ref())),
        file: request.request.name,
        problem: None,
    })
}

/// Writes Unix milliseconds as a date and a time in UTC.
fn time(millis: i64) -> String {
    let since = std::time::Duration::from_millis(u64::try_from(millis).unwrap_or(0));
    humantime::format_rfc3339_seconds(std::time::UNIX_EPOCH + since).to_string()
}

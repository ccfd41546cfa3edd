//! kill -9 at any moment, then `synod resume`: the report is that of an undisturbed run, and nothing is done twice.

use std::{collections::BTreeSet, fs};

use rustix::process::Signal;
use serde_json::Value;
use synod::runtime::clock::{Random, SeededRandom};

use super::place::{Pipe, Place, findings};

const PARTS: usize = 40;

/// A tree of many parts and an agent that writes each part's name to a log when it begins and to a pipe when it is done.
fn place() -> (Place, Pipe) {
    let names: Vec<String> = (0..PARTS).map(|number| format!("f{number:02}.txt")).collect();
    let files: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "text\n")).collect();
    let place = Place::new(&files);
    let pipe = place.pipe("pipe");
    let script = format!(
        "exec 3> {}; echo $1 >> {}; echo $1 >&3; echo $1:1: warning: found in $1",
        pipe.path().display(),
        place.path("log").display()
    );
    let agent = format!(
        "command = [\"sh\", \"-c\", {script:?}, \"agent\", \"{{files}}\"], reads = \"lines\", count = 2"
    );
    place.run_file(&[("agent", &agent), ("typos", "builtin = \"review.typos\"")], "");
    (place, pipe)
}

fn log(place: &Place) -> Vec<String> {
    let text = fs::read_to_string(place.path("log")).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

#[test]
fn a_run_that_was_killed_goes_on_where_it_was() {
    let (calm, pipe) = place();
    // The pipe's reader holds it open for all programs of the run.
    let (code, undisturbed) = calm.run_json(&[]);
    assert_eq!(code, 0);
    assert_eq!(findings(&undisturbed).len(), PARTS);
    drop(pipe);
    let dice = SeededRandom::new(20_251_122);
    let mut killed = 0;
    for round in 0..10 {
        let lines = 1 + dice.below(PARTS as u64 - 1);
        killed += disturbed(&undisturbed, lines)
            .map(u32::from)
            .unwrap_or_else(|why| panic!("round {round}, killed at line {lines}: {why}"));
    }
    assert!(killed >= 5, "only {killed} of 10 were killed before their end");
}

/// Kills a run after so many lines and resumes it; false if it had ended before.
fn disturbed(undisturbed: &Value, lines: u64) -> Result<bool, String> {
    let (place, pipe) = place();
    let running = place.start(&["run", "run.toml"]);
    for _ in 0..lines {
        pipe.line();
    }
    running.signal(Signal::KILL);
    let ended = running.end();
    if ended.code == 0 {
        return Ok(false);
    }
    pipe.drain();
    let before = log(&place);
    let pipe = place.pipe_again("pipe");
    let resumed = place.run(&["resume", "last", "--json"]);
    pipe.drain();
    if resumed.code != 0 {
        return Err(format!("{resumed:?}"));
    }
    let document = resumed.json();
    if document["report"] != undisturbed["report"] {
        return Err(format!("{document} is not {undisturbed}"));
    }
    let done = document["tally"]["resumed"].as_u64().unwrap();
    let units = document["tally"]["units"].as_u64().unwrap();
    let attempts = document["tally"]["attempts"].as_u64().unwrap();
    if attempts != units - done {
        return Err(format!("{attempts} attempts for {units} pieces, {done} of them done before"));
    }
    if done > 0 && !resumed.err.contains(&format!("{done} done before and not run again")) {
        return Err(format!("the number is not told: {}", resumed.err));
    }
    let all = log(&place);
    let (first, second) = all.split_at(before.len());
    let twice: BTreeSet<&String> = first.iter().filter(|part| second.contains(part)).collect();
    let shown = place.run(&["show", "last", "--json"]).json();
    let work = shown["work"].as_array().unwrap();
    let names: BTreeSet<(&str, &str)> = work
        .iter()
        .map(|work| (work["name"].as_str().unwrap(), work["agent"].as_str().unwrap()))
        .collect();
    // What was killed in the middle may run again, at most one for each instance; what is recorded is recorded once.
    if twice.len() > 2 || names.len() != work.len() || work.len() as u64 != units {
        return Err(format!("run twice: {twice:?}; recorded {} of {units}", work.len()));
    }
    Ok(true)
}

#[test]
fn a_run_that_has_ended_is_only_put_together_again() {
    let (place, pipe) = place();
    let (_, first) = place.run_json(&[]);
    pipe.drain();
    let resumed = place.run(&["resume", "last", "--json"]).json();
    assert_eq!(resumed["report"], first["report"]);
    assert_eq!(resumed["tally"]["attempts"], 0);
    assert_eq!(log(&place).len(), PARTS);
}

#[test]
fn agents_that_die_or_hang_change_nothing_but_the_time() {
    let names: Vec<String> = (0..12).map(|number| format!("f{number:02}.txt")).collect();
    let files: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "recieve\n")).collect();
    let place = Place::new(&files);
    // Of three attempts one is killed, one hangs until its time is over, and one does its work.
    let script = "case $(( (SYNOD_PART + SYNOD_ATTEMPT) % 3 )) in 0) kill -9 $$;; 1) sleep 1000;; esac; \
                  echo $1:1: warning: found";
    let agent = format!(
        "command = [\"sh\", \"-c\", {script:?}, \"agent\", \"{{files}}\"], reads = \"lines\", timeout = \"1s\", concurrency = 4"
    );
    let typos = ("typos", "builtin = \"review.typos\"");
    place.run_file(&[("agent", &agent), typos], "retry = { attempts = 20, backoff = \"1ms\" }");
    let (code, disturbed) = place.run_json(&[]);
    assert_eq!(code, 0, "{disturbed}");
    // A busy machine may add some that did not do their work in time.
    assert!(disturbed["tally"]["retries"].as_u64().unwrap() >= 12, "{disturbed}");

    let calm = "command = [\"sh\", \"-c\", \"for f; do echo $f:1: warning: found; done\", \"agent\", \"{files}\"], reads = \"lines\"";
    place.run_file(&[("agent", calm), typos], "");
    let (code, sequential) = place.run_json(&["--set", "map_reduce.review.split.max_files=1000"]);
    assert_eq!(code, 0, "{sequential}");
    assert_eq!(sequential["tally"]["units"], 2);
    assert_eq!(disturbed["report"], sequential["report"]);
}

#[test]
fn a_diff_that_was_killed_goes_on_with_its_own_commits() {
    let place = Place::new(&[("a.txt", "one\n"), ("b.txt", "two\n")]);
    place.git(&["init", "--quiet"]);
    let commit = |text: &str| {
        fs::write(place.path("tree/a.txt"), text).unwrap();
        fs::write(place.path("tree/b.txt"), text).unwrap();
        place.git(&["add", "."]);
        place.git(&["commit", "--quiet", "-m", "next"]);
    };
    commit("one\n");
    commit("one\ntwo\n");
    let pipe = place.pipe("pipe");
    let script = format!(
        "exec 3> {}; if test $1 = b.txt && ! test -e {}; then echo hangs >&3; sleep 1000; fi; grep -n two $1 /dev/null",
        pipe.path().display(),
        place.path("go").display()
    );
    let agent = format!(
        "command = [\"sh\", \"-c\", {script:?}, \"agent\", \"{{files}}\"], reads = \"lines\""
    );
    place.run_file(&[("agent", &agent)], "");
    let running =
        place.start(&["run", "run.toml", "--set", "map_reduce.review.split.diff=HEAD~1..HEAD"]);
    assert_eq!(pipe.line(), "hangs");
    running.signal(Signal::KILL);
    running.end();
    pipe.drain();
    commit("two\n");
    fs::write(place.path("go"), "").unwrap();
    let pipe = place.pipe_again("pipe");
    let document = place.run(&["resume", "last", "--json"]).json();
    pipe.drain();
    assert_eq!(document["tally"]["resumed"], 1, "{document}");
    assert_eq!(findings(&document), ["a.txt:2 agent", "b.txt:2 agent"]);
}

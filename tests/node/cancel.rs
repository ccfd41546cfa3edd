//! Runs that are ended by a signal.

use std::{fs, io::Read as _, time::Duration};

use rustix::process::Signal;
use synod::runtime::clock::{Clock, SystemClock};

use super::place::{Ended, Pipe, Place, Running, findings};

/// A run that has done its first part and hangs in the second; the pipe is held while the program of that part lives.
pub(crate) fn hanging(more: &[&str]) -> (Place, Pipe, Running) {
    let place = Place::new(&[("a.txt", "one\n"), ("b.txt", "two\n")]);
    let pipe = place.pipe("alive");
    let script = format!(
        "if test $1 = a.txt; then echo $1:1: error: found; else exec 3> {}; echo hangs >&3; sleep 1000; fi",
        pipe.path().display()
    );
    let agent = format!(
        "command = [\"sh\", \"-c\", {script:?}, \"slow\", \"{{files}}\"], reads = \"lines\", count = 1"
    );
    place.run_file(&[("slow", &agent)], "");
    let running = place.start(&[&["run", "run.toml"], more].concat());
    assert_eq!(pipe.line(), "hangs");
    (place, pipe, running)
}

#[test]
fn ctrl_c_ends_a_run_within_two_seconds_with_what_it_has() {
    let (place, pipe, running) = hanging(&["--json"]);
    let clock = SystemClock::new();
    let before = clock.now();
    running.signal(Signal::INT);
    let ended = running.end();
    let took = clock.now().since(before);
    assert!(took < Duration::from_secs(2), "{took:?}");
    cut_off(&ended, 130);
    assert_eq!(pipe.drain(), [""; 0], "no program is left");
    let kept = place.kept();
    assert!(kept.iter().all(|name| !name.ends_with(".sock")), "{kept:?}");
}

/// The run ended as cancelled with its first part.
fn cut_off(ended: &Ended, code: i32) {
    assert_eq!(ended.code, code, "{ended:?}");
    let document = ended.json();
    assert_eq!(document["outcome"], "cancelled");
    assert_eq!(document["exit_code"], code);
    assert_eq!(findings(&document), ["a.txt:1 slow"]);
}

#[test]
fn sigterm_under_load_lets_the_run_end_and_the_program_with_0() {
    let files: Vec<(String, &str)> = (10..50).map(|n| (format!("{n}.txt"), "one\n")).collect();
    let files: Vec<(&str, &str)> =
        files.iter().map(|(name, text)| (name.as_str(), *text)).collect();
    let place = Place::new(&files);
    let pipe = place.run_file_of_slow_agents(4);
    let mut command = place.synod(&["run", "run.toml", "--json", "--drain", "60s"]);
    let running = Running::new(command.env("SYNOD_LOG", "info").spawn().unwrap());
    drop(command);
    (0..4).for_each(|_| drop(pipe.line()));
    running.signal(Signal::TERM);
    fs::write(place.path("go"), "").unwrap();
    let ended = running.end();
    assert_eq!(ended.code, 0, "{ended:?}");
    let told = "SIGTERM: nothing new is taken in, the run has 1m to end";
    let (before, after) = ended.err.split_once(told).unwrap();
    assert!(before.contains("admission closed active=1"), "{before}");
    let stopped =
        after.lines().filter_map(|line| line.split_once("root stopped root=\"")?.1.split_once('"'));
    let roots: Vec<&str> = stopped.map(|(root, _)| root).collect();
    let expected =
        ["runs", "agent/slow/3", "agent/slow/2", "agent/slow/1", "agent/slow/0", "agents"];
    assert_eq!(roots, expected, "{after}");
    assert!(after.trim_end().ends_with("journal flushed how=Clean"), "{after}");
    let document = ended.json();
    assert_eq!(
        (&document["outcome"], &document["tally"]["done"]),
        (&"completed".into(), &40.into())
    );
    assert_eq!(findings(&document).len(), 40);
    let shown = place.run(&["show", "last", "--json"]).json();
    assert_eq!(shown["outcome"], "completed", "the journal has it all");
}

#[test]
fn a_run_that_does_not_end_within_its_time_after_sigterm_is_cut_off() {
    let (_place, pipe, running) = hanging(&["--json", "--drain", "50ms"]);
    running.signal(Signal::TERM);
    cut_off(&running.end(), 143);
    assert_eq!(pipe.drain(), [""; 0], "no program is left");
}

#[test]
fn a_second_signal_ends_the_program_at_once() {
    let (_place, pipe, running) = hanging(&["--drain", "10m"]);
    running.signal(Signal::TERM);
    // Two at a time would be heard in either order, and the run could end between them.
    running.tells("another signal ends it now");
    running.signal(Signal::INT);
    let ended = running.end();
    assert!([130, 143].contains(&ended.code), "{ended:?}");
    assert!(ended.err.contains("did not end in time"), "{ended:?}");
    assert!(ended.err.contains("2 pieces of work: 1 done, 1 running"), "{ended:?}");
    assert_eq!(pipe.drain(), [""; 0], "no program is left");
}

/// A run of a program that ignores SIGTERM and has started another in a session of its own, which does too; and their processes.
fn stubborn(more: &[&str]) -> (Place, Running, [std::path::PathBuf; 2]) {
    let place = Place::new(&[("a.txt", "one\n")]);
    let pipe = place.pipe("alive");
    let script = format!(
        "trap '' TERM; exec 3> {}; setsid sh -c 'echo $$ >&3; sleep 1000' & echo $$ >&3; wait",
        pipe.path().display()
    );
    let agent = format!("command = [\"sh\", \"-c\", {script:?}], reads = \"lines\"");
    place.run_file(&[("stubborn", &agent)], "");
    let running = place.start(&[&["run", "run.toml"], more].concat());
    let processes = [pipe.line(), pipe.line()].map(|pid| format!("/proc/{pid}").into());
    (place, running, processes)
}

#[test]
fn no_program_outlives_ctrl_c_even_if_it_ignores_sigterm() {
    let (_place, running, processes) = stubborn(&[]);
    let clock = SystemClock::new();
    let before = clock.now();
    running.signal(Signal::INT);
    let ended = running.end();
    let left = processes.map(|process| process.exists());
    let took = clock.now().since(before);
    assert_eq!((ended.code, left), (130, [false; 2]), "{ended:?}");
    assert!(took < Duration::from_secs(2), "{took:?}");
}

#[test]
fn a_second_signal_kills_the_programs_before_the_program_ends() {
    let (_place, running, processes) = stubborn(&["--drain", "10m"]);
    running.signal(Signal::TERM);
    running.signal(Signal::INT);
    let ended = running.end();
    let left = processes.map(|process| process.exists());
    assert_eq!(left, [false; 2], "{ended:?}");
    assert!(ended.err.contains("did not end in time"), "{ended:?}");
}

#[test]
fn a_cancelled_run_is_shown_and_can_be_taken_up_again() {
    let (place, _pipe, running) = hanging(&[]);
    running.signal(Signal::INT);
    let ended = running.end();
    assert!(ended.out.contains("cancelled with 1 of 2 parts done"), "{ended:?}");
    assert!(ended.out.contains("synod resume "), "{ended:?}");
    let shown = place.run(&["show", "last", "--json"]).json();
    assert_eq!(shown["state"], "ended");
    assert_eq!(shown["outcome"], "cancelled");
    assert_eq!(shown["work"][0]["agent"], "slow");
    assert_eq!(shown["work"][0]["name"], "a.txt");
}

#[test]
fn the_deadline_ends_a_run_with_what_it_has() {
    let (_place, _pipe, running) = hanging(&["--json", "--set", "limit.deadline=6s"]);
    let ended = running.end();
    assert_eq!(ended.code, 4, "{ended:?}");
    let document = ended.json();
    assert_eq!(document["outcome"], "timed_out");
    assert_eq!(findings(&document), ["a.txt:1 slow"]);
}

#[test]
fn a_signal_ends_the_program_while_nobody_reads_its_result() {
    let place = Place::new(&[("a.md", &"line\n".repeat(2_000))]);
    let script = "seq 2000 | while read n; do echo $1:$n: error: found number $n; done";
    let agent = format!(
        "command = [\"sh\", \"-c\", {script:?}, \"wordy\", \"{{files}}\"], reads = \"lines\""
    );
    place.run_file(&[("wordy", &agent)], "");
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        let (mut read, write) = std::io::pipe().unwrap();
        let mut command = place.synod(&["run", "run.toml", "--json"]);
        let running = Running::new(command.stdout(write).spawn().unwrap());
        drop(command);
        // The first byte of far more than a pipe holds.
        read.read_exact(&mut [0]).unwrap();
        running.signal(signal);
        let ended = running.end();
        assert_eq!(ended.code, code, "{ended:?}");
        assert!(ended.err.contains("not all of the result was read"), "{ended:?}");
        let shown = place.run(&["show", "last", "--json"]).json();
        assert_eq!(shown["outcome"], "completed", "{shown}");
    }
}

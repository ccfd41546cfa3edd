//! Runs that are ended by a signal.

use std::time::Duration;

use rustix::process::Signal;
use synod::runtime::clock::{Clock, SystemClock};

use super::place::{Pipe, Place, Running, findings};

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
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        let (place, pipe, running) = hanging(&["--json"]);
        let clock = SystemClock::new();
        let before = clock.now();
        running.signal(signal);
        let ended = running.end();
        let took = clock.now().since(before);
        assert!(took < Duration::from_secs(2), "{took:?}");
        assert_eq!(ended.code, code, "{ended:?}");
        let document = ended.json();
        assert_eq!(document["outcome"], "cancelled");
        assert_eq!(document["exit_code"], code);
        assert_eq!(findings(&document), ["a.txt:1 slow"]);
        assert_eq!(pipe.drain(), [""; 0], "no program is left");
        let kept = place.kept();
        assert!(kept.iter().all(|name| !name.ends_with(".sock")), "{kept:?}");
    }
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
    let (_place, _pipe, running) = hanging(&["--json", "--set", "limit.deadline=2s"]);
    let ended = running.end();
    assert_eq!(ended.code, 4, "{ended:?}");
    let document = ended.json();
    assert_eq!(document["outcome"], "timed_out");
    assert_eq!(findings(&document), ["a.txt:1 slow"]);
}

//! What other processes of the program see and do beside a run.

use std::{ffi::OsStr, os::unix::ffi::OsStrExt as _};

use rustix::process::Signal;

use super::{
    cancel::hanging,
    place::{Place, Running},
};

#[test]
fn a_running_run_is_listed_shown_and_cancelled_from_beside() {
    let (place, _pipe, running) = hanging(&["--json"]);
    let listed = place.run(&["runs", "--json"]).json();
    assert_eq!(listed[0]["state"], "running", "{listed}");
    let run = listed[0]["run"].as_str().unwrap().to_owned();
    let shown = place.run(&["show", &run[..13]]);
    assert!(shown.out.contains("\nrunning\n") && shown.out.contains("a.txt"), "{}", shown.out);
    let refused = place.run(&["resume", &run]);
    assert_eq!(refused.code, 2, "{refused:?}");
    assert!(refused.err.contains("is running in another process"), "{refused:?}");

    let cancelled = place.run(&["cancel", "last"]);
    assert_eq!(cancelled.code, 0, "{cancelled:?}");
    let ended = running.end();
    assert_eq!(ended.code, 130, "{ended:?}");
    assert_eq!(ended.json()["run"], run);
    assert_eq!(place.run(&["runs", "--json"]).json()[0]["outcome"], "cancelled");

    let again = place.run(&["cancel", "last"]);
    assert_eq!(again.code, 1);
    assert!(again.err.contains("has ended already"), "{again:?}");
}

#[test]
fn an_emergency_stop_kills_programs_that_will_not_end_and_is_kept_with_the_run() {
    let place = Place::new(&[("a.txt", "one\n")]);
    let pipe = place.pipe("alive");
    // A cancel would ask it by SIGTERM, and its child, which has left its session, would never hear of that.
    let script = format!(
        "exec 3> {}; trap 'echo asked >&3' TERM; setsid sh -c 'trap : TERM; sleep 1000' & \
         echo hangs >&3; while :; do sleep 1000; done",
        pipe.path().display()
    );
    let agent = format!("command = [\"sh\", \"-c\", {script:?}], reads = \"lines\"");
    place.run_file(&[("deaf", &agent)], "");
    let running = place.start(&["run", "run.toml", "--json"]);
    assert_eq!(pipe.line(), "hangs");
    let stopped = place.run(&["cancel", "last", "--emergency", "--reason", "it spends too much"]);
    assert_eq!(stopped.code, 0, "{stopped:?}");
    assert!(stopped.out.contains("is stopped; `synod show"), "{stopped:?}");
    let ended = running.end();
    assert_eq!((ended.code, ended.out.as_str()), (6, ""), "{ended:?}");
    assert!(ended.err.contains("stopped in an emergency by user "), "{ended:?}");
    assert_eq!(pipe.drain(), [""; 0], "no program is left, and none was asked");

    let shown = place.run(&["show", "last"]);
    assert!(shown.out.contains("interrupted; take it up again"), "{}", shown.out);
    let line = "stopped in an emergency by user ";
    assert_eq!(shown.out.matches(line).count(), 2, "above and among the events: {}", shown.out);
    assert!(shown.out.contains(": it spends too much\n"), "{}", shown.out);
    let stops = &place.run(&["show", "last", "--json"]).json()["emergency_stops"];
    assert_eq!(stops.as_array().unwrap().len(), 1, "{stops}");
    assert_eq!(stops[0]["reason"], "it spends too much");
    assert!(stops[0]["at"].as_i64().unwrap() > 1_700_000_000_000, "{stops}");
    let again = place.run(&["cancel", "last", "--emergency"]);
    assert!(again.code == 1 && again.err.contains("synod resume"), "{again:?}");
}

#[test]
fn the_run_of_a_dead_process_is_interrupted_and_cannot_be_cancelled() {
    let (place, pipe, running) = hanging(&[]);
    running.signal(Signal::KILL);
    running.end();
    assert_eq!(pipe.drain(), [""; 0], "no program is left");
    assert_eq!(place.run(&["runs", "--json"]).json()[0]["state"], "interrupted");
    let refused = place.run(&["cancel", "last"]);
    assert_eq!(refused.code, 1);
    assert!(
        refused.err.contains("the process of run") && refused.err.contains("synod resume"),
        "{refused:?}"
    );
    let shown = place.run(&["show", "last"]);
    assert!(shown.out.contains("interrupted; take it up again"), "{}", shown.out);
}

#[test]
fn a_run_killed_at_its_very_start_hides_no_other_and_leaves_nothing_behind() {
    let place = Place::new(&[("a.md", "fine\n")]);
    place.run_file(&[("typos", "builtin = \"review.typos\"")], "");
    for _ in 0..10 {
        let before = place.kept();
        let running = place.start(&["run", "run.toml"]);
        while place.kept().iter().all(|name| before.contains(name)) {
            std::thread::yield_now();
        }
        running.signal(Signal::KILL);
        running.end();
        let listed = place.run(&["runs", "--json"]).json();
        let problems: Vec<_> =
            listed.as_array().unwrap().iter().filter(|run| run.get("problem").is_some()).collect();
        assert!(problems.is_empty(), "{problems:?}");
    }
    assert_eq!(place.run(&["run", "run.toml"]).code, 0);
    let kept = place.kept();
    assert!(kept.iter().all(|name| name.ends_with(".redb")), "{kept:?}");
}

#[test]
fn a_run_from_a_directory_whose_name_is_no_text_is_refused_before_any_file_is_made() {
    let place = Place::new(&[("a.md", "fine\n")]);
    place.run_file(&[("typos", "builtin = \"review.typos\"")], "");
    let directory = place.path("x").with_file_name(OsStr::from_bytes(b"d\xff"));
    std::fs::create_dir(&directory).unwrap();
    let run_file = place.path("run.toml");
    let mut command = place.synod(&["run", run_file.to_str().unwrap()]);
    let ended = Running::new(command.current_dir(directory).spawn().unwrap()).end();
    assert_eq!(ended.code, 2, "{ended:?}");
    assert!(ended.err.contains("is not UTF-8") && ended.err.contains("run it from another"));
    assert!(!place.path("data").exists());
}

#[test]
fn an_unknown_run_is_named_with_what_to_do() {
    let place = Place::new(&[]);
    for command in ["show", "cancel", "resume"] {
        let ended = place.run(&[command, "0199"]);
        assert_eq!(ended.code, 2, "{ended:?}");
        assert!(ended.err.contains("there is no run `0199`") && ended.err.contains("synod runs"));
    }
}

#[test]
fn a_file_that_is_no_journal_is_listed_with_its_problem_and_hides_no_other() {
    let place = Place::new(&[("a.md", "fine\n")]);
    place.run_file(&[("typos", "builtin = \"review.typos\"")], "");
    assert_eq!(place.run(&["run", "run.toml"]).code, 0);
    let broken = "00000000-0000-7000-8000-000000000001";
    std::fs::write(place.path("data/runs").join(format!("{broken}.redb")), "no journal").unwrap();
    let listed = place.run(&["runs", "--json"]).json();
    assert_eq!(listed[0]["outcome"], "completed", "{listed}");
    assert_eq!(listed[1]["run"], broken, "{listed}");
    assert!(listed[1]["problem"].as_str().unwrap().contains("not a journal"), "{listed}");
    for command in ["show", "resume"] {
        let ended = place.run(&[command, broken]);
        assert_eq!(ended.code, 1, "{ended:?}");
        assert!(ended.err.contains("not a journal"), "{ended:?}");
    }
}

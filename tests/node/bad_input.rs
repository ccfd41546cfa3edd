//! Wrong run files, wrong paths, odd files and bad agents: each a clear error at the right place, nothing lost, nothing hung.

use std::{fs, os::unix::fs::PermissionsExt};

use serde_json::Value;

use super::place::{Place, findings, may_read, sparse};

const TYPOS: (&str, &str) = ("typos", "builtin = \"review.typos\"");

#[test]
fn all_mistakes_of_a_run_file_are_told_at_once_and_nothing_is_started() {
    let place = Place::new(&[]);
    let text = r#"
synod = 1
main = "reviw"
colour = "red"
[agents]
one = { builtin = "review.rsut" }
two = { command = "ls", reads = "lines" }
two = { builtin = "review.typos" }
[map_reduce.review]
split = { use = "code.files", max_files = 0 }
all_of = ["one", "three"]
reduce = "findings.merge"
"#;
    fs::write(place.path("run.toml"), text).unwrap();
    for command in ["run", "check"] {
        let ended = place.run(&[command, "run.toml"]);
        assert_eq!(ended.code, 2, "{ended:?}");
        assert_eq!(ended.out, "");
        for mistake in
            ["colour", "review.rsut", "two", "max_files", "three", "reviw", "review.rust"]
        {
            assert!(ended.err.contains(mistake), "{mistake} is not in {}", ended.err);
        }
    }
    assert_eq!(place.kept(), [""; 0]);
}

#[test]
fn what_cannot_be_reviewed_is_an_error_before_anything_is_started() {
    let place = Place::new(&[]);
    place.run_file(&[TYPOS], "");
    let ended =
        place.run(&["run", "run.toml", "--set", "map_reduce.review.split.path=no/such/folder"]);
    assert_eq!(ended.code, 2, "{ended:?}");
    assert!(ended.err.contains("no/such/folder"), "{ended:?}");
    let ended = place.run(&["run", "run.toml", "--set", "map_reduce.review.split.diff=a..b"]);
    assert_eq!(ended.code, 2, "{ended:?}");
    assert!(ended.err.contains("not in a git repository"), "{ended:?}");
    let ended = place.run(&["run", "missing.toml"]);
    assert_eq!(ended.code, 2);
    assert!(ended.err.contains("missing.toml"), "{ended:?}");
    assert_eq!(place.kept(), [""; 0]);
}

#[test]
fn nothing_to_do_is_an_error_before_anything_is_started() {
    let place = Place::new(&[("a.md", "fine\n")]);
    let agent = format!("{}, accepts = \"*.rs\"", TYPOS.1);
    place.run_file(&[("typos", &agent)], "");
    let ended = place.run(&["run", "run.toml"]);
    assert_eq!(ended.code, 2, "{ended:?}");
    assert!(
        ended.err.contains("of the 1 files of") && ended.err.contains("none is taken"),
        "{ended:?}"
    );
    assert_eq!(place.kept(), [""; 0]);
}

#[test]
fn one_file_that_cannot_be_reviewed_is_an_error_with_its_reason() {
    let place = Place::new(&[("closed.md", "recieve end\n")]);
    fs::write(place.path("tree/binary.md"), b"recieve\0end").unwrap();
    sparse(&place.path("tree/large.md"), 200 << 20);
    let closed = place.path("tree/closed.md");
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o000)).unwrap();
    place.run_file(&[TYPOS], "");
    for (file, reason) in [
        ("binary.md", "is binary: it holds a NUL byte"),
        ("large.md", "has 209715200 bytes"),
        ("closed.md", "cannot be read"),
    ] {
        if file == "closed.md" && may_read(&closed) {
            continue;
        }
        let set = format!("map_reduce.review.split.path=tree/{file}");
        let ended = place.run(&["run", "run.toml", "--set", &set]);
        assert_eq!(ended.code, 2, "{ended:?}");
        let told = format!("1 cannot be reviewed ({file}: {reason}");
        assert!(ended.err.contains(&told), "{ended:?}");
    }
    assert_eq!(place.kept(), [""; 0]);
}

#[test]
fn a_diff_with_nothing_to_review_has_no_findings() {
    let place = Place::new(&[("a.md", "recieve end\n"), ("b.rs", "fn a() {}\n")]);
    place.git(&["init", "-q"]);
    place.git(&["add", "-A"]);
    place.git(&["commit", "-q", "-m", "first"]);
    fs::remove_file(place.path("tree/a.md")).unwrap();
    place.git(&["commit", "-q", "-a", "-m", "a deletion"]);
    fs::write(place.path("tree/b.rs"), "fn b() {}\n").unwrap();
    place.git(&["commit", "-q", "-a", "-m", "a file that nobody takes"]);
    let agent = format!("{}, accepts = \"*.md\"", TYPOS.1);
    place.run_file(&[("typos", &agent)], "");
    let text = fs::read_to_string(place.path("run.toml")).unwrap();
    for workers in ["all_of", "any_of"] {
        fs::write(place.path("run.toml"), text.replace("all_of", workers)).unwrap();
        for range in ["HEAD..HEAD", "HEAD~2..HEAD~1", "HEAD~1..HEAD"] {
            let set = format!("map_reduce.review.split.diff={range}");
            let (code, document) = place.run_json(&["--set", &set]);
            assert_eq!((code, document["outcome"].as_str()), (0, Some("completed")), "{document}");
            assert_eq!(findings(&document), [""; 0], "{range}");
        }
    }
}

#[test]
fn odd_files_are_named_and_the_others_reviewed() {
    let place = Place::new(&[("good.md", "recieve end\n"), ("closed.md", "recieve end\n")]);
    fs::write(place.path("tree/binary.md"), b"recieve\0end").unwrap();
    sparse(&place.path("tree/large.md"), 200 << 20);
    let closed = place.path("tree/closed.md");
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o000)).unwrap();
    place.run_file(&[TYPOS], "");
    let (code, document) = place.run_json(&[]);
    assert_eq!(code, 0);
    let skipped = document["report"]["skipped"].as_array().unwrap();
    let reason = |file: &str| {
        let found = skipped.iter().find(|one| one["file"] == file);
        found.and_then(|one| one["reason"].as_str()).unwrap_or_default().to_owned()
    };
    assert!(reason("binary.md").contains("binary"), "{skipped:?}");
    assert!(reason("large.md").contains("209715200 bytes"), "{skipped:?}");
    let found = findings(&document);
    assert!(found.iter().any(|found| found.starts_with("good.md:1 ")), "{found:?}");
    if may_read(&closed) {
        assert!(found.iter().any(|found| found.starts_with("closed.md:1 ")), "{found:?}");
    } else {
        assert!(reason("closed.md").contains("cannot be read"), "{skipped:?}");
    }
}

#[test]
fn bad_agents_fail_by_name_and_take_nothing_from_the_others() {
    let place = Place::new(&[("a.md", "recieve end\n")]);
    let sh = |script: &str| format!("[\"sh\", \"-c\", {script:?}]");
    let agents = [
        ("garbage", format!("command = {}, reads = \"json\"", sh("echo hello"))),
        ("foreign", format!("command = {}, reads = \"json\"", sh("echo '{{\"answer\": 42}}'"))),
        (
            "exits",
            format!("command = {}, reads = \"json\", exit_ok = [0, 1]", sh("echo why >&2; exit 7")),
        ),
        ("closes", format!("process = {}", sh("read line; exec >&-; exit 3"))),
        (
            "endless",
            format!(
                "command = {}, reads = \"lines\", limits = {{ output = \"64KiB\" }}",
                sh("yes")
            ),
        ),
        ("slow", format!("command = {}, reads = \"lines\", timeout = \"300ms\"", sh("sleep 1000"))),
        (TYPOS.0, TYPOS.1.to_owned()),
    ];
    let agents: Vec<(&str, &str)> =
        agents.iter().map(|(name, agent)| (*name, agent.as_str())).collect();
    place.run_file(&agents, "retry = { attempts = 2, backoff = \"1ms\" }");
    let (code, document) = place.run_json(&[]);
    assert_eq!(code, 3, "{document}");
    assert_eq!(document["outcome"], "completed");
    assert_eq!(findings(&document).len(), 1);
    let failed = document["failed_parts"].as_array().unwrap();
    assert_eq!(failed.len(), 6, "{failed:?}");
    for (agent, says, attempts) in [
        ("garbage", "printed \"hello", 2),
        ("foreign", "an object with the keys [answer]", 2),
        ("exits", "exited with code 7, expected 0 or 1; it said \"why\"", 2),
        ("closes", "exited with code 3 before it answered", 2),
        ("endless", "printed more than 65536 bytes", 1),
        ("slow", "no answer within 300ms", 2),
    ] {
        let part: &Value = failed.iter().find(|part| part["agent"] == agent).unwrap();
        assert!(part["error"].as_str().unwrap().contains(says), "{part}");
        assert_eq!(part["attempts"], attempts, "{part}");
        assert_eq!(part["name"], "a.md");
    }
}

#[test]
fn a_part_that_fails_fails_the_run_if_that_is_asked_for() {
    let place = Place::new(&[("a.md", "recieve end\n")]);
    place.run_file(
        &[("exits", "command = [\"false\"], reads = \"lines\"")],
        "on_partial_failure = \"fail\"\nretry = { attempts = 1 }",
    );
    let (code, document) = place.run_json(&[]);
    assert_eq!((code, document["outcome"].as_str()), (1, Some("failed")), "{document}");
}

#[test]
fn a_missing_program_is_an_error_or_a_notice() {
    let place = Place::new(&[("a.md", "recieve end\n")]);
    let missing = "command = [\"no-such-program\"], reads = \"lines\"";
    place.run_file(&[("absent", missing), TYPOS], "");
    let ended = place.run(&["run", "run.toml"]);
    assert_eq!(ended.code, 2, "{ended:?}");
    assert!(ended.err.contains("`absent`") && ended.err.contains("`no-such-program`"), "{ended:?}");
    assert_eq!(place.kept(), [""; 0]);

    let ended = place.run(&["run", "run.toml", "--set", "agents.absent.optional=true"]);
    assert_eq!(ended.code, 0, "{ended:?}");
    assert!(
        ended.err.contains("skipped: absent") && ended.out.contains("Skipped agents: 1"),
        "{ended:?}"
    );

    let nobody = [
        "run",
        "run.toml",
        "--set",
        "agents.absent.optional=true",
        "--set",
        "map_reduce.review.all_of=[\"absent\"]",
    ];
    let ended = place.run(&nobody);
    assert_eq!(ended.code, 2, "{ended:?}");
    assert!(ended.err.contains("no agent of `review` can take part"), "{ended:?}");
}

#[test]
fn a_run_file_that_is_too_large_is_told_with_its_size() {
    let place = Place::new(&[]);
    // The limit falls into the middle of a character.
    fs::write(place.path("run.toml"), format!("#{}", "é".repeat(1_000_000))).unwrap();
    let ended = place.run(&["check", "run.toml"]);
    assert_eq!(ended.code, 2, "{ended:?}");
    let told = "it has 2000001 bytes, a run file has at most 1048576";
    assert!(ended.err.contains(told), "{ended:?}");
    let ended = place.run(&["check", "/dev/zero"]);
    let told = "it has more than 1048576 bytes, a run file has at most 1048576";
    assert!(ended.err.contains(told), "{ended:?}");
}

#[test]
fn commands_that_look_at_runs_make_no_folder() {
    let place = Place::new(&[]);
    for (command, told) in [
        (&["runs"][..], "there are no runs in "),
        (&["show", "last"], "there is no run `last` in "),
        (&["cancel", "last"], "there is no run `last` in "),
        (&["resume", "last"], "there is no run `last` in "),
    ] {
        let ended = place.run(&[command, &["--data", "nowhere"]].concat());
        let folder = "nowhere/runs";
        let said = format!("{}{}", ended.out, ended.err);
        assert!(said.contains(&format!("{told}{folder}")), "{ended:?}");
        assert_eq!(ended.code, if command == ["runs"] { 0 } else { 2 }, "{ended:?}");
    }
    assert!(!place.path("nowhere").exists());
}

#[test]
fn a_program_that_is_not_executable_is_told_as_such() {
    let place = Place::new(&[("a.md", "fine\n")]);
    let program = place.path("lint.sh");
    fs::write(&program, "#!/bin/sh\n").unwrap();
    let agent = format!("command = [{program:?}, \"{{files}}\"], reads = \"lines\"");
    place.run_file(&[("lint", &agent), TYPOS], "");
    let told =
        format!("program {0} is not executable; make it so: chmod +x {0}", program.display());
    let ended = place.run(&["run", "run.toml"]);
    assert_eq!(ended.code, 2, "{ended:?}");
    assert!(ended.err.contains("agent `lint`") && ended.err.contains(&told), "{ended:?}");
    let ended = place.run(&["run", "run.toml", "--set", "agents.lint.optional=true"]);
    assert_eq!(ended.code, 0, "{ended:?}");
    assert!(ended.err.contains(&told), "skipped for the same reason: {ended:?}");
}

#[test]
fn an_agent_that_is_not_trusted_is_skipped_until_it_is() {
    let place = Place::new(&[("a.md", "fine\n")]);
    let agent = "command = [\"echo\", \"a.md:1: note: built\"], reads = \"lines\", trusted = false, whole = true";
    place.run_file(&[("builds", agent), TYPOS], "");
    let (code, document) = place.run_json(&[]);
    assert_eq!((code, findings(&document).len()), (0, 0));
    assert_eq!(document["skipped_agents"][0]["agent"], "builds");
    let (_, document) = place.run_json(&["--set", "agents.builds.trusted=true"]);
    assert_eq!(findings(&document), ["a.md:1 builds"]);
}

#[test]
fn a_wrong_command_line_is_told_with_its_exit_code() {
    let place = Place::new(&[]);
    for arguments in [&["run"][..], &["rnu"], &["run", "a.toml", "--report", "a.pdf"]] {
        let ended = place.run(arguments);
        assert_eq!((ended.code, ended.out.as_str()), (2, ""), "{ended:?}");
        assert!(ended.err.contains("error:"), "{ended:?}");
    }
    let mut wrong_log = place.synod(&["runs"]);
    let output = wrong_log.env("SYNOD_LOG", "=x=").output().unwrap();
    assert_eq!(output.status.code(), Some(2));
}

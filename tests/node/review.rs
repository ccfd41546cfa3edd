//! Runs that go well: true findings, reports, and what the other commands print.

use std::fs;

use super::place::{Place, findings};

const TREE: [(&str, &str); 3] = [
    ("src/lib.rs", "pub fn first(list: &[u8]) -> u8 {\n    *list.first().unwrap()\n}\n"),
    ("notes.md", "All is well.\nThis is recieve end.\n"),
    ("empty.txt", ""),
];

const AGENTS: [(&str, &str); 2] =
    [("rust", "builtin = \"review.rust\""), ("typos", "builtin = \"review.typos\"")];

#[test]
fn a_review_of_a_small_tree_is_true() {
    let place = Place::new(&TREE);
    place.run_file(&AGENTS, "");
    let (code, document) = place.run_json(&[]);
    assert_eq!(code, 0);
    assert_eq!(document["outcome"], "completed");
    assert_eq!(document["exit_code"], 0);
    let found = findings(&document);
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found[0].starts_with("notes.md:2 "), "{found:?}");
    assert_eq!(found[1], "src/lib.rs:2 rust.unwrap");
    assert_eq!(
        document["report"]["findings"][0]["agents"][0].as_str().map(str::is_empty),
        Some(false)
    );
}

#[test]
fn a_report_is_written_in_the_format_of_its_ending() {
    let place = Place::new(&TREE);
    place.run_file(&AGENTS, "");
    for (name, begins) in [
        ("out.md", "<!-- a report by synod -->\n# "),
        ("out.html", "<!doctype html>"),
        ("out.sarif", "{"),
    ] {
        let ended = place.run(&["run", "run.toml", "--report", name]);
        assert_eq!(ended.code, 0, "{ended:?}");
        assert!(ended.out.contains("2 findings"), "{}", ended.out);
        let text = fs::read_to_string(place.path(name)).unwrap();
        assert!(text.to_lowercase().starts_with(begins), "{text}");
        assert!(text.contains("rust.unwrap"), "{text}");
        assert_eq!(text.contains("<svg"), name == "out.html");
    }
}

#[test]
fn reports_that_lie_in_the_reviewed_folder_are_not_reviewed_by_the_next_run() {
    let place = Place::new(&TREE);
    place.run_file(&AGENTS, "");
    let reports = ["tree/out.html", "tree/out.md", "tree/out.sarif"];
    for report in reports {
        assert_eq!(place.run(&["run", "run.toml", "--report", report]).code, 0);
    }
    fs::write(place.path("tree/out.json"), place.run(&["run", "run.toml", "--json"]).out).unwrap();
    let (code, document) = place.run_json(&[]);
    assert_eq!((code, findings(&document).len()), (0, 2), "{document}");
    let skipped = document["report"]["skipped"].as_array().unwrap();
    let of = |skipped: &serde_json::Value| {
        assert_eq!(skipped["reason"], "is a report by synod");
        skipped["file"].as_str().unwrap().to_owned()
    };
    let files: Vec<String> = skipped.iter().map(of).collect();
    assert_eq!(files, ["out.html", "out.json", "out.md", "out.sarif"]);
}

#[test]
fn a_run_is_shown_with_its_events_and_on_request_those_of_each_piece_of_work() {
    let place = Place::new(&TREE);
    place.run_file(&AGENTS, "");
    assert_eq!(place.run(&["run", "run.toml"]).code, 0);
    let brief = place.run(&["show", "last"]).out;
    assert!(brief.contains("s  accepted\n") && brief.contains("s  ended: completed\n"), "{brief}");
    assert!(!brief.contains("s  rust did "), "{brief}");
    let whole = place.run(&["show", "last", "--events"]).out;
    for event in ["s  rust began ", "s  rust did ", "s  typos did ", "s  ended: completed\n"] {
        assert!(whole.contains(event), "{event} is not in {whole}");
    }
}

#[test]
fn findings_change_the_exit_code_only_if_that_is_asked_for() {
    let place = Place::new(&TREE);
    place.run_file(&AGENTS, "");
    assert_eq!(place.run(&["run", "run.toml", "--fail-on", "note"]).code, 5);
    assert_eq!(place.run(&["run", "run.toml", "--fail-on", "error"]).code, 0);
}

#[test]
fn metrics_are_printed_with_the_names_and_labels_that_dashboards_know() {
    let place = Place::new(&TREE);
    place.run_file(&AGENTS, "");
    let ended = place.run(&["run", "run.toml", "--metrics"]);
    for line in [
        "collaboration_tasks_total{pattern=\"map_reduce\",agents=\"2-4\",status=\"completed\"} 1",
        "# TYPE agent_communication_latency_seconds histogram",
        "# TYPE consensus_achievement_seconds histogram",
        "synod_attempts_total{pattern=\"map_reduce\",outcome=\"done\"}",
    ] {
        assert!(ended.out.contains(line), "{line} is not in {}", ended.out);
    }
    for key in ["source=", "destination=", "message_type=", "topic=", "participants="] {
        assert!(ended.out.contains(key), "{key}");
    }
}

#[test]
fn a_diff_is_reviewed_where_it_changed_something() {
    let place = Place::new(&TREE);
    place.git(&["init", "--quiet"]);
    place.git(&["add", "."]);
    place.git(&["commit", "--quiet", "-m", "one"]);
    let changed = format!(
        "{}\npub fn last(list: &[u8]) -> u8 {{\n    *list.last().unwrap()\n}}\n",
        TREE[0].1
    );
    fs::write(place.path("tree/src/lib.rs"), changed).unwrap();
    place.git(&["commit", "--quiet", "-a", "-m", "two"]);
    place.run_file(&AGENTS, "");
    let (code, document) = place.run_json(&["--set", "map_reduce.review.split.diff=HEAD~1..HEAD"]);
    assert_eq!(code, 0);
    assert_eq!(findings(&document), ["src/lib.rs:6 rust.unwrap"]);
}

#[test]
fn a_program_that_looks_at_a_diff_finds_the_whole_commit_and_the_report_names_the_repository() {
    let place = Place::new(&[("a.md", "one\n"), ("tool.conf", "rule\n"), ("other.md", "x\n")]);
    place.git(&["init", "--quiet"]);
    place.git(&["add", "."]);
    place.git(&["commit", "--quiet", "-m", "one"]);
    fs::write(place.path("tree/a.md"), "one\ntwo\n").unwrap();
    place.git(&["commit", "--quiet", "-a", "-m", "two"]);
    fs::write(place.path("tree/tool.conf"), "another rule\n").unwrap();
    let script = r#"for f in a.md other.md; do echo "$f:1: $(cat tool.conf)"; echo "$f:2: $(cat tool.conf)"; done"#;
    let agent = format!(
        "command = [\"sh\", \"-c\", {script:?}], reads = \"lines\", whole = true, accepts = \"*.md\""
    );
    place.run_file(&[("tool", &agent)], "");
    let range = ["--set", "map_reduce.review.split.diff=HEAD~1..HEAD"];
    let (code, document) = place.run_json(&range);
    assert_eq!(code, 0, "{document}");
    assert_eq!(findings(&document), ["a.md:2 tool"], "only the line that changed");
    assert_eq!(document["report"]["findings"][0]["message"], "rule", "as it was committed");
    let tree = fs::canonicalize(place.path("tree")).unwrap();
    assert_eq!(document["root"], tree.to_str().unwrap());
    let ended = place.run(&[&["run", "run.toml"], &range[..]].concat());
    let title = format!("Review of {}, HEAD~1..HEAD", tree.display());
    assert!(ended.out.contains(&title), "{ended:?}");
}

#[test]
fn every_command_says_what_it_is_for() {
    let place = Place::new(&[]);
    let checks: [(&[&str], &str); 7] = [
        (&["--help"], "130  the run was cancelled by Ctrl-C"),
        (&["run", "--help"], "--fail-on"),
        (&["schema"], "\"$schema\""),
        (&["completions", "bash"], "complete"),
        (&["man"], ".TH"),
        (&["runs"], "there are no runs"),
        (&["runs", "--json"], "[]"),
    ];
    for (arguments, part) in checks {
        let ended = place.run(arguments);
        assert_eq!(ended.code, 0, "{ended:?}");
        assert!(ended.out.contains(part), "{part} is not in {}", ended.out);
    }
}

#[test]
fn the_example_is_right() {
    let place = Place::new(&[]);
    let example = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/code_review.toml");
    let ended = place.run(&["check", example]);
    assert_eq!(ended.code, 0, "{ended:?}");
    fs::write(place.path("tree/lib.rs"), TREE[0].1).unwrap();
    let ended = place.run(&["run", example, "--json", "--input", "path=tree"]);
    assert_eq!(ended.code, 0, "{ended:?}");
    let document = ended.json();
    assert!(findings(&document).contains(&"lib.rs:2 rust.unwrap".to_owned()));
    let skipped = document["skipped_agents"].as_array().unwrap();
    assert!(skipped.iter().any(|one| one["agent"] == "clippy"), "{skipped:?}");
}

/// Reads the number and the first file out of each request, and finds something in the file.
const HOUSE: &str = r#"
echo began >> "$0.log"
while read -r line; do
    id=${line#*:}; id=${id%%,*}
    file=${line#*\"files\":[\"}; file=${file%%\"*}
    finding="{\"severity\":\"note\",\"file\":\"$file\",\"line\":1,\"rule\":\"house.rule\",\"message\":\"seen\"}"
    echo "{\"id\":$id,\"result\":{\"findings\":[$finding]}}"
done
"#;

#[test]
fn a_long_running_program_does_part_after_part() {
    let place = Place::new(&[("a.txt", "one\n"), ("b.txt", "two\n"), ("c.txt", "three\n")]);
    fs::write(place.path("house.sh"), HOUSE).unwrap();
    let program = place.path("house.sh");
    place.run_file(&[("house", &format!("process = [\"sh\", {program:?}]"))], "");
    let (code, document) = place.run_json(&[]);
    assert_eq!(code, 0, "{document}");
    assert_eq!(
        findings(&document),
        ["a.txt:1 house.rule", "b.txt:1 house.rule", "c.txt:1 house.rule"]
    );
    let began = || fs::read_to_string(place.path("house.sh.log")).unwrap().lines().count();
    assert_eq!(began(), 1, "one program did all parts");
    place.run_json(&["--set", "agents.house.concurrency=2"]);
    assert_eq!(began(), 3, "two programs did all parts");
}

#[test]
fn a_part_that_hangs_is_run_twice_where_that_is_asked_for() {
    let place = Place::new(&[("a.txt", "one\n"), ("b.txt", "two\n"), ("c.txt", "three\n")]);
    let script = "if test $1$SYNOD_ATTEMPT = b.txt1; then sleep 1000; fi; echo $1:1: note: seen";
    let agent = format!(
        "command = [\"sh\", \"-c\", {script:?}, \"agent\", \"{{files}}\"], reads = \"lines\", count = 2"
    );
    place.run_file(&[("agent", &agent)], "speculate = { after = \"200ms\" }");
    let (code, document) = place.run_json(&[]);
    assert_eq!(code, 0, "{document}");
    assert_eq!(document["tally"]["speculative"], 1);
    assert_eq!(findings(&document), ["a.txt:1 agent", "b.txt:1 agent", "c.txt:1 agent"]);
}

#[test]
fn any_of_gives_each_file_to_one_agent_that_takes_it() {
    let place =
        Place::new(&[("a.txt", "one\n"), ("b.md", "two\n"), ("c.md", "three\n"), ("d.rs", "")]);
    let says = |accepts: &str| {
        let script = "for f; do echo $f:1: note: seen; done";
        format!(
            "command = [\"sh\", \"-c\", {script:?}, \"agent\", \"{{files}}\"], reads = \"lines\", accepts = {accepts}"
        )
    };
    let (both, one) = (says("[\"*.txt\", \"*.md\"]"), says("\"*.md\""));
    place.run_file(&[("both", &both), ("one", &one)], "");
    let text = fs::read_to_string(place.path("run.toml")).unwrap();
    let text =
        text.replace("all_of", "any_of").replace("max_files = 1", "max_files = 9, by = \"size\"");
    fs::write(place.path("run.toml"), text).unwrap();
    let (code, document) = place.run_json(&[]);
    assert_eq!(code, 0, "{document}");
    assert_eq!(document["tally"]["units"], 2, "what one alone takes is never with what both take");
    let files: Vec<String> = findings(&document)
        .iter()
        .map(|found| found.split(':').next().unwrap().to_owned())
        .collect();
    assert_eq!(files, ["a.txt", "b.md", "c.md"]);
}

//! Pipelines of run files: documents good and bad, programs that fail and hang; what is told, kept and taken up again.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
};

use rustix::process::Signal;
use serde_json::Value;

use super::place::{Place, sparse};

/// Agents, and the stages that name them, as a run file over the tree of a place.
fn pipeline(place: &Place, agents: &[(&str, &str)], stages: &[&str], more: &str) {
    let mut text = "synod = 1\nmain = \"texts\"\nlimit.deadline = \"1m\"\n[agents]\n".to_owned();
    for (name, agent) in agents {
        text.push_str(&format!("{name} = {{ {agent} }}\n"));
    }
    let tree = place.path("tree");
    text.push_str(&format!("[pipeline.texts]\ndocuments = {:?}\n{more}\n", tree.to_str().unwrap()));
    for stage in stages {
        text.push_str(&format!("[[pipeline.texts.stages]]\n{stage}\n"));
    }
    fs::write(place.path("run.toml"), text).unwrap();
}

/// An agent that runs this script of a shell, with the document's file as its argument.
fn shell(script: &str) -> String {
    // A brace that is only text is written twice.
    let script = script.replace('{', "{{").replace('}', "}}");
    format!("command = [\"sh\", \"-c\", {script:?}, \"sh\", \"{{files}}\"], reads = \"json\"")
}

/// The documents of a result by name: how each ended, and what came out.
fn ends(document: &Value) -> BTreeMap<&str, (&str, &Value)> {
    let documents = document["pipeline"]["documents"].as_array().unwrap().iter();
    documents
        .map(|own| {
            let end = own["end"]["end"].as_str().unwrap();
            let last = own["steps"].as_array().unwrap().last();
            (
                own["name"].as_str().unwrap(),
                (end, last.map_or(&Value::Null, |step| &step["output"])),
            )
        })
        .collect()
}

const EXAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/document_pipeline.toml");

#[test]
fn the_example_summarises_documents_and_bad_ones_fail_alone_with_their_stage_and_why() {
    let place = Place::new(&[
        (
            "a.md",
            "# Tea\n\nGreen tea comes from China. Black tea comes from China and India. It rained.\n",
        ),
        (
            "mail/b.html",
            "<title>Ships</title><p>The old ship sails to the harbour. The harbour waits for the ship.",
        ),
        ("empty.txt", ""),
        ("none.pdf", "this is no PDF at all"),
        ("left.png", "not a document"),
    ]);
    fs::write(place.path("tree/wrong.txt"), b"caf\xc3\xa9 and then \xff\xfe\x9d\x81 no text")
        .unwrap();
    sparse(&place.path("tree/z.txt"), 200 << 20);
    let page = place.path("out.html");
    let input = format!("path={}", place.path("tree").display());
    let arguments = ["run", EXAMPLE, "--input", &input, "--report", page.to_str().unwrap()];
    let ended = place.run(&arguments);
    assert_eq!(ended.code, 3, "{ended:?}");
    assert!(ended.out.contains("2 of 6 documents through 3 stages"), "{}", ended.out);
    assert!(ended.out.contains("Documents that failed: 4"), "{}", ended.out);

    let shown = place.run(&["show", "last", "--json"]).json();
    let ends = ends(&shown);
    assert_eq!(ends.values().filter(|(end, _)| *end == "done").count(), 2, "{shown}");
    let output = ends["a.md"].1;
    assert!(output["summary"]["text"].as_str().unwrap().contains("tea"), "{output}");
    assert_eq!(output["analysis"]["language"]["name"], "English");
    let metadata = &output["metadata"];
    assert_eq!((&metadata["stage"], &metadata["agent"]), (&"analysis".into(), &"analyse".into()));
    assert_eq!(ends["mail/b.html"].1["title"], "Ships");
    bad_ones(&shown, &ended.out);
    let text = place.run(&["show", "last", "--events"]).out;
    assert!(
        text.contains("2 of 6 documents") && text.contains("analyse did a.md, analysis"),
        "{text}"
    );
    assert!(place.run(&["runs"]).out.contains("completed"));
    let page = fs::read_to_string(page).unwrap();
    assert!(page.contains("<svg") && page.contains("✕ extraction") && !page.contains("http"));
}

/// The bad documents are named where they failed, with the reason, in the journal and in what was printed.
fn bad_ones(shown: &Value, out: &str) {
    for (name, why) in [
        ("empty.txt", "0 bytes"),
        ("none.pdf", "it is no PDF"),
        ("wrong.txt", "is not UTF-8"),
        ("z.txt", "209715200 bytes, more than"),
    ] {
        let documents = shown["pipeline"]["documents"].as_array().unwrap();
        let end = &documents.iter().find(|own| own["name"] == name).unwrap()["end"];
        assert_eq!((&end["stage"], &end["attempts"]), (&"extraction".into(), &1.into()), "{end}");
        assert!(end["why"].as_str().unwrap().contains(why), "{end}");
        assert!(out.contains(why), "{why}: {out}");
    }
}

#[test]
fn what_an_agent_cannot_do_its_fallback_does_and_else_the_document_fails_alone() {
    let files: Vec<String> = ["fails", "garbage", "good", "hangs", "hopeless"]
        .iter()
        .map(|name| (*name).into())
        .collect();
    let files: Vec<(&str, &str)> = files.iter().map(|name| (name.as_str(), "x")).collect();
    let place = Place::new(&files);
    let first = "case $1 in hangs) sleep 100;; fails|hopeless) exit 7;; garbage) echo 12;; *) echo '\"first\"';; esac";
    let second = "if [ $1 = hopeless ]; then exit 8; fi; echo '\"second\"'";
    let first = shell(first) + ", fallback = \"second\", count = 5";
    let second = shell(second);
    let stage = "name = \"say\"\nagent = \"first\"\ntimeout = \"1s\"\nretry = { attempts = 1 }\noutput = { type = \"string\" }";
    pipeline(&place, &[("first", &first), ("second", &second)], &[stage], "ordered = true");
    let (code, document) = place.run_json(&[]);
    assert_eq!((code, &document["outcome"]), (3, &"completed".into()), "{document}");
    let ends = ends(&document);
    for name in ["fails", "garbage", "hangs"] {
        assert_eq!(ends[name], ("done", &"second".into()), "{document}");
    }
    assert_eq!(ends["good"], ("done", &"first".into()));
    assert_eq!(ends["hopeless"].0, "failed");
    let failed = document["failed_parts"].as_array().unwrap();
    let error = failed[0]["error"].as_str().unwrap();
    assert!(failed.len() == 1 && error.starts_with("stage `say`: "), "{failed:?}");
    assert!(error.contains("code 8") && error.contains("code 7"), "both are named: {error}");
    assert_eq!(document["pipeline"]["stages"][0]["fallbacks"], 3);
    assert_eq!(document["tally"]["fallbacks"], 3);
}

#[test]
fn one_slow_document_delays_no_other() {
    let names = ["a-slow", "b", "c", "d", "e"];
    let files: Vec<(&str, &str)> = names.iter().map(|name| (*name, "x")).collect();
    let place = Place::new(&files);
    fs::create_dir(place.path("done")).unwrap();
    // The first document waits until all others have left the last stage: if it held them up, that would be never.
    let done = place.path("done");
    let done = done.display();
    let read = format!(
        "if [ $1 = a-slow ]; then until [ $(ls {done} | wc -l) = 4 ]; do sleep 0.01; done; fi; echo true"
    );
    let last = format!("touch {done}/$1; echo true");
    let (read, last) = (shell(&read) + ", count = 2", shell(&last));
    let stages = ["name = \"read\"\nagent = \"read\"", "name = \"last\"\nagent = \"last\""];
    pipeline(&place, &[("read", &read), ("last", &last)], &stages, "");
    let (code, document) = place.run_json(&[]);
    assert_eq!(code, 0, "{document}");
    assert_eq!(document["tally"]["done"], 5);
}

/// A pipeline whose agents log what they are asked for and tell it to a pipe.
fn logged(count: usize) -> (Place, super::place::Pipe) {
    let names: Vec<String> = (0..count).map(|number| format!("f{number:02}.txt")).collect();
    let files: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "x")).collect();
    let place = Place::new(&files);
    let pipe = place.pipe("pipe");
    let agent = |stage: &str| {
        let (pipe, log) = (pipe.path().display(), place.path("log"));
        let script = format!(
            "exec 3> {pipe}; echo {stage} $1 >> {}; echo $1 >&3; echo \"\\\"$1\\\"\"",
            log.display()
        );
        shell(&script) + ", count = 2"
    };
    let agents = [("one", agent("one")), ("two", agent("two")), ("three", agent("three"))];
    let agents: Vec<(&str, &str)> =
        agents.iter().map(|(name, agent)| (*name, agent.as_str())).collect();
    let stages = ["one", "two", "three"]
        .map(|name| format!("name = \"{name}\"\nagent = \"{name}\"\nwindow = 3"));
    let stages: Vec<&str> = stages.iter().map(String::as_str).collect();
    pipeline(&place, &agents, &stages, "");
    (place, pipe)
}

#[test]
fn a_run_that_was_killed_goes_on_and_asks_for_no_stage_again_that_was_passed() {
    const DOCUMENTS: usize = 12;
    for lines in [1, 9, 20, 33] {
        let (place, pipe) = logged(DOCUMENTS);
        let running = place.start(&["run", "run.toml"]);
        for _ in 0..lines {
            pipe.line();
        }
        running.signal(Signal::KILL);
        let ended = running.end();
        pipe.drain();
        // A document that comes in between does not move those that the run has.
        fs::write(place.path("tree/a-new.txt"), "x").unwrap();
        let shown = place.run(&["show", "last", "--json"]).json();
        let kept: Vec<String> = shown["work"]
            .as_array()
            .unwrap()
            .iter()
            .map(|work| {
                let name = work["name"].as_str().unwrap().split(',').next().unwrap();
                format!("{} {name}", work["agent"].as_str().unwrap())
            })
            .collect();
        let log = || fs::read_to_string(place.path("log")).unwrap_or_default();
        let before = log();
        let pipe = place.pipe_again("pipe");
        let resumed = place.run(&["resume", "last", "--json"]);
        pipe.drain();
        let document = resumed.json();
        assert_eq!(resumed.code, 0, "killed at {lines} ({ended:?}): {document}");
        let ends = ends(&document);
        assert_eq!(ends.len(), DOCUMENTS, "{document}");
        assert!(ends.iter().all(|(name, (end, output))| *end == "done" && *output == *name));
        let all = log();
        let again: Vec<&str> = all.lines().skip(before.lines().count()).collect();
        assert!(kept.iter().all(|work| !again.contains(&work.as_str())), "{kept:?} {again:?}");
        let different: BTreeSet<&str> = all.lines().collect();
        assert_eq!(different.len(), DOCUMENTS * 3, "killed at {lines}");
    }
}

#[test]
fn a_pipeline_that_cannot_begin_says_why_and_starts_nothing() {
    let place = Place::new(&[("a.txt", "x")]);
    let agent = shell("echo true");
    let stage = "name = \"one\"\nagent = \"one\"";
    let says = |arguments: &[&str], expected: &str| {
        let ended = place.run(&[&["run", "run.toml"], arguments].concat());
        assert!(ended.code == 2 && ended.err.contains(expected), "{expected}: {ended:?}");
    };
    pipeline(&place, &[("one", &agent)], &[stage], "accepts = \"*.pdf\"");
    says(&[], "there are no documents below");
    says(&["--set", "pipeline.texts.documents=\"nowhere\""], "cannot look at nowhere");
    says(&["--report", "out.sarif"], "no documents below");
    says(
        &["--set", "pipeline.texts.accepts=\"*\"", "--report", "out.sarif"],
        "a pipeline has no findings",
    );
    pipeline(
        &place,
        &[("one", "command = [\"no-such-program\"], reads = \"json\", optional = true")],
        &[stage],
        "",
    );
    says(&[], "nobody does stage `one`: agent `one` cannot take part");
    pipeline(&place, &[("one", &agent)], &[], "");
    says(&[], "has no `stages`");
    assert!(place.kept().is_empty());
}

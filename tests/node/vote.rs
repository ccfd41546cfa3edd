//! Votes of run files: programs that vote, fail and are killed; what is told, kept and taken up again.

use std::fs;

use rustix::process::{Pid, Signal, kill_process};

use super::place::Place;

/// A run file with these agents as voters.
fn vote(place: &Place, agents: &[(&str, &str)], more: &str) {
    let mut text = "synod = 1\nmain = \"gate\"\n[agents]\n".to_owned();
    for (name, agent) in agents {
        text.push_str(&format!("{name} = {{ {agent} }}\n"));
    }
    let voters: Vec<String> = agents.iter().map(|(name, _)| format!("{name} = 1")).collect();
    text.push_str(&format!(
        "[consensus.gate]\nquestion = \"Does it go out?\"\nchoices = [\"ship\", \"hold\"]\nvoters = {{ {} }}\nretry = {{ attempts = 1 }}\nearly = false\n{more}\n",
        voters.join(", ")
    ));
    fs::write(place.path("run.toml"), text).unwrap();
}

/// An agent that runs this script of a shell.
fn shell(script: &str, reads: &str) -> String {
    format!("command = [\"sh\", \"-c\", {script:?}], reads = {reads:?}")
}

/// Says this opinion.
fn says(opinion: &str) -> String {
    // A brace that is only text is written twice.
    let opinion = opinion.replace('{', "{{").replace('}', "}}");
    shell(&format!("echo '{opinion}'"), "json")
}

const FULL: &str = r#"{"choice": "ship", "confidence": 0.9, "reasoning": "it is <small>", "evidence": [{"claim": "12 lines", "source": "git diff"}]}"#;

/// A vote of a program that exits, one that is killed, one that tells all and one that warns.
fn four(place: &Place) {
    let agents = [
        ("exits", shell("exit 0", "exit")),
        ("killed", shell("kill -9 $$", "exit")),
        ("tells", says(FULL)),
        ("warns", says("\"hold\"")),
    ];
    let agents: Vec<(&str, &str)> =
        agents.iter().map(|(name, agent)| (*name, agent.as_str())).collect();
    vote(place, &agents, "quorum = { share = 0.6, participation = 0.75 }\notherwise = \"hold\"");
}

#[test]
fn programs_vote_and_one_that_is_killed_is_absent() {
    let place = Place::new(&[]);
    four(&place);
    let (code, document) = place.run_json(&[]);
    assert_eq!((code, &document["outcome"]), (0, &"completed".into()), "{document}");
    let decision = &document["vote"]["decision"];
    assert_eq!(decision["outcome"]["outcome"], "consensus", "{decision}");
    assert_eq!(decision["outcome"]["choice"], "ship");
    assert_eq!(decision["participation"]["counted"], 3);
    assert_eq!(decision["closed"], "complete");
    assert_eq!(document["failed_parts"][0]["name"], "killed");
    let reason = &decision["reasoning"][1];
    assert_eq!((&reason["voter"], &reason["confidence"]), (&"tells".into(), &"9/10".into()));
    assert_eq!(reason["evidence"][0]["source"], "git diff");

    let run = document["run"].as_str().unwrap();
    let shown = place.run(&["show", run, "--json"]).json();
    assert_eq!(shown["vote"], document["vote"], "its journal gives the same");
    let text = place.run(&["show", run, "--events"]);
    for expected in ["consensus: ship", "12 lines (git diff)", "absent: killed", "tells did tells"]
    {
        assert!(text.out.contains(expected), "{expected}: {}", text.out);
    }
    assert!(place.run(&["runs"]).out.contains("completed"));
}

#[test]
fn a_voter_that_is_killed_from_outside_in_the_middle_of_its_check_is_absent_and_holds_nothing_up() {
    let place = Place::new(&[]);
    let pipe = place.pipe("checking");
    // Without the signal it would check for longer than any test waits.
    let checks = shell(&format!("echo $$ > {}; exec sleep 1000", pipe.path().display()), "exit");
    let (ships, also) = (says("\"ship\""), says("\"ship\""));
    let more = "quorum = { share = 0.6, participation = 0.6 }\nwithin = \"10m\"";
    vote(&place, &[("also", &also), ("checks", &checks), ("ships", &ships)], more);
    let running = place.start(&["run", "run.toml", "--json"]);
    let checker = Pid::from_raw(pipe.line().trim().parse().unwrap()).unwrap();
    kill_process(checker, Signal::KILL).unwrap();
    let ended = running.end();
    let document = ended.json();
    let decision = &document["vote"]["decision"];
    assert_eq!((ended.code, &decision["outcome"]["choice"]), (0, &"ship".into()), "{document}");
    // Nobody waited for its time to be over: it was known to be gone.
    assert_eq!(decision["closed"], "complete");
    let participation = &decision["participation"];
    assert_eq!((&participation["counted"], &participation["electorate"]), (&2.into(), &3.into()));
    let absent = &document["failed_parts"][0];
    assert_eq!(absent["name"], "checks");
    assert!(
        absent["error"]
            .as_str()
            .is_some_and(|error| error.contains("SIGKILL") || error.contains("signal")),
        "{absent}"
    );
}

#[test]
fn a_vote_is_shown_as_text_and_as_a_page_and_not_as_findings() {
    let place = Place::new(&[]);
    four(&place);
    let page = place.path("out.html");
    let ended = place.run(&["run", "run.toml", "--report", page.to_str().unwrap()]);
    assert!(ended.out.contains("Does it go out?\nconsensus: ship"), "{}", ended.out);
    let html = fs::read_to_string(&page).unwrap();
    assert!(html.contains("it is &lt;small&gt;") && html.contains("<svg"), "{html}");
    assert!(!html.contains("http"), "it needs nothing else");
    let shown = place.run(&["show", "last"]).out;
    assert!(shown.contains("4 parts, 3 pieces of work done, 1 failed"), "{shown}");
    let sarif = place.run(&["run", "run.toml", "--report", "out.sarif"]);
    assert_eq!(sarif.code, 2, "{sarif:?}");
}

#[test]
fn a_vote_without_a_choice_says_so_by_its_exit_code() {
    let place = Place::new(&[]);
    let (ship, hold) = (says("\"ship\""), says("\"hold\""));
    vote(&place, &[("a", &ship), ("b", &hold)], "");
    let (code, document) = place.run_json(&[]);
    assert_eq!(code, 3, "{document}");
    assert_eq!(document["vote"]["decision"]["outcome"]["outcome"], "no_decision");
    let (unsure, odd) = (says(r#"{"choice": "ship", "confidence": 1.5}"#), says("7"));
    vote(&place, &[("a", &unsure), ("b", &odd)], "quorum = { participation = 1 }");
    let (code, document) = place.run_json(&[]);
    assert_eq!(code, 3, "{document}");
    let told: Vec<&str> = document["failed_parts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|part| part["error"].as_str().unwrap())
        .collect();
    assert!(told[0].contains("confidence 3/2 is not from 0 to 1"), "{told:?}");
    assert!(told[1].contains("one choice as `choice`"), "{told:?}");
}

#[test]
fn a_vote_that_was_cut_off_is_taken_up_without_asking_again() {
    let place = Place::new(&[]);
    let counted = format!("echo once >> {}", place.path("calls").display());
    let quick = shell(&counted, "exit");
    let gate = place.path("go");
    let slow = shell(&format!("until test -e {}; do sleep 0.01; done", gate.display()), "exit");
    vote(&place, &[("quick", &quick), ("slow", &slow)], "within = \"5m\"");
    let (code, document) = place.run_json(&["--set", "limit.deadline=\"2s\""]);
    assert_eq!(code, 4, "{document}");
    let decision = &document["vote"]["decision"];
    assert_eq!(
        (&decision["closed"], &decision["participation"]["counted"]),
        (&"cut_off".into(), &1.into())
    );
    fs::write(&gate, "").unwrap();
    let run = document["run"].as_str().unwrap();
    let again = place.run(&["resume", run, "--json", "--set", "limit.deadline=\"1m\""]);
    let document = again.json();
    assert_eq!((again.code, &document["tally"]["resumed"]), (0, &1.into()), "{document}");
    assert_eq!(document["vote"]["decision"]["participation"]["counted"], 2);
    assert_eq!(fs::read_to_string(place.path("calls")).unwrap(), "once\n");
}

/// The decision of the example on a version of its program; the killed voter, where there is one, is a command of its own.
fn deployment(candidate: &str, more: &[&str]) -> serde_json::Value {
    let place = Place::new(&[]);
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/deployment_consensus.toml");
    let input = format!("candidate=examples/deployment/{candidate}");
    let arguments = [&["run", file, "--json", "--input", &input], more].concat();
    let mut program = place.synod(&arguments);
    program.current_dir(env!("CARGO_MANIFEST_DIR"));
    let ended = super::place::Running::new(program.spawn().unwrap()).end();
    let document = ended.json();
    assert_eq!((ended.code, &document["outcome"]), (0, &"completed".into()), "{document}");
    document["vote"]["decision"].clone()
}

/// What each voter is for.
fn choices(decision: &serde_json::Value) -> std::collections::BTreeMap<&str, &str> {
    let ballots = decision["ballots"].as_array().unwrap().iter().map(|own| &own["ballot"]);
    ballots
        .map(|ballot| {
            (ballot["voter"].as_str().unwrap(), ballot["choice"]["one"].as_str().unwrap())
        })
        .collect()
}

#[test]
fn a_good_version_is_deployed_though_a_voter_is_killed_in_the_middle_of_its_check() {
    let killed = "agents.performance.command=[\"sh\", \"-c\", \"sleep 0.2; kill -9 $$\"]";
    let decision = deployment("candidate", &["--set", killed]);
    assert_eq!(decision["outcome"]["choice"], "deploy", "{decision}");
    assert_eq!(decision["outcome"]["outcome"], "consensus", "{decision}");
    assert_eq!(decision["participation"]["counted"], 3, "{decision}");
    assert!(!choices(&decision).contains_key("performance"));
}

#[test]
fn a_faulty_version_is_held_by_each_voter_for_its_own_reason() {
    let decision = deployment("faulty", &[]);
    assert_eq!(decision["outcome"]["choice"], "hold", "{decision}");
    let all = choices(&decision);
    assert!(all.len() == 4 && all.values().all(|choice| *choice == "hold"), "{decision}");
    let evidence = |voter: &str| {
        let reasons = decision["reasoning"].as_array().unwrap().iter();
        let own = reasons.filter(|reason| reason["voter"] == voter).map(|own| &own["evidence"]);
        own.map(ToString::to_string).collect::<String>()
    };
    assert!(evidence("security").contains("faulty/src/main.rs:8"), "{decision}");
    assert!(evidence("reliability").contains("more_pieces_are_cheaper_each"), "{decision}");
    assert!(evidence("performance").contains("pricer bench"), "{decision}");
    assert!(evidence("cost").contains("bytes of the program"), "{decision}");
}

//! A process that declares a heartbeat and hangs: noticed long before its timeout, really and in the simulation.

use std::fs;

use super::place::Place;

/// A process that, at its first request, beats once, starts a child that leaves its session, and stops for ever.
const STOPS_ONCE: &str = r#"
while read -r line; do
    id=${line#*:}; id=${id%%,*}
    if ! test -e hung; then
        touch hung
        setsid sleep 1000 3>alive &
        echo "{\"id\":$id,\"progress\":0.5}"
        kill -STOP $$
    fi
    echo "{\"id\":$id,\"result\":{\"findings\":[]}}"
done
"#;

#[test]
fn a_process_that_hangs_is_ended_with_its_children_and_its_part_is_done_by_a_new_one() {
    let place = Place::new(&[("a.txt", "one\n"), ("b.txt", "two\n")]);
    let pipe = place.pipe("alive");
    let (script, folder) = (place.path("agent.sh"), place.path(""));
    fs::write(&script, format!("cd {}\n{STOPS_ONCE}", folder.display())).unwrap();
    let agent = format!("process = [\"sh\", {script:?}], heartbeat = \"500ms\", timeout = \"1h\"");
    place.run_file(&[("moody", &agent)], "");
    let (code, document) = place.run_json(&["--metrics"]);
    assert_eq!(code, 0, "{document}");
    assert_eq!((&document["tally"]["done"], &document["tally"]["retries"]), (&2.into(), &1.into()));
    let metrics = document["metrics"].as_str().unwrap();
    assert!(metrics.contains("synod_agents_silent_total 1\n"), "{metrics}");
    assert_eq!(pipe.drain(), [""; 0], "no program is left");
}

#[test]
fn a_mocked_process_that_hangs_is_noticed_by_its_heartbeat_and_a_slow_one_is_not() {
    let place = Place::new(&[("a.txt", "one\n")]);
    place
        .run_file(&[("moody", "process = [\"moody\"], heartbeat = \"5s\", timeout = \"10m\"")], "");
    let tests = r#"
synod = 1

[[test]]
name = "a hang is noticed"
mock = { moody = { hang = true } }
expect = { failure = { agent = "moody", error = "it showed no sign of life for" } }

[[test]]
name = "slow is no hang"
mock = { moody = { slow = "5m" } }
expect = { outcome = "completed", calls = { moody = 1 } }
"#;
    fs::write(place.path("run.test.toml"), tests).unwrap();
    let ended = place.run(&["test", "run.test.toml", "--seeds", "2"]);
    assert_eq!(ended.code, 0, "{ended:?}");
}

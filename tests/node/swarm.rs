//! Swarms of run files: ways, rounds, flocks and foragers; what is told, kept and taken up again, and what is refused.

use std::fs;

use rustix::process::Signal;
use serde_json::Value;
use synod::actors::swarm::terrain::{Grid, shortest};

use super::place::Place;

const EXAMPLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples");

/// A small map with a wall in its middle.
const MAP: &str =
    "type octile\nheight 5\nwidth 7\nmap\n.......\n...@...\n...@...\n...@...\n.......\n";

/// A place with a map and a run file whose only pattern is a swarm of these lines.
fn swarm(map: &str, lines: &str) -> Place {
    let place = Place::new(&[("a.map", map)]);
    let text =
        format!("synod = 1\nmain = \"way\"\nlimit.deadline = \"1m\"\n[swarm.way]\n{lines}\n");
    fs::write(place.path("run.toml"), text).unwrap();
    place
}

/// The model of a way over the map of a place.
fn way(start: &str, goal: &str, more: &str) -> String {
    format!(
        "model = {{ use = \"path\", map = \"tree/a.map\", start = {start}, goal = {goal}{more} }}\n"
    )
}

fn cells(value: &Value) -> Vec<(u32, u32)> {
    serde_json::from_value(value.clone()).unwrap()
}

#[test]
fn the_example_finds_a_way_within_5_percent_of_the_shortest_and_another_one_when_its_door_is_blocked()
 {
    let place = Place::new(&[]);
    let file = format!("{EXAMPLES}/path_swarm.toml");
    let input = format!("path={EXAMPLES}/rooms.map");
    let page = place.path("way.md");
    let ended = place.run(&["run", &file, "--input", &input, "--report", page.to_str().unwrap()]);
    assert_eq!(ended.code, 0, "{ended:?}");
    assert!(ended.out.contains("best: cost "), "{}", ended.out);
    assert!(!ended.err.contains("WARN"), "{}", ended.err);
    assert!(fs::read_to_string(&page).unwrap().contains("| tick | found | best |"));

    let shown = place.run(&["show", "last", "--json"]).json();
    let swarm = &shown["swarm"];
    assert_eq!((&swarm["end"], &swarm["ticks"]), (&Value::from("ticks"), &Value::from(300)));
    let grid = Grid::parse(&fs::read_to_string(format!("{EXAMPLES}/rooms.map")).unwrap()).unwrap();
    let (terrain, at) = (grid.terrain(), |(x, y): (u32, u32)| grid.place(x, y).unwrap());
    let blocked = [(11, 6), (11, 7)].map(at);
    let closed: Vec<u32> = blocked.iter().flat_map(|place| terrain.past(*place)).collect();
    let is_closed = |step: usize| closed.contains(&u32::try_from(step).unwrap());
    let ends = (at((2, 2)), at((45, 29)));
    let (before, _) = shortest(&terrain, ends, |_| false).unwrap();
    let (after, _) = shortest(&terrain, ends, is_closed).unwrap();
    assert!(after > before, "the obstacle is on the shortest way");
    let best = swarm["best"]["cost"].as_f64().unwrap();
    assert!(best <= after * 1.05, "{best} of {after}");
    let way: Vec<u32> = cells(&swarm["best"]["way"]).into_iter().map(at).collect();
    let steps = way.windows(2).map(|pair| terrain.step(pair[0], pair[1]).unwrap());
    let cost: f64 = steps.clone().map(|step| terrain.cost(step)).sum();
    assert!((cost - best).abs() < 1e-9 && steps.into_iter().all(|step| !is_closed(step)));
    let rows = swarm["trace"]["rows"].as_array().unwrap();
    let first = rows[148][4].as_f64().unwrap();
    assert!(first <= before * 1.05 && best > first, "{first} of {before} before the obstacle");
}

#[test]
fn a_swarm_that_was_killed_goes_on_from_its_last_snapshot_and_comes_to_the_same() {
    let map = fs::read_to_string(format!("{EXAMPLES}/rooms.map")).unwrap();
    let lines = way("[2, 2]", "[45, 29]", ", ants = 30")
        + "ticks = 300\nagents_per_actor = 10\nsnapshot_every = \"1ms\"";
    let place = swarm(&map, &lines);
    let (code, whole) = place.run_json(&[]);
    assert_eq!(code, 0, "{whole}");
    let running = place.start(&["run", "run.toml"]);
    let ticks = |shown: &Value| shown["swarm"]["ticks"].as_u64().unwrap_or(0);
    let shown = loop {
        let shown = place.run(&["show", "last", "--json"]);
        if shown.code == 0 {
            let shown = shown.json();
            if shown["run"] != whole["run"] && ticks(&shown) > 20 {
                break shown;
            }
        }
    };
    running.signal(Signal::KILL);
    drop(running.end());
    let kept = place.run(&["show", "last", "--json"]).json();
    assert_eq!((&kept["state"], &kept["run"]), (&Value::from("interrupted"), &shown["run"]));
    assert!(ticks(&kept) >= ticks(&shown) && ticks(&kept) < 300, "{kept}");
    assert!(kept["swarm"]["best"]["cost"].is_number(), "so far: {kept}");

    let changed = map.replace("T..", "...");
    fs::write(place.path("tree/a.map"), changed).unwrap();
    let refused = place.run(&["resume", "last"]);
    assert_eq!(refused.code, 2, "{refused:?}");
    assert!(
        refused.err.contains("tree/a.map is not what it was when this run began"),
        "{refused:?}"
    );
    fs::write(place.path("tree/a.map"), map).unwrap();

    let resumed = place.run(&["resume", "last", "--json"]);
    let document = resumed.json();
    assert_eq!(resumed.code, 0, "{document}");
    assert_eq!(document["swarm"], whole["swarm"]);
    assert!(document["tally"]["resumed"].as_u64().unwrap() >= ticks(&kept), "{document}");
    let again = place.run(&["show", "last", "--json"]).json();
    assert_eq!(again["swarm"], whole["swarm"], "the journal tells the same");
}

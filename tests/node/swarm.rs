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

/// 17 towns, made from the seed 7.
fn towns() -> Vec<(u64, u64)> {
    let mut state = 7_u64;
    let mut next = |below: u64| {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    (0..17).map(|_| (next(1_000), next(700))).collect()
}

/// The length of the shortest round, by the dynamic programme of Held and Karp.
fn optimum(cities: &[(u64, u64)]) -> u64 {
    let last = cities.len() - 1;
    let distance = |one: usize, other: usize| {
        let ((x, y), (to_x, to_y)) = (cities[one], cities[other]);
        let (dx, dy) = (x.abs_diff(to_x), y.abs_diff(to_y));
        let square = dx * dx + dy * dy;
        let root = square.isqrt();
        // To the nearest whole number.
        if square > root * root + root { root + 1 } else { root }
    };
    let mut least = vec![u64::MAX; last << last];
    (0..last).for_each(|city| least[(1 << city) * last + city] = distance(last, city));
    for set in 1..1_usize << last {
        for city in (0..last).filter(|city| set & 1 << city != 0) {
            let so_far = least[set * last + city];
            for next in (0..last).filter(|next| set & 1 << next == 0 && so_far < u64::MAX) {
                let further = &mut least[(set | 1 << next) * last + next];
                *further = (*further).min(so_far + distance(city, next));
            }
        }
    }
    let all = (1 << last) - 1;
    (0..last).map(|city| least[all * last + city] + distance(city, last)).min().unwrap()
}

#[test]
fn the_example_finds_the_shortest_round_as_an_exact_method_proves() {
    let (place, towns) = (Place::new(&[]), towns());
    let lines = (1..).zip(&towns).map(|(number, (x, y))| format!("{number} {x} {y}\n"));
    let cities: String = lines.collect();
    let file = fs::read_to_string(format!("{EXAMPLES}/towns.tsp")).unwrap();
    assert!(file.ends_with(&format!("NODE_COORD_SECTION\n{cities}EOF\n")), "made from the seed");
    let page = place.path("round.html");
    let (run, input) = (format!("{EXAMPLES}/tsp_swarm.toml"), format!("path={EXAMPLES}/towns.tsp"));
    let ended = place.run(&["run", &run, "--input", &input, "--report", page.to_str().unwrap()]);
    assert_eq!(ended.code, 0, "{ended:?}");
    let shown = place.run(&["show", "last", "--json"]).json();
    let best = &shown["swarm"]["best"];
    assert_eq!(best["cost"].to_string(), format!("{}.0", optimum(&towns)));
    let mut tour: Vec<u64> = serde_json::from_value(best["tour"].clone()).unwrap();
    tour.sort_unstable();
    assert_eq!(tour, (1..=17).collect::<Vec<u64>>(), "each town once");
    let page = fs::read_to_string(&page).unwrap();
    for part in
        ["class=\"cities\"", "class=\"way\"", "class=\"chart\"", "length of the round", "seed 7"]
    {
        assert!(page.contains(part), "{part}");
    }
}

#[test]
fn a_page_shows_the_map_its_trails_and_what_dropped_and_needs_nothing_else() {
    let lines = way("[0, 2]", "[6, 2]", ", ants = 20")
        + "ticks = 40\nchange = [{ tick = 20, block = [[3, 0]] }]";
    let place = swarm(MAP, &lines);
    let page = place.path("way.html");
    let ended = place.run(&["run", "run.toml", "--report", page.to_str().unwrap()]);
    assert_eq!(ended.code, 0, "{ended:?}");
    let page = fs::read_to_string(&page).unwrap();
    for part in [
        "<path class=\"wall\" d=\"M3 1h1v1h-1zM3 2h1v1h-1zM3 3h1v1h-1z\"/>",
        "<path class=\"dropped\" d=\"M3 0h1v1h-1z\"/>",
        "class=\"trail s",
        "class=\"way\"",
        "<title>start (0, 2)</title>",
        "<title>goal (6, 2)</title>",
        "share of the ants on one way",
        "40 ticks, 20 agents, seed 0</figcaption>",
    ] {
        assert!(page.contains(part), "{part}: {page}");
    }
    let elsewhere = page.replace("xmlns=\"http://www.w3.org/2000/svg\"", "");
    assert!(!elsewhere.contains("http") && !page.contains("<script"), "{page}");
    let sarif = place.run(&["run", "run.toml", "--report", "way.sarif"]);
    assert!(sarif.code == 2 && sarif.err.contains("a swarm has no findings"), "{sarif:?}");
}

#[test]
fn flocks_and_foragers_need_no_rust() {
    let flock =
        "model = { use = \"boids\", birds = 60, side = 40 }\nticks = 150\nagents_per_actor = 20";
    let place = swarm(MAP, flock);
    let (code, document) = place.run_json(&[]);
    assert_eq!((code, &document["swarm"]["best"]), (0, &Value::Null), "{document}");
    assert_eq!(document["swarm"]["emerged"][0]["pattern"], "one direction", "{document}");
    let page = place.path("flock.html");
    let ended = place.run(&["run", "run.toml", "--report", page.to_str().unwrap()]);
    assert!(ended.out.starts_with("Swarm way\npolarisation 0.9"), "{}", ended.out);
    assert!(fs::read_to_string(&page).unwrap().contains("class=\"bird\""));

    let food = "model = { use = \"foraging\", map = \"tree/a.map\", nest = [0, 0], food = [{ at = [6, 4], units = 5 }] }\nticks = 2000\nstop_at = 0\nagents_per_actor = 50";
    let (code, document) = swarm(MAP, food).run_json(&[]);
    let swarm = &document["swarm"];
    assert_eq!((code, &swarm["end"]), (0, &Value::from("solution")), "{document}");
    assert_eq!((&swarm["best"]["brought"], &swarm["best"]["cost"]), (&5.into(), &0.0.into()));
}

#[test]
fn what_comes_after_a_swarm_is_told_its_cost_and_what_it_found() {
    let place = Place::new(&[("a.map", MAP)]);
    let way = way("[0, 2]", "[6, 2]", ", ants = 20");
    let text = format!(
        "synod = 1\nmain = \"flock\"\nlimit.deadline = \"1m\"\n[swarm.way]\n{way}ticks = 30\n[swarm.flock]\nmodel = {{ use = \"boids\", birds = 20, side = 30 }}\nticks = 5\nafter = [\"way\"]\n"
    );
    fs::write(place.path("run.toml"), text).unwrap();
    let (code, document) = place.run_json(&[]);
    assert_eq!(code, 0, "{document}");
    let first = &document["patterns"][0];
    assert_eq!((&first["name"], &first["state"]), (&"way".into(), &"done".into()), "{document}");
    assert_eq!(first["output"]["cost"], first["swarm"]["best"]["cost"]);
    assert_eq!(first["output"]["way"], first["swarm"]["best"]["way"]);
    assert_eq!(cells(&first["output"]["way"]).first(), Some(&(0, 2)));
    assert_eq!(document["swarm"]["ticks"], 5, "that of `main`");
    let shown = place.run(&["show", "last"]);
    assert!(shown.out.contains("done in") && shown.out.contains(": cost "), "{}", shown.out);
}

/// What a run of such a file says, and with which exit.
fn says(place: &Place, code: i32, expected: &str) {
    let ended = place.run(&["run", "run.toml"]);
    let said = format!("{}{}", ended.out, ended.err);
    assert!(ended.code == code && said.contains(expected), "{expected}: {ended:?}");
    if code == 2 {
        assert_eq!(place.kept(), [""; 0], "nothing was started");
    }
}

#[test]
fn a_swarm_that_cannot_begin_is_refused_before_anything_is_started() {
    for (start, goal, more, lines, expected) in [
        ("[0, 2]", "[6, 2]", ", ants = 0", "", "`swarm.way.model.ants` is out of range"),
        ("[3, 2]", "[6, 2]", "", "", "swarm `way`: the start (3, 2) is inside an obstacle"),
        (
            "[0, 2]",
            "[9, 2]",
            "",
            "",
            "the goal (9, 2) is outside of the map, which has columns 0 to 6 and rows 0 to 4",
        ),
        ("[0, 2]", "[6, 2]", "", "ticks = 0", "`swarm.way.ticks` is out of range"),
        (
            "[0, 2]",
            "[6, 2]",
            "",
            "change = [{ tick = 5, block = [[0, 2]] }]",
            "before tick 5: (0, 2) is the start or the goal",
        ),
        (
            "[0, 2]",
            "[6, 2]",
            "",
            "change = [{ tick = 5000, block = [[1, 2]] }]",
            "the swarm ends after 1000 ticks",
        ),
        (
            "[0, 2]",
            "[6, 2]",
            "",
            "activation = \"random\"\nstages = 2",
            "`stages` says nothing beside",
        ),
        ("[0, 2]", "[6, 2]", ", cities = \"c\"", "", "a `path` model has no `cities`"),
        ("[0]", "[6, 2]", "", "", "`swarm.way.model.start` must be a cell"),
    ] {
        says(&swarm(MAP, &(way(start, goal, more) + lines)), 2, expected);
    }
    for (map, expected) in [
        (
            MAP.replace("height 5", "height 6"),
            "tree/a.map: the map is cut off: row 5 of 6 is missing",
        ),
        (
            MAP.replace("...@...\n.......\n", "...@..\n.......\n"),
            "tree/a.map: line 8 of the map has 6 cells; its width is 7",
        ),
    ] {
        says(&swarm(&map, &way("[0, 2]", "[6, 2]", "")), 2, expected);
    }
    let gone = way("[0, 2]", "[6, 2]", "").replace("a.map", "gone.map");
    says(&swarm(MAP, &gone), 2, "cannot read tree/gone.map: No such file");
    let checked = swarm(MAP, &gone).run(&["check", "run.toml"]);
    assert_eq!(checked.code, 0, "check reads no data: {checked:?}");
    let cities = fs::read_to_string(format!("{EXAMPLES}/towns.tsp")).unwrap();
    let half = cities.get(..cities.len() / 2).unwrap().rsplit_once('\n').unwrap().0.to_owned();
    for (text, expected) in [
        (half, "tree/a.map: the file is cut off: it has"),
        (
            cities.replace("EUC_2D", "XRAY1"),
            "tree/a.map: line 5 of the instance: the edge weight type `XRAY1` is not known",
        ),
    ] {
        says(&swarm(&text, "model = { use = \"tsp\", cities = \"tree/a.map\" }"), 2, expected);
    }
}

#[test]
fn a_swarm_without_an_answer_fails_with_why_and_one_that_is_there_already_has_it_at_once() {
    let closed = MAP.replace("map\n.......", "map\n...@...");
    let closed = closed.replace("...@...\n.......\n", "...@...\n...@...\n");
    let place = swarm(&closed, &way("[0, 2]", "[6, 2]", ", ants = 5"));
    says(&place, 1, "no way leads from (0, 2) to (6, 2): an ant has been everywhere else");
    let shown = place.run(&["show", "last", "--json"]).json();
    assert_eq!((&shown["outcome"], &shown["swarm"]["best"]), (&"failed".into(), &Value::Null));

    let (code, document) = swarm(MAP, &way("[1, 1]", "[1, 1]", "")).run_json(&[]);
    assert_eq!((code, &document["swarm"]["ticks"]), (0, &0.into()), "{document}");
    assert_eq!(cells(&document["swarm"]["best"]["way"]), [(1, 1)]);

    let corridor = "type octile\nheight 1\nwidth 5\nmap\n.....\n";
    let lines = way("[0, 0]", "[4, 0]", ", ants = 3") + "ticks = 3\nstop_at = 4";
    let (code, document) = swarm(corridor, &lines).run_json(&[]);
    assert_eq!((code, &document["swarm"]["end"]), (0, &"solution".into()), "{document}");
    assert_eq!(cells(&document["swarm"]["best"]["way"]), [(0, 0), (1, 0), (2, 0), (3, 0), (4, 0)]);
}

/// Where the data is: a map of MovingAI with a way whose length its scenario says, and a TSPLIB instance of known optimum.
#[test]
fn files_of_the_benchmarks_are_run_in_place() {
    let Some(data) = std::env::var_os("SYNOD_TEST_DATA").map(std::path::PathBuf::from) else {
        return;
    };
    let scenario = fs::read_to_string(data.join("movingai/arena.map.scen")).unwrap();
    // Each row says of which bucket, map and sizes it is, then start, goal and the length of the shortest way.
    let mut rows = scenario.lines().map(|line| line.split_whitespace().collect::<Vec<&str>>());
    let words = rows.rfind(|row| row.len() == 9 && row[0].parse::<u32>().is_ok()).unwrap();
    let [start, goal] = [4, 6].map(|at| format!("[{}, {}]", words[at], words[at + 1]));
    let optimum: f64 = words[8].parse().unwrap();
    let map = data.join("movingai/arena.map");
    let lines = format!(
        "model = {{ use = \"path\", map = {map:?}, start = {start}, goal = {goal} }}\nticks = 100\nagents_per_actor = 20"
    );
    let (code, document) = swarm(MAP, &lines).run_json(&[]);
    let cost = document["swarm"]["best"]["cost"].as_f64().unwrap();
    assert!(code == 0 && cost >= optimum - 1e-6 && cost <= optimum * 1.05, "{cost} of {optimum}");
    let lines = format!(
        "model = {{ use = \"tsp\", cities = {:?} }}\nticks = 200\nstop_at = 7542",
        data.join("tsplib/berlin52.tsp")
    );
    let (code, document) = swarm(MAP, &lines).run_json(&[]);
    assert_eq!((code, &document["swarm"]["best"]["cost"]), (0, &7542.0.into()));
}

#[test]
fn the_tests_of_the_examples_hold() {
    let place = Place::new(&[]);
    for file in ["path_swarm", "tsp_swarm"] {
        let ended = place.run(&["test", &format!("{EXAMPLES}/{file}.test.toml")]);
        assert_eq!(ended.code, 0, "{ended:?}");
    }
}

#[test]
fn a_test_fails_that_asks_too_much_of_a_swarm() {
    let lines = way("[0, 2]", "[6, 2]", ", ants = 10") + "ticks = 20";
    let place = swarm(MAP, &lines);
    for (expect, code, said) in [
        ("cost = 10, ticks = \"1..20\"", 0, ""),
        ("cost = 5", 1, "(cost)"),
        ("ticks = 19", 1, "(ticks)"),
        ("pattern = \"two ways\"", 1, "(pattern)"),
        ("findings = 0", 2, "`findings` says nothing of a swarm"),
    ] {
        let test =
            format!("synod = 1\n[[test]]\nname = \"t\"\nseeds = 1\nexpect = {{ {expect} }}\n");
        fs::write(place.path("run.test.toml"), test).unwrap();
        let ended = place.run(&["test", "run.test.toml"]);
        let words = format!("{}{}", ended.out, ended.err);
        assert!(ended.code == code && words.contains(said), "{expect}: {ended:?}");
    }
}

//! Swarms: what says nothing of a model is refused where it stands, and a file of swarms alone needs no agents.

use super::*;

/// A file whose only pattern is a swarm of these lines.
fn swarm(lines: &str) -> String {
    format!("synod = 1\nmain = \"x\"\n[swarm.x]\n{lines}\n")
}

const TSP: &str = "model = { use = \"tsp\", cities = \"c\" }\n";
const BOIDS: &str = "model = { use = \"boids\" }\n";

#[test]
fn a_file_of_swarms_alone_needs_no_agents_and_others_do() {
    assert_eq!(messages(&swarm(TSP)), [""; 0]);
    let both = swarm(TSP)
        + "[pipeline.p]\ndocuments = \"d\"\nstages = [{ name = \"one\", agent = \"a\" }]\n";
    assert_eq!(messages(&both), ["the file has no `agents`"]);
}

#[test]
fn what_says_nothing_of_a_model_is_refused() {
    for (model, lines, expected) in [
        (
            TSP,
            "change = [{ tick = 1, block = [[0, 0]] }]",
            "`change` says nothing of a `tsp` swarm",
        ),
        (TSP, "pattern = { share = 0.5 }", "`pattern` says nothing of a `tsp` swarm"),
        (BOIDS, "stop_at = 1", "`stop_at` says nothing of a `boids` swarm"),
        (BOIDS, "pattern = { share = 0.5 }", "`share` says nothing of a `boids` swarm"),
    ] {
        assert_eq!(messages(&swarm(&format!("{model}{lines}"))), [expected]);
    }
    for (model, expected) in [
        (
            "use = \"boids\", radius = 60",
            "birds see further than 0, and at most half of the side 100",
        ),
        ("use = \"boids\", side = 0", "a square without a side has no room"),
        ("use = \"boids\", speed = 101", "birds fly at most the side 100 in a tick"),
        ("use = \"boids\", map = \"m\"", "a `boids` model has no `map`"),
        ("use = \"tsp\"", "`swarm.x.model` has no `cities`"),
        ("use = \"bees\"", "`bees` is no value of `swarm.x.model.use`"),
    ] {
        assert_eq!(messages(&swarm(&format!("model = {{ {model} }}"))), [expected]);
    }
}

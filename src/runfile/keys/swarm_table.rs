//! The tables of a swarm in a run file, key by key, in the order of the reference.

use super::super::limits;
use super::table::AFTER;
use super::{Form, Key, Shape, Text};

pub(crate) static SWARM: Shape = Shape {
    title: "swarm.NAME",
    about: "Many small agents that act tick by tick in a world that they share; they come with Synod, so none of `[agents]` is named.",
    keys: &[
        Key::new(
            "model",
            Form::Table(&SWARM_MODEL),
            "{ use = \"tsp\", cities = \"{input.path}\" }",
            "What the swarm is, and what it looks for.",
        )
        .required(),
        Key::new(
            "ticks",
            Form::Integer { min: 1, max: limits::SWARM_TICKS_MAX },
            "200",
            "The run ends well after so many ticks.",
        )
        .default("1000"),
        Key::new(
            "time",
            Form::Text(Text::Duration),
            "\"10s\"",
            "The run ends well after this time, with the best so far; each life of a run has it. How many ticks that are depends on the machine.",
        ),
        Key::new(
            "seed",
            Form::Integer { min: 0, max: i64::MAX },
            "7",
            "What all dice follow from: one seed has one course.",
        )
        .default("0"),
        Key::new(
            "activation",
            Form::Choice {
                known: &["simultaneous", "in_order", "random"],
                later: &[],
            },
            "\"in_order\"",
            "Who sees what in a tick: all the same world; each what those of lower numbers have done; or the same in an order that each tick throws anew.",
        )
        .default("\"simultaneous\""),
        Key::new(
            "stages",
            Form::Integer { min: 1, max: limits::SWARM_STAGES_MAX },
            "2",
            "How often in a tick all see the same world and then act; for `simultaneous` alone.",
        )
        .default("1"),
        Key::new(
            "agents_per_actor",
            Form::Integer { min: 1, max: limits::SWARM_AGENTS_MAX },
            "100",
            "How many agents one actor hosts; it changes how fast it is, never the result.",
        )
        .default("1"),
        Key::new(
            "tick_deadline",
            Form::Text(Text::Duration),
            "\"2s\"",
            "The time that all agents together have in one tick; who has not acted by then has missed it.",
        )
        .default("\"10s\""),
        Key::new(
            "snapshot_every",
            Form::Text(Text::Duration),
            "\"5s\"",
            "The time between two snapshots, from which a run that was killed goes on; never less than a tenth of its time so far.",
        )
        .default("\"1s\""),
        Key::new(
            "stop_at",
            Form::Weight,
            "74.5",
            "The run ends as soon as its best costs no more than this; for models that look for something.",
        ),
        Key::new(
            "pattern",
            Form::Table(&SWARM_PATTERN),
            "{ share = 0.9 }",
            "From when on a pattern counts as there: that most ants take one way, or that birds fly one way.",
        ),
        Key::new(
            "change",
            Form::List(&Form::Table(&SWARM_CHANGE)),
            "[{ tick = 200, block = [[10, 12], [11, 12]] }]",
            "Obstacles that drop on the map in the course of a `path` swarm.",
        ),
        AFTER,
    ],
    later: &[],
};

const PATH: &[&str] = &["path"];
const TSP: &[&str] = &["tsp"];
const BOIDS: &[&str] = &["boids"];
const FORAGING: &[&str] = &["foraging"];

pub(crate) static SWARM_MODEL: Shape = Shape {
    title: "swarm.NAME.model",
    about: "What a swarm is; `use` says which of the other keys it has: `path` has `map`, `start`, `goal`, `ants` and `evaporation`; \
            `tsp` has `cities`, `ants`, `evaporation`, `local_search`, `candidates` and `patience`; `boids` has `birds`, `side`, \
            `radius`, `speed` and the five urges; `foraging` has `map`, `nest`, `food`, `foragers`, `strength`, `lifespan`, `brood`, \
            `evaporation` and `appetite`.",
    keys: &[
        Key::new(
            "use",
            Form::Choice { known: &["path", "tsp", "boids", "foraging"], later: &[] },
            "\"tsp\"",
            "Ants that look for the shortest way on a map, or for the shortest round through cities; birds that flock; ants that bring food home.",
        )
        .required(),
        Key::new(
            "map",
            Form::Text(Text::Template),
            "\"{input.path}\"",
            "The file of the map, in the `.map` format of the MovingAI benchmarks, relative to the working directory.",
        )
        .required()
        .only(&["path", "foraging"]),
        Key::new("start", Form::Cell, "[3, 4]", "The cell where the ants start.")
            .required()
            .only(PATH),
        Key::new("goal", Form::Cell, "[60, 60]", "The cell that they look for.")
            .required()
            .only(PATH),
        Key::new(
            "cities",
            Form::Text(Text::Template),
            "\"{input.path}\"",
            "The file of the cities, a symmetric one of TSPLIB, relative to the working directory.",
        )
        .required()
        .only(TSP),
        Key::new(
            "ants",
            Form::Integer { min: 1, max: limits::SWARM_AGENTS_MAX },
            "50",
            "How many ants there are; when not written 100 on a map, 25 in cities with local search, and without as many as cities.",
        )
        .only(&["path", "tsp"]),
        Key::new(
            "evaporation",
            Form::Share,
            "0.05",
            "The share of all trails that evaporates in a tick; when not written 0.1 on a map, 0.2 in cities with local search, else 0.02.",
        )
        .only(&["path", "tsp", "foraging"]),
        Key::new(
            "local_search",
            Form::Boolean,
            "false",
            "Whether each ant improves its round by 2-opt and 3-opt.",
        )
        .default("true")
        .only(TSP),
        Key::new(
            "candidates",
            Form::Integer { min: 1, max: actors::swarm::tsp::CANDIDATES_MAX as i64 },
            "10",
            "The nearest cities among which an ant chooses.",
        )
        .default("20")
        .only(TSP),
        Key::new(
            "patience",
            Form::Integer { min: 1, max: limits::SWARM_TICKS_MAX },
            "50",
            "The ticks without a better round after which all trails are taken back; when not written 100 with local search, else 500.",
        )
        .only(TSP),
        Key::new(
            "birds",
            Form::Integer { min: 1, max: limits::SWARM_AGENTS_MAX },
            "500",
            "How many birds there are.",
        )
        .default("200")
        .only(BOIDS),
        Key::new("side", Form::Weight, "60", "The side of the square that they fly on.")
            .default("100")
            .only(BOIDS),
        Key::new("radius", Form::Weight, "5", "How far they see, at most half of the side.")
            .default("10")
            .only(BOIDS),
        Key::new("speed", Form::Weight, "0.5", "How far they fly in a tick.")
            .default("1")
            .only(BOIDS),
        Key::new("cohesion", Form::Weight, "1", "The urge to where the others are.")
            .default("0.5")
            .only(BOIDS),
        Key::new("alignment", Form::Weight, "2", "The urge to where the others fly.")
            .default("1")
            .only(BOIDS),
        Key::new("separation", Form::Weight, "1", "The urge away from those that are near.")
            .default("0.5")
            .only(BOIDS),
        Key::new("momentum", Form::Weight, "2", "The urge to fly on.").default("1").only(BOIDS),
        Key::new("whim", Form::Weight, "0.5", "The urge to fly anywhere.")
            .default("0.1")
            .only(BOIDS),
        Key::new("nest", Form::Cell, "[7, 7]", "The cell of the nest.").required().only(FORAGING),
        Key::new(
            "food",
            Form::List(&Form::Table(&SWARM_FOOD)),
            "[{ at = [1, 1], units = 30 }]",
            "Where food lies, and how much.",
        )
        .required()
        .only(FORAGING),
        Key::new(
            "foragers",
            Form::Integer { min: 1, max: limits::SWARM_AGENTS_MAX },
            "20",
            "How many ants the colony begins with.",
        )
        .default("50")
        .only(FORAGING),
        Key::new(
            "strength",
            Form::Integer { min: 2, max: u32::MAX as i64 },
            "100",
            "The steps that an ant can do between two meals.",
        )
        .default("300")
        .only(FORAGING),
        Key::new(
            "lifespan",
            Form::Integer { min: 1, max: u32::MAX as i64 },
            "1000",
            "The ticks that an ant lives.",
        )
        .default("5000")
        .only(FORAGING),
        Key::new(
            "brood",
            Form::Integer { min: 0, max: u32::MAX as i64 },
            "10",
            "The units of food brought for which an ant is born; 0 for none ever.",
        )
        .default("20")
        .only(FORAGING),
        Key::new(
            "appetite",
            Form::Weight,
            "5",
            "How much stronger food that is seen draws than the strongest trail.",
        )
        .default("10")
        .only(FORAGING),
    ],
    later: &[],
};

pub(crate) static SWARM_FOOD: Shape = Shape {
    title: "swarm.NAME.model.food",
    about: "Food at one cell.",
    keys: &[
        Key::new("at", Form::Cell, "[1, 1]", "The cell.").required(),
        Key::new(
            "units",
            Form::Integer { min: 1, max: limits::SWARM_FOOD_MAX },
            "30",
            "How much lies there; an ant carries one unit.",
        )
        .required(),
    ],
    later: &[],
};

pub(crate) static SWARM_PATTERN: Shape = Shape {
    title: "swarm.NAME.pattern",
    about: "From when on a pattern counts as there.",
    keys: &[
        Key::new(
            "share",
            Form::Share,
            "0.9",
            "The least share of the ants that took one way in the last tick; of a `path` swarm alone, and there 0.8 when not written.",
        ),
        Key::new(
            "strength",
            Form::Share,
            "0.95",
            "The least strength: of the trail on each step of that way, when not written 0.7; of birds, how much they fly one way, when not written 0.9.",
        ),
    ],
    later: &[],
};

pub(crate) static SWARM_CHANGE: Shape = Shape {
    title: "swarm.NAME.change",
    about: "What happens from outside before a tick.",
    keys: &[
        Key::new(
            "tick",
            Form::Integer { min: 1, max: limits::SWARM_TICKS_MAX },
            "200",
            "Before which tick, from 1.",
        )
        .required(),
        Key::new(
            "block",
            Form::List(&Form::Cell),
            "[[10, 12], [11, 12]]",
            "The cells that become obstacles.",
        )
        .required(),
    ],
    later: &[],
};

//! The tables of a run file, key by key, in the order of the reference.

use super::super::limits;
use super::{AGENT, CONSENSUS, Form, HIERARCHY, Key, Later, PIPELINE, SWARM, Shape, Text};
#[cfg(test)]
use super::{
    ASSIGNMENT, BREAKER, LIMITS, QUORUM, RATE_LIMIT, RESTARTS, ROLLOUT, ROUNDS, STAGE,
    SWARM_CHANGE, SWARM_FOOD, SWARM_MODEL, SWARM_PATTERN, TEAM,
};

pub(super) const fn later(name: &'static str, what: &'static str, instead: &'static str) -> Later {
    Later { name, what, instead }
}

/// The keys that say what kind an agent is; it has exactly one of them.
pub(crate) const AGENT_KINDS: &[&str] = &["builtin", "command", "process", "actor"];
/// The tables whose keys are names.
pub(crate) const NAMED: &[&str] =
    &["input", "agents", "map_reduce", "consensus", "pipeline", "swarm", "hierarchy"];
/// The tables that hold patterns.
pub(crate) const PATTERNS: &[&str] = &["map_reduce", "consensus", "pipeline", "swarm", "hierarchy"];
/// The tables that hold patterns which need no agents of the file.
pub(crate) const PATTERNS_ALONE: &[&str] = &["swarm"];

pub(super) const KIND_INSTEAD: &str =
    "the kinds of this version are `builtin`, `command`, `process` and `actor`";

/// Every shape, in the order of the reference.
#[cfg(test)]
pub(crate) static SHAPES: &[&Shape] = &[
    &FILE,
    &LIMIT,
    &INPUT,
    &AGENT,
    &LIMITS,
    &BREAKER,
    &RATE_LIMIT,
    &MAP_REDUCE,
    &SPLIT,
    &RETRY,
    &SPECULATE,
    &CONSENSUS,
    &QUORUM,
    &ROUNDS,
    &PIPELINE,
    &STAGE,
    &SWARM,
    &SWARM_MODEL,
    &SWARM_FOOD,
    &SWARM_PATTERN,
    &SWARM_CHANGE,
    &HIERARCHY,
    &TEAM,
    &RESTARTS,
    &ROLLOUT,
    &ASSIGNMENT,
];

pub(crate) static FILE: Shape = Shape {
    title: "run file",
    about: "The top of a run file.",
    keys: &[
        Key::new("synod", Form::Integer { min: 1, max: 1 }, "1", "Version of this format.")
            .required(),
        Key::new("main", Form::Text(Text::Name), "\"review\"", "The pattern that a run starts.")
            .required(),
        Key::new("limit", Form::Table(&LIMIT), "{ deadline = \"10m\" }", "What a run may use."),
        Key::new(
            "input",
            Form::Named(&INPUT),
            "{ path = { type = \"path\", default = \".\" } }",
            "What a run is given by `--input NAME=VALUE`.",
        ),
        Key::new(
            "agents",
            Form::Named(&AGENT),
            "{ secrets = { builtin = \"review.secrets\" } }",
            "Who does the work; a file with swarms alone needs nobody.",
        ),
        Key::new(
            "map_reduce",
            Form::Named(&MAP_REDUCE),
            "{ review = { split = { use = \"code.files\" }, all_of = [\"secrets\"] } }",
            "Work that is split into parts, done by agents, and merged.",
        ),
        Key::new(
            "consensus",
            Form::Named(&CONSENSUS),
            "{ gate = { question = \"Ship?\", choices = [\"yes\", \"no\"], voters = { tests = 1 } } }",
            "Questions that agents vote on.",
        ),
        Key::new(
            "pipeline",
            Form::Named(&PIPELINE),
            "{ texts = { documents = \"docs\", stages = [{ name = \"count\", agent = \"risk\" }] } }",
            "Documents that go through stages.",
        ),
        Key::new(
            "swarm",
            Form::Named(&SWARM),
            "{ way = { model = { use = \"path\", map = \"maze.map\", start = [0, 0], goal = [9, 9] } } }",
            "Swarms of many small agents that look for a way, a round or food, or fly.",
        ),
        Key::new(
            "hierarchy",
            Form::Named(&HIERARCHY),
            "{ deploy = { mission = \"Deploy\", plan = \"risk\", teams = { all = { workers = { tests = 1 } } } } }",
            "Missions that a supervisor delegates to teams.",
        ),
    ],
    later: &[
        later("models", "language models", KIND_INSTEAD),
        later("hosts", "runs on many machines", "a run uses the machine it is started on"),
        later("pools", "pools that grow and shrink", "set `count` of the agent"),
    ],
};

pub(crate) static LIMIT: Shape = Shape {
    title: "limit",
    about: "What a run may use.",
    keys: &[
        Key::new(
            "deadline",
            Form::Text(Text::Duration),
            "\"10m\"",
            "How long a run may take; then it ends as timed out, with what it has.",
        )
        .default("\"30m\""),
        Key::new(
            "messages",
            Form::Integer { min: 1, max: limits::MESSAGES_MAX },
            "500",
            "How often a run may call its agents, each attempt at each part counted; then it ends with what it has.",
        ),
    ],
    later: &[
        later("usd", "budgets of money", "limit the run by `deadline` or `messages`"),
        later("tokens", "budgets of tokens", "limit the run by `deadline` or `messages`"),
    ],
};

pub(crate) static INPUT: Shape = Shape {
    title: "input.NAME",
    about: "What a run is given by `--input NAME=VALUE`, used as `{input.NAME}`.",
    keys: &[
        Key::new(
            "type",
            Form::Choice { known: &["path", "string", "integer", "number", "boolean"], later: &[] },
            "\"path\"",
            "What its values are; a path is relative to the working directory.",
        )
        .required(),
        Key::new("default", Form::Scalar, "\".\"", "Its value when none is given."),
        Key::new(
            "optional",
            Form::Boolean,
            "true",
            "Whether a run may start without it; what uses it is then left out.",
        )
        .default("false"),
        Key::new(
            "description",
            Form::Text(Text::Plain),
            "\"what to review\"",
            "What it is for, shown when it is missing.",
        ),
    ],
    later: &[],
};

/// The key of every pattern that says which others come before it.
pub(super) const AFTER: Key = Key::new(
    "after",
    Form::List(&Form::Text(Text::Name)),
    "[\"review\"]",
    "The patterns that must have completed before this one starts; they run first, each as soon as its own are done.",
);

pub(crate) static MAP_REDUCE: Shape = Shape {
    title: "map_reduce.NAME",
    about: "Work that is split into parts, done by agents, and merged; exactly one of `all_of` and \
            `any_of` says by whom.",
    keys: &[
        Key::new(
            "split",
            Form::Table(&SPLIT),
            "{ use = \"code.files\", path = \"{input.path}\" }",
            "How the work is cut into parts.",
        )
        .required(),
        Key::new(
            "all_of",
            Form::List(&Form::Text(Text::Name)),
            "[\"secrets\", \"rust\"]",
            "Every part goes to each of these agents that accepts it.",
        ),
        Key::new(
            "any_of",
            Form::List(&Form::Text(Text::Name)),
            "[\"fast\", \"slow\"]",
            "Every part goes to one of these agents, chosen by `assign`.",
        ),
        Key::new(
            "assign",
            Form::Choice {
                known: &["round_robin", "capability_match"],
                later: &[
                    later("least_loaded", "that strategy", ASSIGN_INSTEAD),
                    later("performance_based", "that strategy", ASSIGN_INSTEAD),
                    later("cost_optimized", "that strategy", ASSIGN_INSTEAD),
                    later("contract_net", "that strategy", ASSIGN_INSTEAD),
                ],
            },
            "\"capability_match\"",
            "How one of several free agents is chosen.",
        )
        .default("\"round_robin\""),
        Key::new(
            "retry",
            Form::Table(&RETRY),
            "{ attempts = 5, backoff = \"1s..30s\" }",
            "How often and when a failed part is tried again.",
        ),
        Key::new(
            "speculate",
            Form::BooleanOr(&SPECULATE),
            "true",
            "Whether an idle agent runs a slow part a second time; the first result counts.",
        )
        .default("false"),
        Key::new(
            "on_partial_failure",
            Form::Choice { known: &["fail", "keep", "retry_elsewhere"], later: &[] },
            "\"retry_elsewhere\"",
            "What a part that failed for good does: the run fails; it goes on and names the part; \
             or another agent tries, then it goes on.",
        )
        .default("\"keep\""),
        Key::new(
            "timeout",
            Form::Text(Text::Duration),
            "\"2m\"",
            "How long one attempt at one part may take.",
        ),
        Key::new(
            "reduce",
            Form::Text(Text::Plain),
            "\"findings.merge\"",
            "The function that merges the results of the parts.",
        )
        .default("\"findings.merge\""),
        AFTER,
    ],
    later: &[],
};

const ASSIGN_INSTEAD: &str = "use `round_robin` or `capability_match`";

pub(crate) static SPLIT: Shape = Shape {
    title: "map_reduce.NAME.split",
    about: "How files are cut into parts.",
    keys: &[
        Key::new(
            "use",
            Form::Choice { known: &["code.files"], later: &[] },
            "\"code.files\"",
            "What is cut: the text files under `path` that version control does not ignore.",
        )
        .required(),
        Key::new(
            "by",
            Form::OneOrMany(&Form::Choice {
                known: &["type", "size", "complexity", "dependency"],
                later: &[],
            }),
            "\"complexity\"",
            "What puts files together, the most important first.",
        )
        .default("[\"type\", \"size\"]"),
        Key::new(
            "path",
            Form::Text(Text::Template),
            "\"{input.path}\"",
            "The folder or file, relative to the working directory.",
        )
        .default("\".\""),
        Key::new(
            "diff",
            Form::Text(Text::Template),
            "\"{input.diff}\"",
            "A range of git revisions (`A..B`): only the files that it changed.",
        ),
        Key::new(
            "max_bytes",
            Form::Size,
            "\"64KiB\"",
            "The most bytes of one part; a larger file is a part of its own.",
        )
        .default("\"256KiB\""),
        Key::new(
            "max_files",
            Form::Integer { min: 1, max: limits::PART_FILES_MAX },
            "20",
            "The most files of one part.",
        )
        .default("64"),
    ],
    later: &[],
};

pub(crate) static RETRY: Shape = Shape {
    title: "map_reduce.NAME.retry",
    about: "How often and when a failed part is tried again.",
    keys: &[
        Key::new(
            "attempts",
            Form::Integer { min: 1, max: limits::ATTEMPTS_MAX },
            "5",
            "Attempts at one part in all; 1 never tries again.",
        )
        .default("3"),
        Key::new(
            "backoff",
            Form::Text(Text::Backoff),
            "\"1s..30s\"",
            "The wait before the second attempt, doubled for each further one, up to the last.",
        )
        .default("\"100ms..5s\""),
    ],
    later: &[],
};

pub(crate) static SPECULATE: Shape = Shape {
    title: "map_reduce.NAME.speculate",
    about: "When an idle agent runs a slow part a second time.",
    keys: &[Key::new(
        "after",
        Form::Text(Text::Duration),
        "\"5s\"",
        "How long the part must have been running.",
    )
    .default("\"1s\"")],
    later: &[],
};

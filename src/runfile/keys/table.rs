//! The tables of a run file, key by key, in the order of the reference.

use super::super::limits;
use super::{CONSENSUS, Form, Key, Later, Shape, Text};
#[cfg(test)]
use super::{QUORUM, ROUNDS};

pub(super) const fn later(name: &'static str, what: &'static str, instead: &'static str) -> Later {
    Later { name, what, instead }
}

/// The keys that say what kind an agent is; it has exactly one of them.
pub(crate) const AGENT_KINDS: &[&str] = &["builtin", "command", "process", "actor"];
/// The tables whose keys are names.
pub(crate) const NAMED: &[&str] = &["input", "agents", "map_reduce", "consensus"];
/// The tables that hold patterns.
pub(crate) const PATTERNS: &[&str] = &["map_reduce", "consensus"];
/// The tables that hold patterns of a later version.
pub(crate) const PATTERNS_LATER: &[&str] = &["pipeline", "hierarchy", "swarm"];

const PATTERN_INSTEAD: &str =
    "the patterns of this version are `[map_reduce.NAME]` and `[consensus.NAME]`";
const KIND_INSTEAD: &str =
    "the kinds of this version are `builtin`, `command`, `process` and `actor`";

/// Every shape, in the order of the reference.
#[cfg(test)]
pub(crate) static SHAPES: &[&Shape] = &[
    &FILE,
    &LIMIT,
    &INPUT,
    &AGENT,
    &LIMITS,
    &MAP_REDUCE,
    &SPLIT,
    &RETRY,
    &SPECULATE,
    &CONSENSUS,
    &QUORUM,
    &ROUNDS,
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
            "Who does the work.",
        )
        .required(),
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
    ],
    later: &[
        later("pipeline", "work in stages", PATTERN_INSTEAD),
        later("hierarchy", "teams with leaders", PATTERN_INSTEAD),
        later("swarm", "swarms", PATTERN_INSTEAD),
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

const PROGRAMS: &[&str] = &["command", "process"];
const COMMANDS: &[&str] = &["command"];
const PROCESSES: &[&str] = &["process"];

pub(crate) static AGENT: Shape = Shape {
    title: "agents.NAME",
    about: "One agent; exactly one of `builtin`, `command`, `process`, `actor` says its kind.",
    keys: &[
        Key::new(
            "builtin",
            Form::Text(Text::Plain),
            "\"review.rust\"",
            "An agent that comes with Synod, by its name.",
        )
        .only(&["builtin"]),
        Key::new(
            "command",
            Form::List(&Form::Text(Text::Argument)),
            "[\"ruff\", \"check\", \"--output-format=sarif\", \"{files}\"]",
            "A program that is started once a part; `{files}` becomes the paths of the part.",
        )
        .only(COMMANDS),
        Key::new(
            "process",
            Form::List(&Form::Text(Text::Template)),
            "[\"python3\", \"agent.py\"]",
            "A program that keeps running, is given parts as JSON lines and answers in JSON lines.",
        )
        .only(&["process"]),
        Key::new(
            "actor",
            Form::Text(Text::Plain),
            "\"quota\"",
            "A Rust actor that the program registered, by its name.",
        )
        .only(&["actor"]),
        Key::new("with", Form::Free, "{ per_minute = 60 }", "What the actor is started with.")
            .default("{}")
            .only(&["actor"]),
        Key::new(
            "reads",
            Form::Choice { known: &["sarif", "json", "lines", "exit"], later: &[] },
            "\"sarif\"",
            "How the command's output is read: a SARIF log, one JSON value, one result a line, or \
             the exit code alone.",
        )
        .required()
        .only(COMMANDS),
        Key::new(
            "exit_ok",
            Form::List(&Form::Integer { min: 0, max: 255 }),
            "[0, 1]",
            "The exit codes of a command that count as success; when not written 0, and every code \
             with `reads = \"exit\"`.",
        )
        .only(COMMANDS),
        Key::new(
            "accepts",
            Form::OneOrMany(&Form::Text(Text::Glob)),
            "[\"*.py\", \"tools/**\"]",
            "Globs of the files that it takes; one without `/` is matched with the file's name, \
             others with its path.",
        )
        .default("\"*\""),
        Key::new(
            "count",
            Form::Integer { min: 1, max: limits::COUNT_MAX },
            "2",
            "How many instances run; when not written one, and of a `builtin` one a processor core. All agents of a file may have 4096 together.",
        ),
        Key::new(
            "concurrency",
            Form::Integer { min: 1, max: limits::CONCURRENCY_MAX },
            "4",
            "How many parts one instance works on at once.",
        )
        .default("1"),
        Key::new(
            "optional",
            Form::Boolean,
            "true",
            "Whether a run goes on, with a notice, when the agent cannot start.",
        )
        .default("false"),
        Key::new(
            "trusted",
            Form::Boolean,
            "false",
            "`false` marks an agent that runs the code it looks at: it is skipped, with a notice, \
             until `--set agents.NAME.trusted=true`.",
        )
        .default("true"),
        Key::new(
            "whole",
            Form::Boolean,
            "true",
            "Whether it gets one part with all files it accepts, in place of many.",
        )
        .default("false"),
        Key::new(
            "timeout",
            Form::Text(Text::Duration),
            "\"30s\"",
            "How long one attempt at one part may take.",
        )
        .default("\"2m\""),
        Key::new(
            "heartbeat",
            Form::Text(Text::Duration),
            "\"5s\"",
            "About how often the process reports progress while it works on a part, 100 ms or more; when it surely \
             hangs, after 1.5 to 3.5 times that, it is ended before its timeout.",
        )
        .only(PROCESSES),
        Key::new(
            "fallback",
            Form::Text(Text::Name),
            "\"rust\"",
            "The agent that does what this one has failed at for good; what that one fails at goes \
             on to its own fallback.",
        ),
        Key::new(
            "capabilities",
            Form::List(&Form::Text(Text::Plain)),
            "[\"python\", \"security\"]",
            "What it is good at, for `assign = \"capability_match\"`.",
        ),
        Key::new(
            "env",
            Form::List(&Form::Text(Text::Variable)),
            "[\"CARGO_HOME\"]",
            "Further environment variables that the program is given; `PATH`, `HOME`, `LANG`, \
             `LC_ALL`, `TMPDIR` and `TZ` always are, all others never.",
        )
        .only(PROGRAMS),
        Key::new(
            "limits",
            Form::Table(&LIMITS),
            "{ memory = \"2GiB\", cpu = \"60s\" }",
            "What the program may use.",
        )
        .only(PROGRAMS),
    ],
    later: &[
        later("model", "language model agents", KIND_INSTEAD),
        later("socket", "agents that join by WebSocket", KIND_INSTEAD),
        later("a2a", "agents of other systems", KIND_INSTEAD),
        later("mcp", "MCP tools as agents", KIND_INSTEAD),
    ],
};

pub(crate) static LIMITS: Shape = Shape {
    title: "agents.NAME.limits",
    about: "What the program of a command or process may use; more ends it.",
    keys: &[
        Key::new(
            "memory",
            Form::Size,
            "\"2GiB\"",
            "Private writable memory of each of its processes.",
        )
        .default("\"4GiB\""),
        Key::new(
            "cpu",
            Form::Text(Text::Duration),
            "\"60s\"",
            "Processor time of each of its processes, rounded up to seconds.",
        )
        .default("\"10m\""),
        Key::new(
            "processes",
            Form::Integer { min: 1, max: limits::PROCESS_RESOURCES_MAX },
            "256",
            "Processes and threads of its user, those of other programs counted.",
        ),
        Key::new(
            "open_files",
            Form::Integer { min: 8, max: limits::PROCESS_RESOURCES_MAX },
            "256",
            "Open files of each of its processes.",
        )
        .default("1024"),
        Key::new("file", Form::Size, "\"100MB\"", "The size of each file that it writes.")
            .default("\"1GiB\""),
        Key::new("output", Form::Size, "\"1MiB\"", "Bytes that it may print for one part.")
            .default("\"16MiB\""),
    ],
    later: &[],
};

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
    ],
    later: &[later(
        "after",
        "patterns that follow each other",
        "start the patterns one by one, as `main`",
    )],
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

//! The tables of an agent in a run file, key by key, in the order of the reference.

use super::super::limits;
use super::table::{KIND_INSTEAD, later};
use super::{Form, Key, Shape, Text};

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
            "breaker",
            Form::BooleanOr(&BREAKER),
            "true",
            "Whether each instance has a circuit breaker: after some failures in a row it is given no work for a while.",
        )
        .default("false"),
        Key::new(
            "rate_limit",
            Form::Table(&RATE_LIMIT),
            "{ key = \"search\", count = 60, per = \"1m\" }",
            "How often it may be called, together with all agents of the same `key`.",
        ),
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

pub(crate) static BREAKER: Shape = Shape {
    title: "agents.NAME.breaker",
    about: "When an instance is given no work because it fails, and when it is tried again.",
    keys: &[
        Key::new(
            "failures",
            Form::Integer { min: 1, max: limits::FAILURES_MAX },
            "3",
            "Failures in a row that open the breaker; then the instance is given no work.",
        )
        .default("5"),
        Key::new(
            "open",
            Form::Text(Text::Backoff),
            "\"5s..2m\"",
            "How long it stays open at first, doubled each time it opens again, up to the last; dice shorten it by up to a half.",
        )
        .default("\"1s..1m\""),
        Key::new(
            "probes",
            Form::Integer { min: 1, max: limits::PROBES_MAX },
            "2",
            "Calls that are then let through; when all succeed it closes, when one fails it opens again.",
        )
        .default("1"),
        Key::new(
            "patience",
            Form::Text(Text::Duration),
            "\"30s\"",
            "How long such a call may take before another is let through in its place.",
        )
        .default("\"2m\""),
    ],
    later: &[],
};

pub(crate) static RATE_LIMIT: Shape = Shape {
    title: "agents.NAME.rate_limit",
    about: "How often agents may be called; calls beyond it wait for their turn, which counts towards their timeout.",
    keys: &[
        Key::new(
            "key",
            Form::Text(Text::Plain),
            "\"search\"",
            "What is limited, by a name of your choice: all agents that name it share one limit, and state the same rate.",
        )
        .required(),
        Key::new(
            "count",
            Form::Integer { min: 1, max: limits::RATE_COUNT_MAX },
            "60",
            "How many calls may begin in that time, all at once if there were none before.",
        )
        .required(),
        Key::new("per", Form::Text(Text::Duration), "\"1m\"", "The time.").required(),
    ],
    later: &[],
};

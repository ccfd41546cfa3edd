//! The tables of a test file, key by key, in the order of the reference.

use super::super::limits;
use super::{Form, Key, Shape, Text};

/// Every shape, in the order of the reference.
#[cfg(test)]
pub(crate) static TEST_SHAPES: &[&Shape] =
    &[&TEST_FILE, &TEST, &MOCK, &CONDITION, &FINDING, &FAILURE];

/// What a mock may do in place of its agent; it does one of them at the most.
pub(crate) const MOCK_DEEDS: &[&str] =
    &["says", "abstains", "passes", "fails", "busy", "hang", "panic", "crash"];

pub(crate) static TEST_FILE: Shape = Shape {
    title: "test file",
    about: "The top of a test file.",
    keys: &[
        Key::new("synod", Form::Integer { min: 1, max: 1 }, "1", "Version of this format.")
            .required(),
        Key::new(
            "runs",
            Form::Text(Text::Plain),
            "\"review.toml\"",
            "The run file that is tested, beside this file; when not written the one of the same name: \
             `review.toml` for `review.test.toml`.",
        ),
        Key::new(
            "test",
            Form::List(&Form::Table(&TEST)),
            "[{ name = \"a key is found\" }]",
            "The tests, each under a `[[test]]` of its own.",
        )
        .required(),
    ],
    later: &[],
};

pub(crate) static TEST: Shape = Shape {
    title: "[[test]]",
    about: "One run of a pattern, under many seeds, and what must hold of it.",
    keys: &[
        Key::new(
            "name",
            Form::Text(Text::Plain),
            "\"a silent reviewer is named\"",
            "What it shows, as a sentence.",
        )
        .required(),
        Key::new(
            "run",
            Form::Text(Text::Name),
            "\"review\"",
            "The pattern that runs; when not written the run file's `main`.",
        ),
        Key::new(
            "input",
            Form::Map { keys: Text::Name, each: &Form::Scalar },
            "{ path = \"src\" }",
            "What the run is given; paths are relative to the folder of this file.",
        ),
        Key::new(
            "env",
            Form::Map { keys: Text::Variable, each: &Form::Text(Text::Plain) },
            "{ HOME = \"/home/someone\" }",
            "The environment variables of the run file: those of the machine do not count in a test, so each that it uses is given.",
        ),
        Key::new(
            "files",
            Form::Map { keys: Text::Below, each: &Form::Text(Text::Plain) },
            "{ \"src/a.rs\" = \"fn a() {}\" }",
            "A folder made for this test, which the run looks at in place of its `path`.",
        ),
        Key::new(
            "mock",
            Form::Map { keys: Text::Name, each: &Form::OneOrMany(&Form::Table(&MOCK)) },
            "{ ruff = { hang = true } }",
            "What an agent does in place of its work, a voter's of its vote; a list is for its calls one after the other, the last for all further ones.",
        ),
        Key::new(
            "cassette",
            Form::Text(Text::Plain),
            "\"review.cassette.json\"",
            "The recorded answers of programs, beside this file; `synod test --record` makes it.",
        ),
        Key::new(
            "faults",
            Form::List(&Form::Choice {
                known: &[
                    "crash",
                    "disk_crash",
                    "panic",
                    "hang",
                    "slow",
                    "delay",
                    "reorder",
                    "duplicate",
                ],
                later: &[],
            }),
            "[\"crash\", \"delay\"]",
            "What goes wrong, at moments that the seed picks.",
        ),
        Key::new(
            "cancel",
            Form::Text(Text::Duration),
            "\"5s\"",
            "The run is cancelled so long after it was first asked for, in virtual time.",
        ),
        Key::new(
            "seeds",
            Form::Integer { min: 1, max: limits::SEEDS_MAX },
            "200",
            "How many seeds it runs under, each of them twice.",
        )
        .default("20"),
        Key::new(
            "never",
            Form::OneOrMany(&Form::Table(&CONDITION)),
            "{ outcome = \"failed\" }",
            "What must not hold at any moment, all of it together.",
        ),
        Key::new(
            "always",
            Form::OneOrMany(&Form::Table(&CONDITION)),
            "{ calls = { ruff = \"..6\" } }",
            "What must hold at every moment, each part as soon as something is known of it.",
        ),
        Key::new(
            "expect",
            Form::OneOrMany(&Form::Table(&CONDITION)),
            "{ outcome = \"completed\", findings = 2 }",
            "What must hold in the end.",
        ),
    ],
    later: &[],
};

pub(crate) static MOCK: Shape = Shape {
    title: "test.mock.AGENT",
    about: "What an agent does in place of its work, one of `says`, `abstains`, `passes`, `fails`, `busy`, `hang`, `panic` and \
            `crash` at the most; with none of them it does its own work, and a program without a cassette finds nothing, \
            abstains, or gives on what it was given.",
    keys: &[
        Key::new(
            "says",
            Form::Any,
            "[{ file = \"a.py\", line = 1, rule = \"E1\", message = \"no\" }]",
            "It answers with this, read as the answers of programs are: findings, a choice or a document.",
        ),
        Key::new(
            "confidence",
            Form::Share,
            "0.9",
            "Of a voter: how sure it is of the choice that it says; when not written 1.",
        ),
        Key::new(
            "reasoning",
            Form::Text(Text::Plain),
            "\"a test fails\"",
            "Of a voter: why it says so.",
        ),
        Key::new("abstains", Form::Boolean, "true", "Of a voter: it votes for no choice.")
            .default("false"),
        Key::new(
            "passes",
            Form::Boolean,
            "true",
            "Of an agent of a stage: it gives on what it was given, unchanged.",
        )
        .default("false"),
        Key::new(
            "fails",
            Form::Text(Text::Plain),
            "\"out of memory\"",
            "It did the work and says that it failed.",
        ),
        Key::new(
            "busy",
            Form::Text(Text::Duration),
            "\"2s\"",
            "It takes no work and asks to be left alone for so long.",
        ),
        Key::new("hang", Form::Boolean, "true", "It never answers.").default("false"),
        Key::new("panic", Form::Boolean, "true", "It panics.").default("false"),
        Key::new("crash", Form::Boolean, "true", "It dies before it answers.").default("false"),
        Key::new(
            "slow",
            Form::Text(Text::Duration),
            "\"5s\"",
            "It takes so long, in virtual time, before anything else.",
        ),
        Key::new(
            "on",
            Form::OneOrMany(&Form::Text(Text::Glob)),
            "\"bad.py\"",
            "Only where the part has such a file, or is such a document; elsewhere it does its own work.",
        )
        .default("\"*\""),
        Key::new(
            "stage",
            Form::Text(Text::Name),
            "\"analysis\"",
            "Of an agent of a pipeline: only at this stage; at others it does its own work.",
        ),
    ],
    later: &[],
};

pub(crate) static CONDITION: Shape = Shape {
    title: "test.expect",
    about: "A condition on a run, the same for `never`, `always` and `expect`; all that it says must hold together.",
    keys: &[
        Key::new(
            "outcome",
            Form::OneOrMany(&Form::Choice {
                known: &[
                    "completed",
                    "incomplete",
                    "failed",
                    "timed_out",
                    "over_budget",
                    "cancelled",
                    "consensus",
                    "tie_broken",
                    "no_decision",
                    "insufficient_participation",
                    "vetoed",
                    "rolled_out",
                    "rolled_back",
                ],
                later: &[],
            }),
            "[\"completed\", \"incomplete\"]",
            "How the run ended: `incomplete` is completed with failed parts, or, for a vote, without a choice; or what its vote \
             came to, from `consensus` to `vetoed`; or where its rollout stands.",
        ),
        Key::new(
            "choice",
            Form::OneOrMany(&Form::Text(Text::Plain)),
            "\"ship\"",
            "What the vote chose, by consensus or a tie-breaker, one of these; a vote without a decision has chosen nothing.",
        ),
        Key::new("findings", Form::Count, "\"1..3\"", "How many findings its report has."),
        Key::new(
            "finding",
            Form::OneOrMany(&Form::Table(&FINDING)),
            "{ rule = \"secrets.*\", file = \"a.py\" }",
            "A finding that the report has; of a list, each.",
        ),
        Key::new("done", Form::Count, "3", "How many documents have passed all stages."),
        Key::new(
            "cost",
            Form::Weight,
            "74.5",
            "The best that a swarm has found costs no more than this; one that has found nothing costs more than anything.",
        ),
        Key::new("ticks", Form::Count, "\"..200\"", "How many ticks a swarm has done."),
        Key::new(
            "pattern",
            Form::OneOrMany(&Form::Text(Text::Plain)),
            "\"one way\"",
            "A pattern that has emerged from a swarm; of a list, each.",
        ),
        Key::new(
            "failed",
            Form::Count,
            "0",
            "How many pieces of work failed for good: parts, voters, documents.",
        ),
        Key::new(
            "failure",
            Form::OneOrMany(&Form::Table(&FAILURE)),
            "{ agent = \"ruff\" }",
            "A piece of work that failed for good; of a list, each.",
        ),
        Key::new(
            "calls",
            Form::Map { keys: Text::Name, each: &Form::Count },
            "{ ruff = \"1..3\" }",
            "How often agents were called, repetitions after faults counted.",
        ),
    ],
    later: &[],
};

pub(crate) static FINDING: Shape = Shape {
    title: "test.expect.finding",
    about: "A finding; all that is written must be so.",
    keys: &[
        Key::new("rule", Form::Text(Text::Glob), "\"secrets.*\"", "Its rule, as a glob."),
        Key::new("file", Form::Text(Text::Glob), "\"src/*.rs\"", "Its file, as a glob."),
        Key::new("line", Form::Integer { min: 1, max: u32::MAX as i64 }, "3", "Its first line."),
        Key::new(
            "severity",
            Form::Choice { known: &["error", "warning", "note"], later: &[] },
            "\"error\"",
            "How bad it is.",
        ),
        Key::new("agent", Form::Text(Text::Name), "\"ruff\"", "One of those who found it."),
        Key::new("message", Form::Text(Text::Plain), "\"unused\"", "A part of its message."),
    ],
    later: &[],
};

pub(crate) static FAILURE: Shape = Shape {
    title: "test.expect.failure",
    about: "A piece of work that failed for good; all that is written must be so.",
    keys: &[
        Key::new("agent", Form::Text(Text::Name), "\"ruff\"", "Who should have done it."),
        Key::new(
            "part",
            Form::Text(Text::Plain),
            "\"bad.py\"",
            "A part of its name; it is that of the files, the voter or the document.",
        ),
        Key::new("error", Form::Text(Text::Plain), "\"no answer\"", "A part of its error."),
    ],
    later: &[],
};

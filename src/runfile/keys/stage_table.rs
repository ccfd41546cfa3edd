//! The tables of a pipeline in a run file, key by key, in the order of the reference.

use super::super::limits;
use super::table::{AFTER, RETRY, later};
use super::{Form, Key, Shape, Text};

pub(crate) static PIPELINE: Shape = Shape {
    title: "pipeline.NAME",
    about: "Documents that go through stages, each done by an agent; what fails, fails alone.",
    keys: &[
        Key::new(
            "documents",
            Form::Text(Text::Template),
            "\"{input.path}\"",
            "A folder whose files are the documents, in the order of their names, or one file.",
        )
        .required(),
        Key::new(
            "accepts",
            Form::OneOrMany(&Form::Text(Text::Glob)),
            "[\"*.md\", \"mail/**\"]",
            "Globs of the files that are documents; one without `/` is matched with the file's name, others with its path.",
        )
        .default("\"*\""),
        Key::new(
            "stages",
            Form::List(&Form::Table(&STAGE)),
            "[{ name = \"count\", agent = \"risk\" }]",
            "What is done to each document, one after the other; usually written as `[[pipeline.NAME.stages]]`.",
        )
        .required(),
        Key::new(
            "ordered",
            Form::Boolean,
            "true",
            "Whether documents leave each stage in the order in which they came in; a slow one then holds up those behind it.",
        )
        .default("false"),
        Key::new(
            "output",
            Form::Schema,
            "{ type = \"object\", required = [\"summary\"] }",
            "The JSON Schema of what leaves the last stage, its transform included.",
        ),
        AFTER,
    ],
    later: &[],
};

pub(crate) static STAGE: Shape = Shape {
    title: "pipeline.NAME.stages",
    about: "One stage of a pipeline.",
    keys: &[
        Key::new("name", Form::Text(Text::Name), "\"extraction\"", "What the stage is called.")
            .required(),
        Key::new(
            "agent",
            Form::Text(Text::Name),
            "\"tests\"",
            "Who does it; what it fails at goes to its `fallback`.",
        )
        .required(),
        Key::new(
            "timeout",
            Form::Text(Text::Duration),
            "\"30s\"",
            "How long each call may take; the agent's own `timeout` holds if it is shorter.",
        )
        .default("\"5m\""),
        Key::new(
            "input",
            Form::Schema,
            "{ type = \"object\", required = [\"path\"] }",
            "The JSON Schema of what comes in; a document that it forbids fails before an agent is asked.",
        ),
        Key::new(
            "output",
            Form::Schema,
            "{ required = [\"text\"], properties = { text = { type = \"string\", minLength = 1 } } }",
            "The JSON Schema of what the agent answers; an answer that it forbids is a failure of the agent.",
        ),
        Key::new(
            "transform",
            Form::Choice { known: &["metadata"], later: &[] },
            "\"metadata\"",
            "What is made of each answer before it goes on: `metadata` adds to an object the document's name, the stage, the agent and its time.",
        ),
        Key::new(
            "window",
            Form::Integer { min: 1, max: limits::STAGE_WINDOW_MAX },
            "16",
            "The most documents in the stage at a time, those that wait for the next one included.",
        )
        .default("64"),
        Key::new(
            "retry",
            Form::Table(&RETRY),
            "{ attempts = 2 }",
            "How often and when a call that failed is made again.",
        ),
    ],
    later: &[later(
        "validate",
        "validators written in run files",
        "say it by the `output` schema, or write the pipeline in Rust",
    )],
};

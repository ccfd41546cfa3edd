//! The tables of a hierarchy in a run file, key by key, in the order of the reference.

use super::super::limits;
use super::table::{AFTER, RETRY, later};
use super::{Form, Key, Shape, Text};

/// What whoever decides may decide, from the least to the most.
const LEVELS: Form =
    Form::Choice { known: &["inform", "retry", "reassign", "replan", "abort"], later: &[] };

pub(crate) static HIERARCHY: Shape = Shape {
    title: "hierarchy.NAME",
    about: "A mission that a supervisor plans and delegates to teams of agents; exactly one of `plan`, `rollout` and \
            `assignments` says how.",
    keys: &[
        Key::new(
            "mission",
            Form::Text(Text::Template),
            "\"Build {input.path}\"",
            "What is to be done, for whoever plans and puts the results together.",
        )
        .required(),
        Key::new(
            "teams",
            Form::Named(&TEAM),
            "{ building = { workers = { tests = 2 } } }",
            "Who works, by the names of the teams; usually written as `[hierarchy.NAME.teams.TEAM]`.",
        )
        .required(),
        Key::new(
            "plan",
            Form::Text(Text::Name),
            "\"risk\"",
            "The agent that plans: it is given the mission and the teams, and says assignments.",
        ),
        Key::new(
            "rollout",
            Form::Table(&ROLLOUT),
            "{ strategy = \"canary\", instances = \"risk\", steps = [5, 50] }",
            "New instances of a service in the place of old ones, by the teams `infrastructure`, `application` and \
             `monitoring`; what fails is rolled back.",
        ),
        Key::new(
            "assignments",
            Form::List(&Form::Table(&ASSIGNMENT)),
            "[{ name = \"build\", team = \"building\", tasks = { x86 = {} } }]",
            "The plan itself; usually written as `[[hierarchy.NAME.assignments]]`.",
        ),
        Key::new(
            "integrate",
            Form::Text(Text::Name),
            "\"risk\"",
            "The agent that makes the output of what the assignments came to; when not written, it is just that.",
        ),
        Key::new(
            "intervene",
            Form::Text(Text::Name),
            "\"risk\"",
            "The agent that decides on what no leader could; when not written, a rollout is rolled back, and others end.",
        ),
        Key::new("level", LEVELS, "\"reassign\"", "The most that the supervisor may decide.")
            .default("\"abort\""),
        Key::new(
            "timeout",
            Form::Text(Text::Duration),
            "\"30s\"",
            "How long each call may take; the agent's own `timeout` holds if it is shorter.",
        )
        .default("\"5m\""),
        Key::new(
            "retry",
            Form::Table(&RETRY),
            "{ attempts = 2 }",
            "How often and when a task that failed may be done again, before somebody decides otherwise.",
        ),
        Key::new(
            "leader_restarts",
            Form::Table(&RESTARTS),
            "{ count = 5, per = \"1m\" }",
            "How often leaders are started again, all together; then the supervisor decides.",
        ),
        Key::new(
            "path",
            Form::Text(Text::Template),
            "\"{input.path}\"",
            "The working directory of the agents' programs.",
        )
        .default("\".\""),
        AFTER,
    ],
    later: &[later(
        "monitor",
        "monitors written in run files",
        "let a team watch, as `monitoring` does in a rollout, or write the hierarchy in Rust",
    )],
};

pub(crate) static TEAM: Shape = Shape {
    title: "hierarchy.NAME.teams.TEAM",
    about: "One team of a hierarchy: workers, a leader with an agent, or both.",
    keys: &[
        Key::new(
            "specialisation",
            Form::Text(Text::Plain),
            "\"compilers\"",
            "What it is good at; assignments may go to any team that is.",
        )
        .default("\"\""),
        Key::new(
            "workers",
            Form::Map {
                keys: Text::Name,
                each: &Form::Integer { min: 1, max: limits::TEAM_WORKERS_MAX },
            },
            "{ tests = 2 }",
            "How many workers work by which agents; each does one task at a time.",
        ),
        Key::new(
            "leader",
            Form::Text(Text::Name),
            "\"risk\"",
            "The agent that leads: it bids, decides on failures and does assignments without tasks; when not written, \
             a task that failed is done again, then by another worker.",
        ),
        Key::new("authority", LEVELS, "\"inform\"", "The most that its leader may decide alone.")
            .default("\"reassign\""),
        Key::new(
            "restarts",
            Form::Table(&RESTARTS),
            "{ count = 5, per = \"1m\" }",
            "How often its workers are started again after a crash, all together; then the leader decides.",
        ),
    ],
    later: &[],
};

pub(crate) static RESTARTS: Shape = Shape {
    title: "hierarchy.NAME.leader_restarts",
    about: "How often something is started again that crashes; `restarts` of a team looks the same.",
    keys: &[
        Key::new("count", Form::Integer { min: 0, max: limits::RESTARTS_MAX }, "5", "How often.")
            .default("3"),
        Key::new("per", Form::Text(Text::Duration), "\"10s\"", "Within which time.")
            .default("\"1m\""),
    ],
    later: &[],
};

pub(crate) static ROLLOUT: Shape = Shape {
    title: "hierarchy.NAME.rollout",
    about: "How new instances take the place of old ones; `instances`, or `new` with `old`, says which.",
    keys: &[
        Key::new(
            "strategy",
            Form::Text(Text::Template),
            "\"canary\"",
            "`blue_green`: all of them, then all traffic at once; `canary`: all of them, then traffic in `steps`; \
             `rolling`: a `batch` at a time.",
        )
        .required(),
        Key::new(
            "instances",
            Form::Text(Text::Name),
            "\"risk\"",
            "The agent that looks which instances run, and says `{\"old\": [..], \"new\": [..]}`.",
        ),
        Key::new(
            "new",
            Form::List(&Form::Text(Text::Template)),
            "[\"v2-a\", \"v2-b\"]",
            "The instances that shall run.",
        ),
        Key::new(
            "old",
            Form::List(&Form::Text(Text::Template)),
            "[\"v1-a\", \"v1-b\"]",
            "The instances that run now; when not written, none do.",
        ),
        Key::new(
            "steps",
            Form::List(&Form::Integer { min: 1, max: 100 }),
            "[1, 10, 50]",
            "For `canary`: the percents of the traffic that new instances have, one after the other, rising; 100 comes last.",
        )
        .default("[10, 50]"),
        Key::new(
            "batch",
            Form::Integer { min: 1, max: limits::BATCH_MAX },
            "2",
            "For `rolling`: how many new instances at a time take the place of as many old ones.",
        )
        .default("1"),
    ],
    later: &[],
};

pub(crate) static ASSIGNMENT: Shape = Shape {
    title: "hierarchy.NAME.assignments",
    about: "What one team is to do: that of the name `team`, one of a `specialisation`, or any, found `by` load or bid.",
    keys: &[
        Key::new("name", Form::Text(Text::Plain), "\"build\"", "Tells it from the others.")
            .required(),
        Key::new("team", Form::Text(Text::Name), "\"building\"", "The team that has it."),
        Key::new(
            "specialisation",
            Form::Text(Text::Plain),
            "\"compilers\"",
            "The least loaded of the teams with this specialisation has it.",
        ),
        Key::new(
            "by",
            Form::Choice { known: &["load", "bid"], later: &[] },
            "\"bid\"",
            "Of all teams the least loaded has it, or the one whose leader bids least.",
        )
        .default("\"load\""),
        Key::new(
            "after",
            Form::List(&Form::Text(Text::Plain)),
            "[\"fetch\"]",
            "The assignments that must have ended before it begins; its agents are told what they came to.",
        ),
        Key::new(
            "tasks",
            Form::Free,
            "{ x86 = { source = \"{input.path}\" } }",
            "Its tasks by their names, each with what the worker that does it is given; without any, the leader's agent \
             does the assignment.",
        ),
        Key::new(
            "input",
            Form::Free,
            "{ target = \"x86\" }",
            "What the leader's agent is given where there are no tasks.",
        ),
    ],
    later: &[],
};

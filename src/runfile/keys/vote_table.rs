//! The tables of a vote in a run file, key by key, in the order of the reference.

use super::super::limits;
use super::table::{AFTER, RETRY, later};
use super::{Form, Key, Shape, Text};

pub(crate) static CONSENSUS: Shape = Shape {
    title: "consensus.NAME",
    about: "A question that agents vote on; each ballot is one agent's answer.",
    keys: &[
        Key::new(
            "question",
            Form::Text(Text::Template),
            "\"Does it go out?\"",
            "What is voted on.",
        )
        .required(),
        Key::new(
            "choices",
            Form::List(&Form::Text(Text::Plain)),
            "[\"ship\", \"hold\"]",
            "The answers to choose from, at least two.",
        )
        .required(),
        Key::new(
            "voters",
            Form::Map { keys: Text::Name, each: &Form::Weight },
            "{ risk = 2, tests = \"1/2\" }",
            "The agents that vote, each with its expertise: how much its word counts.",
        )
        .required(),
        Key::new(
            "topic",
            Form::Text(Text::Plain),
            "\"deployment\"",
            "What the question is about, for metrics and voters.",
        )
        .default("\"\""),
        Key::new(
            "rule",
            Form::Choice {
                known: &[
                    "plurality",
                    "majority",
                    "supermajority",
                    "unanimity",
                    "approval",
                    "borda",
                    "schulze",
                ],
                later: &[],
            },
            "\"majority\"",
            "How the leader is found; `approval` takes sets of choices, `borda` and `schulze` rankings, the others one choice.",
        )
        .default("\"plurality\""),
        Key::new(
            "quorum",
            Form::Table(&QUORUM),
            "{ share = \"2/3\", of = \"electorate\", participation = 0.75 }",
            "What the leader must reach, and how many must have voted.",
        ),
        Key::new(
            "weight",
            Form::Choice { known: &["confident", "expertise"], later: &[] },
            "\"expertise\"",
            "How much a ballot counts: the voter's expertise times its confidence, or its expertise alone.",
        )
        .default("\"confident\""),
        Key::new(
            "otherwise",
            Form::Text(Text::Plain),
            "\"hold\"",
            "The safest choice: it is made where the ballots, and `tie_breakers`, do not decide.",
        ),
        Key::new(
            "tie_breakers",
            Form::List(&Form::Choice {
                known: &["another_round", "status_quo", "highest_confidence", "random"],
                later: &[],
            }),
            "[\"highest_confidence\", \"random\"]",
            "What decides where the ballots do not, each in turn until one does; then `chair`, then `otherwise`.",
        ),
        Key::new(
            "tie_breaker_on",
            Form::Choice { known: &["no_consensus", "tie"], later: &[] },
            "\"tie\"",
            "When they decide: whenever there is no consensus, or only where several choices lead alike.",
        )
        .default("\"no_consensus\""),
        Key::new(
            "status_quo",
            Form::Text(Text::Plain),
            "\"hold\"",
            "The choice that leaves everything as it is, for the tie-breaker of that name.",
        ),
        Key::new(
            "chair",
            Form::Text(Text::Name),
            "\"risk\"",
            "The voter whose choice decides where the ballots and `tie_breakers` do not.",
        ),
        Key::new(
            "seed",
            Form::Integer { min: 0, max: i64::MAX },
            "7",
            "The dice of the tie-breaker `random`; when not written they are thrown once and kept with the run.",
        ),
        Key::new(
            "veto",
            Form::List(&Form::Text(Text::Name)),
            "[\"risk\"]",
            "The voters whose ballots may block choices.",
        ),
        Key::new(
            "within",
            Form::Text(Text::Duration),
            "\"2m\"",
            "How long each round may take; it is then closed with the ballots that came in. When not written, the run's deadline.",
        ),
        Key::new(
            "early",
            Form::Boolean,
            "false",
            "Whether a round ends as soon as no ballot that is still to come can change the outcome.",
        )
        .default("true"),
        Key::new(
            "rounds",
            Form::Table(&ROUNDS),
            "{ most = 3, change_threshold = \"1/10\" }",
            "Whether further rounds follow one without consensus; when not written, none do.",
        ),
        Key::new(
            "retry",
            Form::Table(&RETRY),
            "{ attempts = 2 }",
            "How often and when a voter that failed is asked again.",
        ),
        Key::new(
            "path",
            Form::Text(Text::Template),
            "\"{input.path}\"",
            "The working directory of the voters' programs.",
        )
        .default("\".\""),
        AFTER,
    ],
    later: &[
        later(
            "revisable",
            "ballots that are revised",
            "a program answers once a round; let `rounds` follow each other",
        ),
    ],
};

pub(crate) static QUORUM: Shape = Shape {
    title: "consensus.NAME.quorum",
    about: "What the leader must reach, and how many must have voted.",
    keys: &[
        Key::new(
            "share",
            Form::Share,
            "\"2/3\"",
            "The share of the weight that the leader must have, from 0 to 1; for rules of one choice.",
        ),
        Key::new(
            "of",
            Form::Choice { known: &["cast", "electorate"], later: &[] },
            "\"electorate\"",
            "Of what: of the weight cast, or of the expertise of all voters.",
        )
        .default("\"cast\""),
        Key::new("strict", Form::Boolean, "true", "Whether it must have more than the share.")
            .default("false"),
        Key::new(
            "participation",
            Form::Share,
            "0.75",
            "The share of voters, by head, that must have cast a ballot; abstentions are such.",
        )
        .default("0"),
    ],
    later: &[],
};

pub(crate) static ROUNDS: Shape = Shape {
    title: "consensus.NAME.rounds",
    about: "Rounds that follow one without consensus; voters then know the last one's tally and reasons, not whose they are.",
    keys: &[
        Key::new(
            "most",
            Form::Integer { min: 2, max: limits::ROUNDS_MAX },
            "5",
            "How many rounds there may be in all.",
        )
        .default("3"),
        Key::new(
            "change_threshold",
            Form::Share,
            "\"1/10\"",
            "Another round follows for as long as a larger share of the voters than this changes its mind.",
        )
        .default("0"),
    ],
    later: &[],
};

//! The table of keys against the parser and the schema: nothing may drift, nothing be ignored.

use super::super::keys::{
    AGENT, ASSIGNMENT, BREAKER, CONSENSUS, FILE, Form, HIERARCHY, INPUT, Key, LIMIT, LIMITS,
    MAP_REDUCE, PIPELINE, QUORUM, RATE_LIMIT, RESTARTS, RETRY, ROLLOUT, ROUNDS, SHAPES, SPECULATE,
    SPLIT, STAGE, SWARM, SWARM_CHANGE, SWARM_FOOD, SWARM_MODEL, SWARM_PATTERN, Shape, TEAM,
};
use super::*;

const HEAD: &str = r#"
synod = 1
main = "review"
input.path = { type = "path", default = "." }
input.diff = { type = "string", optional = true }
agents.secrets = { builtin = "review.secrets" }
agents.rust = { builtin = "review.rust" }
agents.fast = { builtin = "fast" }
agents.slow = { builtin = "slow" }
agents.risk = { command = ["r"], reads = "exit" }
agents.tests = { command = ["t"], reads = "exit" }
map_reduce.review = { split = { use = "code.files" }, any_of = ["secrets"] }
"#;

type Pairs = Vec<(String, String)>;

fn pairs(pairs: &[(&str, &str)]) -> Pairs {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

type Place = (&'static str, Pairs, &'static str);

/// Where a table of a shape stands in a small file, and the keys that it needs there.
fn place(shape: &Shape, kind: &str) -> Place {
    let pattern = "map_reduce.x = { ";
    let inner = |shape: &Shape| std::ptr::eq(shape, &raw const SPLIT);
    match shape.title {
        title if title == FILE.title => ("", pairs(&[]), ""),
        title if title == LIMIT.title => ("limit = { ", pairs(&[]), " }"),
        title if title == INPUT.title => ("input.x = { ", pairs(&[("type", "\"string\"")]), " }"),
        title if title == MAP_REDUCE.title => {
            let needs = [("split", "{ use = \"code.files\" }"), ("all_of", "[\"rust\"]")];
            (pattern, pairs(&needs), " }")
        }
        _ if inner(shape) => (
            "map_reduce.x = { all_of = [\"rust\"], split = { ",
            pairs(&[("use", "\"code.files\"")]),
            " } }",
        ),
        title if title == RETRY.title => (
            "map_reduce.x = { all_of = [\"rust\"], split = { use = \"code.files\" }, retry = { ",
            pairs(&[]),
            " } }",
        ),
        title if title == SPECULATE.title => (
            "map_reduce.x = { all_of = [\"rust\"], split = { use = \"code.files\" }, speculate = { ",
            pairs(&[]),
            " } }",
        ),
        _ => place_of_agent(shape, kind)
            .or_else(|| place_of_swarm(shape, kind))
            .or_else(|| place_of_teams(shape))
            .unwrap_or_else(|| later_place(shape)),
    }
}

/// The same, of an agent.
fn place_of_agent(shape: &Shape, kind: &str) -> Option<Place> {
    let agent = "agents.x = { ";
    Some(match shape.title {
        title if title == AGENT.title => match kind {
            "command" => (agent, pairs(&[("command", "[\"c\"]"), ("reads", "\"exit\"")]), " }"),
            "process" => (agent, pairs(&[("process", "[\"p\"]")]), " }"),
            "actor" => (agent, pairs(&[("actor", "\"a\"")]), " }"),
            _ => (agent, pairs(&[("builtin", "\"b\"")]), " }"),
        },
        title if title == LIMITS.title => {
            ("agents.x = { process = [\"p\"], limits = { ", pairs(&[]), " } }")
        }
        title if title == BREAKER.title => {
            ("agents.x = { builtin = \"b\", breaker = { ", pairs(&[]), " } }")
        }
        title if title == RATE_LIMIT.title => (
            "agents.x = { builtin = \"b\", rate_limit = { ",
            pairs(&[("key", "\"k\""), ("count", "1"), ("per", "\"1h\"")]),
            " } }",
        ),
        _ => return None,
    })
}

/// The same, of swarms.
fn place_of_swarm(shape: &Shape, kind: &str) -> Option<Place> {
    const WAY: &str = "{ use = \"path\", map = \"m\", start = [0, 0], goal = [1, 1] }";
    Some(match shape.title {
        title if title == SWARM.title => ("swarm.x = { ", pairs(&[("model", WAY)]), " }"),
        title if title == SWARM_MODEL.title => {
            let own: &[(&str, &str)] = match kind {
                "tsp" => &[("use", "\"tsp\""), ("cities", "\"c\"")],
                "boids" => &[("use", "\"boids\"")],
                "foraging" => &[
                    ("use", "\"foraging\""),
                    ("map", "\"m\""),
                    ("nest", "[2, 2]"),
                    ("food", "[{ at = [0, 0], units = 1 }]"),
                ],
                _ => &[
                    ("use", "\"path\""),
                    ("map", "\"m\""),
                    ("start", "[0, 0]"),
                    ("goal", "[1, 1]"),
                ],
            };
            ("swarm.x.model = { ", pairs(own), " }")
        }
        title if title == SWARM_FOOD.title => (
            "swarm.x.model = { use = \"foraging\", map = \"m\", nest = [2, 2], food = [{ ",
            pairs(&[("at", "[0, 0]"), ("units", "1")]),
            " }] }",
        ),
        title if title == SWARM_PATTERN.title => (
            "swarm.x = { model = { use = \"path\", map = \"m\", start = [0, 0], goal = [1, 1] }, pattern = { ",
            pairs(&[]),
            " } }",
        ),
        title if title == SWARM_CHANGE.title => (
            "swarm.x = { model = { use = \"path\", map = \"m\", start = [0, 0], goal = [1, 1] }, change = [{ ",
            pairs(&[("tick", "1"), ("block", "[[0, 1]]")]),
            " }] }",
        ),
        _ => return None,
    })
}

/// The same, of hierarchies.
fn place_of_teams(shape: &Shape) -> Option<Place> {
    const TEAMS: &str = "{ building = { specialisation = \"compilers\", leader = \"risk\", workers = { tests = 1 } }, \
        infrastructure = { workers = { tests = 1 } }, application = { workers = { tests = 1 } }, \
        monitoring = { workers = { tests = 1 } } }";
    Some(match shape.title {
        title if title == HIERARCHY.title => {
            let needs = [("mission", "\"m\""), ("teams", TEAMS), ("plan", "\"tests\"")];
            ("hierarchy.x = { ", pairs(&needs), " }")
        }
        title if title == TEAM.title => (
            "hierarchy.x = { mission = \"m\", plan = \"risk\", teams = { t = { ",
            pairs(&[("leader", "\"tests\"")]),
            " } } }",
        ),
        title if title == RESTARTS.title => (
            "hierarchy.x = { mission = \"m\", plan = \"risk\", teams = { t = { leader = \"risk\" } }, leader_restarts = { ",
            pairs(&[]),
            " } }",
        ),
        title if title == ROLLOUT.title => (
            "hierarchy.x = { mission = \"m\", teams = { infrastructure = { workers = { tests = 1 } }, \
             application = { workers = { tests = 1 } }, monitoring = { workers = { tests = 1 } } }, rollout = { ",
            pairs(&[("strategy", "\"{input.path}\""), ("new", "[\"b\"]")]),
            " } }",
        ),
        title if title == ASSIGNMENT.title => (
            "hierarchy.x = { mission = \"m\", teams = { building = { specialisation = \"compilers\", leader = \"risk\", \
             workers = { tests = 1 } } }, assignments = [{ name = \"fetch\" }, { ",
            pairs(&[("name", "\"one\"")]),
            " }] }",
        ),
        _ => return None,
    })
}

/// Whether two keys of a table exclude each other.
fn exclude(one: &str, other: &str) -> bool {
    const WAYS: [&[&str]; 3] =
        [&["all_of", "any_of"], &["plan", "rollout", "assignments"], &["instances", "new"]];
    WAYS.iter().any(|ways| one != other && ways.contains(&one) && ways.contains(&other))
}

/// The same, of votes and pipelines.
fn later_place(shape: &Shape) -> Place {
    match shape.title {
        title if title == CONSENSUS.title => {
            let needs = [
                ("question", "\"q\""),
                ("choices", "[\"hold\", \"ship\"]"),
                ("voters", "{ risk = 1 }"),
            ];
            ("consensus.x = { ", pairs(&needs), " }")
        }
        title if title == QUORUM.title => (
            "consensus.x = { question = \"q\", choices = [\"a\", \"b\"], voters = { risk = 1 }, quorum = { ",
            pairs(&[("share", "0.5")]),
            " } }",
        ),
        title if title == ROUNDS.title => (
            "consensus.x = { question = \"q\", choices = [\"a\", \"b\"], voters = { risk = 1 }, rounds = { ",
            pairs(&[]),
            " } }",
        ),
        title if title == PIPELINE.title => {
            let stages = "[{ name = \"one\", agent = \"risk\" }]";
            ("pipeline.x = { ", pairs(&[("documents", "\"d\""), ("stages", stages)]), " }")
        }
        title if title == STAGE.title => (
            "pipeline.x = { documents = \"d\", stages = [{ ",
            pairs(&[("name", "\"one\""), ("agent", "\"risk\"")]),
            " }] }",
        ),
        title => panic!("no place for {title}"),
    }
}

/// Writes a small file in which a table of a shape has a key, or not.
fn file(shape: &Shape, key: Option<(&Key, &str)>) -> String {
    let of_key = key.and_then(|(key, _)| key.only.first().copied());
    let of_value = key.map(|(_, value)| value.trim_matches('"'));
    let is_model = std::ptr::eq(shape, &raw const SWARM_MODEL);
    let of_value = of_value.filter(|_| is_model && key.is_some_and(|(key, _)| key.name == "use"));
    let (before, mut pairs, after) = place(shape, of_key.or(of_value).unwrap_or("builtin"));
    if let Some((key, value)) = key {
        pairs.retain(|(name, _)| name != key.name && !exclude(name, key.name));
        pairs.push((key.name.to_owned(), value.to_owned()));
    }
    let pairs: Vec<String> = pairs.iter().map(|(key, value)| format!("{key} = {value}")).collect();
    format!("{HEAD}{before}{}{after}\n", pairs.join(", "))
}

/// Everything that a file says, without places.
fn said(text: &str) -> String {
    let file = parse(text, &[]).unwrap_or_else(|problems| panic!("{text}\n{problems}"));
    let inputs: Vec<_> = file
        .inputs
        .iter()
        .map(|input| (&input.name, input.kind, &input.default, input.optional, &input.description))
        .collect();
    format!(
        "{:#?}",
        (
            &file.main,
            file.deadline,
            file.messages,
            inputs,
            &file.agents,
            &file.map_reduces,
            &file.votes,
            &file.pipelines,
            &file.swarms,
            without_places(&file.hierarchies)
        )
    )
}

/// Hierarchies without what is about the file.
fn without_places(all: &[Hierarchy<Template>]) -> String {
    let said = format!("{all:#?}");
    let lines = said.lines().filter(|line| {
        !line.trim_start().starts_with("start:") && !line.trim_start().starts_with("end:")
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// Every key of every table but those of the file itself that all files have.
fn all_keys() -> impl Iterator<Item = (&'static Shape, &'static Key)> {
    let keys = SHAPES.iter().flat_map(|shape| shape.keys.iter().map(move |key| (*shape, key)));
    keys.filter(|(shape, key)| shape.title != FILE.title || key.name == "limit")
}

#[test]
fn every_key_changes_what_the_file_says() {
    for (shape, key) in all_keys() {
        if matches!(key.form, Form::Choice { known: [_], .. }) {
            continue;
        }
        let value = if key.default == Some(key.example) { "\"other\"" } else { key.example };
        let kind = Some((key, value));
        let without = match key.required || key.only.contains(&key.name) {
            true => file(shape, None),
            false => without(shape, key),
        };
        assert_ne!(said(&file(shape, kind)), said(&without), "{}.{}", shape.title, key.name);
    }
}

/// The small file of a key's kind, without the key.
fn without(shape: &Shape, key: &Key) -> String {
    let kind = key.only.first().copied().unwrap_or("builtin");
    let (before, pairs, after) = place(shape, kind);
    let pairs: Vec<String> = pairs.iter().map(|(key, value)| format!("{key} = {value}")).collect();
    format!("{HEAD}{before}{}{after}\n", pairs.join(", "))
}

#[test]
fn a_default_that_is_written_says_the_same_as_one_that_is_not() {
    for (shape, key) in all_keys() {
        if let Some(default) = key.default {
            let written = said(&file(shape, Some((key, default))));
            assert_eq!(written, said(&without(shape, key)), "{}.{}", shape.title, key.name);
        }
    }
}

#[test]
fn every_key_refuses_a_value_of_a_wrong_type() {
    for (shape, key) in all_keys() {
        let found = messages(&file(shape, Some((key, "1979-05-27"))));
        assert!(found.iter().any(|message| message.contains("must be")), "{}: {found:?}", key.name);
    }
}

#[test]
fn every_choice_is_understood_and_every_later_one_refused() {
    for (shape, key) in all_keys() {
        let choice = if let Form::OneOrMany(form) = &key.form { form } else { &key.form };
        let Form::Choice { known, later } = choice else { continue };
        for value in *known {
            said(&file(shape, Some((key, &format!("\"{value}\"")))));
        }
        for later in *later {
            let found = messages(&file(shape, Some((key, &format!("\"{}\"", later.name)))));
            assert_eq!(found, [format!("`{}` is not in this version of Synod", later.name)]);
        }
    }
}

#[test]
fn every_table_refuses_keys_that_it_does_not_have() {
    for shape in SHAPES {
        let text = file(shape, None);
        let key = Key { name: "zzzzzzzz", ..template_key() };
        let found = messages(&file(shape, Some((&key, "1"))));
        assert_eq!(messages(&text), [""; 0], "{text}");
        assert!(found.iter().any(|it| it.starts_with("`zzzzzzzz` is no key of")), "{found:?}");
    }
}

fn template_key() -> Key {
    Key {
        name: "",
        form: Form::Boolean,
        about: "",
        example: "",
        default: None,
        required: false,
        only: &[],
    }
}

#[test]
fn every_table_refuses_what_a_later_version_brings() {
    for shape in SHAPES {
        for later in shape.later {
            let key = Key { name: later.name, ..template_key() };
            let found = messages(&file(shape, Some((&key, "1"))));
            let expected = format!("`{}` is not in this version of Synod", later.name);
            assert!(found.contains(&expected), "{found:?}");
        }
    }
}

#[test]
fn the_schema_has_the_keys_that_the_parser_has() {
    let schema = schema();
    for shape in SHAPES {
        let found = find(&schema, shape.title).unwrap_or_else(|| panic!("no {}", shape.title));
        let mut keys: Vec<&str> = shape.keys.iter().map(|key| key.name).collect();
        keys.sort_unstable();
        let mut properties: Vec<&String> =
            found["properties"].as_object().unwrap().keys().collect();
        properties.sort_unstable();
        assert_eq!(properties, keys, "{}", shape.title);
        assert_eq!(found["additionalProperties"], false);
        for key in shape.keys {
            let property = &found["properties"][key.name];
            assert_eq!(property["description"], key.about);
            assert_eq!(property["examples"].as_array().map(Vec::len), Some(1), "{}", key.name);
            assert_eq!(property.get("default").is_some(), key.default.is_some());
        }
    }
}

/// Finds the object of the schema that a shape was turned into.
fn find<'v>(schema: &'v serde_json::Value, title: &str) -> Option<&'v serde_json::Value> {
    if schema["properties"].is_object() && schema["title"] == title {
        return Some(schema);
    }
    let entries = schema.as_object().into_iter().flat_map(|entries| entries.values());
    let items = schema.as_array().into_iter().flatten();
    entries.chain(items).find_map(|inner| find(inner, title))
}

//! Checks what one key says against another: names, references, and what this program knows.

use actors::limits::{AGENT_TIMEOUT_DEFAULT, HEARTBEAT_MIN};

use super::after;
use super::catalogue::Catalogue;
use super::hierarchy;
use super::keys::PATTERNS;
use super::limits::{AGENTS_MAX, FALLBACKS_MAX, INPUTS_MAX, INSTANCES_MAX, PATTERNS_MAX};
use super::model::{InputKind, InputValue};
use super::pipeline;
use super::problem::Problem;
use super::scalar;
use super::suggest::suggest;
use super::swarm;
use super::template::{self, Piece};
use super::tree::{Entry, Node, Table, Value};
use super::vote;

/// Finds every problem between the keys of a file.
pub(crate) fn check(root: &Table, catalogue: &Catalogue) -> Vec<Problem> {
    let mut problems = Vec::new();
    unique(root, &mut problems);
    counts(root, &mut problems);
    problems.extend(instances(root));
    problems.extend(main(root));
    for input in root.entries_of("input") {
        problems.extend(default(input));
    }
    for agent in root.entries_of("agents") {
        problems.extend(program(agent, root));
        problems.extend(heartbeat(agent));
        problems.extend(fallback(agent, root));
        problems.extend(rate_limit(agent, root));
        for (key, known) in [("builtin", &catalogue.builtins), ("actor", &catalogue.actors)] {
            problems.extend(known_name(agent, key, known.as_deref()));
        }
    }
    for pattern in root.entries_of("map_reduce") {
        workers(pattern, root, &mut problems);
        problems.extend(known_name(pattern, "reduce", catalogue.reducers.as_deref()));
    }
    for pattern in root.entries_of("consensus") {
        vote::check(pattern, root, &mut problems);
    }
    for pattern in root.entries_of("pipeline") {
        pipeline::check(pattern, root, &mut problems);
    }
    for pattern in root.entries_of("swarm") {
        swarm::check(pattern, &mut problems);
    }
    for pattern in root.entries_of("hierarchy") {
        hierarchy::check(pattern, root, &mut problems);
    }
    after::check(root, &mut problems);
    problems
}

pub(super) fn field<'t>(entry: &'t Entry, key: &str) -> Option<&'t Entry> {
    entry.node.value.table()?.entry(key)
}

pub(super) fn text(node: &Node) -> Option<&str> {
    node.value.text()
}

fn names(entries: &[Entry]) -> Vec<&str> {
    entries.iter().map(|entry| entry.key.as_str()).collect()
}

/// Every pattern of a file, whatever its kind.
pub(super) fn patterns(root: &Table) -> impl Iterator<Item = &Entry> {
    PATTERNS.iter().flat_map(|kind| root.entries_of(kind))
}

/// Refuses a pattern that has the name of an agent: a pattern is an agent too; and two patterns of one name.
fn unique(root: &Table, problems: &mut Vec<Problem>) {
    let agents = root.entries_of("agents");
    for (at, pattern) in patterns(root).enumerate() {
        if let Some(other) = patterns(root).take(at).find(|other| other.key == pattern.key) {
            let problem =
                Problem::new(pattern.key_at, format!("`{}` names two patterns", pattern.key))
                    .label("one")
                    .also(other.key_at, "the other")
                    .help_with("`main` could not tell them apart: rename one of the two");
            problems.push(problem);
        }
        if let Some(agent) = agents.iter().find(|agent| agent.key == pattern.key) {
            let message = format!("`{}` names an agent and a pattern", pattern.key);
            let problem = Problem::new(pattern.key_at, message)
                .label("the pattern")
                .also(agent.key_at, "the agent")
                .help_with("names are unique across agents and patterns: rename one of the two");
            problems.push(problem);
        }
    }
}

fn counts(root: &Table, problems: &mut Vec<Problem>) {
    let limits = [
        ("agents", AGENTS_MAX),
        ("map_reduce", PATTERNS_MAX),
        ("consensus", PATTERNS_MAX),
        ("pipeline", PATTERNS_MAX),
        ("swarm", PATTERNS_MAX),
        ("hierarchy", PATTERNS_MAX),
        ("input", INPUTS_MAX),
    ];
    for (key, max) in limits {
        let count = root.entries_of(key).len();
        if let (true, Some(entry)) = (count > max, root.entry(key)) {
            let problem = Problem::new(entry.key_at, format!("`{key}` has {count} entries"))
                .label("too many")
                .help_with(format!("at most {max}: make two run files of it"));
            problems.push(problem);
        }
    }
}

/// Adds up the instances of all agents, and points at the agent with the most.
fn instances(root: &Table) -> Option<Problem> {
    let number = |agent: &Entry, key: &str| match field(agent, key).map(|entry| &entry.node.value) {
        Some(Value::Integer(number)) => (*number).max(1),
        Some(_) | None => 1,
    };
    // a program that stays answers one request at a time
    let of = |agent: &Entry| match field(agent, "process") {
        Some(_) => number(agent, "count").saturating_mul(number(agent, "concurrency")),
        None => number(agent, "count"),
    };
    let agents = root.entries_of("agents");
    let all = agents.iter().map(of).fold(0, i64::saturating_add);
    let most = agents.iter().max_by_key(|agent| of(agent)).filter(|_| all > INSTANCES_MAX)?;
    let at = field(most, "count").map_or(most.key_at, |count| count.key_at);
    let message = format!("the agents have {all} instances together, at most {INSTANCES_MAX}");
    let help = "lower `count`; a `process` has `count` times `concurrency` of them";
    Some(Problem::new(at, message).label(format!("{} of them", of(most))).help_with(help))
}

fn main(root: &Table) -> Option<Problem> {
    let node = root.node("main")?;
    let main = text(node)?;
    let patterns: Vec<&Entry> = patterns(root).collect();
    let names: Vec<&str> = patterns.iter().map(|pattern| pattern.key.as_str()).collect();
    // Without any pattern that is the problem, not this name.
    if patterns.is_empty() || names.contains(&main) {
        return None;
    }
    let problem = match root.entries_of("agents").iter().find(|agent| agent.key == main) {
        Some(agent) => Problem::new(node.at, format!("`{main}` is an agent, `main` is a pattern"))
            .label("not a pattern")
            .also(agent.key_at, "the agent")
            .help_with(suggest(main, &names, "the patterns are")),
        None => Problem::new(node.at, format!("there is no pattern `{main}`"))
            .label("not in the file")
            .help_with(suggest(main, &names, "the patterns are")),
    };
    Some(problem)
}

/// Checks the default of an input against its type.
fn default(input: &Entry) -> Option<Problem> {
    let default = field(input, "default")?;
    if let Some(optional) = field(input, "optional") {
        let problem = Problem::new(optional.key_at, "`optional` says nothing beside a `default`")
            .label("it always has a value")
            .also(default.key_at, "this one")
            .help_with("delete one of the two");
        return Some(problem);
    }
    let kind = field(input, "type").and_then(|kind| text(&kind.node))?;
    if matches!(default.node.value, Value::Broken) {
        return None;
    }
    match input_value(input_kind(kind)?, &default.node.value) {
        Some(_) => None,
        None => Some(
            Problem::new(default.node.at, format!("the default is no value of type `{kind}`"))
                .label(format!("found {}", default.node.value.kind()))
                .help_with(format!("write {}", input_example(input_kind(kind)?))),
        ),
    }
}

/// Reads the type of an input.
pub(crate) fn input_kind(text: &str) -> Option<InputKind> {
    match text {
        "path" => Some(InputKind::Path),
        "string" => Some(InputKind::String),
        "integer" => Some(InputKind::Integer),
        "number" => Some(InputKind::Number),
        "boolean" => Some(InputKind::Boolean),
        _ => None,
    }
}

/// Shows how a value of an input's type is written.
pub(crate) fn input_example(kind: InputKind) -> &'static str {
    match kind {
        InputKind::Path => "a path that is not empty, as `\"src\"`",
        InputKind::String => "a text, as `\"fast\"`",
        InputKind::Integer => "a whole number of 64 bits, as `3`",
        InputKind::Number => "a finite number, as `0.5`",
        InputKind::Boolean => "`true` or `false`",
    }
}

/// Takes a TOML value for an input; `None` if it is not of its type.
pub(crate) fn input_value(kind: InputKind, value: &Value) -> Option<InputValue> {
    match (kind, value) {
        (InputKind::Path, Value::String(path)) if is_path(path) => {
            Some(InputValue::Path(path.into()))
        }
        (InputKind::String, Value::String(text)) if !text.contains('\0') => {
            Some(InputValue::String(text.clone()))
        }
        (InputKind::Integer, Value::Integer(number)) => Some(InputValue::Integer(*number)),
        (InputKind::Number, Value::Number(number)) => Some(InputValue::Number(*number)),
        #[expect(clippy::cast_precision_loss, reason = "as a reader of `number = 3` expects")]
        (InputKind::Number, Value::Integer(number)) => Some(InputValue::Number(*number as f64)),
        (InputKind::Boolean, Value::Boolean(truth)) => Some(InputValue::Boolean(*truth)),
        _ => None,
    }
}

pub(crate) fn is_path(path: &str) -> bool {
    !path.is_empty() && !path.contains('\0')
}

/// Checks the first word of a command or process.
fn program(agent: &Entry, root: &Table) -> Option<Problem> {
    let argv = field(agent, "command").or_else(|| field(agent, "process"))?;
    let first = argv.node.value.list()?.first()?;
    let pieces = template::scan(text(first)?).pieces;
    let named = match pieces.as_slice() {
        [] => text(first).is_some_and(|text| !text.is_empty()),
        [(_, Piece::Files)] => false,
        [(_, Piece::Input(name))] => {
            let input = root.entries_of("input").iter().find(|input| input.key == name.as_str());
            !input.is_some_and(|input| super::check::may_lack(&input.node))
        }
        _ => true,
    };
    (!named).then(|| {
        Problem::new(first.at, format!("`{}` names no program", argv.key))
            .label("the program to start")
            .help_with("the first value is a program, such as `\"ruff\"`")
    })
}

/// Checks that a process that hangs is noticed before its time is over, and a busy machine not taken for a hang.
fn heartbeat(agent: &Entry) -> Option<Problem> {
    let duration = |key: &str| scalar::duration(text(&field(agent, key)?.node)?).ok();
    let (node, every) = (&field(agent, "heartbeat")?.node, duration("heartbeat")?);
    if every < HEARTBEAT_MIN {
        let problem = Problem::new(node.at, format!("a heartbeat of {every:?} is too short"))
            .label("too short")
            .help_with(format!("the shortest is {HEARTBEAT_MIN:?}"));
        return Some(problem);
    }
    let timeout = match field(agent, "timeout") {
        Some(_) => duration("timeout")?,
        None => AGENT_TIMEOUT_DEFAULT,
    };
    (every >= timeout).then(|| {
        Problem::new(
            node.at,
            format!("the timeout of {timeout:?} is over before a heartbeat is missed"),
        )
        .label("nothing is noticed by this")
        .help_with("make `heartbeat` much shorter than `timeout`, or delete it")
    })
}

/// Checks that agents that share a limit state one rate: the first that names a key is what the others are held against.
fn rate_limit(agent: &Entry, root: &Table) -> Option<Problem> {
    let limit = |agent| {
        let (at, table) = (field(agent, "rate_limit")?, &field(agent, "rate_limit")?.node);
        let table = table.value.table()?;
        let rate = (
            table.node("count")?.value.integer()?,
            scalar::duration(text(table.node("per")?)?).ok()?,
        );
        Some((text(table.node("key")?)?, rate, at))
    };
    let (key, (count, per), own) = limit(agent)?;
    let mut others = root.entries_of("agents").iter();
    let (other, (_, (other_count, other_per), first)) = others
        .find_map(|other| Some((other, limit(other)?)).filter(|(_, (name, ..))| *name == key))?;
    ((count, per) != (other_count, other_per)).then(|| {
        let message = format!("`{}` and `{}` limit `{key}` to two rates", other.key, agent.key);
        let rate = |count, per| format!("{count} in {}", humantime::format_duration(per));
        Problem::new(own.key_at, message)
            .label(rate(count, per))
            .also(first.key_at, rate(other_count, other_per))
            .help_with("agents of one key share one limit: state one rate, or name another key")
    })
}

/// Checks a name that this program must know.
fn known_name(entry: &Entry, key: &str, known: Option<&[String]>) -> Option<Problem> {
    let node = &field(entry, key)?.node;
    let (name, known) = (text(node)?, known?);
    let known: Vec<&str> = known.iter().map(String::as_str).collect();
    if known.contains(&name) {
        return None;
    }
    let what = match key {
        "builtin" => "built-in agent",
        "actor" => "registered actor",
        _ => "reducer",
    };
    Some(
        Problem::new(node.at, format!("there is no {what} `{name}`"))
            .label("not known")
            .help_with(suggest(name, &known, "there are")),
    )
}

/// Checks who does the parts of a pattern.
fn workers(pattern: &Entry, root: &Table, problems: &mut Vec<Problem>) {
    let (all, any) = (field(pattern, "all_of"), field(pattern, "any_of"));
    match (all, any) {
        (None, None) => problems.push(
            Problem::new(pattern.key_at, format!("`map_reduce.{}` has no agents", pattern.key))
                .label("who does the parts?")
                .help_with("name them: `all_of = [\"…\"]` or `any_of = [\"…\"]`"),
        ),
        (Some(all), Some(any)) => problems.push(
            Problem::new(any.key_at, "`all_of` and `any_of` exclude each other")
                .label("each part to one of these")
                .also(all.key_at, "each part to all of these")
                .help_with("delete one of the two"),
        ),
        _ => {}
    }
    for workers in [all, any].into_iter().flatten() {
        let nodes = workers.node.value.list().unwrap_or(&[]);
        for (index, node) in nodes.iter().enumerate() {
            let earlier = nodes.get(..index).unwrap_or(&[]);
            problems.extend(worker(node, earlier, root));
        }
    }
}

fn worker(node: &Node, earlier: &[Node], root: &Table) -> Option<Problem> {
    let name = text(node)?;
    if let Some(first) = earlier.iter().find(|other| text(other) == Some(name)) {
        let problem = Problem::new(node.at, format!("`{name}` is named twice"))
            .label("again")
            .also(first.at, "first here")
            .help_with("delete one; `count` of the agent starts more instances");
        return Some(problem);
    }
    let agent = root.entries_of("agents").iter().find(|agent| agent.key == name);
    let builtin = agent.and_then(|agent| text(&field(agent, "builtin")?.node));
    if builtin.is_some_and(|builtin| builtin.starts_with("document.")) {
        let problem = Problem::new(node.at, format!("`{name}` takes documents, not code"))
            .label("a stage of a pipeline")
            .help_with("name it in a `[pipeline.NAME]`");
        return Some(problem);
    }
    known_agent(node, root)
}

/// Checks that an agent has the name that a value gives.
pub(super) fn known_agent(node: &Node, root: &Table) -> Option<Problem> {
    let name = text(node)?;
    let agents = root.entries_of("agents");
    // Without any agent that is the problem, not this name.
    if agents.is_empty() || agents.iter().any(|agent| agent.key == name) {
        return None;
    }
    let is_pattern = |kind: &&str| root.entries_of(kind).iter().any(|entry| entry.key == name);
    if PATTERNS.iter().any(is_pattern) {
        return Some(
            Problem::new(node.at, format!("`{name}` is a pattern"))
                .label("a later version brings patterns as agents of others")
                .help_with(suggest("", &names(agents), "the agents are")),
        );
    }
    Some(
        Problem::new(node.at, format!("there is no agent `{name}`"))
            .label("not in the file")
            .help_with(suggest(name, &names(agents), "the agents are")),
    )
}

/// Checks who stands behind an agent: somebody, not itself in the end, and not too many.
fn fallback(agent: &Entry, root: &Table) -> Option<Problem> {
    let value = &field(agent, "fallback")?.node;
    if let Some(problem) = known_agent(value, root) {
        return Some(problem);
    }
    let agents = root.entries_of("agents");
    let behind = |agent: &&Entry| {
        let name = text(&field(agent, "fallback")?.node)?;
        agents.iter().find(|other| other.key == name)
    };
    // As far as it goes without a name for the second time, so that other circles end it too.
    let mut chain: Vec<&str> = Vec::new();
    for entry in std::iter::successors(Some(agent), behind) {
        if chain.contains(&entry.key.as_str()) {
            let is_circle = entry.key == agent.key;
            // Once for each circle: at the first of its agents.
            let first = agents.iter().find(|other| chain.contains(&other.key.as_str()));
            let is_first = first.is_some_and(|first| first.key == agent.key);
            return (is_circle && is_first).then(|| circle(value, &chain));
        }
        chain.push(&entry.key);
    }
    let count = chain.len().saturating_sub(1);
    (count > FALLBACKS_MAX).then(|| {
        let message = format!("`{}` has {count} fallbacks behind one another", agent.key);
        let help = format!("at most {FALLBACKS_MAX}: leave some out");
        Problem::new(value.at, message).label("the first").help_with(help)
    })
}

fn circle(value: &Node, chain: &[&str]) -> Problem {
    let names = chain.iter().chain(chain.first()).map(|name| format!("`{name}`"));
    let path = names.collect::<Vec<_>>().join(" → ");
    Problem::new(value.at, format!("fallbacks go in a circle: {path}"))
        .label("comes back to itself")
        .help_with("delete one of them: a chain ends with an agent that has no `fallback`")
}

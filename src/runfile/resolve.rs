//! Gives the inputs of a run file their values and fills in its texts.

use std::collections::BTreeMap;

use serde_json::Value as Json;

use super::cross::{input_example, is_path};
use super::hierarchy;
use super::limits::{LINE_BYTES_MAX, NAME_BYTES_MAX};
use super::model::{
    Actor, Agent, AgentKind, Argument, Command, Input, InputKind, InputValue, MapReduce, Name,
    Process, Resolved, RunFile, Split,
};
use super::pipeline;
use super::problem::{At, Origin, Problem, Problems, Texts};
use super::suggest::suggest;
use super::swarm;
use super::template::{Template, Values};
use super::vote;

/// Gives every input its value and fills in every text.
///
/// `inputs` are the `--input NAME=VALUE` of the user; a name given twice has its last value.
/// `env` looks up an environment variable.
///
/// # Errors
/// Everything that is wrong at once: unknown inputs, values of the wrong type, missing inputs and
/// missing environment variables.
pub fn resolve(
    file: &RunFile,
    inputs: &[(String, String)],
    env: &dyn Fn(&str) -> Option<String>,
) -> Result<Resolved, Problems> {
    if let Some((name, _)) =
        inputs.iter().find(|(name, text)| name.len() + text.len() > LINE_BYTES_MAX)
    {
        let name: String = name.chars().take(NAME_BYTES_MAX).collect();
        let problem = Problem::new(At::TOP, format!("the value of input `{name}` is too long"))
            .label("this file is run")
            .help_with(format!("an input has at most {LINE_BYTES_MAX} bytes"));
        return Err(Problems::one(&file.texts, problem));
    }
    let mut problems = Vec::new();
    let mut lines = String::new();
    let mut given: BTreeMap<Name, InputValue> = BTreeMap::new();
    for (name, text) in inputs {
        let at = At { origin: Origin::Input, start: lines.len(), end: lines.len() + name.len() };
        lines.extend([name.as_str(), "=", text.as_str(), "\n"]);
        match take(file, name, text, at) {
            Ok((name, value)) => drop(given.insert(name, value)),
            Err(problem) => problems.push(problem),
        }
    }
    let texts = Texts { input: lines, ..file.texts.clone() };
    let mut values = Vec::new();
    for input in &file.inputs {
        match given.remove(&input.name).or_else(|| input.default.clone()) {
            Some(value) => values.push((input.name.clone(), value)),
            None if input.optional || refused(&problems, inputs, input) => {}
            None => problems.push(missing(input)),
        }
    }
    let env = variables(file, env, &mut problems);
    if let Some(problems) = Problems::of(&texts, problems) {
        return Err(problems);
    }
    let inputs = values.iter().map(|(name, value)| (name.clone(), value.to_string())).collect();
    let resolved = fill(file, values, &Values { inputs, env });
    let unfit = resolved.hierarchies.iter().filter_map(hierarchy::unfit).collect();
    Problems::of(&texts, unfit).map_or(Ok(resolved), Err)
}

/// Reads one given input.
fn take(file: &RunFile, name: &str, text: &str, at: At) -> Result<(Name, InputValue), Problem> {
    let Some(input) = file.inputs.iter().find(|input| input.name.as_str() == name) else {
        let names: Vec<&str> = file.inputs.iter().map(|input| input.name.as_str()).collect();
        return Err(Problem::new(at, format!("there is no input `{name}`"))
            .label("not declared in the file")
            .help_with(suggest(name, &names, "the inputs are")));
    };
    let value = match input.kind {
        InputKind::Path => is_path(text).then(|| InputValue::Path(text.into())),
        InputKind::String => (!text.contains('\0')).then(|| InputValue::String(text.to_owned())),
        InputKind::Integer => text.parse().ok().map(InputValue::Integer),
        InputKind::Number => {
            text.parse().ok().filter(|number: &f64| number.is_finite()).map(InputValue::Number)
        }
        InputKind::Boolean => text.parse().ok().map(InputValue::Boolean),
    };
    let value_at = At { start: at.end + 1, end: at.end + 1 + text.len(), ..at };
    value.map(|value| (input.name.clone(), value)).ok_or_else(|| {
        Problem::new(value_at, format!("`{text}` is no value of input `{name}`"))
            .also(input.at, "declared here")
            .help_with(format!("write {}", input_example(input.kind)))
    })
}

/// Tells whether an input was given, but with a value that is already complained of.
fn refused(problems: &[Problem], inputs: &[(String, String)], input: &Input) -> bool {
    !problems.is_empty() && inputs.iter().any(|(name, _)| name == input.name.as_str())
}

fn missing(input: &Input) -> Problem {
    let name = &input.name;
    let about = input.description.as_deref().map_or(String::new(), |text| format!(": {text}"));
    Problem::new(input.at, format!("input `{name}` is missing{about}"))
        .label("has no default")
        .help_with(format!("give it: `--input {name}=VALUE`, {}", input_example(input.kind)))
}

/// Looks up every environment variable that the file names, each once.
fn variables(
    file: &RunFile,
    env: &dyn Fn(&str) -> Option<String>,
    problems: &mut Vec<Problem>,
) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for (name, at) in &file.env {
        if let Some(value) = env(name) {
            found.insert(name.clone(), value);
            continue;
        }
        let problem = Problem::new(*at, format!("environment variable `{name}` is not set"))
            .label("used here")
            .help_with(format!("set it: `{name}=VALUE synod run …`"));
        problems.push(problem);
    }
    found
}

/// Fills in every text of a file.
fn fill(file: &RunFile, inputs: Vec<(Name, InputValue)>, values: &Values) -> Resolved {
    Resolved {
        main: file.main.clone(),
        deadline: file.deadline,
        messages: file.messages,
        inputs,
        agents: file.agents.iter().map(|agent| fill_agent(agent, values)).collect(),
        map_reduces: file.map_reduces.iter().map(|pattern| fill_pattern(pattern, values)).collect(),
        votes: file.votes.iter().map(|vote| vote::fill(vote, values)).collect(),
        pipelines: file.pipelines.iter().map(|own| pipeline::fill(own, values)).collect(),
        swarms: file.swarms.iter().map(|own| swarm::fill(own, values)).collect(),
        hierarchies: file.hierarchies.iter().map(|own| hierarchy::fill(own, values)).collect(),
    }
}

fn fill_agent(agent: &Agent<Template>, values: &Values) -> Agent {
    let Agent {
        name, kind, accepts, count, concurrency, optional, trusted, whole, timeout, ..
    } = agent;
    Agent {
        name: name.clone(),
        kind: fill_kind(kind, values),
        accepts: accepts.clone(),
        count: *count,
        concurrency: *concurrency,
        optional: *optional,
        trusted: *trusted,
        whole: *whole,
        timeout: *timeout,
        breaker: agent.breaker,
        rate_limit: agent.rate_limit.clone(),
        fallback: agent.fallback.clone(),
        capabilities: agent.capabilities.clone(),
    }
}

fn fill_kind(kind: &AgentKind<Template>, values: &Values) -> AgentKind {
    match kind {
        AgentKind::Builtin(name) => AgentKind::Builtin(name.clone()),
        AgentKind::Command(Command { argv, reads, exit_ok, sandbox }) => {
            let fill = |argument: &Argument<Template>| match argument {
                Argument::Files => Some(Argument::Files),
                Argument::Text(text) => text.fill(values).map(Argument::Text),
            };
            AgentKind::Command(Command {
                argv: argv.iter().filter_map(fill).collect(),
                reads: *reads,
                exit_ok: exit_ok.clone(),
                sandbox: sandbox.clone(),
            })
        }
        AgentKind::Process(Process { argv, heartbeat, sandbox }) => AgentKind::Process(Process {
            argv: argv.iter().filter_map(|text| text.fill(values)).collect(),
            heartbeat: *heartbeat,
            sandbox: sandbox.clone(),
        }),
        AgentKind::Actor(Actor { name, with }) => AgentKind::Actor(Actor {
            name: name.clone(),
            with: with.iter().filter_map(|entry| fill_entry(entry, values)).collect(),
        }),
    }
}

fn fill_pattern(pattern: &MapReduce<Template>, values: &Values) -> MapReduce {
    MapReduce {
        name: pattern.name.clone(),
        split: fill_split(&pattern.split, values),
        workers: pattern.workers.clone(),
        assign: pattern.assign,
        retry: pattern.retry,
        speculate: pattern.speculate,
        on_partial_failure: pattern.on_partial_failure,
        timeout: pattern.timeout,
        reduce: pattern.reduce.clone(),
        after: pattern.after.clone(),
    }
}

fn fill_split(split: &Split<Template>, values: &Values) -> Split {
    Split {
        source: split.source,
        by: split.by.clone(),
        path: split.path.fill(values).unwrap_or_else(|| ".".to_owned()),
        diff: split.diff.as_ref().and_then(|diff| diff.fill(values)),
        max_bytes: split.max_bytes,
        max_files: split.max_files,
    }
}

/// Fills in a JSON value; `None` when it is one input alone that has no value.
pub(super) fn fill_json(value: &Json, values: &Values) -> Option<Json> {
    match value {
        Json::String(text) => Template::new(text).fill(values).map(Json::String),
        Json::Array(items) => {
            Some(items.iter().filter_map(|item| fill_json(item, values)).collect())
        }
        Json::Object(entries) => {
            Some(entries.iter().filter_map(|entry| fill_entry(entry, values)).collect())
        }
        Json::Null | Json::Bool(_) | Json::Number(_) => Some(value.clone()),
    }
}

fn fill_entry((key, value): (&String, &Json), values: &Values) -> Option<(String, Json)> {
    fill_json(value, values).map(|value| (key.clone(), value))
}

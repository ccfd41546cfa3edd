//! Checks that agents and models of swarms have one kind, and the keys of that kind alone.

use super::super::keys::{AGENT, AGENT_KINDS, Form, SWARM_MODEL, Shape};
use super::super::problem::{At, Problem};
use super::super::suggest::list;
use super::super::tree::{Entry, Table};
use super::Checker;

impl Checker<'_> {
    /// Checks that an agent has one kind, and only the keys of that kind.
    pub(super) fn agent_kind(&mut self, entry: &Entry, agent: &Table, path: &str) {
        let kinds: Vec<&Entry> = agent
            .entries
            .iter()
            .filter(|entry| AGENT_KINDS.contains(&entry.key.as_str()))
            .collect();
        match kinds.as_slice() {
            [kind] => self.kind_keys((entry.key_at, agent), (&AGENT, &kind.key), path),
            [first, second, ..] => {
                let problem = Problem::new(second.key_at, format!("`{path}` has two kinds"))
                    .label(format!("it is a `{}` here", second.key))
                    .also(first.key_at, format!("and a `{}` here", first.key))
                    .help_with("make two agents of it, or delete one of the two keys");
                self.problems.push(problem);
            }
            [] if agent.entries.iter().all(|entry| AGENT.key(&entry.key).is_some()) => {
                let kinds = list(AGENT_KINDS);
                let problem = Problem::new(entry.key_at, format!("`{path}` has no kind"))
                    .label("what does the work?")
                    .help_with(format!("give it exactly one of the keys {kinds}"));
                self.problems.push(problem);
            }
            [] => {}
        }
    }

    /// Checks that a model of a swarm has only the keys of its kind.
    pub(super) fn model_kind(&mut self, at: At, model: &Table, path: &str) {
        let Some(kind) = model.node("use").and_then(|node| node.value.text()) else { return };
        let choice = SWARM_MODEL.key("use").map(|key| &key.form);
        if matches!(choice, Some(Form::Choice { known, .. }) if known.contains(&kind)) {
            self.kind_keys((at, model), (&SWARM_MODEL, kind), path);
        }
    }

    fn kind_keys(&mut self, (at, table): (At, &Table), (shape, kind): (&Shape, &str), path: &str) {
        let what = if std::ptr::eq(shape, &raw const AGENT) { "agent" } else { "model" };
        for key in shape.keys.iter().filter(|key| !key.only.is_empty()) {
            let belongs = key.only.contains(&kind);
            match table.entry(key.name) {
                None if belongs && key.required => self.missing(key, at, &format!("`{path}`")),
                Some(found) if !belongs => {
                    let message = format!("a `{kind}` {what} has no `{}`", key.name);
                    let problem = Problem::new(found.key_at, message)
                        .label(format!("only for {}", list(key.only)))
                        .help_with("delete it");
                    self.problems.push(problem);
                }
                _ => {}
            }
        }
    }
}

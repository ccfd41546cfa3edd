//! A graph as the lines of a tree, for text and for the terminal.
//!
//! # Invariants
//! - No name and no reason of a program's actors can steer a terminal: control characters are escaped.
//! - The lines of a tree take room linear in its actors, however deep it is.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::{self, Write as _},
};

use protocol::Value;

use super::{ActorNode, ActorState, Graph, Observed};
use crate::{
    actor::ActorId,
    limits::{GRAPH_LEVELS_SHOWN, GRAPH_REASON_CHARS_MAX},
    supervisor::ChildKind,
};

/// One line of a tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row<'a> {
    /// The lines that join it to its parent.
    pub branch: String,
    /// The actor's own part of its name, or how many siblings are left out here.
    pub name: String,
    /// The actor; none where siblings are left out.
    pub actor: Option<&'a ActorNode>,
    /// What is worth saying of it: restarts and their reason, waits, senders in line; or the states of those left out.
    pub note: String,
    /// What the actor shows of its state, in short.
    pub shows: String,
}

impl Row<'_> {
    /// What the actor is: `supervisor`, or the last part of its type's name.
    pub fn kind(&self) -> &str {
        match self.actor {
            Some(actor) if actor.kind == ChildKind::Supervisor => "supervisor",
            Some(actor) => short(actor.actor),
            None => "",
        }
    }
}

impl Graph {
    /// The tree line by line, parents before their children and siblings in the order of their start.
    ///
    /// Of more than `siblings` that are no supervisors, those with the most to tell are shown, in their order; one line stands for the others.
    pub fn rows(&self, siblings: usize) -> Vec<Row<'_>> {
        let mut children: BTreeMap<Option<ActorId>, Vec<&ActorNode>> = BTreeMap::new();
        for actor in &self.actors {
            let parent = actor.parent.filter(|parent| self.get(*parent).is_some());
            children.entry(parent).or_default().push(actor);
        }
        let mut rows = Vec::new();
        let roots = children.remove(&None).unwrap_or_default();
        let mut stack = vec![Siblings::of(roots, siblings, String::new(), false)];
        while let Some(mut level) = stack.pop() {
            let Some(item) = level.next() else { continue };
            let (branch, below) = level.branches();
            let row = match item {
                Item::Actor(actor) => self.row(actor, branch),
                Item::Rest(rest) => left_out(&rest, branch),
            };
            let own = row.actor.and_then(|actor| children.remove(&Some(actor.id)));
            rows.push(row);
            stack.push(level);
            stack.extend(own.map(|own| Siblings::of(own, siblings, below, true)));
        }
        rows
    }

    fn row<'a>(&'a self, actor: &'a ActorNode, branch: String) -> Row<'a> {
        let parent = actor.parent.and_then(|parent| self.get(parent));
        let own =
            parent.and_then(|parent| actor.name.strip_prefix(&*parent.name)?.strip_prefix('/'));
        let name = clean(own.unwrap_or(&actor.name));
        let shows = actor.shows.as_ref().map(shown).unwrap_or_default();
        Row { branch, name, actor: Some(actor), note: self.note(actor), shows }
    }

    fn note(&self, actor: &ActorNode) -> String {
        let mut notes = Vec::new();
        match (actor.restarts, actor.last_exit.as_deref().map(cut)) {
            (0, None) => {}
            (0, Some(why)) => notes.push(why),
            (1, why) => notes.push(format!("1 restart: {}", why.unwrap_or_default())),
            (n, why) => notes.push(format!("{n} restarts: {}", why.unwrap_or_default())),
        }
        if actor.senders > 0 {
            notes.push(format!("{} in line", actor.senders));
        }
        let waits: BTreeSet<ActorId> =
            actor.waits.iter().flat_map(|wait| wait.on.iter().copied()).collect();
        if !waits.is_empty() {
            let names: Vec<String> = waits.iter().take(3).map(|id| self.called(*id)).collect();
            let more = if waits.len() > names.len() { ", …" } else { "" };
            notes.push(format!("waits for {}{more}", names.join(", ")));
        }
        notes.join("; ")
    }

    fn called(&self, id: ActorId) -> String {
        self.get(id).map_or_else(|| id.to_string(), |actor| clean(&actor.name))
    }
}

impl fmt::Display for Graph {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for row in self.rows(usize::MAX) {
            let Some(actor) = row.actor else { continue };
            let Row { branch, name, note, shows, .. } = &row;
            let (kind, state) = (row.kind(), actor.state.as_str());
            write!(out, "{branch}{name}  {kind}  {state}  {}/{}", actor.queued, actor.capacity)?;
            for more in [note, shows].into_iter().filter(|more| !more.is_empty()) {
                write!(out, "  {more}")?;
            }
            out.write_char('\n')?;
        }
        if self.left_out > 0 {
            writeln!(out, "… {} more actors", self.left_out)?;
        }
        Ok(())
    }
}

/// The children of one actor that are still to be shown.
struct Siblings<'a> {
    /// Last first.
    items: Vec<Item<'a>>,
    prefix: String,
    /// Roots are joined to nothing.
    joined: bool,
}

enum Item<'a> {
    Actor(&'a ActorNode),
    Rest(Vec<&'a ActorNode>),
}

impl<'a> Siblings<'a> {
    fn of(all: Vec<&'a ActorNode>, most: usize, prefix: String, joined: bool) -> Self {
        let (shown, rest) = fold(all, most);
        let mut items: Vec<Item<'a>> = shown.into_iter().map(Item::Actor).collect();
        if !rest.is_empty() {
            items.push(Item::Rest(rest));
        }
        items.reverse();
        Self { items, prefix, joined }
    }

    fn next(&mut self) -> Option<Item<'a>> {
        self.items.pop()
    }

    /// How the line of the one taken last begins, and those below it.
    fn branches(&self) -> (String, String) {
        let Self { prefix, items, joined } = self;
        let deep = prefix.chars().count() >= GRAPH_LEVELS_SHOWN * 3;
        match (*joined, items.is_empty()) {
            (false, _) => (String::new(), String::new()),
            (true, _) if deep => (format!("{prefix}⋯ "), prefix.clone()),
            (true, false) => (format!("{prefix}├─ "), format!("{prefix}│  ")),
            (true, true) => (format!("{prefix}└─ "), format!("{prefix}   ")),
        }
    }
}

/// Parts siblings into those that are shown and those that one line stands for; both keep their order.
fn fold(all: Vec<&ActorNode>, most: usize) -> (Vec<&ActorNode>, Vec<&ActorNode>) {
    if all.len() <= most {
        return (all, Vec::new());
    }
    let mut by_news = all.clone();
    by_news.sort_by_key(|actor| std::cmp::Reverse(news(actor)));
    let shown: BTreeSet<ActorId> = by_news.iter().take(most).map(|actor| actor.id).collect();
    all.into_iter().partition(|actor| shown.contains(&actor.id))
}

/// How much there is to tell of an actor: supervisors first, then who fails, is not well, or has much to do.
fn news(actor: &ActorNode) -> (bool, u32, bool, usize, bool) {
    use ActorState::{Idle, Running, Working};
    let unwell = !matches!(actor.state, Idle | Working | Running);
    (actor.kind == ChildKind::Supervisor, actor.restarts, unwell, actor.queued, actor.state != Idle)
}

fn left_out<'a>(rest: &[&ActorNode], branch: String) -> Row<'a> {
    let mut states: BTreeMap<ActorState, usize> = BTreeMap::new();
    for actor in rest {
        *states.entry(actor.state).or_default() += 1;
    }
    let states: Vec<String> =
        states.iter().map(|(state, count)| format!("{count} {}", state.as_str())).collect();
    let (name, shows) = (format!("… {} more", rest.len()), String::new());
    Row { branch, name, actor: None, note: states.join(", "), shows }
}

/// What an actor shows, on one line: of an object its keys with their values, without what is null, false or empty.
fn shown(observed: &Observed) -> String {
    let text = match observed {
        Observed::Unanswered(_) => "does not answer".to_owned(),
        Observed::State(Value::Object(fields)) => {
            let fields = fields.iter().filter_map(|(key, value)| field(key, value));
            fields.collect::<Vec<_>>().join(", ")
        }
        Observed::State(Value::Null) => String::new(),
        Observed::State(value) => value.to_string(),
    };
    cut(&text)
}

fn field(key: &str, value: &Value) -> Option<String> {
    match value {
        Value::Null | Value::Bool(false) => None,
        Value::Bool(true) => Some(key.to_owned()),
        Value::String(text) if text.is_empty() => None,
        Value::String(text) => Some(format!("{key} {text}")),
        Value::Array(all) if all.is_empty() => None,
        Value::Object(all) if all.is_empty() => None,
        Value::Number(_) | Value::Array(_) | Value::Object(_) => Some(format!("{key} {value}")),
    }
}

/// The last part of a type's name, without what it is generic over.
fn short(name: &str) -> &str {
    let plain = name.split('<').next().unwrap_or(name);
    plain.rsplit("::").next().unwrap_or(plain)
}

fn cut(reason: &str) -> String {
    match reason.char_indices().nth(GRAPH_REASON_CHARS_MAX) {
        Some((at, _)) => format!("{}…", clean(reason.get(..at).unwrap_or(reason))),
        None => clean(reason),
    }
}

/// Escapes control characters, and those that turn the direction of writing.
pub fn clean(text: &str) -> String {
    let mut cleaned = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}') {
            // Writing to a string cannot fail.
            write!(cleaned, "{}", c.escape_default()).ok();
        } else {
            cleaned.push(c);
        }
    }
    cleaned
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::waits::WaitsFor;

    fn actor(id: u64, parent: u64, name: &str) -> ActorNode {
        let id_of = |id| ActorId::new(id, 0);
        ActorNode {
            id: id_of(id),
            name: name.to_owned(),
            kind: ChildKind::Worker,
            actor: "app::Worker<alloc::string::String>",
            parent: (parent > 0).then(|| id_of(parent)),
            state: ActorState::Idle,
            queued: 0,
            capacity: 8,
            senders: 0,
            incarnation: 1,
            restarts: 0,
            last_exit: None,
            watches: Vec::new(),
            waits: Vec::new(),
            shows: None,
        }
    }

    fn graph(actors: Vec<ActorNode>) -> Graph {
        Graph { taken_at: 0, actors, left_out: 0 }
    }

    #[test]
    fn a_tree_shows_who_stands_below_whom_and_what_happened_to_them() {
        let mut actors = vec![
            actor(1, 0, "top"),
            actor(2, 1, "top/inner"),
            actor(3, 1, "top/last"),
            actor(4, 2, "top/inner/a\u{1b}[2J"),
            actor(5, 99, "gone/orphan"),
        ];
        actors[0].kind = ChildKind::Supervisor;
        actors[2].restarts = 2;
        actors[2].last_exit = Some("crashed: poison".to_owned());
        actors[3].state = ActorState::Waiting;
        let on = vec![ActorId::new(3, 0)];
        actors[3].waits.push(WaitsFor { handler: 0, need: 1, on, elsewhere: 0 });
        let shown = graph(actors).to_string();
        let expected = "\
top  supervisor  idle  0/8
├─ inner  Worker  idle  0/8
│  └─ a\\u{1b}[2J  Worker  waiting  0/8  waits for top/last
└─ last  Worker  idle  0/8  2 restarts: crashed: poison
gone/orphan  Worker  idle  0/8
";
        assert_eq!(shown, expected);
    }

    #[test]
    fn many_siblings_are_folded_and_those_with_news_are_shown() {
        let mut actors = vec![actor(1, 0, "top")];
        actors.extend((2..102).map(|id| actor(id, 1, &format!("top/{id}"))));
        actors[50].restarts = 1;
        actors[70].queued = 3;
        actors[90].state = ActorState::Running;
        let graph = graph(actors);
        let rows = graph.rows(2);
        let names: Vec<&str> = rows.iter().map(|row| &*row.name).collect();
        assert_eq!(names, ["top", "51", "71", "… 98 more"]);
        assert_eq!(rows.last().unwrap().note, "97 idle, 1 running");
    }

    #[test]
    fn what_an_actor_shows_stands_on_its_line_in_short() {
        let mut actors = vec![actor(1, 0, "till"), actor(2, 0, "stuck"), actor(3, 0, "seven")];
        let state = serde_json::json!({
            "left": 3, "open": true, "shut": false, "breaker": null, "of": "x\n", "all": [], "by": {"a": 1}
        });
        actors[0].shows = Some(Observed::State(state));
        actors[1].shows = Some(Observed::Unanswered("no answer".to_owned()));
        actors[2].shows = Some(Observed::State(7.into()));
        let expected = "\
till  Worker  idle  0/8  by {\"a\":1}, left 3, of x\\n, open
stuck  Worker  idle  0/8  does not answer
seven  Worker  idle  0/8  7
";
        assert_eq!(graph(actors).to_string(), expected);
    }

    #[test]
    fn a_deep_tree_takes_no_more_room_than_its_actors() {
        let actors: Vec<ActorNode> = (1..20_000).map(|id| actor(id, id - 1, "x")).collect();
        let graph = graph(actors);
        let rows = graph.rows(usize::MAX);
        assert_eq!(rows.len(), 19_999);
        assert!(rows.iter().all(|row| row.branch.len() < GRAPH_LEVELS_SHOWN * 9 + 9));
    }
}

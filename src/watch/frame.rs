//! One frame of the live graph: a pure function of the graph, of what stands above and below it, and of the terminal's size.

use std::collections::BTreeMap;

use runtime::{
    graph::{ActorState, Graph, Row, clean},
    supervisor::ChildKind,
};
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use crate::limits::{WATCH_FOOT_LINES, WATCH_LINES_BESIDE};

/// How large a terminal is, in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// Characters of a line.
    pub columns: usize,
    /// Lines.
    pub rows: usize,
}

/// How a piece of text is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    /// As text is.
    Plain,
    /// Bold.
    Strong,
    /// Dim.
    Faint,
    /// Green.
    Good,
    /// Yellow.
    Warn,
    /// Red.
    Bad,
}

/// One line of a frame: pieces of text that together are no wider than the terminal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line(pub Vec<(Tone, String)>);

impl Line {
    /// The line without tones.
    pub fn text(&self) -> String {
        self.0.iter().map(|(_, text)| text.as_str()).collect()
    }
}

/// Draws `graph` below the lines of `head` and above the last lines of `foot`, on a terminal of this size.
///
/// Siblings that do not fit are folded into a line that counts them; what still does not fit is counted too. No line is wider
/// than the terminal, and there are no more lines than it has.
pub fn frame(graph: &Graph, head: &[String], foot: &[String], size: Size) -> Vec<Line> {
    let foot = foot.get(foot.len().saturating_sub(WATCH_FOOT_LINES)..).unwrap_or_default();
    let mut above: Vec<(Tone, String)> = Vec::new();
    for (at, line) in head.iter().enumerate() {
        above.push((if at == 0 { Tone::Strong } else { Tone::Plain }, clean(line)));
    }
    let space = size.rows.saturating_sub(above.len() + foot.len() + WATCH_LINES_BESIDE);
    let (rows, hidden) = fitting(graph, space);
    let widths = Widths::of(&rows, size.columns);
    let mut lines: Vec<Line> = above.into_iter().map(|span| Line(vec![span])).collect();
    lines.push(Line(vec![(Tone::Faint, widths.line(["ACTOR", "TYPE", "STATE", "QUEUE"], ""))]));
    lines.extend(rows.iter().map(|row| widths.row(row)));
    lines.push(Line(vec![(Tone::Faint, summary(graph, hidden))]));
    lines.extend(foot.iter().map(|line| Line(vec![(Tone::Faint, clean(line))])));
    lines.truncate(size.rows);
    lines.into_iter().map(|line| cut(line, size.columns)).collect()
}

/// The rows of the graph that fit into `space`, siblings folded as far as that takes, and how many do not.
pub(super) fn fitting(graph: &Graph, space: usize) -> (Vec<Row<'_>>, usize) {
    let mut siblings = space;
    let mut rows = graph.rows(siblings);
    while rows.len() > space && siblings > 1 {
        siblings /= 2;
        rows = graph.rows(siblings);
    }
    let hidden = rows.len().saturating_sub(space);
    rows.truncate(space);
    (rows, hidden)
}

fn summary(graph: &Graph, hidden: usize) -> String {
    let states: BTreeMap<ActorState, usize> = graph.states();
    let states: Vec<String> =
        states.iter().map(|(state, count)| format!("{count} {}", state.as_str())).collect();
    let restarts: u64 = graph.actors.iter().map(|actor| u64::from(actor.restarts)).sum();
    let mut text = format!("{} actors: {}", graph.actors.len() + graph.left_out, states.join(", "));
    text.push_str(&format!("; {restarts} {}", if restarts == 1 { "restart" } else { "restarts" }));
    if hidden > 0 {
        text.push_str(&format!("; {hidden} lines more"));
    }
    text
}

/// The widths of the columns, in characters.
struct Widths([usize; 4]);

impl Widths {
    /// As wide as what they hold; where that is wider than the terminal the tree gives way, so that states and counts are seen.
    fn of(rows: &[Row<'_>], columns: usize) -> Self {
        let widest = |least: usize, width: &dyn Fn(&Row<'_>) -> usize| {
            rows.iter().map(width).max().unwrap_or(0).max(least)
        };
        let fifth = columns / 5;
        let kind = widest(4, &|row| row.kind().width()).min(fifth.clamp(4, 20));
        let (state, queue) = (8, widest(5, &|row| queue(row).width()));
        let note = widest(0, &|row| row.note.width()).min(fifth);
        let gaps = 8;
        let room = columns.saturating_sub(kind + state + queue + note + gaps);
        let tree = widest(5, &|row| row.branch.width() + row.name.width());
        Self([tree.min(room.max(columns * 3 / 10)), kind, state, queue])
    }

    fn line(&self, cells: [&str; 4], note: &str) -> String {
        let Self([tree, kind, state, queue]) = self;
        let [first, second, third, fourth] = cells;
        let first = pad(first, *tree);
        format!(
            "{first}  {}  {}  {}  {note}",
            pad(second, *kind),
            pad(third, *state),
            pad_left(fourth, *queue)
        )
    }

    fn row(&self, row: &Row<'_>) -> Line {
        let Self([tree, kind, state, queue_width]) = self;
        let Some(actor) = row.actor else {
            let text = pad(&format!("{}{}", row.branch, row.name), *tree);
            return Line(vec![(Tone::Faint, format!("{text}  {}", row.note))]);
        };
        let name_tone =
            if actor.kind == ChildKind::Supervisor { Tone::Strong } else { Tone::Plain };
        let branch = fit(&row.branch, *tree);
        let room = tree.saturating_sub(branch.width());
        let queue_tone = if actor.queued >= actor.capacity { Tone::Warn } else { Tone::Plain };
        Line(vec![
            (Tone::Faint, branch),
            (name_tone, pad(&row.name, room)),
            (Tone::Faint, format!("  {}  ", pad(row.kind(), *kind))),
            (tone(actor.state), pad(actor.state.as_str(), *state)),
            (queue_tone, format!("  {}  ", pad_left(&queue(row), *queue_width))),
            (if actor.restarts > 0 { Tone::Bad } else { Tone::Warn }, row.note.clone()),
            (Tone::Faint, if row.note.is_empty() { "" } else { "  " }.to_owned()),
            (Tone::Plain, row.shows.clone()),
        ])
    }
}

fn queue(row: &Row<'_>) -> String {
    row.actor.map_or_else(String::new, |actor| format!("{}/{}", actor.queued, actor.capacity))
}

const fn tone(state: ActorState) -> Tone {
    match state {
        ActorState::Idle => Tone::Faint,
        ActorState::Working | ActorState::Running => Tone::Good,
        ActorState::Starting | ActorState::Waiting | ActorState::Blocked => Tone::Warn,
        ActorState::Paused | ActorState::Stopping => Tone::Bad,
    }
}

/// Cuts a line where the terminal ends.
fn cut(line: Line, columns: usize) -> Line {
    let mut room = columns;
    let mut spans = Vec::new();
    for (tone, text) in line.0 {
        let text = fit(&text, room);
        room = room.saturating_sub(text.width());
        if !text.is_empty() {
            spans.push((tone, text));
        }
    }
    Line(spans)
}

/// The text, cut so that it is no wider than this.
fn fit(text: &str, columns: usize) -> String {
    if text.width() <= columns {
        return text.to_owned();
    }
    let mut fitted = String::new();
    let mut room = columns.saturating_sub(1);
    for c in text.chars() {
        let width = c.width().unwrap_or(0);
        if width > room {
            break;
        }
        room -= width;
        fitted.push(c);
    }
    if columns > 0 {
        fitted.push('…');
    }
    fitted
}

fn pad(text: &str, columns: usize) -> String {
    let fitted = fit(text, columns);
    let spaces = columns.saturating_sub(fitted.width());
    fitted + &" ".repeat(spaces)
}

fn pad_left(text: &str, columns: usize) -> String {
    let fitted = fit(text, columns);
    " ".repeat(columns.saturating_sub(fitted.width())) + &fitted
}

#[cfg(test)]
mod tests {
    use runtime::{actor::Actor, context::Cx, supervisor::Supervisor};

    use super::*;
    use crate::Node;

    const SIZE: Size = Size { columns: 80, rows: 12 };

    struct Worker;
    impl Actor for Worker {
        type Msg = ();
        fn handle(&mut self, (): (), _: &mut Cx<Self>) {}
    }

    /// The graph of two supervisors and so many workers, every one idle.
    fn graph(workers: usize) -> Graph {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let node = Node::in_memory().unwrap();
            let mut inner = Supervisor::one_for_one("inner");
            for n in 0..workers {
                inner = inner.child(format!("worker {n}"), || Worker);
            }
            node.supervise(Supervisor::one_for_all("top").supervisor(inner));
            let mut graph = node.graph();
            graph.actors.retain(|actor| actor.name.starts_with("top"));
            graph.actors.iter_mut().for_each(|actor| actor.state = ActorState::Idle);
            graph
        })
    }

    fn texts(lines: &[Line]) -> Vec<String> {
        lines.iter().map(|line| line.text().trim_end().to_owned()).collect()
    }

    #[test]
    fn a_frame_shows_the_tree_its_queues_and_why_actors_were_restarted() {
        let mut graph = graph(2);
        let worker = &mut graph.actors[3];
        (worker.restarts, worker.queued, worker.state) = (2, 7, ActorState::Running);
        worker.last_exit = Some("crashed: poison".to_owned());
        let head = ["the run".to_owned(), "1 of 2 done".to_owned()];
        let lines = frame(&graph, &head, &["a warning".to_owned()], SIZE);
        let expected = [
            "the run",
            "1 of 2 done",
            "ACTOR           TYPE        STATE      QUEUE",
            "top             supervisor  idle      0/1024",
            "└─ inner        supervisor  idle      0/1024",
            "   ├─ worker 0  Worker      idle      0/1024",
            "   └─ worker 1  Worker      running   7/1024  2 restarts: crashed: poison",
            "4 actors: 3 idle, 1 running; 2 restarts",
            "a warning",
        ];
        assert_eq!(texts(&lines), expected);
        assert_eq!(lines[0].0[0].0, Tone::Strong);
        assert!(lines[6].0.contains(&(Tone::Bad, "2 restarts: crashed: poison".to_owned())));
        assert!(lines[6].0.contains(&(Tone::Good, "running ".to_owned())));
    }

    #[test]
    fn on_eighty_columns_the_id_of_a_run_gives_way_to_states_and_counts() {
        let mut graph = graph(2);
        let run = &mut graph.actors[3];
        run.name = "top/inner/01990f5e-8a4b-7c3d-9e2f-0123456789ab".to_owned();
        run.actor = "coordinator::Coordinator";
        (run.queued, run.state) = (7, ActorState::Running);
        let wide = texts(&frame(&graph, &[], &[], Size { columns: 120, rows: 12 }));
        assert!(wide[4].contains("0123456789ab  Coordinator  running   7/1024"), "{wide:?}");
        graph.actors[3].restarts = 1;
        graph.actors[3].last_exit = Some("crashed: the journal is gone".to_owned());
        let narrow = texts(&frame(&graph, &[], &[], SIZE));
        let run =
            "   └─ 01990f5e-8a4b-7c3d-9e2f-…  Coordinator  running   7/1024  1 restart: cras…";
        assert_eq!(narrow[4], run);
    }

    #[test]
    fn more_siblings_than_fit_are_folded_and_those_with_news_stay() {
        let mut graph = graph(1_000);
        graph.actors[700].restarts = 1;
        let lines = texts(&frame(&graph, &[], &[], SIZE));
        assert!(lines.len() <= SIZE.rows, "{lines:?}");
        assert!(lines.iter().any(|line| line.contains("1 restart")), "{lines:?}");
        assert!(
            lines.iter().any(|line| line.contains(" more  ") && line.contains(" idle")),
            "{lines:?}"
        );
        assert!(lines.last().unwrap().starts_with("1002 actors: 1002 idle"), "{lines:?}");
    }

    #[test]
    fn no_frame_is_larger_than_its_terminal() {
        let mut graph = graph(9);
        graph.actors[2].name =
            "top/inner/工作者工作者工作者工作者工作者工作者工作者工作者".to_owned();
        let head = ["工".repeat(200)];
        for columns in [0, 1, 2, 3, 10, 37, 80, 200] {
            for rows in [0, 1, 2, 3, 7, 40] {
                let lines = frame(&graph, &head, &head, Size { columns, rows });
                assert!(lines.len() <= rows, "{columns} {rows}");
                assert!(
                    lines.iter().all(|line| line.text().width() <= columns),
                    "{columns} {rows}"
                );
            }
        }
    }
}

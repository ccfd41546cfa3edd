//! Looks at a node again and again without waiting for it: the graph, with what those actors show that a frame has room for.

use std::collections::BTreeSet;

use futures_util::future::{BoxFuture, FutureExt};
use runtime::{actor::ActorId, graph::Graph, node::Node};

use super::frame::{Size, fitting};
use crate::limits::{LOOK_WAIT, WATCH_LINES_BESIDE};

/// One look at a time.
#[derive(Default)]
pub struct Looking(Option<BoxFuture<'static, Graph>>);

impl Looking {
    /// Gives what the look before saw, if it is done by now, and begins the next one: at the actors that a frame of this size shows
    /// beside so many lines.
    pub fn next(&mut self, node: &Node, size: Size, beside: usize) -> Option<Graph> {
        let seen = self.0.as_mut().and_then(FutureExt::now_or_never);
        if seen.is_some() || self.0.is_none() {
            let mut look = look(node.clone(), size.rows.saturating_sub(beside)).boxed();
            // Begins it: the actors have until the next drawing to show their states.
            let first = (&mut look).now_or_never();
            self.0 = first.is_none().then_some(look);
            return seen.or(first);
        }
        seen
    }
}

async fn look(node: Node, room: usize) -> Graph {
    let mut graph = node.graph();
    let (rows, _) = fitting(&graph, room.saturating_sub(WATCH_LINES_BESIDE));
    let shown: BTreeSet<ActorId> = rows.iter().filter_map(|row| Some(row.actor?.id)).collect();
    drop(rows);
    node.observe_in(&mut graph, &shown, LOOK_WAIT).await;
    graph
}

impl std::fmt::Debug for Looking {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Looking")
    }
}

//! The graph where nothing can be drawn: its tree once, then a line for each restart.

use std::{
    collections::BTreeMap,
    io::{self, Write},
};

use runtime::{
    actor::ActorId,
    graph::{ActorNode, Graph, clean},
};

/// What was told already.
#[derive(Debug, Default)]
pub(super) struct News {
    begun: bool,
    restarts: BTreeMap<ActorId, u32>,
}

impl News {
    /// Writes what is new to standard error.
    pub(super) fn tell(&mut self, graph: &Graph) -> io::Result<()> {
        let news = self.of(graph);
        if news.is_empty() { Ok(()) } else { io::stderr().lock().write_all(news.as_bytes()) }
    }

    fn of(&mut self, graph: &Graph) -> String {
        let mut news = if self.begun { String::new() } else { graph.to_string() };
        for actor in &graph.actors {
            let told = self.restarts.insert(actor.id, actor.restarts).unwrap_or(0);
            if self.begun && actor.restarts > told {
                news.push_str(&line(actor));
            }
        }
        self.begun = true;
        self.restarts.retain(|id, _| graph.get(*id).is_some());
        news
    }
}

fn line(actor: &ActorNode) -> String {
    let noun = if actor.restarts == 1 { "restart" } else { "restarts" };
    let why = clean(actor.last_exit.as_deref().unwrap_or_default());
    format!("{}: {} {noun}: {why}\n", clean(&actor.name), actor.restarts)
}

#[cfg(test)]
mod tests {
    use runtime::{actor::Actor, context::Cx, spawn::Spawn};

    use super::*;
    use crate::Node;

    struct Till;
    impl Actor for Till {
        type Msg = ();
        fn handle(&mut self, (): (), _: &mut Cx<Self>) {}
    }

    #[tokio::test]
    async fn the_tree_is_told_once_and_then_each_restart() {
        let node = Node::in_memory().unwrap();
        drop(node.spawn(Spawn::named("till"), || Till));
        let (mut graph, mut news) = (node.graph(), News::default());
        let tree = news.of(&graph);
        assert!(tree.contains("till  Till  "), "{tree}");
        assert_eq!(news.of(&graph), "");
        let till = graph.actors.iter_mut().find(|actor| actor.name == "till").unwrap();
        (till.restarts, till.last_exit) = (1, Some("crashed: no such coin".to_owned()));
        assert_eq!(news.of(&graph), "till: 1 restart: crashed: no such coin\n");
        assert_eq!(news.of(&graph), "");
    }
}

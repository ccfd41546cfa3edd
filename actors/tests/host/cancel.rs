//! A run of 10,000 actors in four levels, some of whom wait for programs with grandchildren, is cancelled: nothing is left.

use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use runtime::{
    actor::{Actor, ExitReason},
    budget::{Budget, Cost, Limits},
    clock::Moment,
    context::Cx,
    node::Node,
    spawn::Spawn,
};
use serde_json::Value;
use synod_actors::{
    agent::{Behaviour, Part, Program, handle::Agent},
    system::AgentSystem,
};

use crate::bench::{Bench, Test, request_loop};
use crate::life::FAMILY;

pub(crate) const TABLE: &[Test] =
    &[("cancel::ten_thousand_actors_end_with_their_programs_and_spend_nothing", ends_all)];

/// No test waits longer for anything.
const PATIENCE: Duration = Duration::from_secs(60);
const MINUTE: Duration = Duration::from_secs(60);
const CHILDREN: usize = 22;
/// Leaves that wait for a program: two of each parent that has some, three levels down.
const PROGRAMS: usize = 8;

/// An actor with children, each with a level less; leaves wait for a program or spend without end.
#[derive(Clone)]
struct Branch {
    levels: u32,
    asks: bool,
    agent: Agent<Part, Value>,
    part: Part,
    handled: Arc<AtomicU64>,
}

impl Actor for Branch {
    type Msg = ();

    fn start(&mut self, cx: &mut Cx<Self>) {
        if let Some(levels) = self.levels.checked_sub(1) {
            for n in 0..CHILDREN {
                let child = Self { levels, asks: self.asks && n < 2, ..self.clone() };
                cx.spawn(Spawn::named(n.to_string()), move || child.clone());
            }
        } else if self.asks {
            cx.ask(&self.agent, self.part.clone(), 10 * MINUTE, |_| ());
        } else {
            cx.after(Duration::from_millis(5), ());
            cx.perform(std::future::pending::<()>(), |_| ());
        }
    }

    fn handle(&mut self, (): (), cx: &mut Cx<Self>) {
        self.handled.fetch_add(1, Ordering::Relaxed);
        let me = cx.me();
        cx.send(&me, ());
    }
}

async fn soon<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, work).await.expect("it does not end")
}

async fn until(what: &str, holds: impl Fn() -> bool) {
    let wait = async {
        while !holds() {
            tokio::task::yield_now().await;
        }
    };
    assert!(tokio::time::timeout(PATIENCE, wait).await.is_ok(), "{what} does not hold");
}

fn ends_all(bench: &Bench) {
    let pipe = bench.pipe();
    // Each says who it is, takes a question, starts a child and an orphan that leave the session, and never answers.
    let body = request_loop("echo asked >&3; sleep 1000");
    let programs: Vec<Arc<dyn Behaviour<Part, Value>>> = (0..PROGRAMS)
        .map(|_| {
            let program = Program::new(["sh", "-c", &format!("{FAMILY}\n{body}")]);
            Arc::new(bench.process_of(program)) as Arc<dyn Behaviour<Part, Value>>
        })
        .collect();
    let (part, handled) = (bench.part(), Arc::<AtomicU64>::default());
    let run = Budget::root("run", Limits::default(), Moment::START);
    let (node, root, counted) = bench.runtime.block_on(async {
        let node = Node::in_memory().unwrap();
        let system = AgentSystem::start(node.clone());
        let agent = system.agent_each("family", move |n| Arc::clone(&programs[n]));
        let agent = agent.count(PROGRAMS).start().unwrap();
        let branch = Branch { levels: 3, asks: true, agent, part, handled: Arc::clone(&handled) };
        let root = node.spawn(Spawn::named("root").budget(run.clone()), move || branch.clone());
        (node, root, handled)
    });
    let mut lines: Vec<String> = (0..3 * PROGRAMS).map(|_| pipe.line()).collect();
    lines.sort();
    let words: Vec<&str> =
        ["asked", "orphan", "parent"].iter().flat_map(|word| [*word; PROGRAMS]).collect();
    assert_eq!(lines, words);
    let below = || node.actors().iter().filter(|actor| actor.name().starts_with("root")).count();
    let all = 1 + CHILDREN + CHILDREN * CHILDREN + CHILDREN * CHILDREN * CHILDREN;
    bench.runtime.block_on(async {
        until("all are born and some spend", || below() == all && run.spent().messages > 0).await;
        root.cancel();
        assert_eq!(soon(root.stopped()).await, ExitReason::Cancelled);
        until("nobody of the run is left", || below() == 0).await;
    });
    let (spent, steps) = (run.spent(), counted.load(Ordering::Relaxed));
    pipe.end();
    bench.runtime.block_on(until("no timer of theirs is left", || node.pending_timers() == 0));
    assert_eq!((spent.children, run.reserved()), (all as u64 - 1, Cost::ZERO));
    let after = (run.spent(), counted.load(Ordering::Relaxed));
    assert_eq!(after, (spent, steps), "nothing is spent or handled afterwards");
}

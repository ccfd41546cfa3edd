//! A run is cancelled, of whose parts programs with grandchildren do some, and 10,000 actors in four levels one: nothing is left.

use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc::{Receiver, channel},
    },
    time::Duration,
};

use runtime::{
    actor::Actor,
    budget::{Budget, Cost},
    context::Cx,
    node::Node,
    spawn::Spawn,
};
use serde_json::Value;
use synod_actors::{
    agent::{Behaviour, CallContext, Part, Program, handle::Agent},
    pattern::{
        FailureKind,
        map_reduce::{Branch as MapBranch, Collect, MapReduce, items},
    },
    system::AgentSystem,
};

use crate::bench::{Bench, Test, request_loop};
use crate::life::FAMILY;

pub(crate) const TABLE: &[Test] =
    &[("cancel::ten_thousand_actors_end_with_their_programs_and_spend_nothing", ends_all)];

/// No test waits longer for anything.
const PATIENCE: Duration = Duration::from_secs(60);
const CHILDREN: usize = 22;
/// Parts of the run that a program works on.
const PROGRAMS: usize = 8;

/// An actor with children, each with a level less; leaves spend without end.
#[derive(Clone)]
struct Branch {
    levels: u32,
    handled: Arc<AtomicU64>,
}

impl Actor for Branch {
    type Msg = ();

    fn start(&mut self, cx: &mut Cx<Self>) {
        if let Some(levels) = self.levels.checked_sub(1) {
            for n in 0..CHILDREN {
                let child = Self { levels, ..self.clone() };
                cx.spawn(Spawn::named(n.to_string()), move || child.clone());
            }
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

/// An agent that works by a tree of actors below it, charged to the run, and never ends by itself; shows the run's budget.
fn planter(
    system: &AgentSystem,
    handled: Arc<AtomicU64>,
) -> (Agent<Part, Value>, Receiver<Budget>) {
    let (shown, budgets) = channel();
    let plant = move |_: Part, cx: CallContext| {
        let (work, budget) =
            (cx.work.expect("it runs on a node"), cx.budget.expect("it runs for a run"));
        shown.send(budget.clone()).unwrap();
        let branch = Branch { levels: 3, handled: Arc::clone(&handled) };
        let root = work.spawn(Spawn::named("root").budget(budget), move || branch.clone());
        async move {
            root.stopped().await;
            Err("its tree is gone")
        }
    };
    (system.agent("tree", plant).start().unwrap(), budgets)
}

fn ends_all(bench: &Bench) {
    let pipe = bench.pipe();
    // Each says who it is, takes its part, starts a child and an orphan that leave the session, and never answers.
    let body = request_loop("echo asked >&3; sleep 1000");
    let programs: Vec<Arc<dyn Behaviour<Part, Value>>> = (0..PROGRAMS)
        .map(|_| {
            let program = Program::new(["sh", "-c", &format!("{FAMILY}\n{body}")]);
            Arc::new(bench.process_of(program)) as Arc<dyn Behaviour<Part, Value>>
        })
        .collect();
    let handled = Arc::<AtomicU64>::default();
    let _runtime = bench.runtime.enter();
    let node = Node::in_memory().unwrap();
    let system = AgentSystem::start(node.clone());
    let family = system.agent_each("family", move |n| Arc::clone(&programs[n]));
    let (tree, budgets) = planter(&system, Arc::clone(&handled));
    let takes = |kind: &'static str, agent: Agent<Part, Value>| MapBranch {
        narrow: Some(Arc::new(move |part: &Part| (part.kind == kind).then(|| part.clone()))),
        ..MapBranch::whole(&agent)
    };
    let part = |kind: &str| Part { kind: kind.to_owned(), ..bench.part() };
    let parts: Vec<Part> = [vec![part("program"); PROGRAMS], vec![part("tree")]].concat();
    let agents =
        vec![takes("program", family.count(PROGRAMS).start().unwrap()), takes("tree", tree)];
    let run = MapReduce::new(items(parts), agents, || Collect);
    let run = bench.runtime.block_on(system.run(run).start()).unwrap();

    let mut lines: Vec<String> = (0..3 * PROGRAMS).map(|_| pipe.line()).collect();
    lines.sort();
    let words: Vec<&str> =
        ["asked", "orphan", "parent"].iter().flat_map(|word| [*word; PROGRAMS]).collect();
    assert_eq!(lines, words);
    let budget = budgets.recv_timeout(PATIENCE).unwrap();
    let below = || node.actors().iter().filter(|actor| actor.name().contains("/root")).count();
    let all = 1 + CHILDREN + CHILDREN * CHILDREN + CHILDREN * CHILDREN * CHILDREN;
    bench.runtime.block_on(async {
        let spends = || budget.spent().messages > 1_000;
        until("all are born and spend", || below() == all && spends()).await;
        run.canceller().cancel();
        let error = soon(run.outcome()).await.unwrap_err();
        assert!(matches!(error.kind, FailureKind::Cancelled { .. }), "{error}");
        // The outcome waits for them no longer than the bound of quiescence, which a busy machine may reach.
        until("nobody of the run is left", || below() == 0).await;
    });
    let before = (budget.spent(), handled.load(Ordering::Relaxed));
    pipe.end();
    bench.runtime.block_on(until("no timer of theirs is left", || node.pending_timers() == 0));
    assert_eq!((before.0.children, budget.reserved()), (all as u64, Cost::ZERO));
    let after = (budget.spent(), handled.load(Ordering::Relaxed));
    assert_eq!(after, before, "nothing is spent or handled afterwards");
}

//! How whole subtrees end: in an order that repeats, and with nobody left below an actor that hangs.

use std::{sync::Arc, time::Duration};

use parking_lot::Mutex;
use synod_runtime::{
    actor::Actor,
    address::Addr,
    child::ChildRef,
    context::Cx,
    sim::{World, sim},
    spawn::Spawn,
};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

/// Who has started, by name.
type Started = Arc<Mutex<Vec<String>>>;

/// Has `width` children, down to `depth` levels below it, and starts one more when it is told so.
struct Nest {
    width: u32,
    depth: u32,
    started: Started,
}

impl Nest {
    fn child(&self, name: String, depth: u32, cx: &mut Cx<Self>) {
        let (width, started) = (self.width, Arc::clone(&self.started));
        let birth = move || Self { width, depth, started: Arc::clone(&started) };
        cx.spawn(Spawn::named(name), birth);
    }
}

impl Actor for Nest {
    type Msg = ();

    fn start(&mut self, cx: &mut Cx<Self>) {
        self.started.lock().push(cx.me().child().name().to_owned());
        for at in 0..self.width {
            if self.depth > 0 {
                self.child(at.to_string(), self.depth - 1, cx);
            }
        }
    }

    fn handle(&mut self, (): (), cx: &mut Cx<Self>) {
        self.child("late".to_owned(), 0, cx);
    }
}

/// A node with one tree, whose root ends within a second.
fn nest(world: &World, width: u32, depth: u32) -> Started {
    let started = Started::default();
    let log = Arc::clone(&started);
    world.node("one", move |node| {
        let started = Arc::clone(&log);
        let birth = move || Nest { width, depth, started: Arc::clone(&started) };
        node.spawn(Spawn::named("root").shutdown(SECOND), birth)
    });
    started
}

fn child(world: &World, name: &str) -> ChildRef {
    world.find::<()>("one", name).unwrap().child()
}

#[test]
fn a_cancelled_tree_ends_in_an_order_that_depends_on_the_seed_alone() {
    let cancelled = sim(|world| {
        let started = nest(world, 8, 2);
        let on = world.clone();
        world.client("canceller", async move {
            on.wait(SECOND).await;
            child(&on, "root").cancel();
        });
        started
    });
    for seed in 1..=10 {
        cancelled.check_seed(seed).unwrap();
    }
}

#[test]
fn those_below_an_actor_that_hangs_end_when_it_is_left_behind() {
    let world = World::new(1);
    nest(&world, 2, 3);
    world.run_for(SECOND);
    let names = ["root/0", "root/0/1", "root/0/1/0"];
    let below = names.map(|name| child(&world, name));
    world.hang("one", "root/0", MINUTE);
    child(&world, "root").stop();
    world.run_for(SECOND * 10);
    let living: Vec<&ChildRef> = below.iter().filter(|actor| actor.ended().is_none()).collect();
    assert!(living.is_empty(), "{living:?}");
    let left: Vec<ChildRef> = world.get("one").unwrap().actors();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn whoever_is_left_behind_before_its_first_turn_never_starts() {
    let world = World::new(1);
    let started = nest(&world, 1, 1);
    world.run_for(SECOND);
    let parent: Addr<()> = world.find("one", "root/0").unwrap();
    world.hang("one", "root/0/late", MINUTE);
    parent.try_tell(()).unwrap();
    world.run_for(SECOND);
    let late = child(&world, "root/0/late");
    child(&world, "root").stop();
    world.run_for(SECOND * 10);
    assert!(late.ended().is_some(), "nobody waits for it any longer");
    world.run_for(MINUTE * 2);
    assert_eq!(*started.lock(), ["root", "root/0"]);
}

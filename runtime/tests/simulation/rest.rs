//! When a simulation is over and what of it counts: rest, faults that struck, seeds that ran, the command that replays one.

use std::time::Duration;

use synod_runtime::{
    actor::Actor,
    address::Addr,
    context::Cx,
    sim::{Fault, World, sim},
    spawn::Spawn,
};

/// Sends numbered messages to a sink.
struct Source(Addr<u64>);
impl Actor for Source {
    type Msg = u64;
    fn handle(&mut self, number: u64, cx: &mut Cx<Self>) {
        cx.send(&self.0, number);
    }
}

struct Sink;
impl Actor for Sink {
    type Msg = u64;
    fn handle(&mut self, _: u64, _: &mut Cx<Self>) {}
}

/// Two sources send 100 numbers each to one sink.
fn senders(world: &World) {
    world.node("one", |node| {
        let sink = node.spawn(Spawn::named("sink"), || Sink);
        for source in 0..2 {
            let sink = sink.clone();
            let from = node.spawn(Spawn::named(format!("{source}")), move || Source(sink.clone()));
            for number in 0..100 {
                from.try_tell(number).unwrap();
            }
        }
    });
}

/// Wakes itself up every tenth of a second, for ever.
struct Clock;
impl Actor for Clock {
    type Msg = ();
    fn start(&mut self, cx: &mut Cx<Self>) {
        cx.after(Duration::from_millis(100), ());
    }
    fn handle(&mut self, (): (), cx: &mut Cx<Self>) {
        cx.after(Duration::from_millis(100), ());
    }
}

fn with_clock(world: &World) {
    world.node("one", |node| {
        node.spawn(Spawn::named("clock"), || Clock);
    });
}

#[test]
fn a_world_that_does_not_come_to_rest_fails_and_says_who_is_at_work() {
    let failure = sim(with_clock).seeds(1).check().unwrap_err();
    let says =
        "does not come to rest within 60s after the last fault; still at work: clock on one\n";
    assert!(failure.problem.starts_with(says), "{failure}");
    assert!(failure.problem.contains("`with_periodic_actors()`"), "{failure}");
    let report = sim(with_clock).seeds(1).with_periodic_actors().run();
    assert!(report.steps > 500, "{report:?}");
}

#[test]
fn faults_by_steps_strike_a_scenario_however_short_it_is() {
    let struck = |faults: Vec<Fault>| {
        // All is done within a millisecond.
        sim(senders).seeds(20).faults(faults).storm_steps(200).run()
    };
    let report = struck(vec![Fault::Panic]);
    assert!(report.faults >= 20, "{report:?}");
    let by_time = sim(senders).seeds(20).faults([Fault::Panic]).run();
    assert!(by_time.faults <= 1, "{by_time:?}");
    assert!(struck(vec![Fault::Crash]).faults >= 20);
    assert_eq!(struck(vec![Fault::Duplicate]).faults, 0, "no type may come twice");
}

#[test]
fn no_planned_fault_strikes_a_world_that_was_told_to_be_calm() {
    let report = sim(|world| {
        senders(world);
        world.calm();
    });
    assert_eq!(report.seeds(5).faults(Fault::ALL).run().faults, 0);
}

#[test]
fn the_printed_command_names_the_test_whatever_thread_found_the_failure() {
    let stuck = || sim(|world| world.client("stuck", std::future::pending()));
    let alone = stuck().check().unwrap_err();
    let together = stuck().threads(3).check().unwrap_err();
    let name = "rest::the_printed_command_names_the_test_whatever_thread_found_the_failure";
    assert!(alone.replay.ends_with(&format!("=1 cargo test {name}")), "{}", alone.replay);
    assert!(together.replay.ends_with(&format!(" cargo test {name}")), "{}", together.replay);
}

#[test]
#[should_panic(expected = "`seeds(0)` runs nothing")]
fn to_run_no_seed_at_all_is_refused() {
    sim(with_clock).seeds(0).run();
}

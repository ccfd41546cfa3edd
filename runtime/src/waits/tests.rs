//! The reduction against an oracle that plays the graph, and the paths it names.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::{
    actor::ActorId,
    clock::{Random, SeededRandom},
};

fn actor(number: u64) -> ActorId {
    ActorId::new(number, 0)
}

fn waiter(number: u64, handlers: u32, handler: u64) -> Waiter {
    Waiter { actor: actor(number), name: format!("a{number}").into(), handlers, handler }
}

/// Waits of actors with one handler: who waits, how many of whom.
fn check(waits: &[(u64, usize, &[u64])], expected: Option<&str>) {
    let all = Waits::new(true);
    let mut edges = Vec::new();
    let mut path = None;
    for (by, need, of) in waits {
        let holders: Vec<Holder> = of.iter().map(|of| Holder::Actor(actor(*of))).collect();
        match all.open(|| waiter(*by, 1, 0), *need, holders) {
            Ok(edge) => edges.push(edge),
            Err(stuck) => path = Some(stuck.to_string()),
        }
    }
    assert_eq!(path.as_deref(), expected, "{waits:?}");
    assert_eq!(all.len(), edges.len());
    edges.clear();
    assert_eq!(all.len(), 0, "every edge leaves with its wait");
}

#[test]
fn a_circle_is_refused_where_it_closes_and_its_path_is_named() {
    check(&[(1, 1, &[2]), (2, 1, &[3]), (3, 1, &[1])], Some("a3 → a1 → a2 → a3"));
    check(&[(1, 1, &[1])], Some("a1 → a1"));
    check(&[(1, 1, &[2]), (2, 1, &[3]), (3, 1, &[4])], None);
}

#[test]
fn one_way_out_is_enough_for_any_and_a_quorum_but_not_for_all() {
    check(&[(2, 1, &[1]), (1, 1, &[2, 3])], None);
    check(&[(2, 1, &[1]), (1, 2, &[2, 3])], Some("a1 → a2 → a1"));
    check(&[(2, 1, &[1]), (1, 2, &[2, 3, 4])], None);
    check(&[(2, 1, &[1]), (3, 1, &[1]), (1, 2, &[2, 3, 4])], Some("a1 → a2 → a1"));
    check(&[(1, 2, &[2, 3])], None);
    check(&[(1, 2, &[2])], Some("a1"));
}

#[test]
fn a_waiter_beside_the_circle_is_not_blamed() {
    // The third waits for the circle of the first two; the second is refused, and the third waits on.
    check(&[(1, 1, &[2]), (3, 1, &[1]), (2, 1, &[1])], Some("a2 → a1 → a2"));
    // The shortest way is named, whatever stands first.
    check(&[(1, 1, &[2]), (2, 1, &[3, 4]), (3, 1, &[4]), (4, 1, &[1, 3])], Some("a4 → a3 → a4"));
}

#[test]
fn a_free_handler_answers_and_the_last_one_does_not() {
    let all = Waits::new(true);
    let pair = |handler| waiter(1, 2, handler);
    let first = all.open(|| pair(0), 1, Holder::Actor(actor(2))).unwrap();
    let second = all.open(|| waiter(2, 1, 0), 1, Holder::Actor(actor(1))).unwrap();
    assert!(first.is_some() && second.is_some(), "the other handler of the first can answer");
    let last = all.open(|| pair(1), 1, Holder::Actor(actor(2)));
    assert_eq!(last.unwrap_err().to_string(), "a1 → a2 → a1");
    // The question is taken by the handler that waits for its asker: its other handler is no help.
    let taken = second.unwrap();
    let passed = taken.passed(&all, Holder::Actor(actor(1)), Holder::Handler(actor(1), 0));
    assert_eq!(passed.unwrap_err().to_string(), "a2 → a1 → a2");
    assert_eq!(taken.passed(&all, Holder::Handler(actor(1), 0), Holder::Elsewhere), Ok(()));
}

#[test]
fn an_answer_lessens_the_need_and_a_failure_the_hope() {
    let all = Waits::new(true);
    let of = |number| Holder::Actor(actor(number));
    let quorum = all.open(|| waiter(1, 1, 0), 2, vec![of(2), of(3), of(4)]).unwrap().unwrap();
    let back = all.open(|| waiter(2, 1, 0), 1, of(1)).unwrap();
    assert!(back.is_some());
    assert_eq!(quorum.answered(&all, of(3), true), Ok(()));
    assert_eq!(quorum.answered(&all, of(4), false).unwrap_err().to_string(), "a1 → a2 → a1");
    assert_eq!(quorum.answered(&all, of(2), true), Ok(()));
    assert_eq!(all.len(), 1, "a wait that needs nothing has left");
}

#[test]
fn without_detection_nothing_is_kept_and_nothing_refused() {
    let all = Waits::new(false);
    assert!(all.open(|| waiter(1, 1, 0), 1, Holder::Actor(actor(1))).unwrap().is_none());
    assert_eq!(all.len(), 0);
}

/// A graph as the oracle sees it: who waits with which of its handlers, for how many of whom.
#[derive(Clone)]
struct Play {
    handlers: Vec<u32>,
    waits: Vec<Option<Wait>>,
}

impl Play {
    /// Lets whoever can answer do so, in any order, until nothing moves; what still waits then can never end.
    fn out(mut self) -> Vec<bool> {
        loop {
            let mut moved = false;
            for at in 0..self.waits.len() {
                let Some(mut wait) = self.waits[at].take() else { continue };
                // Waits still in play, the present one among them.
                self.waits[at] = Some(wait.clone());
                let answer =
                    wait.holders.all().iter().find(|holder| self.answers(**holder)).copied();
                if let Some(answer) = answer {
                    wait.holders.remove(answer);
                    wait.need -= 1;
                    self.waits[at] = (wait.need > 0).then_some(wait);
                    moved = true;
                }
            }
            if !moved {
                return self.waits.iter().map(Option::is_some).collect();
            }
        }
    }

    fn answers(&self, holder: Holder) -> bool {
        let busy = |actor: ActorId, handler: u64| {
            let mut waits = self.waits.iter().flatten().map(|wait| &wait.waiter);
            waits.any(|waiter| waiter.actor == actor && waiter.handler == handler)
        };
        match holder {
            Holder::Elsewhere => true,
            Holder::Handler(actor, handler) => !busy(actor, handler),
            Holder::Actor(of) => {
                let number = (0..).position(|number| actor(number) == of).unwrap();
                (0..self.handlers[number]).any(|handler| !busy(of, u64::from(handler)))
            }
        }
    }
}

struct Dice(SeededRandom);

impl Dice {
    fn below(&self, limit: usize) -> usize {
        usize::try_from(self.0.next_u64() % limit as u64).unwrap()
    }

    /// 1 to 4 handlers for each of 2 to 10 parties.
    fn handlers(&self) -> Vec<u32> {
        let handlers = || u32::try_from(1 + self.below(4)).unwrap();
        (0..2 + self.below(9)).map(|_| handlers()).collect()
    }

    /// A wait of some handler for 1 to 4 holders, of whom one, some or all must answer.
    fn wait(&self, handlers: &[u32]) -> Wait {
        let someone = || self.below(handlers.len());
        let handler = |of: usize| self.below(handlers[of] as usize) as u64;
        let by = someone();
        let holders: Vec<Holder> = (0..=self.below(4))
            .map(|_| {
                let of = someone();
                match self.below(8) {
                    0 => Holder::Elsewhere,
                    1 | 2 => Holder::Handler(actor(of as u64), handler(of)),
                    _ => Holder::Actor(actor(of as u64)),
                }
            })
            .collect();
        let need = match self.below(3) {
            0 => 1,
            1 => holders.len(),
            _ => 1 + self.below(holders.len()),
        };
        Wait {
            waiter: waiter(by as u64, handlers[by], handler(by)),
            need,
            holders: holders.into(),
            changes: 0,
        }
    }
}

#[test]
fn ten_thousand_random_graphs_agree_with_the_oracle() {
    let dice = Dice(SeededRandom::new(7));
    let (mut stuck, mut free) = (0_u32, 0_u32);
    for graph in 0..10_000 {
        let handlers = dice.handlers();
        let most = handlers.iter().sum::<u32>() as usize;
        let waits: Vec<Wait> = (0..=dice.below(most * 2)).map(|_| dice.wait(&handlers)).collect();
        let mut all = WaitGraph::default();
        for (number, wait) in (0..).zip(&waits) {
            all.insert((wait.waiter.actor, number), wait.clone());
        }
        let left = Play { handlers, waits: waits.iter().cloned().map(Some).collect() }.out();
        for ((number, wait), left) in (0..).zip(&waits).zip(left) {
            let path = all.stuck((wait.waiter.actor, number));
            assert_eq!(path.is_some(), left, "graph {graph}, wait {number} of {waits:?}");
            *(if left { &mut stuck } else { &mut free }) += 1;
            if let Some(path) = path {
                assert_eq!(path[0], wait.waiter.name, "the path begins with the waiter");
            }
        }
    }
    assert!(stuck > 10_000 && free > 10_000, "{stuck} stuck, {free} free");
}

#[test]
fn refusing_the_closing_edge_leaves_no_random_graph_stuck_and_names_a_real_circle() {
    let dice = Dice(SeededRandom::new(11));
    let mut refused = 0_u32;
    for _ in 0..1_000 {
        let handlers = dice.handlers();
        let (all, mut edges, mut waits) = (Waits::new(true), Vec::new(), Vec::new());
        for _ in 0..handlers.len() * 4 {
            let wait = dice.wait(&handlers);
            waits.push(Some(wait.clone()));
            match all.open(|| wait.waiter.clone(), wait.need, wait.holders) {
                Ok(edge) => edges.push(edge),
                Err(path) => {
                    waits.pop();
                    refused += 1;
                    let names = path.names();
                    assert_eq!(
                        names.first(),
                        names.last(),
                        "a new wait closes its own circle: {path}"
                    );
                    assert!(names.len() > 1, "{path}");
                }
            }
        }
        let left = Play { handlers, waits }.out();
        assert!(left.iter().all(|left| !left), "an accepted wait is stuck");
    }
    assert!(refused > 1_000, "{refused}");
}

/// An actor with one handler that calls, and the edge it has open.
struct Caller {
    number: u64,
    place: OnceLock<Arc<Word>>,
    edge: Option<CallEdge>,
    /// Whether it may wait in its word.
    plain: bool,
}

impl Caller {
    fn new(number: u64, plain: bool) -> Self {
        Self { number, place: OnceLock::new(), edge: None, plain }
    }

    fn call(&mut self, all: &Waits, of: u64) -> Option<WaitPath> {
        let (by, of) = (|| waiter(self.number, 1, 0), Holder::Actor(actor(of)));
        let opened = if self.plain {
            all.call(&self.place, by, of)
        } else {
            all.open(by, 1, of).map(|edge| edge.map(CallEdge::Graph))
        };
        match opened {
            Ok(edge) => self.edge = edge,
            Err(path) => return Some(path),
        }
        None
    }

    fn end(&mut self) {
        if let Some(CallEdge::Word) = self.edge.take() {
            self.place.get().unwrap().end();
        }
    }
}

#[test]
fn a_plain_call_is_a_word_and_every_other_wait_finds_it() {
    let all = Waits::new(true);
    let (mut first, mut second) = (Caller::new(1, true), Caller::new(2, true));
    assert_eq!(first.call(&all, 2), None);
    assert!(matches!(first.edge, Some(CallEdge::Word)));
    assert_eq!((all.len(), all.list().len()), (1, 1));
    assert_eq!(second.call(&all, 1).unwrap().to_string(), "a2 → a1 → a2");
    assert!(second.edge.is_none());
    assert_eq!(all.len(), 1, "what is refused leaves no word behind");
    // A second wait of the same actor is one of the graph; it needs both.
    let also = all.call(&first.place, || waiter(1, 1, 0), Holder::Actor(actor(3))).unwrap();
    assert!(matches!(also, Some(CallEdge::Graph(_))));
    assert_eq!(all.list().len(), 2);
    let third = all.open(|| waiter(3, 1, 0), 1, Holder::Actor(actor(1)));
    assert_eq!(third.unwrap_err().to_string(), "a3 → a1 → a3");
    first.end();
    assert_eq!(second.call(&all, 1), None, "the first waits for the third alone");
    drop(also);
    assert_eq!(all.len(), 1);
    all.forget(actor(2));
    assert_eq!(all.len(), 0);
}

/// Lets each of `waits` (who, for whom, as a plain call) begin on a thread of its own at the same moment, round after round.
///
/// Returns how often each was refused.
fn race(rounds: usize, waits: &[(u64, u64, bool)]) -> Vec<usize> {
    let (all, ready) = (Waits::new(true), AtomicUsize::new(0));
    let meet = |times: usize| {
        ready.fetch_add(1, Ordering::SeqCst);
        // They leave together only if nobody sleeps, but one thread may have to wait for another's place on the processor.
        for spins in 1_u32.. {
            if ready.load(Ordering::SeqCst) >= times * waits.len() {
                break;
            }
            if spins.is_multiple_of(4_096) {
                std::thread::yield_now();
            }
            std::hint::spin_loop();
        }
    };
    let run = |(by, of, plain): (u64, u64, bool)| {
        let mut caller = Caller::new(by, plain);
        let mut refused = Vec::new();
        for round in 0..rounds {
            meet(2 * round + 1);
            refused.push(caller.call(&all, of).is_some());
            meet(2 * round + 2);
            caller.end();
        }
        refused
    };
    let (run, mut sum) = (&run, vec![0; waits.len()]);
    let results: Vec<Vec<bool>> = std::thread::scope(|scope| {
        let threads: Vec<_> = waits.iter().map(|wait| scope.spawn(move || run(*wait))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    for round in 0..rounds {
        let refused = results.iter().filter(|results| results[round]).count();
        assert_eq!(refused, 1, "round {round} of {waits:?}");
        for (sum, results) in sum.iter_mut().zip(&results) {
            *sum += usize::from(results[round]);
        }
    }
    assert_eq!(all.len(), 0);
    sum
}

/// Lets each of `waits` begin and end on a thread of its own, over and over; they are a circle, so never are all of them open.
fn mill(times: usize, waits: &[(u64, u64, bool)]) {
    let (all, open) = (Waits::new(true), AtomicUsize::new(0));
    let run = |(by, of, plain): (u64, u64, bool)| {
        let mut caller = Caller::new(by, plain);
        for _ in 0..times {
            if caller.call(&all, of).is_none() {
                let others = open.fetch_add(1, Ordering::SeqCst);
                assert!(others + 1 < waits.len(), "all of {waits:?} are open");
                for _ in 0..20 {
                    std::hint::spin_loop();
                }
                open.fetch_sub(1, Ordering::SeqCst);
                caller.end();
            }
        }
    };
    let run = &run;
    std::thread::scope(|scope| {
        for wait in waits {
            scope.spawn(move || run(*wait));
        }
    });
    assert_eq!(all.len(), 0);
}

#[test]
fn no_circle_ever_stands_whoever_closes_it_at_the_same_moment() {
    for (first, second) in [(true, true), (true, false), (false, false)] {
        mill(10_000, &[(1, 2, first), (2, 1, second)]);
    }
    mill(4_000, &[(1, 2, true), (2, 3, true), (3, 1, false)]);
}

#[test]
fn of_those_who_close_a_circle_at_the_same_moment_only_one_is_refused() {
    for (first, second) in [(true, true), (true, false), (false, false)] {
        race(200, &[(1, 2, first), (2, 1, second)]);
    }
    race(200, &[(1, 2, true), (2, 3, true), (3, 1, false)]);
}

#[test]
fn whoever_waits_beside_a_circle_that_closes_at_the_same_moment_is_never_refused() {
    let refused = race(200, &[(1, 2, true), (2, 1, true), (3, 1, true), (4, 3, false)]);
    assert_eq!(refused[2..], [0, 0]);
}

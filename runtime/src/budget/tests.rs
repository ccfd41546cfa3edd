//! Budgets against a plain model, and by many threads at once.

use std::{panic, sync::atomic::Ordering, thread};

use proptest::prelude::*;

use super::*;

const NOW: Moment = Moment::START;

fn tokens(tokens: u64) -> Cost {
    Cost { tokens, ..Cost::ZERO }
}

fn of_tokens(tokens: u64) -> Limits {
    Limits { tokens: Some(tokens), ..Limits::default() }
}

#[test]
fn a_refusal_names_the_budget_and_the_dimension_and_takes_nothing() {
    let run = Budget::root("run", Limits { children: Some(2), ..of_tokens(100) }, NOW);
    let team = run.subtree("team", of_tokens(1_000), NOW);
    let agent = team.subtree("agent", of_tokens(60), NOW);
    let refused = |budget: &Budget, cost| budget.reserve(cost, NOW).unwrap_err();
    let first = refused(&agent, tokens(61));
    assert_eq!((&*first.budget, first.dimension), ("run/team/agent", Dimension::Tokens));
    assert_eq!((first.limit, first.left, first.asked), (60, 60, 61));
    assert_eq!(&*refused(&team, tokens(101)).budget, "run");
    let children = refused(&agent, Cost { children: 3, ..tokens(60) });
    assert_eq!((&*children.budget, children.dimension), ("run", Dimension::Children));
    for budget in [&run, &team, &agent] {
        assert_eq!((budget.spent(), budget.reserved()), (Cost::ZERO, Cost::ZERO));
    }
    assert_eq!(
        agent.left(),
        Cost { tokens: 60, children: 2, messages: u64::MAX, micro_dollars: u64::MAX }
    );
}

#[test]
fn the_wall_clock_ends_everything_below_at_the_nearest_end() {
    let second = Duration::from_secs(1);
    let run =
        Budget::root("run", Limits { wall_clock: Some(10 * second), ..Limits::default() }, NOW);
    let short = Limits { wall_clock: Some(second), ..Limits::default() };
    let call = run.subtree("call", short, NOW + 5 * second);
    let late = run.subtree("late", Limits { wall_clock: Some(60 * second), ..short }, NOW + second);
    assert_eq!((call.ends(), late.ends()), (NOW + 6 * second, NOW + 10 * second));
    assert!(call.spend(Cost::MESSAGE, NOW + 5 * second).is_ok());
    let refused = call.spend(Cost::MESSAGE, NOW + 6 * second).unwrap_err();
    assert_eq!(
        (&*refused.budget, refused.dimension, refused.limit),
        ("run/call", Dimension::WallClock, 1_000)
    );
    let refused = late.reserve(Cost::ZERO, NOW + 10 * second).unwrap_err();
    assert_eq!((&*refused.budget, refused.limit), ("run", 10_000));
}

fn child(budget: &Budget) -> Result<Budget, Exceeded> {
    budget.spend_child(NOW).map(|()| budget.below())
}

#[test]
fn depth_counts_from_whom_the_budget_was_given_to() {
    let run = Budget::root("run", Limits { depth: Some(3), ..Limits::default() }, NOW);
    let first = child(&run).unwrap();
    let team = first.subtree("team", Limits { depth: Some(1), ..Limits::default() }, NOW);
    let second = child(&team).unwrap();
    let refused = child(&second).unwrap_err();
    assert_eq!(
        (&*refused.budget, refused.dimension, refused.limit),
        ("run/team", Dimension::Depth, 1)
    );
    let third = child(&child(&first).unwrap()).unwrap();
    assert_eq!(&*child(&third).unwrap_err().budget, "run");
    assert_eq!((run.spent().children, team.spent().children), (4, 1), "a refusal costs nothing");
}

#[test]
fn a_child_with_a_budget_of_its_own_has_all_of_its_depth_and_no_more_than_those_above_allow() {
    let of_depth = |depth| Limits { depth: Some(depth), ..Limits::default() };
    let run = Budget::root("run", of_depth(3), NOW);
    let team = run.subtree("team", of_depth(1), NOW).held_below(&run);
    let member = child(&team).unwrap();
    assert_eq!(&*child(&member).unwrap_err().budget, "run/team");
    let deep = member.subtree("deep", of_depth(9), NOW).held_below(&member);
    assert_eq!(&*child(&deep).unwrap_err().budget, "run/team");
    // Whoever gives its own budget on gives no level more with it.
    let second = run.clone().held_below(&run.clone().held_below(&run));
    assert_eq!(&*child(&child(&second).unwrap()).unwrap_err().budget, "run");
    let other = Budget::root("other", of_depth(1), NOW).held_below(&member);
    assert!(child(&other).is_ok(), "nothing of another tree counts");
}

#[test]
fn what_was_spent_beyond_the_limit_is_counted_and_ends_all_spending() {
    let run = Budget::root("run", of_tokens(100), NOW);
    let agent = run.subtree("agent", Limits::default(), NOW);
    let reserved = agent.reserve(tokens(90), NOW).unwrap();
    let overdrawn = reserved.settle(tokens(150)).unwrap_err();
    assert_eq!((&*overdrawn.budget, overdrawn.left, overdrawn.asked), ("run", 10, 60));
    assert_eq!((run.spent(), run.reserved(), run.left().tokens), (tokens(150), Cost::ZERO, 0));
    assert!(agent.reserve(tokens(1), NOW).is_err());
    assert!(agent.reserve(Cost::MESSAGE, NOW).is_ok(), "other dimensions are not touched");
}

#[test]
fn a_reservation_is_returned_however_its_holder_ends() {
    let run = Budget::root("run", of_tokens(10), NOW);
    let holder = {
        let run = run.clone();
        thread::spawn(move || {
            let _reserved = run.reserve(tokens(10), NOW).unwrap();
            panic::resume_unwind(Box::new("the holder ends badly"));
        })
    };
    assert!(holder.join().is_err());
    assert_eq!((run.reserved(), run.left().tokens), (Cost::ZERO, 10));
}

#[test]
fn no_limit_is_exceeded_by_threads_that_reserve_at_once() {
    let run = Budget::root("run", of_tokens(50), NOW);
    let teams = [30, 30].map(|limit| run.subtree("team", of_tokens(limit), NOW));
    thread::scope(|scope| {
        for n in 0..8_u64 {
            let (run, team) = (&run, &teams[(n % 2) as usize]);
            scope.spawn(move || {
                for round in 0..2_000_u64 {
                    let amount = 1 + (n + round) % 13;
                    let Ok(reserved) = team.reserve(tokens(amount), NOW) else { continue };
                    for budget in [run, team] {
                        let taken = budget.account.meters[0].taken.load(Ordering::SeqCst);
                        assert!(taken <= budget.account.meters[0].limit, "{taken}");
                    }
                    match round % 3 {
                        0 => drop(reserved),
                        1 => reserved.settle(Cost::ZERO).unwrap(),
                        _ => reserved.settle(tokens(u64::from(round % 500 == 2))).unwrap(),
                    }
                }
            });
        }
    });
    assert!(run.spent().tokens > 0 && run.spent().tokens <= 50);
    assert_eq!(run.spent().tokens, teams.iter().map(|team| team.spent().tokens).sum::<u64>());
    for budget in [&run, &teams[0], &teams[1]] {
        assert_eq!(budget.reserved(), Cost::ZERO);
    }
}

/// One step of a random history: who does what.
#[derive(Clone, Debug)]
enum Step {
    Reserve { at: usize, cost: Cost },
    Spend { at: usize, cost: Cost },
    Settle { at: usize, share: u64 },
    Return { at: usize },
}

fn cost() -> impl Strategy<Value = Cost> {
    let amount = || prop_oneof![3 => 0..4_u64, 1 => Just(u64::MAX)];
    (amount(), amount(), 0..3_u64, 0..3_u64).prop_map(
        |(tokens, micro_dollars, messages, children)| Cost {
            tokens,
            micro_dollars,
            messages,
            children,
        },
    )
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..4_usize, cost()).prop_map(|(at, cost)| Step::Reserve { at, cost }),
        2 => (0..4_usize, cost()).prop_map(|(at, cost)| Step::Spend { at, cost }),
        2 => (any::<usize>(), 0..=4_u64).prop_map(|(at, share)| Step::Settle { at, share }),
        1 => any::<usize>().prop_map(|at| Step::Return { at }),
    ]
}

fn limits() -> impl Strategy<Value = Limits> {
    let limit = || proptest::option::of(0..20_u64);
    (limit(), limit(), limit(), limit()).prop_map(|(tokens, micro_dollars, messages, children)| {
        Limits { tokens, micro_dollars, messages, children, ..Limits::default() }
    })
}

/// The plain form: what each of four budgets, each within the one before, has spent and reserved.
#[derive(Default)]
struct Model {
    spent: [[u64; 4]; 4],
    reserved: [[u64; 4]; 4],
}

impl Model {
    /// Whether `cost` fits in the budget at `at` and all above it.
    fn fits(&self, limits: &[Limits; 4], at: usize, cost: Cost) -> bool {
        (0..=at).all(|level| {
            let of = limits[level];
            let allowed = [of.tokens, of.micro_dollars, of.messages, of.children];
            (0..4).all(|n| {
                let taken = u128::from(self.spent[level][n]) + u128::from(self.reserved[level][n]);
                let sum = taken + u128::from(cost.amounts()[n]);
                cost.amounts()[n] == 0 || sum <= u128::from(allowed[n].unwrap_or(u64::MAX))
            })
        })
    }

    fn add(sums: &mut [[u64; 4]; 4], at: usize, cost: Cost) {
        for level in sums.iter_mut().take(at + 1) {
            for (sum, amount) in level.iter_mut().zip(cost.amounts()) {
                *sum += amount;
            }
        }
    }

    fn subtract(sums: &mut [[u64; 4]; 4], at: usize, cost: Cost) {
        for level in sums.iter_mut().take(at + 1) {
            for (sum, amount) in level.iter_mut().zip(cost.amounts()) {
                *sum -= amount;
            }
        }
    }
}

proptest! {
    #[test]
    fn any_history_agrees_with_a_plain_model(
        limits in proptest::array::uniform4(limits()),
        steps in proptest::collection::vec(step(), 0..80),
    ) {
        let mut budgets = vec![Budget::root("0", limits[0], NOW)];
        for limits in &limits[1..] {
            let next = budgets[budgets.len() - 1].subtree("n", *limits, NOW);
            budgets.push(next);
        }
        let (mut model, mut held): (Model, Vec<(usize, Reservation)>) = Default::default();
        for step in steps {
            match step {
                Step::Reserve { at, cost } => {
                    let reserved = budgets[at].reserve(cost, NOW);
                    prop_assert_eq!(reserved.is_ok(), model.fits(&limits, at, cost));
                    if let Ok(reserved) = reserved {
                        Model::add(&mut model.reserved, at, cost);
                        held.push((at, reserved));
                    }
                }
                Step::Spend { at, cost } => {
                    let fits = model.fits(&limits, at, cost);
                    prop_assert_eq!(budgets[at].spend(cost, NOW).is_ok(), fits);
                    if fits {
                        Model::add(&mut model.spent, at, cost);
                    }
                }
                Step::Settle { at, share } if !held.is_empty() => {
                    let (at, reserved) = held.swap_remove(at % held.len());
                    let whole = reserved.cost();
                    let actual = Cost::of(whole.amounts().map(|amount| amount / 4 * share.min(4)));
                    prop_assert!(reserved.settle(actual).is_ok());
                    Model::subtract(&mut model.reserved, at, whole);
                    Model::add(&mut model.spent, at, actual);
                }
                Step::Return { at } if !held.is_empty() => {
                    let (at, reserved) = held.swap_remove(at % held.len());
                    Model::subtract(&mut model.reserved, at, reserved.cost());
                    drop(reserved);
                }
                Step::Settle { .. } | Step::Return { .. } => {}
            }
            for (level, budget) in budgets.iter().enumerate() {
                prop_assert_eq!(budget.spent().amounts(), model.spent[level]);
                prop_assert_eq!(budget.reserved().amounts(), model.reserved[level]);
            }
        }
        held.clear();
        for budget in &budgets {
            prop_assert_eq!(budget.reserved(), Cost::ZERO);
        }
    }
}

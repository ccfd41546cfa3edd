//! The board against its invariants.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

fn lease(id: u64) -> Lease {
    Lease { id: LeaseId(id), slot: SlotId(u32::try_from(id % 5).unwrap()) }
}

fn board(units: u32) -> Board {
    Board::new((0..units).map(|piece| (piece, 0, piece % 2)), 2)
}

#[test]
fn the_first_result_counts_and_names_who_is_not_wanted_any_more() {
    let mut board = board(2);
    let unit = board.take_waiting(0).unwrap();
    assert_eq!((unit, board.waiting(0), board.is_tail()), (UnitId(0), 0, false));
    board.begin(unit, 0, lease(1), Moment::START).unwrap();
    let slow = board.begin(unit, 0, lease(2), Moment::START).unwrap();
    assert_eq!((slow.number, board.in_flight()), (2, 2));
    let (_, _, verdict) = board.succeed(LeaseId(1), Moment::START).unwrap();
    assert_eq!(verdict, Verdict::Accepted(vec![slow]));
    let (_, _, verdict) = board.succeed(LeaseId(2), Moment::START).unwrap();
    assert_eq!((verdict, board.done, board.in_flight()), (Verdict::Late, 1, 0));
    assert_eq!(board.begin(unit, 0, lease(3), Moment::START), None, "it is final");
    assert_eq!(board.unit(unit).map(|unit| unit.attempts), Some(2));
}

#[test]
fn a_straggler_is_the_one_that_runs_longest_and_never_beside_itself() {
    let at = |millis| Moment::START + Duration::from_millis(millis);
    let mut board = board(6);
    let free = |_: &Unit| true;
    for id in [0, 2, 4] {
        board.begin(UnitId(id), 0, lease(u64::from(id)), at(u64::from(id))).unwrap();
    }
    assert_eq!(board.straggler(0, None, at(100), free), None, "nothing to compare with yet");
    board.succeed(LeaseId(4), at(14)).unwrap();
    assert_eq!(board.median(), Some(Duration::from_millis(10)));
    assert_eq!(board.straggler(0, None, at(9), free), None, "nobody has run for so long");
    assert_eq!(board.straggler(0, None, at(100), free), Some(UnitId(0)));
    assert_eq!(board.straggler(0, Some(SlotId(0)), at(100), free), Some(UnitId(2)));
    assert_eq!(board.straggler(0, None, at(100), |unit| unit.piece == 2), Some(UnitId(2)));
    assert_eq!(board.straggler(1, None, at(100), free), None, "another lane's");
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Begin(u32),
    BeginWaiting(u32),
    Succeed(usize),
    Fail(usize),
    GiveUp(u32),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        (0_u32..12).prop_map(Step::Begin),
        (0_u32..3).prop_map(Step::BeginWaiting),
        (0_usize..8).prop_map(Step::Succeed),
        (0_usize..8).prop_map(Step::Fail),
        (0_u32..12).prop_map(Step::GiveUp),
    ];
    prop::collection::vec(step, 1..200)
}

proptest! {
    /// Whatever happens in whatever order, each unit ends at most once and the counts are exact.
    #[test]
    fn every_unit_is_final_at_most_once_and_all_counts_are_exact(steps in steps()) {
        let mut board = board(10);
        let (mut done, mut failed) = (BTreeSet::new(), BTreeSet::new());
        let mut leases: Vec<u64> = Vec::new();
        for (step, next) in steps.into_iter().zip(0_u64..) {
            match step {
                Step::Begin(_) | Step::BeginWaiting(_) => {
                    let id = match step {
                        Step::BeginWaiting(lane) => board.take_waiting(lane),
                        Step::Begin(id) => Some(UnitId(id)),
                        Step::Succeed(_) | Step::Fail(_) | Step::GiveUp(_) => None,
                    };
                    let Some(id) = id else { continue };
                    let final_before = done.contains(&id) || failed.contains(&id) || id.0 >= 10;
                    let began = board.begin(id, 0, lease(next), Moment::START);
                    prop_assert_eq!(began.is_none(), final_before);
                    leases.extend(began.map(|_| next));
                }
                Step::Succeed(at) if at < leases.len() => {
                    let ended = board.succeed(LeaseId(leases.swap_remove(at)), Moment::START);
                    let (id, _, verdict) = ended.unwrap();
                    match verdict {
                        Verdict::Accepted(_) => prop_assert!(!failed.contains(&id) && done.insert(id)),
                        Verdict::Late => prop_assert!(done.contains(&id) || failed.contains(&id)),
                        Verdict::Idle | Verdict::StillRunning => prop_assert!(false, "{:?}", verdict),
                    }
                }
                Step::Fail(at) if at < leases.len() => {
                    let lease = LeaseId(leases.swap_remove(at));
                    let (id, _, verdict) = board.fail(lease).unwrap();
                    let late = done.contains(&id) || failed.contains(&id);
                    prop_assert_eq!(verdict == Verdict::Late, late);
                    if verdict == Verdict::Idle {
                        prop_assert!(board.is_open(id));
                    }
                    prop_assert!(board.fail(lease).is_none(), "an attempt ends once");
                }
                Step::GiveUp(id) => {
                    let id = UnitId(id);
                    let open = id.0 < 10 && !done.contains(&id) && !failed.contains(&id);
                    prop_assert_eq!(board.give_up(id), open);
                    if open {
                        failed.insert(id);
                    }
                }
                Step::Succeed(_) | Step::Fail(_) => {}
            }
            prop_assert_eq!((board.done, board.failed), (done.len() as u64, failed.len() as u64));
            prop_assert_eq!(board.in_flight(), leases.len());
            let held: BTreeSet<u64> = board.leases().map(|lease| lease.id.0).collect();
            prop_assert_eq!(held, leases.iter().copied().collect::<BTreeSet<_>>());
            prop_assert_eq!(board.is_settled(), done.len() + failed.len() == 10);
        }
    }
}

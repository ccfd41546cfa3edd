//! The board, step by step: what may begin when, what a new plan keeps, who has how much to do.

use serde_json::json;

use super::*;

/// A board of teams a and b with assignments `name`, of so many tasks, after others.
fn board(assignments: &[(&str, usize, &[&str])]) -> Board {
    let mut board = Board::new(vec!["a".into(), "b".into()]);
    board.plan(plan(assignments));
    board
}

fn plan(assignments: &[(&str, usize, &[&str])]) -> Plan {
    let assignment = |(name, tasks, after): &(&str, usize, &[&str])| {
        let all = Assignment::new(*name, Delegation::Load).after(after.iter().copied());
        (0..*tasks).fold(all, |all, n| all.task(format!("{name}{n}"), n))
    };
    Plan { assignments: assignments.iter().map(assignment).collect() }
}

fn deed(team: u32, n: u64) -> Deed {
    let (worker, attempts, fallback) = (0, 1, false);
    let (at, micros, resumed) = (0, 0, false);
    Deed { output: Arc::new(json!(n)), team, worker, attempts, fallback, at, micros, resumed }
}

/// Gives what is ready to a team; tells which assignments those are.
fn give(board: &mut Board, team: u32) -> Vec<usize> {
    let ready: Vec<usize> = std::mem::take(&mut board.ready).into();
    for duty in &ready {
        board.give(*duty, team);
    }
    ready
}

fn states(board: &Board) -> Vec<&DutyState> {
    board.duties.iter().map(|duty| &duty.state).collect()
}

#[test]
fn an_assignment_begins_when_those_that_it_is_after_have_ended_and_gets_what_they_came_to() {
    let mut board = board(&[("x", 2, &[]), ("y", 1, &["x"]), ("z", 1, &[])]);
    assert_eq!(give(&mut board, 0), [0, 2]);
    assert_eq!((std::mem::take(&mut board.unsent), board.load(0)), (vec![0, 1, 3], 3));
    assert!(board.finish(0, deed(0, 10)) && !board.finish(0, deed(0, 11)), "a task is done once");
    assert!(board.ready.is_empty(), "x is not done");
    board.give_up(1, "no".to_owned(), 0);
    assert_eq!(give(&mut board, 1), [1]);
    let charge = board.charge(2).unwrap();
    let before = charge.before.get("x").unwrap();
    assert_eq!((before.output("x0"), before.output("x1")), (Some(&json!(10)), None));
    assert_eq!((before.missing.as_slice(), &*before.team), (["x1".into()].as_slice(), "a"));
    assert_eq!((board.load(0), board.load(1)), (1, 1));
    assert!(board.finish(2, deed(1, 12)) && board.finish(3, deed(0, 13)) && board.is_over());
    assert_eq!((board.units, board.done, board.load(0), board.load(1)), (4, 3, 0, 0));
    let z = board.results();
    assert_eq!(z.outputs(), json!({ "x": { "x0": 10 }, "y": { "y0": 12 }, "z": { "z0": 13 } }));
}

#[test]
fn another_plan_keeps_what_is_done_and_drops_the_rest() {
    let mut board = board(&[("x", 1, &[]), ("y", 2, &["x"]), ("z", 1, &["y"])]);
    give(&mut board, 0);
    board.finish(0, deed(0, 10));
    give(&mut board, 0);
    board.unsent.clear();
    if let Some(job) = board.job_mut(1) {
        job.is_handed = true;
    }
    let vain = board.plan(plan(&[("y", 1, &["x"]), ("w", 1, &["y"])]));
    assert_eq!(vain, [1], "its leader has that, and shall not");
    assert_eq!((board.units, board.done, board.load(0)), (3, 1, 0));
    let (done, gone, open) = (&DutyState::Done, &DutyState::Replaced, &DutyState::Waiting);
    assert_eq!(states(&board), [done, gone, gone, open, open]);
    assert_eq!(give(&mut board, 1), [3], "y is after x, which is done");
    assert_eq!(board.charge(4).unwrap().before.output("x", "x0"), Some(&json!(10)));
    assert!(!board.finish(1, deed(0, 11)), "nobody wants that any more");
    assert!(board.finish(4, deed(1, 14)));
    give(&mut board, 1);
    assert!(board.finish(5, deed(1, 15)) && board.is_over());
}

#[test]
fn a_task_that_goes_to_another_team_is_that_teams_load_and_begins_anew_there() {
    let mut board = board(&[("x", 2, &[])]);
    give(&mut board, 0);
    board.unsent.clear();
    if let Some(job) = board.job_mut(1) {
        (job.has_crashed, job.avoid) = (true, vec![3]);
    }
    board.again(1, None, Some(4));
    assert_eq!(board.job(1).map(|job| job.avoid.clone()), Some(vec![3, 4]));
    board.again(1, Some(1), None);
    let job = board.job(1).unwrap();
    assert_eq!((job.team, job.has_crashed, job.avoid.as_slice()), (Some(1), false, &[] as &[u32]));
    assert_eq!((board.load(0), board.load(1), board.of_team(1)), (1, 1, vec![1]));
    assert_eq!(board.unsent, [1, 1]);
}

#[test]
fn an_assignment_that_is_given_up_takes_those_with_it_that_come_after_it() {
    let mut board = board(&[("x", 1, &[]), ("y", 2, &["x"]), ("z", 1, &[])]);
    assert_eq!(board.fail(0, "nobody".to_owned()), [0, 1, 2]);
    assert_eq!(board.fail(0, "again".to_owned()), [0_u64; 0]);
    let failed = DutyState::Failed("nobody".to_owned());
    assert_eq!(states(&board), [&failed, &DutyState::Skipped(0), &DutyState::Waiting]);
    give(&mut board, 0);
    assert!(board.finish(3, deed(0, 1)) && board.is_over());
}

//! Rows and laws of decomposition; schedules beside a model that looks at all tasks each time.

use proptest::prelude::{Strategy as _, *};

use super::*;

fn task(name: &str, after: &[&str]) -> Task<()> {
    Task::new(name, ()).after(after.iter().copied())
}

fn wrong(tasks: &[Task<()>]) -> String {
    TaskGraph::new(tasks.to_vec()).unwrap_err().to_string()
}

#[test]
fn what_is_no_graph_of_tasks_is_told_with_what_to_do() {
    let long = "x".repeat(crate::limits::TASK_NAME_BYTES_MAX + 1);
    let rows: Vec<(Vec<Task<()>>, &str)> = vec![
        (
            vec![task("a", &["b"]), task("c", &[])],
            "`a` is after \"b\", which is no task; the tasks are `a`, `c`",
        ),
        (
            vec![task("a", &[]), task("a", &[])],
            "two tasks are called `a`; give each a name of its own",
        ),
        (vec![task("a", &["a"])], "`a` is after itself; take that out of its `after`"),
        (vec![task("", &[])], "\"\" is no name of a task; give it 1 to 64 bytes without `/`"),
        (vec![task("a/b", &[])], "\"a/b\" is no name of a task"),
        (vec![task(&long, &[])], "is no name of a task"),
        (
            vec![task("x", &["b"]), task("a", &["b"]), task("b", &["c"]), task("c", &["a"])],
            "no task of a circle could ever start: a → b → c → a; take one of these out of an `after`",
        ),
        (
            vec![
                task("a", &["b"]),
                task("b", &["c"]),
                task("c", &["a"]),
                task("d", &["b", "e"]),
                task("e", &["d"]),
            ],
            "could ever start: d → e → d;",
        ),
    ];
    for (tasks, says) in rows {
        let error = wrong(&tasks);
        assert!(error.contains(says), "{error}\n{says}");
    }
}

#[test]
fn all_mistakes_are_told_at_once_and_not_without_end() {
    let tasks = [task("a", &["a", "x"]), task("a", &[]), task("b", &["c"]), task("c", &["b", "y"])];
    let told: Vec<String> = mistakes(&tasks).iter().map(ToString::to_string).collect();
    assert_eq!(told.len(), 5, "{told:?}");
    assert!(told[4].contains("b → c → b"), "{told:?}");
    let many = [Task::new("a", ()).after((0..1_000).map(|number| number.to_string()))];
    assert_eq!(mistakes(&many).len(), crate::limits::TASK_MISTAKES_TOLD);
}

#[test]
fn a_graph_has_as_many_tasks_and_predecessors_as_are_allowed_and_no_more() {
    use crate::limits::{TASK_AFTER_MAX, TASKS_MAX};
    let chain = |tasks: usize| {
        (0..tasks).map(|at: usize| {
            Task::new(at.to_string(), ()).after(at.checked_sub(1).map(|at| at.to_string()))
        })
    };
    assert_eq!(TaskGraph::new(chain(TASKS_MAX)).unwrap().tasks().len(), TASKS_MAX);
    assert_eq!(TaskGraph::new(chain(usize::MAX)).unwrap_err(), GraphError::TooManyTasks);
    let after = |predecessors| {
        let names = std::iter::repeat_n("a", predecessors);
        TaskGraph::new([Task::new("a", ()), Task::new("b", ()).after(names)])
    };
    assert_eq!(after(TASK_AFTER_MAX).unwrap().after(1), [0]);
    assert_eq!(after(TASK_AFTER_MAX + 1).unwrap_err(), GraphError::TooManyAfter);
}

#[test]
fn of_a_long_circle_both_ends_are_shown_and_all_is_known() {
    let tasks =
        (0..100).map(|at| Task::new(at.to_string(), ()).after([((at + 1) % 100).to_string()]));
    let error = TaskGraph::new(tasks).unwrap_err();
    let shown = error.to_string();
    assert!(shown.contains("0 → 1 → ") && shown.contains(" → 31 → (68 more) → 0;"), "{shown}");
    let GraphError::Circle { tasks } = error else { panic!("{shown}") };
    assert_eq!(tasks.len(), 100);
}

/// A graph without circles, and in which order and how its tasks end.
fn graphs()
-> impl proptest::strategy::Strategy<Value = (Vec<Vec<usize>>, Vec<(prop::sample::Index, bool)>)> {
    (1..14_usize).prop_flat_map(|tasks| {
        let after = prop::collection::vec(any::<prop::sample::Index>(), 0..4);
        let shuffled = Just((0..tasks).collect::<Vec<usize>>()).prop_shuffle();
        let all = prop::collection::vec(after, tasks);
        let ends =
            prop::collection::vec((any::<prop::sample::Index>(), prop::bool::weighted(0.8)), tasks);
        (shuffled, all, ends).prop_map(|(names, all, ends)| {
            let mut after = vec![Vec::new(); all.len()];
            for (task, before) in all.into_iter().enumerate().filter(|(task, _)| *task > 0) {
                after[names[task]] = before.into_iter().map(|at| names[at.index(task)]).collect();
            }
            (after, ends)
        })
    })
}

/// Whether `task` comes after `other`, directly or not.
fn is_after(after: &[Vec<usize>], task: usize, other: usize) -> bool {
    after[task].iter().any(|before| *before == other || is_after(after, *before, other))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn a_task_starts_once_when_its_own_predecessors_have_ended_and_a_failure_skips_those_behind_it((after, ends) in graphs()) {
        let tasks = after.iter().enumerate().map(|(at, after)| {
            Task::new(at.to_string(), ()).after(after.iter().map(ToString::to_string))
        });
        let graph = TaskGraph::new(tasks).unwrap();
        let mut schedule = graph.schedule();
        let all = 0..after.len();
        // The model: who started, who ended how and in which order, who will never run.
        let mut started = vec![false; after.len()];
        let mut ended: Vec<(usize, bool)> = Vec::new();
        let may_start = |started: &[bool], ended: &[(usize, bool)]| -> Vec<usize> {
            let is_done = |before: &usize| ended.contains(&(*before, true));
            all.clone().filter(|task| !started[*task] && after[*task].iter().all(is_done)).collect()
        };
        let mut running = schedule.begin();
        prop_assert_eq!(&running, &may_start(&started, &ended));
        prop_assert!(schedule.begin().is_empty());
        running.iter().for_each(|task| started[*task] = true);
        for (which, well) in ends {
            if running.is_empty() {
                break;
            }
            let task = running.swap_remove(which.index(running.len()));
            ended.push((task, well));
            let next = schedule.ended(task, well);
            prop_assert_eq!(schedule.ended(task, !well), Next::default(), "ends once");
            prop_assert_eq!(&next.ready, &may_start(&started, &ended));
            next.ready.iter().for_each(|task| started[*task] = true);
            running.extend(&next.ready);
            let fell = |other: usize| {
                let failed = |(before, well): &&(usize, bool)| !well && is_after(&after, other, *before);
                ended.iter().find(failed).map(|(before, _)| *before)
            };
            for other in all.clone() {
                let because = |because| TaskState::Skipped { because };
                prop_assert_eq!(
                    schedule.state(other).filter(|state| matches!(state, TaskState::Skipped { .. })),
                    fell(other).map(because)
                );
                let is_new = !well && fell(other) == Some(task);
                prop_assert_eq!(next.skipped.contains(&other), is_new);
            }
            let is_over = all.clone().all(|task| fell(task).is_some() || ended.iter().any(|(at, _)| *at == task));
            prop_assert_eq!(schedule.is_over(), is_over);
        }
        prop_assert!(schedule.is_over(), "each task ends in one way: {:?}", schedule);
        prop_assert!(all.clone().all(|task| !matches!(schedule.state(task), None | Some(TaskState::Waiting | TaskState::Ready))));
    }
}

fn item(kind: &str, bytes: u64, complexity: u64, depends_on: &[usize]) -> Item {
    Item { group: 0, kind: kind.to_owned(), bytes, complexity, depends_on: depends_on.to_vec() }
}

const LIMITS: Limits = Limits { bytes_max: 100, items_max: 3 };

#[test]
fn the_strategy_follows_from_the_facts_and_says_why() {
    let plain = || vec![item("a", 10, 5, &[]), item("a", 90, 5, &[])];
    let with = |more: Item| plain().into_iter().chain([more]).collect::<Vec<_>>();
    let rows: Vec<(Vec<Item>, &[By], &str)> = vec![
        (vec![], &[By::Size], "by size, since nothing else tells 0 items of 0 bytes apart"),
        (plain(), &[By::Size], "by size, since nothing else tells 2 items of 100 bytes apart"),
        (
            with(item("a", 1, 9, &[])),
            &[By::Complexity],
            "by complexity, since that is between 5 and 9",
        ),
        (
            with(item("b", 1, 5, &[])),
            &[By::Type, By::Size],
            "by type, since there are 2 kinds, then by size",
        ),
        (with(item("b", 1, 9, &[])), &[By::Type, By::Complexity], "2 kinds, then by complexity"),
        (
            with(item("a", 1, 9, &[0, 1, 1])),
            &[By::Dependency],
            "by dependency, since items depend on others (2)",
        ),
        (
            with(item("b", 1, 9, &[0])),
            &[By::Dependency, By::Type],
            "(1), then by type, since there are 2 kinds",
        ),
        // One that depends on itself, or on nothing that there is, depends on no other.
        (with(item("a", 1, 5, &[2, 7])), &[By::Size], "by size"),
    ];
    for (items, by, why) in rows {
        let found = decompose(&items, LIMITS);
        assert_eq!(found.strategy.by, by, "{why}");
        assert!(found.strategy.why.contains(why), "{}\n{why}", found.strategy.why);
        assert_eq!(check(&found.groups, &items, LIMITS), Ok(()));
    }
}

fn groups(items: &[Item], by: &[By]) -> Vec<(Vec<usize>, Vec<usize>)> {
    let groups = decompose_by(items, by, LIMITS);
    assert_eq!(check(&groups, items, LIMITS), Ok(()));
    groups.into_iter().map(|group| (group.items, group.after)).collect()
}

#[test]
fn items_are_grouped_in_the_order_of_what_they_depend_on() {
    let one = |depends_on: &[usize]| item("a", 1, 0, depends_on);
    // Two chains of four: each has groups of its own, and none waits for the other's.
    let chains = [&[][..], &[0], &[1], &[2], &[], &[4], &[5], &[6]].map(one);
    let found = groups(&chains, &[By::Dependency]);
    assert_eq!(
        found,
        [(vec![0, 1, 2], vec![]), (vec![3], vec![0]), (vec![4, 5, 6], vec![]), (vec![7], vec![2])]
    );
    // What comes back is done last, though it is first.
    let back = [&[1][..], &[2], &[3], &[]].map(one);
    assert_eq!(groups(&back, &[By::Dependency]), [(vec![3, 2, 1], vec![]), (vec![0], vec![0])]);
    // A circle is one step, even where it is not complete within the limits.
    let circle = [&[1][..], &[2], &[0, 3], &[], &[0]].map(one);
    assert_eq!(
        groups(&circle, &[By::Dependency]),
        [(vec![3], vec![]), (vec![0, 1, 2], vec![0]), (vec![4], vec![1])]
    );
    let large = [&[1][..], &[2], &[3], &[4], &[0], &[1]].map(one);
    let found = groups(&large, &[By::Dependency]);
    assert_eq!(found, [(vec![0, 1, 2], vec![]), (vec![3, 4, 5], vec![0])]);
}

#[test]
fn many_that_wait_for_one_wait_for_nothing_else() {
    let mut items = vec![item("a", 100, 0, &[]), item("a", 100, 0, &[0])];
    items.extend((0..6).map(|_| item("a", 1, 0, &[0])));
    items.push(item("a", 1, 0, &[1]));
    let found = groups(&items, &[By::Dependency]);
    let after: Vec<&[usize]> = found.iter().map(|(_, after)| &after[..]).collect();
    assert_eq!(found.len(), 5, "{found:?}");
    assert!(after.iter().filter(|after| **after == [0]).count() == 3, "{found:?}");
}

#[test]
fn kinds_stay_apart_as_far_as_is_asked_for() {
    let items =
        [item("a", 9, 0, &[1]), item("b", 5, 0, &[]), item("b", 1, 0, &[]), item("a", 1, 0, &[])];
    let dependency = groups(&items, &[By::Dependency]);
    assert_eq!(dependency, [(vec![1, 0, 2], vec![]), (vec![3], vec![])]);
    let then_type = groups(&items, &[By::Dependency, By::Type]);
    assert_eq!(then_type, [(vec![1, 0, 3], vec![]), (vec![2], vec![])]);
    let type_first = groups(&items, &[By::Type, By::Dependency]);
    assert_eq!(type_first, [(vec![1, 2], vec![]), (vec![0], vec![0]), (vec![3], vec![])]);
}

#[test]
fn a_decomposition_is_tasks_that_come_after_each_other() {
    let items: Vec<Item> = (0..5_usize)
        .map(|at| Item {
            bytes: 60,
            depends_on: at.checked_sub(1).into_iter().collect(),
            ..Item::default()
        })
        .collect();
    let tasks = decompose(&items, LIMITS).tasks().unwrap();
    let named: Vec<_> = tasks
        .tasks()
        .iter()
        .map(|task| (&task.name[..], &task.after[..], &task.work[..]))
        .collect();
    assert_eq!(named[0], ("group-1", &[][..], &[0][..]));
    assert_eq!(named[4], ("group-5", &["group-4".to_owned()][..], &[4][..]));
}

fn items() -> impl proptest::strategy::Strategy<Value = Vec<Item>> {
    let one = (0..2_u64, "[ab]", 0..120_u64, 0..9_u64, prop::collection::vec(0..26_usize, 0..3));
    let one = one.prop_map(|(group, kind, bytes, complexity, depends_on)| Item {
        group,
        kind,
        bytes,
        complexity,
        depends_on,
    });
    prop_oneof![
        prop::collection::vec(one.clone(), 0..24),
        // Without circles, and of one group.
        prop::collection::vec(one, 0..24).prop_map(|mut items| {
            for (at, item) in items.iter_mut().enumerate() {
                item.group = 0;
                item.depends_on.retain(|other| *other < at);
            }
            items.reverse();
            let last = items.len().wrapping_sub(1);
            for item in &mut items {
                item.depends_on.iter_mut().for_each(|other| *other = last - *other);
            }
            items
        })
    ]
}

/// `reach[a][b]`: `a` depends on `b`, directly or not.
fn reach(items: &[Item]) -> Vec<Vec<bool>> {
    let count = items.len();
    let mut reach = vec![vec![false; count]; count];
    for (at, item) in items.iter().enumerate() {
        item.depends_on
            .iter()
            .filter(|to| **to < count && **to != at)
            .for_each(|to| reach[at][*to] = true);
    }
    for by in 0..count {
        for from in 0..count {
            for to in 0..count {
                reach[from][to] |= reach[from][by] && reach[by][to];
            }
        }
    }
    reach
}

fn orders() -> impl proptest::strategy::Strategy<Value = Vec<By>> {
    prop_oneof![
        Just(vec![By::Dependency]),
        Just(vec![By::Dependency, By::Type]),
        Just(vec![By::Type, By::Dependency]),
        Just(vec![By::Size, By::Dependency]),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn what_an_item_depends_on_is_in_no_later_group_and_no_group_waits_for_more_than_its_items(
        items in items(), by in orders(), items_max in 1..8_usize,
    ) {
        let limits = Limits { bytes_max: 300, items_max };
        let groups = decompose_by(&items, &by, limits);
        prop_assert_eq!(check(&groups, &items, limits), Ok(()));
        prop_assert_eq!(&groups, &decompose_by(&items, &by, limits));
        let reach = reach(&items);
        let mut place = vec![(0, 0); items.len()];
        for (number, group) in groups.iter().enumerate() {
            group.items.iter().enumerate().for_each(|(at, item)| place[*item] = (number, at));
        }
        for (one, item) in items.iter().enumerate() {
            for other in item.depends_on.iter().filter(|other| **other < items.len() && !reach[**other][one]) {
                prop_assert!(place[*other] <= place[one], "{} depends on {}: {:?}", one, other, groups);
                let (mine, before) = (place[one].0, place[*other].0);
                let after: Vec<Vec<usize>> = groups.iter().map(|group| group.after.clone()).collect();
                prop_assert!(mine == before || is_after(&after, mine, before), "{:?}", groups);
            }
        }
        for group in &groups {
            for before in &group.after {
                let needed = |item: &usize| groups[*before].items.iter().any(|other| reach[*item][*other]);
                prop_assert!(group.items.iter().all(needed), "{:?}", groups);
            }
            let first = &items[group.items[0]];
            prop_assert!(group.items.iter().all(|item| items[*item].group == first.group));
            if by[0] == By::Type {
                prop_assert!(group.items.iter().all(|item| items[*item].kind == first.kind));
            }
        }
    }

    #[test]
    fn what_hangs_together_and_fits_is_in_one_group(items in items(), items_max in 1..8_usize) {
        let items: Vec<Item> = items.into_iter().map(|item| Item { group: 0, ..item }).collect();
        let limits = Limits { bytes_max: 300, items_max };
        let groups = decompose_by(&items, &[By::Dependency], limits);
        let mut family: Vec<usize> = (0..items.len()).collect();
        for _ in 0..items.len() {
            for (at, item) in items.iter().enumerate() {
                for other in item.depends_on.iter().filter(|other| **other < items.len()) {
                    let first = family[at].min(family[*other]);
                    (family[at], family[*other]) = (first, first);
                }
            }
        }
        for first in 0..items.len() {
            let members: Vec<usize> = (0..items.len()).filter(|at| family[*at] == first).collect();
            let bytes: u64 = members.iter().map(|at| items[*at].bytes).sum();
            if !members.is_empty() && bytes <= 300 && members.len() <= items_max {
                let together = groups.iter().any(|group| members.iter().all(|at| group.items.contains(at)));
                prop_assert!(together, "{:?} of {:?}", members, groups);
            }
        }
    }

    #[test]
    fn every_item_is_in_one_group_whatever_the_strategy(items in items(), items_max in 1..8_usize) {
        let limits = Limits { bytes_max: 200, items_max };
        let found = decompose(&items, limits);
        prop_assert_eq!(check(&found.groups, &items, limits), Ok(()));
        prop_assert!(found.tasks().is_ok());
    }
}

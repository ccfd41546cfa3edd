//! What async work asks of several at a time, and what the wait-for graph sees of it.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, Waker},
    time::Duration,
};

use protocol::Code;
use synod_runtime::{
    address::Addr,
    ask::{AskError, Reply},
    budget::{Budget, Cost, Limits},
    clock::{ManualClock, Moment, Random, SeededRandom},
    limits::CALL_TARGETS_MAX,
    mailbox::{Mailbox, Overflow},
    node::Node,
    spawn::Spawn,
    waits::Need,
    work_cx::WorkCx,
};

use crate::{
    calls::{Kept, call, still},
    support::{Do, Log, Puppet, act, ask, blocked, handled, puppet, soon, until},
};

const MINUTE: Duration = Duration::from_secs(60);
const NAMES: [&str; 4] = ["one", "two", "three", "four"];

type Outcomes = Vec<Result<u64, AskError>>;
type Run<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// An agent with one handler, and actors whom that can ask.
struct Scene {
    node: Node,
    log: Log,
    agent: Addr<Do>,
    work: WorkCx,
    others: Vec<Addr<Do>>,
    /// Questions that were kept by those who got them.
    kept: Vec<Kept>,
}

impl Scene {
    async fn new(node: Node) -> Self {
        let log = Log::default();
        let agent = puppet(&node, "agent", &log);
        let others = NAMES.map(|name| puppet(&node, name, &log)).into();
        let work = ask(&agent, |_, cx, to| cx.reply(to, cx.handler_cx(1, 0))).await.unwrap();
        Self { node, log, agent, work, others, kept: NAMES.map(|_| Kept::default()).into() }
    }

    /// Questions to the first `count` of them, to be kept.
    fn questions(&self, count: usize) -> Vec<(Addr<Do>, impl FnOnce(Reply<u64>) -> Do + use<>)> {
        let questions = self.others.iter().zip(&self.kept).take(count).map(|(target, kept)| {
            let kept = Arc::clone(kept);
            (target.clone(), move |to| act(move |_, _| drop(kept.lock().replace(to))))
        });
        questions.collect()
    }

    /// Asks the first `count` of them, of whom `need` must answer, and begins to wait.
    async fn asks(&self, count: usize, need: Need) -> Run<Outcomes> {
        self.kept.iter().for_each(|kept| drop(kept.lock().take()));
        let asks = self.work.ask_many(self.questions(count), need, MINUTE);
        let mut run: Run<Outcomes> = Box::pin(self.work.run(asks));
        begin(&mut run);
        for number in (0..count).filter(|number| !self.log.has(NAMES[*number])) {
            until("it has its question", || self.has(number)).await;
        }
        run
    }

    fn has(&self, number: usize) -> bool {
        self.kept[number].lock().is_some()
    }

    fn take(&self, number: usize) -> Reply<u64> {
        self.kept[number].lock().take().unwrap()
    }

    fn answers(&self, number: usize) {
        assert!(self.take(number).send(number as u64 + 1), "{} is not wanted", NAMES[number]);
    }

    /// Lets one of them wait for the agent, which does not answer.
    async fn sticks(&self, number: usize) {
        let before = self.node.pending_waits();
        call(&self.others[number], &self.agent, "back", |puppet, _, to| puppet.keep(to));
        self.log.add(NAMES[number]);
        until("it waits", || self.node.pending_waits() == before + 1).await;
    }

    /// How many waits and timers there are.
    fn left(&self) -> (usize, usize) {
        (self.node.pending_waits(), self.node.pending_timers())
    }
}

fn begin<T>(run: &mut Run<T>) {
    assert!(run.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
}

/// The outcomes of what ends now, in short.
fn ended(run: &mut Run<Outcomes>) -> String {
    match run.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(outcomes) => short(&outcomes),
        Poll::Pending => "pending".to_owned(),
    }
}

fn short(outcomes: &Outcomes) -> String {
    let short = outcomes.iter().map(|outcome| match outcome {
        Ok(answer) => answer.to_string(),
        Err(AskError::Deadlock(path)) => path.to_string(),
        Err(why) => format!("{why:?}"),
    });
    short.collect::<Vec<_>>().join(", ")
}

#[tokio::test]
async fn a_join_is_refused_at_once_with_its_path_where_one_of_it_asks_back() {
    let scene = Scene::new(still()).await;
    scene.sticks(1).await;
    let mut run = scene.asks(2, Need::All).await;
    assert_eq!(ended(&mut run), "agent → two → agent, agent → two → agent");
    assert!(!scene.take(0).is_wanted());
    assert_eq!(scene.left(), (1, 1), "that of the one who asks back");
}

#[tokio::test]
async fn whoever_asks_back_while_a_join_waits_is_refused_and_the_join_goes_on() {
    let scene = Scene::new(still()).await;
    let mut run = scene.asks(2, Need::All).await;
    assert_eq!(scene.node.pending_waits(), 1, "a join is one wait");
    call(&scene.others[1], &scene.agent, "back", |puppet, _, to| puppet.keep(to));
    until("it is refused", || scene.log.has("back: two → agent → two")).await;
    (0..2).for_each(|number| scene.answers(number));
    assert_eq!(scene.left(), (0, 0), "before anybody has looked");
    assert_eq!(ended(&mut run), "1, 2");
}

#[tokio::test]
async fn a_race_goes_on_while_one_of_it_is_free() {
    let scene = Scene::new(still()).await;
    scene.sticks(1).await;
    let mut run = scene.asks(2, Need::Any).await;
    assert_eq!((ended(&mut run).as_str(), scene.left()), ("pending", (2, 2)));
    scene.answers(0);
    assert_eq!((ended(&mut run).as_str(), scene.left()), ("1, Cancelled", (1, 1)));
}

#[tokio::test]
async fn a_quorum_goes_on_while_enough_are_free_and_is_refused_when_too_few_are() {
    let scene = Scene::new(still()).await;
    scene.sticks(2).await;
    let mut run = scene.asks(3, Need::AtLeast(2)).await;
    assert_eq!((ended(&mut run).as_str(), scene.node.pending_waits()), ("pending", 2));
    (0..2).for_each(|number| scene.answers(number));
    assert_eq!(ended(&mut run), "1, 2, Cancelled");
    drop(run);
    scene.sticks(1).await;
    let mut run = scene.asks(3, Need::AtLeast(2)).await;
    assert_eq!(ended(&mut run), ["agent → two → agent"; 3].join(", "));
}

#[tokio::test]
async fn what_has_answered_stays_answered_when_the_rest_turns_out_to_be_stuck() {
    for passes in [false, true] {
        let scene = Scene::new(still()).await;
        scene.sticks(2).await;
        let mut run = scene.asks(3, Need::AtLeast(2)).await;
        scene.answers(0);
        assert_eq!((ended(&mut run).as_str(), scene.node.pending_waits()), ("pending", 2));
        let second = scene.take(1);
        let (told, passed) = if passes {
            // One who is stuck has it now.
            ("agent → three → agent", Some(second.passed_to(scene.others[2].id())))
        } else {
            second.refuse("no".to_owned());
            ("Failed(\"no\")", None)
        };
        let ended = ended(&mut run);
        assert_eq!(ended, format!("1, {told}, agent → three → agent"));
        assert_eq!(scene.left(), (1, 1));
        drop(passed);
    }
}

#[tokio::test]
async fn one_deadline_ends_them_all_with_what_there_is() {
    let clock = Arc::new(ManualClock::new());
    let node = Node::builder().clock(Arc::<ManualClock>::clone(&clock)).open().unwrap();
    let scene = Scene::new(node).await;
    let mut run = scene.asks(3, Need::All).await;
    scene.answers(0);
    scene.take(2).refuse("no".to_owned());
    assert_eq!(ended(&mut run), "1, Cancelled, Failed(\"no\")", "too few can still answer");
    drop(run);
    let mut run = scene.asks(3, Need::AtLeast(2)).await;
    assert_eq!(scene.left(), (1, 1), "one timer for all");
    scene.answers(1);
    clock.advance(MINUTE);
    until("the time is over", || scene.left() == (0, 0)).await;
    assert_eq!(ended(&mut run), "TimedOut(60s), 2, TimedOut(60s)");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dropped_future_gives_them_all_up_and_leaves_no_wait_and_no_timer() {
    let scene = Scene::new(still()).await;
    let narrow =
        scene.node.spawn(Spawn::named("narrow").mailbox(Mailbox::new(1, Overflow::Wait)), || {
            Puppet::new(&Log::default())
        });
    let release = blocked(&narrow).await;
    narrow.try_tell(act(|_, _| ())).unwrap();
    let run = scene.asks(2, Need::Any).await;
    let question = |to: Reply<u64>| act(move |_, cx| cx.reply(to, 7));
    let asks = scene.work.ask_many([(narrow.clone(), question)], Need::All, MINUTE);
    let mut line: Run<Outcomes> = Box::pin(asks);
    begin(&mut line);
    assert_eq!(scene.left(), (1, 2));
    drop((run, line));
    assert_eq!(scene.left(), (0, 0));
    assert!((0..2).all(|number| !scene.take(number).is_wanted()));
    // The question in line has left it; the next one waits for its place and is answered.
    let asks = scene.work.ask_many([(narrow.clone(), question)], Need::All, MINUTE);
    let mut line: Run<Outcomes> = Box::pin(scene.work.run(asks));
    begin(&mut line);
    assert_eq!(scene.left(), (1, 1));
    release.send(()).unwrap();
    assert_eq!(soon(line).await, [Ok(7)]);
    assert_eq!(scene.left(), (0, 0));
}

#[tokio::test]
async fn asks_beside_each_other_are_awaited_as_any_of_them_and_each_alone_with_its_need() {
    let scene = Scene::new(still()).await;
    scene.sticks(0).await;
    scene.sticks(1).await;
    let both = scene.work.ask_many(scene.questions(2), Need::All, MINUTE);
    let beside = scene.questions(3).remove(2);
    let beside = scene.work.ask(&beside.0, beside.1, MINUTE);
    let mut run: Run<_> = Box::pin(scene.work.run(futures_util::future::join(both, beside)));
    begin(&mut run);
    until("the third is asked", || scene.has(2)).await;
    assert_eq!(scene.node.pending_waits(), 3, "nobody knows that it needs the join");
    scene.answers(2);
    assert_eq!(scene.node.pending_waits(), 2, "it has something to do");
    begin(&mut run);
    let (outcomes, beside) = soon(run).await;
    assert_eq!(short(&outcomes), ["agent → one → agent"; 2].join(", "));
    assert_eq!((beside, scene.left()), (Ok(3), (2, 2)));
}

#[tokio::test]
async fn each_question_costs_a_message_and_a_budget_that_has_not_enough_for_all_refuses_all() {
    let mut scene = Scene::new(still()).await;
    let limits = Limits { messages: Some(2), ..Limits::default() };
    let budget = Budget::root("run", limits, Moment::START);
    scene.work = scene.work.clone().charged_to(Some(budget.clone()));
    let outcomes = soon(scene.work.ask_many(scene.questions(3), Need::Any, MINUTE)).await;
    assert_eq!(outcomes.len(), 3);
    for outcome in outcomes {
        let told = "refused: budget `run` allows 2 messages: 2 left, 3 asked for";
        assert_eq!(outcome.unwrap_err().to_string(), told);
    }
    for other in &scene.others {
        handled(other).await;
    }
    assert!((0..3).all(|number| !scene.has(number)), "nothing was asked");
    assert_eq!(budget.spent(), Cost::ZERO);
    drop(scene.asks(2, Need::All).await);
    assert_eq!((budget.spent(), scene.left()), (Cost { messages: 2, ..Cost::ZERO }, (0, 0)));
}

#[tokio::test]
async fn what_cannot_begin_is_refused_in_words_and_what_needs_nobody_asks_nobody() {
    let scene = Scene::new(still()).await;
    let told = async |count: usize, need| {
        let questions = scene.questions(3);
        let (target, _) = &questions[0];
        let question = |to: Reply<u64>| act(move |_, cx| cx.reply(to, 7));
        let questions = (0..count).map(|_| (target.clone(), question));
        soon(scene.work.ask_many(questions, need, MINUTE)).await
    };
    for (count, need, words) in [
        (3, Need::AtLeast(4), "4 answers of 3 targets are needed; need fewer or ask more targets"),
        (
            CALL_TARGETS_MAX + 1,
            Need::Any,
            "more than 4096 targets are asked together; ask fewer at a time",
        ),
    ] {
        let outcomes = told(count, need).await;
        assert_eq!(outcomes.len(), count);
        for outcome in outcomes {
            let Err(AskError::Refused(why)) = outcome else { panic!("{outcome:?}") };
            assert_eq!((why.code, why.text.as_str()), (Code::Invalid, words));
        }
    }
    assert_eq!(short(&told(3, Need::AtLeast(0)).await), "Cancelled, Cancelled, Cancelled");
    assert_eq!(short(&told(0, Need::All).await), "");
    assert_eq!(short(&told(3, Need::All).await), "7, 7, 7");
    assert_eq!(scene.left(), (0, 0));
}

#[tokio::test]
async fn work_that_is_no_handlers_asks_several_too_and_is_no_edge() {
    let mut scene = Scene::new(still()).await;
    scene.work = ask(&scene.agent, |_, cx, to| cx.reply(to, cx.work_cx())).await.unwrap();
    scene.sticks(1).await;
    let mut run = scene.asks(2, Need::All).await;
    assert_eq!((ended(&mut run).as_str(), scene.left()), ("pending", (1, 2)));
    scene.answers(0);
    scene.others[1].stop();
    soon(scene.others[1].stopped()).await;
    assert_eq!(soon(run).await, [Ok(1), Err(AskError::Dropped)]);
    assert_eq!(scene.left(), (0, 0));
}

/// What the next question of a quorum comes to.
#[derive(Clone, Copy, PartialEq)]
enum Fate {
    /// It asks back.
    Stuck,
    Free,
    Answered,
    Refused,
}

#[tokio::test]
async fn random_quorums_are_refused_if_and_only_if_too_few_of_them_can_answer() {
    let dice = SeededRandom::new(5);
    let below = |limit: usize| usize::try_from(dice.next_u64() % limit as u64).unwrap();
    let (mut refused, mut went_on) = (0, 0);
    for case in 0..400 {
        let scene = Scene::new(still()).await;
        let count = 1 + below(NAMES.len());
        let need = 1 + below(count);
        let mut fates: Vec<Fate> =
            (0..count).map(|_| if below(3) == 0 { Fate::Stuck } else { Fate::Free }).collect();
        for (number, _) in fates.iter().enumerate().filter(|(_, fate)| **fate == Fate::Stuck) {
            scene.sticks(number).await;
        }
        let mut run = scene.asks(count, Need::AtLeast(need)).await;
        loop {
            let are = |of: Fate| fates.iter().filter(|fate| **fate == of).count();
            let (met, free, stuck) = (are(Fate::Answered), are(Fate::Free), are(Fate::Stuck));
            let told = ended(&mut run);
            let what = format!("case {case}: {need} of {count}, {met} met, {free} free: {told}");
            if met == need || met + free + stuck < need {
                assert!(told != "pending" && !told.contains('→'), "{what}");
                break;
            }
            if met + free < need {
                assert!(told.contains("→ agent"), "{what}");
                refused += 1;
                break;
            }
            assert_eq!(
                (told.as_str(), scene.node.pending_waits()),
                ("pending", stuck + 1),
                "{what}"
            );
            went_on += 1;
            let next = fates.iter().position(|fate| *fate == Fate::Free).unwrap();
            if below(3) == 0 {
                scene.take(next).refuse("no".to_owned());
                fates[next] = Fate::Refused;
            } else {
                scene.answers(next);
                fates[next] = Fate::Answered;
            }
        }
        let stuck = fates.iter().filter(|fate| **fate == Fate::Stuck).count();
        assert_eq!(scene.left(), (stuck, stuck), "case {case}");
    }
    assert!(refused > 100 && went_on > 200, "{refused} refused, {went_on} went on");
}

#[tokio::test]
async fn answers_from_many_threads_end_a_quorum_once_and_leave_nothing() {
    let scene = Scene::new(still()).await;
    for round in 0..300 {
        let mut run = scene.asks(4, Need::AtLeast(2)).await;
        let wanted = AtomicUsize::new(0);
        let outcomes = std::thread::scope(|scope| {
            for number in 0..4 {
                let (reply, wanted) = (scene.take(number), &wanted);
                scope.spawn(move || {
                    wanted.fetch_add(usize::from(reply.send(number as u64)), Ordering::SeqCst)
                });
            }
            loop {
                let mut cx = Context::from_waker(Waker::noop());
                if let Poll::Ready(outcomes) = run.as_mut().poll(&mut cx) {
                    assert_eq!(scene.left(), (0, 0), "round {round}");
                    break outcomes;
                }
                std::thread::yield_now();
            }
        });
        let met = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
        assert_eq!((met, wanted.into_inner()), (2, 2), "round {round}");
    }
}

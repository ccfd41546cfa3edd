//! Conformance: what OTP's documentation says of each strategy, restart type and cause of exit, a row each.
//!
//! The rows are written from *Supervisor Behaviour* (OTP Design Principles) and from the reference of module `supervisor`.

use std::{
    collections::BTreeSet,
    sync::{Arc, mpsc},
};

use futures_util::future::BoxFuture;
use protocol::RunId;
use synod_runtime::{
    actor::{Actor, ExitReason},
    address::Addr,
    ask::{AskError, Reply},
    context::Cx,
    engine::{
        journal::{Append, Journal, JournalError, Sequence},
        local::MemoryJournal,
    },
    node::Node,
    spawn::Spawn,
    supervisor::{ChildSpec, ChildStatus, Command, Restart, Strategy, Supervised, Supervisor},
};

use crate::support::{Log, SOON, soon, until};

/// Why a child ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Cause {
    Normal,
    Shutdown,
    Crash,
    Kill,
    Journal,
    /// The parent's own order, `terminate_child`.
    Order,
}
use Cause::{Crash, Journal as Refused, Kill, Normal, Order, Shutdown as Told};

const CAUSES: [Cause; 6] = [Normal, Told, Crash, Kill, Refused, Order];
const FAILURES: [Cause; 3] = [Crash, Kill, Refused];
const ENDS: [Cause; 3] = [Normal, Told, Order];
const ALONE: [Cause; 5] = [Normal, Told, Crash, Kill, Refused];

/// Strategy, restart type of `b`, causes of its exit, who ends (`-`) and who starts (`+`), in order.
///
/// The children are, in the order of their start: `a` permanent, `b`, `c` permanent, `t` temporary, `d` transient.
const ROWS: [(Strategy, Restart, &[Cause], &str); 15] = [
    (Strategy::OneForOne, Restart::Permanent, &ALONE, "b- b+"),
    (Strategy::OneForOne, Restart::Permanent, &[Order], "b-"),
    (Strategy::OneForOne, Restart::Transient, &FAILURES, "b- b+"),
    (Strategy::OneForOne, Restart::Transient, &ENDS, "b-"),
    (Strategy::OneForOne, Restart::Temporary, &CAUSES, "b-"),
    // "If one child process terminates and is to be restarted, all other child processes are terminated and then all child
    // processes are restarted." A temporary one is "never restarted (even when the supervisor's restart strategy is rest_for_one
    // or one_for_all and a sibling's death causes the temporary process to be terminated)".
    (Strategy::OneForAll, Restart::Permanent, &ALONE, "b- d- t- c- a- a+ b+ c+ d+"),
    (Strategy::OneForAll, Restart::Permanent, &[Order], "b-"),
    (Strategy::OneForAll, Restart::Transient, &FAILURES, "b- d- t- c- a- a+ b+ c+ d+"),
    (Strategy::OneForAll, Restart::Transient, &ENDS, "b-"),
    (Strategy::OneForAll, Restart::Temporary, &CAUSES, "b-"),
    // "The rest of the child processes (that is, the child processes after the terminated process in start order) are terminated.
    // Then the terminated child process and the rest of the child processes are restarted."
    (Strategy::RestForOne, Restart::Permanent, &ALONE, "b- d- t- c- b+ c+ d+"),
    (Strategy::RestForOne, Restart::Permanent, &[Order], "b-"),
    (Strategy::RestForOne, Restart::Transient, &FAILURES, "b- d- t- c- b+ c+ d+"),
    (Strategy::RestForOne, Restart::Transient, &ENDS, "b-"),
    (Strategy::RestForOne, Restart::Temporary, &CAUSES, "b-"),
];

/// Logs its starts, its ends and what it was told.
struct Member {
    name: &'static str,
    log: Log,
    notes: Log,
}

enum Msg {
    End(Cause),
    Note(&'static str),
    /// Say that the step is reached, and stay in it until the sender is dropped.
    Hold(mpsc::Receiver<()>, Reply<()>),
    Sync(Reply<u32>),
}

impl Actor for Member {
    type Msg = Msg;

    fn start(&mut self, _: &mut Cx<Self>) {
        self.log.add(format!("{}+", self.name));
    }

    fn handle(&mut self, msg: Msg, cx: &mut Cx<Self>) {
        match msg {
            Msg::End(Normal) => cx.stop(),
            Msg::End(Told) => cx.exit(ExitReason::Shutdown),
            Msg::End(Crash) => panic!("as asked"),
            Msg::End(Refused) => cx.record(&"refused"),
            Msg::End(Kill | Order) => panic!("done from outside"),
            Msg::Note(text) => {
                self.notes.add(format!("{} {} {text}", self.name, cx.incarnation()));
            }
            Msg::Hold(until, to) => {
                to.send(());
                until.recv().ok();
            }
            Msg::Sync(to) => cx.reply(to, cx.incarnation()),
        }
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        self.log.add(format!("{}-", self.name));
    }
}

/// A journal on which no record is kept.
#[derive(Default)]
struct Refusing(MemoryJournal);

impl Journal for Refusing {
    fn append(&self, append: Append) {
        append.acknowledge.appended(Err(JournalError::Closed));
    }

    fn read(&self, run: RunId, from: Sequence, limit: usize) -> Result<Vec<Vec<u8>>, JournalError> {
        self.0.read(run, from, limit)
    }

    fn next(&self, run: RunId) -> Result<Sequence, JournalError> {
        self.0.next(run)
    }

    fn runs(&self, after: Option<RunId>, limit: usize) -> Result<Vec<RunId>, JournalError> {
        self.0.runs(after, limit)
    }

    fn flush(&self) -> BoxFuture<'static, Result<(), JournalError>> {
        self.0.flush()
    }
}

struct Family {
    node: Node,
    top: Supervised,
    log: Log,
    notes: Log,
}

fn spec(name: &'static str, restart: Restart, log: &Log, notes: &Log) -> ChildSpec {
    let (log, notes) = (log.clone(), notes.clone());
    let spawn = Spawn::named(name).journal(RunId::NIL);
    let birth = move || Member { name, log: log.clone(), notes: notes.clone() };
    ChildSpec::new(spawn, birth).restart(restart)
}

async fn family(strategy: Strategy, of_b: Restart) -> Family {
    let node = Node::builder().journal(Arc::new(Refusing::default())).open().unwrap();
    let (log, notes) = (Log::default(), Log::default());
    let kinds = [
        ("a", Restart::Permanent),
        ("b", of_b),
        ("c", Restart::Permanent),
        ("t", Restart::Temporary),
        ("d", Restart::Transient),
    ];
    let supervisor =
        kinds.into_iter().fold(Supervisor::new("top", strategy), |top, (name, restart)| {
            top.spec(spec(name, restart, &log, &notes))
        });
    let top = node.supervise(supervisor);
    until("all have started", || log.lines().len() == 5).await;
    assert_eq!(log.lines(), ["a+", "b+", "c+", "t+", "d+"]);
    Family { node, top, log, notes }
}

impl Family {
    fn addr(&self, name: &str) -> Option<Addr<Msg>> {
        self.top.child(name)
    }

    async fn end(&self, name: &str, cause: Cause) {
        let child = self.addr(name).unwrap();
        match cause {
            Kill => child.child().kill(),
            Order => self.top.terminate_child(name, SOON).await.unwrap(),
            Normal | Told | Crash | Refused => child.try_tell(Msg::End(cause)).unwrap(),
        }
    }

    /// Every living child has handled all it was sent; their incarnations.
    async fn settled(&self) -> Vec<(String, u32)> {
        let mut living = Vec::new();
        for info in self.top.which_children() {
            let Some(child) = info.child else { continue };
            let sync = child.addr::<Msg>().unwrap().ask(Msg::Sync, SOON).await;
            living.push((info.name, sync.unwrap()));
        }
        living
    }
}

#[tokio::test]
async fn every_strategy_restart_type_and_cause_does_what_otp_documents() {
    let mut seen = BTreeSet::new();
    for (strategy, restart, causes, expected) in ROWS {
        for cause in causes {
            assert!(
                seen.insert(format!("{strategy:?} {restart:?} {cause:?}")),
                "twice in the table"
            );
            let row = format!("{strategy:?}, {restart:?}, {cause:?}");
            let family = family(strategy, restart).await;
            let before = family.top.children();
            let b = family.addr("b").unwrap();
            family.end("b", *cause).await;
            if *cause == Refused {
                // The refusal comes with the end of the batch.
                until("b has ended", || family.log.has("b-")).await;
            }
            // Behind the cause: it survives a restart and is a dead letter of a final end.
            let kept = b.try_tell(Msg::Note("kept")).is_ok();
            let events: Vec<&str> = expected.split(' ').collect();
            let log = &family.log;
            until(&row, || log.lines().len() >= 5 + events.len()).await;
            let living = family.settled().await;
            assert_eq!(log.lines()[5..], events, "{row}");

            let again = |name: &str| events.contains(&format!("{name}+").as_str());
            let gone = |name: &str| events.contains(&format!("{name}-").as_str()) && !again(name);
            let names = ["a", "b", "c", "t", "d"].into_iter().filter(|name| !gone(name));
            let expected: Vec<(String, u32)> =
                names.map(|name| (name.to_owned(), 1 + u32::from(again(name)))).collect();
            assert_eq!(living, expected, "{row}");
            // Whoever was started again has its old address.
            for (info, child) in family.top.which_children().iter().zip(&before) {
                if let (Some(now), true) = (&info.child, again(&info.name)) {
                    assert!(before.iter().any(|child| child.id() == now.id()), "{row}");
                }
                assert!(child.name().starts_with("top/"));
            }
            if again("b") {
                assert_eq!(family.notes.lines(), ["b 2 kept"], "{row}");
            } else {
                assert_eq!(soon(b.stopped()).await.is_failure(), FAILURES.contains(cause), "{row}");
                let letters = family.node.dead_letters();
                let queued = letters.iter().filter(|letter| letter.incarnation.is_none());
                assert_eq!(queued.count(), usize::from(kept), "{row}");
                let kept = family.top.which_children().into_iter().find(|child| child.name == "b");
                // The specification of a temporary child goes with it, others' stay.
                let status = kept.map(|child| child.status);
                let stays = restart != Restart::Temporary;
                assert_eq!(status, stays.then_some(ChildStatus::Stopped), "{row}");
            }
            assert!(!family.top.addr().is_stopped(), "{row}");
        }
    }
    assert_eq!(seen.len(), 3 * 3 * CAUSES.len());
}

#[tokio::test]
async fn siblings_told_to_rest_keep_their_queues_and_a_queued_poison_its_turn() {
    for (strategy, a, c) in
        [(Strategy::OneForOne, 1, 1), (Strategy::OneForAll, 2, 2), (Strategy::RestForOne, 1, 2)]
    {
        let family = family(strategy, Restart::Permanent).await;
        let (to_a, to_c) = (family.addr("a").unwrap(), family.addr("c").unwrap());
        family.end("b", Crash).await;
        until("b has ended", || family.log.has("b-")).await;
        // The supervisor has not had its turn yet, nor have they: one thread runs all.
        to_a.try_tell(Msg::Note("1")).unwrap();
        to_c.try_tell(Msg::Note("2")).unwrap();
        family.settled().await;
        let notes: BTreeSet<String> = family.notes.lines().into_iter().collect();
        assert_eq!(notes.len(), 2, "{strategy:?}: {notes:?}");
        let incarnations = |name| family.addr(name).unwrap().child();
        assert_eq!(incarnations("a").id(), to_a.id());
        let living = family.settled().await;
        assert!(living.contains(&("a".to_owned(), a)), "{strategy:?}: {living:?}");
        assert!(living.contains(&("c".to_owned(), c)), "{strategy:?}: {living:?}");
    }
}

#[tokio::test]
async fn two_that_fail_at_once_under_one_for_all_are_one_restart() {
    let family = family(Strategy::OneForAll, Restart::Permanent).await;
    // Intensity is 1: a second count would end the supervisor.
    for name in ["a", "b", "c"] {
        family.end(name, Crash).await;
    }
    until("all have started again", || family.log.lines().len() >= 5 + 9).await;
    family.settled().await;
    assert!(!family.top.addr().is_stopped());
    assert_eq!(family.log.lines()[5 + 5..], ["a+", "b+", "c+", "d+"]);
    family.end("a", Crash).await;
    let reason = soon(family.top.stopped()).await;
    assert!(matches!(reason, ExitReason::Intensity(_)), "{reason}");
}

#[tokio::test]
async fn a_transient_child_that_is_done_is_started_anew_with_its_siblings() {
    let family = family(Strategy::OneForAll, Restart::Transient).await;
    let b = family.addr("b").unwrap();
    family.end("b", Normal).await;
    assert_eq!(soon(b.stopped()).await, ExitReason::Normal);
    until("b is down", || family.top.count_children().active == 4).await;
    family.end("a", Crash).await;
    let log = &family.log;
    until("all have started again", || log.lines().last().is_some_and(|last| last == "d+")).await;
    assert_eq!(log.lines()[5 + 1..], ["a-", "d-", "t-", "c-", "a+", "b+", "c+", "d+"]);
    // An ended address stays ended: the name leads to a new one.
    let anew = family.addr("b").unwrap();
    assert_ne!(anew.id(), b.id());
    assert_eq!(anew.ask(Msg::Sync, SOON).await, Ok(1));
    assert_eq!(b.ask(Msg::Sync, SOON).await, Err(AskError::Stopped));
}

#[tokio::test]
async fn a_child_stopped_by_whoever_holds_its_address_is_down_like_a_terminated_one() {
    for strategy in [Strategy::OneForOne, Strategy::OneForAll, Strategy::RestForOne] {
        let family = family(strategy, Restart::Permanent).await;
        let b = family.addr("b").unwrap();
        b.stop();
        assert_eq!(soon(b.stopped()).await, ExitReason::Shutdown);
        until("b is down", || family.top.count_children().active == 4).await;
        family.settled().await;
        assert_eq!(family.log.lines()[5..], ["b-"]);
        let again = family.top.restart_child("b", SOON).await.unwrap();
        assert_eq!(again.addr::<Msg>().unwrap().ask(Msg::Sync, SOON).await, Ok(1));
    }
}

/// How `b` is ended for good while it is told to rest since `a` has failed, and as what it then ends.
const ENDED_FOR_GOOD: [(Cause, ExitReason); 3] =
    [(Told, ExitReason::Shutdown), (Order, ExitReason::Shutdown), (Kill, ExitReason::Cancelled)];

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn a_child_that_is_stopped_while_it_is_told_to_rest_stays_down_whoever_stops_it() {
    for strategy in [Strategy::OneForAll, Strategy::RestForOne] {
        for (how, reason) in ENDED_FOR_GOOD {
            let row = format!("{strategy:?}, {how:?}");
            let family = family(strategy, Restart::Permanent).await;
            let (top, b) = (&family.top, family.addr("b").unwrap());
            let (release, until_released) = mpsc::channel();
            b.ask(|to| Msg::Hold(until_released, to), SOON).await.unwrap();
            family.end("a", Crash).await;
            let status = || top.which_children().into_iter().find(|child| child.name == "b");
            let told = || status().is_some_and(|b| b.status == ChildStatus::Restarting);
            until("b is told to rest", told).await;
            let terminated = async {
                if how == Order {
                    let order = |to| Command::terminate_child("b", to);
                    top.addr().ask(order, SOON).await.unwrap().unwrap();
                }
            };
            let stopped = async {
                match how {
                    Told => b.stop(),
                    Kill => b.child().cancel(),
                    Order | Normal | Crash | Refused => {
                        while top.addr().tally().kept > 0 {
                            tokio::task::yield_now().await;
                        }
                    }
                }
                drop(release);
            };
            tokio::join!(terminated, stopped);
            assert_eq!(soon(b.stopped()).await, reason, "{row}");
            until(&row, || family.log.lines().len() >= 5 + 8).await;
            let living = family.settled().await;
            assert_eq!(
                family.log.lines()[5..],
                ["a-", "d-", "t-", "c-", "b-", "a+", "c+", "d+"],
                "{row}"
            );
            assert_eq!(living.iter().map(|(name, _)| name).collect::<Vec<_>>(), ["a", "c", "d"]);
            assert_eq!(status().map(|b| b.status), Some(ChildStatus::Stopped), "{row}");
        }
    }
}

/// What becomes of a child when its supervisor is started again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Again {
    /// It goes on, with its address.
    GoesOn,
    /// It is started with a new address.
    Anew,
    /// It is no more.
    Gone,
}

/// Whether the child was added at run time, its restart type, how it was ended before, and what becomes of it.
///
/// "If the supervisor is restarted, init is called again": it starts what its specification holds, temporary children too. Those
/// "added dynamically ... are lost"; here they go on, those aside that are never to be started again.
const SUPERVISOR_ROWS: [(bool, Restart, Option<Cause>, Again); 10] = [
    (false, Restart::Permanent, None, Again::GoesOn),
    (false, Restart::Permanent, Some(Order), Again::Anew),
    (false, Restart::Transient, None, Again::GoesOn),
    (false, Restart::Transient, Some(Normal), Again::Anew),
    (false, Restart::Temporary, None, Again::GoesOn),
    (false, Restart::Temporary, Some(Crash), Again::Anew),
    (true, Restart::Permanent, None, Again::GoesOn),
    (true, Restart::Transient, None, Again::GoesOn),
    (true, Restart::Temporary, None, Again::Gone),
    (true, Restart::Temporary, Some(Crash), Again::Gone),
];

#[tokio::test]
async fn a_supervisor_that_is_started_again_begins_its_specification_anew() {
    for (added, restart, before, again) in SUPERVISOR_ROWS {
        let row = format!("added: {added}, {restart:?}, {before:?}");
        let node = Node::in_memory().unwrap();
        let (log, notes) = (Log::default(), Log::default());
        let other = spec("other", Restart::Permanent, &log, &notes);
        let child = spec("child", restart, &log, &notes);
        let mid = Supervisor::one_for_one("mid");
        // It stands first, and so it is brought back.
        let (mid, late) = if added {
            (mid.spec(other), Some(child))
        } else {
            (mid.spec(child).spec(other), None)
        };
        let top = node.supervise(Supervisor::one_for_one("top").supervisor(mid));
        until("all have started", || log.has("other+")).await;
        let mid = top.children()[0].clone();
        let orders = mid.addr::<Command>().unwrap();
        if let Some(late) = late {
            orders.ask(|to| Command::start_child(late, to), SOON).await.unwrap().unwrap();
        }
        let first = top.child::<Msg>("mid/child").unwrap();
        match before {
            Some(Order) => {
                let order = |to| Command::terminate_child("child", to);
                orders.ask(order, SOON).await.unwrap().unwrap();
            }
            Some(cause) => first.try_tell(Msg::End(cause)).unwrap(),
            None => {}
        }
        if before.is_some() {
            soon(first.stopped()).await;
            // The supervisor has heard of it too.
            let order = |to| Command::delete_child("nobody", to);
            orders.ask(order, SOON).await.unwrap().unwrap_err();
        }
        mid.kill();
        let starts = || log.lines().iter().filter(|line| line.ends_with('+')).count();
        until(&row, || starts() == if again == Again::Gone { 3 } else { 4 }).await;
        let order = |to| Command::delete_child("nobody", to);
        orders.ask(order, SOON).await.unwrap().unwrap_err();
        if again != Again::GoesOn {
            soon(first.stopped()).await;
        }
        let now = top.child::<Msg>("mid/child");
        let same = now.as_ref().is_some_and(|now| now.id() == first.id());
        let seen = match &now {
            None => Again::Gone,
            Some(now) => {
                let incarnation = now.ask(Msg::Sync, SOON).await.unwrap();
                assert_eq!(incarnation, 1 + u32::from(same), "{row}");
                if same { Again::GoesOn } else { Again::Anew }
            }
        };
        assert_eq!(seen, again, "{row}");
        assert_eq!(first.is_stopped(), again != Again::GoesOn, "{row}");
        let order = log.lines().into_iter().filter(|line| line.ends_with('+')).collect::<Vec<_>>();
        if !added {
            assert_eq!(order[2..], ["child+", "other+"], "{row}");
        }
        top.stop();
        soon(top.stopped()).await;
        assert!(node.actors().is_empty(), "{row}: {:?}", node.actors());
    }
}

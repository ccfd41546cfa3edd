//! The actors of a random tree: workers that ask, send, spawn, watch, wait and fail, and ledgers that keep results.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use protocol::RunId;
use synod_runtime::{
    actor::Actor,
    address::Addr,
    ask::{AskError, Reply},
    clock::Moment,
    context::Cx,
    events::Received,
    record,
    spawn::Spawn,
};

use super::{
    Shared,
    extent::{DEPTH, Place},
    oracle::{Noted, Question},
    plan::{Plan, remainder},
};

/// The children that a worker starts for a while, at the most.
const TEMPORARY: usize = 2;

/// How much later than its deadline an actor hears of an ask that it made beside others: it may be in a call meanwhile.
const BUSY: Duration = Duration::from_secs(5);

/// How often a worker sends a result that is not acknowledged.
const SENDS: u32 = 50;

/// What workers are told.
#[derive(Debug)]
pub(crate) enum Msg {
    /// Something to do and to pass on, so many times.
    Token(u32),
    /// A question that is passed on so many times before it is answered.
    Job(Question<u64>, u32),
    /// The answer to one's own ask.
    Heard(u64, Moment, Result<u64, AskError>),
    /// The answer to an ask made for somebody else's question.
    Passed(u64, Moment, Result<u64, AskError>),
    /// Time to send a result again that was not yet acknowledged.
    Again(u64),
    /// A result is kept.
    Acked(u64),
    /// Somebody watched has ended.
    Down(u64),
    /// A task has ended.
    Done,
    /// The answers to a call: its number, its deadline, and each question with its answer.
    Called(u64, Moment, Vec<(u64, Result<u64, AskError>)>),
    /// Something that may be set aside.
    Aside(u64),
    /// Nothing came for a while.
    Quiet,
    /// An event, or how many were missed.
    News(Received),
    /// Time to go, for a child that was started for a while.
    Leave,
}

/// What ledgers are told.
#[derive(Debug)]
pub(crate) enum Entry {
    /// Keeps a result, once, and answers when it is durable.
    Commit(u64, Question<()>),
    /// Keeps a result, once, and tells `Addr` when it is durable. May come twice.
    Deliver(u64, Addr<Msg>),
}

/// One incarnation of a worker.
pub(crate) struct Worker {
    pub(crate) shared: Arc<Shared>,
    /// Its place in the plan; none for one that was started for a while.
    at: Option<usize>,
    /// The number of its node.
    node: usize,
    pub(crate) me: u64,
    /// Whether it sets aside what may be.
    pub(crate) closed: bool,
    /// The events that it heard of.
    pub(crate) news: BTreeSet<u64>,
    /// Questions that wait for others.
    passed: BTreeMap<u64, Question<u64>>,
    /// Results that wait for their acknowledgement: by which ledger, and how often they were sent.
    unacked: BTreeMap<u64, (usize, u32)>,
    temporary: usize,
}

impl Worker {
    pub(crate) fn new(shared: &Arc<Shared>, node: usize, at: Option<usize>) -> Self {
        let me = shared.oracle.number();
        shared.oracle.asks(me, 0);
        Self {
            shared: Arc::clone(shared),
            at,
            node,
            me,
            closed: false,
            news: BTreeSet::new(),
            passed: BTreeMap::new(),
            unacked: BTreeMap::new(),
            temporary: 0,
        }
    }

    /// One that is started for a while, as long as it has a place.
    pub(crate) fn guest(shared: &Arc<Shared>, node: usize, _: &Place) -> Self {
        Self::new(shared, node, None)
    }

    /// Does one of the many things that a worker may do.
    fn act(&mut self, cx: &mut Cx<Self>) {
        match cx.random() % 512 {
            0..=63 => self.ask(cx, None),
            64..=95 => self.task(cx),
            96..=127 => self.deliver(cx),
            128..=143 => self.watch(cx),
            144..=159 if self.temporary < TEMPORARY => self.spawn(cx),
            160 => cx.crash("the dice said so"),
            161 => cx.stop(),
            dice @ 384..=511 => self.deed(dice - 384, cx),
            _ => {}
        }
    }

    /// Asks some worker, for itself or for a question that it holds.
    fn ask(&mut self, cx: &mut Cx<Self>, held: Option<(Question<u64>, u32)>) {
        let Some(target) = self.shared.some_worker(cx.random()) else { return };
        let within = Duration::from_millis(50 + cx.random() % 1_000);
        let (number, deadline) = (self.shared.oracle.number(), cx.now() + within);
        let noted = self.shared.noted();
        let left =
            held.as_ref().map_or(u32::try_from(cx.random() % 3).unwrap_or(0), |(_, left)| *left);
        let question = move |to: Reply<u64>| Msg::Job(Question::new(number, to, noted), left);
        self.shared.census.sends(cx.me().child().name(), target.child().name());
        match held {
            None => {
                self.shared.oracle.asks(self.me, 1);
                cx.ask(&target, question, within, move |answer| {
                    Msg::Heard(number, deadline, answer)
                });
            }
            Some((held, _)) => {
                self.passed.insert(number, held);
                cx.ask(&target, question, within, move |answer| {
                    Msg::Passed(number, deadline, answer)
                });
            }
        }
    }

    /// Sleeps for a while in a task of its own.
    fn task(&self, cx: &mut Cx<Self>) {
        let (oracle, me) = (self.shared.oracle.clone(), self.me);
        let world = self.shared.world.clone();
        let naps = 1 + cx.random() % 4;
        let each = Duration::from_millis(cx.random() % 400);
        let work = async move {
            for _ in 0..naps {
                oracle.runs(me);
                world.wait(each).await;
            }
            oracle.runs(me);
        };
        cx.perform(work, |_| Msg::Done);
    }

    fn deliver(&mut self, cx: &mut Cx<Self>) {
        let number = self.shared.oracle.number();
        let ledger = remainder(cx.random(), self.shared.plan.ledgers());
        self.unacked.insert(number, (ledger, 0));
        self.send_result(number, cx);
    }

    fn send_result(&mut self, number: u64, cx: &mut Cx<Self>) {
        let Some((ledger, sent)) = self.unacked.get_mut(&number) else { return };
        *sent += 1;
        if *sent > SENDS {
            // Nobody was told that it is kept: its budget may be used up.
            self.unacked.remove(&number);
            return;
        }
        if let Some(ledger) = self.shared.ledger(*ledger) {
            cx.send(&ledger, Entry::Deliver(number, cx.me()));
        }
        cx.after(Duration::from_millis(400), Msg::Again(number));
    }

    fn watch(&self, cx: &mut Cx<Self>) {
        let Some(target) = self.shared.some_worker(cx.random()) else { return };
        let (number, target) = (self.shared.oracle.number(), target.child());
        if target.id() != cx.id() {
            self.shared.oracle.watches(number, self.me, target.clone());
            cx.watch(&target, move |_| Msg::Down(number));
        }
    }

    fn spawn(&mut self, cx: &mut Cx<Self>) {
        if cx.me().child().name().matches('/').count() + 1 >= *DEPTH.end() {
            return;
        }
        let Some(place) = self.shared.room.take() else { return };
        let by_work = self.temporary % 2 == 1;
        self.shared.census.deed(if by_work { "spawn by work" } else { "spawn" });
        self.temporary += 1;
        let shared = Arc::clone(&self.shared);
        let name = format!("t{}", self.shared.oracle.number());
        let node = self.node;
        let (spawn, birth) = (Spawn::named(name), move || Self::guest(&shared, node, &place));
        let child = if by_work { cx.work_cx().spawn(spawn, birth) } else { cx.spawn(spawn, birth) };
        cx.send(&child, Msg::Token(2));
        // One that work has started stays until its parent's end.
        if !by_work {
            cx.send(&child, Msg::Leave);
        }
    }

    /// Sends a message to another worker.
    pub(crate) fn sends(&self, target: &Addr<Msg>, message: Msg, cx: &mut Cx<Self>) {
        self.shared.census.sends(cx.me().child().name(), target.child().name());
        cx.send(target, message);
    }

    fn pass(&self, left: u32, cx: &mut Cx<Self>) {
        if left == 0 {
            return;
        }
        if cx.random().is_multiple_of(8) {
            let delay = Duration::from_millis(cx.random() % 200);
            cx.after(delay, Msg::Token(left - 1));
        } else if let Some(next) = self.shared.some_worker(cx.random()) {
            self.sends(&next, Msg::Token(left - 1), cx);
        }
    }
}

impl Actor for Worker {
    type Msg = Msg;

    fn start(&mut self, cx: &mut Cx<Self>) {
        let me = cx.me().child();
        let subscribes = Plan::subscribes(me.name());
        self.shared.census.begins(self.me, self.node, me);
        if subscribes {
            Self::subscribe(cx);
        }
        let kin = self.at.map(|at| self.shared.plan.kin(at)).unwrap_or_default();
        for at in kin {
            let shared = Arc::clone(&self.shared);
            let spawn = self.shared.plan.spawn(at);
            let node = self.node;
            cx.spawn(spawn, move || Self::new(&shared, node, Some(at)));
        }
    }

    fn handle(&mut self, msg: Msg, cx: &mut Cx<Self>) {
        self.shared.extent.delivers();
        let me = cx.me().child();
        if me.ended().is_some() {
            self.shared.oracle.fail(format!("{} took a step after its end", me.name()));
        }
        match msg {
            Msg::Token(left) => {
                self.act(cx);
                self.pass(left, cx);
            }
            Msg::Job(question, 0) => {
                // One in sixteen forgets to answer; the kernel tells the asker.
                if !cx.random().is_multiple_of(16)
                    && let Some(reply) = question.take()
                {
                    cx.reply(reply, 1);
                }
            }
            Msg::Job(question, left) => self.ask(cx, Some((question, left - 1))),
            Msg::Heard(number, deadline, answer) => {
                self.shared.oracle.asks(self.me, -1);
                self.shared.oracle.waited(number, deadline, BUSY, cx.now());
                self.shared.oracle.outcome(number, deadline, answer.as_ref().err());
            }
            Msg::Passed(number, deadline, answer) => {
                self.shared.oracle.waited(number, deadline, BUSY, cx.now());
                self.shared.oracle.outcome(number, deadline, answer.as_ref().err());
                let question = self.passed.remove(&number);
                if let (Ok(hops), Some(reply)) = (answer, question.and_then(Question::take)) {
                    cx.reply(reply, hops + 1);
                }
            }
            Msg::Again(number) => self.send_result(number, cx),
            Msg::Acked(number) => {
                if let Some((ledger, _)) = self.unacked.remove(&number) {
                    self.shared.oracle.accepted(ledger, number);
                }
            }
            Msg::Called(call, deadline, answers) => self.called(call, deadline, &answers, cx),
            Msg::Aside(number) => self.aside(number, cx),
            Msg::Quiet => self.open(cx),
            Msg::News(news) => self.hears(&news),
            Msg::Down(watch) => self.shared.oracle.down(watch),
            Msg::Done => self.act(cx),
            Msg::Leave => cx.stop(),
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.shared.oracle.ends(self.me);
        self.shared.census.ends(self.me, self.shared.world.now());
    }
}

/// Keeps results in a journal, each once.
pub(crate) struct Ledger(Arc<Shared>, BTreeSet<u64>);

impl Ledger {
    pub(crate) fn run(at: usize) -> RunId {
        RunId::from_u128(1 + at as u128)
    }

    pub(crate) fn new(shared: &Arc<Shared>) -> Self {
        Self(Arc::clone(shared), BTreeSet::new())
    }

    fn keep(&mut self, number: u64, cx: &mut Cx<Self>) {
        if self.1.insert(number) {
            cx.record(&number);
        }
    }
}

impl Actor for Ledger {
    type Msg = Entry;

    fn handle(&mut self, entry: Entry, cx: &mut Cx<Self>) {
        self.0.extent.delivers();
        match entry {
            Entry::Commit(number, question) => {
                self.keep(number, cx);
                if let Some(reply) = question.take() {
                    cx.reply(reply, ());
                }
            }
            Entry::Deliver(number, to) => {
                self.keep(number, cx);
                cx.send(&to, Msg::Acked(number));
            }
        }
    }

    fn replay(&mut self, bytes: &[u8]) -> Result<(), String> {
        self.1.insert(record::decode(bytes)?);
        Ok(())
    }
}

/// A twin of a message that may come twice.
pub(crate) fn twin(entry: &Entry) -> Option<Entry> {
    match entry {
        Entry::Deliver(number, to) => Some(Entry::Deliver(*number, to.clone())),
        Entry::Commit(..) => None,
    }
}

/// A twin of an acknowledgement.
pub(crate) fn acked_twin(msg: &Msg) -> Option<Msg> {
    if let Msg::Acked(number) = msg { Some(Msg::Acked(*number)) } else { None }
}

/// For clients: where their dropped questions are noted.
pub(crate) fn commit(number: u64, ask: u64, noted: Noted) -> impl FnOnce(Reply<()>) -> Entry {
    move |to| Entry::Commit(number, Question::new(ask, to, noted))
}

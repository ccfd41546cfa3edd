//! An actor that does what each message says, a log that outlives its incarnations, and a journal that acknowledges by hand.

use std::{
    collections::VecDeque,
    sync::{Arc, mpsc},
    time::Duration,
};

use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use protocol::RunId;
use synod_runtime::{
    actor::Actor,
    address::Addr,
    ask::{AskError, Reply},
    context::Cx,
    engine::{
        journal::{Append, Journal, JournalError, Sequence},
        local::MemoryJournal,
    },
    graph::ObservableState,
    node::Node,
    spawn::Spawn,
};

/// Longer than any test takes, so that only a hang meets it.
pub(crate) const SOON: Duration = Duration::from_secs(60);

/// Whoever has seen this panics when observed.
pub(crate) const UNSPEAKABLE: u64 = 666;

/// Lines that tests and actors write, in order.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    pub(crate) fn add(&self, line: impl Into<String>) {
        self.0.lock().push(line.into());
    }

    pub(crate) fn lines(&self) -> Vec<String> {
        self.0.lock().clone()
    }

    pub(crate) fn has(&self, line: &str) -> bool {
        self.0.lock().iter().any(|of| of == line)
    }
}

/// What a puppet is told: what to do.
pub(crate) type Do = Box<dyn FnOnce(&mut Puppet, &mut Cx<Puppet>) + Send>;

/// Does what each message says; its log has its starts and replays.
pub(crate) struct Puppet {
    pub(crate) log: Log,
    pub(crate) seen: Vec<u64>,
    kept: Vec<Reply<u64>>,
    on_start: Option<fn(&mut Self, &mut Cx<Self>)>,
}

impl Puppet {
    pub(crate) fn new(log: &Log) -> Self {
        Self { log: log.clone(), seen: Vec::new(), kept: Vec::new(), on_start: None }
    }

    /// Keeps a reply and never answers.
    pub(crate) fn keep(&mut self, reply: Reply<u64>) {
        self.kept.push(reply);
    }

    pub(crate) fn starting(mut self, on_start: fn(&mut Self, &mut Cx<Self>)) -> Self {
        self.on_start = Some(on_start);
        self
    }
}

impl Actor for Puppet {
    type Msg = Do;

    fn start(&mut self, cx: &mut Cx<Self>) {
        self.log.add(format!("start {}", cx.incarnation()));
        if let Some(on_start) = self.on_start {
            on_start(self, cx);
        }
    }

    fn handle(&mut self, act: Do, cx: &mut Cx<Self>) {
        act(self, cx);
    }

    fn observe(&self) -> ObservableState {
        assert!(!self.seen.contains(&UNSPEAKABLE), "it cannot be shown");
        ObservableState::of(&self.seen)
    }

    fn replay(&mut self, record: &[u8]) -> Result<(), String> {
        if record.last() == Some(&b'!') {
            return Err("unreadable".to_owned());
        }
        self.log.add(format!("replay {}", String::from_utf8_lossy(record.get(1..).unwrap_or(&[]))));
        Ok(())
    }
}

/// Boxes what a puppet shall do.
pub(crate) fn act(act: impl FnOnce(&mut Puppet, &mut Cx<Puppet>) + Send + 'static) -> Do {
    Box::new(act)
}

/// A message that adds a line to the puppet's log.
pub(crate) fn note(line: &'static str) -> Do {
    act(move |puppet, _| puppet.log.add(line))
}

/// A root puppet called `name`.
pub(crate) fn puppet(node: &Node, name: &str, log: &Log) -> Addr<Do> {
    let log = log.clone();
    node.spawn(Spawn::named(name), move || Puppet::new(&log))
}

/// A child of `parent` called `child`, which has done its first step.
pub(crate) async fn child_of(parent: &Addr<Do>) -> Addr<Do> {
    let child = ask(parent, |puppet, cx, to| {
        let log = puppet.log.clone();
        let child = cx.spawn(Spawn::named("child"), move || Puppet::new(&log));
        cx.reply(to, child);
    });
    let child = child.await.unwrap();
    // Else that step might stand behind one of the parent's that blocks a thread.
    handled(&child).await;
    child
}

/// Tells `puppet` what to do, without waiting.
pub(crate) fn tell(
    puppet: &Addr<Do>,
    does: impl FnOnce(&mut Puppet, &mut Cx<Puppet>) + Send + 'static,
) {
    puppet.try_tell(act(does)).unwrap();
}

/// Asks `puppet` to do something and answer.
pub(crate) async fn ask<T: Send + 'static>(
    puppet: &Addr<Do>,
    does: impl FnOnce(&mut Puppet, &mut Cx<Puppet>, Reply<T>) + Send + 'static,
) -> Result<T, AskError> {
    puppet.ask(|to| act(move |puppet, cx| does(puppet, cx, to)), SOON).await
}

/// Waits until `puppet` has handled what was sent to it before.
pub(crate) async fn handled(puppet: &Addr<Do>) {
    ask(puppet, |_, cx, to| cx.reply(to, ())).await.unwrap();
}

/// Holds `puppet` inside of a step; it goes on when the sender is used or dropped.
pub(crate) async fn blocked(puppet: &Addr<Do>) -> mpsc::Sender<()> {
    let (release, until) = mpsc::channel::<()>();
    ask(puppet, move |_, _, to| {
        to.send(());
        until.recv().ok();
    })
    .await
    .unwrap();
    release
}

/// The outcome of `work`, which must come soon.
pub(crate) async fn soon<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(SOON, work).await.expect("it does not end")
}

/// Waits until `holds`, and fails when it does not hold soon.
pub(crate) async fn until(what: &str, holds: impl Fn() -> bool) {
    let wait = async {
        while !holds() {
            tokio::task::yield_now().await;
        }
    };
    assert!(tokio::time::timeout(SOON, wait).await.is_ok(), "{what} does not hold");
}

/// A journal that keeps an append only when the test says so.
#[derive(Default)]
pub(crate) struct HandJournal {
    held: Mutex<VecDeque<Append>>,
    kept: MemoryJournal,
}

impl HandJournal {
    /// How many appends wait for the test.
    pub(crate) fn held(&self) -> usize {
        self.held.lock().len()
    }

    /// Keeps and acknowledges the oldest append.
    pub(crate) fn acknowledge(&self) {
        let append = self.held.lock().pop_front().unwrap();
        self.kept.append(append);
    }

    /// Refuses the oldest append.
    pub(crate) fn refuse(&self) {
        let append = self.held.lock().pop_front().unwrap();
        append.acknowledge.appended(Err(JournalError::Closed));
    }
}

impl Journal for HandJournal {
    fn append(&self, append: Append) {
        self.held.lock().push_back(append);
    }

    fn read(&self, run: RunId, from: Sequence, limit: usize) -> Result<Vec<Vec<u8>>, JournalError> {
        self.kept.read(run, from, limit)
    }

    fn next(&self, run: RunId) -> Result<Sequence, JournalError> {
        self.kept.next(run)
    }

    fn runs(&self, after: Option<RunId>, limit: usize) -> Result<Vec<RunId>, JournalError> {
        self.kept.runs(after, limit)
    }

    fn flush(&self) -> BoxFuture<'static, Result<(), JournalError>> {
        self.kept.flush()
    }
}

//! kameo, with its bounded mailboxes.
use std::ops::ControlFlow;

use anyhow::{Context as _, Result, bail};
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use kameo::Actor;
use kameo::actor::{ActorId, ActorRef, Spawn as _, WeakActorRef};
use kameo::error::{ActorStopReason, Infallible};
use kameo::mailbox;
use kameo::message::{Context, Message};
use tokio::sync::{mpsc, oneshot};

use super::{
    ASKS, BATCH, BATCHES, BOUND, Done, HOPS, IDLE, IN_FLIGHT, RING, SENDERS, SWARM, TELLS, TICKS,
    WAVE, WAVES, WORKERS, Watch, resident,
};

/// Makes a type an actor that starts as what it is given.
macro_rules! actor {
    ($name:ident) => {
        impl Actor for $name {
            type Args = Self;
            type Error = Infallible;

            async fn on_start(args: Self, _: ActorRef<Self>) -> Result<Self, Infallible> {
                Ok(args)
            }
        }
    };
}

/// Runs a workload.
pub(crate) fn run(workload: &str) -> Result<Done> {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(WORKERS).enable_all().build()?;
    let workload = workload.to_owned();
    runtime.block_on(runtime.spawn(async move {
        match workload.as_str() {
            "mailbox.tell" => fan(1).await,
            "mailbox.fan_in" => fan(SENDERS).await,
            "mailbox.ring" => ring().await,
            "mailbox.ask" => ask(1).await,
            "mailbox.ask_in_flight" => ask(IN_FLIGHT).await,
            "mailbox.swarm_tick" => swarm_tick().await,
            "mailbox.spawn" => spawn().await,
            "mailbox.batch" => batch().await,
            "actor.idle_bytes" => idle().await,
            other => bail!("no workload is called {other}"),
        }
    }))?
}

struct Sink {
    left: u64,
    done: Option<oneshot::Sender<()>>,
}
actor!(Sink);

impl Message<u64> for Sink {
    type Reply = ();

    async fn handle(&mut self, _: u64, _: &mut Context<Self, ()>) {
        self.left -= 1;
        if self.left == 0 {
            self.done.take().map(|done| done.send(()));
        }
    }
}

async fn fan(senders: u64) -> Result<Done> {
    let each = TELLS / senders;
    let (done, finished) = oneshot::channel();
    let sink = Sink::spawn_with_mailbox(
        Sink { left: each * senders, done: Some(done) },
        mailbox::bounded(BOUND),
    );
    let watch = Watch::start();
    for _ in 0..senders {
        let sink = sink.clone();
        tokio::spawn(async move {
            for number in 0..each {
                if sink.tell(number).send().await.is_err() {
                    return;
                }
            }
        });
    }
    finished.await.context("wait for the last")?;
    Ok(Done::InTime(each * senders, watch.time()))
}

struct Link {
    next: Option<ActorRef<Link>>,
    done: Option<oneshot::Sender<()>>,
}
actor!(Link);

enum Token {
    Next(ActorRef<Link>),
    Left(u64),
}

impl Message<Token> for Link {
    type Reply = ();

    async fn handle(&mut self, token: Token, _: &mut Context<Self, ()>) {
        match token {
            Token::Next(next) => self.next = Some(next),
            Token::Left(left) => {
                if left <= 1
                    && let Some(done) = self.done.take()
                {
                    done.send(()).ok();
                } else if let Some(next) = &self.next {
                    next.tell(Token::Left(left.saturating_sub(1).max(1))).send().await.ok();
                }
            }
        }
    }
}

async fn ring() -> Result<Done> {
    let (done, finished) = oneshot::channel();
    let spawn = |link| Link::spawn_with_mailbox(link, mailbox::bounded(BOUND));
    let last = spawn(Link { next: None, done: Some(done) });
    let mut next = last.clone();
    for _ in 1..RING {
        next = spawn(Link { next: Some(next), done: None });
    }
    last.tell(Token::Next(next.clone())).send().await.ok().context("close the ring")?;
    let watch = Watch::start();
    next.tell(Token::Left(HOPS)).send().await.ok().context("start the token")?;
    finished.await.context("wait for the token")?;
    Ok(Done::InTime(HOPS, watch.time()))
}

struct Echo;
actor!(Echo);

impl Message<u64> for Echo {
    type Reply = u64;

    async fn handle(&mut self, number: u64, _: &mut Context<Self, u64>) -> u64 {
        number
    }
}

async fn question(echo: &ActorRef<Echo>, number: u64) -> Result<u64> {
    echo.ask(number).send().await.context("ask")
}

async fn ask(open: usize) -> Result<Done> {
    let echo = Echo::spawn_with_mailbox(Echo, mailbox::bounded(BOUND));
    let one = |number| question(&echo, number);
    let watch = Watch::start();
    if open == 1 {
        for number in 0..ASKS {
            one(number).await?;
        }
        return Ok(Done::InTime(ASKS, watch.time()));
    }
    let mut asks: FuturesUnordered<_> = (0..open as u64).map(one).collect();
    let mut next = open as u64;
    while let Some(answer) = asks.next().await {
        answer?;
        if next < ASKS {
            asks.push(one(next));
            next += 1;
        }
    }
    Ok(Done::InTime(ASKS, watch.time()))
}

struct Ant {
    gatherer: ActorRef<Gatherer>,
}
actor!(Ant);

struct Gatherer {
    count: usize,
    next: mpsc::Sender<()>,
}
actor!(Gatherer);

impl Message<u64> for Ant {
    type Reply = ();

    async fn handle(&mut self, tick: u64, _: &mut Context<Self, ()>) {
        self.gatherer.tell(tick).send().await.ok();
    }
}

impl Message<u64> for Gatherer {
    type Reply = ();

    async fn handle(&mut self, _: u64, _: &mut Context<Self, ()>) {
        self.count += 1;
        if self.count == SWARM {
            self.count = 0;
            self.next.send(()).await.ok();
        }
    }
}

async fn swarm_tick() -> Result<Done> {
    let (next, mut go) = mpsc::channel(1);
    let gatherer =
        Gatherer::spawn_with_mailbox(Gatherer { count: 0, next }, mailbox::bounded(BOUND));
    let ants: Vec<_> = (0..SWARM)
        .map(|_| {
            Ant::spawn_with_mailbox(Ant { gatherer: gatherer.clone() }, mailbox::bounded(BOUND))
        })
        .collect();
    let watch = Watch::start();
    for tick in 0..TICKS {
        for ant in &ants {
            ant.tell(tick).send().await.ok().context("tick")?;
        }
        go.recv().await.context("gather")?;
    }
    Ok(Done::InTime(TICKS * SWARM as u64, watch.time()))
}

/// Says that it has handled its message.
struct Idle(mpsc::UnboundedSender<()>);
actor!(Idle);

impl Message<()> for Idle {
    type Reply = ();

    async fn handle(&mut self, (): (), _: &mut Context<Self, ()>) {
        self.0.send(()).ok();
    }
}

async fn idle() -> Result<Done> {
    let (done, mut handled) = mpsc::unbounded_channel();
    let before = resident()?;
    let start = |_| Idle::spawn_with_mailbox(Idle(done.clone()), mailbox::bounded(BOUND));
    let actors: Vec<_> = (0..IDLE).map(start).collect();
    for actor in &actors {
        actor.tell(()).send().await.ok().context("tell")?;
    }
    for _ in 0..IDLE {
        handled.recv().await.context("wait for an actor")?;
    }
    Ok(Done::Grown(resident()?.saturating_sub(before)))
}

/// Comes and goes.
struct Child;
actor!(Child);

/// Starts a wave of children, then stops it, and tells when the last has ended.
struct Parent {
    left: usize,
    next: mpsc::Sender<()>,
}

impl Actor for Parent {
    type Args = Self;
    type Error = Infallible;

    async fn on_start(args: Self, _: ActorRef<Self>) -> Result<Self, Infallible> {
        Ok(args)
    }

    async fn on_link_died(
        &mut self,
        _: WeakActorRef<Self>,
        _: ActorId,
        _: ActorStopReason,
    ) -> Result<ControlFlow<ActorStopReason>, Infallible> {
        self.left -= 1;
        if self.left == 0 {
            self.next.send(()).await.ok();
        }
        Ok(ControlFlow::Continue(()))
    }
}

impl Message<()> for Parent {
    type Reply = ();

    async fn handle(&mut self, (): (), context: &mut Context<Self, ()>) {
        self.left = WAVE;
        let mut wave = Vec::with_capacity(WAVE);
        for _ in 0..WAVE {
            let mailbox = mailbox::bounded(BOUND);
            wave.push(Child::spawn_link_with_mailbox(context.actor_ref(), Child, mailbox).await);
        }
        for child in wave {
            child.stop_gracefully().await.ok();
        }
    }
}

async fn spawn() -> Result<Done> {
    let (next, mut over) = mpsc::channel(1);
    let parent = Parent::spawn_with_mailbox(Parent { left: 0, next }, mailbox::bounded(BOUND));
    let watch = Watch::start();
    for _ in 0..WAVES {
        parent.tell(()).send().await.ok().context("start a wave")?;
        over.recv().await.context("end a wave")?;
    }
    Ok(Done::InTime(WAVES * WAVE as u64, watch.time()))
}

impl Message<Vec<u64>> for Sink {
    type Reply = ();

    async fn handle(&mut self, batch: Vec<u64>, _: &mut Context<Self, ()>) {
        self.left -= batch.len() as u64;
        if self.left == 0 {
            self.done.take().map(|done| done.send(()));
        }
    }
}

async fn batch() -> Result<Done> {
    let (done, finished) = oneshot::channel();
    let state = Sink { left: BATCHES * BATCH, done: Some(done) };
    let sink = Sink::spawn_with_mailbox(state, mailbox::bounded(BOUND));
    let watch = Watch::start();
    for number in 0..BATCHES {
        let batch: Vec<u64> = (number..number + BATCH).collect();
        sink.tell(batch).send().await.ok().context("tell")?;
    }
    finished.await.context("wait for the last")?;
    Ok(Done::InTime(BATCHES * BATCH, watch.time()))
}

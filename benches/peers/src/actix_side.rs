//! actix, whose actors stay on the thread that starts them: senders on one thread, receivers on another.
use std::time::Duration;

use actix::{Actor, Addr, Arbiter, Context, Handler, Message, System};
use anyhow::{Context as _, Result, bail};
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use tokio::sync::{mpsc, oneshot};

use super::{ASKS, BOUND, HOPS, IN_FLIGHT, RING, SENDERS, SWARM, TELLS, TICKS, Watch};

/// Runs a workload; returns how many of something it did, in which time.
pub(crate) fn run(workload: &str) -> Result<(u64, Duration)> {
    System::new().block_on(async move {
        match workload {
            "mailbox.tell" => fan(1).await,
            "mailbox.fan_in" => fan(SENDERS).await,
            "mailbox.ring" => ring().await,
            "mailbox.ask" => ask(1).await,
            "mailbox.ask_in_flight" => ask(IN_FLIGHT).await,
            "mailbox.swarm_tick" => swarm_tick().await,
            other => bail!("no workload is called {other}"),
        }
    })
}

/// A number to handle, without an answer.
struct Tell(u64);
impl Message for Tell {
    type Result = ();
}

/// A number to send back.
struct Ask(u64);
impl Message for Ask {
    type Result = u64;
}

struct Sink {
    left: u64,
    done: Option<oneshot::Sender<()>>,
}

impl Actor for Sink {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Context<Self>) {
        context.set_mailbox_capacity(BOUND);
    }
}

impl Handler<Tell> for Sink {
    type Result = ();

    fn handle(&mut self, _: Tell, _: &mut Context<Self>) {
        self.left -= 1;
        if self.left == 0 {
            self.done.take().map(|done| done.send(()));
        }
    }
}

async fn fan(senders: u64) -> Result<(u64, Duration)> {
    let each = TELLS / senders;
    let (done, finished) = oneshot::channel();
    let state = Sink { left: each * senders, done: Some(done) };
    let sink = Sink::start_in_arbiter(&Arbiter::new().handle(), |_| state);
    let watch = Watch::start();
    for _ in 0..senders {
        let sink = sink.clone();
        // a send beyond the mailbox's capacity is what actix offers without waiting for an answer
        actix::spawn(async move { (0..each).for_each(|number| sink.do_send(Tell(number))) });
    }
    finished.await.context("wait for the last")?;
    Ok((each * senders, watch.time()))
}

struct Link {
    next: Option<Addr<Link>>,
    done: Option<oneshot::Sender<()>>,
}

struct Next(Addr<Link>);
impl Message for Next {
    type Result = ();
}

impl Actor for Link {
    type Context = Context<Self>;
}

impl Handler<Next> for Link {
    type Result = ();

    fn handle(&mut self, Next(next): Next, _: &mut Context<Self>) {
        self.next = Some(next);
    }
}

impl Handler<Tell> for Link {
    type Result = ();

    fn handle(&mut self, Tell(left): Tell, _: &mut Context<Self>) {
        if left <= 1
            && let Some(done) = self.done.take()
        {
            done.send(()).ok();
        } else if let Some(next) = &self.next {
            next.do_send(Tell(left.saturating_sub(1).max(1)));
        }
    }
}

/// All links live on one thread, as actix starts them.
async fn ring() -> Result<(u64, Duration)> {
    let (done, finished) = oneshot::channel();
    let last = Link { next: None, done: Some(done) }.start();
    let mut next = last.clone();
    for _ in 1..RING {
        next = Link { next: Some(next), done: None }.start();
    }
    last.send(Next(next.clone())).await.context("close the ring")?;
    let watch = Watch::start();
    next.do_send(Tell(HOPS));
    finished.await.context("wait for the token")?;
    Ok((HOPS, watch.time()))
}

struct Echo;

impl Actor for Echo {
    type Context = Context<Self>;
}

impl Handler<Ask> for Echo {
    type Result = u64;

    fn handle(&mut self, Ask(number): Ask, _: &mut Context<Self>) -> u64 {
        number
    }
}

async fn question(echo: &Addr<Echo>, number: u64) -> Result<u64> {
    echo.send(Ask(number)).await.context("ask")
}

async fn ask(open: usize) -> Result<(u64, Duration)> {
    // on the asker's thread: an answer from another one has to wake it, which takes fifty times as long
    let echo = Echo.start();
    let one = |number| question(&echo, number);
    let watch = Watch::start();
    if open == 1 {
        for number in 0..ASKS {
            one(number).await?;
        }
        return Ok((ASKS, watch.time()));
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
    Ok((ASKS, watch.time()))
}

struct Ant(Addr<Gatherer>);

impl Actor for Ant {
    type Context = Context<Self>;
}

impl Handler<Tell> for Ant {
    type Result = ();

    fn handle(&mut self, tick: Tell, _: &mut Context<Self>) {
        self.0.do_send(tick);
    }
}

struct Gatherer {
    count: usize,
    next: mpsc::Sender<()>,
}

impl Actor for Gatherer {
    type Context = Context<Self>;
}

impl Handler<Tell> for Gatherer {
    type Result = ();

    fn handle(&mut self, _: Tell, _: &mut Context<Self>) {
        self.count += 1;
        if self.count == SWARM {
            self.count = 0;
            self.next.try_send(()).ok();
        }
    }
}

async fn swarm_tick() -> Result<(u64, Duration)> {
    let (next, mut go) = mpsc::channel(1);
    let gatherer = Gatherer { count: 0, next }.start();
    let arbiter = Arbiter::new().handle();
    let start = |_| {
        let gatherer = gatherer.clone();
        Ant::start_in_arbiter(&arbiter, |_| Ant(gatherer))
    };
    let ants: Vec<Addr<Ant>> = (0..SWARM).map(start).collect();
    let watch = Watch::start();
    for tick in 0..TICKS {
        ants.iter().for_each(|ant| ant.do_send(Tell(tick)));
        go.recv().await.context("gather")?;
    }
    Ok((TICKS * SWARM as u64, watch.time()))
}

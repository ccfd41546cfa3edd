//! actix, whose actors stay on the thread that starts them: senders on one thread, receivers on another.
use actix::{Actor, ActorContext as _, Addr, Arbiter, Context, Handler, Message, System};
use anyhow::{Context as _, Result, bail};
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use tokio::sync::{mpsc, oneshot};

use super::{
    ASKS, BATCH, BATCHES, BOUND, Done, HOPS, IDLE, IN_FLIGHT, RING, SENDERS, SWARM, TELLS, TICKS,
    WAVE, WAVES, Watch, resident,
};

/// Runs a workload.
pub(crate) fn run(workload: &str) -> Result<Done> {
    System::new().block_on(async move {
        match workload {
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

async fn fan(senders: u64) -> Result<Done> {
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
    Ok(Done::InTime(each * senders, watch.time()))
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
async fn ring() -> Result<Done> {
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
    Ok(Done::InTime(HOPS, watch.time()))
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

async fn ask(open: usize) -> Result<Done> {
    // on the asker's thread: an answer from another one has to wake it, which takes fifty times as long
    let echo = Echo.start();
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

async fn swarm_tick() -> Result<Done> {
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
    Ok(Done::InTime(TICKS * SWARM as u64, watch.time()))
}

/// Says that it has handled its message.
struct Idle(mpsc::UnboundedSender<()>);

impl Actor for Idle {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Context<Self>) {
        context.set_mailbox_capacity(BOUND);
    }
}

impl Handler<Tell> for Idle {
    type Result = ();

    fn handle(&mut self, _: Tell, _: &mut Context<Self>) {
        self.0.send(()).ok();
    }
}

async fn idle() -> Result<Done> {
    let (done, mut handled) = mpsc::unbounded_channel();
    let before = resident()?;
    let actors: Vec<Addr<Idle>> = (0..IDLE).map(|_| Idle(done.clone()).start()).collect();
    actors.iter().for_each(|actor| actor.do_send(Tell(0)));
    for _ in 0..IDLE {
        handled.recv().await.context("wait for an actor")?;
    }
    Ok(Done::Grown(resident()?.saturating_sub(before)))
}

/// Starts a wave of children, then stops it, and tells when the last has ended.
struct Parent {
    left: usize,
    next: mpsc::Sender<()>,
}

impl Actor for Parent {
    type Context = Context<Self>;
}

struct Wave;
impl Message for Wave {
    type Result = ();
}

struct Ended;
impl Message for Ended {
    type Result = ();
}

struct Stop;
impl Message for Stop {
    type Result = ();
}

/// actix has no links: a child tells its parent by itself.
struct Child(Addr<Parent>);

impl Actor for Child {
    type Context = Context<Self>;

    fn stopped(&mut self, _: &mut Context<Self>) {
        self.0.do_send(Ended);
    }
}

impl Handler<Stop> for Child {
    type Result = ();

    fn handle(&mut self, _: Stop, context: &mut Context<Self>) {
        context.stop();
    }
}

impl Handler<Wave> for Parent {
    type Result = ();

    fn handle(&mut self, _: Wave, context: &mut Context<Self>) {
        self.left = WAVE;
        let me = actix::AsyncContext::address(context);
        let wave: Vec<_> = (0..WAVE).map(|_| Child(me.clone()).start()).collect();
        wave.iter().for_each(|child| child.do_send(Stop));
    }
}

impl Handler<Ended> for Parent {
    type Result = ();

    fn handle(&mut self, _: Ended, _: &mut Context<Self>) {
        self.left -= 1;
        if self.left == 0 {
            self.next.try_send(()).ok();
        }
    }
}

async fn spawn() -> Result<Done> {
    let (next, mut over) = mpsc::channel(1);
    let parent = Parent { left: 0, next }.start();
    let watch = Watch::start();
    for _ in 0..WAVES {
        parent.do_send(Wave);
        over.recv().await.context("end a wave")?;
    }
    Ok(Done::InTime(WAVES * WAVE as u64, watch.time()))
}

/// Some numbers to handle, without an answer.
struct Batch(Vec<u64>);
impl Message for Batch {
    type Result = ();
}

impl Handler<Batch> for Sink {
    type Result = ();

    fn handle(&mut self, Batch(batch): Batch, _: &mut Context<Self>) {
        self.left -= batch.len() as u64;
        if self.left == 0 {
            self.done.take().map(|done| done.send(()));
        }
    }
}

async fn batch() -> Result<Done> {
    let (done, finished) = oneshot::channel();
    let state = Sink { left: BATCHES * BATCH, done: Some(done) };
    let sink = Sink::start_in_arbiter(&Arbiter::new().handle(), |_| state);
    let watch = Watch::start();
    actix::spawn(async move {
        for number in 0..BATCHES {
            sink.do_send(Batch((number..number + BATCH).collect()));
        }
    });
    finished.await.context("wait for the last")?;
    Ok(Done::InTime(BATCHES * BATCH, watch.time()))
}

//! The reference: bare ractor without default features, on the same allocator and threads.
use anyhow::{Context as _, Result, anyhow, ensure};
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use ractor::rpc::CallResult;
use ractor::{Actor, ActorProcessingErr, ActorRef, RpcReplyPort, SupervisionEvent};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

use super::{BATCH, RING, SENDERS, SWARM, WAVE};
use crate::clock::{Watch, on_workers, per_second};
use crate::figure::Outcome;

/// Counts messages and tells when all were handled.
struct Sink;

struct Count {
    left: u64,
    done: Option<oneshot::Sender<()>>,
}

impl Actor for Sink {
    type Msg = u64;
    type State = Count;
    type Arguments = Count;

    async fn pre_start(&self, _: ActorRef<u64>, count: Count) -> Result<Count, ActorProcessingErr> {
        Ok(count)
    }

    async fn handle(
        &self,
        _: ActorRef<u64>,
        _: u64,
        count: &mut Count,
    ) -> Result<(), ActorProcessingErr> {
        count.left -= 1;
        if count.left == 0 {
            count.done.take().map(|done| done.send(()));
        }
        Ok(())
    }
}

/// One task sends to one actor.
pub(crate) fn tell(count: u64) -> Outcome {
    fan(count, 1)
}

/// Several tasks send to one actor.
pub(crate) fn fan_in(count: u64) -> Outcome {
    fan(count, SENDERS)
}

fn fan(count: u64, senders: u64) -> Outcome {
    let each = count / senders;
    let time = on_workers(async move {
        let (done, finished) = oneshot::channel();
        let state = Count { left: each * senders, done: Some(done) };
        let (sink, _) = Actor::spawn(None, Sink, state).await.context("spawn")?;
        let watch = Watch::start();
        let mut tasks = JoinSet::new();
        for _ in 0..senders {
            let sink = sink.clone();
            tasks.spawn(async move { (0..each).try_for_each(|number| sink.cast(number)) });
        }
        while let Some(sent) = tasks.join_next().await {
            sent.context("join a sender")?.context("tell")?;
        }
        finished.await.context("wait for the last")?;
        let time = watch.time();
        sink.stop(None);
        Ok(time)
    })?;
    Ok(Ok(per_second(each * senders, time)))
}

/// Passes a token on.
struct Link;

enum Token {
    Next(ActorRef<Token>),
    Left(u64),
}

struct Place {
    next: Option<ActorRef<Token>>,
    done: Option<oneshot::Sender<()>>,
}

impl Actor for Link {
    type Msg = Token;
    type State = Place;
    type Arguments = Option<oneshot::Sender<()>>;

    async fn pre_start(
        &self,
        _: ActorRef<Token>,
        done: Self::Arguments,
    ) -> Result<Place, ActorProcessingErr> {
        Ok(Place { next: None, done })
    }

    async fn handle(
        &self,
        _: ActorRef<Token>,
        token: Token,
        place: &mut Place,
    ) -> Result<(), ActorProcessingErr> {
        let left = match token {
            Token::Next(next) => {
                place.next = Some(next);
                return Ok(());
            }
            Token::Left(left) => left,
        };
        if left <= 1
            && let Some(done) = place.done.take()
        {
            done.send(()).ok();
        } else if let Some(next) = &place.next {
            next.cast(Token::Left(left.saturating_sub(1).max(1)))?;
        }
        Ok(())
    }
}

/// A token goes around.
pub(crate) fn ring(hops: u64) -> Outcome {
    let time = on_workers(async move {
        let (done, finished) = oneshot::channel();
        let (last, _) = Actor::spawn(None, Link, Some(done)).await.context("spawn")?;
        let (mut links, mut next) = (vec![last.clone()], last.clone());
        for _ in 1..RING {
            let (link, _) = Actor::spawn(None, Link, None).await.context("spawn")?;
            link.cast(Token::Next(next)).context("close the ring")?;
            next = link.clone();
            links.push(link);
        }
        last.cast(Token::Next(next.clone())).context("close the ring")?;
        let watch = Watch::start();
        next.cast(Token::Left(hops)).context("start the token")?;
        finished.await.context("wait for the token")?;
        let time = watch.time();
        links.iter().for_each(|link| link.stop(None));
        Ok(time)
    })?;
    Ok(Ok(per_second(hops, time)))
}

/// Answers with what it is asked.
struct Echo;

enum Question {
    Ask(u64, RpcReplyPort<u64>),
}

impl Actor for Echo {
    type Msg = Question;
    type State = ();
    type Arguments = ();

    async fn pre_start(&self, _: ActorRef<Question>, (): ()) -> Result<(), ActorProcessingErr> {
        Ok(())
    }

    async fn handle(
        &self,
        _: ActorRef<Question>,
        question: Question,
        (): &mut (),
    ) -> Result<(), ActorProcessingErr> {
        let Question::Ask(number, reply) = question;
        reply.send(number)?;
        Ok(())
    }
}

/// One task asks one actor, `open` questions at a time, without a deadline.
pub(crate) fn ask(count: u64, open: usize) -> Outcome {
    let time = on_workers(async move {
        let (echo, _) = Actor::spawn(None, Echo, ()).await.context("spawn")?;
        let one = |number| question(&echo, number);
        let watch = Watch::start();
        if open == 1 {
            for number in 0..count {
                ensure!(one(number).await? == number, "a wrong answer");
            }
        } else {
            let mut asks: FuturesUnordered<_> = (0..open as u64).map(one).collect();
            let mut next = open as u64;
            while let Some(answer) = asks.next().await {
                answer?;
                if next < count {
                    asks.push(one(next));
                    next += 1;
                }
            }
        }
        let time = watch.time();
        echo.stop(None);
        Ok(time)
    })?;
    Ok(Ok(per_second(count, time)))
}

async fn question(echo: &ActorRef<Question>, number: u64) -> Result<u64> {
    match echo.call(|reply| Question::Ask(number, reply), None).await.context("ask")? {
        CallResult::Success(answer) => Ok(answer),
        CallResult::Timeout => Err(anyhow!("the ask timed out")),
        CallResult::SenderError => Err(anyhow!("the ask was dropped")),
    }
}

/// Tells the gatherer of every tick.
struct Ant;

impl Actor for Ant {
    type Msg = u64;
    type State = ActorRef<u64>;
    type Arguments = ActorRef<u64>;

    async fn pre_start(
        &self,
        _: ActorRef<u64>,
        gatherer: ActorRef<u64>,
    ) -> Result<ActorRef<u64>, ActorProcessingErr> {
        Ok(gatherer)
    }

    async fn handle(
        &self,
        _: ActorRef<u64>,
        tick: u64,
        gatherer: &mut ActorRef<u64>,
    ) -> Result<(), ActorProcessingErr> {
        gatherer.cast(tick)?;
        Ok(())
    }
}

/// Counts replies and starts the next tick after the last.
struct Gatherer;

struct Gathered {
    count: usize,
    next: mpsc::Sender<()>,
}

impl Actor for Gatherer {
    type Msg = u64;
    type State = Gathered;
    type Arguments = mpsc::Sender<()>;

    async fn pre_start(
        &self,
        _: ActorRef<u64>,
        next: mpsc::Sender<()>,
    ) -> Result<Gathered, ActorProcessingErr> {
        Ok(Gathered { count: 0, next })
    }

    async fn handle(
        &self,
        _: ActorRef<u64>,
        _: u64,
        gathered: &mut Gathered,
    ) -> Result<(), ActorProcessingErr> {
        gathered.count += 1;
        if gathered.count == SWARM {
            gathered.count = 0;
            gathered.next.send(()).await?;
        }
        Ok(())
    }
}

/// Everyone gets a tick and tells the gatherer.
pub(crate) fn swarm_tick(ticks: u64) -> Outcome {
    let time = on_workers(async move {
        let (next, mut go) = mpsc::channel(1);
        let (gatherer, _) = Actor::spawn(None, Gatherer, next).await.context("spawn")?;
        let mut ants = Vec::with_capacity(SWARM);
        for _ in 0..SWARM {
            ants.push(Actor::spawn(None, Ant, gatherer.clone()).await.context("spawn")?.0);
        }
        let mut watch = Watch::start();
        for tick in 0..=ticks {
            ants.iter().try_for_each(|ant| ant.cast(tick)).context("tick")?;
            go.recv().await.context("gather")?;
            if tick == 0 {
                watch = Watch::start();
            }
        }
        let time = watch.time();
        ants.iter().for_each(|ant| ant.stop(None));
        gatherer.stop(None);
        Ok(time)
    })?;
    Ok(Ok(per_second(ticks * SWARM as u64, time)))
}

/// Does nothing for as long as it lives.
struct Idle;

impl Actor for Idle {
    type Msg = ();
    type State = ();
    type Arguments = ();

    async fn pre_start(&self, _: ActorRef<()>, (): ()) -> Result<(), ActorProcessingErr> {
        Ok(())
    }
}

/// Starts a wave of children, then stops it, and tells when the last has ended.
struct Parent;

struct Waves {
    left: usize,
    next: mpsc::Sender<()>,
}

impl Actor for Parent {
    type Msg = ();
    type State = Waves;
    type Arguments = mpsc::Sender<()>;

    async fn pre_start(
        &self,
        _: ActorRef<()>,
        next: mpsc::Sender<()>,
    ) -> Result<Waves, ActorProcessingErr> {
        Ok(Waves { left: 0, next })
    }

    async fn handle(
        &self,
        myself: ActorRef<()>,
        (): (),
        waves: &mut Waves,
    ) -> Result<(), ActorProcessingErr> {
        waves.left = WAVE;
        let mut wave = Vec::with_capacity(WAVE);
        for _ in 0..WAVE {
            wave.push(Actor::spawn_linked(None, Idle, (), myself.get_cell()).await?.0);
        }
        wave.iter().for_each(|child| child.stop(None));
        Ok(())
    }

    async fn handle_supervisor_evt(
        &self,
        _: ActorRef<()>,
        event: SupervisionEvent,
        waves: &mut Waves,
    ) -> Result<(), ActorProcessingErr> {
        if matches!(event, SupervisionEvent::ActorTerminated(..)) {
            waves.left -= 1;
            if waves.left == 0 {
                waves.next.send(()).await?;
            }
        }
        Ok(())
    }
}

/// Actors come and go in waves.
pub(crate) fn spawn(waves: u64) -> Outcome {
    let time = on_workers(async move {
        let (next, mut over) = mpsc::channel(1);
        let (parent, _) = Actor::spawn(None, Parent, next).await.context("spawn")?;
        let watch = Watch::start();
        for _ in 0..waves {
            parent.cast(()).context("start a wave")?;
            over.recv().await.context("end a wave")?;
        }
        let time = watch.time();
        parent.stop(None);
        Ok(time)
    })?;
    Ok(Ok(per_second(waves * WAVE as u64, time)))
}

/// Counts the numbers of batches and tells when all were handled.
struct BatchSink;

impl Actor for BatchSink {
    type Msg = Vec<u64>;
    type State = Count;
    type Arguments = Count;

    async fn pre_start(
        &self,
        _: ActorRef<Vec<u64>>,
        count: Count,
    ) -> Result<Count, ActorProcessingErr> {
        Ok(count)
    }

    async fn handle(
        &self,
        _: ActorRef<Vec<u64>>,
        batch: Vec<u64>,
        count: &mut Count,
    ) -> Result<(), ActorProcessingErr> {
        count.left -= batch.len() as u64;
        if count.left == 0 {
            count.done.take().map(|done| done.send(()));
        }
        Ok(())
    }
}

/// One task sends batches to one actor.
pub(crate) fn batch(batches: u64) -> Outcome {
    let time = on_workers(async move {
        let (done, finished) = oneshot::channel();
        let state = Count { left: batches * BATCH, done: Some(done) };
        let (sink, _) = Actor::spawn(None, BatchSink, state).await.context("spawn")?;
        let watch = Watch::start();
        for batch in 0..batches {
            sink.cast((batch..batch + BATCH).collect()).context("tell")?;
        }
        finished.await.context("wait for the last")?;
        let time = watch.time();
        sink.stop(None);
        Ok(time)
    })?;
    Ok(Ok(per_second(batches * BATCH, time)))
}

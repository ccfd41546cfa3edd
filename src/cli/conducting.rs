//! A run while it goes on: starts it, shows how far it is, and listens to whoever wants it ended.
//!
//! [`run`](super::run) calls it, and shows what came of it.

use std::{collections::BTreeMap, pin::pin};

use actors::{dispatch::Pattern, pattern::Outcome};
use protocol::RunId;
use runtime::{
    events::{Filter, Subscription},
    node::Node,
    tasks::TaskKind,
};

use super::{
    control::Order, exit::Exit, history, leaving::Leaving, opening::Opened, output::Failure,
    progress::Progress, run::Start, watch,
};
use crate::{
    job::{Follow, Job, Plan, Product, Tasks, Work},
    limits::{CANCEL_WAIT, DISPLAY_EVENTS, DRAW_EVERY},
    signals::{Signals, Told},
};

/// How a run left the stage.
pub(super) enum Ended {
    /// With an outcome, perhaps after a signal.
    Outcome(Box<Outcome<Product>>, Option<Exit>),
    /// Without one, since everything was stopped at once; with what there is to say of that.
    Halted(String),
    /// Without one, because the user would not wait; with what is known in lines.
    Abandoned(Exit, Vec<String>),
}

impl Ended {
    /// Takes the progress away, and keeps what it knows where that is all that is known.
    fn with(mut self, progress: Progress) -> Self {
        if let Self::Abandoned(_, known) = &mut self {
            *known = progress.known();
        }
        progress.end();
        self
    }
}

/// What those who want the run ended have said by now.
#[derive(Debug, Default)]
struct Wish {
    signalled: bool,
    stage: Stage,
}

/// How far the end of the run is, for those who want it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Stage {
    /// Nobody wants it.
    #[default]
    Going,
    /// The run has its time to end by itself.
    Draining,
    /// It was cancelled, once and for all; the program then ends with this, unless the run completes.
    Cancelled(Exit),
}

/// What is to be done about what was said.
#[derive(Debug, PartialEq, Eq)]
enum Next {
    GoOn,
    Drain,
    Cancel,
    Abandon(Exit),
}

impl Wish {
    fn told(&mut self, told: Told) -> Next {
        if self.signalled {
            return Next::Abandon(told.into());
        }
        self.signalled = true;
        if told == Told::Terminate && self.stage == Stage::Going {
            self.stage = Stage::Draining;
            return Next::Drain;
        }
        self.cancel(told.into())
    }

    /// Cancels the run, if nobody has; the first says how the program ends, and the time that it has goes on.
    fn cancel(&mut self, exit: Exit) -> Next {
        if self.exit().is_some() {
            return Next::GoOn;
        }
        self.stage = Stage::Cancelled(exit);
        Next::Cancel
    }

    /// Whether the run has its time to end by itself now.
    fn drains(&self) -> bool {
        self.stage == Stage::Draining
    }

    /// How the program ends if the run was cancelled.
    fn exit(&self) -> Option<Exit> {
        match self.stage {
            Stage::Cancelled(exit) => Some(exit),
            Stage::Going | Stage::Draining => None,
        }
    }
}

/// Starts the run, shows how far it is, and listens to whoever wants it cancelled.
pub(super) async fn conduct(
    start: &Start,
    plan: &Plan,
    opened: &mut Opened,
    signals: &mut Signals,
    leaving: &mut Leaving,
) -> Result<Ended, Failure> {
    let ready = plan.start(&opened.node).map_err(|error| Failure::failed(&error))?;
    Box::pin(ready.follow(Conductor { start, plan, opened, signals, leaving })).await
}

/// Whoever starts a run, shows how far it is, and listens to those who want it ended.
struct Conductor<'a> {
    start: &'a Start,
    plan: &'a Plan,
    opened: &'a mut Opened,
    signals: &'a mut Signals,
    leaving: &'a mut Leaving,
}

impl Follow for Conductor<'_> {
    type Ended = Result<Ended, Failure>;

    async fn follow<P: Pattern>(
        self,
        run: P,
        into: impl Fn(P::Output) -> Product + Send + Sync + 'static,
    ) -> Result<Ended, Failure> {
        let Self { start, plan, opened, signals, leaving } = self;
        Box::pin(follow((start, plan), (run, &into), opened, signals, leaving)).await
    }
}

/// Starts the run of a pattern, and follows it; `into` says what its value is.
async fn follow<P: Pattern>(
    (start, plan): (&Start, &Plan),
    (pattern, into): (P, &(dyn Fn(P::Output) -> Product + Sync)),
    opened: &mut Opened,
    signals: &mut Signals,
    leaving: &mut Leaving,
) -> Result<Ended, Failure> {
    let (serve, mut orders) = opened.control.serve();
    let kernel = opened.node.kernel();
    let (filter, patterns) = match plan {
        Plan::One(_) => (Filter::new().run(opened.run), BTreeMap::new()),
        // Nothing else runs on this node.
        Plan::Several(tasks) => (Filter::new(), names(tasks, opened.run)),
    };
    let events = kernel.events().subscribe_with(filter, DISPLAY_EVENTS);
    let mut events = events.map_err(|refusal| Failure::words(Exit::Failed, refusal.text))?;
    let builder = opened.node.run(pattern).id(opened.run);
    let builder = builder.deadline(plan.deadline()).limits(plan.limits());
    let known = |outcome| Box::new(Product::outcome(outcome, into));
    let handle = match builder.start().await {
        Ok(handle) => handle,
        Err(rejected) => return Ok(Ended::Outcome(known(Err(rejected)), None)),
    };
    kernel.run_task(TaskKind::Service, Box::pin(serve));
    let mut watching = watch::begin(&start.view, &start.screen, title(start, opened.run))?;
    let mut progress = Progress::new(&start.screen, kernel.now(), watching.is_none());
    progress.follow(patterns);
    let canceller = handle.canceller();
    let mut outcome = pin!(handle.outcome());
    let mut clients = Vec::new();
    let mut wish = Wish::default();
    let mut drain = pin!(tokio::time::sleep(start.view.drain));
    let mut give_up = pin!(tokio::time::sleep(plan.deadline() + CANCEL_WAIT * 10));
    let mut draw = tokio::time::interval(DRAW_EVERY);
    let ended = loop {
        let next = tokio::select! {
            biased;
            outcome = &mut outcome => break Ended::Outcome(known(outcome), wish.exit()),
            told = signals.next() => wish.told(told),
            () = &mut drain, if wish.drains() => wish.cancel(Exit::Terminated),
            Some((order, client)) = orders.recv() => {
                clients.push(client);
                if let Order::Emergency { by, reason } = order {
                    break Ended::Halted(opened.halt(&by, &reason).await?);
                }
                wish.cancel(Exit::Cancelled)
            }
            () = &mut give_up => {
                break Ended::Abandoned(wish.exit().unwrap_or(Exit::TimedOut), Vec::new());
            }
            _ = draw.tick() => {
                take_all(&mut events, &mut progress);
                match &mut watching {
                    Some(watching) => watching.draw(kernel, &progress),
                    None => draw_bars(plan, opened, &mut progress),
                }
                continue;
            }
        };
        match next {
            Next::GoOn => {}
            Next::Drain => {
                begin_draining(start, opened);
                drain.as_mut().reset(tokio::time::Instant::now() + start.view.drain);
            }
            Next::Cancel => {
                leaving.cancelled();
                give_up.as_mut().reset(tokio::time::Instant::now() + CANCEL_WAIT);
                canceller.cancel();
            }
            Next::Abandon(exit) => break Ended::Abandoned(exit, Vec::new()),
        }
    };
    take_all(&mut events, &mut progress);
    Ok(ended.with(progress))
}

/// Takes nothing new in, and says how long the run has.
fn begin_draining(start: &Start, opened: &Opened) {
    opened.node.admission().close();
    let wait = humantime::format_duration(start.view.drain);
    let words = format!(
        "SIGTERM: nothing new is taken in, the run has {wait} to end; another signal ends it now"
    );
    start.screen.tell(&words);
}

/// What the live graph of the run is headed by.
fn title(start: &Start, run: RunId) -> String {
    format!("{}  run {run}", start.request.name)
}

fn draw_bars(plan: &Plan, opened: &Opened, progress: &mut Progress) {
    let kernel = opened.node.kernel();
    if progress.wants_shares() {
        progress.share(match plan {
            Plan::One(Work::Review(job)) => shares(job, kernel, opened.run),
            Plan::One(Work::Pipeline(pipeline)) => pipeline.shares(),
            Plan::One(Work::Vote(_) | Work::Swarm(_) | Work::Hierarchy(_)) | Plan::Several(_) => {
                BTreeMap::new()
            }
        });
    }
    progress.draw(kernel.now());
}

/// The names of several patterns, by their runs.
fn names(tasks: &Tasks, run: RunId) -> BTreeMap<RunId, String> {
    tasks.runs(run).into_iter().map(|(run, task)| (run, task.name.clone())).collect()
}

/// What each agent has to do, for its bar.
fn shares(job: &Job, kernel: &Node, run: RunId) -> BTreeMap<String, u64> {
    match history::parts(&**kernel.journal(), run) {
        Ok(parts) => job.shares(&parts),
        Err(error) => {
            tracing::warn!(%error, "the parts of the run cannot be counted");
            BTreeMap::new()
        }
    }
}

fn take_all(events: &mut Subscription, progress: &mut Progress) {
    while let Some(received) = events.try_next() {
        progress.take(&received);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn once_cancelled_a_run_has_no_time_to_end_by_itself_and_nobody_gives_it_more_or_another_exit()
    {
        let mut wish = Wish::default();
        assert_eq!(wish.told(Told::Terminate), Next::Drain);
        assert!(wish.drains());
        assert_eq!(wish.cancel(Exit::Cancelled), Next::Cancel, "by `synod cancel`");
        assert!(!wish.drains(), "what would cut it off later is gone");
        assert_eq!(wish.cancel(Exit::Cancelled), Next::GoOn, "`synod cancel` again");
        assert_eq!(wish.exit(), Some(Exit::Cancelled));
        assert_eq!(wish.told(Told::Interrupt), Next::Abandon(Exit::Cancelled));
    }

    #[test]
    fn sigterm_gives_a_run_its_time_and_ctrl_c_gives_it_none() {
        let mut wish = Wish::default();
        assert_eq!(wish.told(Told::Interrupt), Next::Cancel);
        assert_eq!((wish.drains(), wish.exit()), (false, Some(Exit::Cancelled)));
        let mut wish = Wish::default();
        assert_eq!((wish.told(Told::Terminate), wish.exit()), (Next::Drain, None));
        assert_eq!(wish.cancel(Exit::Terminated), Next::Cancel, "its time is over");
        assert_eq!(wish.exit(), Some(Exit::Terminated));
        let mut wish = Wish::default();
        assert_eq!(wish.cancel(Exit::Cancelled), Next::Cancel);
        assert_eq!(wish.told(Told::Terminate), Next::GoOn, "it is cancelled already");
        assert_eq!(wish.told(Told::Terminate), Next::Abandon(Exit::Terminated), "the second");
    }
}

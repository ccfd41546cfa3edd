//! `actor.idle_bytes`: the memory of an actor that has nothing to do.
//!
//! Each contender runs in a process of its own, which starts 100,000 actors, gives each one message, and tells by how much its memory
//! grew for each.
use std::process::Command;

use anyhow::{Context as _, Result, bail, ensure};
use synod::runtime::{
    actor::Actor,
    context::Cx,
    mailbox::{Mailbox, Overflow},
    node::Node,
    spawn::Spawn,
};
use tokio::sync::mpsc;

use crate::clock::on_workers;
use crate::figure::{Contender, Figure, Goal, Outcome};
use crate::mailbox::BOUND;

pub(crate) const FIGURES: &[Figure] = &[Figure {
    name: "actor.idle_bytes",
    unit: "bytes",
    rounds: None,
    goal: Goal::at_most(1.15, "ractor"),
    contenders: &[
        Contender::synod(|_| in_a_process_of_its_own("synod")),
        Contender::floor("tokio", |_| in_a_process_of_its_own("tokio")),
        Contender::peer("ractor", |_| in_a_process_of_its_own("ractor")),
    ],
}];

/// Actors that idle.
const ACTORS: usize = 100_000;
/// Bytes of a page, as the kernel counts a process's memory.
const PAGE: usize = 4096;

fn in_a_process_of_its_own(contender: &str) -> Outcome {
    let program = std::env::current_exe().context("find this program")?;
    let output = Command::new(program).args(["--idle", contender]).output().context("run it")?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8_lossy(&output.stdout);
    Ok(Ok(text.trim().parse().with_context(|| format!("read `{text}`"))?))
}

/// Measures one contender in this process, in bytes an actor.
///
/// # Errors
/// When there is no such contender, or it breaks.
pub(crate) fn measure(contender: &str) -> Result<f64> {
    match contender {
        "synod" => on_workers(synod()),
        "tokio" => on_workers(tokio()),
        "ractor" => on_workers(ractor()),
        other => bail!("nobody is called {other}"),
    }
}

/// Memory of this process in bytes.
fn resident() -> Result<usize> {
    let statm = std::fs::read_to_string("/proc/self/statm").context("read /proc/self/statm")?;
    let pages = statm.split(' ').nth(1).context("find the resident pages")?;
    Ok(pages.parse::<usize>().context("read the resident pages")? * PAGE)
}

#[expect(clippy::cast_precision_loss, reason = "bytes are far below 2^52")]
fn each(before: usize) -> Result<f64> {
    Ok(resident()?.saturating_sub(before) as f64 / ACTORS as f64)
}

/// Says that it has handled its message.
struct Idle(mpsc::UnboundedSender<()>);

impl Actor for Idle {
    type Msg = ();

    fn handle(&mut self, (): (), _: &mut Cx<Self>) {
        self.0.send(()).ok();
    }
}

async fn all_handled(mut handled: mpsc::UnboundedReceiver<()>) -> Result<()> {
    for _ in 0..ACTORS {
        handled.recv().await.context("wait for an actor")?;
    }
    Ok(())
}

async fn synod() -> Result<f64> {
    let node = Node::in_memory().context("open a node")?;
    let (done, handled) = mpsc::unbounded_channel();
    let before = resident()?;
    let mut actors = Vec::with_capacity(ACTORS);
    for _ in 0..ACTORS {
        let (done, mailbox) = (done.clone(), Mailbox::new(BOUND, Overflow::Wait));
        actors.push(node.spawn(Spawn::named("idle").mailbox(mailbox), move || Idle(done.clone())));
    }
    for actor in &actors {
        actor.tell(()).await.context("tell")?;
    }
    all_handled(handled).await?;
    let bytes = each(before)?;
    node.close().await.context("stop the node")?;
    Ok(bytes)
}

async fn tokio() -> Result<f64> {
    let (done, handled) = mpsc::unbounded_channel();
    let before = resident()?;
    let mut tasks = tokio::task::JoinSet::new();
    let mut actors = Vec::with_capacity(ACTORS);
    for _ in 0..ACTORS {
        let done = done.clone();
        let (tx, mut rx) = mpsc::channel::<()>(BOUND);
        tasks.spawn(async move {
            while rx.recv().await.is_some() {
                done.send(()).ok();
            }
        });
        actors.push(tx);
    }
    for actor in &actors {
        actor.send(()).await.context("tell")?;
    }
    all_handled(handled).await?;
    each(before)
}

/// The same on ractor.
struct IdlePeer;

impl ractor::Actor for IdlePeer {
    type Msg = ();
    type State = mpsc::UnboundedSender<()>;
    type Arguments = mpsc::UnboundedSender<()>;

    async fn pre_start(
        &self,
        _: ractor::ActorRef<()>,
        done: mpsc::UnboundedSender<()>,
    ) -> Result<Self::State, ractor::ActorProcessingErr> {
        Ok(done)
    }

    async fn handle(
        &self,
        _: ractor::ActorRef<()>,
        (): (),
        done: &mut Self::State,
    ) -> Result<(), ractor::ActorProcessingErr> {
        done.send(())?;
        Ok(())
    }
}

async fn ractor() -> Result<f64> {
    let (done, handled) = mpsc::unbounded_channel();
    let before = resident()?;
    let mut actors = Vec::with_capacity(ACTORS);
    for _ in 0..ACTORS {
        let spawned = ractor::Actor::spawn(None, IdlePeer, done.clone());
        actors.push(spawned.await.context("spawn")?.0);
    }
    for actor in &actors {
        actor.cast(()).context("tell")?;
    }
    all_handled(handled).await?;
    let bytes = each(before)?;
    actors.iter().for_each(|actor| actor.stop(None));
    Ok(bytes)
}

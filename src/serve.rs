//! A program that serves until it is told to end, by SIGTERM or Ctrl-C, and then ends in order.
//!
//! [`serve`](serve()) is for an engineer's own program, on [`AgentSystem::drain`](actors::system::AgentSystem::drain); `synod run`
//! does the same with the one run that it has.
//!
//! # Invariants
//! - Whoever asks for a run after the signal is told that the node is stopping, and is not left waiting: the work goes on until the
//!   node has stopped.
//! - A second signal waits for nobody; whether the program's threads are waited for is said where it ends its runtime.
//! - Every signal is `serve`'s while it goes on, whoever else listens.

use std::{future::Future, io, pin::pin, time::Duration};

use actors::system::Drained;
use futures_util::FutureExt;
use runtime::engine::journal::JournalError;

use crate::{
    Node,
    signals::{Part, Signals},
};

/// Why a program did not end in order.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The system lets the program listen to no signal; nothing was begun.
    #[error("listen to SIGTERM and Ctrl-C")]
    Listen(#[source] io::Error),
    /// The journal could not make everything durable.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// A second signal came: nobody was waited for.
    #[error(
        "told twice to end, so {active} runs were left as they are; a journal on disk lets them be taken up again"
    )]
    AtOnce {
        /// Runs that had not ended.
        active: usize,
    },
}

/// How a program ended in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Served<T> {
    /// How its node was drained.
    pub drained: Drained,
    /// What its work gave, before the program was told to end or meanwhile; none if the work went on until it was dropped.
    pub output: Option<T>,
}

/// Does `work` until it ends or the program is told to end, by SIGTERM or Ctrl-C; then ends in order, and gives what `work` gave.
///
/// In order means: the node takes no new runs, those that go on end `within` this time, then supervisors stop in the reverse order of
/// their start, and the journal is flushed. Meanwhile `work` goes on, so that whoever still asks for a run hears that the node is
/// stopping; it is dropped at the end. What stops is logged, roots at level `info`, their children at `debug`.
///
/// Afterwards both signals do again what they did before. A [`watch`](crate::watch()) may go on within `work` or around this: it
/// leaves the signals alone meanwhile. Within is better: a terminal that is gone then ends the work, not the order of the end.
///
/// ```
/// use std::time::Duration;
/// use synod::prelude::*;
/// # #[tokio::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let node = Node::in_memory()?;
/// let square = node.agent("square", |n: u64, _cx| async move { Ok(n * n) }).start()?;
/// // A service takes requests from a socket, for as long as it runs.
/// let work = async { node.run(map_reduce(0..10, &square).reduce(sum())).await };
/// let served = synod::serve(&node, Duration::from_secs(30), work).await?;
/// assert_eq!(served.drained.cut_off, 0);
/// assert_eq!(served.output.transpose()?.map(|done| done.value), Some(285));
/// # Ok(())
/// # }
/// ```
///
/// # The end of the program
/// This waits for no thread, but the end of a tokio runtime does, and so does `#[tokio::main]`: it waits, for however long that
/// takes, for each [blocking agent](Node::blocking_agent) that is in the middle of a call. A program that is to end after a second
/// signal, or after runs were cut off, makes its runtime by itself and leaves it in the background (examples/service.rs):
///
/// ```
/// # use std::error::Error;
/// # async fn service() -> Result<(), Box<dyn Error>> { Ok(()) }
/// fn main() -> Result<(), Box<dyn Error>> {
///     let runtime = tokio::runtime::Runtime::new()?;
///     let served = runtime.block_on(service());
///     runtime.shutdown_background();
///     served
/// }
/// ```
///
/// # Errors
/// [`ServeError::AtOnce`] on a second signal; the program then has nothing left to do but to end. [`ServeError::Journal`] when not all
/// became durable. What `work` gave is lost with either.
///
/// # Cancel safety
/// Dropping the future drops `work`, and leaves the node as it is: still open, or as [`Drained`] half way.
pub async fn serve<T>(
    node: &Node,
    within: Duration,
    work: impl Future<Output = T>,
) -> Result<Served<T>, ServeError> {
    let mut signals = Signals::begin(Part::Decides).map_err(ServeError::Listen)?;
    let mut work = pin!(work.fuse());
    let mut output = None;
    tokio::select! {
        done = &mut work => output = Some(done),
        told = signals.next() => tracing::info!(?told, ?within, "told to end"),
    }
    let mut drained = pin!(node.drain(within));
    loop {
        tokio::select! {
            biased;
            drained = &mut drained => return Ok(Served { drained: drained?, output }),
            _ = signals.next() => {
                return Err(ServeError::AtOnce { active: node.admission().active() });
            }
            done = &mut work => output = Some(done),
        }
    }
}

//! A program that serves until it is told to end, by SIGTERM or Ctrl-C, and then ends in order.
//!
//! [`serve`](serve()) is for an engineer's own program, on [`AgentSystem::drain`](actors::system::AgentSystem::drain); `synod run`
//! does the same with the one run that it has.
//!
//! # Invariants
//! - Whoever asks for a run after the signal is told that the node is stopping, and is not left waiting: the work goes on until the
//!   node has stopped.
//! - A second signal waits for nobody.

use std::{future::Future, io, pin::pin, time::Duration};

use actors::system::Drained;
use futures_util::FutureExt;
use runtime::engine::journal::JournalError;

use crate::{Node, signals::Signals};

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
        "told twice to end, so {active} runs were left as they are; their journal lets them be taken up again"
    )]
    AtOnce {
        /// Runs that had not ended.
        active: usize,
    },
}

/// Does `work` until it ends or the program is told to end, by SIGTERM or Ctrl-C; then ends in order.
///
/// In order means: the node takes no new runs, those that go on end `within` this time, then supervisors stop in the reverse order of
/// their start, and the journal is flushed. Meanwhile `work` goes on, so that whoever still asks for a run hears that the node is
/// stopping; it is dropped at the end. What stops is logged, roots at level `info`, their children at `debug`.
///
/// Afterwards both signals do again what they did before.
///
/// ```
/// use std::time::Duration;
/// use synod::prelude::*;
/// # #[tokio::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let node = Node::in_memory()?;
/// let square = node.agent("square", |n: u64, _cx| async move { Ok(n * n) }).start()?;
/// let work = async {
///     // A service takes requests from a socket, for as long as it runs.
///     let squares = node.run(map_reduce(0..10, &square).reduce(sum())).await;
///     assert_eq!(squares.map(|squares| squares.value).unwrap_or_default(), 285);
/// };
/// let drained = synod::serve(&node, Duration::from_secs(30), work).await?;
/// assert_eq!(drained.cut_off, 0);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// [`ServeError::AtOnce`] on a second signal; the program then has nothing left to do but to end.
///
/// # Cancel safety
/// Dropping the future drops `work`, and leaves the node as it is: still open, or as [`Drained`] half way.
pub async fn serve(
    node: &Node,
    within: Duration,
    work: impl Future<Output = ()>,
) -> Result<Drained, ServeError> {
    let mut signals = Signals::begin().map_err(ServeError::Listen)?;
    let mut work = pin!(work.fuse());
    tokio::select! {
        () = &mut work => {}
        told = signals.next() => tracing::info!(?told, ?within, "told to end"),
    }
    let mut drained = pin!(node.drain(within));
    loop {
        tokio::select! {
            biased;
            drained = &mut drained => return Ok(drained?),
            _ = signals.next() => {
                return Err(ServeError::AtOnce { active: node.admission().active() });
            }
            () = &mut work => {}
        }
    }
}

//! The live graph of a node on the terminal: who runs below whom, in which state, with how long a queue, restarted why.
//!
//! [`watch`](watch()) is for an engineer's own program; `synod run --watch` draws the same frames with how far its run is.
//!
//! # Invariants
//! - However watching ends, the terminal is as it was: the drawing is on the alternate screen, which is left when dropped.
//! - Each frame is drawn anew as a whole and as large as the terminal then is, so neither a change of its size nor what others
//!   write on it stays.

mod canvas;
mod frame;

use std::{future::Future, io, pin::pin};

use tokio::signal::unix::{SignalKind, signal};

pub use self::{
    canvas::Canvas,
    frame::{Line, Size, Tone, frame},
};
use crate::{Node, limits::WATCH_EVERY};

/// Why a node could not be watched.
#[derive(Debug, thiserror::Error)]
pub enum WatchError {
    /// Standard error is no terminal; nothing was drawn.
    #[error(
        "standard error is no terminal, and the graph is drawn on one: run it in a terminal, or do not watch"
    )]
    NoTerminal,
    /// The terminal took no drawing.
    #[error("draw on the terminal")]
    Io(#[from] io::Error),
    /// The user pressed Ctrl-C: the work was dropped.
    #[error("stopped watching by Ctrl-C")]
    Interrupted,
}

/// Does `work` and meanwhile draws the graph of `node` on the terminal, several times a second; gives what `work` gave.
///
/// Draws on the alternate screen of standard error, which it leaves at the end: what the terminal showed before is there again.
/// What the program writes to the terminal meanwhile is drawn over.
///
/// # Errors
/// [`WatchError::NoTerminal`] before `work` is begun; [`WatchError::Interrupted`] on Ctrl-C.
///
/// # Cancel safety
/// Dropping the future drops `work` and leaves the terminal as it was.
pub async fn watch<T>(node: &Node, work: impl Future<Output = T>) -> Result<T, WatchError> {
    let mut canvas = Canvas::open()?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut tick = tokio::time::interval(WATCH_EVERY);
    let mut work = pin!(work);
    loop {
        tokio::select! {
            biased;
            done = &mut work => return Ok(done),
            _ = interrupt.recv() => return Err(WatchError::Interrupted),
            _ = tick.tick() => {
                let foot = ["Ctrl-C ends it".to_owned()];
                let size = canvas.size();
                canvas.draw(&frame(&node.graph(), &[], &foot, size), size)?;
            }
        }
    }
}

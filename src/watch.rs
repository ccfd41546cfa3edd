//! The live graph of a node on the terminal: who runs below whom, in which state, with how long a queue, restarted why.
//!
//! [`watch`](watch()) is for an engineer's own program; `synod run --watch` draws the same frames with how far its run is.
//!
//! # Invariants
//! - However watching ends, the terminal is as it was: the drawing is on the alternate screen, which is left when dropped; a
//!   signal that would end the program ends the watching first.
//! - Each frame is drawn anew as a whole and as large as the terminal then is, so neither a change of its size nor what others
//!   write on it stays.
//! - What cannot be drawn on (no terminal, or a dumb one) gets lines of plain text and nothing else.

mod canvas;
mod frame;
mod looking;
mod news;
mod panics;

use std::{future::Future, io, pin::pin};

pub use self::{
    canvas::{Canvas, can_draw},
    frame::{Line, Size, Tone, frame},
    looking::Looking,
};
use self::{news::News, panics::Panics};
use crate::{
    Node,
    limits::{WATCH_EVERY, WATCH_FOOT_LINES},
    signals::{Part, Signals, Told},
};

/// Why a node is not watched any more, though the work has not ended.
#[derive(Debug, thiserror::Error)]
pub enum WatchError {
    /// The terminal took no drawing.
    #[error("draw on the terminal")]
    Io(#[from] io::Error),
    /// The user pressed Ctrl-C: the work was dropped.
    #[error("stopped watching by Ctrl-C")]
    Interrupted,
    /// The program was told to end by SIGTERM: the work was dropped.
    #[error("stopped watching by SIGTERM")]
    Terminated,
}

impl From<Told> for WatchError {
    fn from(told: Told) -> Self {
        match told {
            Told::Interrupt => Self::Interrupted,
            Told::Terminate => Self::Terminated,
        }
    }
}

/// Does `work` and meanwhile draws the graph of `node` on the terminal, several times a second; gives what `work` gave.
///
/// Draws on the alternate screen of standard error, which it leaves at the end: what the terminal showed before is there again.
/// What the program writes to the terminal meanwhile is drawn over; what panics say is held, shown below the graph, and written
/// at the end. Where standard error is no terminal, or `TERM` is `dumb`, it writes the tree once and a line for each restart.
///
/// Ctrl-C and SIGTERM end the watching, not the program: the caller then decides. Afterwards they do what they did before; a
/// program that listens to them by itself begins to do so before it watches. While a [`serve`](crate::serve()) goes on, within
/// `work` or around this, they are its alone, and the end of the program is drawn like the rest.
///
/// # Errors
/// [`WatchError::Interrupted`] on Ctrl-C, [`WatchError::Terminated`] on SIGTERM.
///
/// # Cancel safety
/// Dropping the future drops `work` and leaves the terminal as it was.
pub async fn watch<T>(node: &Node, work: impl Future<Output = T>) -> Result<T, WatchError> {
    let mut signals = Signals::begin(Part::Hears)?;
    let mut show = Show::begin()?;
    let mut tick = tokio::time::interval(WATCH_EVERY);
    let mut work = pin!(work);
    loop {
        tokio::select! {
            biased;
            done = &mut work => {
                show.end(node);
                return Ok(done);
            }
            told = signals.next() => return Err(told.into()),
            _ = tick.tick() => show.draw(node)?,
        }
    }
}

/// Where the graph is shown.
enum Show {
    /// The canvas is dropped before what was held is written.
    Drawn {
        canvas: Canvas,
        panics: Panics,
        looking: Looking,
    },
    Plain(News),
}

impl Show {
    fn begin() -> io::Result<Self> {
        if !can_draw() {
            return Ok(Self::Plain(News::default()));
        }
        let panics = Panics::hold();
        Ok(Self::Drawn { canvas: Canvas::open()?, panics, looking: Looking::default() })
    }

    fn draw(&mut self, node: &Node) -> io::Result<()> {
        match self {
            Self::Drawn { canvas, panics, looking } => {
                let mut foot = panics.latest(WATCH_FOOT_LINES - 1);
                foot.push("Ctrl-C ends it".to_owned());
                let size = canvas.size();
                match looking.next(node.kernel(), size, foot.len()) {
                    Some(graph) => canvas.draw(&frame(&graph, &[], &foot, size), size),
                    None => Ok(()),
                }
            }
            Self::Plain(news) => news.tell(&node.graph()),
        }
    }

    /// Tells what is new since the last time, so that even what is over soon is told.
    fn end(&mut self, node: &Node) {
        if let Self::Plain(news) = self {
            // Nobody reads it.
            news.tell(&node.graph()).ok();
        }
    }
}

//! `--watch`: the live graph of a run's actors, drawn in place of the bars.
//!
//! What is logged or told meanwhile is shown below the graph, and written to standard error when the drawing ends.

use runtime::{clock::Moment, node::Node};

use super::{args::View, logs::Screen, output::Failure, progress::Progress};
use crate::{
    limits::{WATCH_EVERY, WATCH_FOOT_LINES},
    watch::{Canvas, Looking, can_draw, frame},
};

/// Begins to draw, if that is wanted and there is something to draw on; else lines tell how the run goes, restarts among them.
///
/// # Errors
/// [`Failure`] where the terminal takes nothing.
pub fn begin(view: &View, screen: &Screen, title: String) -> Result<Option<Watching>, Failure> {
    if !view.watch {
        return Ok(None);
    }
    if !can_draw() {
        screen.tell("--watch: standard error is no terminal that can be drawn on; lines tell how the run goes");
        return Ok(None);
    }
    let canvas = Canvas::open().map_err(|error| Failure::failed(&error))?;
    screen.hold();
    let (held, looking) = (Held(screen.clone()), Looking::default());
    Ok(Some(Watching { canvas, held, title, last: None, looking }))
}

/// A run that is drawn; dropping it gives the terminal back.
#[derive(Debug)]
pub struct Watching {
    /// Dropped before what was held is written.
    canvas: Canvas,
    held: Held,
    title: String,
    last: Option<Moment>,
    looking: Looking,
}

impl Watching {
    /// Draws the actors of `node` below how far the run is, unless the last drawing is too young.
    pub fn draw(&mut self, node: &Node, progress: &Progress) {
        let now = node.now();
        if self.last.is_some_and(|last| now.since(last) < WATCH_EVERY) {
            return;
        }
        self.last = Some(now);
        let seconds = now.as_nanos() / 1_000_000_000;
        let mut head = vec![format!("{}  {seconds} s", self.title)];
        head.extend(progress.lines());
        let mut foot = self.held.0.held(WATCH_FOOT_LINES - 1);
        foot.push("Ctrl-C ends the run with what it has".to_owned());
        let size = self.canvas.size();
        if let Some(graph) = self.looking.next(node, size, head.len() + foot.len()) {
            // A terminal that is gone ends the run by its own signal.
            self.canvas.draw(&frame(&graph, &head, &foot, size), size).ok();
        }
    }
}

/// Writes what was told meanwhile when dropped.
#[derive(Debug)]
struct Held(Screen);

impl Drop for Held {
    fn drop(&mut self) {
        self.0.release();
    }
}

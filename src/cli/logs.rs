//! Logs on standard error, in step with the progress bars; panics of agents as one line each.

use std::{
    collections::VecDeque,
    io::{self, Write},
    panic,
    str::FromStr,
    sync::Arc,
};

use indicatif::MultiProgress;
use parking_lot::Mutex;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::{
    Layer,
    filter::Targets,
    fmt::{self, MakeWriter},
    layer::SubscriberExt,
    util::SubscriberInitExt,
};

use super::{
    exit::Exit,
    output::{Failure, clean, tell},
};
use crate::limits::WATCH_LINES_KEPT;

/// The variable that chooses what is logged.
const VARIABLE: &str = "SYNOD_LOG";

/// Standard error with progress bars on it: what is written goes above them, or is held while somebody draws on all of it.
#[derive(Clone, Debug, Default)]
pub struct Screen {
    bars: MultiProgress,
    held: Arc<Mutex<Option<VecDeque<String>>>>,
}

impl Screen {
    /// Gives the bars.
    pub fn bars(&self) -> &MultiProgress {
        &self.bars
    }

    /// Writes a line above the bars.
    pub fn tell(&self, line: &str) {
        let line = clean(line);
        if let Some(held) = &mut *self.held.lock() {
            if held.len() >= WATCH_LINES_KEPT {
                held.pop_front();
            }
            return held.push_back(line);
        }
        self.bars.suspend(|| tell(&format!("{line}\n")));
    }

    /// Holds what is told from now on, until it is [released](Self::release).
    pub fn hold(&self) {
        self.held.lock().get_or_insert_default();
    }

    /// The latest lines that are held.
    pub fn held(&self, most: usize) -> Vec<String> {
        let held = self.held.lock();
        let lines = held.iter().flatten();
        let skip = held.as_ref().map_or(0, VecDeque::len).saturating_sub(most);
        lines.skip(skip).cloned().collect()
    }

    /// Writes what was held.
    pub fn release(&self) {
        let held = self.held.lock().take();
        held.into_iter().flatten().for_each(|line| self.tell(&line));
    }
}

impl<'a> MakeWriter<'a> for Screen {
    type Writer = Line;

    fn make_writer(&'a self) -> Line {
        Line { screen: self.clone(), bytes: Vec::new() }
    }
}

/// One entry of the log, written as a whole.
#[derive(Debug)]
pub struct Line {
    screen: Screen,
    bytes: Vec<u8>,
}

impl Write for Line {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        let text = String::from_utf8_lossy(&self.bytes);
        if !text.trim_end().is_empty() {
            self.screen.tell(text.trim_end());
        }
    }
}

/// Begins to log: warnings and errors, nothing if it is to be `quiet`, or what `SYNOD_LOG` says.
///
/// # Errors
/// [`Failure`] when `SYNOD_LOG` cannot be read.
pub fn begin(screen: &Screen, quiet: bool) -> Result<(), Failure> {
    let usual = if quiet { LevelFilter::OFF } else { LevelFilter::WARN };
    let filter = filter(std::env::var(VARIABLE).ok().as_deref(), usual)?;
    let layer = fmt::layer().with_writer(screen.clone()).with_ansi(false).with_filter(filter);
    // A program that logs already goes on as it does.
    tracing_subscriber::registry().with(layer).try_init().ok();
    panic::set_hook(Box::new(|info| {
        let place = info.location().map(ToString::to_string).unwrap_or_default();
        let text = info.payload_as_str().unwrap_or("a value that is no text");
        if std::thread::current().name() == Some("main") {
            tracing::error!(place, text, "the program panicked; please report it");
        } else {
            tracing::warn!(place, text, "panicked");
        }
    }));
    Ok(())
}

/// Reads what is to be logged.
fn filter(text: Option<&str>, usual: LevelFilter) -> Result<Targets, Failure> {
    match text {
        None | Some("") => Ok(Targets::new().with_default(usual)),
        Some(text) => Targets::from_str(text).map_err(|error| {
            let words =
                format!("{VARIABLE}={text}: {error}; write it as `info` or `synod_actors=debug`");
            Failure::words(Exit::Usage, words)
        }),
    }
}

#[cfg(test)]
mod tests {
    use tracing::Level;

    use super::*;

    #[test]
    fn warnings_are_logged_unless_something_else_is_asked_for() {
        let default = filter(None, LevelFilter::WARN).unwrap();
        assert!(default.would_enable("synod_actors", &Level::WARN));
        assert!(!default.would_enable("synod_actors", &Level::INFO));
        let chosen = filter(Some("warn,synod_actors=debug"), LevelFilter::WARN).unwrap();
        assert!(chosen.would_enable("synod_actors::roster", &Level::DEBUG));
        assert!(!chosen.would_enable("synod_runtime", &Level::INFO));
        assert_eq!(filter(Some("=x="), LevelFilter::OFF).unwrap_err().exit, Exit::Usage);
    }

    #[test]
    fn what_is_told_while_somebody_draws_is_held_and_the_oldest_goes_first() {
        let screen = Screen::default();
        screen.hold();
        (0..WATCH_LINES_KEPT + 5).for_each(|n| screen.tell(&n.to_string()));
        assert_eq!(screen.held(2), ["1003", "1004"]);
        assert_eq!(screen.held(usize::MAX).first().unwrap(), "5");
    }
}

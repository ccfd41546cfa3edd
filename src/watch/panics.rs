//! What panics say while the terminal is drawn on: held, and written when the drawing has ended.
//!
//! An actor that panics is restarted and its panic is a fact of the graph; the text of the panic hook would only be drawn over.

use std::{
    collections::VecDeque,
    io::{self, Write},
    panic::{self, PanicHookInfo},
    sync::Arc,
    thread,
};

use parking_lot::Mutex;
use runtime::graph::clean;

use crate::limits::WATCH_LINES_KEPT;

type Hook = Box<dyn Fn(&PanicHookInfo<'_>) + Sync + Send>;

/// Stands in for the panic hook of the program until it is dropped; then writes what it held to standard error.
pub(super) struct Panics {
    said: Arc<Mutex<VecDeque<String>>>,
    before: Option<Hook>,
}

impl Panics {
    pub(super) fn hold() -> Self {
        let said = Arc::new(Mutex::new(VecDeque::new()));
        let before = Some(panic::take_hook());
        let held = Arc::clone(&said);
        panic::set_hook(Box::new(move |info| {
            let mut held = held.lock();
            if held.len() >= WATCH_LINES_KEPT {
                held.pop_front();
            }
            held.push_back(line(info));
        }));
        Self { said, before }
    }

    /// The latest lines that are held.
    pub(super) fn latest(&self, most: usize) -> Vec<String> {
        let said = self.said.lock();
        said.iter().skip(said.len().saturating_sub(most)).cloned().collect()
    }
}

fn line(info: &PanicHookInfo<'_>) -> String {
    let text = info.payload_as_str().unwrap_or("a value that is no text");
    let place = info.location().map(|place| format!(" at {place}")).unwrap_or_default();
    clean(&format!("panicked{place}: {text}"))
}

impl Drop for Panics {
    fn drop(&mut self) {
        // The hook cannot be changed by a thread that panics.
        if !thread::panicking()
            && let Some(before) = self.before.take()
        {
            panic::set_hook(before);
        }
        let mut out = io::stderr().lock();
        for line in self.said.lock().drain(..) {
            // There is nobody to tell when that fails.
            writeln!(out, "{line}").ok();
        }
    }
}

//! The terminal as something to draw on: its alternate screen, entered when opened and left when dropped.

use std::{
    ffi::OsString,
    io::{self, IsTerminal, Write},
};

use rustix::termios::tcgetwinsize;

use super::{Line, Size, frame::Tone};
use crate::limits::{TERMINAL_COLUMNS_MAX, TERMINAL_ROWS_MAX};

/// To the alternate screen, without a cursor.
const ENTER: &str = "\x1b[?1049h\x1b[?25l";
const LEAVE: &str = "\x1b[?25h\x1b[?1049l";
/// What is between these is shown at once, by terminals that know how.
const BEGIN: &str = "\x1b[?2026h";
/// The cursor goes where a key's echo moves nothing.
const END: &str = "\x1b[H\x1b[?2026l";

/// Whether standard error is a terminal that can be drawn on.
pub fn can_draw() -> bool {
    let able = |term: OsString| !term.is_empty() && term != "dumb";
    io::stderr().is_terminal() && std::env::var_os("TERM").is_some_and(able)
}

/// Standard error while it is drawn on.
#[derive(Debug)]
pub struct Canvas {
    colours: bool,
}

impl Canvas {
    /// Enters the alternate screen, where there [can be drawn](can_draw); without colours where `NO_COLOR` says so.
    ///
    /// # Errors
    /// What the terminal said.
    pub fn open() -> io::Result<Self> {
        write(ENTER)?;
        let colours = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        Ok(Self { colours })
    }

    /// How large the terminal is now.
    pub fn size(&self) -> Size {
        let (columns, rows) = match tcgetwinsize(io::stderr()) {
            Ok(size) if size.ws_col > 0 && size.ws_row > 0 => (size.ws_col, size.ws_row),
            // A terminal that does not know its size is taken for one of old.
            Ok(_) | Err(_) => (80, 24),
        };
        Size {
            columns: usize::from(columns).min(TERMINAL_COLUMNS_MAX),
            rows: usize::from(rows).min(TERMINAL_ROWS_MAX),
        }
    }

    /// Draws one frame, made for a terminal of this size.
    ///
    /// # Errors
    /// What the terminal said.
    pub fn draw(&mut self, lines: &[Line], size: Size) -> io::Result<()> {
        write(&self.text(lines, size))
    }

    fn text(&self, lines: &[Line], size: Size) -> String {
        let mut text = BEGIN.to_owned();
        for (row, Line(spans)) in lines.iter().enumerate() {
            // The line is cleared first: behind a full one, clearing would take its last character.
            text.push_str(&format!("\x1b[{};1H\x1b[0m\x1b[2K", row + 1));
            for (tone, words) in spans {
                if self.colours {
                    text.push_str(code(*tone));
                }
                text.push_str(words);
            }
        }
        text.push_str("\x1b[0m");
        if lines.len() < size.rows {
            text.push_str(&format!("\x1b[{};1H\x1b[J", lines.len() + 1));
        }
        text.push_str(END);
        text
    }
}

impl Drop for Canvas {
    fn drop(&mut self) {
        // There is nobody to tell when that fails.
        write(LEAVE).ok();
    }
}

fn write(text: &str) -> io::Result<()> {
    let mut out = io::stderr().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

/// Each begins anew, so that no tone leaks into the next.
const fn code(tone: Tone) -> &'static str {
    match tone {
        Tone::Plain => "\x1b[0m",
        Tone::Strong => "\x1b[0;1m",
        Tone::Faint => "\x1b[0;2m",
        Tone::Good => "\x1b[0;32m",
        Tone::Warn => "\x1b[0;33m",
        Tone::Bad => "\x1b[0;31m",
    }
}

#[cfg(test)]
mod tests {
    use std::mem::ManuallyDrop;

    use super::*;

    #[test]
    fn a_frame_is_drawn_line_by_line_and_clears_what_was_there() {
        let lines = [
            Line(vec![(Tone::Strong, "a".to_owned()), (Tone::Bad, "b".to_owned())]),
            Line(vec![(Tone::Plain, "c".to_owned())]),
        ];
        // Never dropped: it was never on the alternate screen.
        let [colours, plain] = [true, false].map(|colours| ManuallyDrop::new(Canvas { colours }));
        let size = |rows| Size { columns: 80, rows };
        let text = colours.text(&lines, size(24));
        let expected = "\x1b[?2026h\x1b[1;1H\x1b[0m\x1b[2K\x1b[0;1ma\x1b[0;31mb\
                        \x1b[2;1H\x1b[0m\x1b[2K\x1b[0mc\x1b[0m\x1b[3;1H\x1b[J\x1b[H\x1b[?2026l";
        assert_eq!(text, expected);
        assert!(!plain.text(&lines, size(24)).contains("\x1b[0;31m"));
        assert!(!plain.text(&lines, size(2)).contains("\x1b[J"), "the last line stays");
    }
}

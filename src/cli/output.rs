//! What the program prints: results on standard output, everything else on standard error.
//!
//! # Invariants
//! - No text of a file, a program or a run file can steer the terminal: control characters are escaped.
//! - A reader that has seen enough (a closed pipe) is no error.

use std::{
    error::Error,
    io::{self, Write},
};

pub use runtime::graph::clean;

use super::exit::Exit;

/// Why a command did not do its work, and how the program ends.
#[derive(Debug)]
pub struct Failure {
    /// How the program ends.
    pub exit: Exit,
    /// What is told.
    pub message: String,
}

impl Failure {
    /// The command could not do its work.
    pub fn failed(error: &dyn Error) -> Self {
        Self { exit: Exit::Failed, message: format!("error: {}\n", chain(error)) }
    }

    /// The command was asked for something wrong.
    pub fn usage(error: &dyn Error) -> Self {
        Self { exit: Exit::Usage, ..Self::failed(error) }
    }

    /// A failure in words.
    pub fn words(exit: Exit, words: impl AsRef<str>) -> Self {
        Self { exit, message: format!("error: {}\n", clean(words.as_ref())) }
    }
}

/// Writes to standard output.
///
/// # Errors
/// [`Failure`] when standard output takes nothing, for another reason than a closed pipe.
pub fn print(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::words(Exit::Failed, format!("cannot write to standard output: {error}")))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Writes to standard error; there is nobody to tell when that fails.
pub fn tell(text: &str) {
    io::stderr().lock().write_all(text.as_bytes()).ok();
}

/// Gives an error with its causes.
pub fn chain(error: &dyn Error) -> String {
    let mut text = clean(&error.to_string());
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&clean(&error.to_string()));
        cause = error.source();
    }
    text
}

/// Gives a number with its noun.
pub fn counted(count: u64, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_escaped() {
        assert_eq!(clean("a\u{1b}[31mb\r\n\u{202e}ü"), "a\\u{1b}[31mb\\r\\n\\u{202e}ü");
    }
}

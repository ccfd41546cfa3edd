//! Log text is lower-case and without a full stop, so that lines read alike.
use super::lexer::{self, Blanked};

const MACROS: &[&str] = &["trace", "debug", "info", "warn", "error"];

/// Checks the message of every log macro of a file.
pub(crate) fn messages(path: &str, text: &str, source: &Blanked) -> Vec<String> {
    let calls = lexer::words(&source.code).filter(|(at, word)| {
        MACROS.contains(word)
            && source.code.get(at + word.len()..).is_some_and(|rest| rest.starts_with("!("))
    });
    let mut problems = Vec::new();
    for (at, word) in calls {
        let open = at + word.len() + 1;
        let Some((from, to)) = message(source, open) else { continue };
        let message = text.get(from..to).unwrap_or_default();
        if !is_plain(message) {
            let line = lexer::line(text, from);
            problems.push(format!(
                "{path}:{line}: log text is lower-case without a full stop: \"{message}\""
            ));
        }
    }
    problems
}

/// Finds the string that is an argument by itself, in the call whose parenthesis opens at `open`.
fn message(source: &Blanked, open: usize) -> Option<(usize, usize)> {
    let mut depth = 0_usize;
    for (at, byte) in source.code.bytes().enumerate().skip(open) {
        match byte {
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => depth = depth.saturating_sub(1),
            b'"' if depth == 1 => {
                let string = source.strings.iter().find(|(from, _)| *from == at + 1);
                let before = source.code.get(..at).unwrap_or_default().trim_end();
                if let Some(string) = string
                    && (before.ends_with('(') || before.ends_with(','))
                {
                    return Some(*string);
                }
            }
            _ => {}
        }
        if depth == 0 {
            return None;
        }
    }
    None
}

/// Tells whether a text begins in lower case (or with a name all in capitals) and has no full stop at its end.
fn is_plain(message: &str) -> bool {
    let mut chars = message.chars();
    let first = chars.next().is_some_and(char::is_uppercase);
    let second = chars.next().is_some_and(|c| c.is_uppercase() || c.is_ascii_digit());
    (!first || second) && !message.ends_with('.')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, count: usize) {
        let found = messages("a.rs", text, &lexer::blank(text));
        assert_eq!(found.len(), count, "{text}: {found:?}");
    }

    #[test]
    fn a_capital_or_a_full_stop_is_found() {
        check(r#"info!("Node starts")"#, 1);
        check(r#"tracing::warn!(node = %id, "link is gone.")"#, 1);
        check(r#"error!(text = "As It Is.", "cannot open {path}", path = f("X."))"#, 0);
    }

    #[test]
    fn names_in_capitals_fields_and_other_macros_are_left_alone() {
        check(r#"info!("NATS answers"); debug!(name = "Quota"); println!("Hello.");"#, 0);
        check(r#"// info!("In a comment.")"#, 0);
        check(r#"let error = "Error."; fn info() {}"#, 0);
    }
}

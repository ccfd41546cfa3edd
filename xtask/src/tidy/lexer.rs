//! Separates Rust code from its comments and strings, so that rules look at the right part.

/// A source text, taken apart; all three have the lines and columns of the original.
pub(crate) struct Blanked {
    /// the code, with comments and the content of strings replaced by spaces
    pub(crate) code: String,
    /// where each string's content begins and ends, in bytes
    pub(crate) strings: Vec<(usize, usize)>,
}

/// Takes a source text apart.
pub(crate) fn blank(text: &str) -> Blanked {
    let mut out = Blanked { code: String::with_capacity(text.len()), strings: Vec::new() };
    let mut at = 0;
    while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
        let previous = out.code.bytes().last().unwrap_or(b' ');
        let length = match piece(rest, previous) {
            Piece::Code(length) => {
                out.code.push_str(rest.get(..length).unwrap_or_default());
                length
            }
            Piece::Comment(length) => {
                erase(&mut out.code, rest.get(..length).unwrap_or_default());
                length
            }
            Piece::Quoted { open, content, close } => {
                out.code.push_str(rest.get(..open).unwrap_or_default());
                erase(&mut out.code, rest.get(open..open + content).unwrap_or_default());
                out.code
                    .push_str(rest.get(open + content..open + content + close).unwrap_or_default());
                out.strings.push((at + open, at + open + content));
                open + content + close
            }
        };
        at += length;
    }
    out
}

/// Iterates over the words of code, with where each begins.
pub(crate) fn words(code: &str) -> impl Iterator<Item = (usize, &str)> {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let mut at = 0;
    std::iter::from_fn(move || {
        let start = at + code.get(at..)?.find(is_word)?;
        let rest = code.get(start..)?;
        let length = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
        at = start + length;
        Some((start, rest.get(..length)?))
    })
}

/// Counts the line, from 1, of a place in a text.
pub(crate) fn line(text: &str, at: usize) -> usize {
    text.bytes().take(at).filter(|byte| *byte == b'\n').count() + 1
}

enum Piece {
    Code(usize),
    Comment(usize),
    Quoted { open: usize, content: usize, close: usize },
}

/// Tells what a text begins with; `previous` is the byte of code before it.
fn piece(rest: &str, previous: u8) -> Piece {
    let after_word = previous.is_ascii_alphanumeric() || previous == b'_';
    if rest.starts_with("//") {
        Piece::Comment(rest.find('\n').unwrap_or(rest.len()))
    } else if rest.starts_with("/*") {
        Piece::Comment(block_comment(rest))
    } else if let Some(raw) = raw_string(rest).filter(|_| !after_word) {
        raw
    } else if rest.starts_with('"') {
        let content = escaped(rest.get(1..).unwrap_or_default(), '"');
        Piece::Quoted { open: 1, content, close: rest.len().min(content + 2) - content - 1 }
    } else if rest.starts_with('\'') {
        Piece::Code(character(rest))
    } else {
        Piece::Code(rest.chars().next().map_or(1, char::len_utf8))
    }
}

fn block_comment(rest: &str) -> usize {
    let (mut depth, mut at) = (0_usize, 0);
    while let Some(now) = rest.get(at..).filter(|now| !now.is_empty()) {
        if now.starts_with("/*") {
            depth += 1;
            at += 2;
        } else if now.starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += now.chars().next().map_or(1, char::len_utf8);
        }
    }
    rest.len()
}

/// Recognises `r"…"`, `r#"…"#` and their byte forms.
fn raw_string(rest: &str) -> Option<Piece> {
    let tail = rest
        .strip_prefix('b')
        .or_else(|| rest.strip_prefix('c'))
        .unwrap_or(rest)
        .strip_prefix('r')?;
    let hashes = tail.bytes().take_while(|byte| *byte == b'#').count();
    let tail = tail.get(hashes..)?.strip_prefix('"')?;
    let end = format!("\"{}", "#".repeat(hashes));
    let content = tail.find(&end).unwrap_or(tail.len());
    let open = rest.len() - tail.len();
    Some(Piece::Quoted { open, content, close: end.len().min(tail.len() - content) })
}

/// Measures the text before the closing quote.
fn escaped(text: &str, quote: char) -> usize {
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        if c == quote {
            return at;
        }
        if c == '\\' {
            chars.next();
        }
    }
    text.len()
}

/// Measures a character literal, or only the quote of a lifetime.
fn character(rest: &str) -> usize {
    let tail = rest.get(1..).unwrap_or_default();
    let mut chars = tail.chars();
    match (chars.next(), chars.next()) {
        (Some('\\'), _) => escaped(tail, '\'') + 2,
        (Some(c), Some('\'')) => c.len_utf8() + 2,
        _ => 1,
    }
}

fn erase(out: &mut String, text: &str) {
    for c in text.chars() {
        if c == '\n' { out.push('\n') } else { (0..c.len_utf8()).for_each(|_| out.push(' ')) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, code: &str, strings: &[&str]) {
        let blanked = blank(text);
        assert_eq!(blanked.code, code);
        assert_eq!(blanked.code.len(), text.len());
        let found: Vec<&str> = blanked.strings.iter().map(|(from, to)| &text[*from..*to]).collect();
        assert_eq!(found, strings);
    }

    #[test]
    fn comments_and_strings_are_blanked_in_place() {
        check("a // b\nc", "a     \nc", &[]);
        check("a /* b /* c */ \n */ d", "a              \n    d", &[]);
        check(r#"f("a\"b", 'x')"#, r#"f("    ", 'x')"#, &[r#"a\"b"#]);
        check("f(r#\"a\"b\"#)", "f(r#\"   \"#)", &["a\"b"]);
    }

    #[test]
    fn lifetimes_and_quotes_as_characters_open_nothing() {
        check(
            "fn f<'a>(x: &'a str) { '\"'; \"s\" }",
            "fn f<'a>(x: &'a str) { '\"'; \" \" }",
            &["s"],
        );
        check("'\\''; \"s\"", "'\\''; \" \"", &["s"]);
    }

    #[test]
    fn a_text_that_ends_too_early_is_taken_as_it_is() {
        check("\"abc", "\"   ", &["abc"]);
        check("/* a", "    ", &[]);
        check("é\"é\"", "é\"  \"", &["é"]);
    }

    #[test]
    fn words_are_found_with_their_place() {
        assert_eq!(words("a::b_c(1)").collect::<Vec<_>>(), [(0, "a"), (3, "b_c"), (7, "1")]);
    }
}

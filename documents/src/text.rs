//! Cuts a text into paragraphs, sentences and words, by rules that need no dictionary of a language.
//!
//! Called by [`mod@crate::analyse`] and [`mod@crate::summarise`].
//!
//! # Invariants
//! Spans lie within the text, on boundaries of characters, in order, without overlap; none is empty.

use serde::{Deserialize, Serialize};

/// A part of a text: bytes from `start` up to, not including, `end`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Span {
    /// First byte.
    pub start: usize,
    /// The byte after the last one.
    pub end: usize,
}

impl Span {
    /// Returns the part of the text; empty if the text is another one.
    pub fn of(self, text: &str) -> &str {
        text.get(self.start..self.end).unwrap_or_default()
    }
}

/// Words that end with a full stop in the middle of a sentence, in small letters without the stop.
const ABBREVIATIONS: &str = " mr mrs ms dr prof st sr jr vs fig figs no nos inc ltd co corp dept est approx vol ed eds pp cf al gen \
    col lt sgt capt rev hon jan feb mar apr jun jul aug sep sept oct nov dec bzw ca nr abs art str tel zzgl inkl usf vgl hrsg bd \
    mme mlle sra ";

/// Cuts a text into paragraphs: at empty lines, and before the items of a list.
///
/// # Examples
/// ```
/// let text = "One\ntwo.\n\n- three\n- four";
/// let found: Vec<_> = synod_documents::text::paragraphs(text).iter().map(|span| span.of(text)).collect();
/// assert_eq!(found, ["One\ntwo.", "- three", "- four"]);
/// ```
pub fn paragraphs(text: &str) -> Vec<Span> {
    let mut spans = Vec::new();
    let mut open: Option<Span> = None;
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        let words = line.trim();
        let start = at + (line.len() - line.trim_start().len());
        at += line.len();
        if words.is_empty() || words.starts_with("- ") {
            spans.extend(open.take());
        }
        if !words.is_empty() {
            let end = start + words.len();
            open = Some(Span { start: open.map_or(start, |span| span.start), end });
        }
    }
    spans.extend(open);
    spans
}

/// Cuts a text into sentences, each within its paragraph; what has neither letter nor digit is none.
///
/// A sentence ends with a full stop, question or exclamation mark that white space and no small letter follow. Not so
/// after known abbreviations, initials (`J. Doe`), abbreviations with inner stops (`e.g.`) and the number of an item
/// (`1. Tea`). The marks of Chinese and Japanese need no white space.
///
/// # Examples
/// ```
/// let text = "Dr. J. Doe paid 3.50 e.g. for tea. \"Was it hot?\" It was!";
/// let found: Vec<_> = synod_documents::text::sentences(text).iter().map(|span| span.of(text)).collect();
/// assert_eq!(found, ["Dr. J. Doe paid 3.50 e.g. for tea.", "\"Was it hot?\"", "It was!"]);
/// ```
pub fn sentences(text: &str) -> Vec<Span> {
    let mut spans = Vec::new();
    for paragraph in paragraphs(text) {
        let mut rest = paragraph;
        while rest.start < rest.end {
            let end = rest.start + sentence_end(rest.of(text));
            let words = Span { start: rest.start, end }.of(text);
            if words.contains(char::is_alphanumeric) {
                let start = rest.start + (words.len() - words.trim_start().len());
                spans.push(Span { start, end: start + words.trim().len() });
            }
            rest.start = end;
        }
    }
    spans
}

/// Cuts a text into words: letters and digits, with apostrophes and hyphens between them.
/// Of Chinese and Japanese every character counts as a word.
///
/// # Examples
/// ```
/// let text = "Don't re-use 日本 (2024)!";
/// let found: Vec<_> = synod_documents::text::words(text).iter().map(|span| span.of(text)).collect();
/// assert_eq!(found, ["Don't", "re-use", "日", "本", "2024"]);
/// ```
pub fn words(text: &str) -> Vec<Span> {
    let mut spans = Vec::new();
    let mut open: Option<Span> = None;
    let mut chars = text.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        let end = at + c.len_utf8();
        let next = chars.peek().map_or(' ', |(_, next)| *next);
        let joins = matches!(c, '\'' | '’' | '-' | '\u{2010}')
            && next.is_alphanumeric()
            && !is_ideograph(next);
        if is_ideograph(c) {
            spans.extend(open.take());
            spans.push(Span { start: at, end });
        } else if c.is_alphanumeric() || (joins && open.is_some()) {
            open = Some(Span { start: open.map_or(at, |span| span.start), end });
        } else {
            spans.extend(open.take());
        }
    }
    spans.extend(open);
    spans
}

/// Tells whether a character is one of Chinese or Japanese, which put no spaces between words.
fn is_ideograph(c: char) -> bool {
    matches!(c, '\u{3040}'..='\u{30ff}' | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{2fa1f}')
}

/// Tells how many bytes the first sentence of a paragraph has.
fn sentence_end(text: &str) -> usize {
    let mut chars = text.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        if !matches!(c, '.' | '!' | '?' | '…' | '。' | '！' | '？') {
            continue;
        }
        let mut end = at + c.len_utf8();
        let follows = |c: char| {
            matches!(c, '.' | '!' | '?' | '…' | '"' | '\'' | '”' | '’' | '»' | ')' | ']' | '」')
        };
        while let Some((at, c)) = chars.next_if(|(_, c)| follows(*c)) {
            end = at + c.len_utf8();
        }
        let after = text.get(end..).unwrap_or_default();
        let goes_on = !after.starts_with(char::is_whitespace) && !matches!(c, '。' | '！' | '？');
        let small = after.trim_start().starts_with(char::is_lowercase);
        let before = text.get(..at).unwrap_or_default();
        if after.is_empty() || !(goes_on || small || (c == '.' && is_abbreviation(before))) {
            return end;
        }
    }
    text.len()
}

/// Tells whether the full stop after this text belongs to its last word.
fn is_abbreviation(before: &str) -> bool {
    let word = before.rsplit(char::is_whitespace).next().unwrap_or_default();
    let is_first = word.len() == before.trim_start().len();
    let word = word.trim_start_matches(['(', '[', '"', '“', '„', '\'']);
    let mut letters = word.chars();
    match (letters.next(), letters.next()) {
        (None, _) => false,
        (Some(letter), None) if letter.is_uppercase() => true,
        _ if word.chars().all(|c| c.is_ascii_digit()) => is_first,
        _ if word.contains('.') => word.split('.').all(|part| {
            let mut letters = part.chars();
            letters.next().is_some_and(char::is_alphabetic) && letters.next().is_none()
        }),
        _ => ABBREVIATIONS.contains(&format!(" {} ", word.to_lowercase())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<&str> {
        sentences(text).iter().map(|span| span.of(text)).collect()
    }

    #[test]
    fn a_sentence_ends_where_a_reader_sees_its_end() {
        for (text, want) in [
            ("A b. C d.", &["A b.", "C d."][..]),
            ("Really?! Yes… No.", &["Really?!", "Yes…", "No."]),
            ("He said \"Stop.\" Then left.", &["He said \"Stop.\"", "Then left."]),
            ("It is 3.14. Or not.", &["It is 3.14.", "Or not."]),
            ("Mr. Doe and J. R. Roe met.", &["Mr. Doe and J. R. Roe met."]),
            ("1. First. 2. Second", &["1. First.", "2. Second"]),
            ("See fig. 3 in vol. 2. Done.", &["See fig. 3 in vol. 2.", "Done."]),
            ("Tee usw. und z.B. Milch. Gut.", &["Tee usw. und z.B. Milch.", "Gut."]),
            ("日本。東京！", &["日本。", "東京！"]),
            ("Head\n\nBody text.\n* * *\n\n---", &["Head", "Body text."]),
            ("- a. B\n- c", &["- a.", "B", "- c"]),
            ("", &[]),
        ] {
            assert_eq!(found(text), want, "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn spans_lie_within_the_text_in_order(text in "[a-cA-C1é日.!?'\"\\- \n。]{0,80}") {
            for spans in [paragraphs(&text), sentences(&text), words(&text)] {
                let mut last = 0;
                for span in spans {
                    assert!(last <= span.start && span.start < span.end && text.get(span.start..span.end).is_some());
                    last = span.end;
                }
            }
        }

        #[test]
        fn every_word_is_in_a_sentence(text in "[a-cA-C1é日.!?'\"\\- \n。]{0,80}") {
            let sentences = sentences(&text);
            let inside = |word: &Span| sentences.iter().any(|span| span.start <= word.start && word.end <= span.end);
            assert!(words(&text).iter().all(inside));
        }
    }
}

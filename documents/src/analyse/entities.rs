//! What a text names, by rule: patterns for what has a form, capitals for names.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use regex::Regex;

use super::{Entity, EntityKind, stop_words};
use crate::limits::ENTITIES_MAX;
use crate::text::{self, Span};

mod checks;

/// Names of months in English, German, French and Spanish.
const MONTHS: &str = "January|February|March|April|May|June|July|August|September|October|November|December|Jan\\.?|Feb\\.?|Mar\\.?|\
    Apr\\.?|Jun\\.?|Jul\\.?|Aug\\.?|Sept?\\.?|Oct\\.?|Nov\\.?|Dec\\.?|Januar|Februar|März|Mai|Juni|Juli|Oktober|Dezember|janvier|\
    février|mars|avril|mai|juin|juillet|août|septembre|octobre|novembre|décembre|enero|febrero|marzo|abril|mayo|junio|julio|agosto|\
    septiembre|octubre|noviembre|diciembre";

/// Small words inside a name: `Ludwig van Beethoven`.
const PARTICLES: [&str; 14] =
    ["of", "de", "da", "di", "du", "la", "le", "van", "von", "der", "den", "del", "dos", "y"];

/// A kind, its pattern, and a check of what the pattern cannot say. What an earlier rule has taken, a later one leaves.
type Rule = (EntityKind, Regex, Check);
type Check = fn(&str) -> bool;
type Source<'a> = (EntityKind, &'a str, Check);

static RULES: LazyLock<Vec<Rule>> = LazyLock::new(|| {
    let day = r"(?:0?[1-9]|[12]\d|3[01])";
    let month = r"(?:0?[1-9]|1[0-2])";
    let amount = r"\d{1,3}(?:[ ,.'’]\d{3}){0,6}(?:[.,]\d{1,2})?|\d+(?:[.,]\d{1,2})?";
    let scale =
        r"(?: ?(?:thousand|million|billion|trillion|Mio\.?|Mrd\.?|Millionen|Milliarden|bn|k|m)\b)?";
    let dates = format!(
        r"\b\d{{4}}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])\b|\b{day}\.{month}\.(?:\d{{4}}|\d{{2}})\b|\b(?:{month}/{day}|{day}/{month})/(?:\d{{4}}|\d{{2}})\b|\b{day}(?:st|nd|rd|th|\.)? (?:of |de )?(?:{MONTHS})(?:,? (?:de )?\d{{4}}\b)?|\b(?:{MONTHS}) {day}(?:st|nd|rd|th)?\b(?:,? \d{{4}}\b)?|\b(?:{MONTHS}) \d{{4}}\b"
    );
    let money = format!(
        r"(?:[€$£¥₹]|\b(?:EUR|USD|GBP|CHF|JPY)) ?(?:{amount}){scale}|\b(?:{amount}){scale} ?(?:[€£¥₹$]|(?:EUR|USD|GBP|CHF|JPY|euros?|Euro|dollars?|pounds?|francs?)\b)"
    );
    let rules: [Source<'_>; 9] = [
        (
            EntityKind::Email,
            r"\b[A-Za-z0-9._%+-]{1,64}@(?:[A-Za-z0-9-]{1,63}\.){1,8}[A-Za-z]{2,24}\b",
            |_| true,
        ),
        (EntityKind::Url, r#"\b(?:https?://|ftp://|www\.)[^\s<>"{}|\\^`]+"#, checks::is_url),
        (EntityKind::Doi, r"\b10\.\d{4,9}/[-._;()/:A-Za-z0-9]+", |_| true),
        (
            EntityKind::Iban,
            r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?\b",
            checks::is_iban,
        ),
        (EntityKind::Date, &dates, |_| true),
        (EntityKind::Money, &money, |_| true),
        (
            EntityKind::Percentage,
            r"[-+−]?\b\d+(?:[.,]\d+)? ?(?:%|‰|(?:percent|per cent|percentage points?|Prozent|pour cent|por ciento)\b)",
            |_| true,
        ),
        (EntityKind::Phone, r"\+\d{1,3}(?:[ ./-]?\(?\d{1,5}\)?){2,6}", checks::is_phone),
        (
            EntityKind::Phone,
            r"\(\d{2,5}\) ?\d{3,4}[ -]?\d{2,5}\b|\b0\d{1,4}[ /-]\d{3,8}(?:[ -]\d{2,4}){0,3}\b|\b\d{3}-\d{3}-\d{4}\b",
            checks::is_phone,
        ),
    ];
    let compile = |(kind, pattern, check): &Source<'_>| {
        // boundaries and digits of ASCII: with those of Unicode the engine would be many times slower
        let pattern = pattern.replace(r"\b", r"(?-u:\b)").replace(r"\d", "[0-9]");
        Regex::new(&pattern).ok().map(|regex| (*kind, regex, *check))
    };
    rules.iter().filter_map(compile).collect()
});

/// Finds what a text names, in its order, and counts what is over the limit.
pub(super) fn find(text: &str, sentences: &[Span], language: Option<&str>) -> (Vec<Entity>, usize) {
    let mut taken: BTreeMap<usize, (usize, EntityKind)> = BTreeMap::new();
    let mut left_out = 0;
    let mut take = |span: Span, kind: EntityKind| {
        let before = taken.range(..span.end).next_back();
        if before.is_some_and(|(_, (end, _))| *end > span.start) || span.start >= span.end {
            return;
        }
        if taken.len() < ENTITIES_MAX {
            taken.insert(span.start, (span.end, kind));
        } else {
            left_out += 1;
        }
    };
    for (kind, regex, check) in RULES.iter() {
        for found in regex.find_iter(text) {
            let trimmed = checks::trim(*kind, found.as_str());
            if check(trimmed) {
                take(Span { start: found.start(), end: found.start() + trimmed.len() }, *kind);
            }
        }
    }
    for sentence in sentences {
        for span in names(text, *sentence, language) {
            take(span, EntityKind::Name);
        }
    }
    let entity = |(start, (end, kind)): (usize, (usize, EntityKind))| {
        let span = Span { start, end };
        Entity { kind, text: span.of(text).to_owned(), span }
    };
    (taken.into_iter().map(entity).collect(), left_out)
}

/// Finds the capitalised words of a sentence that stand together, with particles between them.
///
/// A word at the start of a sentence is capitalised anyway: alone it is no name, and a word of grammar there is no part
/// of one. In German all nouns are: there a name has two such words at least.
fn names(text: &str, sentence: Span, language: Option<&str>) -> Vec<Span> {
    let words = text::words(sentence.of(text));
    let sentence_start = sentence.start + words.first().map_or(0, |word| word.start);
    let mut names = Vec::new();
    let mut open: Vec<Span> = Vec::new();
    let mut close = |open: &mut Vec<Span>| {
        while open.last().is_some_and(|last| !is_capital(last.of(text))) {
            open.pop();
        }
        if let (Some(first), Some(last)) = (open.first(), open.last()) {
            let at_start = first.start == sentence_start;
            let alone = open.len() == 1
                && (at_start || language == Some("deu") || last.of(text).chars().count() < 2);
            if !alone {
                names.push(Span { start: first.start, end: last.end });
            }
        }
        open.clear();
    };
    let mut end = sentence.start;
    for span in words {
        let span = Span { start: span.start + sentence.start, end: span.end + sentence.start };
        let word = span.of(text);
        let gap = text.get(end..span.start).unwrap_or_default();
        let initial =
            open.last().is_some_and(|last| last.of(text).chars().count() == 1) && gap == ". ";
        if !(gap == " " || initial) {
            close(&mut open);
        }
        end = span.end;
        let is_grammar = stop_words::contains(language, &word.to_lowercase())
            && word.chars().count() > 1
            || word == "I";
        let is_particle = PARTICLES.contains(&word) && !open.is_empty();
        if is_capital(word) && !is_grammar || is_particle {
            open.push(span);
        } else {
            close(&mut open);
        }
    }
    close(&mut open);
    names
}

fn is_capital(word: &str) -> bool {
    word.starts_with(char::is_uppercase)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str, language: &str) -> Vec<(EntityKind, String)> {
        let (entities, left_out) = find(text, &text::sentences(text), Some(language));
        assert_eq!(left_out, 0);
        entities.into_iter().map(|entity| (entity.kind, entity.text)).collect()
    }

    #[test]
    fn every_rule_compiles() {
        assert_eq!(RULES.len(), 9);
    }

    #[test]
    fn what_has_a_form_is_found_by_it() {
        for (text, kind, want) in [
            ("write to a.b+c@mail.example.org.", EntityKind::Email, "a.b+c@mail.example.org"),
            (
                "see https://example.org/a(b)?q=1#x, then",
                EntityKind::Url,
                "https://example.org/a(b)?q=1#x",
            ),
            ("(see www.example.org/x)", EntityKind::Url, "www.example.org/x"),
            ("doi:10.1000/xyz-123.4.", EntityKind::Doi, "10.1000/xyz-123.4"),
            (
                "pay to DE89 3704 0044 0532 0130 00 now",
                EntityKind::Iban,
                "DE89 3704 0044 0532 0130 00",
            ),
            ("on 2024-02-29 it", EntityKind::Date, "2024-02-29"),
            ("am 3.12.2024 war", EntityKind::Date, "3.12.2024"),
            ("due 12/31/2024 or", EntityKind::Date, "12/31/2024"),
            ("on 1st of May 2024 it", EntityKind::Date, "1st of May 2024"),
            ("on March 3, 2024 it", EntityKind::Date, "March 3, 2024"),
            ("am 3. Oktober 1990 war", EntityKind::Date, "3. Oktober 1990"),
            ("in August 2023 it", EntityKind::Date, "August 2023"),
            ("costs $1,234.50 now", EntityKind::Money, "$1,234.50"),
            ("raised €3.5 million in", EntityKind::Money, "€3.5 million"),
            ("kostet 12,50 € heute", EntityKind::Money, "12,50 €"),
            ("about 300 dollars a", EntityKind::Money, "300 dollars"),
            ("grew by 12.5 % in", EntityKind::Percentage, "12.5 %"),
            ("fell -3% in", EntityKind::Percentage, "-3%"),
            ("call +49 421 218-0123 now", EntityKind::Phone, "+49 421 218-0123"),
            ("call (415) 555-0132 now", EntityKind::Phone, "(415) 555-0132"),
        ] {
            assert_eq!(found(text, "eng"), [(kind, want.to_owned())], "{text}");
        }
    }

    #[test]
    fn what_only_looks_like_it_is_left() {
        for text in [
            "a@b",
            "pay DE88370400440532013000",
            "in 2024 it",
            "the 13/32/2024 it",
            "3.14 or 42",
            "+1 2",
            "www.",
        ] {
            let found = found(text, "eng");
            assert!(found.iter().all(|(kind, _)| *kind == EntityKind::Name), "{text}: {found:?}");
        }
    }

    #[test]
    fn names_are_capitalised_words_that_stand_together() {
        let names = |text, language| {
            found(text, language).into_iter().map(|(_, name)| name).collect::<Vec<_>>()
        };
        assert_eq!(
            names("The Bank of England met Jane Q. Doe in Paris.", "eng"),
            ["Bank of England", "Jane Q. Doe", "Paris"]
        );
        assert_eq!(names("Tea is hot. I like Tea, NASA said.", "eng"), ["Tea", "NASA"]);
        assert_eq!(names("Ludwig van Beethoven und der Hund.", "deu"), ["Ludwig van Beethoven"]);
        assert_eq!(names("Der Hund of", "deu"), Vec::<String>::new());
    }
}

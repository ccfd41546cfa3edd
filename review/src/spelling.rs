//! `review.typos`: misspelt words in code and prose, by the dictionary of `typos`.
//!
//! The dictionary holds known slips, not all words, so an unknown name is no finding. What a word list would call
//! wrong by chance is left out: short words, names written often, data, hashes, URLs, foreign languages.

use std::borrow::Cow;
use std::collections::BTreeMap;

use typos::tokens::{Identifier, Tokenizer, Word};
use typos::{Dictionary, Status};
use unicase::UniCase;

use crate::finding::{Finding, Review, Severity};
use crate::limits::{
    FINDINGS_PER_FILE_MAX, LINE_BYTES_MAX, TYPO_LETTERS_MIN, TYPO_OCCURRENCES_MAX,
};
use crate::reviewer::{Reviewer, SourceFile};
use crate::{Skipped, text};

/// The reviewer of spelling.
#[derive(Debug, Clone, Copy)]
pub struct Spelling;

impl Reviewer for Spelling {
    fn name(&self) -> &'static str {
        "review.typos"
    }

    fn describe(&self) -> &'static str {
        "misspelt words in code, comments and prose"
    }

    fn accepts(&self, path: &str) -> bool {
        let name = text::file_name(path).to_ascii_lowercase();
        text::language(path) != "other"
            && !text::is_lock(path)
            && !text::is_foreign(path)
            && !is_translated(path)
            && ![
                "license",
                "licence",
                "copying",
                "words",
                "dictionary",
                "typos",
                "spelling",
                "contributors",
                "authors",
            ]
            .iter()
            .any(|word| name.starts_with(word))
    }

    fn review(&self, file: &SourceFile<'_>) -> Review {
        let text = text::decode(file.bytes);
        let metrics = vec![text::measure(file.path, &text)];
        // tests misspell on purpose
        if file.test || text::says_generated(&text) || !is_english(&text) {
            return Review { metrics, ..Review::default() };
        }
        let mut slips: BTreeMap<String, Vec<Finding>> = BTreeMap::new();
        let tokenizer = Tokenizer::new();
        for (number, line) in (1_u32..).zip(text::until_tests(file.path, &text)) {
            if line.len() > LINE_BYTES_MAX {
                continue;
            }
            for slip in typos::check_str(line, &tokenizer, &Words) {
                if is_part_of_a_name(line, slip.byte_offset, slip.typo.len()) {
                    continue;
                }
                let found = slips.entry(slip.typo.to_lowercase()).or_default();
                found.extend(finding(file.path, number, line, &slip));
            }
        }
        // a word that is written so often is a name, not a slip
        let mut findings: Vec<_> = slips
            .into_values()
            .filter(|found| found.len() <= TYPO_OCCURRENCES_MAX)
            .flatten()
            .collect();
        findings.sort();
        let dropped = findings.len().saturating_sub(FINDINGS_PER_FILE_MAX);
        findings.truncate(FINDINGS_PER_FILE_MAX);
        let reason = format!("{dropped} findings over the limit of {FINDINGS_PER_FILE_MAX} a file");
        let skipped = (dropped > 0).then(|| Skipped { file: file.path.to_owned(), reason });
        Review { findings, metrics, skipped: skipped.into_iter().collect() }
    }
}

fn finding(path: &str, number: u32, line: &str, slip: &typos::Typo<'_>) -> Option<Finding> {
    let Status::Corrections(corrections) = &slip.corrections else { return None };
    let names: Vec<String> =
        corrections.iter().map(|correction| format!("`{correction}`")).collect();
    let column = line.get(..slip.byte_offset)?.chars().count();
    let suggestion = match names.as_slice() {
        [] => return None,
        [one] => format!("write {one}"),
        several => format!("write one of {}", several.join(", ")),
    };
    let finding = Finding::new(path, number, "typos.word", format!("`{}` is misspelt", slip.typo))
        .severity(Severity::Note)
        .span(u32::try_from(column).unwrap_or(u32::MAX).saturating_add(1), number)
        .suggest(suggestion);
    Some(finding)
}

/// Whether a word is glued to digits or to letters of another script, as parts of names and data are.
fn is_part_of_a_name(line: &str, start: usize, length: usize) -> bool {
    let before = line.get(..start).and_then(|text| text.chars().next_back());
    let after = line.get(start + length..).and_then(|text| text.chars().next());
    let glued = |c: char| c.is_ascii_digit() || (c.is_alphabetic() && !c.is_ascii());
    before.is_some_and(|c| glued(c) || matches!(c, '\\' | '&' | '@' | '$' | '-' | '+'))
        || after.is_some_and(glued)
}

/// Whether a path says that its text is in another language.
fn is_translated(path: &str) -> bool {
    const FOLDERS: &[&str] = &["locale", "locales", "i18n", "l10n", "lang", "translations", "intl"];
    let name = text::file_name(path);
    let middle = name.split('.').nth(1).filter(|_| name.matches('.').count() > 1);
    path.split('/').any(|folder| FOLDERS.contains(&folder))
        || middle
            .is_some_and(|part| part.len() == 2 || (part.len() == 5 && part.contains(['-', '_'])))
}

/// Whether at most one letter in twenty is not ASCII.
fn is_english(text: &str) -> bool {
    if text.is_ascii() {
        return true;
    }
    let letters = text.chars().filter(|c| c.is_alphabetic()).count();
    let foreign = text.chars().filter(|c| c.is_alphabetic() && !c.is_ascii()).count();
    foreign * 20 <= letters
}

/// The dictionary of known slips.
struct Words;

impl Dictionary for Words {
    fn correct_ident<'s>(&'s self, identifier: Identifier<'_>) -> Option<Status<'s>> {
        let token = identifier.token();
        let letters = token.bytes().filter(u8::is_ascii_alphabetic).count();
        // what mixes digits with letters is a code, not words
        (letters * 3 < token.len() * 2).then_some(Status::Valid)
    }

    fn correct_word<'s>(&'s self, word: Word<'_>) -> Option<Status<'s>> {
        let token = word.token();
        // capitals are the abbreviations of constants
        if token.len() < TYPO_LETTERS_MIN
            || !token.is_ascii()
            || token.bytes().all(|byte| byte.is_ascii_uppercase())
            || ALLOWED.contains(&token.to_ascii_lowercase().as_str())
        {
            return None;
        }
        let corrections = typos_dict::WORD.find(&UniCase::ascii(token))?;
        let cased = corrections.iter().map(|correction| in_case_of(token, correction)).collect();
        Some(Status::Corrections(cased))
    }
}

/// Words of the trade that the dictionary takes for slips.
const ALLOWED: &[&str] = &[
    "lief",
    "mut",
    "ser",
    "deque",
    "wasn",
    "doesn",
    "inout",
    "splitted",
    "unparseable",
    "unparseables",
    "mis",
    "implementor",
    "implementors",
    "iff",
];

/// Writes a correction in the case of what it corrects.
fn in_case_of<'a>(token: &str, correction: &'a str) -> Cow<'a, str> {
    let capital = token.starts_with(|c: char| c.is_ascii_uppercase());
    let mut rest = correction.chars();
    match (capital, rest.next()) {
        (true, Some(first)) => first.to_uppercase().chain(rest).collect::<String>().into(),
        _ => correction.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slips(path: &str, text: &str) -> Vec<(u32, u32, String, String)> {
        let review = Spelling.review(&SourceFile::new(path, text.as_bytes()));
        let place = |finding: Finding| {
            (finding.line, finding.column, finding.message, finding.suggestion.unwrap_or_default())
        };
        review.findings.into_iter().map(place).collect()
    }

    #[test]
    fn a_slip_is_found_in_words_and_identifiers_with_its_correction() {
        // put together, so that this file holds no slip itself
        let slip = ["rec", "ieve"].concat();
        let capital = ["Rec", "ieve"].concat();
        let text = format!("// We {slip} it.\nfn {slip}_all() {{ on{capital}d }}\n");
        let found = slips("a.rs", &text);
        assert_eq!(found.len(), 3);
        assert_eq!(found[0], (1, 7, format!("`{slip}` is misspelt"), "write `receive`".to_owned()));
        assert_eq!(found[1].0, 2);
        assert_eq!(found[2].3, "write `Received`");
    }

    #[test]
    fn what_is_not_prose_is_not_spell_checked() {
        let slip = ["rec", "ieve"].concat();
        for text in [
            format!("https://a.example/{slip}/b"),
            format!("let a = \"0123456789abcdef{slip}0123\";"),
            format!("// {slip}7"),
            "let a = \"deadbeeffacedeadbeefface0123456789abcdef\";".to_owned(),
            format!("{} {slip}", "x".repeat(LINE_BYTES_MAX)),
            format!("// @generated\n// {slip}"),
            format!("// {}\n", format!("{slip} ").repeat(TYPO_OCCURRENCES_MAX + 1)),
            format!("// кириллица и ещё немного текста {slip}"),
        ] {
            assert_eq!(slips("a.rs", &text), [], "{text}");
        }
        for path in [
            "Cargo.lock",
            "a.min.js",
            "locales/de.json",
            "README.es.md",
            "LICENSE.txt",
            "a.svg",
            "vendor/a.go",
        ] {
            assert!(!Spelling.accepts(path), "{path}");
        }
        assert_eq!(slips("tests/a.rs", &format!("// {slip}")), []);
        assert_eq!(slips("a.rs", &format!("#[cfg(test)]\nmod tests {{}} // {slip}")), []);
        assert!(Spelling.accepts("README.md") && Spelling.accepts("src/a.rs"));
    }
}

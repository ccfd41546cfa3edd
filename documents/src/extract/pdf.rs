//! PDF into text: ISO 32000-1, as much of it as shows text.
//!
//! A reader of our own, because the known ones either panic, overflow the stack on malformed files or bring thirty
//! crates: `file` finds the objects, `filter` unpacks streams, `font` and `cmap` turn codes into characters, `page`
//! follows the operators that show text and tells lines and words apart by where they stand.
//!
//! # Invariants
//! No recursion and no loop without a limit of [`crate::limits`]; the cross-reference table is never trusted.

use super::{ExtractError, plain};
use crate::document::{Document, Format};
use crate::limits::TEXT_BYTES_MAX;

mod cmap;
mod file;
mod filter;
mod font;
mod glyph;
mod object;
mod page;

use file::File;
use object::Object;

/// Reads the text of all pages; the title is the one of the information dictionary.
pub(super) fn read(bytes: &[u8]) -> Result<Document, ExtractError> {
    let broken = |what: &str| ExtractError::BrokenPdf { what: what.to_owned() };
    let file = File::open(bytes);
    if file.is_encrypted() {
        return Err(ExtractError::EncryptedPdf);
    }
    if file.is_empty() {
        return Err(broken("it has no object: was it written to its end?"));
    }
    let pages = file.pages();
    if pages.is_empty() {
        return Err(broken("it has no page: was it written to its end?"));
    }
    let mut document = Document::new(Format::Pdf);
    let mut text = String::new();
    let mut painter = page::Painter::new(&file);
    for page in &pages {
        if !text.is_empty() {
            text.push_str("\n\n");
        }
        text.push_str(&painter.paint(page));
        if text.len() > TEXT_BYTES_MAX {
            return Err(ExtractError::TooMuchText { format: Format::Pdf, max: TEXT_BYTES_MAX });
        }
    }
    if painter.unknown() > 0 {
        let count = painter.unknown();
        document.note(format!("{count} characters are of fonts that do not say which they are"));
    }
    if file.is_over_limit() || painter.is_over_limit() {
        document.note("larger than a PDF that is read to its end: the text is not complete");
    }
    document.text = join_hyphens(&plain::tidy(&text));
    describe(&file, pages.len(), &mut document);
    Ok(document)
}

/// Takes what the file says about itself.
fn describe(file: &File<'_>, pages: usize, document: &mut Document) {
    document.describe("pages", &pages.to_string());
    let information = file.information();
    let keys = [
        ("Author", "author"),
        ("Subject", "description"),
        ("Keywords", "keywords"),
        ("Creator", "generator"),
    ];
    let value = |key: &str| match information.get(key).map(|value| file.resolve(value)) {
        Some(Object::Text(bytes)) => Some(object::text(bytes)),
        _ => None,
    };
    for (theirs, ours) in keys {
        document.describe(ours, &value(theirs).unwrap_or_default());
    }
    document.describe("date", &value("CreationDate").map(|date| iso(&date)).unwrap_or_default());
    document.entitle(&value("Title").unwrap_or_default());
    if let Some(Object::Text(language)) =
        file.catalog().get("Lang").map(|value| file.resolve(value))
    {
        document.language = Some(object::text(language)).filter(|language| !language.is_empty());
    }
}

/// Writes the time `D:20240131235959+01'00'` (7.9.4) as `2024-01-31T23:59:59+01:00`; what is none stays.
fn iso(date: &str) -> String {
    let digits = date.strip_prefix("D:").unwrap_or(date);
    let part = |from: usize, to: usize| {
        digits.get(from..to).filter(|part| part.bytes().all(|byte| byte.is_ascii_digit()))
    };
    let (Some(year), Some(month), Some(day)) = (part(0, 4), part(4, 6), part(6, 8)) else {
        return date.to_owned();
    };
    let mut iso = format!("{year}-{month}-{day}");
    if let (Some(hour), Some(minute), Some(second)) = (part(8, 10), part(10, 12), part(12, 14)) {
        iso.push_str(&format!("T{hour}:{minute}:{second}"));
        let zone = digits.get(14..).unwrap_or_default().replace('\'', ":");
        iso.push_str(zone.trim_end_matches(':'));
    }
    iso
}

/// Joins a word that was split at the end of a line: `exam-` and `ple`.
fn join_hyphens(text: &str) -> String {
    let mut joined = String::with_capacity(text.len());
    let mut lines = text.split('\n').peekable();
    while let Some(line) = lines.next() {
        let goes_on = lines.peek().is_some_and(|next| next.starts_with(char::is_lowercase));
        match line.strip_suffix(['-', '\u{2010}', '\u{ad}']) {
            Some(front) if goes_on && front.ends_with(char::is_lowercase) => joined.push_str(front),
            _ => {
                joined.push_str(line);
                if lines.peek().is_some() {
                    joined.push('\n');
                }
            }
        }
    }
    joined
}

#[cfg(test)]
mod tests;

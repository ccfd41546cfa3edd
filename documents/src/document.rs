//! What a file says, without how it says it: the value that extraction makes and later stages take.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::limits::{METADATA_BYTES_MAX, NOTES_MAX};

/// The text of a document with what the document says about itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Document {
    /// What it calls itself, if it does.
    pub title: Option<String>,
    /// What a reader reads: paragraphs with an empty line between them, line ends as `\n`.
    pub text: String,
    /// What it was.
    pub format: Format,
    /// The language that it declares, as it declares it, such as `en-GB`; the analysis finds out the real one.
    #[serde(default)]
    pub language: Option<String>,
    /// What else it says about itself, such as `author`, `date` or `pages`.
    #[serde(default)]
    pub metadata: BTreeMap<String, String>,
    /// What was guessed or left out on the way, for a reader.
    #[serde(default)]
    pub notes: Vec<String>,
}

/// The formats that can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// Plain text.
    Plain,
    /// Markdown: CommonMark with tables, footnotes, strike-through, task lists and front matter.
    Markdown,
    /// HTML as browsers read it.
    Html,
    /// One mail with its MIME parts (RFC 5322, RFC 2045).
    Mail,
    /// PDF with text in it.
    Pdf,
}

impl Format {
    /// Returns its name for a reader.
    pub fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain text",
            Self::Markdown => "Markdown",
            Self::Html => "HTML",
            Self::Mail => "mail",
            Self::Pdf => "PDF",
        }
    }
}

impl Document {
    /// A document of which nothing is known but its format.
    pub(crate) fn new(format: Format) -> Self {
        Self {
            title: None,
            text: String::new(),
            format,
            language: None,
            metadata: BTreeMap::new(),
            notes: Vec::new(),
        }
    }

    /// Keeps the first title that says something.
    pub(crate) fn entitle(&mut self, title: &str) {
        let title = one_line(title);
        if self.title.is_none() && !title.is_empty() {
            self.title = Some(title);
        }
    }

    /// Keeps a value of the metadata, if it says something.
    pub(crate) fn describe(&mut self, key: &str, value: &str) {
        let value = one_line(value);
        if !value.is_empty() {
            self.metadata.insert(key.to_owned(), value);
        }
    }

    /// Adds a note for the reader.
    pub(crate) fn note(&mut self, note: impl Into<String>) {
        if self.notes.len() < NOTES_MAX {
            self.notes.push(note.into());
        }
    }
}

/// Joins the words of a text by single spaces and cuts it at the limit of metadata.
fn one_line(text: &str) -> String {
    let mut line = String::new();
    for word in text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|w| !w.is_empty())
    {
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
        if line.len() > METADATA_BYTES_MAX {
            line.truncate(line.floor_char_boundary(METADATA_BYTES_MAX));
            break;
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_title_is_one_line_within_its_limit_and_the_first_one_stays() {
        let mut document = Document::new(Format::Html);
        document.entitle(" \n ");
        assert_eq!(document.title, None);
        document.entitle("On\n  two\tlines\0");
        document.entitle("Another");
        assert_eq!(document.title.as_deref(), Some("On two lines"));
        document.describe("author", &"é".repeat(METADATA_BYTES_MAX));
        assert_eq!(document.metadata["author"].len(), METADATA_BYTES_MAX);
    }
}

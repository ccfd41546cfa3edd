//! Takes the text out of a file of any known format.
//!
//! Called by the first stage of a document pipeline; each format has its file: `plain`, `markdown`, `html`, `mail`, `pdf`.
//!
//! # Invariants
//! Any bytes under any name give a [`Document`] with text in it or an [`ExtractError`].

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::document::{Document, Format};
use crate::limits::{DOCUMENT_BYTES_MAX, FORMAT_PROBE_BYTES, TEXT_BYTES_MAX};

mod flow;
mod html;
mod mail;
mod markdown;
mod pdf;
mod plain;

/// Why there is no text of a document.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExtractError {
    /// There is nothing in it.
    #[error("the document is empty (0 bytes): was it written to its end?")]
    Empty,
    /// It is larger than what is read.
    #[error("the document has {bytes} bytes, more than {max}: split it into smaller ones")]
    TooLarge {
        /// how large it is
        bytes: u64,
        /// the limit
        max: u64,
    },
    /// Its text is longer than what one result may hold.
    #[error("the text of the {} has more than {max} bytes: split the document into smaller ones", format.name())]
    TooMuchText {
        /// what it is
        format: Format,
        /// the limit
        max: usize,
    },
    /// It begins like text and is not.
    #[error("byte {offset} is {byte:#04x}, so this is binary data and no {}: convert it to a format that is read (plain text, Markdown, HTML, mail, PDF)", format.name())]
    Binary {
        /// what its name or its content promised
        format: Format,
        /// where the first such byte is, from 0
        offset: usize,
        /// that byte
        byte: u8,
    },
    /// It is neither UTF-8 nor a text of Western Europe without UTF-8 in it.
    #[error("byte {offset} ({byte:#04x}) is not UTF-8: repair the {}, or save it as UTF-8", format.name())]
    InvalidUtf8 {
        /// what it is
        format: Format,
        /// where the first wrong byte is, from 0
        offset: usize,
        /// that byte
        byte: u8,
    },
    /// A mail whose structure is broken.
    #[error("the mail is broken: {what}")]
    BrokenMail {
        /// what is wrong with it, and where
        what: String,
    },
    /// A file that is called PDF and is none.
    #[error(
        "the file is called PDF but has no `%PDF-` in its first {FORMAT_PROBE_BYTES} bytes: it is no PDF"
    )]
    NotPdf,
    /// A PDF that only a password opens.
    #[error("the PDF is encrypted: save it without a password")]
    EncryptedPdf,
    /// A PDF whose structure is broken.
    #[error("the PDF is broken: {what}")]
    BrokenPdf {
        /// what is wrong with it
        what: String,
    },
    /// There is something in it, but nothing to read.
    #[error("the {} has no text{}", format.name(), if matches!(format, Format::Pdf) { ": if it holds scanned pages, recognise their text first" } else { "" })]
    NoText {
        /// what it is
        format: Format,
    },
    /// A defect of the reader, caught.
    #[error("the reader of {} failed on this document ({what}): this is a defect of the reader, please report it", format.name())]
    Defect {
        /// what it was read as
        format: Format,
        /// what the reader said
        what: String,
    },
}

/// Takes the text out of a document; its format is told by its content and its name.
///
/// # Errors
/// When the document is empty, over a limit, broken, encrypted, binary or without text.
///
/// # Examples
/// ```
/// let page = b"<title>Tea</title><p>Green &amp; black.<script>no()</script><p>Hot.";
/// let document = synod_documents::extract("tea.html", page)?;
/// assert_eq!(document.title.as_deref(), Some("Tea"));
/// assert_eq!(document.text, "Green & black.\n\nHot.");
///
/// let error = synod_documents::extract("tea.pdf", b"no pdf").unwrap_err();
/// assert!(error.to_string().contains("it is no PDF"));
/// # Ok::<(), synod_documents::ExtractError>(())
/// ```
pub fn extract(name: &str, bytes: &[u8]) -> Result<Document, ExtractError> {
    admit(bytes.len() as u64)?;
    let format = format(name, bytes)?;
    let read = || match format {
        Format::Plain => plain::read(bytes),
        Format::Markdown => markdown::read(bytes),
        Format::Html => html::read(bytes),
        Format::Mail => mail::read(bytes),
        Format::Pdf => pdf::read(bytes),
    };
    // the libraries behind the formats promise not to panic; one broken document must not end the others if one does
    let document = catch_unwind(AssertUnwindSafe(read)).unwrap_or_else(|payload| {
        let text = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
        let text = text.or_else(|| payload.downcast_ref::<String>().cloned());
        Err(ExtractError::Defect { format, what: text.unwrap_or_default() })
    })?;
    if document.text.len() > TEXT_BYTES_MAX {
        return Err(ExtractError::TooMuchText { format, max: TEXT_BYTES_MAX });
    }
    if document.text.trim().is_empty() {
        return Err(ExtractError::NoText { format });
    }
    Ok(document)
}

/// Tells from the size of a document whether it may be read at all, so that nobody reads 200 MB in vain.
///
/// # Errors
/// When it is empty or larger than [`DOCUMENT_BYTES_MAX`].
pub fn admit(bytes: u64) -> Result<(), ExtractError> {
    match bytes {
        0 => Err(ExtractError::Empty),
        bytes if bytes > DOCUMENT_BYTES_MAX => {
            Err(ExtractError::TooLarge { bytes, max: DOCUMENT_BYTES_MAX })
        }
        _ => Ok(()),
    }
}

/// Tells the format of a document: a PDF by its content, others by the ending of the name, else by the content.
///
/// # Errors
/// When the document is called PDF and is none.
pub fn format(name: &str, bytes: &[u8]) -> Result<Format, ExtractError> {
    let start = bytes.get(..FORMAT_PROBE_BYTES).unwrap_or(bytes);
    if start.windows(5).any(|window| window == b"%PDF-") && is_pdf_name_or_start(name, start) {
        return Ok(Format::Pdf);
    }
    match ending(name).as_str() {
        "pdf" => Err(ExtractError::NotPdf),
        "txt" | "text" | "log" | "rst" | "csv" => Ok(Format::Plain),
        "md" | "markdown" | "mdown" | "mkd" => Ok(Format::Markdown),
        "html" | "htm" | "xhtml" => Ok(Format::Html),
        "eml" | "mail" => Ok(Format::Mail),
        _ if looks_like_html(start) => Ok(Format::Html),
        _ if looks_like_mail(start) => Ok(Format::Mail),
        _ => Ok(Format::Plain),
    }
}

/// A text may speak of PDF: so the mark counts at the very start, or anywhere in what is called PDF or nothing known.
fn is_pdf_name_or_start(name: &str, start: &[u8]) -> bool {
    let text = ["txt", "text", "log", "rst", "csv", "md", "markdown", "html", "htm", "eml"];
    start.starts_with(b"%PDF-") || !text.contains(&ending(name).as_str())
}

/// Returns the ending of a file's name in small letters.
fn ending(name: &str) -> String {
    let name = name.rsplit(['/', '\\']).next().unwrap_or(name);
    name.rsplit_once('.').map(|(_, ending)| ending.to_ascii_lowercase()).unwrap_or_default()
}

fn looks_like_html(start: &[u8]) -> bool {
    let start = String::from_utf8_lossy(start).to_ascii_lowercase();
    let start = start.trim_start_matches(['\u{feff}', ' ', '\t', '\r', '\n']);
    ["<!doctype html", "<html", "<head", "<body"].iter().any(|mark| start.starts_with(mark))
}

/// A mail begins with headers, two of which are of those that hardly anything else has.
fn looks_like_mail(start: &[u8]) -> bool {
    const HEADERS: [&str; 9] = [
        "from",
        "to",
        "subject",
        "date",
        "received",
        "return-path",
        "message-id",
        "mime-version",
        "delivered-to",
    ];
    let start = String::from_utf8_lossy(start);
    let lines = start.lines().take_while(|line| !line.is_empty());
    let mut known = 0;
    for line in lines.filter(|line| !line.starts_with([' ', '\t'])) {
        let Some((name, _)) = line.split_once(':') else { return known >= 3 };
        if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_graphic()) {
            return false;
        }
        known += usize::from(HEADERS.contains(&name.to_ascii_lowercase().as_str()));
    }
    known >= 2
}

#[cfg(test)]
mod tests;

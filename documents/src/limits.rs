//! The limits of work on documents, each with its unit.

/// Bytes of one document that are read; check a file's size with [`crate::extract::admit`] before reading it.
pub const DOCUMENT_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// Bytes of the text that is taken out of one document: it has to fit into one frame with room for its analysis.
pub const TEXT_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Bytes of a title or of one value of the metadata; more is cut off.
pub const METADATA_BYTES_MAX: usize = 4 * 1024;
/// Notes of one document.
pub const NOTES_MAX: usize = 16;
/// Bytes at the start of a document in which its format shows.
pub const FORMAT_PROBE_BYTES: usize = 1024;

/// Bytes of the name of an HTML entity.
pub const HTML_ENTITY_BYTES_MAX: usize = 32;

/// Mentions of `Content-Type` in a mail, which bounds its parts and how deep they nest.
pub const MAIL_PARTS_MAX: usize = 1_000;
/// Parts of a mail times its bytes: the library looks for the end of every part up to the end of the mail.
pub const MAIL_SEARCH_BYTES_MAX: usize = 4 * 1024 * 1024 * 1024;
/// Attached messages inside attached messages that are read.
pub const MAIL_NESTING_MAX: usize = 8;

/// Objects of one PDF.
pub const PDF_OBJECTS_MAX: usize = 1_000_000;
/// Levels of arrays and dictionaries in one PDF object.
pub const PDF_NESTING_MAX: usize = 64;
/// References that lead from one object to the next until its value.
pub const PDF_REFERENCES_MAX: usize = 32;
/// Bytes of one string in a PDF.
pub const PDF_STRING_BYTES_MAX: usize = 1024 * 1024;
/// Bytes that all streams of one PDF may unpack to.
pub const PDF_UNPACKED_BYTES_MAX: usize = 128 * 1024 * 1024;
/// Bytes that a stream counts for at least, however short: a page may name the same one any number of times.
pub const PDF_STREAM_BYTES_MIN: usize = 64;
/// Fonts of one PDF.
pub const PDF_FONTS_MAX: usize = 2_000;
/// Pages of one PDF.
pub const PDF_PAGES_MAX: usize = 20_000;
/// Operators of all pages of one PDF that are carried out.
pub const PDF_OPERATORS_MAX: usize = 20_000_000;
/// Operands before one operator of a page.
pub const PDF_OPERANDS_MAX: usize = 64;
/// Saved states of graphics on one page.
pub const PDF_STATES_MAX: usize = 256;
/// Forms inside forms on one page.
pub const PDF_FORMS_DEPTH_MAX: usize = 8;
/// Entries of the table that gives one font's characters.
pub const PDF_FONT_ENTRIES_MAX: usize = 200_000;

/// Bytes at the start of a text from which its language is told.
pub const LANGUAGE_BYTES_MAX: usize = 64 * 1024;
/// Words of one keyword.
pub const KEYWORD_WORDS_MAX: usize = 5;
/// Keywords of one text.
pub const KEYWORDS_MAX: usize = 25;
/// Entities of one text that are listed; the rest is counted.
pub const ENTITIES_MAX: usize = 10_000;
/// Sentences of one text that are compared for its summary: comparing takes the square of them.
pub const RANKED_SENTENCES_MAX: usize = 2_000;
/// Bytes of a sentence; what is longer is data and not compared.
pub const SENTENCE_BYTES_MAX: usize = 4 * 1024;
/// Rounds of the power method.
pub const LEXRANK_ROUNDS_MAX: usize = 1_000;

const _: () = assert!(TEXT_BYTES_MAX as u64 <= DOCUMENT_BYTES_MAX);
const _: () = assert!(METADATA_BYTES_MAX < TEXT_BYTES_MAX);
const _: () = assert!(PDF_STRING_BYTES_MAX < PDF_UNPACKED_BYTES_MAX);

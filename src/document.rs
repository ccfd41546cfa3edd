//! The work of the stages of a document pipeline: a file's text, its analysis, its summary, as functions for agents.
//!
//! Run files call them `document.extract`, `document.analyse` and `document.summarise`; `examples/document_pipeline.rs` makes
//! agents and stages of them in Rust; what they know of documents is in the crate [`documents`].
//!
//! # Invariants
//! - A file that is larger than what is read is refused before it is read.

use std::{fs::File, io::Read, path::Path};

use actors::agent::Part;

use documents::{Analysis, Document, ExtractError, Summary, summarise::Options};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;

/// A document whose text was taken out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Extracted {
    /// The file.
    pub path: String,
    /// What it says.
    pub document: Document,
}

/// A document that was analysed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Analysed {
    /// The file.
    pub path: String,
    /// What it says.
    pub document: Document,
    /// What was found out about it.
    pub analysis: Analysis,
    /// What a transform has added; null if none has.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub metadata: Value,
}

/// A document that was summarised; its text is left out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Summarised {
    /// The file.
    pub path: String,
    /// What it calls itself, if it does.
    pub title: Option<String>,
    /// What was found out about it.
    pub analysis: Analysis,
    /// The sentences that say most.
    pub summary: Summary,
    /// What a transform had added to its analysis; null if none had.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub metadata: Value,
}

/// The names of the built-in agents that do stages.
pub fn names() -> [&'static str; 3] {
    ["document.extract", "document.analyse", "document.summarise"]
}

/// What a built-in agent does with a part whose data is a document; none for a name that no agent has. It blocks, and computes.
pub fn work(name: &str) -> Option<fn(Part) -> Result<Value, String>> {
    match name {
        "document.extract" => Some(extract_part),
        "document.analyse" => Some(|part| given(&analyse(taken("document.extract", part.data)?))),
        "document.summarise" => {
            Some(|part| given(&summarise(taken("document.analyse", part.data)?)))
        }
        _ => None,
    }
}

/// Takes the text out of the one file of a part.
fn extract_part(part: Part) -> Result<Value, String> {
    let name = part.files.into_iter().next().ok_or("there is no file to read")?;
    let path = part.root.join(&name);
    given(&Extracted { path: name, ..extract(&path.to_string_lossy())? })
}

fn taken<T: DeserializeOwned>(from: &str, document: Value) -> Result<T, String> {
    let taken = serde_json::from_value(document);
    taken.map_err(|error| format!("the document is not what `{from}` makes: {error}"))
}

fn given(output: &impl Serialize) -> Result<Value, String> {
    serde_json::to_value(output).map_err(|error| format!("no JSON: {error}"))
}

/// Takes the text out of a file: plain text, Markdown, HTML, mail or PDF. Blocks on the file.
///
/// # Errors
/// Why the file cannot be read, or there is no text of it; with its path.
pub fn extract(path: &str) -> Result<Extracted, String> {
    let limit = documents::limits::DOCUMENT_BYTES_MAX;
    let failed = |what: &str, error: &dyn std::fmt::Display| format!("{what} {path}: {error}");
    let file = File::open(path).map_err(|error| failed("open", &error))?;
    let bytes = file.metadata().map_err(|error| failed("look at", &error))?.len();
    if bytes > limit {
        return Err(failed("read", &ExtractError::TooLarge { bytes, max: limit }));
    }
    let mut content = Vec::new();
    // One byte more than allowed, should it grow meanwhile.
    file.take(limit + 1).read_to_end(&mut content).map_err(|error| failed("read", &error))?;
    let name = Path::new(path).file_name().unwrap_or_default().to_string_lossy();
    let document = documents::extract(&name, &content).map_err(|error| failed("read", &error))?;
    Ok(Extracted { path: path.to_owned(), document })
}

/// Finds out what a document is about.
pub fn analyse(extracted: Extracted) -> Analysed {
    let Extracted { path, document } = extracted;
    let analysis = documents::analyse(&document.text);
    Analysed { path, document, analysis, metadata: Value::Null }
}

/// Chooses the sentences that say most of a document, in the language that its analysis found.
pub fn summarise(analysed: Analysed) -> Summarised {
    let Analysed { path, document, analysis, metadata } = analysed;
    let language = analysis.language.as_ref().map(|language| language.code.clone());
    let summary = documents::summarise(&document.text, &Options { language, ..Options::default() });
    Summarised { path, title: document.title, analysis, summary, metadata }
}

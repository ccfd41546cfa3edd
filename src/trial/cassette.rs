//! Cassettes: answers of real programs, recorded once and played back in tests.
//!
//! A JSON file that people can read and compare. An answer is found by its agent, by the digest of what the agent was given (the
//! files of the part with their contents, its kind and what the split said of it) and by the number of the call with that
//! request; further calls than were recorded get the last answer again, since a fault may repeat a call at any time.
//!
//! # Invariants
//! - The folder that was looked at is written `{root}`, so that a cassette is the same wherever it was recorded.
//! - What is larger than the limits, of another version, or has an unknown key is refused.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use actors::agent::{AgentError, Part};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    digest::Digest,
    limits::{CASSETTE_ANSWERS_MAX, CASSETTE_BYTES_MAX},
};

/// The version of the format.
const VERSION: u32 = 1;

/// What stands for the folder that was looked at.
const ROOT: &str = "{root}";

/// Recorded answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cassette {
    /// The version of the format.
    cassette: u32,
    /// The answers of each agent, in the order of their requests; an agent that was never called has none.
    agents: BTreeMap<String, Vec<Answer>>,
}

/// One recorded answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Answer {
    /// The digest of the request.
    request: String,
    /// The number of the call with that request, from 1.
    call: u64,
    /// The files of the request, for people.
    files: Vec<String>,
    /// How the call ended.
    said: Said,
}

/// How a call ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Said {
    /// With what the program printed, as its `reads` reads it.
    Answer(Value),
    /// Without an answer.
    Error(AgentError),
    /// Not at all: the test has cancelled its run before.
    Silent,
}

/// Why a cassette cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum CassetteError {
    /// The file system says no.
    #[error("cassette {} (`synod test --record` makes it)", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is larger than allowed.
    #[error("cassette {}: {what}; use several, or fewer files", path.display())]
    TooLarge {
        /// Which.
        path: PathBuf,
        /// What is over which limit.
        what: String,
    },
    /// It is no cassette.
    #[error("cassette {}: {why}; record it anew by `synod test --record`", path.display())]
    Format {
        /// Which.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
}

impl Default for Cassette {
    fn default() -> Self {
        Self { cassette: VERSION, agents: BTreeMap::new() }
    }
}

impl Cassette {
    /// Reads a cassette.
    ///
    /// # Errors
    /// [`CassetteError`] when there is none, or it is none.
    pub fn read(path: &Path) -> Result<Self, CassetteError> {
        let in_file = |source| CassetteError::Io { path: path.to_owned(), source };
        let bytes = fs::metadata(path).map_err(in_file)?.len();
        if bytes > CASSETTE_BYTES_MAX as u64 {
            return Err(too_large(path, format!("{bytes} of {CASSETTE_BYTES_MAX} bytes")));
        }
        let wrong = |why: String| CassetteError::Format { path: path.to_owned(), why };
        let text = fs::read_to_string(path).map_err(in_file)?;
        let cassette: Self =
            serde_json::from_str(&text).map_err(|error| wrong(error.to_string()))?;
        if cassette.cassette != VERSION {
            let found = cassette.cassette;
            return Err(wrong(format!("it has version {found}, this program reads {VERSION}")));
        }
        cassette.fits(path)?;
        Ok(cassette)
    }

    /// Writes the cassette, whole or not at all.
    ///
    /// # Errors
    /// [`CassetteError`] when it is too large or cannot be written.
    pub fn write(&self, path: &Path) -> Result<(), CassetteError> {
        self.fits(path)?;
        let wrong = |error: serde_json::Error| CassetteError::Format {
            path: path.to_owned(),
            why: error.to_string(),
        };
        let text = serde_json::to_string_pretty(self).map_err(wrong)? + "\n";
        if text.len() > CASSETTE_BYTES_MAX {
            let what = format!("{} of {CASSETTE_BYTES_MAX} bytes", text.len());
            return Err(too_large(path, what));
        }
        let beside = path.with_extension("json.new");
        fs::write(&beside, text)
            .and_then(|()| fs::rename(&beside, path))
            .map_err(|source| CassetteError::Io { path: path.to_owned(), source })
    }

    /// Whether it was recorded with this agent.
    pub fn has(&self, agent: &str) -> bool {
        self.agents.contains_key(agent)
    }

    /// How many answers it has.
    pub fn len(&self) -> usize {
        self.agents.values().map(Vec::len).sum()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The answer of `agent` to a request that came so often `before`, for a test in the folder `root`.
    pub fn answer(&self, agent: &str, request: &str, before: u64, root: &Path) -> Option<Said> {
        let of = self.agents.get(agent)?.iter().filter(|answer| answer.request == request);
        let last = of.clone().max_by_key(|answer| answer.call)?;
        let answer = of.clone().find(|answer| answer.call == before + 1).unwrap_or(last);
        Some(answer.said.replaced(ROOT, &root.display().to_string()))
    }

    /// Takes part in it, even if it is never called.
    pub(super) fn enter(&mut self, agent: &str) {
        self.agents.entry(agent.to_owned()).or_default();
    }

    /// Takes the answer of `agent` to a part.
    pub(super) fn record(&mut self, agent: &str, part: &Part, said: &Said) {
        let request = request(part);
        let answers = self.agents.entry(agent.to_owned()).or_default();
        let calls = answers.iter().filter(|answer| answer.request == request).count();
        let said = said.replaced(&part.root.display().to_string(), ROOT);
        let files = part.files.clone();
        answers.push(Answer { request, call: calls as u64 + 1, files, said });
    }

    /// Adds what another one has and this one does not know; all answers are then in order.
    pub fn add(&mut self, other: Self) {
        for (agent, answers) in other.agents {
            let known = self.agents.entry(agent).or_default();
            for answer in answers {
                let same =
                    |one: &Answer| (&one.request, one.call) == (&answer.request, answer.call);
                if !known.iter().any(same) {
                    known.push(answer);
                }
            }
            known.sort_by(|a, b| {
                (&a.files, &a.request, a.call).cmp(&(&b.files, &b.request, b.call))
            });
        }
    }

    fn fits(&self, path: &Path) -> Result<(), CassetteError> {
        if self.len() > CASSETTE_ANSWERS_MAX {
            let what = format!("{} of {CASSETTE_ANSWERS_MAX} answers", self.len());
            return Err(too_large(path, what));
        }
        Ok(())
    }
}

fn too_large(path: &Path, what: String) -> CassetteError {
    CassetteError::TooLarge { path: path.to_owned(), what }
}

impl Said {
    /// The same with each `from` as `to`, in all texts.
    fn replaced(&self, from: &str, to: &str) -> Self {
        match self {
            Self::Answer(value) => Self::Answer(replaced(value, from, to)),
            Self::Silent => Self::Silent,
            Self::Error(error) => {
                // An error is texts with a name: what it is does not change.
                let whole = serde_json::to_value(error).map(|error| replaced(&error, from, to));
                let error =
                    whole.and_then(serde_json::from_value).unwrap_or_else(|_| error.clone());
                Self::Error(error)
            }
        }
    }
}

fn replaced(value: &Value, from: &str, to: &str) -> Value {
    match value {
        Value::String(text) => text.replace(from, to).into(),
        Value::Array(values) => values.iter().map(|value| replaced(value, from, to)).collect(),
        Value::Object(entries) => entries
            .iter()
            .map(|(key, value)| (key.replace(from, to), replaced(value, from, to)))
            .collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
    }
}

/// The digest of what an agent is given.
pub(super) fn request(part: &Part) -> String {
    let mut hash = Digest::default();
    hash.take(part.kind.as_bytes());
    hash.take(part.data.to_string().as_bytes());
    for file in &part.files {
        hash.take(file.as_bytes());
        match fs::read(part.root.join(file)) {
            Ok(bytes) => hash.take(&bytes),
            Err(error) => hash.take(error.kind().to_string().as_bytes()),
        }
    }
    hash.to_string()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn part(root: &Path) -> Part {
        Part { files: vec!["a.py".to_owned()], root: root.to_owned(), ..Part::default() }
    }

    #[test]
    fn an_answer_is_found_by_agent_request_and_call_wherever_the_folder_is() {
        let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        for folder in [&first, &second] {
            fs::write(folder.path().join("a.py"), "x = 1\n").unwrap();
        }
        let mut cassette = Cassette::default();
        let error = AgentError::Lost { reason: "gone".to_owned() };
        let found = |root: &Path| Said::Answer(json!([format!("{}/a.py:1: x", root.display())]));
        cassette.record("lint", &part(first.path()), &Said::Error(error.clone()));
        cassette.record("lint", &part(first.path()), &found(first.path()));
        let path = second.path().join("c.json");
        cassette.write(&path).unwrap();
        let cassette = Cassette::read(&path).unwrap();

        let asked = request(&part(second.path()));
        let answer = |agent, before| cassette.answer(agent, &asked, before, second.path());
        assert_eq!(answer("lint", 0), Some(Said::Error(error)));
        assert_eq!(answer("lint", 1), Some(found(second.path())));
        assert_eq!(answer("lint", 7), Some(found(second.path())), "the last is for further calls");
        assert_eq!(answer("other", 0), None);
        fs::write(second.path().join("a.py"), "x = 2\n").unwrap();
        assert_ne!(request(&part(second.path())), asked, "another text is another request");
    }

    #[test]
    fn what_is_no_cassette_is_refused_with_its_path_and_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("c.json");
        for (text, says) in [
            ("{", "EOF"),
            (r#"{"cassette": 2, "agents": {}}"#, "it has version 2"),
            (r#"{"cassette": 1, "agents": {}, "more": 1}"#, "unknown field `more`"),
        ] {
            fs::write(&path, text).unwrap();
            let error = Cassette::read(&path).unwrap_err().to_string();
            assert!(error.contains(says) && error.contains("c.json"), "{error}");
            assert!(error.contains("synod test --record"), "{error}");
        }
    }
}

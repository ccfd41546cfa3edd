//! Which files are reviewed: those below a path, or those that changed between two commits.
//!
//! The root package calls [`list`] once a run, on a thread that may block, and splits the files that it names.
//!
//! # Invariants
//! - Files are sorted by path, and paths are relative to [`Source::root`], with `/`.
//! - What is not listed is in [`Source::skipped`] with its reason, but for what `.gitignore` hides and version control's own folders.
//! - A file over a limit, a link and a device are never opened.

mod diff;
mod facts;
mod git;
mod imports;
mod walk;

use std::io::Read;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tempfile::TempDir;

pub use self::git::GitError;
use crate::finding::Finding;
use crate::limits::{BINARY_PROBE_BYTES, FILE_BYTES_MAX, FILES_MAX, SOURCE_BYTES_MAX};
use crate::{Skipped, SourceFile, report, text};

/// What to review.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// A folder or one file.
    pub path: PathBuf,
    /// Two revisions, as `A..B` or `A...B`: only what B changed is reviewed. Needs `git` and a folder in a repository.
    pub diff: Option<String>,
}

/// The files of a review.
#[derive(Debug)]
pub struct Source {
    /// The folder that all paths are relative to; in a diff a temporary one, which goes with this value.
    pub root: PathBuf,
    /// The folder that was asked for; in a diff the one in the repository.
    pub origin: PathBuf,
    /// The files, sorted by path.
    pub files: Vec<FileFact>,
    /// What was left out, and why.
    pub skipped: Vec<Skipped>,
    /// The commits of a diff.
    pub commits: Option<Commits>,
    /// Holds the files of a diff.
    files_of_diff: Option<TempDir>,
}

impl Source {
    /// In a diff, writes the other files of the commit beside the changed ones, for programs that need them; else nothing.
    ///
    /// What is over a limit, a link or a submodule is left out and named in [`skipped`](Self::skipped). Blocks on `git` and the file system.
    ///
    /// # Errors
    /// [`SourceError::Git`] and [`SourceError::Materialise`].
    pub fn check_out(&mut self) -> Result<(), SourceError> {
        diff::check_out(self, diff::Bounds::DEFAULT)
    }
}

/// The two commits of a diff.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Commits {
    /// Full id of the commit before.
    pub from: String,
    /// Full id of the commit whose files are reviewed.
    pub to: String,
}

/// What is known of a file before it is reviewed; enough to split by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileFact {
    /// Path relative to the root, with `/`.
    pub path: String,
    /// Size in bytes.
    pub bytes: u64,
    /// Language or kind of text.
    pub kind: String,
    /// Branches in the text, counted by words: an estimate of the work.
    pub complexity: u64,
    /// Positions in [`Source::files`] of the files that this one names, sorted, best effort.
    pub depends_on: Vec<usize>,
    /// Whether only tests, examples, benchmarks or the build use it.
    pub test: bool,
    /// In a diff, the first and last lines of each changed range; `None` if all lines count.
    pub changed: Option<Vec<(u32, u32)>>,
}

/// Why a source cannot be listed.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// Nothing is there, or it may not be read.
    #[error("cannot review {}: give the path of a folder or a file that exists and may be read", path.display())]
    Missing {
        /// The path that was asked for.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// Neither a file nor a folder.
    #[error("cannot review {}: it is neither a file nor a folder", path.display())]
    Special {
        /// The path that was asked for.
        path: PathBuf,
    },
    /// Over the limit of files.
    #[error("{} holds more than {FILES_MAX} files: review a folder of it, or name what to leave out in .gitignore", path.display())]
    TooMany {
        /// The path that was asked for.
        path: PathBuf,
    },
    /// Over the limit of bytes.
    #[error("{} holds more than {SOURCE_BYTES_MAX} bytes: review a folder of it, or name what to leave out in .gitignore", path.display())]
    TooLarge {
        /// The path that was asked for.
        path: PathBuf,
    },
    /// Not two revisions.
    #[error("`{range}` is not a range of two revisions: {problem}; write it as main..HEAD")]
    Range {
        /// What was asked for.
        range: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// A revision that the repository does not know.
    #[error("the repository of {} knows no commit `{revision}`: `git log --oneline` lists what it knows", path.display())]
    Revision {
        /// The path that was asked for.
        path: PathBuf,
        /// The unknown revision.
        revision: String,
    },
    /// A diff outside any repository.
    #[error("{} is not in a git repository: a diff needs one; leave `diff` out to review all files", path.display())]
    NoRepository {
        /// The path that was asked for.
        path: PathBuf,
    },
    /// A git command that failed.
    #[error("cannot read the diff from git")]
    Git(#[source] GitError),
    /// The folder for the files of a diff could not be written.
    #[error("cannot write the files of the diff to {}", path.display())]
    Materialise {
        /// What could not be written.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
}

/// Lists the files to review, on all cores. Blocks on the file system, and on `git` for a diff.
///
/// # Errors
/// Says which path, revision or command is wrong, and what to do instead.
pub fn list(options: &Options) -> Result<Source, SourceError> {
    list_on(options, std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN))
}

/// Lists the files to review as [`list`] does, on this many threads.
///
/// # Errors
/// As [`list`].
pub fn list_on(options: &Options, threads: NonZeroUsize) -> Result<Source, SourceError> {
    match &options.diff {
        None => walk::list(&options.path, threads),
        Some(range) => diff::list(&options.path, range),
    }
}

/// Whether a finding touches a changed line; without ranges every line counts.
pub fn in_diff(finding: &Finding, changed: Option<&[(u32, u32)]>) -> bool {
    let (first, last) = (finding.line, finding.end_line.max(finding.line));
    changed.is_none_or(|ranges| ranges.iter().any(|(from, to)| first <= *to && *from <= last))
}

/// Reads a file of a source, as [`list`] would.
///
/// # Errors
/// Says why the file is not reviewed: unreadable, too large, binary, a report of ours, or no plain file.
pub fn read(root: &Path, path: &str) -> Result<Vec<u8>, String> {
    let full = root.join(path);
    let metadata = full.symlink_metadata().map_err(|error| format!("cannot be read: {error}"))?;
    if metadata.file_type().is_symlink() {
        return Err("is a symbolic link".to_owned());
    }
    if !metadata.is_file() {
        return Err("is not a plain file".to_owned());
    }
    if metadata.len() > FILE_BYTES_MAX {
        return Err(too_large(metadata.len()));
    }
    let mut bytes = Vec::with_capacity(usize::try_from(metadata.len()).unwrap_or(0));
    let file = std::fs::File::open(&full).map_err(|error| format!("cannot be read: {error}"))?;
    file.take(FILE_BYTES_MAX + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| format!("cannot be read: {error}"))?;
    match reason_to_skip(&bytes) {
        None => Ok(bytes),
        Some(reason) => Err(reason),
    }
}

/// Why bytes are not reviewed.
fn reason_to_skip(bytes: &[u8]) -> Option<String> {
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Some(too_large(bytes.len() as u64));
    }
    if report::is_own(bytes) {
        return Some("is a report by synod".to_owned());
    }
    let probe = bytes.get(..BINARY_PROBE_BYTES).unwrap_or(bytes);
    probe.contains(&0).then(|| "is binary: it holds a NUL byte".to_owned())
}

fn too_large(bytes: u64) -> String {
    format!("has {bytes} bytes; the limit is {FILE_BYTES_MAX}")
}

/// A file as it is known from its own content.
struct Measured {
    fact: FileFact,
    imports: Vec<imports::Import>,
}

impl Measured {
    fn new(path: String, bytes: &[u8], changed: Option<Vec<(u32, u32)>>) -> Self {
        let text = text::decode(bytes);
        let kind = text::language(&path);
        let fact = FileFact {
            bytes: bytes.len() as u64,
            kind: kind.to_owned(),
            complexity: facts::complexity(kind, &text),
            depends_on: Vec::new(),
            test: text::is_test(&path),
            changed,
            path,
        };
        let imports = imports::of(&fact.path, kind, &text);
        Self { fact, imports }
    }
}

/// Gathers files and skips under the limits of a source, then sorts and links them.
struct Gather<'a> {
    path: &'a Path,
    files: Vec<(FileFact, Vec<imports::Import>)>,
    skipped: Vec<Skipped>,
    bytes: u64,
}

impl FileFact {
    /// The file with its content, as reviewers take it.
    pub fn source<'a>(&'a self, bytes: &'a [u8]) -> SourceFile<'a> {
        SourceFile { path: &self.path, bytes, test: self.test }
    }
}

impl<'a> Gather<'a> {
    fn new(path: &'a Path) -> Self {
        Self { path, files: Vec::new(), skipped: Vec::new(), bytes: 0 }
    }

    fn skip(
        &mut self,
        file: impl Into<String>,
        reason: impl Into<String>,
    ) -> Result<(), SourceError> {
        self.skipped.push(Skipped { file: file.into(), reason: reason.into() });
        self.check()
    }

    fn add(&mut self, file: Measured) -> Result<(), SourceError> {
        self.bytes += file.fact.bytes;
        self.files.push((file.fact, file.imports));
        self.check()
    }

    fn check(&self) -> Result<(), SourceError> {
        if self.files.len() + self.skipped.len() > FILES_MAX {
            return Err(SourceError::TooMany { path: self.path.to_owned() });
        }
        if self.bytes > SOURCE_BYTES_MAX {
            return Err(SourceError::TooLarge { path: self.path.to_owned() });
        }
        Ok(())
    }

    fn finish(mut self, root: PathBuf) -> Source {
        self.files.sort_by(|(a, _), (b, _)| a.path.cmp(&b.path));
        self.skipped.sort();
        let (mut files, imports): (Vec<_>, Vec<_>) = self.files.into_iter().unzip();
        imports::link(&mut files, &imports);
        let origin = root.clone();
        Source { root, origin, files, skipped: self.skipped, commits: None, files_of_diff: None }
    }
}

#[cfg(test)]
mod tests;

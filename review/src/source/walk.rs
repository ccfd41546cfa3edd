//! The files below a folder, as `.gitignore` lets them be seen, and those that git tracks in spite of it.
//!
//! Hidden files are files like others. Hidden folders are, too, within a git repository, whose `.gitignore` says what is not the
//! user's own; outside of one they are caches and environments, and left out.

use std::collections::BTreeSet;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use ignore::{DirEntry, WalkBuilder};

use super::git::{self, GitError};
use super::{Gather, Measured, Source, SourceError, read};
use crate::limits::{DIRECTORY_DEPTH_MAX, SOURCE_BYTES_MAX};

/// Where version control keeps what is its own.
const VERSION_CONTROL: &[&str] = &[".git", ".hg", ".jj", ".svn"];

/// Lists a folder or one file.
pub(super) fn list(path: &Path, threads: NonZeroUsize) -> Result<Source, SourceError> {
    let missing = |source| SourceError::Missing { path: path.to_owned(), source };
    let root = path.canonicalize().map_err(missing)?;
    let metadata = root.metadata().map_err(missing)?;
    if metadata.is_dir() {
        std::fs::read_dir(&root).map_err(missing)?;
        return folder(path, &root, threads);
    }
    match (metadata.is_file(), root.parent(), root.file_name().map(|name| name.to_string_lossy())) {
        (true, Some(parent), Some(name)) => {
            let mut gather = Gather::new(path);
            take(&mut gather, measured(parent, name.into_owned()))?;
            Ok(gather.finish(parent.to_owned()))
        }
        _ => Err(SourceError::Special { path: path.to_owned() }),
    }
}

fn folder(path: &Path, root: &Path, threads: NonZeroUsize) -> Result<Source, SourceError> {
    let mut gather = Gather::new(path);
    let mut files = Vec::new();
    let hidden = Arc::<Mutex<Vec<PathBuf>>>::default();
    let walk = WalkBuilder::new(root)
        .hidden(false)
        .git_global(false)
        .require_git(false)
        .follow_links(false)
        .max_depth(Some(DIRECTORY_DEPTH_MAX))
        .filter_entry({
            let hidden = Arc::clone(&hidden);
            move |entry| {
                let leave_out = is_hidden_folder_outside_git(entry);
                if leave_out {
                    let hidden = &mut *hidden.lock().unwrap_or_else(PoisonError::into_inner);
                    hidden.push(entry.path().to_owned());
                }
                is_visible(entry) && !leave_out
            }
        })
        .build();
    for entry in walk {
        match entry {
            Ok(entry) => files.extend(visit(&mut gather, root, &entry)?),
            Err(error) => gather.skip(place_of(&error, root), error_text(&error))?,
        }
    }
    for folder in &*hidden.lock().unwrap_or_else(PoisonError::into_inner) {
        let relative = folder.strip_prefix(root).unwrap_or(folder);
        gather.skip(
            shown(relative),
            "is a hidden folder outside of git; name it to have it reviewed",
        )?;
    }
    match tracked_though_ignored(root) {
        Ok(tracked) => {
            let known: BTreeSet<String> = files.iter().cloned().collect();
            files.extend(tracked.into_iter().filter(|path| !known.contains(path)));
        }
        Err(error) => gather.skip(
            ".",
            format!("files that are tracked in spite of .gitignore are not known: {error}"),
        )?,
    }
    for file in all_measured(root, files, threads) {
        take(&mut gather, file)?;
    }
    Ok(gather.finish(root.to_owned()))
}

/// The files below a folder that `.gitignore` names but git tracks; none outside a repository.
fn tracked_though_ignored(root: &Path) -> Result<Vec<String>, GitError> {
    if !is_in_git(root) {
        return Ok(Vec::new());
    }
    let arguments = ["ls-files", "-z", "--cached", "--ignored", "--exclude-standard"];
    let listed = git::run(root, &arguments, &[])?;
    let paths = listed.split(|byte| *byte == 0).filter(|path| !path.is_empty());
    let paths = paths.filter_map(|path| std::str::from_utf8(path).ok());
    Ok(paths.filter(|path| is_below(root, path)).map(str::to_owned).collect())
}

/// Tells whether a path is there, is no folder and is reached through no link out of the root.
fn is_below(root: &Path, path: &str) -> bool {
    let full = root.join(path);
    let parent = full.parent().and_then(|parent| parent.canonicalize().ok());
    parent.is_some_and(|parent| parent.starts_with(root))
        && full.symlink_metadata().is_ok_and(|metadata| !metadata.is_dir())
}

/// What is to be read of an entry; what is not is skipped with its reason.
fn visit(
    gather: &mut Gather<'_>,
    root: &Path,
    entry: &DirEntry,
) -> Result<Option<String>, SourceError> {
    let relative = entry.path().strip_prefix(root).unwrap_or(entry.path());
    if let Some(error) = entry.error() {
        gather.skip(shown(relative), format!("its ignore rules are read in part: {error}"))?;
    }
    if entry.file_type().is_some_and(|kind| kind.is_dir()) {
        let deepest = entry.depth() == DIRECTORY_DEPTH_MAX;
        if deepest {
            gather.skip(
                shown(relative),
                format!("is {DIRECTORY_DEPTH_MAX} folders deep; what is below is not read"),
            )?;
        }
        return Ok(None);
    }
    let path = path_text(relative);
    if path.is_none() {
        gather.skip(shown(relative), "its name is not valid UTF-8")?;
    }
    Ok(path)
}

/// A file, or its path and why it is skipped.
type Read = Result<Measured, (String, String)>;

/// Reads the files on some threads, each taking the next; ends early once they are too large together.
fn all_measured(root: &Path, files: Vec<String>, threads: NonZeroUsize) -> Vec<Read> {
    let (next, bytes) = (Mutex::new(files.into_iter()), AtomicU64::new(0));
    let work = || {
        let mut done = Vec::new();
        while bytes.load(Ordering::Relaxed) <= SOURCE_BYTES_MAX
            && let Some(path) = next.lock().unwrap_or_else(PoisonError::into_inner).next()
        {
            let file = measured(root, path);
            if let Ok(file) = &file {
                bytes.fetch_add(file.fact.bytes, Ordering::Relaxed);
            }
            done.push(file);
        }
        done
    };
    std::thread::scope(|scope| {
        let others: Vec<_> = (1..threads.get()).map(|_| scope.spawn(work)).collect();
        let mut all = work();
        for other in others {
            match other.join() {
                Ok(done) => all.extend(done),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        all
    })
}

fn measured(root: &Path, path: String) -> Read {
    match read(root, &path) {
        Ok(bytes) => Ok(Measured::new(path, &bytes, None)),
        Err(reason) => Err((path, reason)),
    }
}

fn take(gather: &mut Gather<'_>, file: Read) -> Result<(), SourceError> {
    match file {
        Ok(file) => gather.add(file),
        Err((path, reason)) => gather.skip(path, reason),
    }
}

fn is_visible(entry: &DirEntry) -> bool {
    entry.depth() == 0 || !VERSION_CONTROL.iter().any(|own| entry.file_name() == *own)
}

/// Tells whether a folder is hidden, as `.venv`, and no git repository says that it belongs to the code.
fn is_hidden_folder_outside_git(entry: &DirEntry) -> bool {
    let is_hidden = entry.file_name().as_encoded_bytes().starts_with(b".");
    let is_folder = entry.file_type().is_some_and(|kind| kind.is_dir());
    entry.depth() > 0 && is_hidden && is_folder && is_visible(entry) && !is_in_git(entry.path())
}

fn is_in_git(path: &Path) -> bool {
    path.ancestors().any(|folder| folder.join(".git").exists())
}

/// A relative path with `/`, if it is valid UTF-8.
fn path_text(path: &Path) -> Option<String> {
    let parts: Option<Vec<&str>> =
        path.components().map(|part| part.as_os_str().to_str()).collect();
    parts.map(|parts| parts.join("/"))
}

fn shown(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

/// The path that an error of the walk is about.
fn place_of(error: &ignore::Error, root: &Path) -> String {
    if let ignore::Error::WithPath { path, .. } = error {
        return shown(path.strip_prefix(root).unwrap_or(path));
    }
    if let ignore::Error::WithDepth { err, .. } | ignore::Error::WithLineNumber { err, .. } = error
    {
        return place_of(err, root);
    }
    ".".to_owned()
}

fn error_text(error: &ignore::Error) -> String {
    error.io_error().map_or_else(|| error.to_string(), |error| format!("cannot be read: {error}"))
}

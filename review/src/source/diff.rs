//! The files that changed between two commits, as they are in the second, with their changed lines.

use std::collections::BTreeSet;
use std::path::{Component, Path};

use super::git::{self, GitError};
use super::{Commits, Gather, Measured, Source, SourceError, reason_to_skip, too_large};
use crate::Skipped;
use crate::limits::{CHECKOUT_BYTES_MAX, FILE_BYTES_MAX, FILES_MAX, REVISION_BYTES_MAX};

/// Bytes of files that are asked of one `git` command.
const BATCH_BYTES_MAX: u64 = 32 * 1024 * 1024;

/// Lists the files of `A..B` below a folder of a repository.
pub(super) fn list(path: &Path, range: &str) -> Result<Source, SourceError> {
    let missing = |source| SourceError::Missing { path: path.to_owned(), source };
    let whole = path.canonicalize().map_err(missing)?;
    let (folder, only) = match (whole.is_dir(), whole.parent(), whole.file_name()) {
        (false, Some(parent), Some(name)) => (parent.to_owned(), Some(name.as_encoded_bytes())),
        _ => (whole.clone(), None),
    };
    let commits = resolve(path, &folder, range)?;
    let mut changes = changes(&folder, &commits).map_err(SourceError::Git)?;
    changes.retain(|change| only.is_none_or(|name| change.path == name));
    let mut gather = Gather::new(path);
    let files = keep_plain(&mut gather, &folder, &mut changes)?;
    let temporary = tempfile::Builder::new()
        .prefix("review-")
        .tempdir()
        .map_err(|source| SourceError::Materialise { path: std::env::temp_dir(), source })?;
    let prefix =
        git::run(&folder, &["rev-parse", "--show-prefix"], &[]).map_err(SourceError::Git)?;
    let root = temporary.path().join(String::from_utf8_lossy(&prefix).trim_end_matches('\n'));
    std::fs::create_dir_all(&root)
        .map_err(|source| SourceError::Materialise { path: root.clone(), source })?;
    for batch in batches(files) {
        materialise(&mut gather, &folder, &root, batch)?;
    }
    let source = gather.finish(root);
    Ok(Source { origin: folder, commits: Some(commits), files_of_diff: Some(temporary), ..source })
}

/// How much of a commit is written for programs.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    pub(super) files: usize,
    pub(super) bytes: u64,
    /// Of one file.
    pub(super) file_bytes: u64,
}

impl Bounds {
    pub(super) const DEFAULT: Self =
        Self { files: FILES_MAX, bytes: CHECKOUT_BYTES_MAX, file_bytes: BATCH_BYTES_MAX };
}

/// Writes all plain files of the second commit, so that programs find what they need besides the changed files.
///
/// Links are left out, since they may lead anywhere, and submodules, since they are other repositories; both are named.
pub(super) fn check_out(source: &mut Source, bounds: Bounds) -> Result<(), SourceError> {
    let (Some(commits), Some(temporary)) = (&source.commits, &source.files_of_diff) else {
        return Ok(());
    };
    let arguments = ["ls-tree", "-r", "-z", "-l", "--full-tree", &commits.to];
    let listing = git::run(&source.origin, &arguments, &[]).map_err(SourceError::Git)?;
    let prefix = source.root.strip_prefix(temporary.path()).unwrap_or(Path::new(""));
    let mut left_out = Vec::new();
    let mut leave_out = |path: &str, why: &str| {
        let reason = format!("{why}: programs do not see it");
        left_out.push(Skipped { file: relative(path, prefix), reason });
    };
    let mut files = Vec::new();
    for entry in parse_tree(&listing) {
        match entry {
            Ok(file) if file.bytes > bounds.file_bytes => {
                leave_out(&file.path, &format!("has {} bytes", file.bytes));
            }
            Ok(file) => files.push(file),
            Err((path, why)) => leave_out(&path, why),
        }
    }
    let bytes: u64 = files.iter().map(|file| file.bytes).sum();
    if files.len() > bounds.files || bytes > bounds.bytes {
        let reason = format!(
            "the commit has {} files of {bytes} bytes, over the limit of {} files and {} bytes: programs see only those that changed",
            files.len(),
            bounds.files,
            bounds.bytes
        );
        left_out = vec![Skipped { file: ".".to_owned(), reason }];
        files.clear();
    }
    for batch in batches(files) {
        let output = contents(&source.origin, &batch)?;
        let mut rest = output.as_slice();
        for file in batch {
            write(temporary.path(), &file, next_content(&mut rest, &file)?)?;
        }
    }
    let known: BTreeSet<String> = source.skipped.iter().map(|skip| skip.file.clone()).collect();
    source.skipped.extend(left_out.into_iter().filter(|skip| !known.contains(&skip.file)));
    source.skipped.sort();
    Ok(())
}

/// Reads `mode SP type SP blob SP size TAB path NUL`, again and again; says of what is no plain file that leads nowhere else why.
fn parse_tree(listing: &[u8]) -> impl Iterator<Item = Result<Plain, (String, &'static str)>> {
    listing.split(|byte| *byte == 0).filter(|entry| !entry.is_empty()).map(|entry| {
        let text = String::from_utf8_lossy(entry);
        let (facts, path) = text.split_once('\t').unwrap_or(("", &text));
        let mut words = facts.split_ascii_whitespace();
        let (mode, blob, size) = (words.next(), words.nth(1), words.next());
        let reason = match mode {
            Some("120000") => Some("is a symbolic link"),
            Some("160000") => Some("is a submodule"),
            _ if std::str::from_utf8(entry).is_err() => Some("its name is not valid UTF-8"),
            _ if !is_inside(path) => Some("its path leads out of the repository"),
            _ => None,
        };
        match (reason, blob, size.and_then(|size| size.parse().ok())) {
            (None, Some(blob), Some(bytes)) => Ok(Plain {
                path: path.to_owned(),
                blob: blob.to_owned(),
                bytes,
                executable: mode == Some("100755"),
                lines: Vec::new(),
            }),
            (reason, _, _) => Err((path.to_owned(), reason.unwrap_or("git does not say its size"))),
        }
    })
}

/// A path of the repository as seen from a folder in it.
fn relative(path: &str, folder: &Path) -> String {
    match Path::new(path).strip_prefix(folder) {
        Ok(below) => below.to_string_lossy().into_owned(),
        Err(_) => "../".repeat(folder.components().count()) + path,
    }
}

/// Finds the two commits that a range names.
fn resolve(path: &Path, folder: &Path, range: &str) -> Result<Commits, SourceError> {
    let (from, to, merge_base) = split(range)?;
    git::run(folder, &["rev-parse", "--show-toplevel"], &[]).map_err(|error| {
        let outside = matches!(&error, GitError::Failed { message, .. } if message.contains("not a git repository"));
        if outside {
            SourceError::NoRepository { path: path.to_owned() }
        } else {
            SourceError::Git(error)
        }
    })?;
    let commit = |revision: &str| {
        let wanted = format!("{revision}^{{commit}}");
        let found = git::run(
            folder,
            &["rev-parse", "--verify", "--quiet", "--end-of-options", &wanted],
            &[],
        );
        match found {
            Ok(id) => Ok(String::from_utf8_lossy(&id).trim().to_owned()),
            Err(GitError::Failed { .. }) => {
                Err(SourceError::Revision { path: path.to_owned(), revision: revision.to_owned() })
            }
            Err(other) => Err(SourceError::Git(other)),
        }
    };
    let (from, to) = (commit(from)?, commit(to)?);
    if !merge_base {
        return Ok(Commits { from, to });
    }
    let base = git::run(folder, &["merge-base", &from, &to], &[]).map_err(SourceError::Git)?;
    Ok(Commits { from: String::from_utf8_lossy(&base).trim().to_owned(), to })
}

/// Splits `A..B` or `A...B`; an empty side is `HEAD`, as for git.
fn split(range: &str) -> Result<(&str, &str, bool), SourceError> {
    let wrong = |problem| SourceError::Range { range: range.chars().take(80).collect(), problem };
    if range.len() > REVISION_BYTES_MAX {
        return Err(wrong("it is too long"));
    }
    if range.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return Err(wrong("it holds a space or a control character"));
    }
    let (from, to) = range.split_once("..").ok_or_else(|| wrong("it has no `..`"))?;
    let (to, merge_base) = to.strip_prefix('.').map_or((to, false), |to| (to, true));
    if to.contains("..") {
        return Err(wrong("it has more than one `..`"));
    }
    if from.starts_with('-') || to.starts_with('-') {
        return Err(wrong("a revision starts with `-`"));
    }
    let head = |revision: &'static str, given| if str::is_empty(given) { revision } else { given };
    Ok((head("HEAD", from), head("HEAD", to), merge_base))
}

/// A file that was added, modified or renamed, or that was something else before.
#[derive(Debug)]
struct Change {
    path: Vec<u8>,
    mode: String,
    blob: String,
    /// Patches that git prints for it: two, if it was something else before.
    patches: usize,
    lines: Vec<(u32, u32)>,
}

/// A plain file to write, with its size.
struct Plain {
    path: String,
    blob: String,
    bytes: u64,
    executable: bool,
    lines: Vec<(u32, u32)>,
}

fn changes(folder: &Path, commits: &Commits) -> Result<Vec<Change>, GitError> {
    let options =
        ["--relative", "-M", "--diff-filter=AMTR", "--no-ext-diff", "--no-textconv", "--no-color"];
    let diff = |how: &[&str]| {
        let arguments: Vec<&str> = ["diff"]
            .iter()
            .chain(&options)
            .chain(how)
            .chain(&[commits.from.as_str(), commits.to.as_str(), "--"])
            .copied()
            .collect();
        git::run(folder, &arguments, &[])
    };
    let mut changes = parse_raw(&diff(&["--raw", "-z", "--no-abbrev"])?)?;
    // the patch names the same files in the same order, so that no quoted path has to be read
    let mut sections = parse_patch(&diff(&["--patch", "--unified=0", "--submodule=short"])?);
    let expected: usize = changes.iter().map(|change| change.patches).sum();
    if sections.len() != expected {
        let what = format!("{} patches where {expected} belong", sections.len());
        return Err(GitError::Garbled { command: "diff", what });
    }
    let mut sections = sections.drain(..);
    for change in &mut changes {
        // of two, the first removes what was there before
        change.lines = sections.by_ref().take(change.patches).last().unwrap_or_default();
    }
    Ok(changes)
}

/// Reads `:old-mode new-mode old-blob new-blob status NUL path NUL`, again and again; a rename has the old path before.
fn parse_raw(output: &[u8]) -> Result<Vec<Change>, GitError> {
    let mut fields = output.split(|byte| *byte == 0).filter(|field| !field.is_empty());
    let mut changes = Vec::new();
    while let Some(fact) = fields.next() {
        let text = String::from_utf8_lossy(fact);
        let mut words = text.split(' ');
        let garbled =
            || GitError::Garbled { command: "diff", what: text.chars().take(200).collect() };
        let (Some(mode), Some(blob), Some(status)) = (words.nth(1), words.nth(1), words.next())
        else {
            return Err(garbled());
        };
        let renamed = usize::from(status.starts_with('R'));
        let path = fields.nth(renamed).ok_or_else(garbled)?;
        changes.push(Change {
            path: path.to_owned(),
            mode: mode.to_owned(),
            blob: blob.to_owned(),
            patches: if status == "T" { 2 } else { 1 },
            lines: Vec::new(),
        });
    }
    Ok(changes)
}

/// The added ranges of each file of a patch; lines of a file's text always start with `+`, `-` or `\`.
fn parse_patch(output: &[u8]) -> Vec<Vec<(u32, u32)>> {
    let mut sections: Vec<Vec<(u32, u32)>> = Vec::new();
    for line in output.split(|byte| *byte == b'\n') {
        if line.starts_with(b"diff --git ") {
            sections.push(Vec::new());
        } else if let (true, Some(section)) = (line.starts_with(b"@@ "), sections.last_mut()) {
            section.extend(added(&String::from_utf8_lossy(line)));
        }
    }
    sections
}

/// Reads the `+first,count` of `@@ -a,b +first,count @@`; a hunk that only deletes adds nothing.
fn added(hunk: &str) -> Option<(u32, u32)> {
    let added = hunk.split(' ').find_map(|word| word.strip_prefix('+'))?;
    let (first, count) = added.split_once(',').unwrap_or((added, "1"));
    let (first, count): (u32, u32) = (first.parse().ok()?, count.parse().ok()?);
    (count > 0).then(|| (first, first.saturating_add(count - 1)))
}

/// Leaves out, with the reason, what is no plain text file of a size that is reviewed.
fn keep_plain(
    gather: &mut Gather<'_>,
    folder: &Path,
    changes: &mut Vec<Change>,
) -> Result<Vec<Plain>, SourceError> {
    let mut plain = Vec::new();
    for change in changes.drain(..) {
        let shown = String::from_utf8_lossy(&change.path).into_owned();
        let reason = match change.mode.as_str() {
            "120000" => Some("is a symbolic link"),
            "160000" => Some("is a submodule"),
            _ if std::str::from_utf8(&change.path).is_err() => Some("its name is not valid UTF-8"),
            _ if !is_inside(&shown) => Some("its path leads out of the repository"),
            _ => None,
        };
        match reason {
            Some(reason) => gather.skip(shown, reason)?,
            None => {
                let executable = change.mode == "100755";
                let (blob, lines) = (change.blob, change.lines);
                plain.push(Plain { path: shown, blob, bytes: 0, executable, lines });
            }
        }
    }
    let wanted: String = plain.iter().map(|file| format!("{}\n", file.blob)).collect();
    let sizes = git::run(folder, &["cat-file", "--batch-check=%(objectsize)"], wanted.as_bytes())
        .map_err(SourceError::Git)?;
    let sizes = String::from_utf8_lossy(&sizes);
    let mut sizes = sizes.lines();
    let mut kept = Vec::new();
    for mut file in plain {
        match sizes.next().and_then(|size| size.parse().ok()) {
            Some(bytes) if bytes > FILE_BYTES_MAX => gather.skip(file.path, too_large(bytes))?,
            Some(bytes) => {
                file.bytes = bytes;
                kept.push(file);
            }
            None => gather.skip(file.path, "its content is not in the repository")?,
        }
    }
    Ok(kept)
}

fn is_inside(path: &str) -> bool {
    let mut parts = Path::new(path).components();
    parts.all(|part| matches!(part, Component::Normal(name) if !name.eq_ignore_ascii_case(".git")))
}

/// Groups files so that one command prints a bounded number of bytes.
fn batches(files: Vec<Plain>) -> Vec<Vec<Plain>> {
    let mut batches: Vec<Vec<Plain>> = Vec::new();
    let mut room = 0_u64;
    for file in files {
        match batches.last_mut() {
            Some(batch) if file.bytes <= room => {
                room -= file.bytes;
                batch.push(file);
            }
            _ => {
                room = BATCH_BYTES_MAX.saturating_sub(file.bytes);
                batches.push(vec![file]);
            }
        }
    }
    batches
}

/// Reads some files out of the repository and writes them below a folder.
fn materialise(
    gather: &mut Gather<'_>,
    folder: &Path,
    root: &Path,
    batch: Vec<Plain>,
) -> Result<(), SourceError> {
    let output = contents(folder, &batch)?;
    let mut rest = output.as_slice();
    for file in batch {
        let bytes = next_content(&mut rest, &file)?;
        if let Some(reason) = reason_to_skip(bytes) {
            gather.skip(file.path, reason)?;
            continue;
        }
        write(root, &file, bytes)?;
        gather.add(Measured::new(file.path, bytes, Some(file.lines)))?;
    }
    Ok(())
}

/// The contents of some files, one after the other.
fn contents(folder: &Path, batch: &[Plain]) -> Result<Vec<u8>, SourceError> {
    let wanted: String = batch.iter().map(|file| format!("{}\n", file.blob)).collect();
    git::run(folder, &["cat-file", "--batch=%(objectsize)"], wanted.as_bytes())
        .map_err(SourceError::Git)
}

fn next_content<'a>(rest: &mut &'a [u8], file: &Plain) -> Result<&'a [u8], SourceError> {
    next_object(rest).ok_or_else(|| {
        let what = format!("no content of {}", file.path);
        SourceError::Git(GitError::Garbled { command: "cat-file", what })
    })
}

fn write(root: &Path, file: &Plain, bytes: &[u8]) -> Result<(), SourceError> {
    let path = root.join(&file.path);
    let written = path
        .parent()
        .map_or(Ok(()), std::fs::create_dir_all)
        .and_then(|()| std::fs::write(&path, bytes))
        .and_then(|()| if file.executable { make_executable(&path) } else { Ok(()) });
    written.map_err(|source| SourceError::Materialise { path, source })
}

#[cfg(unix)]
fn make_executable(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755))
}

#[cfg(not(unix))]
fn make_executable(_: &Path) -> std::io::Result<()> {
    Ok(())
}

/// Takes `size LF content LF` off the front.
fn next_object<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let end = rest.iter().position(|byte| *byte == b'\n')?;
    let size: usize = std::str::from_utf8(rest.get(..end)?).ok()?.parse().ok()?;
    let content = rest.get(end + 1..end + 1 + size)?;
    *rest = rest.get(end + 2 + size..)?;
    Some(content)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_two_revisions_that_are_no_options() {
        assert_eq!(split("a..b").unwrap(), ("a", "b", false));
        assert_eq!(split("a...b").unwrap(), ("a", "b", true));
        assert_eq!(split("a..").unwrap(), ("a", "HEAD", false));
        for range in [
            "a",
            "--output=/tmp/x..b",
            "a..-b",
            "a..b..c",
            "a b..c",
            "a..b\n",
            &"a".repeat(REVISION_BYTES_MAX + 1),
        ] {
            assert!(matches!(split(range), Err(SourceError::Range { .. })), "{range}");
        }
    }

    #[test]
    fn hunks_give_the_lines_that_they_add() {
        assert_eq!(added("@@ -1,2 +3,4 @@ fn a() +9"), Some((3, 6)));
        assert_eq!(added("@@ -1 +3 @@"), Some((3, 3)));
        assert_eq!(added("@@ -1,2 +3,0 @@"), None);
        let patch = b"diff --git a/x b/x\n@@ -1 +1 @@\n-diff --git\n+@@ -5 +5 @@\n@@ -9,0 +10,2 @@\ndiff --git a/y b/y\nBinary files differ\n";
        assert_eq!(parse_patch(patch), [vec![(1, 1), (10, 11)], vec![]]);
    }

    #[test]
    fn a_path_out_of_the_repository_is_refused() {
        assert!(is_inside("a/b.rs"));
        for path in ["../a", "/a", "a/../../b", ".git/config", "a/.GIT/config"] {
            assert!(!is_inside(path), "{path}");
        }
    }
}

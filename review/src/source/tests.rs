//! Listing real folders and repositories.

use std::process::Command;

use super::*;
use crate::limits::FILE_BYTES_MAX;

fn tree(files: &[(&str, &[u8])]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (path, bytes) in files {
        let path = folder.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }
    folder
}

fn listed(path: &Path, diff: Option<&str>) -> Result<Source, SourceError> {
    list(&Options { path: path.to_owned(), diff: diff.map(str::to_owned) })
}

fn paths(source: &Source) -> Vec<&str> {
    source.files.iter().map(|file| file.path.as_str()).collect()
}

fn skipped(source: &Source) -> Vec<(&str, &str)> {
    source.skipped.iter().map(|skip| (skip.file.as_str(), skip.reason.as_str())).collect()
}

#[test]
fn files_are_listed_in_order_without_what_is_ignored() {
    let folder = tree(&[
        (".gitignore", b"out/\n*.log\n"),
        ("b.rs", b"if a {}"),
        ("a/c.py", b"import d"),
        ("out/x.rs", b""),
        ("e.log", b""),
        (".hg/store.py", b""),
        (".env", b"A=b"),
    ]);
    let source = listed(folder.path(), None).unwrap();
    assert_eq!(paths(&source), [".env", ".gitignore", "a/c.py", "b.rs"]);
    assert_eq!(source.skipped, []);
    assert_eq!(
        (source.files[3].kind.as_str(), source.files[3].bytes, source.files[3].complexity),
        ("rust", 7, 2)
    );
    assert!(source.files.iter().all(|file| file.changed.is_none()));
}

#[test]
fn hidden_folders_are_left_out_by_name_outside_of_git_until_they_are_asked_for() {
    let folder = tree(&[
        ("a.rs", b""),
        (".env", b"A=b"),
        (".venv/lib/b.py", b""),
        ("c/.cache/d.json", b""),
        ("repository/.github/ci.yml", b""),
    ]);
    git(&folder.path().join("repository"), &["init", "-q"]);
    let source = listed(folder.path(), None).unwrap();
    assert_eq!(paths(&source), [".env", "a.rs", "repository/.github/ci.yml"]);
    let reason = "is a hidden folder outside of git; name it to have it reviewed";
    assert_eq!(skipped(&source), [(".venv", reason), ("c/.cache", reason)]);
    assert_eq!(paths(&listed(&folder.path().join(".venv"), None).unwrap()), ["lib/b.py"]);
    git(folder.path(), &["init", "-q"]);
    let source = listed(folder.path(), None).unwrap();
    assert!(paths(&source).contains(&".venv/lib/b.py"), "git does not ignore it: {source:?}");
}

#[test]
fn a_folder_that_git_ignores_is_reviewed_when_it_is_asked_for() {
    let folder =
        tree(&[(".gitignore", b"/target\n"), ("target/cache/p/src/a.rs", b""), ("b.rs", b"")]);
    assert_eq!(paths(&listed(folder.path(), None).unwrap()), [".gitignore", "b.rs"]);
    assert_eq!(paths(&listed(&folder.path().join("target/cache/p"), None).unwrap()), ["src/a.rs"]);
}

#[test]
fn what_git_tracks_is_reviewed_though_it_is_ignored_or_hidden() {
    let folder = tree(&[
        (".gitignore", b"out/\n"),
        (".github/workflows/ci.yml", b"on: push\n"),
        ("out/kept.rs", b"fn a() {}"),
        ("out/gone.rs", b"fn a() {}"),
    ]);
    git(folder.path(), &["init", "-q"]);
    git(folder.path(), &["add", "-f", "."]);
    std::fs::write(folder.path().join("out/new.rs"), "").unwrap();
    std::fs::remove_file(folder.path().join("out/gone.rs")).unwrap();
    let source = listed(folder.path(), None).unwrap();
    assert_eq!(paths(&source), [".github/workflows/ci.yml", ".gitignore", "out/kept.rs"]);
    assert_eq!(skipped(&source), []);
    assert_eq!(paths(&listed(&folder.path().join("out"), None).unwrap()), ["kept.rs", "new.rs"]);
}

#[test]
fn one_file_is_a_source_too() {
    let folder = tree(&[("a.rs", b"fn a() {}"), ("b.rs", b"")]);
    let source = listed(&folder.path().join("a.rs"), None).unwrap();
    assert_eq!(paths(&source), ["a.rs"]);
    assert_eq!(read(&source.root, "a.rs").unwrap(), b"fn a() {}");
}

#[test]
fn what_cannot_be_reviewed_is_skipped_with_its_reason() {
    let folder = tree(&[("binary", b"\x7fELF\0\0"), ("text", b"ok")]);
    let large = std::fs::File::create(folder.path().join("large")).unwrap();
    // a hole: costs nothing on disk, and must cost nothing to skip
    large.set_len(200 * 1024 * 1024).unwrap();
    std::os::unix::fs::symlink("text", folder.path().join("link")).unwrap();
    use std::os::unix::ffi::OsStrExt;
    std::fs::write(folder.path().join(std::ffi::OsStr::from_bytes(b"na\xffme")), b"x").unwrap();
    let source = listed(folder.path(), None).unwrap();
    assert_eq!(paths(&source), ["text"]);
    let large = format!("has 209715200 bytes; the limit is {FILE_BYTES_MAX}");
    assert_eq!(
        skipped(&source),
        [
            ("binary", "is binary: it holds a NUL byte"),
            ("large", large.as_str()),
            ("link", "is a symbolic link"),
            ("na\u{fffd}me", "its name is not valid UTF-8"),
        ]
    );
}

#[test]
fn a_missing_path_says_what_to_do() {
    let error = listed(Path::new("/no/such/path"), None).unwrap_err();
    assert!(matches!(error, SourceError::Missing { .. }));
    assert!(error.to_string().contains("/no/such/path"));
}

/// A repository with two commits: a.rs changed in line 2, b.rs added, c.rs removed, d.bin binary, l a link.
fn repository() -> TempDir {
    let folder =
        tree(&[("s/a.rs", b"one\ntwo\nthree\n"), ("c.rs", b"gone\n"), ("e.rs", b"same\n")]);
    git(folder.path(), &["init", "-q", "-b", "main"]);
    commit(folder.path(), "first");
    std::fs::write(folder.path().join("s/a.rs"), "one\nTWO\nthree\nfour\nfive\n").unwrap();
    std::fs::write(folder.path().join("b \"é.rs"), "new\n").unwrap();
    std::fs::write(folder.path().join("d.bin"), b"\0\0").unwrap();
    std::fs::remove_file(folder.path().join("c.rs")).unwrap();
    std::os::unix::fs::symlink("e.rs", folder.path().join("l")).unwrap();
    commit(folder.path(), "second");
    folder
}

fn commit(folder: &Path, message: &str) {
    git(folder, &["add", "-A"]);
    git(folder, &["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-q", "-m", message]);
}

fn git(folder: &Path, arguments: &[&str]) {
    assert!(Command::new("git").args(arguments).current_dir(folder).status().unwrap().success());
}

#[test]
fn a_diff_lists_changed_files_with_their_changed_lines() {
    let repository = repository();
    let source = listed(repository.path(), Some("HEAD~1..HEAD")).unwrap();
    assert_eq!(paths(&source), ["b \"é.rs", "s/a.rs"]);
    assert_eq!(source.files[0].changed, Some(vec![(1, 1)]));
    assert_eq!(source.files[1].changed, Some(vec![(2, 2), (4, 5)]));
    assert_eq!(
        skipped(&source),
        [("d.bin", "is binary: it holds a NUL byte"), ("l", "is a symbolic link")]
    );
    assert_eq!(source.commits.as_ref().unwrap().to.len(), 40);
    assert_eq!(read(&source.root, "s/a.rs").unwrap(), b"one\nTWO\nthree\nfour\nfive\n");
    let root = source.root.clone();
    drop(source);
    assert!(!root.exists(), "the files of a diff go with it");
}

#[test]
fn a_diff_of_a_folder_is_relative_to_it() {
    let repository = repository();
    let source = listed(&repository.path().join("s"), Some("HEAD~1...HEAD")).unwrap();
    assert_eq!(paths(&source), ["a.rs"]);
    assert!(listed(repository.path(), Some("HEAD..HEAD")).unwrap().files.is_empty());
}

#[test]
fn a_diff_of_one_file_is_that_file_alone() {
    let repository = repository();
    let source = listed(&repository.path().join("s/a.rs"), Some("HEAD~1..HEAD")).unwrap();
    assert_eq!(paths(&source), ["a.rs"]);
    assert_eq!(source.origin, repository.path().join("s").canonicalize().unwrap());
    assert!(
        listed(&repository.path().join("e.rs"), Some("HEAD~1..HEAD")).unwrap().files.is_empty()
    );
}

#[test]
fn a_diff_has_the_changed_lines_of_renamed_files_and_files_that_were_links() {
    let repository = repository();
    git(repository.path(), &["mv", "s/a.rs", "s/z.rs"]);
    std::fs::write(repository.path().join("s/z.rs"), "one\nTWO\nthree\nfour\nFIVE\n").unwrap();
    std::fs::remove_file(repository.path().join("l")).unwrap();
    std::fs::write(repository.path().join("l"), "plain\nnow\n").unwrap();
    std::fs::write(repository.path().join("e.rs"), "same\nmore\n").unwrap();
    commit(repository.path(), "third");
    let source = listed(repository.path(), Some("HEAD~1..HEAD")).unwrap();
    assert_eq!(paths(&source), ["e.rs", "l", "s/z.rs"]);
    let changed: Vec<_> = source.files.iter().map(|file| file.changed.clone().unwrap()).collect();
    assert_eq!(changed, [vec![(2, 2)], vec![(1, 2)], vec![(5, 5)]]);
}

#[test]
fn the_whole_commit_is_written_for_programs_below_and_above_the_folder() {
    let repository = repository();
    let mut source = listed(&repository.path().join("s"), Some("HEAD~1..HEAD")).unwrap();
    let above = source.root.parent().unwrap().to_owned();
    assert!(!above.join("e.rs").exists());
    source.check_out().unwrap();
    assert_eq!(std::fs::read(above.join("e.rs")).unwrap(), b"same\n");
    assert_eq!(std::fs::read(above.join("d.bin")).unwrap(), b"\0\0");
    assert!(!above.join("l").exists(), "a link may lead anywhere");
    let link = ("../l", "is a symbolic link: programs do not see it");
    assert_eq!((paths(&source), skipped(&source)), (vec!["a.rs"], vec![link]));
}

#[test]
fn what_is_not_written_of_a_commit_for_programs_is_named_once() {
    let repository = repository();
    let git = |arguments: &[&str]| git(repository.path(), arguments);
    let submodule = "160000,0123456789012345678901234567890123456789,sub";
    git(&["update-index", "--add", "--cacheinfo", submodule]);
    git(&["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-q", "-m", "a submodule"]);
    let mut source = listed(repository.path(), Some("HEAD~2..HEAD")).unwrap();
    source.check_out().unwrap();
    let reasons = [
        ("d.bin", "is binary: it holds a NUL byte"),
        ("l", "is a symbolic link"),
        ("sub", "is a submodule"),
    ];
    assert_eq!(skipped(&source), reasons, "they changed, and are named as such");
    let mut source = listed(repository.path(), Some("HEAD..HEAD")).unwrap();
    source.check_out().unwrap();
    let reasons = [
        ("l", "is a symbolic link: programs do not see it"),
        ("sub", "is a submodule: programs do not see it"),
    ];
    assert_eq!(skipped(&source), reasons);
}

#[test]
fn a_commit_over_a_limit_is_written_in_part_or_not_at_all_and_that_is_named() {
    let repository = repository();
    let checked_out = |bounds: diff::Bounds| {
        let mut source = listed(repository.path(), Some("HEAD~1..HEAD")).unwrap();
        let changed = source.skipped.len();
        diff::check_out(&mut source, bounds).unwrap();
        let reasons: Vec<String> = source.skipped.iter().map(|skip| skip.reason.clone()).collect();
        let written = source.root.join("e.rs").exists();
        (
            written,
            reasons.into_iter().find(|reason| reason.contains("see")),
            source.skipped.len() - changed,
        )
    };
    let all = diff::Bounds { files: 4, bytes: 35, file_bytes: 24 };
    assert_eq!(checked_out(all), (true, None, 0), "just within all bounds");
    let too_many = diff::Bounds { files: 3, ..all };
    let too_much = diff::Bounds { bytes: 34, ..all };
    for over in [too_many, too_much] {
        let (written, reason, more) = checked_out(over);
        let reason = reason.unwrap();
        assert!(
            reason.contains("4 files of 35 bytes") && reason.ends_with("only those that changed"),
            "{reason}"
        );
        assert_eq!((written, more), (false, 1));
    }
    let one_too_large = diff::Bounds { file_bytes: 4, ..all };
    let (written, reason, _) = checked_out(one_too_large);
    assert!(!written && reason.unwrap().contains("has 5 bytes: programs do not see it"));
}

#[test]
fn a_diff_shows_the_files_of_the_commit_not_of_the_folder() {
    let repository = repository();
    std::fs::write(repository.path().join("s/a.rs"), "edited\n").unwrap();
    let source = listed(repository.path(), Some("HEAD~1..HEAD")).unwrap();
    assert!(read(&source.root, "s/a.rs").unwrap().starts_with(b"one"));
}

#[test]
fn a_wrong_diff_says_what_is_wrong() {
    let repository = repository();
    let unknown = listed(repository.path(), Some("nowhere..HEAD")).unwrap_err();
    assert!(
        matches!(&unknown, SourceError::Revision { revision, .. } if revision == "nowhere"),
        "{unknown}"
    );
    let option = listed(repository.path(), Some("--output=x..HEAD")).unwrap_err();
    assert!(matches!(option, SourceError::Range { .. }), "{option}");
    let folder = tree(&[("a.rs", b"")]);
    let outside = listed(folder.path(), Some("a..b")).unwrap_err();
    assert!(matches!(outside, SourceError::NoRepository { .. }), "{outside}");
}

#[test]
fn a_finding_is_in_a_diff_if_it_touches_a_changed_line() {
    let finding = |line, end| Finding::new("a", line, "r", "m").span(1, end);
    let changed = [(5, 7), (9, 9)];
    assert!(in_diff(&finding(7, 7), Some(&changed)) && in_diff(&finding(1, 5), Some(&changed)));
    assert!(!in_diff(&finding(8, 8), Some(&changed)) && !in_diff(&finding(1, 1), Some(&[])));
    assert!(in_diff(&finding(8, 8), None));
}

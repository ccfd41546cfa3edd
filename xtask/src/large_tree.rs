//! A large real code base for tests and figures: released packages, side by side in one cached folder.
//!
//! The ordinary clients of the package registries fetch them at pinned versions, nothing of them is built or run.
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};

use crate::{shell, tools};

/// Python packages, as wheels.
const PYTHON: &[&str] = &["Django==5.2.8", "sympy==1.14.0"];
/// Rust packages, as their authors released them.
const RUST: &[(&str, &str)] =
    &[("tokio", "1.48.0"), ("nalgebra", "0.34.1"), ("cranelift-codegen", "0.125.4")];
/// Where each kind lies in the tree.
const PYTHON_FOLDER: &str = "python";
const RUST_FOLDER: &str = "rust";
/// The fewest source files that make a tree large.
const SOURCE_FILES_MIN: usize = 300;

/// Unpacks the packages once and returns the folder.
///
/// # Errors
/// When a package cannot be fetched or unpacked.
pub(crate) fn unpack(root: &Path) -> Result<PathBuf> {
    let cache = shell::target(root).join("cache");
    let (tree, stamp) = (cache.join("large-tree"), cache.join("large-tree.txt"));
    let wanted = format!("{PYTHON_FOLDER}: {PYTHON:?} {RUST_FOLDER}: {RUST:?}");
    if tree.is_dir() && fs::read_to_string(&stamp).is_ok_and(|found| found == wanted) {
        return Ok(tree);
    }
    fs::create_dir_all(&cache).with_context(|| format!("create {}", cache.display()))?;
    let work = tempfile::tempdir_in(&cache).context("make a folder to unpack in")?;
    let fresh = work.path().join("tree");
    let (python, rust) = (fresh.join(PYTHON_FOLDER), fresh.join(RUST_FOLDER));
    for folder in [&python, &rust] {
        fs::create_dir_all(folder).with_context(|| format!("create {}", folder.display()))?;
    }
    unpack_python(root, work.path(), &python)?;
    unpack_rust(work.path(), &rust)?;
    let count = sources(&fresh)?;
    ensure!(
        count >= SOURCE_FILES_MIN,
        "the tree has {count} source files, fewer than {SOURCE_FILES_MIN}"
    );
    if tree.exists() {
        fs::remove_dir_all(&tree).with_context(|| format!("remove {}", tree.display()))?;
    }
    fs::rename(&fresh, &tree).with_context(|| format!("move the tree to {}", tree.display()))?;
    fs::write(&stamp, wanted).with_context(|| format!("write {}", stamp.display()))?;
    Ok(tree)
}

fn unpack_python(root: &Path, work: &Path, tree: &Path) -> Result<()> {
    let wheels = work.join("wheels");
    let python = tools::environment(root, "fetch", "", tools::Brings::Nothing)?.join("bin/python3");
    let python = python.to_string_lossy();
    let fetch = format!(
        "{python} -m pip download --quiet --disable-pip-version-check --no-deps --only-binary :all: --dest"
    );
    shell::read(shell::command(work, &fetch).arg(&wheels).args(PYTHON))?;
    for wheel in entries(&wheels)? {
        let unzip = format!("{python} -m zipfile -e");
        shell::read(shell::command(work, &unzip).arg(&wheel).arg(tree))?;
    }
    Ok(())
}

fn unpack_rust(work: &Path, tree: &Path) -> Result<()> {
    let package = work.join("package");
    fs::create_dir_all(package.join("src")).context("create a package that names the crates")?;
    let mut manifest =
        "[package]\nname = \"large-tree\"\nedition = \"2024\"\n[workspace]\n[dependencies]\n"
            .to_owned();
    for (name, version) in RUST {
        manifest.push_str(&format!(
            "{name} = {{ version = \"={version}\", default-features = false }}\n"
        ));
    }
    fs::write(package.join("Cargo.toml"), manifest).context("write its manifest")?;
    fs::write(package.join("src/lib.rs"), "").context("write its library")?;
    shell::read(&mut shell::command(&package, "cargo vendor --quiet --versioned-dirs vendor"))?;
    for (name, version) in RUST {
        let folder = format!("{name}-{version}");
        fs::rename(package.join("vendor").join(&folder), tree.join(&folder))
            .with_context(|| format!("move crate {folder} into the tree"))?;
    }
    Ok(())
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    let list = fs::read_dir(folder).with_context(|| format!("list {}", folder.display()))?;
    let list = list.map(|entry| entry.map(|entry| entry.path()));
    list.collect::<Result<_, _>>().with_context(|| format!("list {}", folder.display()))
}

/// Counts the source files below a folder.
fn sources(folder: &Path) -> Result<usize> {
    let mut count = 0;
    for path in entries(folder)? {
        if path.is_dir() {
            count += sources(&path)?;
        } else if path
            .extension()
            .is_some_and(|ending| ["rs", "py", "js"].iter().any(|known| ending == *known))
        {
            count += 1;
        }
    }
    Ok(count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_source_files_are_counted_at_any_depth() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("deep")).unwrap();
        for name in ["a.rs", "deep/b.py", "deep/c.txt", "README"] {
            fs::write(dir.path().join(name), "").unwrap();
        }
        assert_eq!(sources(dir.path()).unwrap(), 2);
    }
}

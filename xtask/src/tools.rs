//! The tools that the tests need, installed by name where they are missing.
//!
//! Test runner, dependency checker and the Python packages of tests live in a virtual environment
//! under the build folder, at the versions of `xtask/tools.txt`, and are used by path.
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};

use crate::shell;

/// The pinned packages.
const PINNED: &str = include_str!("../tools.txt");

/// Where the tools are.
pub(crate) struct Tools {
    bin: PathBuf,
}

impl Tools {
    /// Installs what is missing and tells where it is.
    ///
    /// # Errors
    /// When a tool is missing and cannot be installed.
    pub(crate) fn install(root: &Path) -> Result<Self> {
        for (program, package) in
            [("git", "git"), ("python3", "python3"), ("cc", "gcc"), ("npm", "npm")]
        {
            if !shell::is_installed(&format!("{program} --version")) {
                install_from_debian(root, package)?;
            }
        }
        let home = environment(root, "tools", PINNED, Brings::Nothing)?;
        Ok(Self { bin: home.join("bin") })
    }

    /// Tells the path of a program.
    pub(crate) fn program(&self, name: &str) -> PathBuf {
        self.bin.join(name)
    }

    /// Prepares a command that runs tests: its `python3` finds their packages and writes nothing beside the sources.
    ///
    /// # Errors
    /// When a folder of the search path has a name that it cannot hold.
    pub(crate) fn prepare(&self, tests: &mut Command) -> Result<()> {
        let old = std::env::var_os("PATH").unwrap_or_default();
        let folders = std::iter::once(self.bin.clone()).chain(std::env::split_paths(&old));
        let path = std::env::join_paths(folders).context("extend the search path")?;
        tests.env("PATH", path).env("PYTHONDONTWRITEBYTECODE", "1").stdin(Stdio::null());
        Ok(())
    }
}

/// What pinned packages bring along.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Brings {
    /// Nothing: of a package that would bring more, that is not used.
    Nothing,
    /// All that they depend on.
    Dependencies,
}

/// Makes a Python environment with the pinned packages and what they bring, once for each state of the pins.
///
/// # Errors
/// When Python cannot make it or a package cannot be installed.
pub(crate) fn environment(
    root: &Path,
    name: &str,
    pinned: &str,
    brings: Brings,
) -> Result<PathBuf> {
    let home = shell::target(root).join("venv").join(name);
    let installed = home.join("installed.txt");
    if fs::read_to_string(&installed).is_ok_and(|text| text == pinned) {
        return Ok(home);
    }
    if home.exists() {
        fs::remove_dir_all(&home).with_context(|| format!("remove {}", home.display()))?;
    }
    fs::create_dir_all(&home).with_context(|| format!("create {}", home.display()))?;
    let make = |root: &Path| {
        let mut make = shell::command(root, "python3 -m venv");
        shell::read(make.arg(&home))
    };
    if make(root).is_err() {
        install_from_debian(root, "python3-venv")?;
        make(root)?;
    }
    let list = home.join("wanted.txt");
    fs::write(&list, pinned).with_context(|| format!("write {}", list.display()))?;
    let mut pip = shell::command(root, home.join("bin/pip").to_string_lossy().as_ref());
    pip.args(["install", "--quiet", "--disable-pip-version-check"]);
    if brings == Brings::Nothing {
        pip.arg("--no-deps");
    }
    pip.arg("--requirement").arg(&list);
    shell::read(&mut pip)?;
    fs::write(&installed, pinned).with_context(|| format!("write {}", installed.display()))?;
    Ok(home)
}

/// Installs a system package by name.
fn install_from_debian(root: &Path, package: &str) -> Result<()> {
    shell::complain(&format!("installing {package}"));
    ensure!(
        shell::is_installed("apt-get --version"),
        "{package} is missing and there is no apt-get: install it by hand"
    );
    shell::read(&mut shell::command(root, "apt-get update --quiet=2"))?;
    let mut install = shell::command(root, "apt-get install --yes --quiet=2");
    shell::read(install.arg(package).env("DEBIAN_FRONTEND", "noninteractive"))?;
    Ok(())
}

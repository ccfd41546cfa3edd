//! The folder that runs are kept in: one journal file a run, and beside it the socket of the process that runs it.
//!
//! # Invariants
//! - The folder of runs is its owner's alone (mode 0700), whatever the umask is.
//! - A run that did not end is never removed.
//! - A journal has its name only when the run's request is in it. Until then it has another, which no command looks at, and whoever
//!   makes it has the folder locked: what is found while nobody has it locked is what killed processes left behind.

use std::{
    fs::{self, DirBuilder, File, Permissions, TryLockError},
    io,
    os::unix::fs::{DirBuilderExt, PermissionsExt},
    path::{Path, PathBuf},
};

use protocol::RunId;

use super::{control, history};
use crate::limits::RUNS_KEPT;

/// Where runs are kept.
#[derive(Debug, Clone)]
pub struct Folder(PathBuf);

/// Why the folder or a run in it cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// Nothing says where it is.
    #[error("there is no place to keep runs: set SYNOD_DATA or HOME, or give --data")]
    Nowhere,
    /// It cannot be made, read or written.
    #[error("cannot use {}", path.display())]
    Io {
        /// The folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// No such run.
    #[error("there is no run `{text}` in {}; `synod runs` lists them", path.display())]
    Unknown {
        /// What was asked for.
        text: String,
        /// The folder.
        path: PathBuf,
    },
    /// Several runs.
    #[error("`{text}` is the beginning of {count} runs; write more of it")]
    Ambiguous {
        /// What was asked for.
        text: String,
        /// How many begin so.
        count: usize,
    },
}

impl Folder {
    /// Takes the folder that was chosen, or the one of the user; it is made if it is missing.
    ///
    /// # Errors
    /// [`FolderError::Nowhere`] without a home, [`FolderError::Io`] when it cannot be made.
    pub fn open(chosen: Option<&Path>) -> Result<Self, FolderError> {
        let Self(path) = Self::look(chosen)?;
        let open = || -> io::Result<PathBuf> {
            DirBuilder::new().recursive(true).mode(0o700).create(&path)?;
            fs::set_permissions(&path, Permissions::from_mode(0o700))?;
            path.canonicalize()
        };
        open().map(Self).map_err(|source| FolderError::Io { path, source })
    }

    /// Takes the same folder to look at the runs that are kept, if any are; nothing is made.
    ///
    /// # Errors
    /// [`FolderError::Nowhere`] without a home.
    pub fn look(chosen: Option<&Path>) -> Result<Self, FolderError> {
        let path = chosen.map(Path::to_owned).or_else(of_user).ok_or(FolderError::Nowhere)?;
        Ok(Self(path.join("runs")))
    }

    /// Gives the folder's path.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Gives the file of a run's journal.
    pub fn journal(&self, run: RunId) -> PathBuf {
        self.0.join(format!("{run}.redb"))
    }

    /// Gives the file in which a run's journal is made.
    pub fn unfinished(&self, run: RunId) -> PathBuf {
        self.0.join(format!("{run}.new"))
    }

    /// Keeps others from sweeping away what is being made for a run, until what it gives is dropped.
    ///
    /// Waits while another process sweeps, which takes a moment.
    ///
    /// # Errors
    /// [`FolderError::Io`] when the folder cannot be locked.
    pub fn begin(&self) -> Result<File, FolderError> {
        let lock = || -> io::Result<File> {
            let folder = File::open(&self.0)?;
            folder.lock_shared()?;
            Ok(folder)
        };
        lock().map_err(|source| FolderError::Io { path: self.0.clone(), source })
    }

    /// Gives a run's journal its name, durably, once the run's request is durable in it.
    ///
    /// # Errors
    /// [`FolderError::Io`] when it cannot be renamed.
    pub fn finish(&self, run: RunId) -> Result<(), FolderError> {
        let rename = || -> io::Result<()> {
            fs::rename(self.unfinished(run), self.journal(run))?;
            File::open(&self.0)?.sync_all()
        };
        rename().map_err(|source| FolderError::Io { path: self.0.clone(), source })
    }

    /// Removes what killed processes left behind: journals without a request, and sockets that nobody serves.
    ///
    /// Does nothing while another process begins a run; the next sweep comes soon enough.
    pub fn sweep(&self) {
        let sweep = || -> io::Result<()> {
            let folder = File::open(&self.0)?;
            match folder.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Ok(()),
                Err(TryLockError::Error(error)) => return Err(error),
            }
            for entry in fs::read_dir(&self.0)? {
                let path = entry?.path();
                if is_left_behind(&path) {
                    remove(&path);
                }
            }
            Ok(())
        };
        if let Err(error) = sweep() {
            tracing::debug!(path = %self.0.display(), %error, "the folder of runs is not swept");
        }
    }

    /// Gives the socket of a run.
    pub fn socket(&self, run: RunId) -> PathBuf {
        self.0.join(format!("{run}.sock"))
    }

    /// Lists the runs, the newest first; none where there is no folder.
    ///
    /// # Errors
    /// [`FolderError::Io`] when the folder cannot be read.
    pub fn runs(&self) -> Result<Vec<RunId>, FolderError> {
        let read = || -> io::Result<Vec<RunId>> {
            let mut runs = Vec::new();
            let entries = match fs::read_dir(&self.0) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(runs),
                entries => entries?,
            };
            for entry in entries {
                let name = entry?.file_name();
                let name = name.to_str().and_then(|name| name.strip_suffix(".redb"));
                runs.extend(name.and_then(|name| name.parse::<RunId>().ok()));
            }
            runs.sort_unstable_by(|a, b| b.cmp(a));
            Ok(runs)
        };
        read().map_err(|source| FolderError::Io { path: self.0.clone(), source })
    }

    /// Finds a run by its id, an unambiguous beginning of it, or `last`.
    ///
    /// # Errors
    /// [`FolderError::Unknown`] and [`FolderError::Ambiguous`].
    pub fn find(&self, text: &str) -> Result<RunId, FolderError> {
        let runs = self.runs()?;
        let unknown = || FolderError::Unknown { text: text.to_owned(), path: self.0.clone() };
        if text == "last" {
            return runs.first().copied().ok_or_else(unknown);
        }
        let text_lower = text.to_ascii_lowercase();
        let mut found = runs.into_iter().filter(|run| run.to_string().starts_with(&text_lower));
        let first = found.next().filter(|_| !text.is_empty()).ok_or_else(unknown)?;
        match found.count() {
            0 => Ok(first),
            more => Err(FolderError::Ambiguous { text: text.to_owned(), count: more + 1 }),
        }
    }

    /// Removes the oldest runs that ended, beyond [`RUNS_KEPT`].
    ///
    /// # Errors
    /// [`FolderError::Io`] when the folder cannot be read.
    pub fn prune(&self) -> Result<(), FolderError> {
        for run in self.runs()?.into_iter().skip(RUNS_KEPT) {
            let ended = history::is_ended(&self.journal(run), run);
            if ended && !control::is_running(&self.socket(run)) {
                remove(&self.socket(run));
                remove(&self.journal(run));
            }
        }
        Ok(())
    }
}

fn remove(path: &Path) {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            tracing::warn!(path = %path.display(), %error, "what is left of a run cannot be removed");
        }
        Ok(()) | Err(_) => {}
    }
}

/// Tells whether a file is of a run that a killed process began; the folder is locked, so that nobody makes one now.
fn is_left_behind(path: &Path) -> bool {
    let is_run = path.file_stem().and_then(|stem| stem.to_str()?.parse::<RunId>().ok()).is_some();
    let extension = path.extension().and_then(|extension| extension.to_str());
    is_run
        && match extension {
            Some("new") => true,
            Some("sock") => !control::is_running(path),
            Some(_) | None => false,
        }
}

/// The user's own place, as the XDG base directory specification has it.
fn of_user() -> Option<PathBuf> {
    let set =
        |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let state = set("XDG_STATE_HOME").or_else(|| Some(set("HOME")?.join(".local/state")))?;
    Some(state.join("synod"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder_with(runs: &[u128]) -> (tempfile::TempDir, Folder) {
        let place = tempfile::tempdir().unwrap();
        let folder = Folder::open(Some(place.path())).unwrap();
        for run in runs {
            fs::write(folder.journal(RunId::from_u128(*run)), "").unwrap();
        }
        (place, folder)
    }

    #[test]
    fn a_run_is_found_by_its_beginning_or_as_the_last() {
        let (_place, folder) = folder_with(&[0xaa << 120, 0xab << 120]);
        let find = |text: &str| folder.find(text).map(RunId::as_u128);
        assert_eq!(find("last").unwrap(), 0xab << 120);
        assert_eq!(find("AA").unwrap(), 0xaa << 120);
        assert!(matches!(find("a"), Err(FolderError::Ambiguous { count: 2, .. })));
        for unknown in ["", "b", "last "] {
            assert!(matches!(find(unknown), Err(FolderError::Unknown { .. })), "{unknown}");
        }
    }

    #[test]
    fn the_folder_is_its_owners_alone() {
        let (place, folder) = folder_with(&[]);
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&folder.0), 0o700);
        fs::set_permissions(&folder.0, Permissions::from_mode(0o755)).unwrap();
        Folder::open(Some(place.path())).unwrap();
        assert_eq!(mode(&folder.0), 0o700);
    }

    #[test]
    fn files_that_are_no_journal_of_a_run_are_not_listed_and_not_removed() {
        let (_place, folder) = folder_with(&[]);
        fs::write(folder.0.join("notes.redb"), "").unwrap();
        assert!(folder.runs().unwrap().is_empty());
        folder.prune().unwrap();
        assert!(folder.0.join("notes.redb").exists());
    }

    #[test]
    fn what_killed_processes_left_behind_is_no_run_and_is_swept_away() {
        let (_place, folder) = folder_with(&[1]);
        let (begun, left, kept) = (RunId::from_u128(2), RunId::from_u128(3), RunId::from_u128(1));
        fs::write(folder.unfinished(begun), "").unwrap();
        fs::write(folder.0.join("notes.new"), "").unwrap();
        drop(std::os::unix::net::UnixListener::bind(folder.socket(left)).unwrap());
        let _served = std::os::unix::net::UnixListener::bind(folder.socket(kept)).unwrap();
        assert_eq!(folder.find("last").unwrap(), kept);

        let beginning = folder.begin().unwrap();
        folder.sweep();
        assert!(folder.unfinished(begun).exists(), "somebody begins a run");
        drop(beginning);

        folder.sweep();
        assert!(!folder.unfinished(begun).exists() && !folder.socket(left).exists());
        assert!(folder.socket(kept).exists() && folder.0.join("notes.new").exists());
        assert_eq!(folder.runs().unwrap(), [kept]);
    }
}

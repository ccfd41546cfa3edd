//! Opens a journal's file, and says what to do when it cannot be.

use std::{
    fs::File,
    io,
    panic::{self, AssertUnwindSafe},
    path::{Path, PathBuf},
};

use redb::{
    Builder, ConcurrencyMode, Database, DatabaseError, Error, ReadOnlyDatabase, ReadableDatabase,
    TableHandle,
};

use super::{panic_text, records::RECORDS};
use crate::limits::JOURNAL_CACHE_BYTES;

/// Tells why a journal was not opened, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum OpenJournalError {
    /// There is no file of this name.
    #[error("open journal {}: there is no such file; check the name", path.display())]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// Another process writes the file.
    #[error("open journal {}: another process has it open for writing; wait for that to end, or only read", path.display())]
    Locked {
        /// The file.
        path: PathBuf,
    },
    /// The file is no journal.
    #[error("open journal {}: this is not a journal; name another file", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// Another version of this program wrote the file.
    #[error("open journal {}: another version wrote it ({found}); open it with that version", path.display())]
    Version {
        /// The file.
        path: PathBuf,
        /// What tells the version.
        found: String,
    },
    /// The file is damaged beyond what a crash explains.
    #[error("open journal {}: the file is damaged ({cause}); restore it from a copy, or remove it and lose its runs", path.display())]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// The store's own words.
        cause: String,
    },
    /// The machine refused.
    #[error("open journal {}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl OpenJournalError {
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "the kinds of the machine's errors are an open set"
    )]
    pub(super) fn io(path: &Path, source: io::Error) -> Self {
        let path = path.to_owned();
        match source.kind() {
            io::ErrorKind::NotFound => Self::Missing { path },
            // This is how redb names a file that has not its mark at the front.
            io::ErrorKind::InvalidData => Self::Foreign { path },
            _ => Self::Io { path, source },
        }
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "the store's errors are an open set")]
    fn store(path: &Path, error: Error) -> Self {
        let path_buf = path.to_owned();
        match error {
            Error::DatabaseAlreadyOpen => Self::Locked { path: path_buf },
            Error::LockProtocolMismatch | Error::UpgradeRequired(_) => {
                Self::Version { path: path_buf, found: error.to_string() }
            }
            Error::TableTypeMismatch { .. } => Self::Foreign { path: path_buf },
            Error::Io(source) if source.kind() != io::ErrorKind::UnexpectedEof => {
                Self::io(path, source)
            }
            other => Self::Corrupt { path: path_buf, cause: other.to_string() },
        }
    }
}

/// Opens or makes the file for writing, with its table of records.
pub(super) fn writable(path: &Path) -> Result<Database, OpenJournalError> {
    let is_new = !path.exists();
    let database = guarded(path, || {
        let database = builder().create(path).map_err(told(path))?;
        prepare(path, &database)?;
        Ok(database)
    })?;
    if is_new {
        sync_folder_of(path).map_err(|source| OpenJournalError::io(path, source))?;
    }
    Ok(database)
}

/// Opens the file for reading, and repairs it first if a crash left it so.
pub(super) fn read_only(path: &Path) -> Result<ReadOnlyDatabase, OpenJournalError> {
    guarded(path, || {
        let database = match builder().open_read_only(path) {
            Err(DatabaseError::RepairAborted) => {
                drop(builder().open(path).map_err(told(path))?);
                builder().open_read_only(path)
            }
            opened => opened,
        };
        let database = database.map_err(told(path))?;
        if has_records(path, &database)? {
            Ok(database)
        } else {
            Err(OpenJournalError::Foreign { path: path.to_owned() })
        }
    })
}

/// Makes the table of records where there is none.
pub(super) fn prepare(path: &Path, database: &Database) -> Result<(), OpenJournalError> {
    if has_records(path, database)? {
        return Ok(());
    }
    let transaction = database.begin_write().map_err(told(path))?;
    drop(transaction.open_table(RECORDS).map_err(told(path))?);
    transaction.commit().map_err(told(path))
}

/// How every process opens the file: one writes, the others may read beside it.
pub(super) fn builder() -> Builder {
    let mut builder = Builder::new();
    builder.set_concurrency_mode(ConcurrencyMode::SingleWriter);
    builder.set_cache_size(JOURNAL_CACHE_BYTES);
    builder
}

/// Tells whether the table of records is there; other tables than ours make the file a foreign one.
fn has_records(path: &Path, database: &impl ReadableDatabase) -> Result<bool, OpenJournalError> {
    let transaction = database.begin_read().map_err(told(path))?;
    let tables = transaction.list_tables().map_err(told(path))?;
    let names: Vec<String> = tables.map(|table| table.name().to_owned()).collect();
    if names.iter().any(|name| name == RECORDS.name()) || names.is_empty() {
        return Ok(!names.is_empty());
    }
    match names.iter().find(|name| name.starts_with("synod.journal.")) {
        Some(name) => Err(OpenJournalError::Version { path: path.to_owned(), found: name.clone() }),
        None => Err(OpenJournalError::Foreign { path: path.to_owned() }),
    }
}

/// Makes the new file's name durable, without which its records are not.
fn sync_folder_of(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    // Only Unix opens folders as files; elsewhere the file system keeps names by itself.
    if cfg!(unix) { File::open(folder.unwrap_or(Path::new(".")))?.sync_all() } else { Ok(()) }
}

fn told<E: Into<Error>>(path: &Path) -> impl Fn(E) -> OpenJournalError {
    |error| OpenJournalError::store(path, error.into())
}

/// Turns a panic of the store, which damaged files can cause, into an error.
fn guarded<T>(
    path: &Path,
    open: impl FnOnce() -> Result<T, OpenJournalError>,
) -> Result<T, OpenJournalError> {
    panic::catch_unwind(AssertUnwindSafe(open)).unwrap_or_else(|payload| {
        Err(OpenJournalError::Corrupt { path: path.to_owned(), cause: panic_text(&*payload) })
    })
}

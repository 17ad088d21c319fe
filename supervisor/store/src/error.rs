//! What can go wrong, by what to do about it.

use std::io;

#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// End the other process, or wait for it.
    #[error("the state file is in use by another process")]
    Busy,
    /// Restore the file, or start without it.
    #[error("the state file is damaged: {0}")]
    Corrupt(String),
    /// Nothing was lost; the same decision can be tried again when there is room.
    #[error("no space is left on the device for the state file")]
    Full,
    /// Run the newer program again.
    #[error(
        "the file has schema {found}; this program knows schemas up to {known}: run the newer program again"
    )]
    TooNew { found: u32, known: u32 },
    /// The row was written by a program with another idea of it, or cannot be JSON.
    #[error("the row {key:?} of the table {table} cannot be read or written as JSON: {source}")]
    Row { table: &'static str, key: String, source: serde_json::Error },
    /// Remove components together with their data.
    #[error("all {} id ranges are in use", crate::ids::SLOTS)]
    NoIdsLeft,
    #[error("the state file cannot be read or written: {0}")]
    Device(#[source] io::Error),
}

impl StoreError {
    /// Whether the open database is of no more use after it.
    pub(crate) fn is_device(&self) -> bool {
        matches!(self, Self::Device(_) | Self::Full)
    }

    fn of_redb(error: redb::Error) -> Self {
        use redb::Error as E;
        match error {
            E::DatabaseAlreadyOpen | E::LockProtocolMismatch => Self::Busy,
            E::Io(error) => Self::of_io(error),
            E::PreviousIo | E::DatabaseClosed => Self::Device(io::Error::other(error)),
            other => Self::Corrupt(other.to_string()),
        }
    }

    pub(crate) fn of_io(error: io::Error) -> Self {
        use io::ErrorKind as K;
        match error.kind() {
            K::StorageFull | K::QuotaExceeded | K::FileTooLarge => Self::Full,
            // The library's word for a file that never was a database.
            K::InvalidData | K::UnexpectedEof => Self::Corrupt(error.to_string()),
            _ => Self::Device(error),
        }
    }
}

macro_rules! from_redb {
    ($($error:ty),+) => {
        $(impl From<$error> for StoreError {
            fn from(error: $error) -> Self {
                Self::of_redb(error.into())
            }
        })+
    };
}

from_redb!(
    redb::DatabaseError,
    redb::TransactionError,
    redb::TableError,
    redb::StorageError,
    redb::CommitError
);

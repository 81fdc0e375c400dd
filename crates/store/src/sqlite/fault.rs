//! SQLite's error codes, by what is to be done about them.

use std::path::Path;

use rusqlite::{Error, ErrorCode, ffi};

use crate::backend::Fault;
use crate::{OpenError, ReadError, Stall};

/// Of a write or a commit.
#[allow(clippy::needless_pass_by_value, reason = "it is what map_err hands over")]
pub(super) fn write(error: Error) -> Fault {
    let reason = error.to_string();
    let Some(failure) = error.sqlite_error() else { return Fault::Failed(reason) };
    match (failure.code, failure.extended_code) {
        (_, ffi::SQLITE_IOERR_FSYNC | ffi::SQLITE_IOERR_DIR_FSYNC) => Fault::SyncFailed(reason),
        (ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked, _) => Fault::Stalled(Stall::Held, reason),
        _ if lacks_room(failure) => Fault::Stalled(Stall::NoRoom, reason),
        (ErrorCode::ConstraintViolation, _) => Fault::Fenced(reason),
        _ => Fault::Failed(reason),
    }
}

/// Files that cannot grow are told in other words as well.
fn lacks_room(failure: &ffi::Error) -> bool {
    failure.code == ErrorCode::DiskFull
        || matches!(
            failure.extended_code,
            ffi::SQLITE_IOERR_WRITE
                | ffi::SQLITE_IOERR_TRUNCATE
                | ffi::SQLITE_IOERR_SHMSIZE
                | ffi::SQLITE_IOERR_SHMMAP
                | ffi::SQLITE_IOERR_SHMOPEN
        )
}

/// Of a write of control data, where nobody can own what it concerns and part of it may be done.
pub(super) fn control(error: Error) -> Fault {
    of_all(write(error))
}

/// Of the whole transaction: where a fenced batch lets the others go on, this ends them as well.
pub(super) fn of_all(fault: Fault) -> Fault {
    match fault {
        Fault::Fenced(reason) => Fault::Failed(reason),
        other => other,
    }
}

#[allow(clippy::needless_pass_by_value, reason = "it is what map_err hands over")]
pub(super) fn read(error: Error) -> ReadError {
    match error {
        Error::FromSqlConversionFailure(..) | Error::IntegralValueOutOfRange(..) | Error::InvalidColumnType(..) => {
            ReadError::Unreadable(error.to_string())
        }
        other => ReadError::Failed(other.to_string()),
    }
}

/// Of opening a database.
pub(super) fn open(error: &Error, dir: &Path, path: &Path) -> OpenError {
    let reason = error.to_string();
    let Some(failure) = error.sqlite_error() else { return OpenError::Damaged { path: path.into(), reason } };
    match failure.code {
        ErrorCode::CannotOpen | ErrorCode::ReadOnly | ErrorCode::PermissionDenied => {
            OpenError::NotWritable { dir: dir.into(), reason }
        }
        ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => OpenError::Held { path: path.into(), reason },
        _ if lacks_room(failure) => OpenError::Full { path: path.into(), reason },
        _ => OpenError::Damaged { path: path.into(), reason },
    }
}

/// A value in a row that this version cannot read.
pub(super) fn unreadable(reason: String) -> Error {
    Error::FromSqlConversionFailure(0, rusqlite::types::Type::Text, reason.into())
}

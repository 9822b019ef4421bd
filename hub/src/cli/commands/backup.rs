//! The commands `backup` and `restore`.

use std::io::{Write, stdout};
use std::path::Path;
use std::process::ExitCode;

use onething::fault::chain;
use tokio::runtime::Handle;
use tokio::task::block_in_place;

use super::{Outcome, UNUSABLE};
use crate::cli::command_line::Remote;
use crate::cli::remote::RemoteHub;
use crate::storage::backup::{self, BackupError, Written};
use crate::storage::store;

/// Writes a backup. A running hub copies its database itself; the database of a hub that is not running is copied here.
pub(super) async fn backup(file: &Path, data: &Path, mail: Option<&Path>) -> Outcome {
    let over = Remote { hub: None, data: Some(data.to_owned()), json: false };
    let runs = RemoteHub::find(&over, None).await.is_ok();
    if !runs {
        backup::finish(data).map_err(|error| BackupError::File(data.to_owned(), error))?;
    }
    let database = data.join(store::FILE);
    if !database.is_file() {
        return Err(BackupError::NoData(data.to_owned()).into());
    }
    let written = block_in_place(|| {
        backup::write(data, mail, file, |to| {
            if runs {
                return copy_of_running(data, to);
            }
            Ok(store::copy_at_rest(&database, to)?)
        })
    });
    match written {
        Ok(Written { files, bytes }) => {
            let size = bytes.div_ceil(1_000);
            writeln!(stdout(), "{} is written: {files} files, {size} kB. It holds private keys: keep it to yourself.", file.display())?;
            Ok(ExitCode::SUCCESS)
        }
        Err(error) => refused(error),
    }
}

#[cfg(unix)]
fn copy_of_running(data: &Path, to: &Path) -> Result<(), BackupError> {
    let copied = Handle::current().block_on(RemoteHub::copy_database(data, to));
    copied.map_err(|error| BackupError::File(data.join(store::FILE), std::io::Error::other(error)))
}

/// Without Unix sockets a running hub cannot copy its database for this command.
#[cfg(not(unix))]
fn copy_of_running(data: &Path, _: &Path) -> Result<(), BackupError> {
    Err(BackupError::Running(data.to_owned()))
}

/// Restores a backup.
pub(super) fn restore(file: &Path, data: &Path, replace: bool) -> Outcome {
    match backup::restore(file, data, replace) {
        Ok(files) => {
            writeln!(stdout(), "{} is restored: {files} files. The hub can be started over it.", data.display())?;
            Ok(ExitCode::SUCCESS)
        }
        Err(error) => refused(error),
    }
}

fn refused(error: BackupError) -> Outcome {
    if !error.is_unusable() {
        return Err(error.into());
    }
    eprintln!("onething-hub: {}", chain(&error));
    Ok(ExitCode::from(UNUSABLE))
}

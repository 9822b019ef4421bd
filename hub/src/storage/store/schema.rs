//! The schema and its migrations. A database stores the number of applied migrations (`PRAGMA user_version`). Each migration is
//! one transaction.

use std::cmp::Ordering;
use std::path::Path;

use rusqlite::Connection;

use super::OpenError;

/// The migrations in order. The statements of a released migration are never changed; changes are new migrations.
pub(super) const MIGRATIONS: [&str; 5] = [
    include_str!("migrations/1.sql"),
    include_str!("migrations/2.sql"),
    include_str!("migrations/3.sql"),
    include_str!("migrations/4.sql"),
    include_str!("migrations/5.sql"),
];

/// Checks that a database has the current version of the schema.
pub(super) fn check(connection: &Connection, path: &Path, unusable: impl Fn(rusqlite::Error) -> OpenError) -> Result<(), OpenError> {
    let (found, known) = (version(connection).map_err(unusable)?, MIGRATIONS.len());
    match found.cmp(&known) {
        Ordering::Less => Err(OpenError::Older(path.to_owned())),
        Ordering::Equal => Ok(()),
        Ordering::Greater => Err(OpenError::Newer { path: path.to_owned(), found, known }),
    }
}

pub(super) fn version(connection: &Connection) -> rusqlite::Result<usize> {
    let version: u32 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    Ok(version as usize)
}

/// Applies the missing migrations.
pub(super) fn migrate(connection: &mut Connection, path: &Path) -> Result<(), OpenError> {
    let unusable = |error| OpenError::Unusable(path.to_owned(), error);
    let (found, known) = (version(connection).map_err(unusable)?, MIGRATIONS.len());
    let Some(missing) = MIGRATIONS.get(found..) else {
        return Err(OpenError::Newer { path: path.to_owned(), found, known });
    };
    for (migration, version) in missing.iter().zip(found + 1..) {
        let step = connection.transaction().and_then(|transaction| {
            transaction.execute_batch(migration)?;
            transaction.pragma_update(None, "user_version", u32::try_from(version).unwrap_or(u32::MAX))?;
            transaction.commit()
        });
        step.map_err(unusable)?;
    }
    Ok(())
}

//! Checks of this machine: folder, database, authority and ports. A running hub holds them exclusively, so the checks run only if
//! no hub runs with the folder.

use std::net::SocketAddr;
use std::path::Path;

use onething::fault::chain;
use rusqlite::{Connection, OpenFlags};
use tokio::net::TcpListener;

use super::Finding;
use crate::authority::Authority;
use crate::clock;
use crate::settings::Settings;
use crate::storage::data_folder::{self, AUTHORITY};
use crate::storage::disk;
use crate::storage::store::{self, OpenError};

/// The name of a file that is written as a test.
const PROBE: &str = ".probe";

/// Checks everything that a start needs, and creates nothing.
pub async fn check(settings: &Settings) -> Vec<Finding> {
    let mut findings = vec![folder(&settings.data), database(&settings.data), authority(&settings.data)];
    for (test, address) in [("http", settings.http), ("mqtt", settings.mqtt)] {
        findings.push(port(test, address).await);
    }
    findings
}

/// The newest time in the database, as Unix time in seconds.
pub fn newest_note(data: &Path) -> Option<u64> {
    let database = Connection::open_with_flags(data.join(store::FILE), OpenFlags::SQLITE_OPEN_READ_ONLY).ok()?;
    let latest = |sql| database.query_row(sql, [], |row| row.get::<_, Option<i64>>(0)).ok().flatten();
    let notes = [
        "SELECT max(made_at) FROM certificate",
        "SELECT max(at) FROM registration_event",
        "SELECT max(max(at), max(changed)) FROM outgoing_mail",
    ];
    notes.into_iter().filter_map(latest).max().map(i64::unsigned_abs)
}

fn folder(data: &Path) -> Finding {
    let shown = data.display();
    if !data.exists() {
        return Finding::ok("folder", format!("{shown} is made at the first start"));
    }
    let written = disk::write_whole(data, PROBE, b"").and_then(|()| std::fs::remove_file(data.join(PROBE)));
    match written {
        Ok(()) => Finding::ok("folder", format!("{shown} can be written")),
        Err(error) => Finding::failed("folder", format!("{shown} cannot be written: {error}")),
    }
}

fn database(data: &Path) -> Finding {
    if let Some(missing @ data_folder::Missing::Database(_)) = data_folder::missing(data) {
        return Finding::failed("database", missing.to_string());
    }
    let path = data.join(store::FILE);
    if !path.exists() {
        return Finding::ok("database", "it is made at the first start");
    }
    match store::look(&path).map(|database| database.query_row("PRAGMA quick_check(1)", [], |row| row.get::<_, String>(0))) {
        Ok(Ok(verdict)) if verdict == "ok" => Finding::ok("database", format!("{} is whole", path.display())),
        Ok(Ok(verdict)) => Finding::failed("database", format!("{} is damaged: {verdict}", path.display())),
        Ok(Err(error)) => Finding::failed("database", format!("{} cannot be read: {error}", path.display())),
        Err(OpenError::Older(_)) => Finding::ok("database", "it was made by an older hub, and the next start brings it up to date"),
        Err(error) => Finding::failed("database", chain(&error)),
    }
}

fn authority(data: &Path) -> Finding {
    if let Some(missing @ data_folder::Missing::Authority { .. }) = data_folder::missing(data) {
        return Finding::failed("authority", missing.to_string());
    }
    let folder = data.join(AUTHORITY);
    if !folder.exists() {
        return Finding::ok("authority", "it is made at the first start");
    }
    match Authority::look(&folder, clock::now()) {
        Ok(Some(_)) => Finding::ok("authority", format!("{} can issue certificates", folder.display())),
        Ok(None) => Finding::ok("authority", "it is made at the first start"),
        Err(error) => Finding::failed("authority", chain(&error)),
    }
}

async fn port(test: &'static str, address: SocketAddr) -> Finding {
    match TcpListener::bind(address).await {
        Ok(_) => Finding::ok(test, format!("{address} is free")),
        Err(error) => Finding::failed(test, format!("{address} cannot be listened at: {error}")),
    }
}

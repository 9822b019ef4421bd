//! Reads the zip of a bundle, either as it was mailed or repacked by a user.
//!
//! A repacked zip has deflated entries, often inside a folder. A zip from macOS has a second tree `__MACOSX`; a zip from Windows
//! may have backslashes in names. The bundle is the folder that contains `connection.json`, and there must be exactly one.

use std::io::Cursor;

use zeroize::Zeroizing;
use zip::result::ZipError;
use zip::{CompressionMethod, ZipArchive};

use super::connection::CONNECTION;
use super::error::BundleError;
use super::limits::{FILES_LIMIT, ZIP_LIMIT, bounded};

/// The name of the folder in which macOS stores the metadata of packed files.
const MACOS: &str = "__MACOSX";
/// The largest number of characters of a file name in an error message.
const SHOWN: usize = 64;

/// An open zip, and the location of the bundle in it.
pub(crate) struct Archive<'a> {
    zip: ZipArchive<Cursor<&'a [u8]>>,
    /// The paths with `/` as separator, and the indexes of their entries.
    entries: Vec<(String, usize)>,
    /// Empty, or the path of a folder, which ends with `/`.
    folder: String,
}

impl<'a> Archive<'a> {
    /// Opens a zip and locates the bundle in it.
    pub(crate) fn open(zip: &'a [u8]) -> Result<Self, BundleError> {
        if zip.len() > ZIP_LIMIT {
            return Err(BundleError::TooLarge);
        }
        let zip = ZipArchive::new(Cursor::new(zip)).map_err(|_| BundleError::NotAZip)?;
        if zip.len() > FILES_LIMIT {
            return Err(BundleError::TooLarge);
        }
        let names = (0..zip.len()).filter_map(|number| Some((zip.name_for_index(number)?.ok()?.replace('\\', "/"), number)));
        let entries: Vec<_> = names.filter(|(path, _)| !path.ends_with('/') && !path.split('/').any(|part| part == MACOS)).collect();
        let folders: Vec<&str> = entries.iter().filter_map(|(path, _)| folder_of(path, CONNECTION)).collect();
        let folder = match folders[..] {
            [folder] => folder.to_owned(),
            [] => {
                let inner = entries.iter().find(|(path, _)| path.to_ascii_lowercase().ends_with(".zip"));
                return Err(match inner {
                    Some((path, _)) => BundleError::ZipInZip(path.chars().take(SHOWN).collect()),
                    None => BundleError::Missing(CONNECTION.to_owned()),
                });
            }
            _ => return Err(BundleError::Several),
        };
        Ok(Self { zip, entries, folder })
    }

    /// Unpacks a file of the bundle.
    pub(crate) fn read(&mut self, name: &str) -> Result<Zeroizing<Vec<u8>>, BundleError> {
        let entry = self.entries.iter().find(|(path, _)| folder_of(path, name) == Some(&self.folder));
        let (_, number) = entry.ok_or_else(|| BundleError::Missing(name.to_owned()))?;
        let file = self.zip.by_index(*number).map_err(|error| match error {
            ZipError::UnsupportedArchive(ZipError::PASSWORD_REQUIRED) => BundleError::Encrypted(name.to_owned()),
            _ => BundleError::Damaged(name.to_owned()),
        })?;
        if !matches!(file.compression(), CompressionMethod::Stored | CompressionMethod::Deflated) {
            return Err(BundleError::Compression(name.to_owned()));
        }
        let size = file.size();
        bounded(name, file, size).map_err(|error| match error {
            // The content does not match the size or the checksum in the zip.
            BundleError::Unreadable(name) => BundleError::Damaged(name),
            error => error,
        })
    }
}

/// The folder part of a path whose file has this name.
fn folder_of<'p>(path: &'p str, name: &str) -> Option<&'p str> {
    path.strip_suffix(name).filter(|folder| folder.is_empty() || folder.ends_with('/'))
}

#[cfg(test)]
#[path = "archive_tests.rs"]
mod tests;

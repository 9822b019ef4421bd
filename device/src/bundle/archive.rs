//! The zip of a bundle: as it was mailed, or as it was packed again on the way to the device.
//!
//! Who packs a folder again gets deflated entries, often within one folder, from macOS with a second tree `__MACOSX` beside it, and
//! from Windows with backslashes in names. The bundle is where `connection.json` is, and it has to be there once.

use std::io::Cursor;

use zeroize::Zeroizing;
use zip::result::ZipError;
use zip::{CompressionMethod, ZipArchive};

use super::connection::CONNECTION;
use super::error::BundleError;
use super::limits::{FILES_LIMIT, ZIP_LIMIT, bounded};

/// What macOS puts beside each file that it packs.
const MACOS: &str = "__MACOSX";
/// So much of the name of a file is shown.
const SHOWN: usize = 64;

/// An open zip, and where in it the bundle is.
pub(crate) struct Archive<'a> {
    zip: ZipArchive<Cursor<&'a [u8]>>,
    /// Paths with `/`, and the numbers of their entries.
    entries: Vec<(String, usize)>,
    /// Empty, or the path of a folder, which ends with `/`.
    folder: String,
}

impl<'a> Archive<'a> {
    /// Finds the bundle.
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
            // What does not unpack to what the zip says of it.
            BundleError::Unreadable(name) => BundleError::Damaged(name),
            error => error,
        })
    }
}

/// The folder of a path, where the path ends in this name.
fn folder_of<'p>(path: &'p str, name: &str) -> Option<&'p str> {
    path.strip_suffix(name).filter(|folder| folder.is_empty() || folder.ends_with('/'))
}

#[cfg(test)]
#[path = "archive_tests.rs"]
mod tests;

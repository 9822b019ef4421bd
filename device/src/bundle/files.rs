//! The files of a bundle, by name, from any source: the mailed zip, a folder with its content, or a response of the registration
//! endpoint.
//!
//! They are untrusted input. No zip is unpacked to disk, only the files that `connection.json` names are read, every size is
//! limited, and every name is a plain name, so that a file can be written only into the intended folder.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io::ErrorKind;
use std::path::Path;

use serde_json::{Map, Value};
use zeroize::Zeroizing;

use super::archive::Archive;
use super::connection::{CONNECTION, Connection};
use super::error::BundleError;
use super::limits::bounded;

/// The file name of a root certificate that the user has added.
pub(crate) const OWN_ROOT: &str = "own-ca.pem";

const NAME_LIMIT: usize = 128;
/// The largest number of characters of an invalid name in an error message.
const SHOWN: usize = 32;

/// The contents of the files by name. They are wiped from memory when dropped, because one of them is the private key.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Files(BTreeMap<String, Zeroizing<Vec<u8>>>);

impl fmt::Debug for Files {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl Files {
    /// An empty set of files.
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads the files of the mailed zip, which may have been repacked.
    pub fn from_zip(zip: &[u8]) -> Result<Self, BundleError> {
        let mut archive = Archive::open(zip)?;
        Self::gather(|name| archive.read(name))
    }

    /// Reads the files of an unpacked zip.
    pub fn from_folder(folder: &Path) -> Result<Self, BundleError> {
        Self::gather(|name| {
            let file = File::open(folder.join(name)).map_err(|error| match error.kind() {
                ErrorKind::NotFound => BundleError::Missing(name.to_owned()),
                _ => BundleError::Unreadable(name.to_owned()),
            })?;
            let size = file.metadata().map_or(0, |metadata| metadata.len());
            bounded(name, file, size)
        })
    }

    /// Reads `connection.json` and the files that it names.
    fn gather(mut read: impl FnMut(&str) -> Result<Zeroizing<Vec<u8>>, BundleError>) -> Result<Self, BundleError> {
        let mut files = Self::new();
        files.insert(CONNECTION, text(read(CONNECTION)?))?;
        let connection = files.connection()?;
        for name in connection.file_names() {
            plain(name)?;
            files.insert(name, text(read(name)?))?;
        }
        Ok(files)
    }

    /// Adds a file, or replaces the file of this name.
    pub fn insert(&mut self, name: &str, content: impl Into<Zeroizing<Vec<u8>>>) -> Result<(), BundleError> {
        plain(name)?;
        self.0.insert(name.to_owned(), content.into());
        Ok(())
    }

    /// Changes `connection.json`. Members that the closure does not change are kept.
    pub fn amend(&mut self, change: impl FnOnce(&mut Map<String, Value>)) -> Result<(), BundleError> {
        let mut connection = serde_json::from_slice(self.content(CONNECTION)?).map_err(BundleError::Connection)?;
        change(&mut connection);
        self.insert(CONNECTION, format!("{:#}\n", Value::Object(connection)).into_bytes())
    }

    /// Adds a root certificate in PEM that the server may be verified with.
    pub fn add_root(&mut self, name: &str, pem: &[u8]) -> Result<(), BundleError> {
        self.insert(name, pem.to_vec())?;
        self.amend(|connection| {
            if let Some(Value::Array(roots)) = connection.get_mut("rootCas")
                && !roots.iter().any(|root| root == name)
            {
                // It comes first, because only a limited number of roots is read.
                roots.insert(0, name.into());
            }
        })
    }

    /// Parses `connection.json`.
    pub(crate) fn connection(&self) -> Result<Connection, BundleError> {
        Connection::read(self.content(CONNECTION)?)
    }

    /// The content of a file. An empty file is an error.
    pub fn content(&self, name: &str) -> Result<&[u8], BundleError> {
        match self.0.get(name) {
            None => Err(BundleError::Missing(name.to_owned())),
            Some(content) if content.trim_ascii().is_empty() => Err(BundleError::Empty(name.to_owned())),
            Some(content) => Ok(content),
        }
    }

    /// All files with their names.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.0.iter().map(|(name, content)| (name.as_str(), content.as_slice()))
    }
}

/// Checks that a name is a plain file name on every system: no path, no hidden file.
fn plain(name: &str) -> Result<(), BundleError> {
    let legal = |c: u8| c.is_ascii_alphanumeric() || b"._-".contains(&c);
    let is_plain = (1..=NAME_LIMIT).contains(&name.len()) && !name.starts_with('.') && name.bytes().all(legal);
    if is_plain { Ok(()) } else { Err(BundleError::Name(name.chars().take(SHOWN).collect())) }
}

/// Removes a byte order mark and converts UTF-16 to UTF-8. Every file of a bundle is text, and some editors save it this way.
fn text(content: Zeroizing<Vec<u8>>) -> Zeroizing<Vec<u8>> {
    let wide = |bytes: &[u8], unit: fn([u8; 2]) -> u16| {
        let units = bytes.chunks_exact(2).map(|pair| unit([pair[0], pair[1]]));
        let mut text = Zeroizing::new(Vec::with_capacity(bytes.len() * 3 / 2));
        for c in char::decode_utf16(units) {
            text.extend_from_slice(c.unwrap_or(char::REPLACEMENT_CHARACTER).encode_utf8(&mut [0; 4]).as_bytes());
        }
        text
    };
    match &content[..] {
        [0xef, 0xbb, 0xbf, text @ ..] => Zeroizing::new(text.to_vec()),
        [0xff, 0xfe, text @ ..] => wide(text, u16::from_le_bytes),
        [0xfe, 0xff, text @ ..] => wide(text, u16::from_be_bytes),
        _ => content,
    }
}

#[cfg(test)]
#[path = "files_tests.rs"]
mod tests;

//! The limits for the size of a bundle.

use std::io::Read;

use zeroize::Zeroizing;

use super::error::BundleError;

/// The largest size of a zip, in bytes. A bundle has about 12 KB.
pub(crate) const ZIP_LIMIT: usize = 256 * 1024;
/// The largest size of an unpacked file, in bytes.
pub(crate) const FILE_LIMIT: u64 = 64 * 1024;
/// The largest number of entries of a zip.
pub(crate) const FILES_LIMIT: usize = 32;

/// Reads a file of at most [`FILE_LIMIT`] bytes. `size` is the size that the file claims to have.
pub(crate) fn bounded(name: &str, file: impl Read, size: u64) -> Result<Zeroizing<Vec<u8>>, BundleError> {
    if size > FILE_LIMIT {
        return Err(BundleError::TooLarge);
    }
    // The capacity is sufficient for the whole file: a buffer that grows would leave copies of a key in memory.
    let mut content = Zeroizing::new(Vec::with_capacity(usize::try_from(size).map_or(0, |size| size + 1)));
    file.take(FILE_LIMIT + 1).read_to_end(&mut content).map_err(|_| BundleError::Unreadable(name.to_owned()))?;
    if content.len() as u64 > FILE_LIMIT { Err(BundleError::TooLarge) } else { Ok(content) }
}

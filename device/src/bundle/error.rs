//! The errors of bundles.

use thiserror::Error;

use crate::clock;

/// The version of `connection.json` that this program reads.
pub(super) const VERSION: u64 = 1;

/// Why a bundle cannot be used.
#[derive(Debug, Error)]
pub enum BundleError {
    /// The zip, a file in it, or the number of files exceeds its limit.
    #[error("the bundle is too large")]
    TooLarge,
    /// The file is not a zip, or the zip is broken.
    #[error("the bundle is not a zip that can be read: save it again out of the mail")]
    NotAZip,
    /// The bundle lacks `connection.json` or a file that `connection.json` names.
    #[error("the bundle has no {0}")]
    Missing(String),
    /// A file name in `connection.json` that is not a plain name, and could denote a file in another folder.
    #[error("connection.json names a file {0:?}, which is no plain name")]
    Name(String),
    /// The zip contains more than one bundle.
    #[error("the zip has more than one connection.json: which bundle is meant? Pack one alone")]
    Several,
    /// The zip contains another zip, but no bundle.
    #[error("the bundle has no connection.json but another zip in it, {0}: unpack that one, and use it")]
    ZipInZip(String),
    /// A file in the folder or zip cannot be read.
    #[error("{0} in the bundle cannot be read")]
    Unreadable(String),
    /// A file is encrypted with a password.
    #[error("{0} in the bundle is encrypted: pack it without a password, or take the zip out of the mail")]
    Encrypted(String),
    /// A file is neither stored nor deflated.
    #[error("{0} in the bundle is packed by a method that is not known here: pack an ordinary zip, or take the one out of the mail")]
    Compression(String),
    /// A file does not match its size or checksum.
    #[error("{0} in the bundle is damaged: save the zip again out of the mail")]
    Damaged(String),
    /// A file has no content.
    #[error("{0} is empty")]
    Empty(String),
    /// A file is truncated.
    #[error("{0} is cut off: its end is missing")]
    CutOff(String),
    /// A file contains no readable certificate or key in PEM.
    #[error("{0} holds no {1} that can be read")]
    NotPem(String, &'static str),
    /// `connection.json` is not valid.
    #[error("connection.json does not say how to connect")]
    Connection(#[source] serde_json::Error),
    /// The version of `connection.json` is not supported.
    #[error("the bundle has version {0}, and this device knows version {VERSION}")]
    Version(u64),
    /// The bundle contains no usable root certificate to verify the server with.
    #[error("the bundle holds no root certificate")]
    Roots,
    /// The certificate and the key do not belong together, or TLS does not support them.
    #[error("certificate and private key in the bundle are no pair that can be used")]
    Identity,
    /// The certificate is not the one that `connection.json` names, so the files belong to different bundles.
    #[error("{0} is not the certificate that connection.json speaks of: the files are of two bundles, or of another thing")]
    Mixed(String),
}

/// Why a bundle cannot be used at this time. All times are Unix time in seconds.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum NotValidNow {
    /// The clock of the device was never set; the time of that clock.
    #[error("the clock of this device says {}; set it first", clock::date(*.0))]
    Clock(u64),
    /// The certificate is not valid yet; most likely the clock is wrong.
    #[error("the certificate is not valid before {}, and the clock of this device says {}", clock::moment(*.from), clock::moment(*.now))]
    NotYet {
        /// The start of the validity of the certificate.
        from: u64,
        /// The time of the clock of the device.
        now: u64,
    },
    /// The certificate has expired at this time.
    #[error("the certificate expired on {}", clock::date(*.0))]
    Expired(u64),
}

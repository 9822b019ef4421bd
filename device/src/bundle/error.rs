//! Why a bundle cannot be used.

use thiserror::Error;

use crate::clock;

/// The version of `connection.json` that this program reads.
pub(super) const VERSION: u64 = 1;

/// Why a bundle cannot be used.
#[derive(Debug, Error)]
pub enum BundleError {
    /// The zip, a file in it, or their number is beyond all measure.
    #[error("the bundle is too large")]
    TooLarge,
    /// Not a zip, or a broken one.
    #[error("the bundle is not a zip that can be read: save it again out of the mail")]
    NotAZip,
    /// A file that the bundle should hold, or that `connection.json` names.
    #[error("the bundle has no {0}")]
    Missing(String),
    /// A file name that leads somewhere else, or may do so on another system.
    #[error("connection.json names a file {0:?}, which is no plain name")]
    Name(String),
    /// Two of them in one zip.
    #[error("the zip has more than one connection.json: which bundle is meant? Pack one alone")]
    Several,
    /// The zip itself was packed.
    #[error("the bundle has no connection.json but another zip in it, {0}: unpack that one, and use it")]
    ZipInZip(String),
    /// A file that the disk does not give.
    #[error("{0} in the bundle cannot be read")]
    Unreadable(String),
    /// A file that needs a password.
    #[error("{0} in the bundle is encrypted: pack it without a password, or take the zip out of the mail")]
    Encrypted(String),
    /// A file that is neither stored nor deflated.
    #[error("{0} in the bundle is packed by a method that is not known here: pack an ordinary zip, or take the one out of the mail")]
    Compression(String),
    /// A file that does not unpack to what was packed.
    #[error("{0} in the bundle is damaged: save the zip again out of the mail")]
    Damaged(String),
    /// A file with nothing in it.
    #[error("{0} is empty")]
    Empty(String),
    /// A file that ends too early.
    #[error("{0} is cut off: its end is missing")]
    CutOff(String),
    /// A file that should hold a certificate or a key, and does not.
    #[error("{0} holds no {1} that can be read")]
    NotPem(String, &'static str),
    /// `connection.json` does not say what it should.
    #[error("connection.json does not say how to connect")]
    Connection(#[source] serde_json::Error),
    /// A bundle of another time.
    #[error("the bundle has version {0}, and this device knows version {VERSION}")]
    Version(u64),
    /// No root by which to know the server.
    #[error("the bundle holds no root certificate")]
    Roots,
    /// Not a pair, or nothing that TLS can use.
    #[error("certificate and private key in the bundle are no pair that can be used")]
    Identity,
    /// Files of two bundles.
    #[error("{0} is not the certificate that connection.json speaks of: the files are of two bundles, or of another thing")]
    Mixed(String),
}

/// Why a bundle cannot be used at a time.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum Untimely {
    /// The clock of the device was never set.
    #[error("the clock of this device says {}; set it first", clock::date(*.0))]
    Clock(u64),
    /// Too early: a clock that is wrong, most likely.
    #[error("the certificate is not valid before {}, and the clock of this device says {}", clock::moment(*.from), clock::moment(*.now))]
    NotYet {
        /// When its time begins.
        from: u64,
        /// What the clock says.
        now: u64,
    },
    /// Too late.
    #[error("the certificate expired on {}", clock::date(*.0))]
    Expired(u64),
}

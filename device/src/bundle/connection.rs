//! `connection.json`: where a device connects, and as which thing.

use serde::{Deserialize, Serialize};

use super::error::{BundleError, VERSION};

/// The name of the file that names the other files of a bundle.
pub const CONNECTION: &str = "connection.json";
/// Roots after this many are ignored.
const ROOTS_LIMIT: usize = 8;

/// `connection.json`: everything a client needs to know.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Connection {
    version: u64,
    /// The thing.
    pub thing_name: String,
    /// The MQTT client id.
    pub client_id: String,
    /// The certificate's id, which the device reports. Bundles of foreign make may lack it.
    pub certificate_id: Option<String>,
    /// Host.
    pub endpoint: String,
    /// MQTT over mutual TLS.
    pub port: u16,
    pub(super) certificate: String,
    pub(super) private_key: String,
    root_cas: Vec<String>,
    /// The file with the device model, if there is one.
    pub(super) device_model: Option<String>,
    /// The URL at which devices register themselves, if the bundle knows it.
    pub register: Option<String>,
    /// The topics of the thing's shadow.
    pub topics: Topics,
}

/// The topics of a classic shadow, by the device's use of them.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Topics {
    /// Asks for the shadow.
    pub get: String,
    /// The shadow.
    pub get_accepted: String,
    /// There is none, or it could not be read.
    pub get_rejected: String,
    /// Reports.
    pub update: String,
    /// A report was taken.
    pub update_accepted: String,
    /// A report was refused.
    pub update_rejected: String,
    /// What is desired and not reported.
    pub update_delta: String,
}

impl Connection {
    /// Reads `connection.json`.
    pub(crate) fn read(json: &[u8]) -> Result<Self, BundleError> {
        let connection: Self = serde_json::from_slice(json).map_err(|error| match error.is_eof() {
            true => BundleError::CutOff(CONNECTION.to_owned()),
            false => BundleError::Connection(error),
        })?;
        if connection.version == VERSION { Ok(connection) } else { Err(BundleError::Version(connection.version)) }
    }

    /// The other files.
    pub(crate) fn file_names(&self) -> impl Iterator<Item = &str> {
        [&self.certificate, &self.private_key].into_iter().chain(self.roots()).chain(&self.device_model).map(String::as_str)
    }

    pub(super) fn roots(&self) -> impl Iterator<Item = &String> {
        self.root_cas.iter().take(ROOTS_LIMIT)
    }
}

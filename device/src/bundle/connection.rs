//! `connection.json`: the endpoint and the thing name of a device.

use serde::{Deserialize, Serialize};

use super::error::{BundleError, VERSION};

/// The name of the file that names the other files of a bundle.
pub const CONNECTION: &str = "connection.json";
/// The largest number of root certificates; the rest are ignored.
const ROOTS_LIMIT: usize = 8;

/// The content of `connection.json`: all parameters of a client.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Connection {
    version: u64,
    /// The name of the thing.
    pub thing_name: String,
    /// The MQTT client id.
    pub client_id: String,
    /// The id of the certificate, which the device reports. It may be missing in bundles from other tools.
    pub certificate_id: Option<String>,
    /// The host name of the MQTT endpoint.
    pub endpoint: String,
    /// The port for MQTT over mutual TLS.
    pub port: u16,
    pub(super) certificate: String,
    pub(super) private_key: String,
    root_cas: Vec<String>,
    /// The name of the file with the device model, if there is one.
    pub(super) device_model: Option<String>,
    /// The URL at which devices register themselves, if the bundle contains it.
    pub register: Option<String>,
    /// The topics of the thing's shadow.
    pub topics: Topics,
}

/// The topics of a classic shadow.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Topics {
    /// Requests the shadow.
    pub get: String,
    /// The response with the shadow.
    pub get_accepted: String,
    /// The response that there is no shadow, or that it could not be read.
    pub get_rejected: String,
    /// Updates the shadow.
    pub update: String,
    /// An update was accepted.
    pub update_accepted: String,
    /// An update was rejected.
    pub update_rejected: String,
    /// The differences between `desired` and `reported`.
    pub update_delta: String,
}

impl Connection {
    /// Parses `connection.json` and checks its version.
    pub(crate) fn read(json: &[u8]) -> Result<Self, BundleError> {
        let connection: Self = serde_json::from_slice(json).map_err(|error| match error.is_eof() {
            true => BundleError::CutOff(CONNECTION.to_owned()),
            false => BundleError::Connection(error),
        })?;
        if connection.version == VERSION { Ok(connection) } else { Err(BundleError::Version(connection.version)) }
    }

    /// The names of the other files of the bundle.
    pub(crate) fn file_names(&self) -> impl Iterator<Item = &str> {
        [&self.certificate, &self.private_key].into_iter().chain(self.roots()).chain(&self.device_model).map(String::as_str)
    }

    pub(super) fn roots(&self) -> impl Iterator<Item = &String> {
        self.root_cas.iter().take(ROOTS_LIMIT)
    }
}

//! The device model that was given to `setup`, reduced to the parts that the device needs.

use std::path::PathBuf;

use super::{Held, State, StateError};

pub(super) const MODEL: &str = "device.toml";

impl State {
    /// The path of the file with the device model.
    pub(crate) fn device_model_path(&self) -> PathBuf {
        self.path.join(MODEL)
    }

    /// The stored device model, in TOML.
    pub(crate) fn device_model(&self) -> Result<Option<String>, StateError> {
        Ok(self.read(MODEL)?.map(|toml| String::from_utf8_lossy(&toml).into_owned()))
    }
}

impl Held {
    /// Stores a device model, or replaces the stored one.
    pub(crate) fn keep_device_model(&self, toml: &str) -> Result<(), StateError> {
        self.disk.replace(&self.path, MODEL, toml.as_bytes()).map_err(self.failed())
    }

    /// Deletes the stored device model.
    pub(crate) fn drop_device_model(&self) -> Result<(), StateError> {
        self.remove(MODEL).map_err(self.failed())
    }
}

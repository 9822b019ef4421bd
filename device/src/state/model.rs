//! The device model that was named at the setup: the part of it that the device needs.

use std::path::PathBuf;

use super::{Held, State, StateError};

pub(super) const MODEL: &str = "device.toml";

impl State {
    /// Where it is.
    pub(crate) fn device_model_path(&self) -> PathBuf {
        self.path.join(MODEL)
    }

    /// The model, in TOML.
    pub(crate) fn device_model(&self) -> Result<Option<String>, StateError> {
        Ok(self.read(MODEL)?.map(|toml| String::from_utf8_lossy(&toml).into_owned()))
    }
}

impl Held {
    /// Keeps it in place of the one before.
    pub(crate) fn keep_device_model(&self, toml: &str) -> Result<(), StateError> {
        self.disk.replace(&self.path, MODEL, toml.as_bytes()).map_err(self.failed())
    }

    /// Takes it away.
    pub(crate) fn drop_device_model(&self) -> Result<(), StateError> {
        self.remove(MODEL).map_err(self.failed())
    }
}

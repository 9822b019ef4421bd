//! Renewed credentials on trial: they are in use, and the former ones stay until a server has let the device in with the new.
//!
//! `former` names the folder to go back to. It is written before `current` changes, so a device that loses its power in
//! between has one pair of credentials by two names, which is no trial.

use std::io;

use super::{CURRENT, Held, State, StateError, number};
use crate::bundle::files::Files;

pub(super) const FORMER: &str = "former";

impl State {
    /// The credentials to go back to, while others are on trial.
    pub(crate) fn former(&self) -> Result<Option<Files>, StateError> {
        let Some(name) = self.former_name()? else { return Ok(None) };
        let folder = self.path.join(name);
        Files::from_folder(&folder).map(Some).map_err(|error| StateError::Credentials(folder, error))
    }

    fn former_name(&self) -> Result<Option<String>, StateError> {
        let former = self.pointer(FORMER)?;
        Ok(if former == self.pointer(CURRENT)? { None } else { former })
    }
}

impl Held {
    /// Puts renewed credentials in the place of what is stored, on trial. Where some are on trial already, those go.
    pub(crate) fn renew(&self, files: &Files) -> Result<(), StateError> {
        let former = match self.former_name()? {
            Some(former) => Some(former),
            None => self.pointer(CURRENT)?,
        };
        let put = || {
            let name = self.lay_down(files)?;
            if let Some(former) = &former {
                self.point(FORMER, former)?;
            }
            self.point(CURRENT, &name)?;
            self.sweep(&[number(&name), former.as_deref().and_then(number)])
        };
        put().map_err(self.failed())
    }

    /// The trial is over: what is stored is good, and the former credentials go.
    pub(crate) fn confirm(&self) -> Result<(), StateError> {
        if self.pointer(FORMER)?.is_none() {
            return Ok(());
        }
        let current = self.pointer(CURRENT)?;
        let confirm = || {
            self.remove(FORMER)?;
            self.sweep(&[current.as_deref().and_then(number)])
        };
        confirm().map_err(self.failed())
    }

    /// The trial has failed: back to the former credentials. `None`, and nothing changes, where none are on trial.
    pub(crate) fn fall_back(&self) -> Result<Option<Files>, StateError> {
        // What cannot be used is not gone back to.
        let (Some(name), Some(files)) = (self.former_name()?, self.former()?) else { return Ok(None) };
        self.point(CURRENT, &name).map_err(self.failed())?;
        self.confirm()?;
        Ok(Some(files))
    }

    pub(super) fn point(&self, pointer: &str, name: &str) -> io::Result<()> {
        self.disk.replace(&self.path, pointer, format!("{name}\n").as_bytes())
    }
}

#[cfg(test)]
#[path = "trial_tests.rs"]
mod tests;

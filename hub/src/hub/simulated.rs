//! The simulated devices of a hub. A simulated device disconnects when another device connects as the same thing.

use std::sync::PoisonError;

use onething_device::printer::device::State;

use super::Hub;
use crate::mqtt::broker::backend::Notice;
use crate::sign_in::UserName;
use crate::simulator::devices::{DeviceError, DeviceRequest};

impl Hub {
    /// Applies a request to a user's simulated device, and returns the new state of the device.
    pub async fn request_device(&self, user: &UserName, request: DeviceRequest) -> Result<State, DeviceError> {
        let connects = matches!(request, DeviceRequest::Start { .. } | DeviceRequest::Connect);
        if connects && self.thing_of(user).is_some_and(|thing| self.is_elsewhere(thing.as_str())) {
            return Err(DeviceError::Elsewhere);
        }
        self.devices.request(user, request).await
    }

    /// Whether a device that is not simulated here is connected as this thing.
    pub fn is_elsewhere(&self, thing: &str) -> bool {
        self.presence.is_elsewhere(thing)
    }

    /// Follows the connections of clients until the hub stops. A simulated device disconnects when another device of the same
    /// thing takes its connection over.
    pub async fn follow_connections(&self) {
        let taken = self.noticed.lock().unwrap_or_else(PoisonError::into_inner).take();
        let (Some(mut noticed), mut ending) = (taken, self.ending()) else { return };
        loop {
            let notice = tokio::select! {
                notice = noticed.recv() => notice,
                _ = ending.wait_for(|ending| *ending) => None,
            };
            let Some(notice) = notice else { return };
            if let Err(error) = self.follow(&notice).await {
                tracing::warn!(step = "device", "{}", onething::fault::chain(&error));
            }
        }
    }

    async fn follow(&self, notice: &Notice) -> Result<(), DeviceError> {
        let Some(thing) = notice.thing.as_deref() else { return Ok(()) };
        let simulated = self.devices.user_of(thing);
        let wants = simulated.as_ref().is_some_and(|user| self.devices.state(user).connection.wants());
        let was_elsewhere = self.is_elsewhere(thing);
        if let (true, Some(user)) = (self.presence.note(notice, wants), &simulated) {
            self.devices.give_way(user).await?;
        }
        if was_elsewhere != self.is_elsewhere(thing) {
            self.skill.shadows.noticed(thing);
        }
        Ok(())
    }
}

//! The replacement for `gpio.rs` on systems without GPIO character devices.

use std::time::Duration;

use onething::device_model::GpioLine;

const NONE: &str = "GPIO lines are switched on Linux only";

/// Always the problem that GPIO lines are not supported here.
pub(super) fn lack(_line: &GpioLine) -> Option<String> {
    Some(NONE.to_owned())
}

/// The type that replaces the requested lines.
#[derive(Default)]
pub(super) struct Lines {}

impl Lines {
    /// Always an error.
    pub(super) async fn switch(&mut self, _line: &GpioLine, _on: bool, _limit: Duration) -> Result<(), String> {
        Err(NONE.to_owned())
    }
}

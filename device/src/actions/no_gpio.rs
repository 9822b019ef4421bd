//! Lines of a GPIO character device, where there are none.

use std::time::Duration;

use onething::device_model::GpioLine;

const NONE: &str = "GPIO lines are switched on Linux only";

/// Says that there are no lines here.
pub(super) fn lack(_line: &GpioLine) -> Option<String> {
    Some(NONE.to_owned())
}

/// No lines.
#[derive(Default)]
pub(super) struct Lines {}

impl Lines {
    /// Says that there are no lines here.
    pub(super) async fn switch(&mut self, _line: &GpioLine, _on: bool, _limit: Duration) -> Result<(), String> {
        Err(NONE.to_owned())
    }
}

//! Switches a line of a GPIO character device (<https://docs.kernel.org/userspace-api/gpio/chardev.html>).
//!
//! A line that has been switched stays requested as long as the agent runs: the kernel may restore the earlier state of a line
//! that is released. The line also stays requested when a slow switch exceeds its time limit, and when a later switch of the line
//! fails.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use onething::device_model::GpioLine;
use rustix::io::Errno;

use super::answer;
use super::run_blocking::run_blocking;

/// The consumer name under which the agent requests its lines.
const CONSUMER: &str = "onething";

/// The request of a line, or `None` before the first switch. The mutex is locked for the duration of a switch.
type Slot<T> = Arc<Mutex<Option<T>>>;

/// The lines that the agent has requested.
#[derive(Default)]
pub(super) struct Lines {
    held: BTreeMap<GpioLine, Slot<gpiocdev::Request>>,
}

impl Lines {
    /// Sets a line to `ON` or to `OFF`, and requests the line first if necessary.
    pub(super) async fn switch(&mut self, line: &GpioLine, on: bool, limit: Duration) -> Result<(), String> {
        let (slot, wanted) = (self.held.entry(line.clone()).or_default(), line.clone());
        held(slot, limit, move |held| put(held, &wanted, on)).await?.map_err(|error| why(line, &error))
    }
}

/// Runs `work` with the locked slot, for at most `limit`. A line of an expander on a slow bus may take long: `work` then
/// completes in the background, and the request that it makes is kept in the slot.
async fn held<T: Send + 'static, R: Send + 'static>(
    slot: &Slot<T>,
    limit: Duration,
    work: impl FnOnce(&mut Option<T>) -> R + Send + 'static,
) -> Result<R, String> {
    let slot = Arc::clone(slot);
    run_blocking(limit, move || work(&mut slot.lock().unwrap_or_else(PoisonError::into_inner))).await
}

/// Sets the line that is already requested, or requests the line with this value. The kernel maps active to high or low.
fn put(held: &mut Option<gpiocdev::Request>, line: &GpioLine, on: bool) -> Result<(), gpiocdev::Error> {
    let value = level(on);
    let Some(request) = held else {
        let mut request = gpiocdev::Request::builder();
        request.on_chip(&line.chip).with_consumer(CONSUMER).with_line(line.line).as_output(value);
        if line.active_low {
            request.as_active_low();
        }
        *held = Some(request.request()?);
        return Ok(());
    };
    let set = request.set_value(line.line, value);
    if set.as_ref().is_err_and(|error| errno(error) == Some(Errno::NODEV)) {
        // The chip was removed. When the chip is back, the line has to be requested again.
        *held = None;
    }
    set
}

/// Why a line could not be switched, as far as this can be determined without switching the line.
pub(super) fn lack(line: &GpioLine) -> Option<String> {
    let look = || {
        let chip = gpiocdev::Chip::from_path(&line.chip)?;
        if line.line >= chip.info()?.num_lines {
            return Ok(None);
        }
        chip.line_info(line.line).map(Some)
    };
    match look() {
        Ok(Some(info)) if info.used && info.consumer != CONSUMER => {
            Some(format!("line {} of `{}` is in use by {}", line.line, line.chip.display(), answer::plain(&info.consumer)))
        }
        Ok(Some(_)) => None,
        Ok(None) => Some(format!("`{}` has no line {}", line.chip.display(), line.line)),
        Err(error) => Some(why(line, &error)),
    }
}

fn errno(error: &gpiocdev::Error) -> Option<Errno> {
    match error {
        gpiocdev::Error::Os(errno) | gpiocdev::Error::Uapi(_, gpiocdev_uapi::Error::Os(errno)) => Some(Errno::from_raw_os_error(errno.0)),
        _ => None,
    }
}

fn level(on: bool) -> gpiocdev::line::Value {
    if on { gpiocdev::line::Value::Active } else { gpiocdev::line::Value::Inactive }
}

fn why(line: &GpioLine, error: &gpiocdev::Error) -> String {
    let (chip, number) = (line.chip.display(), line.line);
    match (errno(error), error) {
        (Some(Errno::NOENT), _) => format!("there is no GPIO chip `{chip}`"),
        (Some(Errno::ACCESS | Errno::PERM), _) => format!("the agent may not use `{chip}`"),
        (Some(Errno::BUSY), _) => format!("line {number} of `{chip}` is in use"),
        (Some(Errno::INVAL), _) => format!("`{chip}` has no line {number} that can be switched"),
        (Some(Errno::NOTTY | Errno::NODEV), _) | (_, gpiocdev::Error::GpioChip(..)) => format!("`{chip}` is no GPIO chip"),
        _ => format!("line {number} of `{chip}` could not be switched: {}", answer::plain(&error.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn refusal(chip: &str) -> String {
        let line = GpioLine { chip: chip.into(), line: 17, active_low: true };
        Lines::default().switch(&line, true, Duration::from_secs(10)).await.unwrap_err()
    }

    #[tokio::test]
    async fn a_missing_chip_is_an_error() {
        assert_eq!(refusal("/dev/gpiochip-of-nobody").await, "there is no GPIO chip `/dev/gpiochip-of-nobody`");
    }

    #[tokio::test]
    async fn a_file_that_is_no_chip_is_an_error() {
        assert_eq!(refusal("/dev/null").await, "`/dev/null` is no GPIO chip");
        assert_eq!(refusal("/etc/hostname").await, "`/etc/hostname` is no GPIO chip");
        assert_eq!(refusal("/").await, "`/` is no GPIO chip");
    }

    #[tokio::test]
    async fn a_slow_line_is_kept_after_the_time_limit() {
        let slot = Slot::default();
        let (goes_on, waits) = std::sync::mpsc::channel::<()>();
        let slow = move |held: &mut Option<&'static str>| {
            waits.recv().unwrap();
            *held = Some("the line");
        };
        assert_eq!(held(&slot, Duration::from_millis(1), slow).await.unwrap_err(), "it took longer than 0 seconds");
        goes_on.send(()).unwrap();
        // The next caller may lock the slot before the slow one does.
        loop {
            if held(&slot, Duration::from_secs(10), |held| *held).await.unwrap().is_some() {
                break;
            }
        }
    }

    #[test]
    fn on_is_active_and_off_is_not() {
        use gpiocdev::line::Value;

        assert_eq!((level(true), level(false)), (Value::Active, Value::Inactive));
    }

    #[test]
    fn an_error_number_becomes_a_sentence() {
        let line = GpioLine { chip: "/dev/gpiochip0".into(), line: 17, active_low: false };
        let told = |errno: rustix::io::Errno| why(&line, &gpiocdev::Error::Os(gpiocdev_uapi::Errno(errno.raw_os_error())));
        assert_eq!(told(rustix::io::Errno::BUSY), "line 17 of `/dev/gpiochip0` is in use");
        assert_eq!(told(rustix::io::Errno::ACCESS), "the agent may not use `/dev/gpiochip0`");
        assert_eq!(told(rustix::io::Errno::INVAL), "`/dev/gpiochip0` has no line 17 that can be switched");
    }
}

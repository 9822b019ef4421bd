//! The sensors that are read at intervals: a program, a server, or a file.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use onething::device_model::{DeviceReport, ReportSource};
use onething::https::Https;
use rustix::fs::OFlags;
use serde_json::json;
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::Sensor;
use crate::actions::{ask_program, ask_server};

/// The time limit for reading a file, which may be on a slow bus.
const FILE_LIMIT: Duration = Duration::from_secs(5);
/// The largest part of a file that is read, in bytes; a value is shorter.
const CONTENT_LIMIT: u64 = 64 * 1024;

/// Measures for ever: at once, and then at the interval. Measurements do not overlap, even if one takes longer than the interval.
pub(super) async fn measure(mut sensor: Sensor, report: DeviceReport) {
    let Some(every) = report.every else { return };
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut client = None;
    loop {
        ticks.tick().await;
        // The sample gets the time of the request, even if the response takes long.
        let at = Instant::now();
        match ask(&sensor, &report, &mut client).await {
            Ok(said) => sensor.take(&said, at).await,
            Err(why) => sensor.complain(&why),
        }
    }
}

async fn ask(sensor: &Sensor, report: &DeviceReport, client: &mut Option<Https>) -> Result<Vec<u8>, String> {
    match &report.source {
        ReportSource::Program { path, args } => {
            let input = json!({"report": sensor.property}).to_string();
            ask_program(path, args, &input, &sensor.thing, report.limit).await
        }
        ReportSource::Http(url) => ask_server(client.get_or_insert_default(), url, report.limit).await,
        ReportSource::File { path, map, factor } => {
            let content = read_file(path).await?;
            value(&content, map, *factor)
                .map(String::into_bytes)
                .ok_or_else(|| format!("`{}` holds what is no value: {content:?}", path.display()))
        }
        ReportSource::Stream { .. } | ReportSource::Pushed => std::future::pending().await,
    }
}

async fn read_file(path: &Path) -> Result<String, String> {
    let place = path.to_owned();
    let read = move || {
        let mut content = Vec::new();
        // Without `O_NONBLOCK`, opening a pipe that has no writer would block the thread for ever.
        let file = OpenOptions::new().read(true).custom_flags(OFlags::NONBLOCK.bits().cast_signed()).open(&place)?;
        file.take(CONTENT_LIMIT).read_to_end(&mut content)?;
        Ok::<_, std::io::Error>(content)
    };
    let content =
        crate::actions::run_blocking(FILE_LIMIT, read).await?.map_err(|error| format!("`{}` cannot be read: {error}", path.display()))?;
    Ok(String::from_utf8_lossy(&content).trim().to_owned())
}

/// Translates the content of a file to a value of the property.
fn value(content: &str, map: &BTreeMap<String, String>, factor: f64) -> Option<String> {
    if !map.is_empty() {
        return map.iter().find(|(_, held)| held.trim() == content).map(|(value, _)| value.clone());
    }
    if factor == 1.0 {
        return Some(content.to_owned());
    }
    let number: f64 = content.parse().ok()?;
    // The result is rounded, because the product of two decimal numbers may have superfluous digits.
    Some(((number * factor * 1e6).round() / 1e6).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_content_of_a_file_is_mapped_or_scaled() {
        let map = BTreeMap::from([("ON".to_owned(), "1\n".to_owned()), ("OFF".to_owned(), "0".to_owned())]);
        assert_eq!(value("1", &map, 1.0).as_deref(), Some("ON"));
        assert_eq!(value("2", &map, 1.0), None);
        assert_eq!(value("48312", &BTreeMap::new(), 0.001).as_deref(), Some("48.312"));
        assert_eq!(value("warm", &BTreeMap::new(), 0.001), None);
        assert_eq!(value("warm", &BTreeMap::new(), 1.0).as_deref(), Some("warm"));
    }
}

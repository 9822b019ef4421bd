//! A program that runs continuously: each line of its output is a report. When it has ended it is started again, with growing
//! pauses.

use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::time::{Instant, sleep, sleep_until};

use super::Sensor;
use super::reading::{self, Reading};
use crate::actions::program::{Running, fault};
use crate::connection::pause::{FIRST, doubled};

/// The largest length of a line, in bytes; a longer line is not a report.
const LINE_LIMIT: usize = 64 * 1024;
const CHUNK: usize = 4 * 1024;
/// The least time between two samples. Lines within this time are merged: the newest value of each property counts.
const BETWEEN: Duration = Duration::from_millis(100);
const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// A program that has run for this time starts again with the short pauses.
const GOOD: Duration = Duration::from_secs(60);

/// Runs the program again and again, for ever.
pub(super) async fn follow(mut sensor: Sensor, path: String, args: Vec<String>) {
    let mut failures = 0_u32;
    loop {
        let begun = Instant::now();
        let why = match Running::start(&path, &args, "", &sensor.thing) {
            Err(error) => fault(&path, &error),
            Ok((program, _)) => run(&mut sensor, program).await,
        };
        sensor.complain(&why);
        if begun.elapsed() >= GOOD {
            failures = 0;
        }
        sleep(doubled(FIRST, failures, LONGEST_WAIT)).await;
        failures = failures.saturating_add(1);
    }
}

/// Runs the program once, and returns why it has ended.
async fn run(sensor: &mut Sensor, mut program: Running) -> String {
    let Some(stdout) = program.output() else { return "its output cannot be read".to_owned() };
    let is_too_long = listen(sensor, stdout).await;
    let end = program.stop().await;
    if is_too_long { format!("a line has more than {LINE_LIMIT} bytes") } else { end }
}

/// Reads the output to its end. Returns whether a line was too long.
async fn listen(sensor: &mut Sensor, mut stdout: impl AsyncRead + Unpin) -> bool {
    let (mut line, mut chunk) = (Vec::new(), vec![0; CHUNK]);
    let mut pending: Option<(Reading, Instant)> = None;
    let mut due = Instant::now();
    loop {
        tokio::select! {
            read = stdout.read(&mut chunk) => {
                let length = read.unwrap_or_default();
                let at = Instant::now();
                for byte in chunk.iter().take(length) {
                    if *byte != b'\n' {
                        line.push(*byte);
                        continue;
                    }
                    take(sensor, &line, at, &mut pending);
                    line.clear();
                }
                if line.len() > LINE_LIMIT {
                    return true;
                }
                if length == 0 {
                    take(sensor, &line, at, &mut pending);
                    if let Some((reading, at)) = pending.take() {
                        sensor.hand_over(reading, at).await;
                    }
                    return false;
                }
            }
            () = sleep_until(due), if pending.is_some() => {
                if let Some((reading, at)) = pending.take() {
                    sensor.hand_over(reading, at).await;
                }
                due = Instant::now() + BETWEEN;
            }
        }
    }
}

/// Merges a line into the pending sample. An empty line is ignored.
fn take(sensor: &mut Sensor, line: &[u8], at: Instant, pending: &mut Option<(Reading, Instant)>) {
    if line.trim_ascii().is_empty() {
        return;
    }
    match reading::read(line, &sensor.property, &sensor.properties) {
        Ok(reading) => {
            let (together, newest) = pending.get_or_insert_with(|| (Reading::default(), at));
            together.properties.extend(reading.properties);
            together.invalid_reports = reading.invalid_reports;
            *newest = at;
        }
        Err(why) => sensor.complain(&why),
    }
}

//! The measurements of the device: the tables `[report.…]` of `device.toml`, one for each property.
//!
//! As with actions, only the agent on the device performs them, and they never leave the device. The skill uses them to know
//! which properties are measured. A measured value becomes old if no new one is reported.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

use super::action::{LIMITS, LoopbackUrl, half_a_minute, is_absolute, loopback, program_of};
use super::faults::Faults;
use super::{Property, ValueKind};

/// How the values of a property are measured.
#[derive(Clone, Debug, PartialEq)]
pub struct DeviceReport {
    /// The source of the values.
    pub source: ReportSource,
    /// The interval between two values. `None` if the source itself decides when there is a value.
    pub every: Option<Duration>,
    /// The time limit of a program or a server. A measurement that takes longer has failed.
    pub limit: Duration,
}

/// The sources of values.
#[derive(Clone, Debug, PartialEq)]
pub enum ReportSource {
    /// A program that prints a value, or a JSON object of properties, and exits.
    Program {
        /// The absolute path of the program.
        path: String,
        /// The arguments of the program.
        args: Vec<String>,
    },
    /// A program that keeps running and prints a value, or a JSON object of properties, on each line.
    Stream {
        /// The absolute path of the program.
        path: String,
        /// The arguments of the program.
        args: Vec<String>,
    },
    /// A server on the device that answers a GET request.
    Http(LoopbackUrl),
    /// A file that contains the value.
    File {
        /// The absolute path of the file.
        path: PathBuf,
        /// The content of the file for each value. If the map is empty, the content is the value itself.
        map: BTreeMap<String, String>,
        /// The factor by which a number in the file is multiplied.
        factor: f64,
    },
    /// Any program that calls `onething-device report`.
    Pushed,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawReport {
    run: Option<Vec<String>>,
    stream: Option<Vec<String>>,
    http: Option<String>,
    file: Option<PathBuf>,
    map: Option<BTreeMap<String, String>>,
    factor: Option<f64>,
    every: Option<i64>,
    timeout: Option<i64>,
}

/// Validates the reports. Adds a fault for each report that belongs to no property or that cannot be performed.
pub(super) fn reports(
    raw: BTreeMap<String, RawReport>,
    properties: &BTreeMap<String, Property>,
    faults: &mut Faults,
) -> BTreeMap<String, DeviceReport> {
    let mut reports = BTreeMap::new();
    for (name, raw) in raw {
        let place = format!("report.{name}");
        let known = properties.get(&name);
        faults.check(known.is_some(), &place, format_args!("there is no property `{name}`"));
        if let Some(report) = report(&place, raw, known.map(|property| &property.kind), faults) {
            reports.insert(name, report);
        }
    }
    reports
}

fn report(place: &str, raw: RawReport, kind: Option<&ValueKind>, faults: &mut Faults) -> Option<DeviceReport> {
    let mut seconds = |key: &str, value: Option<i64>| {
        let seconds = value.map(|value| u64::try_from(value).ok().filter(|seconds| LIMITS.contains(seconds)));
        let good = seconds != Some(None);
        faults.check(good, place, format_args!("`{key}` must be from {} to {} seconds", LIMITS.start(), LIMITS.end()));
        seconds.flatten().map(Duration::from_secs)
    };
    let every = seconds("every", raw.every);
    let limit = seconds("timeout", Some(raw.timeout.unwrap_or_else(half_a_minute)))?;
    let is_asked = raw.run.is_some() || raw.http.is_some();
    faults.check(
        !is_asked && raw.file.is_none() || raw.every.is_some(),
        place,
        "`every` is missing: the seconds from one value to the next",
    );
    faults.check(
        raw.stream.is_none() || raw.every.is_none(),
        place,
        "`every` is not for a `stream`, which says by itself when there is a value",
    );
    faults.check(raw.timeout.is_none() || is_asked, place, "`timeout` goes with `run` and `http`");
    faults.check(raw.map.is_none() || raw.file.is_some(), place, "`map` goes with `file`");
    faults.check(raw.factor.is_none() || raw.file.is_some(), place, "`factor` goes with `file`");
    let source = match (raw.run, raw.stream, raw.http, raw.file) {
        (Some(run), None, None, None) => {
            let (path, args) = program_of(place, "run", run, faults)?;
            ReportSource::Program { path, args }
        }
        (None, Some(stream), None, None) => {
            let (path, args) = program_of(place, "stream", stream, faults)?;
            ReportSource::Stream { path, args }
        }
        (None, None, Some(url), None) => ReportSource::Http(loopback(place, &url, faults)?),
        (None, None, None, Some(path)) => {
            faults.check(is_absolute(&path), place, "`file` must be an absolute path");
            let map = raw.map.unwrap_or_default();
            if let Some(kind) = kind {
                check_map(place, &map, kind, faults);
                let is_number = matches!(kind, ValueKind::Number { .. });
                faults.check(raw.factor.is_none() || is_number, place, "`factor` is for a number");
            }
            faults.check(raw.factor.is_none_or(|factor| factor.is_finite() && factor != 0.0), place, "`factor` must not be 0");
            ReportSource::File { path, map, factor: raw.factor.unwrap_or(1.0) }
        }
        (None, None, None, None) => ReportSource::Pushed,
        _ => {
            faults.add(place, "needs at most one of `run`, `stream`, `http` and `file`");
            return None;
        }
    };
    Some(DeviceReport { source, every, limit })
}

/// Checks that the map only has values of the property, each with a different content.
fn check_map(place: &str, map: &BTreeMap<String, String>, kind: &ValueKind, faults: &mut Faults) {
    let values = match kind {
        _ if map.is_empty() => return,
        ValueKind::Switch => vec!["ON".to_owned(), "OFF".to_owned()],
        ValueKind::Choice { values } => values.clone(),
        ValueKind::Text { .. } | ValueKind::Number { .. } => return faults.add(place, "`map` is for a switch or a choice"),
    };
    let mut contents = BTreeSet::new();
    for (value, content) in map {
        faults.check(values.contains(value), place, format_args!("`map.{value}` is for a value it cannot have"));
        faults.check(contents.insert(content.trim()), place, format_args!("`map` has {content:?} twice"));
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Model, ModelError};
    use super::*;

    const PLANT: &str = "[device]\nname = \"plant\"\ninvocation = \"my plant\"\nthing_type = \"plant\"\nthing_prefix = \"Plant-\"\n\
        [property.moisture]\ntype = \"number\"\nmin = 0\nmax = 100\nwritten_by = \"device\"\n\
        [property.door]\ntype = \"switch\"\nwritten_by = \"device\"\n";

    fn faults(rest: &str) -> Vec<String> {
        match Model::parse(&format!("{PLANT}{rest}")) {
            Ok(_) => Vec::new(),
            Err(ModelError(faults)) => faults,
        }
    }

    #[test]
    fn a_report_has_one_of_five_sources() {
        let model = Model::parse(&format!(
            "{PLANT}[property.a]\ntype = \"switch\"\n[property.b]\ntype = \"switch\"\n[property.c]\ntype = \"switch\"\n\
             [report.moisture]\nrun = [\"/bin/moisture\", \"-1\"]\nevery = 60\ntimeout = 5\n\
             [report.door]\nfile = \"/sys/door\"\nmap = {{ ON = \"1\", OFF = \"0\" }}\nevery = 1\n\
             [report.a]\nhttp = \"http://localhost:5000/a\"\nevery = 86400\n[report.b]\nstream = [\"/bin/b\"]\n[report.c]\n"
        ));
        let model = model.unwrap();
        let source = |name: &str| model.reports[name].source.clone();
        assert_eq!(source("moisture"), ReportSource::Program { path: "/bin/moisture".into(), args: vec!["-1".into()] });
        assert_eq!(
            (model.reports["moisture"].every, model.reports["moisture"].limit),
            (Some(Duration::from_secs(60)), Duration::from_secs(5))
        );
        assert!(matches!(source("door"), ReportSource::File { map, .. } if map["ON"] == "1"));
        assert!(matches!(source("a"), ReportSource::Http(_)));
        assert_eq!((source("b"), source("c")), (ReportSource::Stream { path: "/bin/b".into(), args: vec![] }, ReportSource::Pushed));
        assert_eq!(Model::parse(&model.device_part).unwrap().reports, model.reports);
    }

    #[test]
    fn every_fault_of_a_report_is_reported_with_its_place() {
        for (rest, told) in [
            ("[report.humidity]\n", "report.humidity: there is no property `humidity`"),
            ("[report.moisture]\nrun = [\"/bin/m\"]\n", "report.moisture: `every` is missing: the seconds from one value to the next"),
            ("[report.moisture]\nrun = [\"/bin/m\"]\nevery = 0\n", "report.moisture: `every` must be from 1 to 86400 seconds"),
            ("[report.moisture]\nrun = [\"/bin/m\"]\nevery = 86401\n", "report.moisture: `every` must be from 1 to 86400 seconds"),
            ("[report.moisture]\nrun = [\"m\"]\nevery = 9\n", "report.moisture: `run` must begin with the absolute path of a program"),
            ("[report.moisture]\nstream = []\n", "report.moisture: `stream` must begin with the absolute path of a program"),
            (
                "[report.moisture]\nstream = [\"/bin/m\"]\nevery = 9\n",
                "report.moisture: `every` is not for a `stream`, which says by itself when there is a value",
            ),
            (
                "[report.moisture]\nhttp = \"http://example.com/\"\nevery = 9\n",
                "report.moisture: `http` must be an http:// address of 127.0.0.0/8, [::1] or localhost",
            ),
            (
                "[report.moisture]\nfile = \"/x\"\nrun = [\"/bin/m\"]\nevery = 9\n",
                "report.moisture: needs at most one of `run`, `stream`, `http` and `file`",
            ),
            ("[report.moisture]\nfile = \"x\"\nevery = 9\n", "report.moisture: `file` must be an absolute path"),
            ("[report.moisture]\nfile = \"/x\"\nevery = 9\nfactor = 0\n", "report.moisture: `factor` must not be 0"),
            ("[report.door]\nfile = \"/x\"\nevery = 9\nfactor = 2\n", "report.door: `factor` is for a number"),
            ("[report.door]\nfile = \"/x\"\nevery = 9\nmap = { open = \"1\" }\n", "report.door: `map.open` is for a value it cannot have"),
            ("[report.door]\nfile = \"/x\"\nevery = 9\nmap = { ON = \"1\", OFF = \"1 \" }\n", "report.door: `map` has \"1\" twice"),
            ("[report.moisture]\nfile = \"/x\"\nevery = 9\ntimeout = 3\n", "report.moisture: `timeout` goes with `run` and `http`"),
        ] {
            assert_eq!(faults(rest), [told], "{rest}");
        }
        assert!(faults("[report.moisture]\nrunn = [\"/bin/m\"]\n")[0].contains("runn"));
    }
}

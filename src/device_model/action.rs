//! What the device runs when a property is set or a command comes: the tables `[action.…]` of `device.toml`.
//!
//! They are read here because the file is one for both sides; only the agent on the device performs them. Nothing in them
//! reaches beyond the device: programs and files by absolute path, HTTP on loopback.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;

use super::faults::Faults;
use super::{CommandRule, Property, ValueKind};

/// In seconds.
pub(super) const LIMITS: std::ops::RangeInclusive<u64> = 1..=86_400;

/// What the device does, by what is wanted of it.
#[derive(Clone, Debug, Default)]
pub struct Actions {
    /// When a property is set.
    pub properties: BTreeMap<String, DeviceAction>,
    /// When a command comes.
    pub commands: BTreeMap<String, DeviceAction>,
}

/// What the device does about a property or a command.
#[derive(Clone, Debug, PartialEq)]
pub struct DeviceAction {
    /// How it is done.
    pub means: Means,
    /// After this time it has failed.
    pub limit: Duration,
}

/// How an action is done.
#[derive(Clone, Debug, PartialEq)]
pub enum Means {
    /// A program runs, never through a shell.
    Program {
        /// Its absolute path.
        path: String,
        /// Its arguments.
        args: Vec<String>,
    },
    /// A server on the device is asked by POST.
    Http(LoopbackUrl),
    /// A line is switched.
    Gpio(GpioLine),
    /// The value is written into a file, a device or a pipe that is there.
    File {
        /// Its absolute path.
        path: PathBuf,
        /// What is written for a value; empty for the value itself.
        map: BTreeMap<String, String>,
    },
}

/// A line of a GPIO character device.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, PartialOrd, Ord)]
#[serde(deny_unknown_fields)]
pub struct GpioLine {
    /// Such as `/dev/gpiochip0`.
    pub chip: PathBuf,
    /// The offset of the line on its chip.
    pub line: u32,
    /// Whether `ON` is the low level.
    #[serde(default)]
    pub active_low: bool,
}

/// An `http://` address of this machine itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoopbackUrl {
    /// As the maker wrote it.
    url: String,
    authority: String,
    addresses: Vec<IpAddr>,
    port: u16,
    path: String,
}

impl LoopbackUrl {
    /// Takes `http://` with a host of 127.0.0.0/8, `[::1]` or `localhost`, and no user in it.
    pub fn parse(url: &str) -> Option<Self> {
        let uri: http::Uri = url.parse().ok()?;
        let authority = uri.authority().filter(|authority| !authority.as_str().contains('@'))?;
        let host = authority.host();
        // `localhost` is not looked up: whatever a resolver says, it is this machine. Some servers listen on one of the two only.
        let addresses = if host.eq_ignore_ascii_case("localhost") {
            vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()]
        } else {
            vec![host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>().ok().filter(IpAddr::is_loopback)?]
        };
        let port = match authority.as_str().strip_prefix(host)? {
            "" => 80,
            port => port.strip_prefix(':')?.parse().ok().filter(|port| *port != 0)?,
        };
        let path = uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
        let is_http = uri.scheme() == Some(&http::uri::Scheme::HTTP);
        is_http.then(|| Self { url: url.to_owned(), authority: authority.to_string(), addresses, port, path })
    }

    /// As the maker wrote it.
    pub fn as_str(&self) -> &str {
        &self.url
    }

    /// What goes into the header `Host`.
    pub fn authority(&self) -> &str {
        &self.authority
    }

    /// Where the server listens, to be tried in this order.
    pub fn addresses(&self) -> impl Iterator<Item = std::net::SocketAddr> {
        self.addresses.iter().map(|ip| std::net::SocketAddr::new(*ip, self.port))
    }

    /// The same by number, to be tried in this order.
    pub fn by_address(&self) -> impl Iterator<Item = String> {
        self.addresses().map(|address| format!("http://{address}{}", self.path))
    }
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawActions {
    #[serde(default)]
    property: BTreeMap<String, RawAction>,
    #[serde(default)]
    command: BTreeMap<String, RawAction>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawAction {
    run: Option<Vec<String>>,
    http: Option<String>,
    gpio: Option<GpioLine>,
    file: Option<PathBuf>,
    map: Option<BTreeMap<String, String>>,
    #[serde(default = "half_a_minute")]
    timeout: i64,
}

pub(super) fn half_a_minute() -> i64 {
    30
}

/// The actions, with a fault for every one that is for nothing or cannot be performed.
pub(super) fn actions(
    raw: RawActions,
    properties: &BTreeMap<String, Property>,
    commands: &BTreeMap<String, CommandRule>,
    faults: &mut Faults,
) -> Actions {
    let mut actions = Actions::default();
    let mut lines = BTreeSet::new();
    for (name, raw) in raw.property {
        let place = format!("action.property.{name}");
        let known = properties.get(&name);
        faults.check(known.is_some(), &place, format_args!("there is no property `{name}`"));
        faults.check(known.is_none_or(|p| !p.reported_only), &place, format_args!("property `{name}` is written by the device only"));
        if let Some(gpio) = &raw.gpio {
            let free = lines.insert((gpio.chip.clone(), gpio.line));
            faults.check(free, &place, format_args!("line {} of {} is another property's", gpio.line, gpio.chip.display()));
        }
        if let Some(action) = action(&place, raw, known.map(|property| &property.kind), faults) {
            actions.properties.insert(name, action);
        }
    }
    for (name, raw) in raw.command {
        let place = format!("action.command.{name}");
        faults.check(commands.contains_key(&name), &place, format_args!("there is no command `{name}`"));
        faults.check(raw.gpio.is_none(), &place, "`gpio` is for properties: a command has no value");
        faults.check(raw.file.is_none(), &place, "`file` is for properties: a command has no value");
        if let Some(action) = action(&place, raw, None, faults) {
            actions.commands.insert(name, action);
        }
    }
    actions
}

fn action(place: &str, raw: RawAction, kind: Option<&ValueKind>, faults: &mut Faults) -> Option<DeviceAction> {
    let seconds = u64::try_from(raw.timeout).ok().filter(|seconds| LIMITS.contains(seconds));
    faults.check(seconds.is_some(), place, format_args!("`timeout` must be from {} to {} seconds", LIMITS.start(), LIMITS.end()));
    faults.check(raw.map.is_none() || raw.file.is_some(), place, "`map` goes with `file`");
    let means = match (raw.run, raw.http, raw.gpio, raw.file) {
        (Some(run), None, None, None) => {
            let (path, args) = program_of(place, "run", run, faults)?;
            Means::Program { path, args }
        }
        (None, Some(url), None, None) => Means::Http(loopback(place, &url, faults)?),
        (None, None, Some(line), None) => {
            faults.check(matches!(kind, None | Some(ValueKind::Switch)), place, "`gpio` is for a switch");
            faults.check(is_absolute(&line.chip), place, "`gpio.chip` must be an absolute path");
            Means::Gpio(line)
        }
        (None, None, None, Some(path)) => {
            faults.check(is_absolute(&path), place, "`file` must be an absolute path");
            if let (Some(map), Some(kind)) = (&raw.map, kind) {
                check_map(place, map, kind, faults);
            }
            Means::File { path, map: raw.map.unwrap_or_default() }
        }
        _ => {
            faults.add(place, "needs exactly one of `run`, `http`, `gpio` and `file`");
            return None;
        }
    };
    Some(DeviceAction { means, limit: Duration::from_secs(seconds?) })
}

/// A program's path, and its arguments.
pub(super) fn program_of(place: &str, key: &str, run: Vec<String>, faults: &mut Faults) -> Option<(String, Vec<String>)> {
    faults.check(run.iter().all(|part| !part.contains('\0')), place, format_args!("`{key}` must not hold a zero byte"));
    let mut parts = run.into_iter();
    let path = parts.next().filter(|path| is_absolute(Path::new(path)));
    faults.check(path.is_some(), place, format_args!("`{key}` must begin with the absolute path of a program"));
    Some((path?, parts.collect()))
}

/// The address of a server on this machine.
pub(super) fn loopback(place: &str, url: &str, faults: &mut Faults) -> Option<LoopbackUrl> {
    let url = LoopbackUrl::parse(url);
    faults.check(url.is_some(), place, "`http` must be an http:// address of 127.0.0.0/8, [::1] or localhost");
    url
}

/// A map says what is written for each value, or for none.
fn check_map(place: &str, map: &BTreeMap<String, String>, kind: &ValueKind, faults: &mut Faults) {
    let values = match kind {
        ValueKind::Switch => vec!["ON".to_owned(), "OFF".to_owned()],
        ValueKind::Choice { values } => values.clone(),
        ValueKind::Text { .. } | ValueKind::Number { .. } => return faults.add(place, "`map` is for a switch or a choice"),
    };
    for value in &values {
        faults.check(map.contains_key(value), place, format_args!("`map` has nothing for `{value}`"));
    }
    for value in map.keys() {
        faults.check(values.contains(value), place, format_args!("`map.{value}` is for a value it cannot have"));
    }
}

/// As on the device, which is no Windows machine, whatever the model is read on.
pub(super) fn is_absolute(path: &Path) -> bool {
    path.to_str().is_some_and(|path| path.starts_with('/') && !path.contains('\0'))
}

#[cfg(test)]
#[path = "action_tests.rs"]
mod tests;

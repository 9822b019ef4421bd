//! The actions of the device for properties and commands: the tables `[action.…]` of `device.toml`.
//!
//! The skill and the agent share this file, so this module parses the actions for both. Only the agent performs them. An action
//! never leaves the device: programs and files have absolute paths, and HTTP only uses loopback addresses.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;

use super::faults::Faults;
use super::{CommandRule, Property, ValueKind};

/// The allowed range of `timeout` and `every`, in seconds.
pub(super) const LIMITS: std::ops::RangeInclusive<u64> = 1..=86_400;

/// The actions of a device.
#[derive(Clone, Debug, Default)]
pub struct Actions {
    /// The action that sets a property, by property.
    pub properties: BTreeMap<String, DeviceAction>,
    /// The action that performs a command, by command.
    pub commands: BTreeMap<String, DeviceAction>,
}

/// The action for a property or a command.
#[derive(Clone, Debug, PartialEq)]
pub struct DeviceAction {
    /// How the action is performed.
    pub means: Means,
    /// The time limit. An action that takes longer has failed.
    pub limit: Duration,
}

/// The ways to perform an action.
#[derive(Clone, Debug, PartialEq)]
pub enum Means {
    /// Runs a program, without a shell.
    Program {
        /// The absolute path of the program.
        path: String,
        /// The arguments of the program.
        args: Vec<String>,
    },
    /// Sends a POST request to a server on the device.
    Http(LoopbackUrl),
    /// Sets a GPIO line.
    Gpio(GpioLine),
    /// Writes the value into an existing file, device or pipe.
    File {
        /// The absolute path of the file.
        path: PathBuf,
        /// The content for each value. If the map is empty, the value itself is written.
        map: BTreeMap<String, String>,
    },
}

/// A line of a GPIO character device.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, PartialOrd, Ord)]
#[serde(deny_unknown_fields)]
pub struct GpioLine {
    /// The path of the chip, such as `/dev/gpiochip0`.
    pub chip: PathBuf,
    /// The offset of the line on the chip.
    pub line: u32,
    /// Whether `ON` is the low level.
    #[serde(default)]
    pub active_low: bool,
}

/// An `http://` URL with a loopback address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoopbackUrl {
    url: String,
    authority: String,
    addresses: Vec<IpAddr>,
    port: u16,
    path: String,
}

impl LoopbackUrl {
    /// Parses `http://` with a host in 127.0.0.0/8, `[::1]` or `localhost`. A URL with user information is invalid.
    pub fn parse(url: &str) -> Option<Self> {
        let uri: http::Uri = url.parse().ok()?;
        let authority = uri.authority().filter(|authority| !authority.as_str().contains('@'))?;
        let host = authority.host();
        // `localhost` is not resolved, so that no resolver can name another machine. Both addresses are used, because some
        // servers listen on only one of them.
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

    /// The URL as written in the device model.
    pub fn as_str(&self) -> &str {
        &self.url
    }

    /// The value of the header `Host`.
    pub fn authority(&self) -> &str {
        &self.authority
    }

    /// The socket addresses of the server, in the order in which they are tried.
    pub fn addresses(&self) -> impl Iterator<Item = std::net::SocketAddr> {
        self.addresses.iter().map(|ip| std::net::SocketAddr::new(*ip, self.port))
    }

    /// The URLs with numeric addresses, in the order in which they are tried.
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

/// Validates the actions. Adds a fault for each action that belongs to no property or command, or that cannot be performed.
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

/// The path of a program and its arguments.
pub(super) fn program_of(place: &str, key: &str, run: Vec<String>, faults: &mut Faults) -> Option<(String, Vec<String>)> {
    faults.check(run.iter().all(|part| !part.contains('\0')), place, format_args!("`{key}` must not hold a zero byte"));
    let mut parts = run.into_iter();
    let path = parts.next().filter(|path| is_absolute(Path::new(path)));
    faults.check(path.is_some(), place, format_args!("`{key}` must begin with the absolute path of a program"));
    Some((path?, parts.collect()))
}

/// The URL of a server on the device.
pub(super) fn loopback(place: &str, url: &str, faults: &mut Faults) -> Option<LoopbackUrl> {
    let url = LoopbackUrl::parse(url);
    faults.check(url.is_some(), place, "`http` must be an http:// address of 127.0.0.0/8, [::1] or localhost");
    url
}

/// Checks that the map has an entry for each value of the property, and no other entries.
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

/// Whether a path is absolute on the device. The device never runs Windows, but this code may.
pub(super) fn is_absolute(path: &Path) -> bool {
    path.to_str().is_some_and(|path| path.starts_with('/') && !path.contains('\0'))
}

#[cfg(test)]
#[path = "action_tests.rs"]
mod tests;

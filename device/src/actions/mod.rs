//! Performs the actions of `device.toml` when a property is set or a command arrives: a program, an HTTP request on loopback, a
//! GPIO line, or a file.
//!
//! Every action ends within its time limit: done, refused or failed. If the future of a running action is dropped, the action is
//! ended with every process of its group. The input of the owner reaches a program as JSON on standard input and a server as JSON
//! in the body, never as a part of a command line. The size of the output is limited, and only values that fit the device model
//! are reported.

mod answer;
mod file;
#[cfg_attr(not(target_os = "linux"), path = "no_gpio.rs")]
mod gpio;
mod http;
mod marked;
pub(crate) mod program;
mod run_blocking;
mod unknown;
pub(crate) mod unmet_requirements;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use onething::device_model::{Argument, CommandRule, DeviceAction, LoopbackUrl, Means, Model, Property};
use onething::https::Https;
use serde_json::{Map, Value, json};
use tokio::sync::Notify;

use self::answer::Answer;
pub(crate) use self::answer::{InvalidReport, invalid_report, read as read_answer};
use self::gpio::Lines;
pub(crate) use self::run_blocking::run_blocking;
pub(crate) use self::unknown::UnknownDevice;
use crate::agent::{Command, Perform, Performed};

/// The largest output of an action, in bytes.
const ANSWER_LIMIT: usize = 64 * 1024;

/// Why an action has failed.
#[derive(Debug, PartialEq)]
pub(crate) struct Failed {
    /// The reason for the owner.
    why: String,
    /// How the action ended, such as an exit status. It is written to the log if `why` does not contain it.
    end: Option<String>,
}

impl From<String> for Failed {
    fn from(why: String) -> Self {
        Self { why, end: None }
    }
}

/// The actions of a device, which implement [`Perform`].
pub(crate) struct Actions {
    thing: String,
    properties: BTreeMap<String, Property>,
    commands: BTreeMap<String, CommandRule>,
    actions: onething::device_model::Actions,
    lines: Lines,
    /// Created at the first use: many devices have no HTTP actions.
    client: Option<Https>,
    /// Stops the action of the command that is running.
    stop: Arc<Notify>,
}

impl Actions {
    /// The actions of a device model, for the thing of this name.
    pub(crate) fn new(model: &Model, thing: &str) -> Self {
        Self {
            thing: thing.to_owned(),
            properties: model.properties.clone(),
            commands: model.commands.clone(),
            actions: model.actions.clone(),
            lines: Lines::default(),
            client: None,
            stop: Arc::default(),
        }
    }

    /// Whether the device model has no actions.
    pub(crate) fn is_empty(&self) -> bool {
        self.actions.properties.is_empty() && self.actions.commands.is_empty()
    }

    /// The requirements of the actions that are not met on this machine now, one sentence each.
    pub(crate) fn unmet_requirements(&self) -> Vec<String> {
        unmet_requirements::unmet_requirements(&self.actions)
    }

    /// Runs a program or calls a server with this input.
    async fn tell(&mut self, action: &DeviceAction, input: &Value) -> Result<Answer, Failed> {
        let stop = Arc::clone(&self.stop);
        let stopped = stop.notified();
        let said = match &action.means {
            Means::Program { path, args } => program::run(path, args, &input.to_string(), &self.thing, action.limit, stopped).await?,
            Means::Http(url) => tokio::select! {
                said = http::post(self.client.get_or_insert_default(), url, input, action.limit) => said?,
                // The server notices the interruption because the connection is closed.
                () = stopped => return Err("it was interrupted".to_owned().into()),
            },
            // The validation of the device model allows these two for properties only, and `set` handles them itself.
            Means::Gpio(_) | Means::File { .. } => return Err("this action is for a property".to_owned().into()),
        };
        Ok(answer::read(&said, &self.properties)?)
    }
}

impl Perform for Actions {
    /// A property without an action is set at once.
    async fn set(&mut self, property: &str, value: &Value) -> Performed {
        let Some(known) = self.properties.get(property).filter(|known| !known.reported_only) else {
            return Performed::Refused(format!("this device has no property `{}` to set", answer::plain(property)));
        };
        let Some(value) = known.kind.fit(value) else {
            return Performed::Refused(format!("`{property}` cannot have this value"));
        };
        let mut properties = Map::from_iter([(property.to_owned(), value.clone())]);
        let Some(action) = self.actions.properties.get(property).cloned() else {
            return Performed::Done { detail: String::new(), properties };
        };
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let done = match &action.means {
            Means::Gpio(line) => {
                self.lines.switch(line, text == "ON", action.limit).await.map(|()| Answer::default()).map_err(Failed::from)
            }
            Means::File { path, map } => {
                let written = file::write(path, map.get(&text).unwrap_or(&text), action.limit).await;
                written.map(|()| Answer::default()).map_err(Failed::from)
            }
            Means::Program { .. } | Means::Http(_) => self.tell(&action, &json!({"property": property, "value": value})).await,
        };
        match done {
            Ok(answer) => {
                // A value that the action reports for this property itself takes precedence: a nozzle, for example, may have a
                // lower limit than the request. If that value is invalid, the actual value is unknown.
                let own = answer
                    .invalid_reports
                    .iter()
                    .find(|invalid_report| invalid_report.property == property)
                    .map(|invalid_report| invalid_report.why.clone());
                let detail = told(property, answer.detail, &answer.invalid_reports);
                if let Some(why) = own {
                    return Performed::Failed(why);
                }
                properties.extend(answer.reported);
                Performed::Done { detail, properties }
            }
            Err(failed) => failed.performed(property),
        }
    }

    fn is_settable(&self, property: &str) -> bool {
        self.properties.get(property).is_some_and(|known| !known.reported_only)
    }

    /// The action can rely on its arguments: all of them are present, and each value fits the device model.
    async fn perform(&mut self, command: &Command) -> Performed {
        let Some(action) = self.actions.commands.get(&command.name).cloned() else {
            return Performed::Refused(format!("this device has no action for `{}`", answer::plain(&command.name)));
        };
        let args = match self.commands.get(&command.name).map(|known| fitting(&known.arguments, &command.args)).transpose() {
            Ok(args) => args.unwrap_or_default(),
            Err(why) => return Performed::Refused(why),
        };
        let input = json!({"command": command.name, "id": command.id, "args": args, "expiresAt": command.expires_at});
        match self.tell(&action, &input).await {
            Ok(Answer { detail, reported, invalid_reports }) => {
                Performed::Done { detail: told(&command.name, detail, &invalid_reports), properties: reported }
            }
            Err(failed) => failed.performed(&command.name),
        }
    }

    fn interrupts(&self) -> BTreeMap<String, Vec<String>> {
        let interrupting = self.commands.iter().filter(|(_, rule)| !rule.interrupts.is_empty());
        interrupting.map(|(name, rule)| (name.clone(), rule.interrupts.clone())).collect()
    }

    fn stop_signal(&self) -> Option<Arc<Notify>> {
        Some(Arc::clone(&self.stop))
    }

    /// After a restart of the machine, a GPIO line is released and a file of the kernel has its initial value. Programs and
    /// servers are expected to keep their state themselves.
    fn is_undone_by_restart(&self, property: &str) -> bool {
        let means = self.actions.properties.get(property).map(|action| &action.means);
        matches!(means, Some(Means::Gpio(_) | Means::File { .. }))
    }
}

impl Failed {
    fn in_full(self) -> String {
        match self.end {
            Some(end) => format!("{} ({end})", self.why),
            None => self.why,
        }
    }

    /// Logs the failure of the action of this name and returns it as the result.
    fn performed(self, action: &str) -> Performed {
        match &self.end {
            Some(end) => tracing::warn!(action, end, "the action has failed: {}", self.why),
            None => tracing::warn!(action, "the action has failed: {}", self.why),
        }
        Performed::Failed(self.why)
    }
}

/// Runs a program that belongs to no action and returns its output.
pub(crate) async fn ask_program(path: &str, args: &[String], input: &str, thing: &str, limit: Duration) -> Result<Vec<u8>, String> {
    program::run(path, args, input, thing, limit, std::future::pending()).await.map_err(Failed::in_full)
}

/// Sends a GET request to a server and returns the body of the response.
pub(crate) async fn ask_server(client: &Https, url: &LoopbackUrl, limit: Duration) -> Result<Vec<u8>, String> {
    http::ask(client, url, None, limit).await.map_err(Failed::in_full)
}

/// Logs the invalid reports of an action. Returns its detail, to which the first invalid report is appended.
fn told(action: &str, detail: String, invalid_reports: &[InvalidReport]) -> String {
    for invalid_report in invalid_reports {
        tracing::warn!(action, "the action has reported what cannot be: {}", invalid_report.why);
    }
    match invalid_reports.first() {
        None => detail,
        Some(invalid_report) if detail.is_empty() => answer::plain(&invalid_report.why),
        Some(invalid_report) => answer::plain(&format!("{detail}; {}", invalid_report.why)),
    }
}

/// The arguments of a command, each with a valid value or its default. Unknown arguments are left out: a later model may know
/// more arguments.
fn fitting(known: &BTreeMap<String, Argument>, args: &Value) -> Result<Map<String, Value>, String> {
    let fit = |(name, argument): (&String, &Argument)| {
        let value = match args.get(name) {
            Some(value) => argument.kind.fit(value).ok_or_else(|| format!("argument `{name}` cannot have this value")),
            None => argument.default.clone().ok_or_else(|| format!("argument `{name}` is missing")),
        };
        Ok((name.clone(), value?))
    };
    known.iter().map(fit).collect()
}

#[cfg(test)]
#[path = "actions_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "interrupt_tests.rs"]
mod interrupt_tests;

//! What the device does when a property is set or a command comes, as `device.toml` says: a program, an HTTP call on loopback, a
//! GPIO line, a file.
//!
//! Every action ends: done, refused or failed, within its time limit. Whoever drops the future of a running action ends the action,
//! with every process of its group. What the owner wants reaches a program as JSON on its standard input and a server as JSON in
//! the body, never as a part of a command line; what comes back is bounded, and only what fits the device model is reported.

mod answer;
mod aside;
mod file;
#[cfg_attr(not(target_os = "linux"), path = "no_gpio.rs")]
mod gpio;
mod http;
pub(crate) mod lacking;
mod marked;
pub(crate) mod program;
mod unknown;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use onething::device_model::{Argument, CommandRule, DeviceAction, LoopbackUrl, Means, Model, Property};
use onething::https::Https;
use serde_json::{Map, Value, json};
use tokio::sync::Notify;

use self::answer::Answer;
pub(crate) use self::answer::{InvalidReport, invalid_report, read as read_answer};
pub(crate) use self::aside::aside;
use self::gpio::Lines;
pub(crate) use self::unknown::UnknownDevice;
use crate::agent::{Command, Perform, Performed};

/// In bytes: what an action may answer.
const ANSWER_LIMIT: usize = 64 * 1024;

/// Why an action has failed.
#[derive(Debug, PartialEq)]
pub(crate) struct Failed {
    /// For the owner.
    why: String,
    /// How it ended, such as an exit status: for the log, where `why` does not say it.
    end: Option<String>,
}

impl From<String> for Failed {
    fn from(why: String) -> Self {
        Self { why, end: None }
    }
}

/// The actions of a device.
pub(crate) struct Actions {
    thing: String,
    properties: BTreeMap<String, Property>,
    commands: BTreeMap<String, CommandRule>,
    actions: onething::device_model::Actions,
    lines: Lines,
    /// Made when it is first needed: many devices have no server to ask.
    client: Option<Https>,
    /// Ends the action of the command under way.
    stop: Arc<Notify>,
}

impl Actions {
    /// Those of a device model, for the thing of this name.
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

    /// Whether the device model says of nothing what is done.
    pub(crate) fn is_empty(&self) -> bool {
        self.actions.properties.is_empty() && self.actions.commands.is_empty()
    }

    /// What actions need and this machine does not have now, one sentence each.
    pub(crate) fn lacking(&self) -> Vec<String> {
        lacking::lacking(&self.actions)
    }

    /// Asks a program or a server to do it.
    async fn tell(&mut self, action: &DeviceAction, input: &Value) -> Result<Answer, Failed> {
        let stop = Arc::clone(&self.stop);
        let stopped = stop.notified();
        let said = match &action.means {
            Means::Program { path, args } => program::run(path, args, &input.to_string(), &self.thing, action.limit, stopped).await?,
            Means::Http(url) => tokio::select! {
                said = http::post(self.client.get_or_insert_default(), url, input, action.limit) => said?,
                // The server learns of it by the end of the connection.
                () = stopped => return Err("it was interrupted".to_owned().into()),
            },
            // The device model has been judged: these two are for properties, which never come here with them.
            Means::Gpio(_) | Means::File { .. } => return Err("this action is for a property".to_owned().into()),
        };
        Ok(answer::read(&said, &self.properties)?)
    }
}

impl Perform for Actions {
    /// A property without an action is taken as so.
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
                // Whatever it says about this very property is the last word: a nozzle may only get as hot as it can. Where that cannot
                // be so, nobody knows what is.
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

    /// Whatever does it can rely on its arguments: they are all there, and each is what the device model says.
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

    /// The machine forgets a line, which is released, and a file of the kernel's, which begins anew. Programs and servers keep by
    /// themselves what they were told.
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

    /// Tells the log, and is what came of the action of this name.
    fn performed(self, action: &str) -> Performed {
        match &self.end {
            Some(end) => tracing::warn!(action, end, "the action has failed: {}", self.why),
            None => tracing::warn!(action, "the action has failed: {}", self.why),
        }
        Performed::Failed(self.why)
    }
}

/// What a program prints that is run for no action.
pub(crate) async fn ask_program(path: &str, args: &[String], input: &str, thing: &str, limit: Duration) -> Result<Vec<u8>, String> {
    program::run(path, args, input, thing, limit, std::future::pending()).await.map_err(Failed::in_full)
}

/// What a server says that is asked by GET.
pub(crate) async fn ask_server(client: &Https, url: &LoopbackUrl, limit: Duration) -> Result<Vec<u8>, String> {
    http::ask(client, url, None, limit).await.map_err(Failed::in_full)
}

/// Tells the log what an action has reported that cannot be, and returns its detail, which says so, too.
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

/// The arguments a command has, each with a value it can have. Others are left out: a later model may know more.
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

//! A body that runs one action after the other, each as a future: programs, HTTP requests, GPIO lines and files.

use std::collections::{BTreeMap, VecDeque};
use std::future::{Future, pending};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value};
use tokio::sync::{Notify, oneshot};
use tokio::time::timeout;

use super::body::{Body, Event, Past};
use super::order::{Answer, Command, CommandStatus, Order, line, plain};

/// How long an interrupted action may take to end: more than the half second that a program gets after SIGTERM.
const END_WITHIN: Duration = Duration::from_secs(3);

/// The result of an action.
#[derive(Clone, Debug, PartialEq)]
pub enum Performed {
    /// The action succeeded.
    Done {
        /// A description for the owner.
        detail: String,
        /// The properties that the action reports with their values.
        properties: Map<String, Value>,
    },
    /// The action was not started; the reason for the owner.
    Refused(String),
    /// The action was started and did not succeed; the reason for the owner.
    Failed(String),
}

/// The actions of a device, as [`InTurn`] runs them.
pub trait Perform: Send + 'static {
    /// Sets a property. After success the property is reported with the value in [`Performed::Done`], or with this value if there
    /// is none.
    fn set(&mut self, name: &str, value: &Value) -> impl Future<Output = Performed> + Send;

    /// Whether the owner can set a property. If an action gives such a property another value than the desired one, that value
    /// becomes the desired value.
    fn is_settable(&self, name: &str) -> bool {
        let _ = name;
        false
    }

    /// Performs a command.
    fn perform(&mut self, command: &Command) -> impl Future<Output = Performed> + Send;

    /// For each interrupting command, the names of the commands that it interrupts.
    fn interrupts(&self) -> BTreeMap<String, Vec<String>> {
        BTreeMap::new()
    }

    /// The signal that asks the running command to end. Without it, an interrupted command is dropped at once.
    fn stop_signal(&self) -> Option<Arc<Notify>> {
        None
    }

    /// Whether a restart undoes what was set, as a restart of the machine does with a GPIO line. Such a property is set again
    /// after each start: the shadow still holds the value as reported, so there is no delta.
    fn is_undone_by_restart(&self, name: &str) -> bool {
        let _ = name;
        false
    }
}

enum State<P> {
    Free(P),
    /// An action is running. Its future returns the actions together with the result.
    UnderWay(UnderWay<P>),
    /// The placeholder during a change between the two other states.
    Changing,
}

struct UnderWay<P> {
    work: Pin<Box<dyn Future<Output = Ended<P>> + Send>>,
    /// The id of the running command, and the channel that interrupts it. The message is the name of the interrupting command.
    interrupt: Option<(String, oneshot::Sender<String>)>,
}

struct Ended<P> {
    actions: P,
    order: Order,
    performed: Performed,
    /// The name of the command that interrupted the action.
    interrupted_by: Option<String>,
}

/// A body that runs one action at a time. A running action ends when this value is dropped.
pub struct InTurn<P> {
    state: State<P>,
    so: Map<String, Value>,
    /// The properties to set again after a restart, before any other order.
    anew: VecDeque<Order>,
}

impl<P: Perform> InTurn<P> {
    /// A body that has performed no action yet: only the properties `so` are known.
    pub fn new(actions: P, so: Map<String, Value>) -> Self {
        Self { state: State::Free(actions), so, anew: VecDeque::new() }
    }

    /// Begins the next property that has to be set again after a restart.
    fn go_on(&mut self) {
        if let Some(order) = self.anew.pop_front() {
            self.begin(order);
        }
    }

    fn ended(&mut self, order: Order, performed: Performed, interrupted_by: Option<String>, changed: Map<String, Value>) -> Vec<Event> {
        let mut events = Vec::new();
        let (status, detail) = match performed {
            Performed::Done { detail, properties } => {
                if let Order::Set { name, value } = &order {
                    self.so.insert(name.clone(), value.clone());
                }
                self.so.extend(properties);
                (CommandStatus::Done, detail)
            }
            Performed::Refused(why) => (CommandStatus::Refused, why),
            Performed::Failed(why) => (CommandStatus::Failed, why),
        };
        match order {
            Order::Do(command) => events.push(match interrupted_by {
                None => Event::Answered(Answer { id: command.id, status, detail }),
                Some(by) => {
                    let detail = format!("interrupted by {}", plain(&by));
                    Event::Interrupted(Answer { id: command.id, status: CommandStatus::Failed, detail })
                }
            }),
            Order::Set { name, value } => {
                events.push(Event::Note(line(&name, status, &detail)));
                events.push(match status {
                    CommandStatus::Done => Event::Set { name, value },
                    _ => Event::NotSet { name, value, why: detail },
                });
            }
        }
        if !changed.is_empty() {
            events.push(Event::Changed(changed));
        }
        events
    }
}

impl<P: Perform> Body for InTurn<P> {
    fn is_free(&self) -> bool {
        matches!(self.state, State::Free(_))
    }

    fn begin(&mut self, order: Order) {
        self.state = match std::mem::replace(&mut self.state, State::Changing) {
            State::Free(actions) => State::UnderWay(begun(actions, order)),
            // A body that is not free gets no orders.
            busy => busy,
        };
    }

    fn interrupts(&self) -> BTreeMap<String, Vec<String>> {
        match &self.state {
            State::Free(actions) => actions.interrupts(),
            _ => BTreeMap::new(),
        }
    }

    fn interrupt(&mut self, id: &str, by: &str) {
        if let State::UnderWay(under_way) = &mut self.state
            && let Some((_, interrupt)) = under_way.interrupt.take_if(|(command, _)| command == id)
        {
            // The receiver is gone if the command has just ended by itself.
            let _ = interrupt.send(by.to_owned());
        }
    }

    async fn work(&mut self) -> Vec<Event> {
        let State::UnderWay(under_way) = &mut self.state else { return pending().await };
        let Ended { actions, order, performed, interrupted_by } = under_way.work.as_mut().await;
        if let Order::Set { name, .. } = &order
            && actions.is_undone_by_restart(name)
        {
            // If the property could not be set, its value is unknown: the reported value in the shadow is from before the
            // restart.
            self.so.entry(name.clone()).or_insert(Value::Null);
        }
        let changed = changed(&actions, &order, &performed);
        self.state = State::Free(actions);
        let events = self.ended(order, performed, interrupted_by, changed);
        self.go_on();
        events
    }

    fn properties(&self) -> Map<String, Value> {
        self.so.clone()
    }

    fn changed_on_device(&mut self, properties: &Map<String, Value>) {
        self.so.extend(properties.clone());
    }

    fn remember(&mut self, past: &Past) -> Option<String> {
        if let State::Free(actions) = &self.state {
            let undone = past.desired.iter().filter(|(name, _)| actions.is_undone_by_restart(name));
            self.anew = undone.map(|(name, value)| Order::Set { name: name.clone(), value: value.clone() }).collect();
        }
        self.go_on();
        None
    }
}

/// Starts the future of an order.
fn begun<P: Perform>(mut actions: P, order: Order) -> UnderWay<P> {
    let (interrupt, interrupted) = oneshot::channel();
    let interrupt = match &order {
        Order::Do(command) => Some((command.id.clone(), interrupt)),
        Order::Set { .. } => None,
    };
    let work = async move {
        let stop = actions.stop_signal();
        let mut interrupted_by = None;
        let performed = {
            let mut work = pin!(async {
                match &order {
                    Order::Set { name, value } => actions.set(name, value).await,
                    Order::Do(command) => actions.perform(command).await,
                }
            });
            tokio::select! {
                biased;
                performed = &mut work => performed,
                Ok(by) = interrupted => {
                    interrupted_by = Some(by);
                    let ended = match stop {
                        None => None,
                        Some(stop) => {
                            stop.notify_waiters();
                            timeout(END_WITHIN, work).await.ok()
                        }
                    };
                    ended.unwrap_or_else(|| Performed::Failed(String::new()))
                }
            }
        };
        Ended { actions, order, performed, interrupted_by }
    };
    UnderWay { work: Box::pin(work), interrupt }
}

/// Settable properties whose values differ from the order.
fn changed<P: Perform>(actions: &P, order: &Order, performed: &Performed) -> Map<String, Value> {
    let Performed::Done { properties, .. } = performed else { return Map::new() };
    let is_ordered =
        |name: &str, value: &Value| matches!(order, Order::Set { name: ordered, value: wanted } if ordered == name && wanted == value);
    let changed = properties.iter().filter(|(name, value)| actions.is_settable(name) && !is_ordered(name, value));
    changed.map(|(name, value)| (name.clone(), value.clone())).collect()
}

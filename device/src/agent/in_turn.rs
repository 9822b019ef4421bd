//! A body that does one thing after the other, each by a future: programs, calls, lines and files.

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

/// For an action to end that was told to: more than the half second that a program has.
const END_WITHIN: Duration = Duration::from_secs(3);

/// What came of an action.
#[derive(Clone, Debug, PartialEq)]
pub enum Performed {
    /// It was done.
    Done {
        /// The same for a person.
        detail: String,
        /// Properties that are so now, to be reported.
        properties: Map<String, Value>,
    },
    /// It was not begun, and why.
    Refused(String),
    /// It was begun and did not work, and why.
    Failed(String),
}

/// Actions.
pub trait Perform: Send + 'static {
    /// Makes a property so. When that is done the property is reported with this value, or with that in
    /// [`Performed::Done`] where there is one.
    fn set(&mut self, name: &str, value: &Value) -> impl Future<Output = Performed> + Send;

    /// Whether the owner can set a property: where an action gives it another value than the wanted one, that is what is wanted
    /// from then on.
    fn is_settable(&self, name: &str) -> bool {
        let _ = name;
        false
    }

    /// Does a command.
    fn perform(&mut self, command: &Command) -> impl Future<Output = Performed> + Send;

    /// Which commands end which others.
    fn interrupts(&self) -> BTreeMap<String, Vec<String>> {
        BTreeMap::new()
    }

    /// Tells the command under way to end. Without it the command is dropped where it is.
    fn stop_signal(&self) -> Option<Arc<Notify>> {
        None
    }

    /// Whether a restart undoes what was set, as that of a machine does with its lines. Such a property is set anew after each
    /// start: the shadow holds it as reported still, so nobody else would ask for it.
    fn is_undone_by_restart(&self, name: &str) -> bool {
        let _ = name;
        false
    }
}

enum State<P> {
    Free(P),
    /// The actions come back with what came of one of them.
    UnderWay(UnderWay<P>),
    /// Between the two.
    Changing,
}

struct UnderWay<P> {
    work: Pin<Box<dyn Future<Output = Ended<P>> + Send>>,
    /// The id of the command, with which to end it: by the name of the command that wants it.
    interrupt: Option<(String, oneshot::Sender<String>)>,
}

struct Ended<P> {
    actions: P,
    order: Order,
    performed: Performed,
    /// The command that ended it.
    interrupted_by: Option<String>,
}

/// A body that does one action at a time. What is under way ends with it.
pub struct InTurn<P> {
    state: State<P>,
    so: Map<String, Value>,
    /// To be set as it was before the restart.
    anew: VecDeque<Order>,
}

impl<P: Perform> InTurn<P> {
    /// Nothing has been done yet, so nothing is known of its properties but these.
    pub fn new(actions: P, so: Map<String, Value>) -> Self {
        Self { state: State::Free(actions), so, anew: VecDeque::new() }
    }

    /// What is to be set anew comes before any other order.
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
            // Who is not free is given no order.
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
            // What has just ended by itself cannot be told.
            let _ = interrupt.send(by.to_owned());
        }
    }

    async fn work(&mut self) -> Vec<Event> {
        let State::UnderWay(under_way) = &mut self.state else { return pending().await };
        let Ended { actions, order, performed, interrupted_by } = under_way.work.as_mut().await;
        if let Order::Set { name, .. } = &order
            && actions.is_undone_by_restart(name)
        {
            // If it could not be set, nobody knows how it is: what the shadow holds of it is of the time before.
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

/// Begins an order.
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

/// Properties that the owner can set and that have not become what was ordered.
fn changed<P: Perform>(actions: &P, order: &Order, performed: &Performed) -> Map<String, Value> {
    let Performed::Done { properties, .. } = performed else { return Map::new() };
    let is_ordered =
        |name: &str, value: &Value| matches!(order, Order::Set { name: ordered, value: wanted } if ordered == name && wanted == value);
    let changed = properties.iter().filter(|(name, value)| actions.is_settable(name) && !is_ordered(name, value));
    changed.map(|(name, value)| (name.clone(), value.clone())).collect()
}

//! A body that does one thing after the other, each by a future: programs, calls, lines and files.

use std::collections::VecDeque;
use std::future::{Future, pending};
use std::pin::Pin;

use serde_json::{Map, Value};

use super::body::{Body, Event, Past};
use super::order::{Answer, Command, CommandStatus, Order, line};

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

    /// Does a command.
    fn perform(&mut self, command: &Command) -> impl Future<Output = Performed> + Send;

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
    UnderWay(Pin<Box<dyn Future<Output = (P, Order, Performed)> + Send>>),
    /// Between the two.
    Changing,
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

    fn ended(&mut self, order: Order, performed: Performed) -> Vec<Event> {
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
            Order::Do(command) => vec![Event::Answered(Answer { id: command.id, status, detail })],
            Order::Set { name, value } => {
                let note = Event::Note(line(&name, status, &detail));
                vec![note, Event::Set { name, value }]
            }
        }
    }
}

impl<P: Perform> Body for InTurn<P> {
    fn is_free(&self) -> bool {
        matches!(self.state, State::Free(_))
    }

    fn begin(&mut self, order: Order) {
        self.state = match std::mem::replace(&mut self.state, State::Changing) {
            State::Free(mut actions) => State::UnderWay(Box::pin(async move {
                let performed = match &order {
                    Order::Set { name, value } => actions.set(name, value).await,
                    Order::Do(command) => actions.perform(command).await,
                };
                (actions, order, performed)
            })),
            // Who is not free is given no order.
            busy => busy,
        };
    }

    async fn work(&mut self) -> Vec<Event> {
        let State::UnderWay(under_way) = &mut self.state else { return pending().await };
        let (actions, order, performed) = under_way.await;
        if let Order::Set { name, .. } = &order
            && actions.is_undone_by_restart(name)
        {
            // If it could not be set, nobody knows how it is: what the shadow holds of it is of the time before.
            self.so.entry(name.clone()).or_insert(Value::Null);
        }
        self.state = State::Free(actions);
        let events = self.ended(order, performed);
        self.go_on();
        events
    }

    fn properties(&self) -> Map<String, Value> {
        self.so.clone()
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

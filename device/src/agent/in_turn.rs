//! A body that does one thing after the other, each by a future: programs, calls, lines and files.

use std::future::{Future, pending};
use std::pin::Pin;
use std::sync::Arc;

use serde_json::{Map, Value};

use super::body::{Body, Event};
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
pub trait Perform: Send + Sync + 'static {
    /// Makes a property so. When that is done the property is reported with this value, or with that in
    /// [`Performed::Done`] where there is one.
    fn set(&self, name: &str, value: &Value) -> impl Future<Output = Performed> + Send;

    /// Does a command.
    fn perform(&self, command: &Command) -> impl Future<Output = Performed> + Send;
}

type UnderWay = Pin<Box<dyn Future<Output = (Order, Performed)> + Send>>;

/// A body that does one action at a time. What is under way ends with it.
pub struct InTurn<P> {
    actions: Arc<P>,
    under_way: Option<UnderWay>,
    so: Map<String, Value>,
}

impl<P: Perform> InTurn<P> {
    /// Nothing has been done yet, so nothing is known of its properties but these.
    pub fn new(actions: P, so: Map<String, Value>) -> Self {
        Self { actions: Arc::new(actions), under_way: None, so }
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
                vec![note, Event::Set { name, value, worked: status == CommandStatus::Done }]
            }
        }
    }
}

impl<P: Perform> Body for InTurn<P> {
    fn is_free(&self) -> bool {
        self.under_way.is_none()
    }

    fn begin(&mut self, order: Order) {
        let actions = Arc::clone(&self.actions);
        self.under_way = Some(Box::pin(async move {
            let performed = match &order {
                Order::Set { name, value } => actions.set(name, value).await,
                Order::Do(command) => actions.perform(command).await,
            };
            (order, performed)
        }));
    }

    async fn work(&mut self) -> Vec<Event> {
        let Some(under_way) = &mut self.under_way else { return pending().await };
        let (order, performed) = under_way.await;
        self.under_way = None;
        self.ended(order, performed)
    }

    fn properties(&self) -> Map<String, Value> {
        self.so.clone()
    }
}

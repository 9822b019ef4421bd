//! Tests that decide which sample is valid, and for how long.

use serde_json::json;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

use super::*;
use crate::agent::{Command, InTurn, Perform, Performed};

const PLANT: &str = "[device]\nname = \"plant\"\ninvocation = \"my plant\"\nthing_type = \"plant\"\nthing_prefix = \"Plant-\"\n\
    [property.moisture]\ntype = \"number\"\nmin = 0\nmax = 100\nwritten_by = \"device\"\n\
    [property.pump]\ntype = \"switch\"\n[command.water]\n";

/// A pump whose actions end when the test sends their result.
struct Pump(mpsc::Receiver<oneshot::Receiver<Value>>);

impl Pump {
    async fn done(&mut self) -> Performed {
        let end = self.0.recv().await.unwrap().await.unwrap();
        Performed::Done { detail: String::new(), properties: end.as_object().unwrap().clone() }
    }
}

impl Perform for Pump {
    async fn set(&mut self, _: &str, _: &Value) -> Performed {
        self.done().await
    }

    async fn perform(&mut self, _: &Command) -> Performed {
        self.done().await
    }
}

struct Plant {
    body: Measuring<InTurn<Pump>>,
    samples: mpsc::Sender<Sample>,
    ends: mpsc::Sender<oneshot::Receiver<Value>>,
}

fn plant() -> Plant {
    let (ends, end) = mpsc::channel(4);
    let (samples, receiver) = mpsc::channel(4);
    let sensors = Sensors { samples: receiver, _tasks: JoinSet::new() };
    let mut body = Measuring::new(InTurn::new(Pump(end), Map::new()), sensors, &Model::parse(PLANT).unwrap());
    body.remember(&Past::default());
    Plant { body, samples, ends }
}

impl Plant {
    /// Passes a sample of this age to the body. Returns the events of the body.
    async fn sample(&mut self, properties: Value, age: Duration) -> Vec<Event> {
        let properties = properties.as_object().unwrap().clone();
        let sample = Sample { properties, at: Instant::now().checked_sub(age).unwrap(), current: Duration::from_secs(60) };
        self.samples.send(sample).await.unwrap();
        self.body.work().await
    }

    async fn begin(&mut self, order: Order) -> oneshot::Sender<Value> {
        let (tell, end) = oneshot::channel();
        self.ends.send(end).await.unwrap();
        self.body.begin(order);
        tell
    }

    fn so(&self) -> Value {
        Value::Object(self.body.properties())
    }
}

fn water() -> Order {
    Order::Do(Command { id: "1".to_owned(), name: "water".to_owned(), args: Value::Null, expires_at: None })
}

fn measured(names: &[&str]) -> Event {
    Event::Measured(names.iter().map(|name| (*name).to_owned()).collect())
}

const NOW: Duration = Duration::ZERO;

#[tokio::test(start_paused = true)]
async fn an_older_sample_never_replaces_a_newer_one() {
    let mut plant = plant();
    tokio::time::advance(Duration::from_secs(100)).await;
    assert_eq!(plant.sample(json!({"moisture": 40}), NOW).await, [measured(&["moisture"])]);
    // A program that was started earlier and is late.
    assert_eq!(plant.sample(json!({"moisture": 10}), Duration::from_secs(20)).await, []);
    assert_eq!(plant.so(), json!({"moisture": 40}));
}

#[tokio::test(start_paused = true)]
async fn an_outdated_sample_is_not_reported() {
    let mut plant = plant();
    plant.sample(json!({"moisture": 40}), NOW).await;
    tokio::time::advance(Duration::from_secs(60)).await;
    assert_eq!(plant.so(), json!({"moisture": 40}));
    tokio::time::advance(Duration::from_secs(1)).await;
    assert_eq!(plant.so(), json!({}), "a report with a later connection would make the value look new");
    plant.sample(json!({"moisture": 41}), NOW).await;
    assert_eq!(plant.so(), json!({"moisture": 41}));
}

#[tokio::test(start_paused = true)]
async fn an_unchanged_value_is_reported_again_in_time() {
    let mut plant = plant();
    assert_eq!(plant.sample(json!({"moisture": 40}), NOW).await, [measured(&["moisture"])]);
    tokio::time::advance(Duration::from_secs(60)).await;
    assert_eq!(plant.sample(json!({"moisture": 40}), NOW).await, []);
    tokio::time::advance(Duration::from_secs(100)).await;
    assert_eq!(plant.sample(json!({"moisture": 40}), NOW).await, [measured(&["moisture"])]);
}

#[tokio::test(start_paused = true)]
async fn the_result_of_an_action_is_as_old_as_its_beginning() {
    let mut plant = plant();
    plant.sample(json!({"moisture": 40}), NOW).await;
    tokio::time::advance(Duration::from_secs(1)).await;
    let end = plant.begin(water()).await;
    end.send(json!({"moisture": 50})).unwrap();
    plant.body.work().await;
    assert_eq!(plant.so(), json!({"moisture": 50}), "the action was begun after the sample");
    let end = plant.begin(water()).await;
    tokio::time::advance(Duration::from_secs(1)).await;
    plant.sample(json!({"moisture": 60}), NOW).await;
    end.send(json!({"moisture": 55})).unwrap();
    plant.body.work().await;
    assert_eq!(plant.so(), json!({"moisture": 60}), "the action was begun before the sample");
}

#[tokio::test(start_paused = true)]
async fn another_measured_value_of_a_settable_property_is_a_change_on_the_device() {
    let mut plant = plant();
    let change = |value: &str, age| Event::ChangedBefore { properties: Map::from_iter([("pump".to_owned(), json!(value))]), age };
    tokio::time::advance(Duration::from_secs(100)).await;
    assert_eq!(plant.sample(json!({"pump": "ON"}), Duration::from_secs(2)).await, [change("ON", Duration::from_secs(2))]);
    assert_eq!(plant.sample(json!({"pump": "ON"}), NOW).await, [], "nothing has changed");
    // A sample from before the owner's request was fulfilled does not override the request.
    let end = plant.begin(Order::Set { name: "pump".to_owned(), value: json!("OFF") }).await;
    assert_eq!(plant.sample(json!({"pump": "ON"}), NOW).await, []);
    end.send(json!({"pump": "OFF"})).unwrap();
    plant.body.work().await;
    assert_eq!(plant.sample(json!({"pump": "ON"}), Duration::from_secs(1)).await, []);
    assert_eq!(plant.so(), json!({"pump": "OFF"}));
    tokio::time::advance(Duration::from_secs(1)).await;
    assert_eq!(plant.sample(json!({"pump": "ON"}), NOW).await, [change("ON", NOW)]);
    tokio::time::advance(Duration::from_secs(1_000)).await;
    assert_eq!(plant.so(), json!({"pump": "ON"}), "a settable property does not become outdated");
}

#[tokio::test(start_paused = true)]
async fn a_value_that_the_shadow_already_holds_is_not_a_change() {
    let mut plant = plant();
    let past = Past { reported: Map::from_iter([("pump".to_owned(), json!("ON"))]), ..Past::default() };
    plant.body.remember(&past);
    assert_eq!(plant.sample(json!({"pump": "ON"}), NOW).await, []);
}

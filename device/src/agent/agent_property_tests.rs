//! Property tests with random sequences of requests, lost and repeated messages, and restarts: no command is begun twice or after
//! it has expired, and in the end the newest command has its answer. The shadow is implemented by the hub.

use onething_hub::shadow::{Operation, ShadowKey, Stored, exchange};
use proptest::prelude::*;

use super::*;

const NOW: u64 = 1_795_305_600;

#[derive(Clone, Copy, Debug)]
enum Step {
    /// A command with a new id, which expires after this number of seconds.
    Command(u64),
    /// The last command is requested again.
    Again,
    Set(bool),
    /// One of the messages in transit arrives. With `again`, it stays in transit and may arrive once more.
    Arrive {
        which: usize,
        again: bool,
    },
    Connect,
    Disconnect,
    /// The device begins the next order; with `dies`, it restarts after the entry in the journal.
    Act {
        dies: bool,
    },
    /// The current order ends, successfully or not.
    End(bool),
    /// A report is made, and arrives or not.
    Report(bool),
    Wait(u64),
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0_u64..40).prop_map(Step::Command),
        2 => Just(Step::Again),
        2 => any::<bool>().prop_map(Step::Set),
        8 => (any::<prop::sample::Index>(), any::<bool>()).prop_map(|(which, again)| Step::Arrive { which: which.index(8), again }),
        3 => Just(Step::Connect),
        1 => Just(Step::Disconnect),
        6 => prop::bool::weighted(0.1).prop_map(|dies| Step::Act { dies }),
        4 => any::<bool>().prop_map(Step::End),
        4 => prop::bool::weighted(0.8).prop_map(Step::Report),
        2 => (1_u64..20).prop_map(Step::Wait),
        1 => Just(Step::Restart),
    ]
}

struct World {
    key: ShadowKey,
    stored: Option<Stored>,
    connected: bool,
    way: Vec<(String, Value)>,
    moment: Moment,
    agent: Agent,
    journal: Vec<(String, Option<Answer>)>,
    /// The current order; there is at most one.
    under_way: Option<Order>,
    so: Map<String, Value>,
    /// The ids of all commands that were ever begun.
    begun: Vec<String>,
    last: Option<Value>,
    commands: u64,
}

impl World {
    fn new() -> Self {
        Self {
            key: ShadowKey::new("thing", None).unwrap(),
            stored: None,
            connected: false,
            way: Vec::new(),
            moment: Moment { now: NOW, uptime: Duration::ZERO },
            agent: Agent::new(None, []),
            journal: Vec::new(),
            under_way: None,
            so: Map::new(),
            begun: Vec::new(),
            last: None,
            commands: 0,
        }
    }

    fn ask(&mut self, operation: Operation, payload: &Value, device_hears: bool) {
        let payload = if payload.is_null() { Vec::new() } else { payload.to_string().into_bytes() };
        let done = exchange(self.stored.as_ref(), &self.key, operation, &payload, self.moment.now);
        if self.connected && device_hears {
            let said = |payload: &[u8]| serde_json::from_slice(payload).unwrap();
            self.way.extend(done.messages.iter().map(|message| (message.topic.to_string(), said(&message.payload))));
        }
        if done.change.is_some() {
            self.stored = done.change;
        }
    }

    fn want(&mut self, desired: &Value) {
        self.ask(Operation::Update, &json!({"state": {"desired": desired}}), true);
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Command(lifetime) => {
                self.commands += 1;
                let command = json!({"id": self.commands.to_string(), "name": "boil", "expiresAt": self.moment.now + lifetime});
                // The entry that the skill adds to the queue.
                let entry = json!({"name": "boil", "expiresAt": command["expiresAt"], "order": self.commands});
                self.want(&json!({"command": command, "commands": {self.commands.to_string(): entry}}));
                self.last = Some(command);
            }
            Step::Again => {
                if let Some(last) = self.last.clone() {
                    self.want(&json!({"command": last}));
                }
            }
            Step::Set(on) => self.want(&json!({"on": on})),
            Step::Arrive { which, again } => {
                if !self.way.is_empty() {
                    let which = which % self.way.len();
                    let message = if again { self.way[which].clone() } else { self.way.remove(which) };
                    self.hear(&message);
                }
            }
            Step::Connect if !self.connected => {
                self.connected = true;
                self.ask(Operation::Get, &Value::Null, true);
            }
            Step::Connect => {}
            Step::Disconnect => self.disconnect(),
            Step::Act { dies } => self.act(dies),
            Step::End(well) => self.end(well),
            Step::Report(arrives) => self.report(arrives),
            Step::Wait(seconds) => {
                self.moment.now += seconds;
                self.moment.uptime += Duration::from_secs(seconds);
            }
            Step::Restart => self.restart(),
        }
    }

    fn disconnect(&mut self) {
        self.connected = false;
        self.way.clear();
        self.agent.connection_lost();
    }

    fn restart(&mut self) {
        self.disconnect();
        (self.under_way, self.so, self.moment.uptime) = (None, Map::new(), Duration::ZERO);
        self.agent = Agent::new(None, self.journal.clone());
    }

    fn hear(&mut self, (topic, said): &(String, Value)) {
        let past = if *topic == *self.key.accepted(Operation::Get) {
            self.agent.take_shadow(said, self.moment)
        } else if *topic == *self.key.rejected(Operation::Get) {
            self.agent.take_no_shadow(self.moment)
        } else {
            if *topic == *self.key.delta() {
                self.agent.take_delta(said, self.moment);
            } else if *topic == *self.key.accepted(Operation::Update) {
                self.agent.take_update(said, self.moment);
            }
            None
        };
        if let Some(past) = past {
            self.agent.remembered(&past, None, self.moment);
        }
    }

    fn act(&mut self, dies: bool) {
        if self.under_way.is_some() {
            return;
        }
        let Some(order) = self.agent.next(&self.so, self.moment) else { return self.note() };
        if let Order::Do(command) = &order {
            assert!(command.expires_at.unwrap() > self.moment.now, "{command:?} is begun too late");
            assert!(!self.begun.contains(&command.id), "{command:?} is begun twice");
            let number = |id: &str| id.parse::<u64>().unwrap();
            assert!(self.begun.iter().all(|before| number(before) < number(&command.id)), "{command:?} is begun out of its turn");
            self.begun.push(command.id.clone());
            self.journal.push((command.id.clone(), None));
            if dies {
                return self.restart();
            }
        }
        self.under_way = Some(order);
        self.note();
    }

    fn end(&mut self, well: bool) {
        let Some(order) = self.under_way.take() else { return };
        let event = match order {
            Order::Do(Command { id, .. }) => {
                let status = if well { CommandStatus::Done } else { CommandStatus::Failed };
                Event::Answered(Answer { id, status, detail: String::new() })
            }
            Order::Set { name, value } => {
                if well {
                    self.so.insert(name.clone(), value.clone());
                    Event::Set { name, value }
                } else {
                    Event::NotSet { name, value, why: "it is stuck".to_owned() }
                }
            }
        };
        self.agent.hear(event, self.moment);
        self.note();
    }

    fn note(&mut self) {
        for end in self.agent.ends() {
            let noted = self.journal.iter_mut().find(|(id, _)| *id == end.id).unwrap();
            assert_eq!(noted.1, None, "the command ends twice");
            noted.1 = Some(end);
        }
    }

    fn report(&mut self, arrives: bool) {
        let report = self.agent.report(self.so.clone(), self.moment);
        self.note();
        match report.reported {
            Some(reported) if arrives => {
                let state = json!({"reported": reported, "desired": report.desired});
                self.ask(Operation::Update, &json!({"state": state, "clientToken": CLIENT_TOKEN}), true);
            }
            // If a report does not arrive, the connection is lost.
            Some(_) => self.disconnect(),
            None => {}
        }
    }

    /// Runs until nothing changes: messages arrive in their order, and every order ends successfully.
    fn finish(&mut self) {
        self.disconnect();
        self.step(Step::Connect);
        for _ in 0..200 {
            while !self.way.is_empty() {
                self.step(Step::Arrive { which: 0, again: false });
            }
            self.act(false);
            self.end(true);
            self.moment.uptime += Duration::from_secs(1);
            self.report(true);
        }
        assert_eq!(self.agent.report(self.so.clone(), self.moment), Report::default());
    }
}

proptest! {
    #[test]
    fn a_command_is_begun_once_and_in_time_and_the_newest_is_answered(steps in prop::collection::vec(step(), 1..60)) {
        let mut world = World::new();
        steps.into_iter().for_each(|step| world.step(step));
        world.finish();
        let Some(Stored::Present(shadow)) = &world.stored else { return Ok(()) };
        if let Some(on) = shadow.desired().get("on") {
            prop_assert_eq!(shadow.reported().get("on"), Some(on));
        }
        prop_assert_eq!(shadow.desired().get("commands").filter(|waiting| **waiting != json!({})), None, "a command is left in the queue");
        let failures = shadow.reported().get("failures").and_then(|failures| failures.get("on"));
        prop_assert_eq!(failures, None, "what has been set has not failed");
        if let Some(last) = &world.last {
            let answer = &shadow.reported()["command"];
            prop_assert_eq!(&answer["id"], &last["id"]);
            let begun = world.begun.iter().any(|id| last["id"] == **id);
            prop_assert!(begun || last["expiresAt"].as_u64().unwrap() <= world.moment.now, "the newest was forgotten");
            let expected: &[&str] = if begun { &["done", "failed"] } else { &["refused"] };
            prop_assert!(expected.iter().any(|status| answer["status"] == **status), "{}", answer);
        }
    }
}

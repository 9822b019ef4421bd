//! Tests of the shadow service against a model without trees: a flat table from path to value.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::arbitrary::object;
use super::*;

type Path = Vec<String>;

/// The entry at a path.
#[derive(Clone, Debug, PartialEq)]
enum Entry {
    Object,
    /// A value that is not an object, and the time at which it was written.
    Leaf(Value, u64),
}

type Table = BTreeMap<Path, Entry>;

#[derive(Clone, Default)]
struct Model {
    desired: Table,
    reported: Table,
    version: u64,
    exists: bool,
    deleted: u64,
}

/// All values of a change with their paths, objects before their fields.
fn flat(change: &Value) -> Vec<(Path, &Value)> {
    let mut found: Vec<(Path, &Value)> = vec![(Vec::new(), change)];
    let mut next = 0;
    while let Some((path, value)) = found.get(next).cloned() {
        let fields = value.as_object().into_iter().flatten();
        found.extend(fields.map(|(name, field)| ([path.clone(), vec![name.clone()]].concat(), field)));
        next += 1;
    }
    found.remove(0);
    found
}

fn write(table: &mut Table, change: &Value, now: u64) {
    if change.is_null() {
        table.clear();
    }
    let changes = flat(change);
    for (path, value) in &changes {
        if value.is_object() && table.get(path) == Some(&Entry::Object) {
            continue;
        }
        table.retain(|other, _| !other.starts_with(path));
        let lasts = |value: &Value| !value.is_null() && value.as_object().is_none_or(Map::is_empty);
        if value.is_object() && changes.iter().any(|(below, value)| below.starts_with(path) && lasts(value)) {
            table.insert(path.clone(), Entry::Object);
        } else if !value.is_object() && !value.is_null() {
            table.insert(path.clone(), Entry::Leaf((*value).clone(), now));
        }
    }
}

fn difference(desired: &Table, reported: &Table) -> Table {
    let both_objects = |path: &[String]| [desired, reported].iter().all(|table| table.get(path) == Some(&Entry::Object));
    let same = |path: &[String]| match (desired.get(path), reported.get(path)) {
        (Some(Entry::Leaf(wanted, _)), Some(Entry::Leaf(said, _))) => wanted == said,
        _ => both_objects(path),
    };
    let roots: Vec<&Path> =
        desired.keys().filter(|path| (1..path.len()).all(|depth| both_objects(&path[..depth])) && !same(path)).collect();
    let touched = |path: &Path| roots.iter().any(|root| path.starts_with(root) || root.starts_with(path));
    desired.iter().filter(|(path, _)| touched(path)).map(|(path, entry)| (path.clone(), entry.clone())).collect()
}

/// Converts a table to JSON.
fn tree(table: &Table, leaf: impl Fn(&Value, u64) -> Value) -> Value {
    let mut tree = json!({});
    for (path, entry) in table {
        let mut place = &mut tree;
        for name in path {
            place = &mut place[name.as_str()];
        }
        *place = match entry {
            Entry::Object => json!({}),
            Entry::Leaf(value, at) => leaf(value, *at),
        };
    }
    tree
}

fn state(table: &Table) -> Value {
    tree(table, |value, _| value.clone())
}

fn metadata(table: &Table) -> Value {
    tree(table, seconds)
}

/// The metadata of a value. The arrays of [`object`] contain no arrays and no objects.
fn seconds(value: &Value, at: u64) -> Value {
    let second = json!({"timestamp": at});
    value.as_array().map_or(second.clone(), |items| vec![second; items.len()].into())
}

fn sections<'a>(tables: impl IntoIterator<Item = (&'a str, &'a Table)>, shown: impl Fn(&Table) -> Value) -> Value {
    let filled = tables.into_iter().filter(|(_, table)| !table.is_empty());
    filled.map(|(name, table)| (name.to_owned(), shown(table))).collect()
}

/// The metadata of the `state` of a request, with `now` at each leaf.
fn echoed(request: &Value, now: u64) -> Value {
    match request {
        Value::Object(fields) => fields.iter().map(|(name, field)| (name.clone(), echoed(field, now))).collect(),
        leaf => seconds(leaf, now),
    }
}

impl Model {
    fn document(&self) -> Value {
        let tables = [("desired", &self.desired), ("reported", &self.reported)];
        json!({"state": sections(tables, state), "metadata": sections(tables, metadata), "version": self.version})
    }

    fn get(&self, now: u64) -> Vec<(&'static str, Value)> {
        if !self.exists {
            return vec![("get/rejected", missing(now))];
        }
        let delta = difference(&self.desired, &self.reported);
        let tables = [("desired", &self.desired), ("reported", &self.reported), ("delta", &delta)];
        let mut read = self.document();
        read["state"] = sections(tables, state);
        read["metadata"] = sections(tables, metadata);
        read["timestamp"] = now.into();
        vec![("get/accepted", read)]
    }

    fn delete(&mut self, now: u64) -> Vec<(&'static str, Value)> {
        if !self.exists {
            return vec![("delete/rejected", missing(now))];
        }
        *self = Self { version: self.version, deleted: now, ..Self::default() };
        vec![("delete/accepted", json!({"version": self.version, "timestamp": now}))]
    }

    fn update(&mut self, request: &Value, now: u64) -> Vec<(&'static str, Value)> {
        if !self.exists && now - self.deleted > 172_800 {
            self.version = 0;
        }
        if request.get("version").is_some_and(|version| *version != self.version) {
            return vec![("update/rejected", json!({"code": 409, "message": "Version conflict", "timestamp": now}))];
        }
        let previous = self.document();
        let requested = &request["state"];
        for (name, table) in [("desired", &mut self.desired), ("reported", &mut self.reported)] {
            if let Some(change) = if requested.is_null() { Some(requested) } else { requested.get(name) } {
                write(table, change, now);
            }
        }
        self.exists = true;
        self.version += 1;
        let part = |state: Value, metadata: Value| json!({"state": state, "metadata": metadata, "version": self.version, "timestamp": now});
        let mut messages = vec![("update/accepted", part(requested.clone(), echoed(requested, now)))];
        let delta = difference(&self.desired, &self.reported);
        if !delta.is_empty() {
            messages.push(("update/delta", part(state(&delta), metadata(&delta))));
        }
        messages.push(("update/documents", json!({"previous": previous, "current": self.document(), "timestamp": now})));
        messages
    }
}

fn missing(now: u64) -> Value {
    json!({"code": 404, "message": "No shadow exists with name: 'n'", "timestamp": now})
}

/// A step of a test: a request, or the passing of time in seconds.
#[derive(Clone, Debug)]
enum Step {
    Get,
    Delete,
    Update(Value),
    Wait(u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let section = || prop_oneof![8 => object(true).prop_map(Some), 1 => Just(Some(Value::Null)), 6 => Just(None)];
    let state = (section(), section()).prop_map(|(desired, reported)| {
        let sections = [("desired", desired), ("reported", reported)];
        sections.into_iter().filter_map(|(name, change)| Some((name.to_owned(), change?))).collect::<Value>()
    });
    let state = prop_oneof![20 => state, 1 => Just(Value::Null)];
    let version = prop_oneof![4 => Just(None), 1 => (0_u64..6).prop_map(Some)];
    let update = (state, version).prop_map(|(state, version)| {
        let mut request = json!({"state": state});
        if let Some(version) = version {
            request["version"] = version.into();
        }
        Step::Update(request)
    });
    let step = prop_oneof![
        8 => update,
        2 => Just(Step::Get),
        1 => Just(Step::Delete),
        3 => (0_u64..3).prop_map(Step::Wait),
        1 => (172_799_u64..172_803).prop_map(Step::Wait),
    ];
    prop::collection::vec(step, 1..16)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn the_messages_equal_those_of_the_model(steps in steps()) {
        let key = ShadowKey::new("t", Some("n")).unwrap();
        let (mut model, mut row, mut now) = (Model::default(), None::<String>, 1_591_057_529_u64);
        for step in steps {
            let (operation, payload, expected) = match &step {
                Step::Wait(seconds) => {
                    now += seconds;
                    continue;
                }
                Step::Get => (Operation::Get, String::new(), model.get(now)),
                Step::Delete => (Operation::Delete, String::new(), model.delete(now)),
                Step::Update(request) => (Operation::Update, request.to_string(), model.update(request, now)),
            };
            let stored = row.as_deref().map(|row| Stored::restore(row).unwrap());
            let Exchange { change, messages } = exchange(stored.as_ref(), &key, operation, payload.as_bytes(), now);
            let said: Vec<(String, Value)> =
                messages.into_iter().map(|message| (message.topic, serde_json::from_slice(&message.payload).unwrap())).collect();
            let expected: Vec<(String, Value)> =
                expected.into_iter().map(|(topic, payload)| (format!("$aws/things/t/shadow/name/n/{topic}"), payload)).collect();
            prop_assert_eq!(said, expected, "{:?}", step);
            if let Some(change) = change {
                let text = change.text();
                prop_assert_eq!(&Stored::restore(&text).unwrap(), &change);
                row = Some(text);
            }
        }
    }

    /// A device that reports each delta, and an app that follows `update/documents`, both have the state of the shadow.
    #[test]
    fn following_the_messages_gives_the_state(changes in prop::collection::vec(object(true), 1..6)) {
        let key = ShadowKey::new("t", None).unwrap();
        let (mut stored, mut seen) = (None::<Stored>, json!({}));
        for desired in changes {
            let asked = update(stored.as_ref(), &key, &json!({"state": {"desired": desired}}), 1).unwrap();
            stored = asked.change;
            let mut messages = asked.messages;
            if let Some(delta) = messages.iter().find(|message| message.topic == key.delta()) {
                let delta: Value = serde_json::from_slice(&delta.payload).unwrap();
                let done = update(stored.as_ref(), &key, &json!({"state": {"reported": delta["state"]}}), 2).unwrap();
                stored = done.change;
                messages.extend(done.messages);
            }
            for documents in messages.iter().filter(|message| message.topic == key.documents()) {
                let documents: Value = serde_json::from_slice(&documents.payload).unwrap();
                prop_assert_eq!(&documents["previous"]["state"], &seen);
                seen = documents["current"]["state"].clone();
            }
            let document = stored.as_ref().and_then(Stored::document).unwrap();
            prop_assert_eq!(document.delta(), Map::new());
            prop_assert_eq!(&document.read(3)["state"], &seen);
        }
    }
}

//! The final check after the last kill: every user makes one request, and the state of the hub is consistent.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use futures_util::future::join_all;
use mail_parser::{MessageParser, MimeHeaders};
use rusqlite::Connection;
use serde_json::Value;

use crate::bundle::Bundle;
use crate::bundles_of;
use crate::harness::{Client, Running};
use crate::person::Person;

pub(crate) async fn reigns(hub: Running, data: &Path, people: &[Arc<Person>]) {
    let client = hub.client();
    join_all(people.iter().map(|person| check_speech(person, &client))).await;
    for person in people {
        let bundles = bundles_of(person, &client).await.unwrap();
        let bundle = bundles.first().expect("no mail has a bundle");
        bundle.reads_its_shadow(hub.mqtt_port()).await;
    }
    hub.stop().await;
    let bundles = check_mail(&data.join("mail"));
    check_database(&data.join("hub.db"), people, &bundles);
}

async fn check_speech(person: &Person, client: &Client) {
    client.link(person.name).await.unwrap();
    let speech = client.speech(person.name, "open my printer").await.unwrap();
    println!("{} hears: {speech}", person.name);
    assert!(speech.contains("is ready") || speech.contains("welcome"), "{} hears: {speech}", person.name);
}

/// Checks that all mails are complete, and that the index and the folder contain exactly these mails. Returns the recipients and
/// the bundles, oldest first.
fn check_mail(folder: &Path) -> Vec<(String, Bundle)> {
    let mut names: Vec<String> = fs::read_dir(folder).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    let index = names.pop().unwrap();
    assert_eq!(index, "index.jsonl");
    assert!(names.iter().all(|name| name.ends_with(".eml")), "{names:?}");
    let index = fs::read_to_string(folder.join(index)).unwrap();
    let known: Vec<String> =
        index.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["id"].as_str().unwrap().to_owned()).collect();
    assert_eq!(known, names, "what the index knows");
    names.iter().filter_map(|name| parse_mail(&fs::read(folder.join(name)).unwrap())).collect()
}

/// Checks that a mail has a recipient, a subject and a text. Returns its recipient and bundle; `None` for a mail about the
/// deletion of a user, which has no bundle.
fn parse_mail(mail: &[u8]) -> Option<(String, Bundle)> {
    let mail = MessageParser::default().parse(mail).unwrap();
    let to = mail.to().unwrap().first().unwrap().address().unwrap().to_owned();
    assert!(!mail.subject().unwrap().is_empty() && !mail.body_text(0).unwrap().is_empty() && mail.body_html(0).is_some());
    let attachment = mail.attachment(0)?;
    assert!(attachment.attachment_name().unwrap().ends_with(".zip"));
    Some((to, Bundle::open(attachment.contents())))
}

fn texts(db: &Connection, sql: &str, params: impl rusqlite::Params) -> BTreeSet<String> {
    let mut query = db.prepare(sql).unwrap();
    query.query_map(params, |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap()
}

fn check_database(path: &Path, people: &[Arc<Person>], bundles: &[(String, Bundle)]) {
    let db = Connection::open(path).unwrap();
    assert_eq!(texts(&db, "PRAGMA integrity_check", []), BTreeSet::from(["ok".to_owned()]));
    assert!(texts(&db, "SELECT \"table\" FROM pragma_foreign_key_check", []).is_empty());
    for Person { name, .. } in people.iter().map(AsRef::as_ref) {
        let owner = format!("amzn1.account.{}", name.to_ascii_uppercase());
        let things = texts(&db, "SELECT name FROM thing WHERE json_extract(attributes, '$.UserId') = ?1", [&owner]);
        assert_eq!(things.len(), 1, "the things of {name}");
        let thing = things.first().unwrap();
        let attributes: String = db.query_row("SELECT attributes FROM thing WHERE name = ?1", [thing], |row| row.get(0)).unwrap();
        let record: Value = serde_json::from_str(&attributes).unwrap();
        let newest = record["CertificateId"].as_str().unwrap_or_else(|| panic!("{name} has no certificate: {record}")).to_owned();

        let mut expected: BTreeSet<String> = record["Replaced"].as_str().unwrap_or_default().split(',').map(str::to_owned).collect();
        expected.remove("");
        expected.insert(newest.clone());
        let active = texts(&db, "SELECT id FROM certificate WHERE active AND (made_for = ?1 OR thing = ?1)", [thing]);
        assert_eq!(active, expected, "the certificates of {name} that open something");
        assert_eq!(texts(&db, "SELECT id FROM certificate WHERE thing = ?1", [thing]), expected, "what is attached to the thing of {name}");
        for certificate in &active {
            let policies = texts(&db, "SELECT policy FROM attached_policy WHERE certificate = ?1", [certificate]);
            assert_eq!(policies, BTreeSet::from(["OneUserOneThing".to_owned()]));
        }
        let (_, last) = bundles.iter().rev().find(|(to, _)| *to == format!("{name}@example.com")).expect("no mail for the user");
        assert_eq!((&last.certificate, &last.thing), (&newest, thing), "what the last mail of {name} holds");
    }
    let things: i64 = db.query_row("SELECT count(*) FROM thing", [], |row| row.get(0)).unwrap();
    assert_eq!(usize::try_from(things).unwrap(), people.len());
}

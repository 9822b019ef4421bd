use serde_json::json;

use super::*;
use crate::bundle::limits::FILE_LIMIT;

const KEY: &[u8] = b"-----BEGIN PRIVATE KEY-----";

fn connection(roots: &[&str]) -> Vec<u8> {
    let topic = "t";
    let topics = json!({"get": topic, "getAccepted": topic, "getRejected": topic, "update": topic, "updateAccepted": topic,
        "updateRejected": topic, "updateDelta": topic});
    let connection = json!({"version": 1, "thingName": "T", "clientId": "T", "endpoint": "localhost", "port": 8883,
        "certificate": "c.pem", "privateKey": "k.pem", "rootCas": roots, "topics": topics, "issuedAt": 7});
    connection.to_string().into_bytes()
}

fn files() -> Files {
    let mut files = Files::new();
    files.insert(CONNECTION, connection(&["r.pem"])).unwrap();
    for (name, content) in [("c.pem", &b"certificate"[..]), ("k.pem", KEY), ("r.pem", b"root")] {
        files.insert(name, content.to_vec()).unwrap();
    }
    files
}

fn unpacked(files: &Files) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, content) in files.iter() {
        std::fs::write(folder.path().join(name), content).unwrap();
    }
    folder
}

#[test]
fn only_files_that_connection_json_names_are_read() {
    let folder = unpacked(&files());
    std::fs::write(folder.path().join("holiday.jpg"), "").unwrap();
    assert_eq!(Files::from_folder(folder.path()).unwrap(), files());
    std::fs::remove_file(folder.path().join("k.pem")).unwrap();
    assert_eq!(Files::from_folder(folder.path()).unwrap_err().to_string(), "the bundle has no k.pem");
    std::fs::create_dir(folder.path().join("k.pem")).unwrap();
    assert_eq!(Files::from_folder(folder.path()).unwrap_err().to_string(), "k.pem in the bundle cannot be read");
    std::fs::write(folder.path().join("c.pem"), vec![b' '; FILE_LIMIT as usize + 1]).unwrap();
    assert!(matches!(Files::from_folder(folder.path()), Err(BundleError::TooLarge)));
}

#[test]
fn a_name_is_a_plain_file_name() {
    for name in ["", ".", "..", ".hidden", "a/b", "/etc/passwd", "a\\b", "C:key", "a\0b", "a\nb", "ä.pem", &"a".repeat(129)] {
        assert!(matches!(Files::new().insert(name, Vec::new()), Err(BundleError::Name(_))), "{name:?}");
        let mut files = files();
        files.insert(CONNECTION, connection(&[name])).unwrap();
        assert!(matches!(Files::from_folder(unpacked(&files).path()), Err(BundleError::Name(_))), "{name:?}");
    }
}

#[test]
fn debug_output_hides_the_key() {
    let shown = format!("{:?}", files());
    assert!(shown.contains("k.pem") && !shown.contains("PRIVATE"), "{shown}");
}

#[test]
fn a_change_of_connection_json_keeps_unknown_members() {
    let mut files = files();
    files.amend(|connection| drop(connection.insert("register".into(), json!("https://endpoint.example")))).unwrap();
    let read: Value = serde_json::from_slice(files.content(CONNECTION).unwrap()).unwrap();
    assert_eq!((&read["register"], &read["issuedAt"]), (&json!("https://endpoint.example"), &json!(7)));
    files.insert(CONNECTION, b"[]".to_vec()).unwrap();
    assert!(matches!(files.amend(|_| ()), Err(BundleError::Connection(_))));
}

#[test]
fn a_root_is_added_once() {
    let mut files = files();
    for _ in 0..2 {
        files.add_root("own-ca.pem", b"own").unwrap();
    }
    let read: Value = serde_json::from_slice(files.content(CONNECTION).unwrap()).unwrap();
    assert_eq!(read["rootCas"], json!(["own-ca.pem", "r.pem"]));
    assert_eq!(files.content("own-ca.pem").unwrap(), b"own");
}

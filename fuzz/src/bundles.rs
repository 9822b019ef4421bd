//! The zip from a mail, as the agent opens it.
//!
//! The input is opened as it is. An input that begins with `=== NAME` is also treated as the files of a zip, each after such a
//! line, so that their content gets past the checksums. `@certificate`, `@key` and `@root` stand for a key pair that is generated
//! at the start, so that the corpus contains no key.

use std::io::{Cursor, Write};
use std::sync::OnceLock;

use onething_device::bundle::Bundle;
use onething_device::bundle::files::Files;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

/// The file name of a root certificate that is added.
const ANOTHER: &str = "another-root.pem";

/// Opens the input as a zip and as the files of a zip.
pub fn run(data: &[u8]) {
    open(data);
    if let Some(files) = data.strip_prefix(b"=== ") {
        let files = String::from_utf8_lossy(files);
        open(&zipped(&files));
        gathered(&files);
    }
}

fn open(zip: &[u8]) {
    match Bundle::open(zip) {
        Ok(bundle) => assert!(!format!("{bundle:?}").contains("PRIVATE KEY")),
        Err(error) => assert!(error.to_string().len() <= 256 + zip.len()),
    }
}

/// Checks the same files as they are stored in a folder, and with one more root certificate.
fn gathered(text: &str) {
    let mut files = Files::new();
    for file in text.split("\n=== ") {
        let (name, content) = file.split_once('\n').unwrap_or((file, ""));
        let kept = files.insert(name, filled(content).into_bytes()).is_ok();
        assert!(!kept || (!name.is_empty() && !name.starts_with('.') && !name.contains(['/', '\\', '\0'])), "{name:?}");
    }
    // If the bundle has a file of this name already, the new root certificate would replace it.
    let Some(bundle) = Bundle::from_files(&files).ok().filter(|_| !text.contains(ANOTHER)) else { return };
    assert!(files.add_root(ANOTHER, filled("@root").as_bytes()).is_ok());
    let again = Bundle::from_files(&files);
    assert!(again.is_ok_and(|again| again.certificate_id == bundle.certificate_id));
}

fn zipped(files: &str) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    let stored = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    for file in files.split("\n=== ") {
        let (name, content) = file.split_once('\n').unwrap_or((file, ""));
        // A name that a zip cannot contain, or contains already, is left out.
        if zip.start_file(name, stored).is_ok() {
            let _ = zip.write_all(filled(content).as_bytes());
        }
    }
    zip.finish().map_or_else(|_| Vec::new(), Cursor::into_inner)
}

fn filled(content: &str) -> String {
    static PAIR: OnceLock<(String, String)> = OnceLock::new();
    let pair = || match rcgen::generate_simple_self_signed(["localhost".to_owned()]) {
        Ok(pair) => (pair.cert.pem(), pair.signing_key.serialize_pem()),
        Err(error) => panic!("{error}"),
    };
    let (certificate, key) = PAIR.get_or_init(pair);
    // Each placeholder is filled once, so that a small input cannot use much memory.
    ["@certificate", "@root"]
        .iter()
        .fold(content.to_owned(), |content, place| content.replacen(place, certificate, 1))
        .replacen("@key", key, 1)
}

use std::io::{Read, Write};

use serde_json::json;
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use super::*;
use crate::bundle::Bundle;
use crate::bundle::files::Files;
use crate::bundle::limits::FILE_LIMIT;
use onething::identifiers::{OwnerId, ThingName, ThingPrefix};
use onething::mail::bundle::{Broker, zip};
use onething_hub::authority::Authority;

const NOW: u64 = 1_795_305_600;
const METHODS: [CompressionMethod; 2] = [CompressionMethod::Stored, CompressionMethod::Deflated];

/// The files of a bundle as the skill mails it.
fn mailed() -> Vec<(String, Vec<u8>)> {
    let authority = Authority::new(NOW).unwrap();
    let thing = ThingName::of(&ThingPrefix::parse("Lamp-").unwrap(), &OwnerId::parse("amzn1.account.ANA").unwrap());
    let broker = Broker { host: "localhost".into(), port: 8883, roots: vec![("RootCA.pem".into(), authority.root_pem())], register: None };
    let mailed = zip(&thing, &authority.issue(NOW).unwrap(), &broker, NOW, "", "read me").unwrap();
    let mut archive = ZipArchive::new(Cursor::new(mailed)).unwrap();
    (0..archive.len())
        .map(|number| {
            let (mut file, mut content) = (archive.by_index(number).unwrap(), Vec::new());
            file.read_to_end(&mut content).unwrap();
            (file.name().unwrap().into_owned(), content)
        })
        .collect()
}

fn packed(files: &[(String, Vec<u8>)], method: CompressionMethod) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in files {
        let options = SimpleFileOptions::default().compression_method(method);
        match name.strip_suffix('/') {
            Some(folder) => zip.add_directory(folder, options).unwrap(),
            None => {
                zip.start_file(name.as_str(), options).unwrap();
                zip.write_all(content).unwrap();
            }
        }
    }
    zip.finish().unwrap().into_inner()
}

/// The files in a folder of a zip, preceded by other files.
fn within(folder: &str, files: &[(String, Vec<u8>)], beside: &[&str]) -> Vec<(String, Vec<u8>)> {
    let beside = beside.iter().map(|name| ((*name).to_owned(), b"\x00\x05\x16\x07".to_vec()));
    beside.chain(files.iter().map(|(name, content)| (format!("{folder}{name}"), content.clone()))).collect()
}

fn check(zip: &[u8], words: &str) {
    let error = Bundle::open(zip).unwrap_err().to_string();
    assert!(error.contains(words), "{error:?} instead of {words:?}");
}

#[test]
fn a_bundle_that_was_packed_again_is_the_same_bundle() {
    let mailed = mailed();
    let original = Files::from_zip(&packed(&mailed, CompressionMethod::Stored)).unwrap();
    let of_macos = ["3D_Printer-a/", "__MACOSX/3D_Printer-a/._connection.json", "__MACOSX/._3D_Printer-a", "3D_Printer-a/.DS_Store"];
    for method in METHODS {
        for files in [
            mailed.clone(),
            within("3D_Printer-a/", &mailed, &["3D_Printer-a/"]),
            within("3D_Printer-a/", &mailed, &of_macos),
            within("", &mailed, &["__MACOSX/._connection.json", ".DS_Store"]),
            within("Neuer Ordner\\", &mailed, &[]),
            within("a/b/", &mailed, &["a/", "a/b/", "a/holiday.jpg"]),
        ] {
            let zip = packed(&files, method);
            assert!(Files::from_zip(&zip).unwrap() == original, "{:?}", files[0].0);
            Bundle::open(&zip).unwrap();
        }
    }
}

#[test]
fn byte_order_marks_and_utf_16_are_accepted() {
    let mailed = mailed();
    let original = Files::from_zip(&packed(&mailed, CompressionMethod::Stored)).unwrap();
    let with = |change: &dyn Fn(&str) -> Vec<u8>| -> Vec<_> {
        mailed.iter().map(|(name, content)| (name.clone(), change(std::str::from_utf8(content).unwrap()))).collect()
    };
    let wide = |text: &str, bytes: fn(u16) -> [u8; 2]| std::iter::once(0xfeff).chain(text.encode_utf16()).flat_map(bytes).collect();
    let utf16_le = |text: &str| -> Vec<u8> { wide(text, u16::to_le_bytes) };
    let utf16_be = |text: &str| -> Vec<u8> { wide(text, u16::to_be_bytes) };
    for files in [with(&|text| format!("\u{feff}{text}").into_bytes()), with(&utf16_le), with(&utf16_be)] {
        assert!(Files::from_zip(&packed(&files, CompressionMethod::Deflated)).unwrap() == original);
    }
}

#[test]
fn the_error_names_the_fault_of_a_zip() {
    let mailed = mailed();
    let deflated = |files: &[(String, Vec<u8>)]| packed(files, CompressionMethod::Deflated);
    check(&deflated(&[within("a/", &mailed, &[]), within("b/", &mailed, &[])].concat()), "more than one connection.json");
    check(&deflated(&[("Lamp-a.zip".to_owned(), deflated(&mailed))]), "another zip in it, Lamp-a.zip: unpack that one");
    check(&deflated(&within("__MACOSX/", &mailed, &[])), "has no connection.json");
    let elsewhere: Vec<_> =
        mailed.iter().map(|(name, content)| (name.replace("certificate.pem", "x/certificate.pem"), content.clone())).collect();
    check(&deflated(&elsewhere), "has no certificate.pem");

    // Flags and method are at offsets 6 and 8 of a local header, and at 8 and 10 of the central directory (APPNOTE, 4.3).
    let patched = |flags: u8, method: u8| {
        let mut zip = packed(&mailed, CompressionMethod::Stored);
        for (mark, at) in [(b"PK\x03\x04", 6), (b"PK\x01\x02", 8)] {
            for start in 0..zip.len() - 4 {
                if zip[start..].starts_with(mark) {
                    (zip[start + at], zip[start + at + 2]) = (zip[start + at] | flags, method);
                }
            }
        }
        zip
    };
    Bundle::open(&patched(0, 0)).unwrap();
    check(&patched(1, 0), "connection.json in the bundle is encrypted: pack it without a password");
    check(&patched(0, 93), "connection.json in the bundle is packed by a method that is not known here");
    check(&patched(0, 8), "connection.json in the bundle is damaged");
}

#[test]
fn a_small_zip_does_not_unpack_to_a_large_file() {
    for size in [FILE_LIMIT + 1, 64 << 20] {
        let mut files = mailed();
        for (name, content) in &mut files {
            if name == "certificate.pem" {
                *content = vec![b' '; usize::try_from(size).unwrap()];
            }
        }
        let zip = packed(&files, CompressionMethod::Deflated);
        assert!(zip.len() < ZIP_LIMIT);
        check(&zip, "too large");
        // A zip that states a small size: the size is at offset 24 of the central directory.
        let mut lying = zip.clone();
        for start in 0..lying.len() - 28 {
            if lying[start..].starts_with(b"PK\x01\x02") && lying[start + 24..start + 28] == u32::try_from(size).unwrap().to_le_bytes() {
                lying[start + 24..start + 28].copy_from_slice(&7_u32.to_le_bytes());
            }
        }
        assert_ne!(lying, zip);
        assert!(Bundle::open(&lying).is_err());
    }
    let many: Vec<_> = (0..=FILES_LIMIT).map(|number| (format!("{number}"), json!(number).to_string().into_bytes())).collect();
    check(&packed(&many, CompressionMethod::Deflated), "too large");
}

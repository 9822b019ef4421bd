//! The response of a registration endpoint to a device, and the bundle that the device makes of the response.
//!
//! `@certificate` stands for a certificate for the key of the device, and `@root` for a root certificate, so that the corpus
//! contains no key.

use onething_device::bundle::{Bundle, NotValidNow};
use onething_device::registration::address::Address;
use onething_device::registration::answer::{Expected, judge};

use super::NOW;
use super::credentials::{THING, credentials, filled};

/// Checks the response, for a device that knows the name of its thing and for one that does not.
pub fn run(data: &[u8]) {
    let text = filled(&String::from_utf8_lossy(data));
    let endpoint = match Address::parse("https://endpoint.example") {
        Ok(endpoint) => endpoint,
        Err(error) => panic!("{error}"),
    };
    for thing in [Some(THING.to_owned()), None] {
        let expected = Expected { key: &credentials().key, thing: thing.clone(), endpoint: &endpoint, now: NOW };
        let files = match judge(text.as_bytes(), &expected) {
            Ok(files) => files,
            Err(error) => {
                assert!(error.to_string().len() <= 512, "{error}");
                continue;
            }
        };
        assert_eq!(files.content("private.key.pem").ok(), Some(credentials().key.private_key().pem().as_bytes()));
        let bundle = match Bundle::from_files(&files) {
            Ok(bundle) => bundle,
            Err(error) => panic!("the files of a valid response are no bundle: {error}"),
        };
        assert!(matches!(bundle.is_valid_at(NOW), Ok(()) | Err(NotValidNow::NotYet { .. })));
        let connection = &bundle.connection;
        assert!(thing.is_none_or(|thing| thing == connection.thing_name));
        assert!(connection.topics.update.starts_with(&format!("$aws/things/{}/shadow/", connection.thing_name)));
        assert!(connection.port > 0 && !connection.endpoint.contains(['/', '@', ' ']));
        assert!(!format!("{bundle:?}").contains("PRIVATE KEY"));
    }
}

//! `device.toml`: the properties, commands, intents and actions of a device.

use std::net::IpAddr;
use std::path::Path;

use onething::device_model::{LoopbackUrl, Means, Model};
use serde_json::{Value, json};

/// Parses the model, and every line as a loopback URL.
pub fn run(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    text.lines().filter_map(LoopbackUrl::parse).for_each(|url| is_here(&url));
    let model = match Model::parse(&text) {
        Ok(model) => model,
        Err(faults) => {
            let said = faults.to_string();
            assert!(!faults.0.is_empty() && said.len() <= 1_000 + 100 * text.len(), "{} bytes of {}", said.len(), text.len());
            return;
        }
    };
    for property in model.properties.values() {
        for value in [json!("ON"), json!(""), json!(0), json!(-1.5), json!(1e300), Value::Null, json!([])] {
            if let Some(kept) = property.kind.fit(&value) {
                assert_eq!(property.kind.fit(&kept).as_ref(), Some(&kept), "a stored value is not of its type: {:?}", property.kind);
            }
        }
    }
    for rule in model.intents.values() {
        let _ = model.slots(rule);
    }
    let (properties, commands) = (&model.actions.properties, &model.actions.commands);
    assert!(properties.keys().all(|name| model.properties.get(name).is_some_and(|property| !property.reported_only)));
    assert!(commands.keys().all(|name| model.commands.contains_key(name)));
    for action in properties.values().chain(commands.values()) {
        assert!(action.limit.as_secs() >= 1);
        match &action.means {
            Means::Program { path, args } => {
                assert!(path.starts_with('/') && !args.iter().chain([path]).any(|part| part.contains('\0')));
            }
            Means::Http(url) => is_here(url),
            Means::Gpio(line) => is_absolute(&line.chip),
            Means::File { path, .. } => is_absolute(path),
        }
    }
}

fn is_here(url: &LoopbackUrl) {
    assert!(url.by_address().count() > 0);
    for address in url.by_address() {
        let uri: Option<http::Uri> = address.parse().ok();
        let host = uri.as_ref().and_then(http::Uri::host).map(|host| host.trim_matches(['[', ']']).parse::<IpAddr>());
        assert!(matches!(host, Some(Ok(ip)) if ip.is_loopback()), "{address} of {}", url.as_str());
    }
}

fn is_absolute(path: &Path) {
    assert!(path.has_root() && !path.as_os_str().as_encoded_bytes().contains(&0), "{path:?}");
}

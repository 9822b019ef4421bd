//! A policy document, and its decisions about connections with any names.
//!
//! The first three lines are a client id, the name of a thing (empty for none) and the name of a resource; the rest is the
//! document.

use std::collections::BTreeMap;

use onething_hub::policy::check::check;
use onething_hub::policy::{Context, Decision, Policy, Request, ThingContext, decide};

use super::NOW;

/// A policy that denies everything.
const NOTHING: &str = r#"{"Version":"2012-10-17","Statement":{"Effect":"Deny","Action":"*","Resource":"*"}}"#;
const ACTIONS: [&str; 5] = ["iot:Connect", "iot:Publish", "iot:RetainPublish", "iot:Subscribe", "iot:Receive"];

/// Parses the document and decides requests for all actions.
pub fn run(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let mut lines = text.splitn(4, '\n');
    let (Some(client_id), Some(thing), Some(name), Some(document)) = (lines.next(), lines.next(), lines.next(), lines.next()) else {
        return;
    };
    let policy = match Policy::parse(document) {
        Ok(policy) => policy,
        Err(error) => {
            let said = error.to_string();
            assert!(said.len() <= 1_000 + 4 * document.len(), "{} bytes of {}", said.len(), document.len());
            return;
        }
    };
    let attributes: BTreeMap<String, String> = [("k".to_owned(), name.to_owned())].into();
    let thing = (!thing.is_empty()).then(|| ThingContext { name: thing.into(), thing_type: Some("T".into()), attributes });
    let attached = Context {
        client_id: client_id.to_owned(),
        certificate_id: Some(format!("{NOW:064x}")),
        subject: [("CommonName".to_owned(), vec![name.to_owned(), client_id.to_owned()])].into(),
        source_ip: Some([203, 0, 113, 7].into()),
        thing,
        persistent_connect: true,
        last_will_topic: Some(name.to_owned()),
    };
    let bare = Context { client_id: client_id.to_owned(), ..Context::default() };
    let (Ok(nothing), Ok(device)) = (Policy::parse(NOTHING), Policy::parse(onething_hub::policy::DEVICE_DOCUMENT)) else {
        panic!("the fixed policies cannot be parsed")
    };
    for context in [attached, bare] {
        for permission in policy.permissions(&context) {
            assert!(permission.resources.iter().all(|resource| !resource.is_empty()));
        }
        for action in ACTIONS {
            let Some(request) = Request::of(action, name) else { panic!("{action} is no action") };
            asked(&policy, &request, &context, [&nothing, &device]);
        }
    }
}

fn asked(policy: &Policy, request: &Request<'_>, context: &Context, [nothing, device]: [&Policy; 2]) {
    let alone = decide([policy], request, context);
    let verdict = check(policy, request, context);
    assert_eq!(verdict.decision, alone);
    assert!(!verdict.to_string().is_empty() && !verdict.reasons.is_empty());
    if let Decision::Allowed(ground) | Decision::ExplicitDeny(ground) = alone {
        assert!(ground.resource < policy.statements()[ground.statement].resources().len());
    }
    assert!(matches!(decide([policy, nothing], request, context), Decision::ExplicitDeny(_)));
    let (by_device, both) = (decide([device], request, context), decide([policy, device], request, context));
    match alone {
        Decision::ExplicitDeny(_) => assert_eq!(both, alone),
        _ => assert_eq!(both.is_allowed(), alone.is_allowed() || by_device.is_allowed()),
    }
    assert_eq!(both.is_allowed(), decide([device, policy], request, context).is_allowed());
}

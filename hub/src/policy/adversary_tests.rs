//! Tests of the device policy against an attacker who has the certificate of one thing and requests topics of another.

use std::sync::LazyLock;

use proptest::prelude::*;

use super::check::check;
use super::{Attachment, Context, DEVICE_DOCUMENT, Decision, Policy, Request, ThingContext, association, decide};

const A: &str = "onething-a";
const B: &str = "onething-b";
const SHADOW_ENDINGS: [&str; 20] = [
    "shadow/get",
    "shadow/update",
    "shadow/delete",
    "shadow/get/accepted",
    "shadow/get/rejected",
    "shadow/get/+",
    "shadow/update/accepted",
    "shadow/update/rejected",
    "shadow/update/delta",
    "shadow/update/documents",
    "shadow/delete/accepted",
    "shadow/delete/rejected",
    "shadow/delete/+",
    "shadow/update/+",
    "shadow/update/#",
    "shadow/+/accepted",
    "shadow/name/secret/get",
    "shadow/name/secret/update",
    "jobs/get",
    "defender/metrics/json",
];

static DEVICE: LazyLock<Policy> = LazyLock::new(|| Policy::parse(DEVICE_DOCUMENT).unwrap());

/// The context of a connection with the certificate of A and this Client Identifier.
fn with_certificate_of_a(client_id: &str, exclusive: bool) -> Context {
    let thing = association(client_id, &[Attachment { thing: A, exclusive }]);
    let thing = thing.map(|name| ThingContext { name: name.into(), ..ThingContext::default() });
    Context { client_id: client_id.into(), thing, ..Context::default() }
}

fn every(name: &str) -> [Request<'_>; 5] {
    [Request::Connect(name), Request::Publish(name), Request::RetainPublish(name), Request::Subscribe(name), Request::Receive(name)]
}

fn is_allowed(request: Request<'_>, context: &Context) -> bool {
    decide([&*DEVICE], &request, context).is_allowed()
}

#[test]
fn the_device_policy_allows_a_thing_only_what_it_needs() {
    for exclusive in [true, false] {
        let own = with_certificate_of_a(A, exclusive);
        assert!(is_allowed(Request::Connect(A), &own));
        let may = |ending: &str| {
            let topic = format!("$aws/things/{A}/{ending}");
            every(&topic).iter().filter(|request| is_allowed(**request, &own)).map(Request::action).collect::<Vec<_>>()
        };
        for (ending, actions) in SHADOW_ENDINGS.iter().zip([
            &["iot:Publish"][..],
            &["iot:Publish"],
            &[],
            &["iot:Subscribe", "iot:Receive"],
            &["iot:Subscribe", "iot:Receive"],
            &["iot:Subscribe", "iot:Receive"],
            &["iot:Subscribe", "iot:Receive"],
            &["iot:Subscribe", "iot:Receive"],
            &["iot:Subscribe", "iot:Receive"],
            &["iot:Subscribe", "iot:Receive"],
            &["iot:Subscribe", "iot:Receive"],
            &["iot:Subscribe", "iot:Receive"],
            // In a policy `+` and `#` are ordinary characters. No message has such a topic name.
            &["iot:Receive"],
            &["iot:Receive"],
            &["iot:Receive"],
            &[],
            &[],
            &[],
            &[],
            &[],
        ]) {
            assert_eq!(may(ending), actions, "{ending}");
        }
    }
}

#[test]
fn the_certificate_of_a_allows_nothing_of_b() {
    let mut names = vec![B.to_owned()];
    for name in [B, "+", "#", "*", "?", "", "${iot:Connection.Thing.ThingName}", "onething-?", "ONETHING-A", "onething-a ", "onething-a\0"]
    {
        names.extend(SHADOW_ENDINGS.iter().map(|ending| format!("$aws/things/{name}/{ending}")));
        names.extend(["#", "+/+", "shadow/#", "shadow/+", "*", "shadow/*"].map(|ending| format!("$aws/things/{name}/{ending}")));
    }
    let others = [
        "#",
        "+",
        "+/#",
        "/#",
        "$aws/#",
        "$aws/things/#",
        "$aws/things/+/shadow/#",
        "$share/g/#",
        "*",
        "$SYS/#",
        "$aws/events/presence/connected/+",
        "$aws/things/onething-a/../onething-b/shadow/get",
        "$aws/things/onething-a//shadow/get",
        "$aws/things//onething-a/shadow/get",
        "$aws/things/onething%2da/shadow/get",
        "$AWS/things/onething-a/shadow/get",
        "/$aws/things/onething-a/shadow/get",
        "$aws/things/onething-a/shadow/get/",
        "$aws/things/onething-a/shadow/get/#",
        "$aws/things/onething-a/shadow/update\0",
        "$share/g/$aws/things/onething-a/shadow/get/accepted",
        "things/onething-a",
    ];
    names.extend(others.map(str::to_owned));
    for exclusive in [true, false] {
        for client_id in [A, B, "*", "+", "onething-?", "${iot:ClientId}", "", "onething-b/../onething-a"] {
            let context = with_certificate_of_a(client_id, exclusive);
            for request in names.iter().flat_map(|name| every(name)) {
                // The policy allows `iot:Receive` on all shadow topics of A, although A can subscribe to nine filters only.
                let own = matches!(request, Request::Receive(topic) if topic.starts_with("$aws/things/onething-a/shadow/"));
                assert!(own || !is_allowed(request, &context), "{request:?} as {client_id}, exclusive: {exclusive}");
            }
        }
    }
}

#[test]
fn a_connection_without_a_thing_is_denied_everything() {
    let without_thing = Context { client_id: A.into(), ..Context::default() };
    for name in [A, "$aws/things/onething-a/shadow/get", "$aws/things//shadow/get"] {
        for request in every(name) {
            assert_eq!(decide([&*DEVICE], &request, &without_thing), Decision::ImplicitDeny);
        }
    }
}

proptest! {
    #[test]
    fn no_name_gives_access_to_topics_of_another_thing(
        client_id in "[a-z*?+#$/{}]{0,8}", tail in "[a-z*?+#$/]{0,24}", exclusive: bool, whole: bool,
    ) {
        let context = with_certificate_of_a(&client_id, exclusive);
        let name = if whole { tail } else { format!("$aws/things/{tail}") };
        for request in every(&name) {
            prop_assert!(!is_allowed(request, &context), "{request:?}");
        }
    }
}

#[test]
fn a_verdict_names_the_statement_that_decided() {
    let own = with_certificate_of_a(A, true);
    let topic = format!("$aws/things/{A}/shadow/update");
    assert_eq!(
        check(&DEVICE, &Request::Publish(&topic), &own).to_string(),
        "iot:Publish of topic/$aws/things/onething-a/shadow/update: allowed\n  \
         Statement[1] allows iot:Publish of topic/$aws/things/${iot:Connection.Thing.ThingName}/shadow/update, \
         here topic/$aws/things/onething-a/shadow/update"
    );
}

#[test]
fn a_verdict_explains_an_implicit_deny() {
    let own = with_certificate_of_a(A, true);
    let why = |request, context: &Context| check(&DEVICE, &request, context).to_string();
    assert_eq!(
        why(Request::Publish("a"), &own),
        "iot:Publish of topic/a: denied, because nothing allows it\n  \
         Statement[1] is about topic/$aws/things/onething-a/shadow/get, topic/$aws/things/onething-a/shadow/update"
    );
    assert_eq!(
        why(Request::RetainPublish("a"), &own),
        "iot:RetainPublish of topic/a: denied, because nothing allows it\n  no statement is about iot:RetainPublish"
    );
    assert_eq!(
        why(Request::Connect(A), &Context { client_id: A.into(), ..Context::default() }),
        "iot:Connect of client/onething-a: denied, because nothing allows it\n  \
         Statement[0] needs ${iot:Connection.Thing.ThingName}, which has no value on this connection"
    );
    let conditional = r#"{"Version":"2012-10-17","Statement":[
        {"Effect":"Allow","Action":"*","Resource":"*","Condition":{"Bool":{"iot:Connection.Thing.IsAttached":"false"}}}]}"#;
    assert_eq!(
        check(&Policy::parse(conditional).unwrap(), &Request::Connect(A), &own).reasons,
        ["Statement[0] has the resource, but its condition on iot:Connection.Thing.IsAttached does not hold"]
    );
    let denying = r#"{"Version":"2012-10-17","Statement":{"Effect":"Deny","Action":"iot:*","Resource":"*"}}"#;
    assert_eq!(
        check(&Policy::parse(denying).unwrap(), &Request::Connect(A), &own).to_string(),
        "iot:Connect of client/onething-a: denied\n  Statement[0] denies iot:* of *"
    );
}

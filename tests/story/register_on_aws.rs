//! The parts of the endpoint that only AWS has: its policy in the Parameter Store, a Lambda function of the maker as the hook,
//! and its own role.

use std::collections::BTreeSet;

use serde_json::json;

use crate::harness::aws::Conduct;
use crate::harness::deployment::Deployment;
use crate::harness::gateway::Gateway;
use crate::harness::lambda::Lambda;
use crate::harness::ministack::{calls_as, function, rights_with};
use crate::harness::new_device::NewDevice;
use crate::register::{RegistrationStack, TABLE, owners_keys, policy};
use crate::stack::{Stack, now, thing};

const PARAMETER: &str = "/onething/onething/register";

#[tokio::test(flavor = "multi_thread")]
async fn the_policy_comes_from_the_parameter_store_in_parts_and_without_one_no_device_is_registered() {
    let endpoint = RegistrationStack::with(|deployment| deployment.set("REGISTER_TERMS_PARAMETER", PARAMETER)).await;
    let ada = endpoint.stack.function.welcomes("Ada");
    let code = endpoint.code_for(&ada).await;
    let (_, told) = endpoint.registers(None, json!({"code": code})).await;
    told.is_refused(503, "closed");
    assert!(told.headers["retry-after"].is_string(), "{told:?}");
    endpoint.gateway.function().logs("\"outcome\":\"closed\"").await;
    let line = endpoint.gateway.function().logs("\"cause\":\"policy\"").await;
    assert!(line.contains("\"fault\":\"maker\"") && line.contains(PARAMETER), "{line}");

    // Another process reads the parameters. A policy on several pages arrives complete and in order.
    let policy = policy();
    let lines: Vec<&str> = policy.lines().collect();
    for (number, part) in lines.chunks(3).enumerate() {
        let name = format!("{PARAMETER}/{}", number + 10);
        let value = format!("#{number}\n{}", part.join("\n"));
        let kept = json!({"Name": name, "Type": "SecureString", "Value": value});
        assert_eq!(calls_as(&endpoint.stack.ministack.url, &owners_keys(), "ssm", "put_parameter", kept).await, Ok(()));
    }
    let deployment = Deployment::with(&endpoint.stack.function.login.url(), &endpoint.gate.url())
        .set("REGISTER", "on")
        .set("REGISTER_TABLE", TABLE)
        .set("REGISTER_TERMS_PARAMETER", PARAMETER);
    let gateway = Gateway::open(Lambda::start(&deployment).await).await;
    let device = NewDevice::new().await;
    for _ in 0..2 {
        let shown = json!({"serial": "0123456789abcdefghij"});
        device.registers(&gateway.url(), None, shown).await.lets_in();
        endpoint.stack.lease_passes().await;
    }
    let pages = lines.chunks(3).count().div_ceil(10);
    assert!(pages > 0 && endpoint.gate.times("GetParametersByPath") >= pages);
    // The policy is cached for a while.
    let before = endpoint.gate.times("GetParametersByPath");
    device.registers(&gateway.url(), None, json!({"serial": "nobody"})).await.is_refused(401, "not_recognised");
    assert_eq!(endpoint.gate.times("GetParametersByPath"), before);
    assert!(!gateway.function().log().contains("one token"));
}

/// The policy with a hook of the maker.
fn policy_with_a_hook() -> String {
    policy().replace("[registration]", "[registration]\nhook = \"lambda:who-may-register\"\nhook_seconds = 10")
}

/// A hook that allows a serial with `yes`, or a renewal without a serial, and adds an attribute; it fails for `broken`.
const HOOK: &str = r#"
def handler(question, context):
    serial = question["serial"] or "yes"
    if "broken" in serial:
        raise RuntimeError("out of order")
    assert question["thingType"] == "lamp" and question["source"]
    return {"allow": "yes" in serial, "attributes": {"hardware": "c"}}
"#;

#[tokio::test(flavor = "multi_thread")]
async fn the_hook_function_of_the_maker_decides_last() {
    let endpoint = RegistrationStack::built(&policy_with_a_hook()).await;
    function(&endpoint.stack.ministack.url, "who-may-register", HOOK).await;
    let told = endpoint.registers(None, json!({"serial": "yes-0123456789abcdefghij"})).await.1.lets_in();
    let account = endpoint.stack.ministack.holds().await;
    assert_eq!(thing(&account, told.text("thingName"))["attributes"]["hardware"], "c", "{account:#}");
    endpoint.registers(None, json!({"serial": "no-0123456789abcdefghij"})).await.1.is_refused(403, "refused_by_hook");
    endpoint.registers(None, json!({"serial": "broken-0123456789abcdefghij"})).await.1.is_refused(503, "hook_unavailable");
    assert_eq!(endpoint.gate.times("Invoke"), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_role_of_the_endpoint_is_enough_and_reads_no_shadow() {
    let stack = Stack::of_short_leases().await;
    let given =
        json!({"RegisterTermsAreThere": "true", "RegisterHookFunction": "arn:aws:lambda:us-east-1:000000000000:function:who-may-register"});
    let keys = rights_with(&stack.ministack.url, "RegisterRole", given).await;
    function(&stack.ministack.url, "who-may-register", HOOK).await;
    let kept = json!({"Name": format!("{PARAMETER}/10"), "Type": "SecureString", "Value": policy_with_a_hook()});
    assert_eq!(calls_as(&stack.ministack.url, &owners_keys(), "ssm", "put_parameter", kept).await, Ok(()));
    let endpoint = RegistrationStack::on_stack(stack, |deployment| {
        let deployment = deployment.set("AWS_ACCESS_KEY_ID", &keys.0).set("AWS_SECRET_ACCESS_KEY", &keys.1);
        deployment.set("REGISTER_TERMS_PARAMETER", PARAMETER)
    })
    .await;
    let (device, told) = endpoint.registers(None, json!({"serial": "yes-0123456789abcdefghij"})).await;

    // Renews the certificate twice.
    let mut last = (device, told.lets_in());
    for _ in 0..2 {
        endpoint.stack.lease_passes().await;
        let (successor, at) = (NewDevice::new().await, now());
        let shown = json!({
            "thingName": last.1.text("thingName"), "certificate": last.1.text("certificatePem"),
            "proof": last.0.proof(&successor, at).await, "at": at,
        });
        let told = successor.registers(&endpoint.url(), None, shown).await.lets_in();
        last = (successor, told);
    }
    // An unfinished registration is rolled back.
    endpoint.stack.lease_passes().await;
    endpoint.gate.makes("AttachThingPrincipal", Conduct::Refuses(400, "InvalidRequestException", "no"));
    let (_, told) = endpoint.registers(None, json!({"serial": "yes-0123456789abcdefghij"})).await;
    told.is_refused(500, "registry_refused");
    endpoint.gate.mends();
    for call in endpoint.gate.calls() {
        assert_ne!(call.status.map(|status| status.as_u16()), Some(403), "{call:?}");
    }
    // The role contains no unused permission.
    let called: BTreeSet<String> = endpoint.gate.operations().into_iter().collect();
    let rights = [
        ["CreateThing", "DescribeThing", "UpdateThing", "ListThingPrincipals", "CreateCertificateFromCsr"],
        ["AttachPolicy", "DetachPolicy", "DescribeCertificate", "UpdateCertificate", "DeleteCertificate"],
        ["AttachThingPrincipal", "DetachThingPrincipal", "UpdateItem", "GetParametersByPath", "Invoke"],
    ];
    assert_eq!(called, rights.concat().into_iter().map(str::to_owned).collect());
    let log = endpoint.gateway.function().log();
    assert!(!log.contains("AccessDenied"), "{log}");

    let url = &endpoint.stack.ministack.url;
    let name = last.1.text("thingName");
    for (service, operation, arguments) in [
        ("iot-data", "get_thing_shadow", json!({"thingName": name})),
        ("iot-data", "update_thing_shadow", json!({"thingName": name, "payload": "{}"})),
        ("iot", "delete_thing", json!({"thingName": name})),
        ("dynamodb", "put_item", json!({"TableName": TABLE, "Item": {"claim": {"S": "code/0000"}}})),
        ("dynamodb", "scan", json!({"TableName": TABLE})),
        ("ssm", "put_parameter", json!({"Name": format!("{PARAMETER}/11"), "Type": "String", "Value": "a"})),
    ] {
        let refused = calls_as(url, &keys, service, operation, arguments).await.expect_err(operation);
        assert!(refused.contains("AccessDenied") || refused == "ForbiddenException", "{operation}: {refused}");
    }
}

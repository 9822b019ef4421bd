//! Tests of the requests that the registration endpoint rejects, of its rate limits, and of its events.

use bytes::Bytes;
use futures_util::stream::{self, StreamExt};
use http::Request;
use serde_json::{Value, json};

use crate::bundle::{Bundle, connection};
use crate::device::{Device, Endpoint, SERIAL, check_hears_its_owner, check_refused, code, with_policy};
use crate::harness::{Client, Running, Starting, hub, serve};
use crate::http::check_too_large;

#[tokio::test(flavor = "multi_thread")]
async fn a_malformed_member_is_rejected_by_name() {
    let place = tempfile::tempdir().unwrap();
    let hub = Starting::start(with_policy(place.path(), "keys = \"either\"\nper_source = 1000")).ready();
    let client = hub.client();
    let endpoint = Endpoint::of(&client);
    for (body, field) in [
        (json!([]), "body"),
        (json!({"code": 7}), "code"),
        (json!({"code": "K7QF"}), "code"),
        (json!({"code": "K7QF-93PD", "csr": "no PEM"}), "csr"),
        (json!({"code": "K7QF-93PD", "csr": 7}), "csr"),
        (json!({"code": "K7QF-93PD", "serial": SERIAL}), ""),
        (json!({"serial": ""}), "serial"),
        (json!({"serial": 7}), "serial"),
    ] {
        let problem = check_refused(&endpoint.post(&body.to_string()).await, 400);
        assert!(field.is_empty() || problem["field"] == field, "{body} {problem}");
    }
    check_refused(&endpoint.post("no JSON").await, 400);
    check_refused(&endpoint.post("{}").await, 401);
    check_refused(&endpoint.post(&format!("{{\"code\": \"{}\"}}", "A".repeat(16 * 1024))).await, 413);
    // A body with a too large Content-Length is rejected before the body is sent.
    check_too_large(&hub, "/register").await;
    let no_json = Request::post(format!("{}/register", client.http)).header("content-type", "text/plain");
    check_refused(&client.send(no_json, "{}").await.unwrap(), 415);
    let read = client.get("/register").await.unwrap();
    check_refused(&read, 405);
    // If the endpoint generates the keys, the response has the private key, once.
    client.link("ana").await.unwrap();
    let answer = endpoint.post(&json!({"code": code(&client, "ana").await}).to_string()).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let bundle = Bundle::registered(&answer.json(), None);
    check_hears_its_owner(&bundle, &hub, "ana").await;
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn by_default_a_device_must_send_a_csr() {
    let place = tempfile::tempdir().unwrap();
    let hub = Running::start(place.path());
    let client = hub.client();
    client.link("ana").await.unwrap();
    let answer = Endpoint::of(&client).post(&json!({"code": code(&client, "ana").await}).to_string()).await;
    assert_eq!(check_refused(&answer, 400)["field"], "csr");
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_is_void_after_five_wrong_attempts_and_a_source_is_limited() {
    let place = tempfile::tempdir().unwrap();
    let mut command = serve(place.path());
    command.env("ONETHING_BEHIND_PROXY", "1");
    let hub = Starting::start(command).ready();
    let client = hub.client();
    client.link("ana").await.unwrap();
    let (first, second) = (code(&client, "ana").await, code(&client, "ana").await);
    let device = Device::new();
    let wrong = |code: &str| format!("{}-{}", &code[..4], if code.ends_with("0000") { "1111" } else { "0000" });
    for number in 0..5 {
        let endpoint = Endpoint::of(&client).from(&format!("198.51.100.{number}"));
        check_refused(&device.registers(&endpoint, json!({"code": wrong(&first)})).await, 401);
    }
    check_refused(&device.registers(&Endpoint::of(&client).from("198.51.100.77"), json!({"code": first})).await, 401);

    let endpoint = Endpoint::of(&client).from("203.0.113.5");
    let mut last = None;
    for number in 0..60 {
        let answer = device.registers(&endpoint, json!({"code": format!("{number:04}-0000")})).await;
        if answer.status == 429 {
            last = Some(answer);
            break;
        }
        check_refused(&answer, 401);
    }
    check_refused(&last.expect("no rate limit"), 429);
    // A client with another source address is not limited.
    let elsewhere = Endpoint::of(&client).from("192.0.2.8");
    device.takes(&device.registers(&elsewhere, json!({"code": second})).await);
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_owner_gets_five_codes_an_hour() {
    let place = tempfile::tempdir().unwrap();
    let hub = Running::start(place.path());
    let client = hub.client();
    client.link("ana").await.unwrap();
    let mut given = 0;
    // The hour of the limit may end during the test, once.
    for _ in 0..11 {
        let turn = client.say("ana", "ask my printer to give me a code").await.unwrap();
        given += usize::from(turn["heard"]["card"].is_object());
    }
    assert!(given == 5 || given == 10, "{given}");
    assert!(client.speech("ana", "ask my printer for a code").await.unwrap().contains("five codes"));
    client.link("ben").await.unwrap();
    code(&client, "ben").await;
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_request_is_recorded_as_an_event() {
    let place = tempfile::tempdir().unwrap();
    let running = Running::start(place.path());
    let client = running.client();
    client.link("ana").await.unwrap();
    let code = code(&client, "ana").await;
    let device = Device::new();
    let bundle = device.takes(&device.registers(&Endpoint::of(&client), json!({"code": code})).await);
    check_refused(&Endpoint::of(&client).post("no JSON").await, 400);
    let listed = client.get("/api/registrations").await.unwrap().json();
    let [good, bad] = listed["events"].as_array().unwrap().as_slice() else { panic!("{listed}") };
    assert_eq!((&good["by"], &good["status"], &good["source"]), (&json!("code"), &json!(200), &json!("127.0.0.1")), "{good}");
    assert_eq!((&good["thing"], &good["certificate"]), (&json!(bundle.thing), &json!(bundle.certificate)), "{good}");
    assert_eq!((&bad["status"], &bad["by"]), (&json!(400), &json!("unknown")), "{bad}");
    for secret in [code.as_str(), &code.replace('-', ""), "ana@example.com"] {
        assert!(!listed.to_string().contains(secret), "{listed}");
    }

    let ask = |arguments: &[&str]| {
        let output = hub().arg("events").args(arguments).output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        (output.status.code(), text(&output.stdout), text(&output.stderr))
    };
    let (status, out, _) = ask(&["--hub", &running.http]);
    assert!(status == Some(0) && ["code", "registered", "127.0.0.1", &bundle.thing].iter().all(|part| out.contains(part)), "{out}");
    let data = place.path().to_str().unwrap();
    let (status, out, complaint) = ask(&["--data", data]);
    assert!(status == Some(0) && out.contains(&bundle.thing), "{complaint}");
    running.signal("KILL");
    let (_, log) = running.ended().await;
    assert!(!log.contains(&code) && !log.contains(&code[5..]) && log.contains("audit=true"), "{log}");
    let (status, out, complaint) = ask(&["--data", data, "--json"]);
    let kept: Value = serde_json::from_str(&out).unwrap_or_else(|_| panic!("{out} {complaint}"));
    assert!(status == Some(0) && kept == listed, "{kept}");
}

#[test]
fn the_registration_policy_is_checked_before_the_start() {
    let place = tempfile::tempdir().unwrap();
    let check = |toml: &str, policy: Option<&str>, words: &[&str]| {
        let (file, policies) = (place.path().join("register.toml"), place.path().join("policies"));
        std::fs::write(&file, toml).unwrap();
        std::fs::create_dir_all(&policies).unwrap();
        if let Some(policy) = policy {
            std::fs::write(policies.join("Lamp.json"), policy).unwrap();
        }
        let output =
            serve(&place.path().join("data")).arg("--register").arg(&file).args(["--register-url", "http://hub.example.com"]).output();
        let output = output.unwrap();
        let complaint = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{complaint}");
        assert!(words.iter().all(|words| complaint.contains(words)), "{complaint}");
    };
    let lamp = "[type.lamp]\nprefix = \"Lamp-\"\npolicies = [\"Lamp\"]\n";
    check(lamp, None, &["policy Lamp: ", "Lamp.json cannot be read", "--register-url must be an https URL"]);
    check(lamp, Some("{}"), &["policy Lamp: ", "is no policy"]);
    check("[registration]\nhook = \"lambda:ask\"\n", None, &["there are no Lambda functions here"]);
    check("[registration]\nper_source = 0\n[[token]]\nname = \"a\"\nsha256 = \"b\"\ntypes = [\"c\"]\n", None, &["per_source", "token 1"]);
    check("[roots]\npreferred = \"AmazonRootCA1\"\nbackup = \"AmazonRootCA3\"\n", None, &["devices know this hub by its own root"]);
    check("nonsense", None, &["--register: "]);
    assert!(!place.path().join("data").exists(), "the failed start creates no data folder");
}

#[tokio::test(flavor = "multi_thread")]
async fn bundles_have_the_url_of_the_endpoint() {
    let place = tempfile::tempdir().unwrap();
    let url = |zip: &[u8]| connection(zip)["register"].clone();
    let hub = Running::start(place.path());
    let client = hub.client();
    client.link("ana").await.unwrap();
    assert_eq!(url(&client.bundles("ana").await.unwrap()[0]), json!(format!("{}/register", hub.http)));
    hub.stop().await;
    let mut command = serve(place.path());
    command.env("ONETHING_REGISTER_URL", "https://hub.example.com/register");
    let hub = Starting::start(command).ready();
    let client = hub.client();
    client.link("ben").await.unwrap();
    assert_eq!(url(&client.bundles("ben").await.unwrap()[0]), json!("https://hub.example.com/register"));
    hub.stop().await;
}

/// A page of another origin has access only if the registration policy allows the origin.
#[tokio::test(flavor = "multi_thread")]
async fn other_origins_are_denied_unless_the_policy_allows_them() {
    let place = tempfile::tempdir().unwrap();
    let hub = Starting::start(with_policy(place.path(), "origin = \"https://setup.example.com\"")).ready();
    let client = hub.client();
    for (origin, allowed) in [("https://setup.example.com", true), ("https://evil.example", false)] {
        let asked = Request::builder().method("OPTIONS").uri(format!("{}/register", hub.http)).header("origin", origin);
        let asked = asked.header("access-control-request-method", "POST").header("access-control-request-headers", "content-type");
        let answer = client.send(asked, Bytes::new()).await.unwrap();
        assert_eq!(answer.allowed_origin.as_deref() == Some("https://setup.example.com"), allowed, "{origin} {answer:?}");
    }
    hub.stop().await;
}

/// The number of wrong codes that the endpoint checks; the other requests are rejected by the rate limit.
async fn checked_guesses(client: &Client, sources: u32, guesses: u32) -> u32 {
    let guesses = (0..guesses).map(|number| async move {
        let endpoint = Endpoint::of(client).from(&format!("10.{}.{}.{}", sources / 251, number % sources / 251, number % sources % 251));
        let answer = Device::new().registers(&endpoint, json!({"code": format!("{:04}-{:04}", number % 10_000, number / 7)})).await;
        assert!([401, 429].contains(&answer.status), "{answer:?}");
        u32::from(answer.status == 401)
    });
    stream::iter(guesses).buffer_unordered(32).fold(0, |checked, one| async move { checked + one }).await
}

/// The minute of the limit may end during the test, once.
#[tokio::test(flavor = "multi_thread")]
async fn guesses_are_limited_to_twenty_a_minute_per_source_and_six_hundred_in_total() {
    let place = tempfile::tempdir().unwrap();
    let mut command = serve(place.path());
    command.arg("--behind-proxy");
    let hub = Starting::start(command).ready();
    let client = hub.client();
    let one = checked_guesses(&client, 1, 300).await;
    assert!((20..=40).contains(&one), "{one} of 300 from one source");
    let many = checked_guesses(&client, 1_000, 2_000).await;
    assert!((560..=1_200).contains(&many), "{many} of 2,000 from a thousand sources");
    hub.stop().await;
}

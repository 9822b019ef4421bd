//! Codes: one device each, five attempts, ten minutes, and the same response to every wrong code.

use onething::registration::HookDecision;
use onething::registration::claims::{CODE_LIFETIME, new_code};
use onething::registry::RegistryError;
use serde_json::json;
use tokio::time::{Duration, sleep};

use crate::{Answer, Device, Setup, now, owner, thing_of};

/// A code with the same name and another secret.
fn another_secret(code: &str) -> String {
    let last = if code.ends_with('0') { '1' } else { '0' };
    format!("{}{last}", &code[..code.len() - 1])
}

/// Everything of a response that a device can see: status, headers and body.
fn seen(answer: &Answer) -> (u16, Vec<(String, String)>, String) {
    let headers = answer.headers.iter().map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()));
    (answer.status, headers.collect(), answer.body.to_string())
}

#[tokio::test(start_paused = true)]
async fn every_wrong_code_has_the_same_response_and_the_same_calls() {
    let (setup, device) = (Setup::new(""), Device::new());
    let (used, dead, over) = (setup.code().await.shown(), setup.code().await.shown(), setup.code().await.shown());
    sleep(Duration::from_secs(CODE_LIFETIME)).await;
    let used_again = {
        let fresh = setup.code().await.shown();
        assert_eq!(setup.registers(None, &Device::new().with(json!({"code": fresh}))).await.status, 200);
        fresh
    };
    let tried = setup.code().await.shown();
    for _ in 0..5 {
        setup.registers(None, &device.with(json!({"code": another_secret(&tried)}))).await;
    }
    setup.endpoint.claims.calls();
    let mut answers = Vec::new();
    for code in ["K7QF-93PD".to_owned(), another_secret(&used_again), tried, over, used, dead] {
        answers.push(seen(&setup.registers(None, &device.with(json!({"code": code}))).await));
        assert_eq!(setup.endpoint.claims.calls(), ["count", "attempt", "count"], "{code}");
    }
    // Only a client with the whole code could detect that the code was used, and only by the time of the response.
    answers.push(seen(&setup.registers(None, &device.with(json!({"code": used_again}))).await));
    assert!(answers[0].0 == 401 && answers[0].2.contains("the code is not good here"), "{:?}", answers[0]);
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:#?}");
}

#[tokio::test(start_paused = true)]
async fn five_wrong_attempts_invalidate_a_code() {
    for (wrong, expected) in [(4, 200), (5, 401)] {
        let (setup, device) = (Setup::new(""), Device::new());
        let code = setup.code().await.shown();
        for _ in 0..wrong {
            let answer = setup.registers(None, &device.with(json!({"code": another_secret(&code)}))).await;
            assert_eq!(answer.outcome(), "401 not_recognised");
        }
        assert_eq!(setup.registers(None, &device.with(json!({"code": code}))).await.status, expected, "after {wrong} wrong ones");
    }
}

#[tokio::test(start_paused = true)]
async fn one_of_two_concurrent_devices_with_one_code_is_registered() {
    let setup = Setup::new("");
    let code = setup.code().await.shown();
    let (one, other) = (Device::new().with(json!({"code": code})), Device::new().with(json!({"code": code})));
    let (one, other) = tokio::join!(setup.registers(None, &one), setup.registers(None, &other));
    let mut statuses = [one.status, other.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 401]);
    let winner = if one.status == 200 { one } else { other };
    assert_eq!(setup.account().working(&winner.thing()), [winner.certificate()]);
}

#[tokio::test(start_paused = true)]
async fn a_lost_response_can_be_requested_again() {
    let (setup, device) = (Setup::new(""), Device::new());
    let code = setup.code().await.shown();
    let lost = setup.registers(None, &device.with(json!({"code": code}))).await;
    let heard = setup.registers(None, &device.with(json!({"code": code}))).await;
    assert_eq!((lost.status, heard.status, lost.thing()), (200, 200, heard.thing()));
    assert_ne!(lost.certificate(), heard.certificate());
    assert!(setup.account().working(&heard.thing()).contains(&heard.certificate()));
    assert_eq!(setup.registers(None, &Device::new().with(json!({"code": code}))).await.status, 401, "another device");
    sleep(Duration::from_secs(CODE_LIFETIME)).await;
    assert_eq!(setup.registers(None, &device.with(json!({"code": code}))).await.status, 401, "the same device, after the code has expired");
}

#[tokio::test(start_paused = true)]
async fn a_device_without_a_key_has_one_request() {
    let setup = Setup::new("[registration]\nkeys = \"either\"");
    let code = setup.code().await.shown();
    let first = setup.registers(None, &json!({"code": code})).await;
    assert!(first.status == 200 && first.body["privateKey"].is_string());
    assert_eq!(setup.registers(None, &json!({"code": code})).await.outcome(), "401 not_recognised");
    assert_eq!(setup.registers(None, &Device::new().with(json!({"code": code}))).await.outcome(), "401 not_recognised");
}

#[tokio::test(start_paused = true)]
async fn a_code_survives_a_failed_registration() {
    let (setup, device) = (Setup::new(""), Device::new());
    let code = setup.code().await.shown();
    setup.account().chaos(100);
    assert_eq!(setup.registers(None, &device.with(json!({"code": code}))).await.outcome(), "503 busy");
    setup.account().chaos(0);
    // Work that still hangs from the failed request ends with the lease.
    sleep(Duration::from_secs(20)).await;
    assert_eq!(setup.registers(None, &device.with(json!({"code": code}))).await.status, 200);
}

/// The agent repeats its request as Retry-After says.
#[tokio::test(start_paused = true)]
async fn a_code_survives_an_outage_within_its_lifetime() {
    let (setup, device) = (Setup::new("[registration]\nhook = \"https://maker.example.com/devices\""), Device::new());
    let code = setup.code().await.shown();
    for _ in 0..20 {
        assert_eq!(setup.registers(None, &device.with(json!({"code": code}))).await.outcome(), "503 hook_unavailable");
        sleep(Duration::from_secs(20)).await;
    }
    *setup.endpoint.hook.says.lock().unwrap() = Some(HookDecision { allow: true, ..HookDecision::default() });
    assert_eq!(setup.registers(None, &device.with(json!({"code": code}))).await.status, 200);
}

/// The guesses of a thousand addresses are limited as those of thirty.
#[tokio::test(start_paused = true)]
async fn wrong_codes_of_all_sources_are_limited_per_minute() {
    let (setup, device) = (Setup::new(""), Device::new());
    let code = setup.code().await.shown();
    let mut guess = device.with(json!({}));
    let mut wrong = 0;
    for number in 0..700 {
        guess["code"] = format!("{number:04}-0000").into();
        let answer = setup.registers(None, &guess).await;
        wrong += usize::from(answer.status == 401);
        if answer.status == 429 {
            let seconds: u64 = answer.header("retry-after").unwrap().parse().unwrap();
            assert_eq!((now() + seconds) % 60, 0, "the seconds to the end of the minute");
        }
    }
    assert_eq!(wrong, 600);
    assert_eq!(setup.registers(None, &device.with(json!({"code": code}))).await.outcome(), "429 too_many", "the right code, too");
    let bearer = setup.registers(Some("Bearer Atza|B"), &device.with(json!({}))).await;
    assert_eq!(bearer.status, 200, "another way to register is not limited");
    sleep(Duration::from_secs(60)).await;
    assert_eq!(setup.registers(None, &device.with(json!({"code": code}))).await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn guesses_of_a_few_addresses_do_not_block_other_codes() {
    let (setup, device) = (Setup::new(""), Device::new());
    let code = setup.code().await.shown();
    let mut guess = device.with(json!({}));
    for number in 0..10_u16 * 40 {
        guess["code"] = format!("{number:04}-0000").into();
        let answer = setup.registers_from(&format!("203.0.113.{}", number % 10), None, &guess).await;
        assert_eq!(answer.status, if number < 200 { 401 } else { 429 }, "{number}");
    }
    assert_eq!(setup.registers(None, &device.with(json!({"code": code}))).await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn an_old_code_does_not_bring_back_a_deleted_owner() {
    let (setup, device) = (Setup::new(""), Device::new());
    let wrong = seen(&setup.registers(None, &device.with(json!({"code": "K7QF-93PD"}))).await);
    let code = new_code(&setup.endpoint.claims, &owner("A"), now()).await.unwrap().shown();
    for _ in 0..2 {
        assert_eq!(seen(&setup.registers(None, &device.with(json!({"code": code}))).await), wrong);
    }
    assert_eq!(setup.account().things(), 0);
    let later = setup.code().await.shown();
    assert_eq!(setup.registers(None, &device.with(json!({"code": later}))).await.status, 200, "an owner who has started again");
}

/// The endpoint made the key pair, which is lost with the response. A repeated request cannot be distinguished from one of
/// another client with the same code.
#[tokio::test(start_paused = true)]
async fn a_device_without_a_key_needs_another_code_after_a_failure() {
    let setup = Setup::new("[registration]\nkeys = \"either\"");
    let code = setup.code().await.shown();
    setup.account().refuses(Some(|| RegistryError::Throttled));
    let answer = setup.registers(None, &json!({"code": code})).await;
    assert_eq!((answer.outcome().as_str(), answer.header("retry-after")), ("409 code_spent", None));
    assert_eq!(setup.endpoint.audit.0.lock().unwrap().last().unwrap().outcome, "code_spent");
    let kept = Device::new().with(json!({"code": setup.code().await.shown()}));
    assert_eq!(setup.registers(None, &kept).await.outcome(), "503 busy", "a device with its own key can retry");
    setup.account().refuses(None);
    sleep(Duration::from_secs(20)).await;
    assert_eq!(setup.registers(None, &json!({"code": code})).await.outcome(), "401 not_recognised");
    assert_eq!(setup.registers(None, &kept).await.status, 200);
    let another = setup.code().await.shown();
    assert_eq!(setup.registers(None, &json!({"code": another})).await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn a_code_registers_for_the_thing_of_its_owner_only() {
    let (setup, device) = (Setup::new(""), Device::new());
    let other = setup.code_of("B").await.shown();
    let mine = setup.code().await.shown();
    let (mine, other) = (device.with(json!({"code": mine})), device.with(json!({"code": other})));
    assert_eq!(setup.registers(None, &mine).await.thing(), thing_of("A"));
    assert_eq!(setup.registers(None, &other).await.thing(), thing_of("B"));
}

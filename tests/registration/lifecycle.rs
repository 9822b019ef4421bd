//! A thing that exists already: concurrent registrations, replaced certificates, and the hook of the maker.

use onething::lifecycle::{Sweep, sweep};
use onething::metrics::unmeasured;
use onething::onboarding::lease::Lease;
use onething::registration::HookDecision;
use onething::registry::{A_DAY, RegistryError};
use serde_json::{Value, json};
use tokio::time::{Duration, Instant, sleep, timeout};

use crate::{Answer, Device, Setup, now};

const FLEET: Option<&str> = Some("DeviceToken token-1");

fn lamp() -> Value {
    json!({"thingName": "lamp-7", "version": "1.2"})
}

async fn sweeps(setup: &Setup) {
    let (account, shadows) = (setup.account(), crate::port::Port { world: setup.account().world(&lamp_name()), who: 0, chaos: 0 });
    let deadline = Instant::now() + Duration::from_secs(300);
    let lease = Lease::new(15, now);
    sweep(&Sweep { registry: account, shadows: &shadows, lease, retention: 30 * A_DAY, deadline, measure: unmeasured }).await;
}

fn lamp_name() -> onething::identifiers::ThingName {
    onething::identifiers::ThingName::parse("lamp-7").unwrap()
}

#[tokio::test(start_paused = true)]
async fn concurrent_registrations_of_one_device_keep_all_returned_certificates() {
    let (setup, device) = (Setup::new(""), Device::new());
    let body = device.with(lamp());
    let (one, other) = tokio::join!(setup.registers(FLEET, &body), setup.registers(FLEET, &body));
    let let_in: Vec<&Answer> = [&one, &other].into_iter().filter(|answer| answer.status == 200).collect();
    assert!(!let_in.is_empty(), "{} {}", one.body, other.body);
    assert!([&one, &other].iter().all(|answer| matches!(answer.outcome().as_str(), "200" | "503 busy")), "{} {}", one.body, other.body);
    for answer in let_in {
        assert!(setup.account().working(&lamp_name()).contains(&answer.certificate()), "every device with a certificate can connect");
    }
    assert_eq!(setup.account().things(), 1);
    assert_eq!(setup.account().world(&lamp_name()).account.lock().unwrap().broken, Vec::<&str>::new());
}

#[tokio::test(start_paused = true)]
async fn the_replaced_certificate_works_until_the_new_one_is_reported() {
    let (setup, device) = (Setup::new(""), Device::new());
    let first = setup.registers(FLEET, &device.with(lamp())).await.certificate();
    let second = setup.registers(FLEET, &device.with(lamp())).await.certificate();
    sweeps(&setup).await;
    assert_eq!(setup.account().working(&lamp_name()).len(), 2, "the new certificate is not in use yet");
    {
        let world = setup.account().world(&lamp_name());
        world.account.lock().unwrap().shadow = Some(json!({"reported": {"certificateId": second.as_str()}}));
    }
    sweeps(&setup).await;
    assert_eq!(setup.account().working(&lamp_name()), [second]);
    assert!(setup.account().registration(&first).is_none_or(|it| !it.active));
}

#[tokio::test(start_paused = true)]
async fn the_replaced_certificate_works_for_a_day_at_most() {
    let (setup, device) = (Setup::new(""), Device::new());
    setup.registers(FLEET, &device.with(lamp())).await;
    let second = setup.registers(FLEET, &device.with(lamp())).await.certificate();
    sleep(Duration::from_secs(A_DAY - 100)).await;
    sweeps(&setup).await;
    assert_eq!(setup.account().working(&lamp_name()).len(), 2);
    sleep(Duration::from_secs(200)).await;
    sweeps(&setup).await;
    assert_eq!(setup.account().working(&lamp_name()), [second]);
}

/// A device that registers every few hours and never reports its certificate keeps no certificate ACTIVE for longer than a day.
#[tokio::test(start_paused = true)]
async fn certificates_of_a_device_that_registers_often_do_not_accumulate() {
    let (setup, device) = (Setup::new(""), Device::new());
    for number in 0..40 {
        let last = setup.registers(FLEET, &device.with(lamp())).await.certificate();
        let working = setup.account().working(&lamp_name());
        assert!(working.contains(&last) && working.len() <= 4, "after {number} times: {}", working.len());
        sleep(Duration::from_secs(A_DAY * 2 / 5)).await;
    }
}

/// Whatever call fails: a device with a working certificate keeps one, and a successful response contains one that works.
#[tokio::test(start_paused = true)]
async fn an_incomplete_registration_keeps_the_working_certificate() {
    for percent in [10, 30, 60] {
        let (setup, device) = (Setup::new(""), Device::new());
        let mut held = setup.registers(FLEET, &device.with(lamp())).await.certificate();
        setup.account().chaos(percent);
        for _ in 0..30 {
            let answer = setup.registers(FLEET, &device.with(lamp())).await;
            match answer.status {
                200 => held = answer.certificate(),
                503 => assert_eq!(answer.header("retry-after"), Some("2")),
                _ => panic!("{} {}", answer.status, answer.body),
            }
            assert!(setup.account().working(&lamp_name()).contains(&held), "with {percent} percent of faults");
            sleep(Duration::from_secs(20)).await;
        }
        setup.account().chaos(0);
        sleep(Duration::from_secs(20)).await;
        let last = setup.registers(FLEET, &device.with(lamp())).await.certificate();
        assert!(setup.account().working(&lamp_name()).contains(&last));
        assert_eq!(setup.account().world(&lamp_name()).account.lock().unwrap().broken, Vec::<&str>::new());
        sleep(Duration::from_secs(2 * A_DAY)).await;
        sweeps(&setup).await;
        assert_eq!(setup.account().working(&lamp_name()), [last], "the only certificate after a day");
    }
}

#[tokio::test(start_paused = true)]
async fn leftovers_of_a_failed_request_can_be_reused_and_are_deleted_after_a_day() {
    let (setup, device) = (Setup::new(""), Device::new());
    setup.account().refuses(Some(|| RegistryError::PolicyMissing("LampPolicy".into())));
    assert_eq!(setup.registers(FLEET, &device.with(lamp())).await.outcome(), "500 registry_refused");
    setup.account().refuses(None);
    assert!(setup.account().working(&lamp_name()).is_empty() && setup.account().things() == 1);
    sweeps(&setup).await;
    assert_eq!(setup.account().things(), 1, "the sweep keeps a recent thing");
    assert_eq!(setup.registers(FLEET, &device.with(lamp())).await.status, 200);

    let (setup, device) = (Setup::new(""), Device::new());
    setup.account().refuses(Some(|| RegistryError::PolicyMissing("LampPolicy".into())));
    setup.registers(FLEET, &device.with(lamp())).await;
    sleep(Duration::from_secs(A_DAY)).await;
    sweeps(&setup).await;
    assert_eq!(setup.account().things(), 0);
    setup.account().refuses(None);
    assert_eq!(setup.registers(FLEET, &device.with(lamp())).await.status, 200);
}

/// Concurrent requests, killed processes, lost calls, and sweeps in between; then the faults end.
#[tokio::test(start_paused = true)]
async fn after_any_faults_the_last_returned_certificate_works() {
    for seed in 0..200 {
        let (setup, device) = (Setup::new(""), Device::new());
        setup.account().seed(seed);
        setup.account().chaos(seed % 5 * 15);
        let (world, body) = (setup.account().world(&lamp_name()), device.with(lamp()));
        for _ in 0..5 {
            let register = async || {
                sleep(Duration::from_millis(world.roll(3_000))).await;
                // A killed process sends no response.
                let killed = if world.roll(3) == 0 { world.roll(2_000) } else { 10_000 };
                timeout(Duration::from_millis(killed), setup.registers(FLEET, &body)).await
            };
            let sweeping = async || {
                if world.roll(4) == 0 {
                    sweeps(&setup).await;
                }
            };
            let (one, other, ()) = tokio::join!(register(), register(), sweeping());
            for answer in [one, other].into_iter().flatten() {
                assert!(matches!(answer.status, 200 | 503), "seed {seed}: {}", answer.body);
            }
            sleep(Duration::from_millis(world.roll(30_000))).await;
        }
        setup.account().chaos(0);
        sleep(Duration::from_secs(20)).await;
        let last = setup.registers(FLEET, &body).await;
        assert_eq!(last.status, 200, "seed {seed}: {}", last.body);
        let last = last.certificate();
        assert!(setup.account().working(&lamp_name()).contains(&last), "seed {seed}");
        assert_eq!(world.account.lock().unwrap().broken, Vec::<&str>::new(), "seed {seed}");
        for _ in 0..2 {
            sleep(Duration::from_secs(A_DAY + 100)).await;
            sweeps(&setup).await;
        }
        assert_eq!(setup.account().working(&lamp_name()), std::slice::from_ref(&last), "seed {seed}");
        let record = setup.account().record(&lamp_name()).unwrap();
        assert_eq!(record.certificates().collect::<Vec<_>>(), [&last], "seed {seed}");
    }
}

const HOOK: &str = "[registration]\nhook = \"https://maker.example.com/devices\"";

#[tokio::test(start_paused = true)]
async fn the_hook_is_called_and_may_add_attributes() {
    let (setup, device) = (Setup::new(HOOK), Device::new());
    let attributes = [("hardware", "rev-c"), ("colour", "red"), ("version", "not one!")];
    let attributes = attributes.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    *setup.endpoint.hook.says.lock().unwrap() = Some(HookDecision { allow: true, attributes });
    let answer = setup.registers(None, &device.with(json!({"serial": "unguessable-serial-0001"}))).await;
    assert_eq!(answer.status, 200);
    let asked = setup.endpoint.hook.asked.lock().unwrap().clone();
    let asked: Vec<Value> = asked.iter().map(|question| serde_json::to_value(question).unwrap()).collect();
    assert_eq!(asked, [json!({"serial": "unguessable-serial-0001", "thingType": "lamp", "source": "198.51.0.0"})]);
    let said = setup.account().record(&answer.thing()).unwrap().said;
    assert_eq!(said, [("hardware".into(), "rev-c".into())].into(), "only attributes that the type lamp allows");
}

#[tokio::test(start_paused = true)]
async fn a_device_that_the_hook_refuses_is_not_registered() {
    let (setup, device) = (Setup::new(HOOK), Device::new());
    *setup.endpoint.hook.says.lock().unwrap() = Some(HookDecision::default());
    let code = setup.code().await.shown();
    for (authorization, body) in [(FLEET, lamp()), (Some("Bearer Atza|A"), json!({})), (None, json!({"code": code}))] {
        let answer = setup.registers(authorization, &device.with(body)).await;
        assert_eq!(answer.outcome(), "403 refused_by_hook");
    }
    assert_eq!(setup.account().things(), 1, "the thing of the owner who has a code");
    *setup.endpoint.hook.says.lock().unwrap() = Some(HookDecision { allow: true, ..HookDecision::default() });
    assert_eq!(setup.registers(None, &Device::new().with(json!({"code": code}))).await.status, 200, "the code was not used");
}

#[tokio::test(start_paused = true)]
async fn a_hook_without_a_response_allows_nothing() {
    let (setup, device) = (Setup::new(HOOK), Device::new());
    let began = Instant::now();
    let answer = setup.registers(FLEET, &device.with(lamp())).await;
    assert_eq!((answer.outcome().as_str(), answer.header("retry-after")), ("503 hook_unavailable", Some("2")));
    assert_eq!(began.elapsed().as_secs(), 2);
    assert_eq!(setup.account().things(), 0);
}

#[tokio::test(start_paused = true)]
async fn the_hook_is_not_called_for_unknown_credentials() {
    let (setup, device) = (Setup::new(HOOK), Device::new());
    assert_eq!(setup.registers(Some("DeviceToken wrong"), &device.with(lamp())).await.status, 401);
    assert!(setup.endpoint.hook.asked.lock().unwrap().is_empty());
}

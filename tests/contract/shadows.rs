//! The clauses of [`Shadows`]. The rules are those of AWS IoT's shadow service
//! (<https://docs.aws.amazon.com/iot/latest/developerguide/device-shadow-document.html>) and of its data plane
//! (<https://docs.aws.amazon.com/iot/latest/apireference/API_Operations_AWS_IoT_Data_Plane.html>).

use onething::identifiers::{CertificateId, ThingName};
use onething::registry::{Record, Registry};
use onething::shadow::{Command, Connection, Patch, Shadow, ShadowError, Shadows};
use serde_json::{Map, Value, json};

use super::{Account, Broken, Kept, NewUser, Verdict, holds, judge, refuses, same};

pub async fn judge<A: Account>(fresh: impl AsyncFn() -> A) -> Vec<Verdict> {
    judge![fresh;
        there_is_no_shadow_before_the_first_update,
        a_shadow_needs_no_registered_thing,
        every_thing_has_its_own_shadow,
        the_mark_of_onboarding_reads_back,
        a_mark_without_a_certificate_reads_back,
        a_mark_is_replaced_by_the_next,
        a_look_is_no_mark_of_onboarding,
        the_certificate_in_use_is_the_reported_one,
        a_report_has_a_timestamp,
        the_mark_is_no_report,
        an_update_changes_only_what_it_names,
        null_deletes,
        an_array_is_replaced_whole,
        settings_and_commands_are_desired,
        a_command_replaces_another,
        more_than_eight_kilobytes_are_refused,
        a_deleted_shadow_is_gone,
        a_shadow_after_a_deleted_one_starts_empty,
        deleting_a_missing_shadow_succeeds,
        an_unknown_device_is_not_connected,
        disconnecting_an_unknown_device_succeeds,
    ]
}

/// A registered thing without a shadow.
async fn settler(account: &impl Account) -> Result<ThingName, Broken> {
    let NewUser { owner, thing } = account.new_user();
    account.registry().claim(&thing, &owner, &Record::default()).await?;
    Ok(thing)
}

async fn shadow(account: &impl Account, thing: &ThingName) -> Result<Shadow, Broken> {
    account.shadows().read(thing).await?.ok_or_else(|| Broken::here("there is no shadow"))
}

async fn check_reported(account: &impl Account, thing: &ThingName, expected: &Value) -> Kept {
    same(&Value::Object(shadow(account, thing).await?.reported), expected, "what is reported")
}

fn certificate() -> CertificateId {
    CertificateId::of(b"a certificate")
}

fn object(value: &Value) -> Map<String, Value> {
    value.as_object().cloned().unwrap_or_default()
}

/// GetThingShadow: ResourceNotFoundException.
async fn there_is_no_shadow_before_the_first_update(account: &impl Account) -> Kept {
    let thing = settler(account).await?;
    same(account.shadows().read(&thing).await?, None, "before the first update")?;
    account.shadows().update(&thing, &Patch::ready(7, None, None)).await?;
    holds(account.shadows().read(&thing).await?.is_some(), "the first update makes the shadow")
}

/// The shadow service does not check the registry
/// (<https://docs.aws.amazon.com/iot/latest/developerguide/iot-device-shadows.html>).
async fn a_shadow_needs_no_registered_thing(account: &impl Account) -> Kept {
    let NewUser { thing, .. } = account.new_user();
    account.shadows().update(&thing, &Patch::ready(7, None, None)).await?;
    holds(shadow(account, &thing).await?.onboarded, "the mark reads back")
}

async fn every_thing_has_its_own_shadow(account: &impl Account) -> Kept {
    let (mine, other) = (settler(account).await?, settler(account).await?);
    account.shadows().update(&mine, &Patch::ready(7, None, None)).await?;
    same(account.shadows().read(&other).await?, None, "the shadow of the other thing")
}

async fn the_mark_of_onboarding_reads_back(account: &impl Account) -> Kept {
    let thing = settler(account).await?;
    account.shadows().update(&thing, &Patch::ready(7, Some(&certificate()), None)).await?;
    let marked = shadow(account, &thing).await?;
    same(&marked.delivered, &Some(certificate()), "the certificate in the mark")?;
    holds(marked.onboarded && !marked.look && marked.is_ready(), "the owner is ready")?;
    account.shadows().update(&thing, &Patch::look(8)).await?;
    let marked = shadow(account, &thing).await?;
    same(&marked.delivered, &Some(certificate()), "the certificate in the mark, beside a look")?;
    holds(marked.onboarded && marked.look && !marked.is_ready(), "the owner is onboarded, and there is something to do")
}

async fn a_mark_without_a_certificate_reads_back(account: &impl Account) -> Kept {
    let thing = settler(account).await?;
    account.shadows().update(&thing, &Patch::ready(7, None, Some(8))).await?;
    let marked = shadow(account, &thing).await?;
    same((marked.onboarded, marked.delivered, marked.look), (true, None, true), "the mark")
}

async fn a_mark_is_replaced_by_the_next(account: &impl Account) -> Kept {
    let thing = settler(account).await?;
    let next = CertificateId::of(b"another certificate");
    account.shadows().update(&thing, &Patch::ready(7, Some(&certificate()), Some(7))).await?;
    account.shadows().update(&thing, &Patch::ready(8, Some(&next), None)).await?;
    let marked = shadow(account, &thing).await?;
    same((marked.onboarded, marked.delivered, marked.look), (true, Some(next), false), "the mark")
}

async fn a_look_is_no_mark_of_onboarding(account: &impl Account) -> Kept {
    let thing = settler(account).await?;
    account.shadows().update(&thing, &Patch::look(8)).await?;
    let marked = shadow(account, &thing).await?;
    same((marked.onboarded, marked.delivered, marked.look), (false, None, true), "the mark")
}

async fn the_certificate_in_use_is_the_reported_one(account: &impl Account) -> Kept {
    let thing = settler(account).await?;
    account.shadows().update(&thing, &Patch::ready(7, Some(&certificate()), None)).await?;
    same(shadow(account, &thing).await?.in_use, None, "before the first report of the device")?;
    account.reports(&thing, json!({"certificateId": certificate().as_str()})).await;
    same(shadow(account, &thing).await?.in_use, Some(certificate()), "after the report")
}

/// The metadata contains a timestamp in seconds for each attribute.
async fn a_report_has_a_timestamp(account: &impl Account) -> Kept {
    let thing = settler(account).await?;
    let began = account.now();
    account.reports(&thing, json!({"status": "idle", "bed": {"now": 20}})).await;
    let ended = account.now();
    account.waits().await;
    let at = shadow(account, &thing).await?.reported_at;
    holds(at.is_some_and(|at| (began..=ended + 1).contains(&at)), &format!("reported at {at:?}, between {began} and {ended}"))
}

async fn the_mark_is_no_report(account: &impl Account) -> Kept {
    let thing = settler(account).await?;
    account.shadows().update(&thing, &Patch::ready(7, Some(&certificate()), Some(7))).await?;
    let marked = shadow(account, &thing).await?;
    same((marked.has_been_online(), marked.reported_at), (false, None), "whether the device was online, and its last report")
}

/// "If a field exists in the request, it is updated; otherwise it is left as it is."
async fn an_update_changes_only_what_it_names(account: &impl Account) -> Kept {
    let thing = settler(account).await?;
    account.shadows().update(&thing, &Patch::ready(7, Some(&certificate()), None)).await?;
    account.reports(&thing, json!({"status": "idle", "bed": {"now": 20, "target": 60}})).await;
    account.reports(&thing, json!({"bed": {"now": 21}})).await;
    check_reported(account, &thing, &json!({"status": "idle", "bed": {"now": 21, "target": 60}})).await?;
    account.shadows().update(&thing, &Patch::set(object(&json!({"power": "ON"})))).await?;
    check_reported(account, &thing, &json!({"status": "idle", "bed": {"now": 21, "target": 60}})).await?;
    holds(shadow(account, &thing).await?.is_ready(), "the mark is unchanged")
}

/// "A value of null deletes the field."
async fn null_deletes(account: &impl Account) -> Kept {
    let thing = settler(account).await?;
    account.reports(&thing, json!({"status": "idle", "bed": {"now": 20, "target": 60}, "never": null})).await;
    check_reported(account, &thing, &json!({"status": "idle", "bed": {"now": 20, "target": 60}})).await?;
    account.reports(&thing, json!({"status": null, "bed": {"target": null}})).await;
    check_reported(account, &thing, &json!({"bed": {"now": 20}})).await
}

/// "An update to an array replaces the whole array."
async fn an_array_is_replaced_whole(account: &impl Account) -> Kept {
    let thing = settler(account).await?;
    account.reports(&thing, json!({"queue": [1, 2, 3], "spools": [{"color": "red", "left": 7}]})).await;
    account.reports(&thing, json!({"queue": [4], "spools": [{"color": "blue"}]})).await;
    check_reported(account, &thing, &json!({"queue": [4], "spools": [{"color": "blue"}]})).await
}

fn print(id: &str, args: &Value) -> Command {
    Command { id: id.to_owned(), name: "print".to_owned(), args: object(args), issued_at: 7, expires_at: 3_607 }
}

async fn settings_and_commands_are_desired(account: &impl Account) -> Kept {
    let thing = settler(account).await?;
    account.shadows().update(&thing, &Patch::set(object(&json!({"power": "ON", "bedTarget": 60})))).await?;
    account.shadows().update(&thing, &Patch::set(object(&json!({"power": "OFF"})))).await?;
    account.shadows().update(&thing, &Patch::command(&print("one", &json!({"model": "vase"})))).await?;
    let command = json!({"id": "one", "name": "print", "args": {"model": "vase"}, "issuedAt": 7, "expiresAt": 3_607});
    same(account.desired(&thing).await, json!({"power": "OFF", "bedTarget": 60, "command": command}), "what is desired")
}

async fn a_command_replaces_another(account: &impl Account) -> Kept {
    let thing = settler(account).await?;
    account.shadows().update(&thing, &Patch::command(&print("one", &json!({"model": "vase", "copies": 2})))).await?;
    account.shadows().update(&thing, &Patch::command(&print("two", &json!({"model": "cup", "copies": null})))).await?;
    let command = json!({"id": "two", "name": "print", "args": {"model": "cup"}, "issuedAt": 7, "expiresAt": 3_607});
    same(account.desired(&thing).await, json!({"command": command}), "what is desired")
}

/// UpdateThingShadow: RequestEntityTooLargeException over the quota of 8 KB
/// (<https://docs.aws.amazon.com/general/latest/gr/iot-core.html#device-shadow-limits>).
async fn more_than_eight_kilobytes_are_refused(account: &impl Account) -> Kept {
    let thing = settler(account).await?;
    let text = |length: usize| Patch::set(object(&json!({"text": "x".repeat(length)})));
    account.shadows().update(&thing, &text(8_000)).await?;
    let outcome = account.shadows().update(&thing, &text(8_200)).await;
    refuses(&outcome, |error| matches!(error, ShadowError::TooLarge), "an update that is too large")?;
    let kept = account.desired(&thing).await;
    same(kept["text"].as_str().map(str::len), Some(8_000), "the size before the update")
}

/// DeleteThingShadow.
async fn a_deleted_shadow_is_gone(account: &impl Account) -> Kept {
    let thing = settler(account).await?;
    account.shadows().update(&thing, &Patch::ready(7, Some(&certificate()), None)).await?;
    account.shadows().delete(&thing).await?;
    same(account.shadows().read(&thing).await?, None, "the shadow")
}

async fn a_shadow_after_a_deleted_one_starts_empty(account: &impl Account) -> Kept {
    let thing = settler(account).await?;
    account.shadows().update(&thing, &Patch::ready(7, Some(&certificate()), None)).await?;
    account.reports(&thing, json!({"status": "idle"})).await;
    account.shadows().delete(&thing).await?;
    account.shadows().update(&thing, &Patch::look(8)).await?;
    let marked = shadow(account, &thing).await?;
    same((marked.onboarded, marked.delivered, marked.look, marked.reported), (false, None, true, Map::new()), "the new shadow")
}

/// DeleteThingShadow: ResourceNotFoundException.
async fn deleting_a_missing_shadow_succeeds(account: &impl Account) -> Kept {
    let thing = settler(account).await?;
    account.shadows().delete(&thing).await?;
    account.shadows().update(&thing, &Patch::look(8)).await?;
    for _again in 0..2 {
        account.shadows().delete(&thing).await?;
    }
    Ok(account.shadows().delete(&account.new_user().thing).await?)
}

/// GetConnection: ResourceNotFoundException.
async fn an_unknown_device_is_not_connected(account: &impl Account) -> Kept {
    let connection = account.shadows().connection(&account.new_user().thing).await?;
    holds(matches!(connection, Connection::Unknown | Connection::Disconnected { .. }), "unknown or disconnected")
}

/// DeleteConnection: ResourceNotFoundException.
async fn disconnecting_an_unknown_device_succeeds(account: &impl Account) -> Kept {
    Ok(account.shadows().disconnect(&account.new_user().thing).await?)
}

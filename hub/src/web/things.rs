//! Things with their certificates and shadows, and the simulated devices.

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::extract::{Query, State};
use onething::identifiers::{CertificateId, ThingName};
use serde::Deserialize;
use serde_json::{Value, json};

use super::problem::Problem;
use super::users::{of, refusal};
use crate::hub::Hub;
use crate::mqtt::broker::Connection;
use crate::registry::{Registration, Status};
use crate::sign_in::UserName;
use crate::simulator::devices::{DeviceError, DeviceRequest};
use onething_device::printer::device::State as Printer;

#[derive(Deserialize)]
pub(super) struct Whose {
    user: Option<String>,
}

pub(super) async fn list(State(hub): State<Arc<Hub>>, Query(whose): Query<Whose>) -> Result<Json<Value>, Problem> {
    let whose = whose.user.map(|user| UserName::parse(&user)).transpose().map_err(|error| refusal(&error))?;
    let things = hub.registry.things().await.map_err(|error| Problem::ours(&error))?;
    let certificates = hub.registry.registrations().await.map_err(|error| Problem::ours(&error))?;
    let mut shown = Vec::new();
    for thing in things {
        let user = thing.owner.as_ref().and_then(UserName::of);
        if whose.is_some() && whose != user {
            continue;
        }
        let own = certificates.iter().filter(|(_, made)| made.thing.as_deref() == Some(&thing.name));
        let connected = matches!(hub.broker.connection(&thing.name), Connection::Connected { .. });
        let in_use = hub.broker.certificate(&thing.name);
        let until = |id: &CertificateId| thing.replaced.iter().find(|replaced| replaced.certificate == *id).map(|replaced| replaced.until);
        let own: Vec<_> = own.collect();
        let used = used(&own, in_use.as_ref(), |id| until(id).is_some());
        let own = own.iter().map(
            |(id, made)| json!({"id": id.as_str(), "status": made.status.as_str(), "replacedUntil": until(id), "used": used == Some(*id)}),
        );
        let own: Vec<Value> = own.collect();
        let shadow = match ThingName::parse(&thing.name) {
            Some(name) => hub.skill.shadows.document(&name).await.map_err(|error| Problem::ours(&error))?,
            None => None,
        };
        let refusal = hub.last_refusal(&thing.name).await.map_err(|error| Problem::ours(&error))?;
        shown.push(json!({
            "thing": thing.name, "user": user.as_ref().map(UserName::as_str), "connected": connected, "elsewhere": hub.is_elsewhere(&thing.name),
            "certificates": own, "shadow": shadow, "refusal": refusal,
        }));
    }
    Ok(Json(json!({"things": shown})))
}

/// The certificate that the device uses: the one of its connection, or else the newest ACTIVE one that was not replaced.
fn used<'a>(
    own: &[(&'a CertificateId, &Registration)],
    in_use: Option<&CertificateId>,
    is_replaced: impl Fn(&CertificateId) -> bool,
) -> Option<&'a CertificateId> {
    let connected = own.iter().map(|(id, _)| *id).find(|id| Some(*id) == in_use);
    let open = own.iter().filter(|(id, made)| made.status == Status::Active && !is_replaced(id));
    connected.or_else(|| open.max_by_key(|(_, made)| made.made_at).map(|(id, _)| *id))
}

#[derive(Deserialize)]
pub(super) struct Owned {
    user: String,
}

pub(super) async fn device(State(hub): State<Arc<Hub>>, Query(owned): Query<Owned>) -> Result<Json<Printer>, Problem> {
    let user = UserName::parse(&owned.user).map_err(|error| refusal(&error))?;
    Ok(Json(hub.devices.state(&user)))
}

#[derive(Deserialize)]
pub(super) struct Told {
    user: String,
    #[serde(flatten)]
    request: DeviceRequest,
}

pub(super) async fn request_device(State(hub): State<Arc<Hub>>, body: Result<Json<Told>, JsonRejection>) -> Result<Json<Printer>, Problem> {
    let Told { user, request } = of(body)?;
    let user = UserName::parse(&user).map_err(|error| refusal(&error))?;
    let state = hub.request_device(&user, request).await.map_err(|error| match error {
        DeviceError::NoSuchMail | DeviceError::Bundle(_) | DeviceError::NotStarted | DeviceError::Elsewhere => {
            Problem::conflict(error.to_string())
        }
        DeviceError::Mail(_) | DeviceError::Store(_) => Problem::ours(&error),
    })?;
    Ok(Json(state))
}

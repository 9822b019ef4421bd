//! The local users and their links, for the consent page and for the Alexa app on the page.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use super::problem::Problem;
use crate::events::Subject;
use crate::hub::Hub;
use crate::sign_in::{User, UserError, UserName};

#[derive(Deserialize)]
pub(super) struct Named {
    user: String,
}

#[derive(Deserialize)]
pub(super) struct NewUser {
    name: String,
    email: Option<String>,
}

pub(super) async fn list(State(hub): State<Arc<Hub>>) -> Result<Json<Value>, Problem> {
    let users = hub.users.users().await.map_err(|error| refusal(&error))?;
    let things = hub.registry.things().await.map_err(|error| Problem::ours(&error))?;
    let owned = |user: &User| user.user.owner().is_some_and(|owner| things.iter().any(|thing| thing.owner.as_ref() == Some(&owner)));
    let users: Vec<Value> = users.iter().map(|user| shown(&hub, user, owned(user))).collect();
    Ok(Json(json!({"users": users, "invocation": hub.skill.model.invocation, "device": hub.skill.model.name})))
}

pub(super) async fn add(State(hub): State<Arc<Hub>>, body: Result<Json<NewUser>, JsonRejection>) -> Result<Json<Value>, Problem> {
    let NewUser { name, email } = of(body)?;
    let user = hub.users.add(&name, email.as_deref()).await.map_err(|error| refusal(&error))?;
    hub.events.tell(&user.user, Subject::Users);
    Ok(Json(shown(&hub, &user, false)))
}

pub(super) async fn link(State(hub): State<Arc<Hub>>, body: Result<Json<Named>, JsonRejection>) -> Result<StatusCode, Problem> {
    let user = named(body)?;
    hub.link(&user).await.map_err(|error| refusal(&error))?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn unlink(State(hub): State<Arc<Hub>>, body: Result<Json<Named>, JsonRejection>) -> Result<StatusCode, Problem> {
    let user = named(body)?;
    hub.unlink(&user).await.map_err(|error| refusal(&error))?;
    Ok(StatusCode::NO_CONTENT)
}

/// The user disables the skill, as in the Alexa app.
pub(super) async fn disable(State(hub): State<Arc<Hub>>, body: Result<Json<Named>, JsonRejection>) -> Result<StatusCode, Problem> {
    let user = named(body)?;
    hub.disable(&user).await.map_err(|error| refusal(&error))?;
    Ok(StatusCode::NO_CONTENT)
}

/// The user enables the skill again.
pub(super) async fn enable(State(hub): State<Arc<Hub>>, body: Result<Json<Named>, JsonRejection>) -> Result<StatusCode, Problem> {
    let user = named(body)?;
    hub.enable(&user).await;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn remove(State(hub): State<Arc<Hub>>, body: Result<Json<Named>, JsonRejection>) -> Result<StatusCode, Problem> {
    let user = named(body)?;
    hub.remove_user(&user).await.map_err(|error| refusal(&error))?;
    Ok(StatusCode::NO_CONTENT)
}

/// Resets all local users to the state of a new hub. The certificate authority stays.
pub(super) async fn reset(State(hub): State<Arc<Hub>>) -> Result<StatusCode, Problem> {
    hub.reset().await.map_err(|error| refusal(&error))?;
    Ok(StatusCode::NO_CONTENT)
}

/// The access token of a linked user. With Login with Amazon an app that sets up devices would get such a token.
pub(super) async fn token(State(hub): State<Arc<Hub>>, body: Result<Json<Named>, JsonRejection>) -> Result<Json<Value>, Problem> {
    let user = hub.users.user(&named(body)?, None).await.map_err(|error| refusal(&error))?;
    let token = user.token().ok_or_else(|| Problem::conflict("this user has not linked their account"))?;
    Ok(Json(json!({"accessToken": token.secret()})))
}

fn shown(hub: &Hub, user: &User, has_thing: bool) -> Value {
    let thing = has_thing.then(|| hub.thing_of(&user.user)).flatten();
    json!({
        "user": user.user.as_str(), "name": user.name, "email": user.masked_address(), "linked": user.token().is_some(),
        "thing": thing.map(|thing| thing.to_string()),
    })
}

/// The parsed JSON body, or a problem that describes the fault.
pub(super) fn of<T>(body: Result<Json<T>, JsonRejection>) -> Result<T, Problem> {
    body.map(|Json(body)| body).map_err(|rejection| Problem::refused(rejection.status(), rejection.body_text()))
}

fn named(body: Result<Json<Named>, JsonRejection>) -> Result<UserName, Problem> {
    UserName::parse(&of(body)?.user).map_err(|error| refusal(&error))
}

pub(super) fn refusal(error: &UserError) -> Problem {
    match error {
        UserError::Name | UserError::FirstName | UserError::Address => Problem::request(error.to_string()),
        UserError::Taken | UserError::Last => Problem::conflict(error.to_string()),
        UserError::NoToken | UserError::Store(_) => Problem::ours(error),
    }
}

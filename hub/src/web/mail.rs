//! The mailbox of the page. It exists only in trying mode, where the recipients are local users.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_DISPOSITION, CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use serde::Deserialize;
use serde_json::{Value, json};

use super::problem::Problem;
use crate::hub::Hub;
use crate::sign_in::UserName;

/// The content security policy of an HTML mail. Its content is not trusted, so it is displayed without scripts and requests.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'self'; sandbox";

/// A style sheet for dark mode, with the colours of the page. It is appended to the mail, so it overrides the styles of the mail.
const DARK: &str = "<style>:root{color-scheme:light dark}@media(prefers-color-scheme:dark){body{background:#161d26!important;\
                    color:#e9eef4!important}pre,code{background:#1d2631!important;color:inherit!important}a{color:#8fb9ff!important}}</style>";

#[derive(Deserialize)]
pub(super) struct Whose {
    user: Option<String>,
}

pub(super) async fn list(State(hub): State<Arc<Hub>>, Query(whose): Query<Whose>) -> Result<Json<Value>, Problem> {
    let address = match whose.user {
        None => None,
        Some(user) => {
            let user = UserName::parse(&user).map_err(|error| Problem::request(error.to_string()))?;
            // Reading must not create a user, because a user may just have been removed.
            let users = hub.users.users().await.map_err(|error| Problem::ours(&error))?;
            let Some(user) = users.iter().find(|one| one.user == user) else { return Ok(Json(json!({"mail": []}))) };
            Some(user.address().to_owned())
        }
    };
    let folder = hub.mail.clone();
    let messages = blocking(move || folder.messages(address.as_deref())).await?;
    Ok(Json(json!({"mail": messages})))
}

pub(super) async fn raw(State(hub): State<Arc<Hub>>, Path(id): Path<String>) -> Result<Response, Problem> {
    let message = read(&hub, move |folder| folder.raw(&id)).await?;
    Ok(([(CONTENT_TYPE, "message/rfc822")], message).into_response())
}

pub(super) async fn html(State(hub): State<Arc<Hub>>, Path(id): Path<String>) -> Result<Response, Problem> {
    let html = read(&hub, move |folder| folder.html(&id)).await?;
    let html = format!("{}{DARK}", html.trim_end());
    Ok(([(CONTENT_TYPE, "text/html; charset=utf-8"), (CONTENT_SECURITY_POLICY, POLICY)], html).into_response())
}

pub(super) async fn attachment(State(hub): State<Arc<Hub>>, Path(id): Path<String>) -> Result<Response, Problem> {
    let (name, content) = read(&hub, move |folder| folder.attachment(&id)).await?;
    // The names of our attachments consist of these characters. Other characters could end the header, so they are removed.
    let name: String = name.chars().filter(|c| c.is_ascii_alphanumeric() || "._-".contains(*c)).collect();
    let headers = [(CONTENT_TYPE, "application/zip".to_owned()), (CONTENT_DISPOSITION, format!("attachment; filename=\"{name}\""))];
    Ok((headers, content).into_response())
}

async fn read<T: Send + 'static>(
    hub: &Hub,
    read: impl FnOnce(&crate::mail::mailbox::MailFolder) -> std::io::Result<Option<T>> + Send + 'static,
) -> Result<T, Problem> {
    let folder = hub.mail.clone();
    blocking(move || read(&folder)).await?.ok_or_else(|| Problem::missing("there is no such mail"))
}

async fn blocking<T: Send + 'static>(read: impl FnOnce() -> std::io::Result<T> + Send + 'static) -> Result<T, Problem> {
    let outcome = tokio::task::spawn_blocking(read).await.map_err(|error| Problem::ours(&error))?;
    outcome.map_err(|error| Problem::ours(&error))
}

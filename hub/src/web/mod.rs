//! The HTTP side of the hub: requests of Alexa, the registration endpoint, the page with its API, and health and metrics.

mod alexa;
mod audit;
mod echo;
mod events;
mod guard;
mod health;
mod listener;
mod mail;
mod model;
mod operator;
mod outgoing;
mod page;
pub mod password;
mod problem;
mod register;
mod things;
mod users;

#[cfg(test)]
#[cfg(feature = "foreign")]
#[path = "proxy_tests.rs"]
mod foreign;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request};
use axum::middleware::{Next, from_fn, from_fn_with_state, map_response};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get, post};
use http::header::{CACHE_CONTROL, CONTENT_LENGTH, CONTENT_SECURITY_POLICY, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS};
use http::{HeaderMap, HeaderValue, StatusCode};
use tokio::time::timeout;

pub use self::listener::serve;
#[cfg(unix)]
pub use self::operator::{Socket, serve_operator};
use self::problem::Problem;
use crate::hub::Hub;
use crate::web::password::Password;

/// The largest size of a request body, in bytes. Requests of Alexa have a few kilobytes.
const BODY_LIMIT: usize = 128 * 1024;
/// The path of the registration endpoint.
const REGISTER: &str = "/register";
/// The time limit from the head of a request to the head of its response. A request whose body does not arrive is ended.
const REQUEST_LIMIT: Duration = Duration::from_secs(30);
/// The time limit of the skill for a response. The skill itself has a shorter limit.
const ANSWER_WITHIN: Duration = Duration::from_secs(8);
/// The default content security policy. The page uses only its own files, without inline scripts.
const POLICY: &str = "default-src 'self'; img-src 'self' data:; frame-src 'self'; object-src 'none'; base-uri 'none'; \
                      form-action 'self'; frame-ancestors 'self'";

/// The routes of the HTTP listener. `password` is the password of the page, if there is one.
pub fn router(hub: Arc<Hub>, password: Option<Password>) -> Router {
    let in_use = || match password {
        // The guard verifies the password before the request reaches these routes.
        Some(_) => operator::watched(),
        None => operator::refused(),
    };
    let watched = Router::new().route("/metrics", get(health::metrics)).route("/api/registrations", get(audit::registrations)).merge(
        match hub.trying() {
            true => operator::watched().merge(trying()),
            false => page::in_use().merge(in_use()).merge(only_while_trying()),
        },
    );
    let watched = watched.layer(from_fn_with_state(password, guard::guard));
    let open = Router::new()
        .route("/alexa", post(alexa::alexa))
        .route(REGISTER, any(register::register))
        .route("/health", get(health::health))
        .merge(watched);
    finished(open).layer(from_fn(bounds)).layer(DefaultBodyLimit::max(BODY_LIMIT)).layer(from_fn(health::count)).with_state(hub)
}

/// The routes of the Unix socket in the data folder, which only the operator can open.
#[cfg(unix)]
pub fn operators_router(hub: Arc<Hub>) -> Router {
    let watched = operator::watched()
        .route("/health", get(health::health))
        .route("/metrics", get(health::metrics))
        .route("/api/registrations", get(audit::registrations))
        .route("/database", get(operator::database))
        .merge(if hub.trying() { trying() } else { only_while_trying() });
    finished(watched).with_state(hub)
}

/// Adds the responses for unknown paths and methods, and the default headers.
fn finished(router: Router<Arc<Hub>>) -> Router<Arc<Hub>> {
    router
        .fallback(async || Problem::missing("there is nothing at this address"))
        .method_not_allowed_fallback(async || Problem::method())
        .layer(map_response(problem::problems))
        .layer(map_response(headers))
}

/// The paths that exist only in trying mode, with an error that explains this.
fn only_while_trying() -> Router<Arc<Hub>> {
    let addresses = [
        "/echo",
        "/link",
        "/unlink",
        "/disable",
        "/enable",
        "/token",
        "/api/users/remove",
        "/api/reset",
        "/sign-in",
        "/api/users",
        "/api/utterances",
        "/api/model",
        "/api/echo",
        "/api/mail",
        "/api/mail/{*part}",
        "/api/device",
        "/api/events",
    ];
    let told = async || {
        Problem::missing(
            "this hub is in use: Amazon signs its owners in and Alexa calls it, so there are no simulated Echos, users, mailboxes and \
             devices. A hub in trying mode has them: one without --lwa-client-id, with a data folder of its own",
        )
    };
    addresses.into_iter().fold(Router::new(), |router, address| router.route(address, any(told)))
}

/// The routes of the page, of the simulated Echos and of the simulated devices.
fn trying() -> Router<Arc<Hub>> {
    Router::new()
        .merge(page::router())
        .route("/echo", post(echo::say))
        .route("/link", post(users::link))
        .route("/unlink", post(users::unlink))
        .route("/disable", post(users::disable))
        .route("/enable", post(users::enable))
        .route("/token", post(users::token))
        .route("/api/users/remove", post(users::remove))
        .route("/api/reset", post(users::reset))
        .route("/api/users", get(users::list).post(users::add))
        .route("/api/utterances", get(echo::utterances))
        .route("/api/model", get(model::model))
        .route("/api/echo", get(echo::history))
        .route("/api/mail", get(mail::list))
        .route("/api/mail/{id}", get(mail::raw))
        .route("/api/mail/{id}/html", get(mail::html))
        .route("/api/mail/{id}/attachment", get(mail::attachment))
        .route("/api/device", get(things::device).post(things::request_device))
        .route("/api/events", get(events::events))
}

/// Refuses a request whose announced body is too large, and ends a request that takes too long. The registration endpoint checks
/// the size itself, because it must record every request.
async fn bounds(request: Request, next: Next) -> Response {
    if announces_more_than(BODY_LIMIT, request.headers()) && request.uri().path() != REGISTER {
        return Problem::refused(StatusCode::PAYLOAD_TOO_LARGE, format!("a request has at most {BODY_LIMIT} bytes")).into_response();
    }
    let late = |_| Problem::refused(StatusCode::REQUEST_TIMEOUT, "the request did not come in time").into_response();
    timeout(REQUEST_LIMIT, next.run(request)).await.unwrap_or_else(late)
}

fn announces_more_than(limit: usize, headers: &HeaderMap) -> bool {
    let announced = headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    announced.is_some_and(|length| length > limit as u64)
}

/// Adds the default headers, unless the response has them.
async fn headers(mut response: Response) -> Response {
    let always = [
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (X_FRAME_OPTIONS, "SAMEORIGIN"),
        (REFERRER_POLICY, "no-referrer"),
        (CONTENT_SECURITY_POLICY, POLICY),
        (CACHE_CONTROL, "no-store"),
    ];
    for (name, value) in always {
        response.headers_mut().entry(name).or_insert(HeaderValue::from_static(value));
    }
    response
}

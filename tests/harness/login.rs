//! "Login with Amazon" as a real HTTP server: `/user/profile` with a Bearer header and `/auth/o2/tokeninfo`. The bodies are those
//! of Amazon's own test fixtures (Amazon Pay SDK for Java, `TestConstants`). A test can request every fault of such a server.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, Response, Uri};
use axum::routing::get;
use serde_json::{Value, json};

use super::http::{self, Server, query_value};

pub const CLIENT_ID: &str = "amzn1.application-oa2-client.0123456789abcdef";

/// A user with an Amazon account, and the access token that the skill receives for the account.
#[derive(Clone, Debug)]
pub struct User {
    pub token: String,
    pub user_id: String,
    pub name: Option<String>,
    pub email: Option<String>,
    /// The client that the token was issued to.
    pub audience: String,
    /// Seconds until the token expires.
    pub expires_in: i64,
    /// The user id that tokeninfo returns for the token. It is the same as `user_id`, unless a test wants the two responses to
    /// disagree.
    pub token_is_of: String,
}

impl User {
    /// A complete account. The token has the form and the length of a real one.
    pub fn named(name: &str) -> Self {
        let lower = name.to_lowercase().replace(' ', ".");
        Self {
            token: token_for(&lower),
            user_id: format!("amzn1.account.{}", lower.to_uppercase()),
            name: Some(name.to_owned()),
            email: Some(format!("{lower}@mail.example.com")),
            audience: CLIENT_ID.to_owned(),
            expires_in: 3_531,
            token_is_of: format!("amzn1.account.{}", lower.to_uppercase()),
        }
    }
}

/// An access token in the form of Login with Amazon: `Atza|` and more than 350 characters, some of which need an escape in a
/// query.
pub fn token_for(whom: &str) -> String {
    format!("Atza|IwEBI{}/+={whom}", "Q7n2x-_".repeat(52))
}

/// How the server treats one token.
#[derive(Clone, Debug)]
pub enum Conduct {
    /// 400: expired, revoked or never issued.
    InvalidToken,
    /// 401: the user granted fewer scopes than the skill needs.
    InsufficientScope,
    /// Any status, with the error body of Amazon.
    Fails(u16, &'static str),
    /// An HTML page, as from a proxy between the client and the server.
    Html(u16),
    /// 200 and the first half of a body.
    HalfJson,
    /// 200 and this complete body.
    Says(Value),
    /// Reads the request and never responds.
    Silent,
    /// The regular response, after a delay.
    Slow(Duration),
}

/// One request that the server has received.
#[derive(Clone, Debug)]
pub struct Call {
    pub path: String,
    pub query: String,
    pub bearer: Option<String>,
}

#[derive(Default)]
struct Book {
    users: HashMap<String, User>,
    conducts: HashMap<String, Conduct>,
    calls: Vec<Call>,
}

pub struct Login {
    server: Server,
    book: Arc<Mutex<Book>>,
}

impl Login {
    pub async fn open() -> Self {
        let book = Arc::new(Mutex::new(Book::default()));
        let routes = Router::new()
            .route("/user/profile", get(profile))
            .route("/auth/o2/tokeninfo", get(token_info))
            .fallback(elsewhere)
            .with_state(Arc::clone(&book));
        Self { server: Server::open(routes).await, book }
    }

    pub fn url(&self) -> String {
        self.server.url()
    }

    pub fn knows(&self, user: &User) {
        let mut book = self.book.lock().expect("the lock of the users");
        book.users.insert(user.token.clone(), user.clone());
    }

    pub fn treats(&self, token: &str, conduct: Conduct) {
        let mut book = self.book.lock().expect("the lock of the users");
        book.conducts.insert(token.to_owned(), conduct);
    }

    pub fn forgives(&self, token: &str) {
        self.book.lock().expect("the lock of the users").conducts.remove(token);
    }

    pub fn calls(&self) -> Vec<Call> {
        self.book.lock().expect("the lock of the calls").calls.clone()
    }
}

async fn profile(State(book): State<Arc<Mutex<Book>>>, uri: Uri, headers: HeaderMap) -> Response<Body> {
    let call = note(&book, &uri, &headers);
    // The real server accepts a token in the query too. This one does not: URLs end up in logs, so a token must not be in one.
    let Some(token) = call.bearer else {
        return invalid_token();
    };
    serve(&book, &token, |user| {
        let mut body = json!({"user_id": user.user_id});
        if let Some(name) = &user.name {
            body["name"] = json!(name);
        }
        if let Some(email) = &user.email {
            body["email"] = json!(email);
        }
        body
    })
    .await
}

async fn token_info(State(book): State<Arc<Mutex<Book>>>, uri: Uri, headers: HeaderMap) -> Response<Body> {
    let call = note(&book, &uri, &headers);
    let Some(token) = query_value(&call.query, "access_token").or(call.bearer) else {
        return invalid_token();
    };
    serve(&book, &token, |user| {
        json!({
            "iss": "https://www.amazon.com",
            "user_id": user.token_is_of,
            "aud": user.audience,
            "app_id": "amzn1.application.0123456789abcdef",
            // The remaining seconds, not a point in time.
            "exp": user.expires_in,
            "iat": 1_446_510_240,
        })
    })
    .await
}

async fn elsewhere(State(book): State<Arc<Mutex<Book>>>, uri: Uri, headers: HeaderMap) -> Response<Body> {
    // A client may open a connection in advance; that is no call.
    if uri.path() != "/" {
        note(&book, &uri, &headers);
    }
    http::json(404, &json!({"error": "not_found"}))
}

async fn serve(book: &Mutex<Book>, token: &str, tell: impl Fn(&User) -> Value) -> Response<Body> {
    let (user, conduct) = {
        let book = book.lock().expect("the lock of the users");
        (book.users.get(token).cloned(), book.conducts.get(token).cloned())
    };
    match conduct {
        Some(Conduct::InvalidToken) => return invalid_token(),
        Some(Conduct::InsufficientScope) => return insufficient_scope(),
        Some(Conduct::Fails(status, error)) => return failure(status, error),
        Some(Conduct::Html(status)) => {
            return http::respond(status, "text/html", "<html><body>Sorry!</body></html>");
        }
        Some(Conduct::HalfJson) => return half_json(),
        Some(Conduct::Says(body)) => return http::json(200, &body),
        Some(Conduct::Silent) => std::future::pending().await,
        Some(Conduct::Slow(delay)) => tokio::time::sleep(delay).await,
        None => {}
    }
    match user {
        Some(user) => http::json(200, &tell(&user)),
        None => invalid_token(),
    }
}

fn note(book: &Mutex<Book>, uri: &Uri, headers: &HeaderMap) -> Call {
    let bearer = headers
        .get("authorization")
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.strip_prefix("Bearer "))
        .map(str::to_owned);
    let call = Call { path: uri.path().to_owned(), query: uri.query().unwrap_or_default().to_owned(), bearer };
    book.lock().expect("the lock of the calls").calls.push(call.clone());
    call
}

fn invalid_token() -> Response<Body> {
    http::json(
        400,
        &json!({
            "error_description": "The request has an invalid parameter : access_token",
            "error": "invalid_token",
        }),
    )
}

fn insufficient_scope() -> Response<Body> {
    http::json(
        401,
        &json!({
            "error_description": "The access token provided has insufficient scope",
            "error": "insufficient_scope",
            "request_id": "bef0c2f8-e292-4l96-8c95-8833fbd559df",
        }),
    )
}

fn failure(status: u16, error: &str) -> Response<Body> {
    http::json(status, &json!({"error": error, "error_description": "Try again later.", "request_id": "1"}))
}

/// 200 and the first half of a profile.
fn half_json() -> Response<Body> {
    let whole = r#"{"user_id":"amzn1.account.HALF","name":"Half","email":"half@mail.example.com"}"#;
    let (half, _) = whole.split_at(whole.len() / 2);
    http::respond(200, "application/json", half.to_owned())
}

//! The URL of the registration endpoint: `https`, or `http` on this machine.

use std::fmt;
use std::net::IpAddr;

use http::Uri;
use http::uri::{PathAndQuery, Scheme};
use thiserror::Error;

/// The path of an endpoint whose URL has none.
const PATH: PathAndQuery = PathAndQuery::from_static("/register");

/// The URL of a registration endpoint.
#[derive(Clone, PartialEq, Eq)]
pub struct Address(Uri);

/// Why a URL cannot be the URL of an endpoint.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum AddressError {
    /// The text is not an absolute URL.
    #[error("it is no URL such as https://example.com/register")]
    NotAUrl,
    /// The URL is not `https`, so the connection would not be encrypted.
    #[error("an endpoint is at https://, and at http:// only on this machine: anybody could listen in")]
    Open,
    /// The URL contains a user name or a password, which would appear in logs and process lists.
    #[error("a URL with a user name or a password in it is not used")]
    UserInfo,
}

impl Address {
    /// Accepts `https`, and `http` on loopback. A URL without a path gets the path `/register`.
    pub fn parse(url: &str) -> Result<Self, AddressError> {
        let uri: Uri = url.trim().parse().map_err(|_| AddressError::NotAUrl)?;
        let mut parts = uri.into_parts();
        let (Some(scheme), Some(authority)) = (&parts.scheme, &parts.authority) else { return Err(AddressError::NotAUrl) };
        if authority.as_str().contains('@') {
            return Err(AddressError::UserInfo);
        }
        if authority.host().is_empty() {
            return Err(AddressError::NotAUrl);
        }
        if *scheme != Scheme::HTTPS && !(*scheme == Scheme::HTTP && is_here(authority.host())) {
            return Err(AddressError::Open);
        }
        if parts.path_and_query.as_ref().is_none_or(|path| path == "/") {
            parts.path_and_query = Some(PATH);
        }
        Uri::from_parts(parts).map(Self).map_err(|_| AddressError::NotAUrl)
    }

    /// The URI for the request.
    pub(crate) fn uri(&self) -> &Uri {
        &self.0
    }

    /// The host with its port, as messages name the endpoint.
    pub fn host(&self) -> String {
        self.0.authority().map_or_else(String::new, ToString::to_string)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

fn is_here(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost") || bare.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(url: &str, expected: Result<&str, AddressError>) {
        let address = Address::parse(url).map(|address| address.to_string());
        assert_eq!(address.as_deref().map_err(|error| format!("{error:?}")), expected.map_err(|error| format!("{error:?}")), "{url}");
    }

    #[test]
    fn an_endpoint_is_https_or_on_loopback() {
        check("https://endpoint.example/prod/register", Ok("https://endpoint.example/prod/register"));
        check("https://endpoint.example:8443", Ok("https://endpoint.example:8443/register"));
        check(" https://endpoint.example/\n", Ok("https://endpoint.example/register"));
        check("http://127.0.0.1:8080", Ok("http://127.0.0.1:8080/register"));
        check("http://[::1]:8080/register", Ok("http://[::1]:8080/register"));
        check("http://localhost/x", Ok("http://localhost/x"));
        for open in
            ["http://endpoint.example", "http://127.0.0.1.endpoint.example", "http://10.0.0.1", "ftp://endpoint.example", "http://[::2]"]
        {
            check(open, Err(AddressError::Open));
        }
        for garbage in ["", "endpoint.example", "/register", "https://", "https:///register", "https://a b"] {
            check(garbage, Err(AddressError::NotAUrl));
        }
        check("https://me:secret@endpoint.example", Err(AddressError::UserInfo));
    }
}

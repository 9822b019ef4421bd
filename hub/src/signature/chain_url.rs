//! The URL of a certificate chain. Only `https://s3.amazonaws.com/echo.api/…` at port 443 is accepted.
//!
//! The URL comes from the client, which may be anyone. It is parsed once, by the rules of browsers, and the parsed form is both
//! checked and fetched. So no other parser can find another host or path in it.
//! (<https://developer.amazon.com/en-US/docs/alexa/custom-skills/host-a-custom-skill-as-a-web-service.html>,
//! <https://url.spec.whatwg.org/>)

use thiserror::Error;
use url::Url;

/// The scheme and the host of every accepted URL.
pub const ORIGIN: &str = "https://s3.amazonaws.com";
const HOST: &str = "s3.amazonaws.com";
const FOLDER: &str = "/echo.api/";
/// The largest length of a URL in bytes. The URLs of Amazon have 50 bytes.
const MAX_LENGTH: usize = 256;

/// Why a URL is not accepted.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum ChainUrlFault {
    /// The URL is too long.
    #[error("it is too long")]
    Length,
    /// The URL contains `%`, `@`, `?`, `#`, `\`, a space or a character outside of ASCII. The URL of a file needs none of them,
    /// and parsers disagree about them.
    #[error("it holds a character that has no place in it")]
    Character,
    /// The URL contains two slashes in sequence after the scheme.
    #[error("it has an empty part")]
    EmptyPart,
    /// The text is not a URL.
    #[error("it is not a URL")]
    Malformed,
    /// The scheme is not `https`.
    #[error("its scheme is not https")]
    Scheme,
    /// The host is not `s3.amazonaws.com`.
    #[error("its host is not Amazon's")]
    Host,
    /// The port is not 443.
    #[error("its port is not 443")]
    Port,
    /// The path does not begin with `/echo.api/`.
    #[error("its path is not Alexa's")]
    Path,
}

/// The URL of a certificate chain of Alexa, in normalised form.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ChainUrl(String);

impl ChainUrl {
    /// Accepts the value of the header `SignatureCertChainUrl`.
    pub fn parse(address: &[u8]) -> Result<Self, ChainUrlFault> {
        if address.len() > MAX_LENGTH {
            return Err(ChainUrlFault::Length);
        }
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~:/".contains(&byte);
        let address = str::from_utf8(address).map_err(|_| ChainUrlFault::Character)?;
        if !address.bytes().all(plain) {
            return Err(ChainUrlFault::Character);
        }
        let Some((scheme, rest)) = address.split_once("://") else { return Err(ChainUrlFault::Malformed) };
        if !scheme.eq_ignore_ascii_case("https") {
            return Err(ChainUrlFault::Scheme);
        }
        if rest.starts_with('/') || rest.contains("//") {
            return Err(ChainUrlFault::EmptyPart);
        }
        let url = Url::parse(address).map_err(|_| ChainUrlFault::Malformed)?;
        if url.host_str() != Some(HOST) {
            return Err(ChainUrlFault::Host);
        }
        if url.port().is_some() {
            return Err(ChainUrlFault::Port);
        }
        if !url.path().starts_with(FOLDER) {
            return Err(ChainUrlFault::Path);
        }
        Ok(Self(url.into()))
    }

    /// The complete URL: [`ORIGIN`] followed by [`Self::path`].
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The path, which begins with `/echo.api/`.
    pub fn path(&self) -> &str {
        // Every accepted URL begins with the origin.
        self.0.strip_prefix(ORIGIN).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(address: &str, expected: Result<&str, ChainUrlFault>) {
        let parsed = ChainUrl::parse(address.as_bytes());
        assert_eq!(parsed.as_ref().map(ChainUrl::as_str).map_err(|fault| *fault), expected, "{address}");
        if let Ok(url) = parsed {
            assert_eq!(format!("{ORIGIN}{}", url.path()), url.as_str());
        }
    }

    const CERTIFICATE: &str = "https://s3.amazonaws.com/echo.api/echo-api-cert.pem";

    /// The examples of the documentation, and variations from the SDKs.
    #[test]
    fn the_examples_of_amazon_are_accepted_or_refused_as_documented() {
        check(CERTIFICATE, Ok(CERTIFICATE));
        check("https://s3.amazonaws.com:443/echo.api/echo-api-cert.pem", Ok(CERTIFICATE));
        check("https://s3.amazonaws.com/echo.api/../echo.api/echo-api-cert.pem", Ok(CERTIFICATE));
        check("HTTPS://S3.AmazonAWS.com/echo.api/echo-api-cert.pem", Ok(CERTIFICATE));
        check("http://s3.amazonaws.com/echo.api/echo-api-cert.pem", Err(ChainUrlFault::Scheme));
        check("https://notamazon.com/echo.api/echo-api-cert.pem", Err(ChainUrlFault::Host));
        check("https://s3.amazonaws.com/EcHo.aPi/echo-api-cert.pem", Err(ChainUrlFault::Path));
        check("https://s3.amazonaws.com/invalid.path/echo-api-cert.pem", Err(ChainUrlFault::Path));
        check("https://s3.amazonaws.com:563/echo.api/echo-api-cert.pem", Err(ChainUrlFault::Port));
    }

    #[test]
    fn a_path_that_leaves_the_folder_is_refused() {
        check("https://s3.amazonaws.com/echo.api/../cert.pem", Err(ChainUrlFault::Path));
        check("https://s3.amazonaws.com/echo.api/../evil/echo.api/x.pem", Err(ChainUrlFault::Path));
        check("https://s3.amazonaws.com/echo.api/./../x.pem", Err(ChainUrlFault::Path));
        check("https://s3.amazonaws.com/echo.api", Err(ChainUrlFault::Path));
        check("https://s3.amazonaws.com/echo.apix/x.pem", Err(ChainUrlFault::Path));
        check("https://s3.amazonaws.com/x/echo.api/x.pem", Err(ChainUrlFault::Path));
        check("https://s3.amazonaws.com", Err(ChainUrlFault::Path));
        check("https://s3.amazonaws.com/echo.api/%2e%2e/evil/x.pem", Err(ChainUrlFault::Character));
        check("https://s3.amazonaws.com/echo.api/%2E%2E/evil/x.pem", Err(ChainUrlFault::Character));
        check("https://s3.amazonaws.com/echo.api/%252e%252e/evil/x.pem", Err(ChainUrlFault::Character));
        check("https://s3.amazonaws.com/echo.api/..%2fevil/x.pem", Err(ChainUrlFault::Character));
        check("https://s3.amazonaws.com/echo%2eapi/x.pem", Err(ChainUrlFault::Character));
    }

    #[test]
    fn an_ambiguous_url_is_refused() {
        check("https://s3.amazonaws.com@evil.example/echo.api/x.pem", Err(ChainUrlFault::Character));
        check("https://user:word@s3.amazonaws.com/echo.api/x.pem", Err(ChainUrlFault::Character));
        check("https://@s3.amazonaws.com/echo.api/x.pem", Err(ChainUrlFault::Character));
        check("https://evil.example\\@s3.amazonaws.com/echo.api/x.pem", Err(ChainUrlFault::Character));
        check("https://s3.amazonaws.com\\echo.api\\x.pem", Err(ChainUrlFault::Character));
        check("https:\\\\s3.amazonaws.com/echo.api/x.pem", Err(ChainUrlFault::Character));
        check("https://s3.amazonaws.com./echo.api/x.pem", Err(ChainUrlFault::Host));
        check("https://s3.amazonaws.com//echo.api/x.pem", Err(ChainUrlFault::EmptyPart));
        check("https://s3.amazonaws.com/echo.api//x.pem", Err(ChainUrlFault::EmptyPart));
        check("https://s3.amazonaws.com/echo.api/..//echo.api/x.pem", Err(ChainUrlFault::EmptyPart));
        check("https:///s3.amazonaws.com/echo.api/x.pem", Err(ChainUrlFault::EmptyPart));
        check("https://s3.amazonaws.com/echo.api/x.pem?versionId=1", Err(ChainUrlFault::Character));
        check("https://s3.amazonaws.com/echo.api/x.pem?", Err(ChainUrlFault::Character));
        check("https://s3.amazonaws.com/echo.api/x.pem#part", Err(ChainUrlFault::Character));
        check("https://s3.amazonaws.com/echo.api/x.pem ", Err(ChainUrlFault::Character));
        check("https://s3.amazonaws.com/echo.api/x\t.pem", Err(ChainUrlFault::Character));
        check("https://s3.amazonaws.com/echo.api/x.pem\u{0}", Err(ChainUrlFault::Character));
        check("https://s3.amazonaws\u{3002}com/echo.api/x.pem", Err(ChainUrlFault::Character));
        check("https://s3.amazonaws.com/echo.api/\u{e9}.pem", Err(ChainUrlFault::Character));
        assert_eq!(ChainUrl::parse(b"https://s3.amazonaws.com/echo.api/\xff.pem"), Err(ChainUrlFault::Character));
    }

    #[test]
    fn a_malformed_url_is_refused() {
        check("", Err(ChainUrlFault::Malformed));
        check("echo-api-cert.pem", Err(ChainUrlFault::Malformed));
        check("//s3.amazonaws.com/echo.api/x.pem", Err(ChainUrlFault::Malformed));
        check("https:s3.amazonaws.com/echo.api/x.pem", Err(ChainUrlFault::Malformed));
        check("https:/s3.amazonaws.com/echo.api/x.pem", Err(ChainUrlFault::Malformed));
        check("https://:443/echo.api/x.pem", Err(ChainUrlFault::Malformed));
        check("https://s3.amazonaws.com:99999/echo.api/x.pem", Err(ChainUrlFault::Malformed));
        check("https://s3.amazonaws.com:443:443/echo.api/x.pem", Err(ChainUrlFault::Malformed));
        check("file://s3.amazonaws.com/echo.api/x.pem", Err(ChainUrlFault::Scheme));
        check("s3://s3.amazonaws.com/echo.api/x.pem", Err(ChainUrlFault::Scheme));
        check(&format!("https://s3.amazonaws.com/echo.api/{}.pem", "x".repeat(300)), Err(ChainUrlFault::Length));
    }

    #[test]
    fn other_hosts_are_refused() {
        for host in
            ["evil.s3.amazonaws.com", "s3.amazonaws.com.evil.example", "s3-amazonaws.com", "s3.eu-west-1.amazonaws.com", "127.0.0.1"]
        {
            check(&format!("https://{host}/echo.api/x.pem"), Err(ChainUrlFault::Host));
        }
    }

    proptest::proptest! {
        #[test]
        fn every_accepted_url_is_in_the_folder_of_alexa(rest in r"[a-z./\\@:%?#2e]{0,40}") {
            for start in ["https://s3.amazonaws.com/echo.api/", "https://s3.amazonaws.com", "https://"] {
                if let Ok(url) = ChainUrl::parse(format!("{start}{rest}").as_bytes()) {
                    let again = Url::parse(url.as_str()).unwrap();
                    proptest::prop_assert_eq!(again.as_str(), url.as_str());
                    proptest::prop_assert!(url.as_str().starts_with("https://s3.amazonaws.com/echo.api/"));
                    proptest::prop_assert!(!url.path().split('/').any(|part| part == ".."));
                }
            }
        }
    }
}

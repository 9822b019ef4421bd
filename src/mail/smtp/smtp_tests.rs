//! Tests with a local SMTP server that sends configurable replies.

use lettre::Address;

use super::*;
use crate::fault::{ClassifiedError, Fault};
use crate::login::EmailAddress;

#[allow(dead_code, unreachable_pub, missing_docs, reason = "the tests of the function and the hub use the other items")]
#[path = "../../../tests/harness/smtp_server.rs"]
mod smtp_server;

use smtp_server::SmtpServer;

async fn within<T>(limit: Duration, what: &str, event: impl Future<Output = T>) -> T {
    timeout(limit, event).await.unwrap_or_else(|_| panic!("{what}: not within {limit:?}"))
}

fn letter() -> Letter {
    letter_to("ana@mail.example.com")
}

fn letter_to(address: &str) -> Letter {
    let to = EmailAddress::parse(address).unwrap();
    let message = format!("From: hub@example.com\r\nTo: {}\r\nSubject: s\r\n\r\nHello\r\n", to.whole()).into_bytes();
    Letter { from: "hub@example.com".parse::<Address>().unwrap().to_string(), to, message, label: None }
}

async fn outcome(url: &str) -> MailError {
    let smtp = Smtp::new(url).unwrap().with_patience(Duration::from_secs(2));
    smtp.send(letter()).await.unwrap_err()
}

/// Checks that the operator must correct the cause and that the message was certainly not sent.
fn check_unusable(error: &MailError, words: &str) {
    assert!(matches!(error, MailError::ServerUnusable(_)) && error.to_string().contains(words), "{error}");
    assert_eq!((error.fault(), error.cause(), error.is_definite(), error.may_pass()), (Fault::Maker, "mail_server_unusable", true, true));
}

#[tokio::test]
async fn a_failed_connection_is_the_operators_fault() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let closed = listener.local_addr().unwrap();
    drop(listener);
    check_unusable(&outcome(&format!("smtp://{closed}")).await, "the connection failed");
    // A DNS label of 64 characters is invalid, so no resolver is queried.
    check_unusable(&outcome(&format!("smtp://{}:2525", "x".repeat(64))).await, "the connection failed");

    let office = SmtpServer::open().await;
    let (plain, port) = (format!("smtp://{}", office.address), office.address.port());
    check_unusable(&outcome(&format!("smtps://127.0.0.1:{port}")).await, "the connection failed");
    check_unusable(&outcome(&format!("{plain}?tls=required")).await, "TLS failed");
    check_unusable(&outcome(&format!("smtp://ana:secret@{}", office.address)).await, "the login failed");

    office.replies("EHLO", "250-post office\r\n250 AUTH PLAIN");
    office.replies("AUTH", "535 5.7.8 ana@example.com: no such password as secret");
    let refused = outcome(&format!("smtp://ana:secret@{}", office.address)).await;
    check_unusable(&refused, "the login was refused with SMTP 535");
    assert!(!refused.to_string().contains("ana") && !refused.to_string().contains("secret"), "{refused}");
    office.takes_all();

    office.replies("CONNECT", "554 no SMTP service here");
    check_unusable(&outcome(&plain).await, "the connection was refused with SMTP 554");
    office.replies("CONNECT", "");
    check_unusable(&outcome(&plain).await, "does not answer in time");
    assert_eq!(office.count(), 0);
}

#[tokio::test]
async fn a_temporary_refusal_is_classified_for_a_retry() {
    let office = SmtpServer::open().await;
    let url = format!("smtp://{}", office.address);
    for (command, reply) in [("CONNECT", "421 too busy"), ("MAIL", "451 later"), ("RCPT", "450 4.2.0 greylisted"), (".", "452 no room")] {
        office.replies(command, reply);
        let error = outcome(&url).await;
        assert!(matches!(error, MailError::Throttled(_)) && error.may_pass(), "{command}: {error}");
        assert_eq!(error.fault(), Fault::Again, "{command}");
        office.takes_all();
    }
    office.replies("RCPT", "550 5.1.1 ana@mail.example.com is unknown");
    let unknown = outcome(&url).await;
    assert!(matches!(unknown, MailError::AddressRefused(_)) && !unknown.may_pass() && !unknown.to_string().contains("ana"), "{unknown}");
    office.takes_all();
    office.replies(".", "");
    let silent = outcome(&url).await;
    assert!(matches!(silent, MailError::Unclear(_)) && silent.may_pass() && !silent.is_definite(), "{silent}");
}

#[tokio::test]
async fn an_address_in_the_envelope_is_quoted_and_its_domain_is_in_punycode() {
    let office = SmtpServer::open().await;
    let smtp = Smtp::new(&format!("smtp://{}", office.address)).unwrap();
    for (number, (typed, sent)) in [
        ("ana.@docomo.ne.jp", "\"ana.\"@docomo.ne.jp"),
        ("ana..b@ezweb.ne.jp", "\"ana..b\"@ezweb.ne.jp"),
        ("ana+printer@example.com", "ana+printer@example.com"),
        ("\"a>b c\"@example.com", "\"a>b c\"@example.com"),
        ("ana@bücher.example", "ana@xn--bcher-kva.example"),
    ]
    .into_iter()
    .enumerate()
    {
        smtp.send(letter_to(typed)).await.unwrap();
        assert_eq!(office.mail(number).await.recipients, [sent]);
    }
}

#[tokio::test]
async fn a_non_ascii_address_needs_a_server_with_smtputf8() {
    let office = SmtpServer::open().await;
    let smtp = Smtp::new(&format!("smtp://{}", office.address)).unwrap();
    let error = smtp.send(letter_to("jörg@example.com")).await.unwrap_err();
    assert_eq!((error.fault(), error.cause(), error.may_pass()), (Fault::Speaker, "mail_address_refused", false));
    assert!(error.to_string().contains("SMTPUTF8") && !error.to_string().contains("jörg"), "{error}");
    assert_eq!(office.count(), 0);
    office.replies("EHLO", "250-post office\r\n250-8BITMIME\r\n250 SMTPUTF8");
    smtp.send(letter_to("jörg@bücher.example")).await.unwrap();
    let mail = office.mail(0).await;
    assert_eq!(mail.recipients, ["jörg@xn--bcher-kva.example"]);
    assert!(String::from_utf8(mail.message).unwrap().contains("To: jörg@xn--bcher-kva.example\r\n"));
}

#[tokio::test]
async fn a_permanently_refused_recipient_is_the_owners_fault_and_a_refused_sender_the_operators() {
    let office = SmtpServer::open().await;
    let url = format!("smtp://{}", office.address);
    for reply in ["550 no such user", "551 moved", "553 5.1.3 not allowed", "501 5.1.3 bad syntax", "555 parameters", "554 5.2.2 full"] {
        office.replies("RCPT", reply);
        let error = outcome(&url).await;
        assert_eq!((error.fault(), error.may_pass(), error.is_definite()), (Fault::Speaker, false, true), "{reply}: {error}");
    }
    office.replies("RCPT", "554 5.7.1 relay access denied");
    assert_eq!(outcome(&url).await.fault(), Fault::Maker);
    office.takes_all();
    for reply in ["550 5.7.1 who are you", "553 5.1.8 no such domain", "501 bad syntax"] {
        office.replies("MAIL", reply);
        assert_eq!(outcome(&url).await.fault(), Fault::Maker, "{reply}");
    }
}

#[tokio::test]
async fn a_check_logs_in_and_sends_no_mail() {
    let office = SmtpServer::open().await;
    Smtp::new(&format!("smtp://{}", office.address)).unwrap().check().await.unwrap();
    office.replies("EHLO", "250-post office\r\n250 AUTH PLAIN");
    office.replies("AUTH", "235 welcome");
    Smtp::new(&format!("smtp://ana:secret@{}", office.address)).unwrap().check().await.unwrap();
    Smtp::new(&format!("smtp://ana:secret@{}", office.address)).unwrap().send(letter()).await.unwrap();
    assert_eq!(office.mail(0).await.recipients, ["ana@mail.example.com"]);
    office.replies("AUTH", "535 no");
    check_unusable(
        &Smtp::new(&format!("smtp://ana:secret@{}", office.address)).unwrap().check().await.unwrap_err(),
        "the login was refused",
    );
}

#[test]
fn an_smtp_url_names_the_server_the_port_and_the_start_of_tls() {
    for url in [
        "smtp://mail",
        "smtps://u:p@mail.example.com",
        "smtp://u:p%40@mail:2525?tls=required",
        "smtp://[::1]:25?tls=opportunistic",
        "smtp://m/name",
    ] {
        assert!(Smtp::new(url).is_ok(), "{url}");
    }
    for url in
        ["", "mail", "gopher://mail", "https://mail", "smtp://", "smtp://mail?tls=perhaps", "smtps://u:%ff@mail", "smtp://mail:99999"]
    {
        assert!(Smtp::new(url).is_err(), "{url}");
    }
}

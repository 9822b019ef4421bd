//! Tests with servers that cannot be reached, and with servers that are not the one of the bundle.

use std::net::TcpListener;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, SupportedProtocolVersion};
use serde_json::json;
use tokio::io::AsyncReadExt;
use tokio_rustls::TlsAcceptor;

use crate::credentials::root;
use crate::harness::{Ended, Hub, RunningAgent, agent, connection, copied, made, reconnect, run};

fn setup(state: &Path, folder: &Path, more: &[&str]) -> Ended {
    run(agent(state, &["setup", folder.to_str().unwrap()]).args(more))
}

#[test]
fn a_server_that_is_not_there_has_exit_code_5() {
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let bundle = made(nobody, &root());
    let folder = bundle.path().join("bundle");
    let place = tempfile::tempdir().unwrap();
    setup(place.path(), &folder, &["--wait", "1"])
        .check(5, &format!("localhost:{nobody} was not reached within 1 s: nobody listens there"));
    run(&mut agent(place.path(), &["status"])).check(3, "there are no credentials");

    // A server that accepts connections and sends nothing.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let copy = copied(&folder);
    reconnect(copy.path(), "port", json!(silent.local_addr().unwrap().port()));
    setup(place.path(), copy.path(), &["--wait", "1"]).check(5, "there was no answer");
    reconnect(copy.path(), "endpoint", json!("nowhere.invalid"));
    setup(place.path(), copy.path(), &["--wait", "1"]).check(5, "nowhere.invalid:");

    setup(place.path(), &folder, &["--offline"]).done();
    let mut command = agent(place.path(), &["run", "--wait", "1"]);
    run(command.env("RUST_LOG", "off")).check(5, &format!("localhost:{nobody} was not reached within 1 s"));
}

/// A man in the middle, whose certificate is for the name `localhost` and from another authority, and who accepts any client
/// certificate.
async fn check_impostor(version: &'static SupportedProtocolVersion) {
    let own = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let provider = Arc::new(aws_lc_rs::default_provider());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let place = made(listener.local_addr().unwrap().port(), &root());
    let folder = place.path().join("bundle");
    let mut believed = RootCertStore::empty();
    believed.add(CertificateDer::from_pem_file(folder.join("RootCA.pem")).unwrap()).unwrap();
    let verifier =
        WebPkiClientVerifier::builder_with_provider(believed.into(), Arc::clone(&provider)).allow_unauthenticated().build().unwrap();
    let key = PrivateKeyDer::from_pem_slice(own.signing_key.serialize_pem().as_bytes()).unwrap();
    let config = ServerConfig::builder_with_provider(provider).with_protocol_versions(&[version]).unwrap();
    let config = config.with_client_cert_verifier(verifier).with_single_cert(vec![own.cert.der().clone()], key).unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let impostor = tokio::spawn(async move {
        let (socket, _) = listener.accept().await.unwrap();
        match acceptor.accept(socket).await {
            Err(error) => error.to_string(),
            Ok(mut stream) => {
                let mut heard = Vec::new();
                let _ = stream.read_to_end(&mut heard).await;
                panic!("the impostor received {} bytes, and the certificates {:?}", heard.len(), stream.get_ref().1.peer_certificates());
            }
        }
    });
    let state = tempfile::tempdir().unwrap();
    let ended = tokio::task::spawn_blocking(move || setup(state.path(), &folder, &[])).await.unwrap();
    ended.check(5, "the server is not the one of this bundle");
    assert!(ended.complaint.contains("was sent nothing"), "{ended:?}");
    let alert = tokio::time::timeout(Duration::from_secs(20), impostor).await.unwrap().unwrap();
    assert!(alert.contains("alert"), "{alert}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_man_in_the_middle_receives_no_certificate_and_no_mqtt() {
    check_impostor(&rustls::version::TLS12).await;
    check_impostor(&rustls::version::TLS13).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_own_root_certificate_is_accepted_and_stored() {
    let hub = Hub::start().await;
    let folder = hub.folder("ana").await;
    let own = folder.with_file_name("own.pem");
    std::fs::rename(folder.join("RootCA.pem"), &own).unwrap();
    std::fs::write(folder.join("RootCA.pem"), root()).unwrap();
    let place = tempfile::tempdir().unwrap();
    setup(place.path(), &folder, &[]).check(5, "the server is not the one of this bundle");
    setup(place.path(), &folder, &["--ca", own.to_str().unwrap()]).done();
    assert!(RunningAgent::connected(place.path(), &[]).stop().success());
    assert_eq!(connection(&place.path().join("credentials-1"))["rootCas"], json!(["own-ca.pem", "RootCA.pem"]));
    hub.end().await;
}

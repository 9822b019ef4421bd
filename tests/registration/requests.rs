//! CSRs of every kind, created with OpenSSL (`tests/fixtures/requests/make`). `hub/tests/hub/register.rs` sends them to a hub.

use std::path::Path;

use serde_json::json;

use crate::Setup;

#[tokio::test(start_paused = true)]
async fn every_csr_that_aws_accepts_is_accepted_and_every_other_is_explained() {
    let setup = Setup::new("");
    let (mut accepted, mut refused) = (0, 0);
    for file in std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/requests")).unwrap() {
        let file = file.unwrap().path();
        let Some(name) = file.to_str().and_then(|name| name.strip_suffix(".pem")?.rsplit('/').next()) else { continue };
        let body = json!({"thingName": name, "version": "1", "csr": std::fs::read_to_string(&file).unwrap()});
        let answer = setup.registers(Some("DeviceToken token-1"), &body).await;
        let detail = answer.body["detail"].as_str().unwrap_or_default();
        if name.starts_with("refused-") {
            assert_eq!(answer.outcome(), "400 malformed csr", "{name}: {}", answer.body);
            assert!(detail.contains("it has to be RSA") && !detail.contains("its own key"), "{name}: {detail}");
            refused += 1;
        } else {
            assert_eq!(answer.outcome(), "200", "{name}: {}", answer.body);
            accepted += 1;
        }
    }
    assert!(accepted > 20 && refused > 10, "{accepted} {refused}");
}

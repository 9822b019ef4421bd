//! With the most verbose log level, a whole onboarding leaves no secret in the log.

use crate::harness::alexa::Slot;
use crate::harness::deployment::SECRET_KEY;
use crate::harness::device::Device;
use crate::harness::login::CLIENT_ID;
use crate::harness::ministack::Account;
use crate::stack::Stack;

#[tokio::test(flavor = "multi_thread")]
async fn a_log_of_everything_holds_no_secret() {
    let stack = Stack::with(&Account::deployed(), |deployment| deployment.logging_everything().set("LWA_CLIENT_ID", CLIENT_ID)).await;
    let ada = stack.function.welcomes("Ada Lovelace");
    let mut owner = stack.onboards(&ada, 0).await;
    Device::connect(&owner.identity).await;
    for request in [owner.echo.intent("PrintIntent", &[Slot::said("model", "vase")]), owner.echo.intent("StatusIntent", &[])] {
        stack.ask(&mut owner.echo, &request).await;
    }
    let raw = stack.ministack.smtp_server.mail(0).await.message;
    let raw = String::from_utf8_lossy(&raw).into_owned();
    let log = stack.function.lambda.stop().await;
    assert!(log.contains("\"DEBUG\""), "the log contains no DEBUG line:\n{log}");

    let mut secrets = vec![
        ada.token.clone(),
        ada.token.replace('|', "%7C"),
        "Atza".to_owned(),
        SECRET_KEY.to_owned(),
        "PRIVATE KEY".to_owned(),
        "BEGIN ".to_owned(),
    ];
    let address = ada.email.unwrap_or_default();
    secrets.push(address.replace('@', "%40"));
    secrets.push(address);
    for file in ["private.key.pem", "certificate.pem", "public.key.pem"] {
        let pem = std::fs::read_to_string(owner.bundle.join(file)).expect("a file of the bundle");
        secrets.extend(pem.lines().filter(|line| line.len() > 20).map(str::to_owned));
    }
    // The mail itself, as SMTP transports it, and as SES receives it.
    secrets.extend(raw.lines().filter(|line| line.len() > 40).map(str::to_owned));
    for secret in secrets {
        assert!(
            !log.contains(&secret),
            "{secret:?} is in:\n{}",
            log.lines().filter(|line| line.contains(&secret)).take(5).collect::<Vec<_>>().join("\n")
        );
    }
}

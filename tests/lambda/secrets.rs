//! The content of the log with the most verbose level when every call fails.

use crate::SHADOW;
use crate::harness::alexa::Echo;
use crate::harness::aws::Aws;
use crate::harness::deployment::SECRET_KEY;
use crate::harness::function::Function;
use crate::harness::login::{CLIENT_ID, Conduct};

#[tokio::test(flavor = "multi_thread")]
async fn a_log_of_everything_holds_no_secret_whatever_fails() {
    for aws in [Aws::out_of_order().await, Aws::with_shadow(SHADOW).await] {
        let function = Function::deployed(aws, |deployment| deployment.logging_everything().set("LWA_CLIENT_ID", CLIENT_ID)).await;
        let mut users = Vec::new();
        for (name, conduct) in [
            ("Ada", None),
            ("Expired", Some(Conduct::InvalidToken)),
            ("Narrow", Some(Conduct::InsufficientScope)),
            ("Stumbled", Some(Conduct::Fails(500, "ServerError"))),
            ("Html", Some(Conduct::Html(200))),
            ("Half", Some(Conduct::HalfJson)),
        ] {
            let user = function.welcomes(name);
            if let Some(conduct) = conduct {
                function.login.treats(&user.token, conduct);
            }
            let mut echo = Echo::linked(&user.token);
            for request in [echo.launch(), echo.intent("StatusIntent", &[]), echo.account_linked()] {
                function.lambda.answer_to(&request).await;
            }
            users.push(user);
        }
        // A request of another skill is not quoted either.
        let mut stranger = Echo::linked(&users[0].token);
        stranger.skill_id = "amzn1.ask.skill.stranger".to_owned();
        function.lambda.invoke(&stranger.launch()).await;
        function.lambda.invoke_raw(format!("{{\"token\": \"{}\"", users[0].token)).await;

        let log = function.lambda.stop().await;
        assert!(log.contains("\"WARN\""), "the log contains no WARN line:\n{log}");
        assert!(!log.contains(SECRET_KEY));
        assert!(!log.contains("Atza"), "{}", lines_with(&log, "Atza"));
        for user in &users {
            for secret in [user.token.as_str(), user.email.as_deref().unwrap_or("-")] {
                assert!(!log.contains(secret), "{}", lines_with(&log, secret));
            }
        }
    }
}

fn lines_with(log: &str, secret: &str) -> String {
    log.lines().filter(|line| line.contains(secret)).take(5).collect::<Vec<_>>().join("\n")
}

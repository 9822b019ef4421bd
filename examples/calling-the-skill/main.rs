//! Calls the skill from a program of your own: opens a hub in a folder, sends requests of Alexa to the skill, and prints the responses.
//!
//! ```text
//! cargo run -p onething-hub --example calling-the-skill
//! ```
//!
//! A program that receives its requests from Alexa verifies their signature first (`onething_hub::signature`); Lambda has done so
//! for a function. Here the requests are made by the program itself.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use onething::config::Environment;
use onething::lambda::invoke;
use onething_hub::serve::Running;
use onething_hub::settings::{Asked, Settings};
use onething_hub::sign_in::UserName;
use serde_json::{Value, json};

/// Lambda gives an answer to Alexa eight seconds.
const TIME: Duration = Duration::from_secs(8);

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let mut asked = Asked::over(folder.path());
    asked.mqtt.set_port(0);
    let running = Running::start(Settings::read(asked, &Environment)?).await?;
    let hub = &running.hub;
    let skill_id = hub.skill.skill_ids[0].clone();

    // Without an access token the skill asks the owner to link an account.
    let response = invoke(Arc::clone(&hub.skill), request(&skill_id, None, "LaunchRequest", None), TIME).await?;
    print(&response);
    assert_eq!(response["response"]["card"]["type"], "LinkAccount");

    // The token of a linked account: the thing is created, and its certificate is mailed.
    let token = hub.users.link(&UserName::parse("Ana")?).await?;
    let token = Some(token.secret());
    print(&invoke(Arc::clone(&hub.skill), request(&skill_id, token, "LaunchRequest", None), TIME).await?);

    // An intent of the sample model: the command goes into the shadow of Ana's thing.
    let slots = json!({"model": {"name": "model", "value": "vase"}});
    let intent = json!({"name": "PrintIntent", "confirmationStatus": "NONE", "slots": slots});
    print(&invoke(Arc::clone(&hub.skill), request(&skill_id, token, "IntentRequest", Some(&intent)), TIME).await?);
    for thing in hub.registry.things().await? {
        println!("the thing of Ana: {}", thing.name);
    }
    running.end().await;
    Ok(())
}

/// A request as Alexa sends it, without the parts that the skill does not read.
fn request(skill_id: &str, token: Option<&str>, kind: &str, intent: Option<&Value>) -> Value {
    let (application, user) = (json!({"applicationId": skill_id}), json!({"userId": "amzn1.ask.account.ana", "accessToken": token}));
    json!({
        "version": "1.0",
        "session": {"new": true, "sessionId": "session-1", "application": application, "user": user},
        "context": {"System": {"application": application, "user": user}},
        "request": {
            "type": kind, "requestId": "request-1", "locale": "en-US", "timestamp": "2026-12-01T12:00:00Z", "intent": intent,
        },
    })
}

fn print(response: &Value) {
    let speech = &response["response"]["outputSpeech"];
    println!("Alexa: {}", speech["text"].as_str().or(speech["ssml"].as_str()).unwrap_or("(no speech)"));
}

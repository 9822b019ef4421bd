//! The Lambda function: configuration, clients, and one request after the other.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use lambda_runtime::{Diagnostic, LambdaEvent, service_fn};
use onething::answer::{ANSWER_WITHIN, Skill, answer, apology};
use onething::aws::{Aws, IotRegistry, IotShadows, Ses};
use onething::config::{Config, ConfigError, Environment, Source};
use onething::deliver::{Letter, MailError, Mailer};
use onething::https::Https;
use onething::log;
use onething::login::LoginWithAmazon;
use onething::memory::Memory;
use onething::smtp::Smtp;
use serde_json::Value;
use tokio::time::Instant;

/// What the way back to Alexa takes of Lambda's own deadline.
const WAY_BACK: Duration = Duration::from_millis(500);

type OurSkill = Skill<LoginWithAmazon, IotRegistry, IotShadows, Post>;

/// How mail goes out.
enum Post {
    Ses(Ses),
    Smtp(Smtp),
}

impl Mailer for Post {
    async fn send(&self, letter: Letter) -> Result<(), MailError> {
        match self {
            Post::Ses(ses) => ses.send(letter).await,
            Post::Smtp(smtp) => smtp.send(letter).await,
        }
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    let json = Environment.variable("AWS_LAMBDA_LOG_FORMAT").is_some_and(|format| format.eq_ignore_ascii_case("json"));
    let level = Environment.variable("AWS_LAMBDA_LOG_LEVEL").or_else(|| Environment.variable("RUST_LOG"));
    log::start(json, level.as_deref());
    let skill = match skill() {
        Ok(skill) => Arc::new(skill),
        Err(error) => {
            tracing::error!(step = "request", fault = "maker", cause = "configuration", "{error}");
            return Err(error.into());
        }
    };
    lambda_runtime::run(service_fn(move |event| handle(Arc::clone(&skill), event))).await
}

fn skill() -> Result<OurSkill, ConfigError> {
    let config = Config::read(&Environment)?;
    let https = Https::default();
    let aws = Aws::new(&config, &https);
    // The first handshakes begin here, beside the wait for the first event, and not with the first call.
    for host in [Some(&config.login_endpoint), config.endpoints.shadows.as_ref()].into_iter().flatten() {
        let (https, host) = (https.clone(), host.clone());
        tokio::spawn(async move { https.connect_early(&host).await });
    }
    let mailer = config.smtp.map_or(Post::Ses(aws.ses), Post::Smtp);
    Ok(Skill {
        login: LoginWithAmazon::new(https.clone(), &config.login_endpoint),
        skill_ids: config.skill_ids,
        client_id: config.client_id,
        lease: config.lease,
        model: config.model,
        broker: config.broker,
        sender: config.sender,
        registry: aws.registry,
        shadows: aws.shadows,
        mailer,
        https,
        now,
        memory: Memory::default(),
    })
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

/// One event. It fails only when it is not for this skill; a panic is an apology and a log line.
async fn handle(skill: Arc<OurSkill>, event: LambdaEvent<Value>) -> Result<Value, Diagnostic> {
    let left = event.context.deadline().duration_since(SystemTime::now()).unwrap_or_default().saturating_sub(WAY_BACK);
    // An event that has just arrived and has no time left comes from a clock that is off.
    let left = if left.is_zero() { ANSWER_WITHIN } else { left.min(ANSWER_WITHIN) };
    let answer_by = Instant::now() + left;
    let envelope = Arc::new(event.payload);
    let turn = tokio::spawn({
        let (skill, envelope) = (Arc::clone(&skill), Arc::clone(&envelope));
        async move { answer(&skill, &envelope, answer_by).await }
    });
    match turn.await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(not_ours)) => {
            tracing::warn!(step = "request", cause = "skill_id", "{not_ours}");
            Err(Diagnostic { error_type: "NotOurs".into(), error_message: not_ours.to_string() })
        }
        Err(_) => {
            tracing::error!(step = "request", fault = "maker", cause = "panic", "the skill broke down on a request");
            Ok(apology(&skill.model, &envelope))
        }
    }
}

//! The Lambda function: configuration, clients, and one request after the other.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use lambda_runtime::{Diagnostic, LambdaEvent, service_fn};
use onething::answer::Skill;
use onething::aws::{Aws, IotRegistry, IotShadows, Ses};
use onething::config::{Config, ConfigError, Environment, Source};
use onething::deliver::{Letter, MailError, Mailer};
use onething::https::Https;
use onething::invocation::invoke;
use onething::log;
use onething::login::LoginWithAmazon;
use onething::memory::Memory;
use onething::metrics;
use onething::register::claims::{Claim, Claims, ClaimsError};
use onething::registry::A_DAY;
use onething::smtp::Smtp;
use onething::thing::Fingerprint;
use serde_json::Value;

type OurSkill = Skill<LoginWithAmazon, IotRegistry, IotShadows, Post, NoClaims>;

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

/// This function has no door, so no codes either.
enum NoClaims {}

impl Claims for NoClaims {
    async fn keep(&self, _: &str, _: &Claim, _: u64) -> Result<bool, ClaimsError> {
        match *self {}
    }

    async fn attempt(&self, _: &str, _: u64) -> Result<Option<Claim>, ClaimsError> {
        match *self {}
    }

    async fn redeem(&self, _: &str, _: &Fingerprint, _: u64) -> Result<bool, ClaimsError> {
        match *self {}
    }

    async fn count(&self, _: &str, _: u64, _: u64) -> Result<u64, ClaimsError> {
        match *self {}
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
    let aws = Aws::new(&config, &https, |name| Environment.variable(name));
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
        retention: config.retention_days * A_DAY,
        model: config.model,
        broker: config.broker,
        sender: config.sender,
        registry: aws.registry,
        shadows: aws.shadows,
        mailer,
        claims: None,
        https,
        now,
        memory: Memory::default(),
        measure: metrics::embedded,
    })
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

async fn handle(skill: Arc<OurSkill>, event: LambdaEvent<Value>) -> Result<Value, Diagnostic> {
    let left = event.context.deadline().duration_since(SystemTime::now()).unwrap_or_default();
    let done = invoke(skill, event.payload, left).await;
    done.map_err(|failure| Diagnostic { error_type: failure.name().into(), error_message: failure.to_string() })
}

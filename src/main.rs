//! The Lambda function: reads the configuration, creates the clients and handles one event after the other.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use lambda_runtime::{Diagnostic, LambdaEvent, service_fn};
use onething::aws::{Aws, DynamoClaims, Hooks, IotRegistry, IotShadows, Ses, StoredPolicy, credentials};
use onething::config::{Config, ConfigError, Environment, Source};
use onething::https::Https;
use onething::lambda::{invoke, registration_request};
use onething::log;
use onething::login::EmailAddress;
use onething::login::amazon::LoginWithAmazon;
use onething::mail::smtp::Smtp;
use onething::mail::{Letter, MailError, Mailer};
use onething::metrics;
use onething::registration::{self, Endpoint, Limits, LogAudit, OwnerThings, RegistrationPolicy};
use onething::registry::{A_DAY, Kind};
use onething::skill::cache::OwnerCache;
use onething::skill::{self, Skill};
use serde_json::Value;

/// The implementations for AWS.
struct AwsPorts;

impl skill::Ports for AwsPorts {
    type Login = LoginWithAmazon;
    type Registry = IotRegistry;
    type Shadows = IotShadows;
    type Mailer = MailService;
    type Claims = DynamoClaims;
}

impl registration::Ports for AwsPorts {
    type Login = LoginWithAmazon;
    type Registry = IotRegistry;
    type Claims = DynamoClaims;
    type Hook = Hooks;
    type Audit = LogAudit;
}

/// The role of this function, by its configuration.
enum Function {
    /// The function that handles Alexa requests. With other permissions, the same role also runs the sweep and handles mail
    /// notifications.
    Skill(Arc<Skill<AwsPorts>>),
    /// The registration endpoint.
    Endpoint(Arc<Endpoint<AwsPorts>>, Box<StoredPolicy>),
}

/// The mail service: SES, or an SMTP server if `SMTP_URL` is set.
enum MailService {
    Ses(Ses),
    Smtp(Smtp),
}

impl Mailer for MailService {
    async fn send(&self, letter: Letter) -> Result<(), MailError> {
        match self {
            MailService::Ses(ses) => ses.send(letter).await,
            MailService::Smtp(smtp) => smtp.send(letter).await,
        }
    }

    fn takes(&self, to: &EmailAddress) -> bool {
        match self {
            MailService::Ses(ses) => ses.takes(to),
            MailService::Smtp(smtp) => smtp.takes(to),
        }
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    if let [_, flag, file] = &std::env::args().collect::<Vec<_>>()[..]
        && flag == "--judge-terms"
    {
        // `infra/deploy` calls this before it uploads a `register.toml` for the endpoint. The output lists the AWS resources that
        // the file requires.
        return check_policy_file(file);
    }
    let json = Environment.variable("AWS_LAMBDA_LOG_FORMAT").is_some_and(|format| format.eq_ignore_ascii_case("json"));
    let level = Environment.variable("AWS_LAMBDA_LOG_LEVEL").or_else(|| Environment.variable("RUST_LOG"));
    log::start(json, level.as_deref());
    let function = match function() {
        Ok(function) => Arc::new(function),
        Err(error) => {
            tracing::error!(step = "request", fault = "maker", cause = "configuration", "{error}");
            return Err(error.into());
        }
    };
    lambda_runtime::run(service_fn(move |event| handle(Arc::clone(&function), event))).await
}

fn check_policy_file(file: &str) -> Result<(), lambda_runtime::Error> {
    match RegistrationPolicy::parse(&std::fs::read_to_string(file)?) {
        Ok(policy) => {
            for thing_type in policy.types.values() {
                println!("type {}\nprefix {}", thing_type.kind.thing_type, thing_type.prefix.as_str());
                thing_type.kind.policies.iter().for_each(|policy| println!("policy {policy}"));
            }
            Ok(())
        }
        Err(faults) => {
            eprintln!("{faults}");
            std::process::exit(1)
        }
    }
}

fn function() -> Result<Function, ConfigError> {
    let mut config = Config::read(&Environment)?;
    if let Some(name) = &config.metric_namespace {
        metrics::name_space(name);
    }
    let https = Https::default();
    let mut aws = Aws::new(&config, &https, credentials(&https));
    if let Some(policy) = config.endpoint.take()
        && let Some(claims) = aws.claims.take()
    {
        let policy = StoredPolicy::new(policy, aws.parameters.clone());
        return Ok(Function::Endpoint(Arc::new(endpoint(config, aws, claims, https)), Box::new(policy)));
    }
    // Start the TLS handshakes while the runtime waits for the first event, and not with the first request.
    for host in [Some(&config.login_endpoint), config.endpoints.shadows.as_ref()].into_iter().flatten() {
        let (https, host) = (https.clone(), host.clone());
        tokio::spawn(async move { https.preconnect(&host).await });
    }
    let mailer = config.smtp.map_or(MailService::Ses(aws.ses), MailService::Smtp);
    Ok(Function::Skill(Arc::new(Skill {
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
        claims: aws.claims,
        https,
        now,
        owner_cache: OwnerCache::default(),
        measure: metrics::embedded,
    })))
}

fn endpoint(config: Config, aws: Aws, claims: DynamoClaims, https: Https) -> Endpoint<AwsPorts> {
    let kind = Kind { thing_type: config.model.thing_type, policies: vec![config.policy] };
    Endpoint {
        login: LoginWithAmazon::new(https, &config.login_endpoint),
        client_id: config.client_id,
        registry: aws.registry,
        claims,
        hook: aws.hooks,
        audit: LogAudit,
        own: OwnerThings { kind, prefix: config.model.thing_prefix },
        broker: config.broker,
        limits: Limits::default(),
        lease: config.lease,
        now,
        measure: metrics::embedded,
    }
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

async fn handle(function: Arc<Function>, event: LambdaEvent<Value>) -> Result<Value, Diagnostic> {
    let left = || event.context.deadline().duration_since(SystemTime::now()).unwrap_or_default();
    let done = match &*function {
        Function::Skill(skill) => {
            let left = left();
            invoke(Arc::clone(skill), event.payload, left).await
        }
        Function::Endpoint(endpoint, policy) => {
            let policy = policy.at(now()).await;
            registration_request(Arc::clone(endpoint), policy, &event.payload, left()).await
        }
    };
    done.map_err(|failure| Diagnostic { error_type: failure.name().into(), error_message: failure.to_string() })
}

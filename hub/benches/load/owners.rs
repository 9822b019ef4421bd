//! Prepared owners, each with a thing and a certificate, which are written into the data folder before the hub starts.
//!
//! The keys are on the curve P-256, because the generation of thousands of RSA keys would take many minutes.

use std::path::Path;
use std::sync::Arc;

use futures_util::{StreamExt, TryStreamExt, stream};
use onething::device_model::Model;
use onething::identifiers::{OwnerId, ThingName};
use onething::registry::{Record, Registry};
use onething::shadow::Patch;
use onething_hub::authority::Authority;
use onething_hub::clock;
use onething_hub::policy;
use onething_hub::policy::DEVICE_POLICY;
use onething_hub::registry::{LocalRegistry, Stack};
use onething_hub::shadow::{LocalShadows, Operation, ShadowKey};
use onething_hub::sign_in::{LocalLogin, UserName};
use onething_hub::storage::store::Store;
use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair};
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use serde_json::json;

use crate::Outcome;

/// The number of owners that are created concurrently. They share a commit.
const AT_A_TIME: usize = 256;
/// A policy for messages between devices, which the device policy does not allow.
const ANYTHING: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"iot:*","Resource":"*"}]}"#;

/// The identity of a device.
pub(crate) struct Identity {
    pub(crate) thing: String,
    pub(crate) certificate: CertificateDer<'static>,
    pub(crate) key: Vec<u8>,
}

/// All clients of the benchmark.
pub(crate) struct Population {
    /// The devices of the owners `u0`, `u1` and so on.
    pub(crate) devices: Vec<Identity>,
    /// Devices that connect all at once.
    pub(crate) storm: Vec<Identity>,
    /// Clients that publish to each other.
    pub(crate) ring: Vec<Identity>,
    /// The root certificate of the hub.
    pub(crate) root: CertificateDer<'static>,
    pub(crate) root_pem: String,
}

impl Population {
    /// The trusted root certificates of a client of the hub.
    pub(crate) fn roots(&self) -> Outcome<Arc<RootCertStore>> {
        let mut roots = RootCertStore::empty();
        roots.add(self.root.clone())?;
        Ok(Arc::new(roots))
    }
}

/// The name of an owner.
pub(crate) fn user(number: usize) -> String {
    format!("u{number}")
}

/// Creates the given numbers of devices, of clients of the connection storm, and of clients of the ring.
pub(crate) async fn prepare(data: &Path, devices: usize, storm: usize, ring: usize) -> Outcome<Population> {
    let store = Store::open(&data.join("hub.db"))?;
    let authority = Arc::new(Authority::open(&data.join("authority"), clock::now())?);
    let model = Model::parse(Model::SAMPLE)?;
    let registry = |policy: &str| {
        let stack = Stack {
            kind: onething::registry::Kind { thing_type: model.thing_type.clone(), policies: vec![policy.to_owned()] },
            thing_prefix: model.thing_prefix.clone(),
        };
        LocalRegistry::new(store.clone(), Arc::clone(&authority), stack, clock::now)
    };
    let (skills, rings) = (registry(DEVICE_POLICY), registry("Ring"));
    skills.create_thing_type(&model.thing_type).await?;
    skills.create_policy(DEVICE_POLICY, policy::DEVICE_DOCUMENT).await?;
    rings.create_policy("Ring", ANYTHING).await?;
    let (shadows, users) = (LocalShadows::new(store.clone(), clock::now), LocalLogin::new(store));

    let make = async |registry: &LocalRegistry, name: String| {
        let owner = OwnerId::parse(&format!("amzn1.account.{}", name.to_ascii_uppercase())).ok_or("no owner")?;
        let thing = ThingName::of(&model.thing_prefix, &owner);
        let key = KeyPair::generate()?;
        let mut request = CertificateParams::default();
        request.distinguished_name = DistinguishedName::new();
        request.distinguished_name.push(DnType::CommonName, thing.as_str());
        let issued = authority.issue_for(&request.serialize_request(&key)?.pem()?, clock::now())?;
        registry.register(&issued.id, &thing).await?;
        let record = Record { certificate: Some(issued.id.clone()), delivered: Some(clock::now()), ..Record::default() };
        registry.claim(&thing, &owner, &record).await?;
        registry.attach_policy(&issued.id).await?;
        registry.attach_thing(&issued.id, &thing).await?;
        registry.activate(&issued.id).await?;
        let certificate = CertificateDer::from_pem_slice(issued.pem.as_bytes())?;
        Ok::<_, crate::Fault>((thing, issued.id, Identity { thing: String::new(), certificate, key: key.serialize_der() }))
    };
    let owner = async |number: usize| {
        let name = user(number);
        let (thing, certificate, identity) = make(&skills, name.clone()).await?;
        users.link(&UserName::parse(&name)?).await?;
        // The device has reported before, so the skill does not check whether it is connected.
        let mut state = Patch::ready(clock::now(), Some(&certificate), None).document().clone();
        state["state"]["reported"]["status"] = json!("idle");
        shadows.ask(ShadowKey::from(&thing), Operation::Update, state.to_string().into_bytes()).await?;
        Ok::<_, crate::Fault>(Identity { thing: thing.as_str().to_owned(), ..identity })
    };
    let other = async |name: String| {
        let (thing, _, identity) = make(&rings, name).await?;
        Ok::<_, crate::Fault>(Identity { thing: thing.as_str().to_owned(), ..identity })
    };
    let devices = stream::iter(0..devices).map(owner).buffered(AT_A_TIME).try_collect().await?;
    let storm = stream::iter(0..storm).map(|number| other(format!("storm{number}"))).buffered(AT_A_TIME).try_collect().await?;
    let ring = stream::iter(0..ring).map(|number| other(format!("ring{number}"))).buffered(AT_A_TIME).try_collect().await?;
    let root_pem = authority.root_pem();
    Ok(Population { devices, storm, ring, root: CertificateDer::from_pem_slice(root_pem.as_bytes())?, root_pem })
}

//! The clauses of [`Registry`] about certificates and what they are attached to. The rules are those of AWS IoT's control plane
//! (<https://docs.aws.amazon.com/iot/latest/apireference/API_Operations_AWS_IoT.html>); each clause names its operation.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Cursor, Read};

use onething::certificate::Certificate;
use onething::identifiers::{CertificateId, ThingName};
use onething::mail::bundle::{self, Broker};
use onething::registry::signing_request::{CertificateRequest, SigningRequest};
use onething::registry::{Described, Registered, Registry, RegistryError};
use rustls::crypto::aws_lc_rs::sign::any_supported_type;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, SubjectPublicKeyInfoDer};
use rustls::server::ParsedCertificate;

use super::registry::{held, is_refused, pages, settler};
use super::{Account, Broken, Kept, NewUser, Verdict, holds, judge, refuses, same};

pub async fn judge<A: Account>(fresh: impl AsyncFn() -> A) -> Vec<Verdict> {
    judge![fresh;
        a_new_certificate_is_inactive_and_not_attached,
        a_certificate_names_the_thing_it_was_made_for,
        the_id_of_a_certificate_is_its_hash,
        a_certificate_fits_its_key_pair,
        a_device_gets_certificates_for_its_own_key,
        two_certificates_share_no_key,
        attaching_can_be_repeated,
        detaching_can_be_repeated,
        a_certificate_is_attached_to_one_thing_only,
        detaching_from_another_thing_changes_nothing,
        a_missing_certificate_or_thing_is_refused,
        a_certificate_is_activated_and_deactivated,
        an_active_certificate_is_not_deleted,
        an_attached_certificate_is_not_deleted,
        a_certificate_with_a_policy_is_deleted,
        a_detached_certificate_is_deleted,
        undoing_succeeds_for_a_deleted_certificate,
        attached_lists_the_certificates_of_a_thing,
        attached_lists_nothing_of_other_things,
        a_list_of_certificates_has_their_dates,
        a_list_of_certificates_has_their_status,
        a_list_of_certificates_begins_with_the_newest,
    ]
}

async fn create_certificate(account: &impl Account, thing: &ThingName) -> Result<CertificateId, Broken> {
    Ok(account.registry().create_certificate(thing).await?.id)
}

async fn described(account: &impl Account, id: &CertificateId) -> Result<Described, Broken> {
    account.registry().describe(id).await?.ok_or_else(|| Broken::here("the certificate is gone"))
}

/// A thing with an attached, ACTIVE certificate that a device can connect with.
pub(super) async fn served(account: &impl Account) -> Result<(ThingName, CertificateId), Broken> {
    let thing = settler(account, &held("one")).await?;
    let id = create_certificate(account, &thing).await?;
    account.registry().attach_policy(&id).await?;
    account.registry().attach_thing(&id, &thing).await?;
    account.registry().activate(&id).await?;
    Ok((thing, id))
}

async fn all_certificates(account: &impl Account) -> Result<Vec<Registered>, Broken> {
    let registry = account.registry();
    pages(async |page| registry.certificates(page.as_deref()).await).await
}

async fn registered(account: &impl Account, id: &CertificateId) -> Result<Registered, Broken> {
    let mut found = all_certificates(account).await?;
    found.retain(|registered| registered.id == *id);
    same(found.len(), 1, "entries of the certificate in the list")?;
    Ok(found.remove(0))
}

/// CreateCertificateFromCsr with `setAsActive` false.
async fn a_new_certificate_is_inactive_and_not_attached(account: &impl Account) -> Kept {
    let thing = settler(account, &held("one")).await?;
    let id = create_certificate(account, &thing).await?;
    holds(described(account, &id).await?.inactive, "a new certificate is INACTIVE")?;
    same(account.registry().is_attached(&id).await?, false, "attached to something")?;
    same(account.registry().attached(&thing).await?, [], "what is attached to its thing")
}

/// CreateCertificateFromCsr: the subject is that of the request.
async fn a_certificate_names_the_thing_it_was_made_for(account: &impl Account) -> Kept {
    let NewUser { thing, .. } = account.new_user();
    let id = create_certificate(account, &thing).await?;
    let described = described(account, &id).await?;
    same((described.ours, described.made_for), (true, Some(thing)), "whether it is ours, and its thing")
}

/// The credentials of a device.
struct Held {
    certificate: CertificateDer<'static>,
    private_key: PrivateKeyDer<'static>,
    public_key: SubjectPublicKeyInfoDer<'static>,
}

/// Reads the credentials from a bundle, because the library returns the private key only in a bundle.
fn unpack(thing: &ThingName, certificate: &Certificate) -> Result<Held, Broken> {
    let bundle = bundle::zip(thing, certificate, &Broker::aws("localhost", 8883), 1_795_305_600, "", "")?;
    let mut zip = zip::ZipArchive::new(Cursor::new(bundle))?;
    let mut file = |name: &str| -> Result<Vec<u8>, Broken> {
        let mut content = Vec::new();
        zip.by_name(name)?.read_to_end(&mut content)?;
        Ok(content)
    };
    Ok(Held {
        certificate: CertificateDer::from_pem_slice(&file("certificate.pem")?)?,
        private_key: PrivateKeyDer::from_pem_slice(&file("private.key.pem")?)?,
        public_key: SubjectPublicKeyInfoDer::from_pem_slice(&file("public.key.pem")?)?,
    })
}

/// The id of a certificate is the SHA-256 of its DER form, so that a broker can compute the id from the certificate.
async fn the_id_of_a_certificate_is_its_hash(account: &impl Account) -> Kept {
    let NewUser { thing, .. } = account.new_user();
    let created = account.registry().create_certificate(&thing).await?;
    same(CertificateId::of(&unpack(&thing, &created)?.certificate), created.id, "the hash")
}

/// CreateCertificateFromCsr: "the CSR must include a public key"; the certificate is for that key.
async fn a_certificate_fits_its_key_pair(account: &impl Account) -> Kept {
    let NewUser { thing, .. } = account.new_user();
    let Held { certificate, private_key, public_key } = unpack(&thing, &account.registry().create_certificate(&thing).await?)?;
    let private_key = any_supported_type(&private_key)?;
    same(private_key.public_key(), Some(public_key), "the public half of the private key")?;
    Ok(rustls::sign::CertifiedKey::new(vec![certificate], private_key).keys_match()?)
}

/// CreateCertificateFromCsr: "reusing the same certificate signing request (CSR) results in a distinct certificate".
async fn a_device_gets_certificates_for_its_own_key(account: &impl Account) -> Kept {
    let NewUser { thing, .. } = account.new_user();
    let own = SigningRequest::new(&thing)?;
    let request = CertificateRequest::parse(&own.pem)?;
    let (one, two) = (account.registry().certify(&thing, &request).await?, account.registry().certify(&thing, &request).await?);
    holds(one.id != two.id, "two certificates have two ids")?;
    for issued in [one, two] {
        let certificate = CertificateDer::from_pem_slice(issued.pem.as_bytes())?;
        same(CertificateId::of(&certificate), issued.id.clone(), "the hash")?;
        let certified = ParsedCertificate::try_from(&certificate)?.subject_public_key_info();
        same(certified, SubjectPublicKeyInfoDer::from_pem_slice(own.public_key.as_bytes())?, "the key in it")?;
        holds(described(account, &issued.id).await?.inactive, "a new certificate is INACTIVE")?;
    }
    Ok(())
}

async fn two_certificates_share_no_key(account: &impl Account) -> Kept {
    let NewUser { thing, .. } = account.new_user();
    let (one, two) = (account.registry().create_certificate(&thing).await?, account.registry().create_certificate(&thing).await?);
    holds(one.id != two.id, "two certificates have two ids")?;
    holds(unpack(&thing, &one)?.public_key != unpack(&thing, &two)?.public_key, "two certificates have two keys")
}

/// AttachPolicy and AttachThingPrincipal succeed if the policy or thing is already attached.
async fn attaching_can_be_repeated(account: &impl Account) -> Kept {
    let (thing, id) = served(account).await?;
    account.registry().attach_policy(&id).await?;
    account.registry().attach_thing(&id, &thing).await?;
    same(account.registry().attached(&thing).await?, [id], "what is attached")
}

/// DetachPolicy and DetachThingPrincipal succeed if the policy or thing is not attached.
async fn detaching_can_be_repeated(account: &impl Account) -> Kept {
    let (thing, id) = served(account).await?;
    for _again in 0..2 {
        account.registry().detach_policy(&id).await?;
        account.registry().detach_thing(&id, &thing).await?;
    }
    same(account.registry().attached(&thing).await?, [], "what is attached")
}

/// AttachThingPrincipal with EXCLUSIVE_THING: "the thing will be the only thing that's attached to the principal".
async fn a_certificate_is_attached_to_one_thing_only(account: &impl Account) -> Kept {
    let (thing, id) = served(account).await?;
    let other = settler(account, &held("two")).await?;
    refuses(&account.registry().attach_thing(&id, &other).await, is_refused, "attached to another thing")?;
    same(account.registry().attached(&other).await?, [], "what is attached to the other thing")?;
    account.registry().detach_thing(&id, &thing).await?;
    account.waits().await;
    account.registry().attach_thing(&id, &other).await?;
    same(account.registry().attached(&other).await?, [id], "what is attached after the detachment from the first thing")
}

async fn detaching_from_another_thing_changes_nothing(account: &impl Account) -> Kept {
    let (thing, id) = served(account).await?;
    let other = settler(account, &held("two")).await?;
    account.registry().detach_thing(&id, &other).await?;
    same(account.registry().attached(&thing).await?, [id], "what is attached")
}

/// AttachThingPrincipal, AttachPolicy, UpdateCertificate: ResourceNotFoundException.
async fn a_missing_certificate_or_thing_is_refused(account: &impl Account) -> Kept {
    let (registry, NewUser { owner, thing }) = (account.registry(), account.new_user());
    let (id, never) = (create_certificate(account, &thing).await?, CertificateId::of(b"never made"));
    refuses(&registry.attach_thing(&id, &thing).await, is_refused, "attached to no thing")?;
    registry.claim(&thing, &owner, &held("one")).await?;
    refuses(&registry.attach_thing(&never, &thing).await, is_refused, "no certificate, attached to a thing")?;
    refuses(&registry.attach_policy(&never).await, RegistryError::is_definite, "no certificate, with a policy")?;
    refuses(&registry.activate(&never).await, is_refused, "no certificate, activated")
}

/// UpdateCertificate.
async fn a_certificate_is_activated_and_deactivated(account: &impl Account) -> Kept {
    let NewUser { thing, .. } = account.new_user();
    let id = create_certificate(account, &thing).await?;
    for _again in 0..2 {
        account.registry().activate(&id).await?;
        let found = described(account, &id).await?;
        same((found.active, found.inactive), (true, false), "whether an activated certificate is ACTIVE, and INACTIVE")?;
    }
    for _again in 0..2 {
        account.registry().deactivate(&id).await?;
        let found = described(account, &id).await?;
        same((found.active, found.inactive), (false, true), "whether a deactivated certificate is ACTIVE, and INACTIVE")?;
    }
    Ok(())
}

/// DeleteCertificate: CertificateStateException.
async fn an_active_certificate_is_not_deleted(account: &impl Account) -> Kept {
    let NewUser { thing, .. } = account.new_user();
    let id = create_certificate(account, &thing).await?;
    account.registry().activate(&id).await?;
    refuses(&account.registry().delete(&id).await, is_refused, "an ACTIVE certificate, deleted")?;
    holds(!described(account, &id).await?.inactive, "it is ACTIVE still")
}

/// DeleteCertificate: DeleteConflictException, also with `forceDelete`.
async fn an_attached_certificate_is_not_deleted(account: &impl Account) -> Kept {
    let (thing, id) = served(account).await?;
    account.registry().deactivate(&id).await?;
    account.registry().detach_policy(&id).await?;
    refuses(&account.registry().delete(&id).await, is_refused, "an attached certificate, deleted")?;
    same(account.registry().attached(&thing).await?, [id], "what is attached still")
}

/// DeleteCertificate with `forceDelete`: "forces the deletion of a certificate if it is inactive and is not
/// attached to an IoT thing".
async fn a_certificate_with_a_policy_is_deleted(account: &impl Account) -> Kept {
    let NewUser { thing, .. } = account.new_user();
    let id = create_certificate(account, &thing).await?;
    account.registry().attach_policy(&id).await?;
    account.registry().deactivate(&id).await?;
    account.registry().delete(&id).await?;
    same(account.registry().describe(&id).await?, None, "what is known about it")
}

/// DeleteCertificate, after the detachment has propagated: "it might take several seconds".
async fn a_detached_certificate_is_deleted(account: &impl Account) -> Kept {
    let (thing, id) = served(account).await?;
    account.registry().deactivate(&id).await?;
    account.registry().detach_policy(&id).await?;
    account.registry().detach_thing(&id, &thing).await?;
    account.waits().await;
    account.registry().delete(&id).await?;
    same(account.registry().describe(&id).await?, None, "what is known about it")?;
    same(account.registry().is_attached(&id).await?, false, "attached to something")?;
    holds(all_certificates(account).await?.iter().all(|registered| registered.id != id), "it is not in the list")
}

/// A retry after a call that succeeded without a response finds the resource gone.
async fn undoing_succeeds_for_a_deleted_certificate(account: &impl Account) -> Kept {
    let thing = settler(account, &held("one")).await?;
    let gone = create_certificate(account, &thing).await?;
    account.registry().deactivate(&gone).await?;
    account.registry().delete(&gone).await?;
    for gone in [gone, CertificateId::of(b"never made")] {
        account.registry().deactivate(&gone).await?;
        account.registry().detach_policy(&gone).await?;
        account.registry().detach_thing(&gone, &thing).await?;
        account.registry().detach_thing(&gone, &account.new_user().thing).await?;
        account.registry().delete(&gone).await?;
        same(account.registry().describe(&gone).await?, None, "what is known about it")?;
        same(account.registry().is_attached(&gone).await?, false, "attached to something")?;
    }
    Ok(())
}

/// ListThingPrincipals and ListPrincipalThings; a name without a thing has no certificates.
async fn attached_lists_the_certificates_of_a_thing(account: &impl Account) -> Kept {
    let (thing, first) = served(account).await?;
    let (second, spare) = (create_certificate(account, &thing).await?, create_certificate(account, &thing).await?);
    account.registry().attach_thing(&second, &thing).await?;
    let attached: BTreeSet<_> = account.registry().attached(&thing).await?.into_iter().collect();
    same(attached, BTreeSet::from([first.clone(), second.clone()]), "what is attached")?;
    for (id, expected) in [(first, true), (second, true), (spare, false)] {
        same(account.registry().is_attached(&id).await?, expected, "attached to something")?;
    }
    Ok(())
}

async fn attached_lists_nothing_of_other_things(account: &impl Account) -> Kept {
    let (mine, of_mine) = served(account).await?;
    let (other, of_other) = served(account).await?;
    same(account.registry().attached(&mine).await?, [of_mine], "what is attached to the first thing")?;
    same(account.registry().attached(&other).await?, [of_other], "what is attached to the second thing")?;
    same(account.registry().attached(&account.new_user().thing).await?, [], "what is attached to no thing")
}

/// ListCertificates: `creationDate`.
async fn a_list_of_certificates_has_their_dates(account: &impl Account) -> Kept {
    let NewUser { thing, .. } = account.new_user();
    let began = account.now();
    let id = create_certificate(account, &thing).await?;
    let ended = account.now();
    account.waits().await;
    let made_at = registered(account, &id).await?.made_at;
    // AWS returns fractions of a second, so the date may be up to one second later.
    holds((began..=ended + 1).contains(&made_at), &format!("made at {made_at}, between {began} and {ended}"))
}

/// ListCertificates: `status`.
async fn a_list_of_certificates_has_their_status(account: &impl Account) -> Kept {
    let NewUser { thing, .. } = account.new_user();
    let id = create_certificate(account, &thing).await?;
    account.registry().activate(&id).await?;
    holds(!registered(account, &id).await?.inactive, "an activated certificate is not listed as INACTIVE")?;
    account.registry().deactivate(&id).await?;
    holds(registered(account, &id).await?.inactive, "a deactivated certificate is listed as INACTIVE")
}

/// ListCertificates with `isAscendingOrder` false: by creation date, the newest first.
async fn a_list_of_certificates_begins_with_the_newest(account: &impl Account) -> Kept {
    let NewUser { thing, .. } = account.new_user();
    let mut made = BTreeMap::new();
    for number in 1..=3 {
        made.insert(create_certificate(account, &thing).await?, number);
        account.waits().await;
    }
    let listed = all_certificates(account).await?;
    let order: Vec<_> = listed.iter().filter_map(|registered| made.get(&registered.id).copied()).collect();
    same(order, [3, 2, 1], "the order of the list")
}

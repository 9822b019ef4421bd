//! A certificate goes out of service.

use crate::identifiers::{CertificateId, ThingName};
use crate::registry::{Registry, RegistryError};

/// Takes a certificate out of service and deletes it. Detaching spreads over some seconds, in which AWS
/// refuses to delete; what is INACTIVE and detached opens nothing, so that is no failure: the sweep
/// deletes it later.
pub(crate) async fn revoke(registry: &impl Registry, certificate: &CertificateId, thing: &ThingName) -> Result<(), RegistryError> {
    let (inactive, untied, stripped) =
        tokio::join!(registry.deactivate(certificate), registry.detach_thing(certificate, thing), registry.detach_policy(certificate));
    inactive?;
    untied?;
    stripped?;
    match registry.delete(certificate).await {
        Err(RegistryError::InUse) => {
            tracing::info!(%certificate, "a certificate out of service is not deleted yet");
            Ok(())
        }
        outcome => outcome,
    }
}

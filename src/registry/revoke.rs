//! The revocation of a certificate.

use crate::identifiers::{CertificateId, ThingName};
use crate::registry::{Registry, RegistryError};

/// Deactivates, detaches and deletes a certificate. AWS IoT needs some seconds to apply the detachment and refuses the deletion
/// until then. That is no error, because an INACTIVE and detached certificate authenticates nobody; the sweep deletes it later.
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

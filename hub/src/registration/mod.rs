//! The registration endpoint of this hub: [`onething::registration`] with the ports of this machine.

pub mod audit;
pub mod claims;
pub mod file;

pub use self::audit::LocalAudit;
pub use self::claims::LocalClaims;

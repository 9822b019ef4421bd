//! The `Effect` element of a statement.

/// The effect of a statement on the requests that it applies to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// The requests are allowed, unless another statement denies them.
    Allow,
    /// The requests are denied.
    Deny,
}

//! `Effect` of a statement.

/// What a statement does to the requests it is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// It allows them, unless another denies them.
    Allow,
    /// It denies them.
    Deny,
}

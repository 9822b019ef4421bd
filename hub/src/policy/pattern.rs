//! Patterns with wildcards and variables. They are compiled once and matched without building a string.
//!
//! `*` matches any number of characters, including `/`, and `?` matches one character. `+` and `#` are ordinary characters. The
//! value of a variable is text: a Client Identifier `*` is not a wildcard. `${*}`, `${?}` and `${$}` are the characters
//! themselves.
//!
//! The time of a match is at most proportional to the product of the lengths of text and pattern. Only the last `*` is tried
//! again after a mismatch: the pieces between two `*` have a fixed number of characters, so their first occurrence suffices.
//!
//! Sources: <https://docs.aws.amazon.com/iot/latest/developerguide/iot-policy-variables.html>,
//! <https://docs.aws.amazon.com/iot/latest/developerguide/pub-sub-policy.html#pub-sub-policy-cert>.

use std::fmt;

use thiserror::Error;

use super::context::Context;
use super::key::Key;
use super::text::Text;

/// Why a text is not a pattern.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub(super) enum PatternError {
    #[error("has `${{` without `}}`")]
    Unclosed,
    #[error("has a variable without a name")]
    Nameless,
    #[error("is neither `*` nor an ARN, such as `arn:aws:iot:us-east-1:123456789012:topic/a`")]
    NotAnArn,
    #[error("is an ARN of another service than iot")]
    OtherService,
}

/// Which special characters a pattern may contain: the wildcards `*` and `?`, and variables `${…}`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Syntax {
    pub(super) wildcards: bool,
    pub(super) variables: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Literal(Box<str>),
    Variable(Key),
    One,
    Any,
}

/// A compiled pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pattern(Box<[Piece]>);

impl Pattern {
    pub(super) fn parse(text: &str, syntax: Syntax) -> Result<Self, PatternError> {
        let (mut pieces, mut literal, mut rest) = (Vec::new(), String::new(), text);
        while let Some(character) = rest.chars().next() {
            let after = &rest[character.len_utf8()..];
            let (piece, after) = match character {
                '*' if syntax.wildcards => (Piece::Any, after),
                '?' if syntax.wildcards => (Piece::One, after),
                '$' if syntax.variables && after.starts_with('{') => {
                    let (name, after) = after[1..].split_once('}').ok_or(PatternError::Unclosed)?;
                    match name {
                        "" => return Err(PatternError::Nameless),
                        "*" | "?" | "$" => {
                            literal.push_str(name);
                            rest = after;
                            continue;
                        }
                        _ => (Piece::Variable(Key::parse(name)), after),
                    }
                }
                _ => {
                    literal.push(character);
                    rest = after;
                    continue;
                }
            };
            rest = after;
            if !literal.is_empty() {
                pieces.push(Piece::Literal(std::mem::take(&mut literal).into()));
            }
            // Consecutive `*` are the same as one.
            if piece != Piece::Any || pieces.last() != Some(&Piece::Any) {
                pieces.push(piece);
            }
        }
        if !literal.is_empty() {
            pieces.push(Piece::Literal(literal.into()));
        }
        Ok(Self(pieces.into()))
    }

    /// Parses an ARN and keeps its resource part, such as `topic/a/*`. The text `*` matches every resource.
    ///
    /// The hub has no partition, Region or account. Those of a policy written for AWS are therefore ignored. As in IAM, a `*`
    /// does not match across the boundary between two of the six parts.
    pub(super) fn parse_arn(text: &str, syntax: Syntax) -> Result<Self, PatternError> {
        if text == "*" {
            return Self::parse(text, syntax);
        }
        let (mut parts, mut rest) = (Vec::new(), text);
        while parts.len() < 5 {
            let (part, after) = split_at_colon(rest).ok_or(PatternError::NotAnArn)?;
            parts.push(part);
            rest = after;
        }
        let [arn, partition, service, ..] = parts[..] else { return Err(PatternError::NotAnArn) };
        if arn != "arn" || partition.is_empty() || rest.is_empty() {
            return Err(PatternError::NotAnArn);
        }
        let service = Self::parse(service, Syntax { variables: false, ..syntax })?;
        if !service.matches(Text::whole("iot"), &Context::default()) {
            return Err(PatternError::OtherService);
        }
        Self::parse(rest, syntax)
    }

    /// Whether the pattern matches the whole text. A variable without a value matches no text.
    pub(super) fn matches(&self, text: Text<'_>, context: &Context) -> bool {
        let (mut piece, mut position) = (0, 0);
        // Where to continue after a mismatch: the piece after the last `*`, and the position in the text at which this `*` ended.
        let mut star = None;
        loop {
            let taken = match self.0.get(piece) {
                Some(Piece::Any) if piece + 1 == self.0.len() => return true,
                Some(Piece::Any) => {
                    star = Some((piece + 1, position));
                    Some(0)
                }
                Some(Piece::One) => text.character(position),
                Some(Piece::Literal(literal)) => text.continues(position, literal).then_some(literal.len()),
                Some(Piece::Variable(key)) => match key.text(context) {
                    Some(value) => text.continues(position, &value).then_some(value.len()),
                    None => return false,
                },
                None if position == text.len() => return true,
                None => None,
            };
            if let Some(taken) = taken {
                piece += 1;
                position += taken;
            } else {
                let Some((next, end)) = star else { return false };
                let Some(character) = text.character(end) else { return false };
                star = Some((next, end + character));
                (piece, position) = (next, end + character);
            }
        }
    }

    /// Returns the first variable without a value on this connection.
    pub(super) fn unresolved(&self, context: &Context) -> Option<&Key> {
        self.variables().find(|key| key.text(context).is_none())
    }

    /// Returns the variables, in their order.
    pub(super) fn variables(&self) -> impl Iterator<Item = &Key> {
        self.0.iter().filter_map(|piece| match piece {
            Piece::Variable(key) => Some(key),
            _ => None,
        })
    }

    /// Returns the text of the pattern with the values of its variables. A variable without a value stays as written.
    pub(super) fn resolved(&self, context: &Context) -> String {
        let show = |piece: &Piece| match piece {
            Piece::Variable(key) => key.text(context).map_or_else(|| piece.to_string(), std::borrow::Cow::into_owned),
            _ => piece.to_string(),
        };
        self.0.iter().map(show).collect()
    }
}

/// Splits at the first colon that is not part of a variable.
fn split_at_colon(text: &str) -> Option<(&str, &str)> {
    let mut inside = false;
    let colon = text.char_indices().find(|(position, character)| {
        match character {
            '{' if text[..*position].ends_with('$') => inside = true,
            '}' => inside = false,
            _ => {}
        }
        *character == ':' && !inside
    });
    let (colon, _) = colon?;
    Some((&text[..colon], &text[colon + 1..]))
}

impl fmt::Display for Pattern {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|piece| piece.fmt(formatter))
    }
}

impl fmt::Display for Piece {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Literal(literal) => formatter.write_str(literal),
            Self::Variable(key) => write!(formatter, "${{{key}}}"),
            Self::One => formatter.write_str("?"),
            Self::Any => formatter.write_str("*"),
        }
    }
}

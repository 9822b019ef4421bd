//! Texts with wildcards and variables, compiled once and matched without building a string.
//!
//! `*` stands for any number of characters, `/` included, and `?` for one; `+` and `#` mean nothing here. The value of a variable is
//! text: a client id `*` is a star, not a wildcard. `${*}`, `${?}` and `${$}` are the characters themselves.
//!
//! A match takes time proportional to text times pattern at the most: of several `*` only the last is ever tried again, because
//! what stands between two of them has a fixed number of characters, so its first occurrence is as good as any other.
//!
//! Source: <https://docs.aws.amazon.com/iot/latest/developerguide/iot-policy-variables.html>,
//! <https://docs.aws.amazon.com/iot/latest/developerguide/pub-sub-policy.html#pub-sub-policy-cert>.

use std::fmt;

use thiserror::Error;

use super::context::Context;
use super::key::Key;
use super::text::Text;

/// Why a text is no pattern.
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

/// Which characters of a text have a meaning.
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

/// A compiled text.
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
            // Two stars are one.
            if piece != Piece::Any || pieces.last() != Some(&Piece::Any) {
                pieces.push(piece);
            }
        }
        if !literal.is_empty() {
            pieces.push(Piece::Literal(literal.into()));
        }
        Ok(Self(pieces.into()))
    }

    /// The part of an ARN that names the resource, such as `topic/a/*`; or `*`, which is every resource.
    ///
    /// The hub has no partition, Region or account, so that those of a policy written for AWS stand for its own, whatever they are.
    /// As in IAM, a `*` does not reach from one of the six parts into the next.
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

    /// Whether the whole text is of this form. A variable without a value is not met by any text.
    pub(super) fn matches(&self, text: Text<'_>, context: &Context) -> bool {
        let (mut piece, mut position) = (0, 0);
        // Where to go on after a mismatch: the piece after the last star, and where in the text that star ended.
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

    /// The first variable that has no value on this connection.
    pub(super) fn unresolved(&self, context: &Context) -> Option<&Key> {
        self.variables().find(|key| key.text(context).is_none())
    }

    /// Its variables, in their order.
    pub(super) fn variables(&self) -> impl Iterator<Item = &Key> {
        self.0.iter().filter_map(|piece| match piece {
            Piece::Variable(key) => Some(key),
            _ => None,
        })
    }

    /// The pattern with the values of its variables, to be read.
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

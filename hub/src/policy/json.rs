//! The JSON of a policy document. It refuses an object with a duplicate name.
//!
//! A map that keeps the last of two equal names would silently drop a condition, and thereby a restriction.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};

/// A JSON value. The fields of objects keep their order.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Node {
    Null,
    Flag(bool),
    /// A number, as text, because conditions compare text.
    Number(String),
    Text(String),
    Many(Vec<Node>),
    Fields(Vec<(String, Node)>),
}

impl Node {
    /// Returns the number of characters of the shortest document with this content, without white space.
    pub(super) fn size(&self) -> usize {
        match self {
            Self::Null => 4,
            Self::Flag(flag) => 5 - usize::from(*flag),
            Self::Number(number) => number.len(),
            Self::Text(text) => size(text),
            Self::Many(nodes) => 2 + nodes.iter().map(|node| node.size() + 1).sum::<usize>() - usize::from(!nodes.is_empty()),
            Self::Fields(fields) => {
                let content: usize = fields.iter().map(|(name, node)| size(name) + node.size() + 2).sum();
                2 + content - usize::from(!fields.is_empty())
            }
        }
    }
}

fn size(text: &str) -> usize {
    let of = |character: char| match character {
        '"' | '\\' => 2,
        blank if blank.is_whitespace() => 0,
        _ => 1,
    };
    2 + text.chars().map(of).sum::<usize>()
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reader)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Node;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("JSON")
    }

    fn visit_unit<E: Error>(self) -> Result<Node, E> {
        Ok(Node::Null)
    }

    fn visit_bool<E: Error>(self, flag: bool) -> Result<Node, E> {
        Ok(Node::Flag(flag))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Node, E> {
        Ok(Node::Number(number.to_string()))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Node, E> {
        Ok(Node::Number(number.to_string()))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Node, E> {
        Ok(Node::Number(number.to_string()))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Node, E> {
        Ok(Node::Text(text.to_owned()))
    }

    fn visit_string<E: Error>(self, text: String) -> Result<Node, E> {
        Ok(Node::Text(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Node, A::Error> {
        let mut nodes = Vec::new();
        while let Some(node) = sequence.next_element()? {
            nodes.push(node);
        }
        Ok(Node::Many(nodes))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Node, A::Error> {
        let mut fields: Vec<(String, Node)> = Vec::new();
        while let Some((name, node)) = map.next_entry::<String, Node>()? {
            if fields.iter().any(|(other, _)| *other == name) {
                return Err(A::Error::custom("a name occurs twice"));
            }
            fields.push((name, node));
        }
        Ok(Node::Fields(fields))
    }
}

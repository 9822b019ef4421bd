//! The texts that patterns are matched with.

/// A text in two parts, such as `topic/` and a topic. The parts need not be joined for each decision.
#[derive(Clone, Copy, Debug)]
pub(super) struct Text<'a> {
    head: &'static str,
    tail: &'a str,
}

impl<'a> Text<'a> {
    pub(super) fn of(head: &'static str, tail: &'a str) -> Self {
        Self { head, tail }
    }

    pub(super) fn whole(tail: &'a str) -> Self {
        Self::of("", tail)
    }

    pub(super) fn is_ignoring_case(&self, other: &str) -> bool {
        let head = other.get(..self.head.len()).is_some_and(|head| head.eq_ignore_ascii_case(self.head));
        head && other.get(self.head.len()..).is_some_and(|tail| tail.eq_ignore_ascii_case(self.tail))
    }

    pub(super) fn len(&self) -> usize {
        self.head.len() + self.tail.len()
    }

    /// Whether the text contains `with` at a position, in bytes.
    pub(super) fn continues(&self, position: usize, with: &str) -> bool {
        let (head, tail, with) = (self.head.as_bytes(), self.tail.as_bytes(), with.as_bytes());
        match head.get(position..) {
            None | Some([]) => tail.get(position - head.len()..).is_some_and(|rest| rest.starts_with(with)),
            Some(rest) if with.len() <= rest.len() => rest.starts_with(with),
            Some(rest) => with.starts_with(rest) && tail.starts_with(&with[rest.len()..]),
        }
    }

    /// Returns the length of the character at a position, both in bytes. `None` at the end of the text.
    pub(super) fn character(&self, position: usize) -> Option<usize> {
        let after = match self.head.get(position..) {
            None | Some("") => self.tail.get(position - self.head.len()..)?,
            Some(rest) => rest,
        };
        after.chars().next().map(char::len_utf8)
    }
}

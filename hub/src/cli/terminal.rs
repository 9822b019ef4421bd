//! Formats labelled text and documents for a terminal.

use std::io::{self, Write};

use serde::Serialize;
use serde_json::Value;
use serde_json::ser::{Formatter, Serializer};

/// The width of a line, in characters.
const WIDTH: usize = 100;
/// The column at which the text after a label begins.
const INDENT: usize = 15;

/// A terminal, or another output with the same format.
pub(crate) struct Terminal<W> {
    out: W,
    colour: bool,
}

impl<W: Write> Terminal<W> {
    pub(crate) fn new(out: W, colour: bool) -> Self {
        Self { out, colour }
    }

    /// Prints a headline after an empty line.
    pub(crate) fn headline(&mut self, text: &str) -> io::Result<()> {
        let text = self.styled(text, "1");
        writeln!(self.out, "\n{text}")
    }

    /// Prints what a person or Alexa says, in quotes.
    pub(crate) fn says(&mut self, who: &str, words: &str) -> io::Result<()> {
        self.labelled(who, "36", &format!("\"{words}\""))
    }

    /// Prints what is displayed, for example in the Alexa app.
    pub(crate) fn shows(&mut self, what: &str, text: &str) -> io::Result<()> {
        self.labelled(what, "33", text)
    }

    /// Prints a fact about the state of the hub.
    pub(crate) fn fact(&mut self, what: &str, text: &str) -> io::Result<()> {
        self.labelled(what, "2", text)
    }

    /// Prints a JSON document.
    pub(crate) fn document(&mut self, what: &str, document: &Value) -> io::Result<()> {
        self.labelled(what, "2", &spaced(document))
    }

    fn labelled(&mut self, label: &str, style: &str, text: &str) -> io::Result<()> {
        // The label is padded before it is coloured, because escape sequences have no width on the terminal.
        let label = self.styled(&format!("{label:<width$}", width = INDENT - 3), style);
        for (number, line) in wrapped(text, WIDTH - INDENT).into_iter().enumerate() {
            match number {
                0 => writeln!(self.out, "  {label} {line}")?,
                _ => writeln!(self.out, "{:INDENT$}{line}", "")?,
            }
        }
        Ok(())
    }

    fn styled(&self, text: &str, style: &str) -> String {
        if self.colour { format!("\x1b[{style}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

/// Lines of at most `width` characters, broken at spaces. A longer word, such as a path, is not broken.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if line.is_empty() => line.push_str(word),
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

/// JSON on one line, with spaces at which it can be broken.
fn spaced(document: &Value) -> String {
    struct Spaced;
    impl Formatter for Spaced {
        fn begin_object_key<W: ?Sized + Write>(&mut self, out: &mut W, first: bool) -> io::Result<()> {
            if first { Ok(()) } else { out.write_all(b", ") }
        }
        fn begin_object_value<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
            out.write_all(b": ")
        }
    }
    let mut json = Vec::new();
    let written = document.serialize(&mut Serializer::with_formatter(&mut json, Spaced));
    written.ok().and_then(|()| String::from_utf8(json).ok()).unwrap_or_else(|| document.to_string())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn terminal(colour: bool, show: impl FnOnce(&mut Terminal<&mut Vec<u8>>)) -> String {
        let mut out = Vec::new();
        show(&mut Terminal::new(&mut out, colour));
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn long_text_is_broken_at_spaces_and_indented() {
        let shown = terminal(false, |terminal| terminal.says("Ana", &"word ".repeat(20)).unwrap());
        let lines: Vec<&str> = shown.lines().collect();
        assert!(lines[0].starts_with("  Ana          \"word word") && lines[1].starts_with("               word"), "{shown}");
        assert!(lines.iter().all(|line| line.len() <= 100));
    }

    #[test]
    fn there_are_no_escape_sequences_without_colour() {
        assert_eq!(terminal(false, |terminal| terminal.headline("x").unwrap()), "\nx\n");
        assert_eq!(terminal(true, |terminal| terminal.headline("x").unwrap()), "\n\x1b[1mx\x1b[0m\n");
    }

    #[test]
    fn spaces_are_added_only_outside_of_strings() {
        assert_eq!(spaced(&json!({"a": {"b": [1, "x,y:z"]}, "c": null})), r#"{"a": {"b": [1,"x,y:z"]}, "c": null}"#);
    }
}

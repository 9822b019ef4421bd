//! Output speech: sentences and spelled-out groups of characters.
//!
//! Only SSML elements of the Alexa reference are used
//! (<https://developer.amazon.com/docs/custom-skills/speech-synthesis-markup-language-ssml-reference.html>).

use serde_json::{Value, json};

/// Sentences for output speech, rendered as plain text or as SSML.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Speech {
    sentences: Vec<Sentence>,
    markup: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Sentence {
    Words(String),
    /// Groups of characters that are spelled out, with a pause after each group.
    SpelledOut(Vec<String>),
}

impl Sentence {
    fn words(&self) -> String {
        match self {
            Sentence::Words(words) => words.clone(),
            Sentence::SpelledOut(groups) => groups.join(" "),
        }
    }

    fn ssml(&self) -> String {
        match self {
            Sentence::Words(words) => format!("<s>{}</s>", escape(words)),
            Sentence::SpelledOut(groups) => {
                let spelled = |group: &String| format!("<say-as interpret-as=\"spell-out\">{}</say-as>", escape(group));
                let groups: Vec<String> = groups.iter().map(spelled).collect();
                format!("<s>{}</s><break time=\"1s\"/>", groups.join("<break time=\"1s\"/>"))
            }
        }
    }
}

impl Speech {
    /// One sentence as plain text.
    pub fn text(text: impl Into<String>) -> Self {
        Self { sentences: vec![Sentence::Words(text.into())], markup: false }
    }

    /// Sentences as SSML, each in its own `<s>` element, so that Alexa pauses between them.
    pub fn sentences(sentences: Vec<String>) -> Self {
        Self { sentences: sentences.into_iter().map(Sentence::Words).collect(), markup: true }
    }

    /// Appends a sentence.
    pub fn and(mut self, sentence: String) -> Self {
        self.sentences.push(Sentence::Words(sentence));
        self
    }

    /// Appends groups of characters for the user to write down, such as the halves of a claim code. Renders the speech as SSML.
    pub fn and_spelled_out(mut self, groups: Vec<String>) -> Self {
        self.sentences.push(Sentence::SpelledOut(groups));
        self.markup = true;
        self
    }

    /// The text without markup.
    pub fn words(&self) -> String {
        self.sentences.iter().map(Sentence::words).collect::<Vec<_>>().join(" ")
    }

    /// The speech as an SSML document, for Alexa interfaces that accept only SSML.
    pub fn ssml(&self) -> String {
        let sentences: String = self.sentences.iter().map(Sentence::ssml).collect();
        format!("<speak>{sentences}</speak>")
    }

    pub(super) fn render(&self) -> Value {
        match self.markup {
            true => json!({"type": "SSML", "ssml": self.ssml()}),
            false => json!({"type": "PlainText", "text": self.words()}),
        }
    }

    fn rendered_length(&self) -> usize {
        if self.markup { self.ssml().chars().count() } else { self.words().chars().count() }
    }

    /// Shortens the speech to `limit` rendered characters: drops whole sentences from the end, then cuts the only one left.
    pub(super) fn fit(mut self, limit: usize) -> Self {
        while self.sentences.len() > 1 && self.rendered_length() > limit {
            self.sentences.pop();
        }
        // Escaping makes a sentence longer than its words, so the words are shortened in proportion until the markup fits.
        let mut length = self.rendered_length();
        while length > limit {
            if let Some(only) = self.sentences.first_mut() {
                let words = only.words();
                *only = Sentence::Words(cut_at_sentence(&words, words.chars().count() * limit / length));
            }
            length = self.rendered_length();
        }
        self
    }
}

/// Escapes the five special characters of XML and replaces control characters, which XML forbids, with spaces.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&apos;"),
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

/// The longest prefix of whole sentences within `limit` characters; if the first sentence is longer, its first `limit`
/// characters.
pub(super) fn cut_at_sentence(text: &str, limit: usize) -> String {
    let Some((end, _)) = text.char_indices().nth(limit) else { return text.to_owned() };
    let head = &text[..end];
    let mut ends = head.char_indices().filter(|(at, c)| {
        let rest = &text[at + c.len_utf8()..];
        matches!(c, '.' | '!' | '?') && rest.starts_with(char::is_whitespace)
    });
    let sentence = ends.next_back().map(|(at, c)| at + c.len_utf8());
    head[..sentence.unwrap_or(end)].to_owned()
}

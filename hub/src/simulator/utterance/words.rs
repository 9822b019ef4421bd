//! The normalised words of an utterance: lower case, no punctuation, contractions written in full.
//!
//! Samples, slot values and utterances are all normalised in the same way, so that different spellings match. The original
//! spelling is kept too, because it is the value of a slot.

use std::ops::Range;

/// The largest number of words of an utterance. A longer utterance matches nothing.
pub const MAX_WORDS: usize = 64;

/// The words after which `'s` means "is". After any other word it is a possessive.
const FOLLOWED_BY_IS: &[&str] = &["what", "that", "it", "he", "she", "who", "where", "when", "how", "there", "here", "why"];
/// Contractions that are typed without an apostrophe. "its" is not one, because it is a word.
const WITHOUT_APOSTROPHE: &[(&str, &str, &str)] = &[
    ("whats", "what", "is"),
    ("thats", "that", "is"),
    ("hows", "how", "is"),
    ("wheres", "where", "is"),
    ("whos", "who", "is"),
    ("im", "i", "am"),
    ("ive", "i", "have"),
    ("dont", "do", "not"),
    ("isnt", "is", "not"),
    ("cant", "can", "not"),
    ("cannot", "can", "not"),
];

/// An utterance in its original spelling and as normalised words.
#[derive(Clone, Debug, Default)]
pub struct Utterance {
    input: String,
    text: String,
    words: Vec<Word>,
}

/// The position of one word in the original and in the normalised text.
#[derive(Clone, Debug)]
struct Word {
    input: Range<usize>,
    text: Range<usize>,
}

impl Utterance {
    /// Normalises any text. Of a very long text, only the beginning is read, which is still too long to match. Symbols are
    /// ignored.
    pub fn read(said: &str) -> Self {
        Self::read_as(said, false)
    }

    /// The same as [`Utterance::read`], but every symbol is a word, such as a symbol in the place of a name.
    pub fn read_with_symbols(said: &str) -> Self {
        Self::read_as(said, true)
    }

    fn read_as(said: &str, symbols: bool) -> Self {
        let input = said.to_lowercase().replace(['’', '‘', '`'], "'");
        let mut utterance = Self::default();
        let mut at = 0;
        while let Some((range, next)) = raw_word(&input, at, symbols) {
            if utterance.words.len() > MAX_WORDS {
                break;
            }
            utterance.take(&input, range);
            at = next;
        }
        Self { input, ..utterance }
    }

    /// The whole utterance as a phrase.
    pub fn all(&self) -> Phrase<'_> {
        Phrase { utterance: self, from: 0, to: self.words.len() }
    }

    /// The normalised words, separated by single spaces.
    pub fn text(&self) -> &str {
        self.text.trim_end()
    }

    fn take(&mut self, input: &str, range: Range<usize>) {
        let raw = &input[range.clone()];
        match raw {
            "%" => return self.push("percent", range),
            "°" => return self.push("degrees", range),
            "&" => return self.push("and", range),
            "-" => return self.push("minus", range),
            _ => {}
        }
        let Some((stem, end)) = raw.rsplit_once('\'') else { return self.plain(raw, range) };
        let (before, after) = (range.start..range.start + stem.len(), range.start + stem.len()..range.end);
        let (stem, second) = match (stem, end) {
            (stem, "s") if FOLLOWED_BY_IS.contains(&stem) => (stem, "is"),
            (stem, "s") => (stem, "s"),
            (stem, "re") => (stem, "are"),
            (stem, "m") => (stem, "am"),
            (stem, "ve") => (stem, "have"),
            (stem, "ll") => (stem, "will"),
            (stem, "d") => (stem, "would"),
            ("can", "t") => ("can", "not"),
            ("won", "t") => ("will", "not"),
            (stem, "t") if stem.len() > 1 && stem.ends_with('n') => (&stem[..stem.len() - 1], "not"),
            _ => return self.plain(raw, range),
        };
        if !stem.is_empty() {
            self.plain(stem, before);
        }
        self.push(second, after);
    }

    /// Adds a word without its apostrophes and the commas of a number, or the two words of a contraction.
    fn plain(&mut self, raw: &str, range: Range<usize>) {
        let word = raw.replace(['\'', ','], "");
        match WITHOUT_APOSTROPHE.iter().find(|(short, ..)| *short == word) {
            Some((_, first, second)) => {
                self.push(first, range.clone());
                self.push(second, range);
            }
            None => self.push(&word, range),
        }
    }

    fn push(&mut self, word: &str, input: Range<usize>) {
        let start = self.text.len();
        self.text.push_str(word);
        self.words.push(Word { input, text: start..self.text.len() });
        self.text.push(' ');
    }
}

/// Whether a character separates words and is not a symbol.
fn is_punctuation(c: char) -> bool {
    c.is_whitespace() || c.is_control() || ".,;:!?'\"()[]{}/-…–—“”„«»¡¿".contains(c)
}

/// The next word at or after `at`, and the position after it.
fn raw_word(input: &str, at: usize, symbols: bool) -> Option<(Range<usize>, usize)> {
    let mut rest = input.get(at..)?.char_indices().peekable();
    let (mut start, mut previous) = (None, None);
    while let Some((offset, c)) = rest.next() {
        let here = at + offset;
        let following = rest.peek().map(|(_, c)| *c);
        let digits_around = previous.is_some_and(|p: char| p.is_ascii_digit()) && following.is_some_and(|f| f.is_ascii_digit());
        let letters_around = previous.is_none_or(char::is_alphanumeric) && following.is_some_and(char::is_alphanumeric);
        let part = match c {
            c if c.is_alphanumeric() => true,
            '.' | ',' => start.is_some() && digits_around,
            '\'' if start.is_some() => letters_around,
            // A possessive after a slot in a sample: "{room}'s lamp".
            '\'' => following == Some('s') && !input[here + 2..].starts_with(char::is_alphanumeric),
            _ => false,
        };
        let sign =
            matches!(c, '%' | '°' | '&') || (c == '-' && following.is_some_and(|f| f.is_ascii_digit())) || symbols && !is_punctuation(c);
        match (part, start) {
            (true, None) => start = Some(here),
            (true, Some(_)) => {}
            (false, Some(start)) => return Some((start..here, here)),
            // A hyphen within a word is a space, and before a number it is a sign.
            (false, None) if sign && !(c == '-' && previous_of(input, here).is_some_and(char::is_alphanumeric)) => {
                let next = here + c.len_utf8();
                return Some((here..next, next));
            }
            (false, None) => {}
        }
        previous = Some(c);
    }
    start.map(|start| (start..input.len(), input.len()))
}

fn previous_of(input: &str, at: usize) -> Option<char> {
    input[..at].chars().next_back()
}

/// Consecutive words of an utterance.
#[derive(Clone, Copy, Debug)]
pub struct Phrase<'u> {
    utterance: &'u Utterance,
    from: usize,
    to: usize,
}

impl<'u> Phrase<'u> {
    /// The number of words.
    pub fn len(self) -> usize {
        self.to - self.from
    }

    /// Whether the phrase has no words.
    pub fn is_empty(self) -> bool {
        self.from == self.to
    }

    /// The word at this index; `None` beyond the end.
    pub fn word(self, at: usize) -> Option<&'u str> {
        if at < self.len() { Some(self.part(at, at + 1).text()) } else { None }
    }

    /// The words from index `from` up to, but not including, index `to`.
    pub fn part(self, from: usize, to: usize) -> Self {
        let to = (self.from + to).min(self.to);
        Self { utterance: self.utterance, from: (self.from + from).min(to), to }
    }

    /// The phrase without the given number of words at the beginning.
    pub fn after(self, words: usize) -> Self {
        self.part(words, self.len())
    }

    /// The normalised words, separated by single spaces.
    pub fn text(self) -> &'u str {
        let words = &self.utterance.words[self.from..self.to];
        let range = words.first().zip(words.last()).map(|(first, last)| first.text.start..last.text.end);
        range.map_or("", |range| &self.utterance.text[range])
    }

    /// The words in the original spelling, in lower case.
    pub fn input(self) -> &'u str {
        let words = &self.utterance.words[self.from..self.to];
        let range = words.first().zip(words.last()).map(|(first, last)| first.input.start..last.input.end);
        range.map_or("", |range| &self.utterance.input[range])
    }

    /// Whether a comma or a semicolon separates this word from the previous one.
    pub fn pauses_before(self, at: usize) -> bool {
        let words = &self.utterance.words[self.from..self.to];
        let Some((before, word)) = at.checked_sub(1).and_then(|before| words.get(before)).zip(words.get(at)) else { return false };
        self.utterance.input.get(before.input.end..word.input.start).is_some_and(|gap| gap.contains([',', ';']))
    }

    /// The normalised words.
    pub fn words(self) -> impl Iterator<Item = &'u str> {
        self.text().split_ascii_whitespace()
    }

    /// The phrase without these words at its beginning; `None` if it does not start with them.
    pub fn strip(self, beginning: &[String]) -> Option<Self> {
        let same = beginning.len() <= self.len() && self.words().zip(beginning).all(|(word, wanted)| word == wanted);
        same.then(|| self.after(beginning.len()))
    }

    /// The phrase without these words at its end; `None` if it does not end with them.
    pub fn strip_end(self, end: &[String]) -> Option<Self> {
        let from = self.len().checked_sub(end.len())?;
        self.after(from).strip(end).map(|_| self.part(0, from))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(said: &str, words: &str) {
        assert_eq!(Utterance::read(said).text(), words, "{said}");
    }

    #[test]
    fn case_punctuation_and_contractions_make_no_difference() {
        check("  Print, a VASE!  ", "print a vase");
        check("What's the status?", "what is the status");
        check("whats the status", "what is the status");
        check("what’s up", "what is up");
        check("I don't know, it isn't and can't", "i do not know it is not and can not");
        check("I've lost it; we'll see", "i have lost it we will see");
        check("Bob's lamp", "bob s lamp");
        check("'s lamp", "s lamp");
        check("twenty-one 'quoted' words", "twenty one quoted words");
        check("five o'clock", "five oclock");
        check("20.5 °C, 1,000 and 60%", "20.5 degrees c 1000 and 60 percent");
        check("to -5 A.M.", "to minus 5 a m");
        check("1,000's of do'nts, 1,000'x and do'nt", "1000 s of donts 1000x and do not");
        check("Größe für 日本", "größe für 日本");
        check("", "");
        check("'", "");
    }

    #[test]
    fn symbols_are_ignored_unless_requested() {
        check("print a \u{1f3fa}!", "print a");
        let with = |said: &str| Utterance::read_with_symbols(said).text().to_owned();
        assert_eq!(with("print a \u{1f3fa}!"), "print a \u{1f3fa}");
        assert_eq!(with("Print, a vase\u{1f3fa} (now)..."), "print a vase \u{1f3fa} now");
    }

    #[test]
    fn a_phrase_keeps_the_original_spelling() {
        let said = Utterance::read("Print the Mother's-Day Box, please");
        assert_eq!(said.all().part(2, 6).input(), "mother's-day box");
        assert_eq!(said.all().part(2, 6).text(), "mother s day box");
        assert_eq!(said.all().word(0), Some("print"));
        assert_eq!(said.all().word(99), None);
        assert_eq!(said.all().part(5, 99).after(7).text(), "");
    }

    #[test]
    fn words_can_be_stripped_at_both_ends() {
        let said = Utterance::read("ask my printer to pause with my printer");
        let name = ["my".to_owned(), "printer".to_owned()];
        assert_eq!(said.all().after(1).strip(&name).unwrap().text(), "to pause with my printer");
        assert_eq!(said.all().strip_end(&name).unwrap().text(), "ask my printer to pause with");
        assert!(said.all().strip(&name).is_none());
        assert!(Utterance::default().all().strip_end(&name).is_none());
    }

    #[test]
    fn a_very_long_utterance_is_read_to_beyond_the_limit_only() {
        let said = Utterance::read(&"word ".repeat(1_000_000));
        assert!((MAX_WORDS + 1..MAX_WORDS + 4).contains(&said.all().len()));
    }

    proptest! {
        /// Any text can be read, any part of it can be taken, and reading the normalised text again changes nothing.
        #[test]
        fn reading_is_stable(said in "(\\PC|['’.,% -]|[a-z0-9]){0,80}", from in 0_usize..30, to in 0_usize..30) {
            let utterance = Utterance::read(&said);
            let part = utterance.all().part(from, to);
            prop_assert_eq!(part.words().count(), part.len());
            let _ = part.input();
            let again = Utterance::read(utterance.text());
            prop_assert_eq!(again.text(), utterance.text());
        }
    }
}

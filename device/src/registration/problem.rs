//! The error responses of an endpoint: problem details for HTTP APIs (RFC 9457), as one plain sentence.

use serde::Deserialize;

/// The largest number of characters of a foreign text that is shown.
const SHOWN: usize = 160;

#[derive(Deserialize)]
struct Problem {
    /// The description of this type of problem.
    title: Option<String>,
    /// The description of this occurrence of the problem.
    detail: Option<String>,
    field: Option<String>,
}

/// The sentence in the body of a response, or `None` if there is none.
pub(crate) fn sentence(body: &[u8]) -> Option<String> {
    let problem: Problem = serde_json::from_slice(body).ok()?;
    let words = [problem.detail, problem.title].iter().flatten().find_map(|words| plain(words))?;
    Some(match problem.field.as_deref().and_then(plain) {
        Some(field) if !words.contains(&field) => format!("{words} ({field})"),
        _ => words,
    })
}

/// The text on one line, without characters that control a terminal or change the writing direction.
fn plain(text: &str) -> Option<String> {
    let steers =
        |c: char| c.is_control() || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}');
    let spaced: String = text.chars().map(|c| if steers(c) { ' ' } else { c }).collect();
    let joined = spaced.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut shown: String = joined.trim_end_matches('.').chars().take(SHOWN).collect();
    if joined.chars().count() > SHOWN {
        shown.push('…');
    }
    (!shown.is_empty()).then_some(shown)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(body: &str, expected: Option<&str>) {
        assert_eq!(sentence(body.as_bytes()).as_deref(), expected, "{body}");
    }

    #[test]
    fn only_problem_details_become_a_sentence() {
        check(r#"{"title": "the code is not known", "status": 401}"#, Some("the code is not known"));
        check(r#"{"title": "Malformed.", "field": "csr"}"#, Some("Malformed (csr)"));
        check(r#"{"title": "Bad Request", "detail": "`csr` has to be a text", "field": "csr"}"#, Some("`csr` has to be a text"));
        check(r#"{"title": "Conflict", "detail": " "}"#, Some("Conflict"));
        check(r#"{"status": 401}"#, None);
        check(r#"{"title": " \n "}"#, None);
        check(r#"{"title": 7}"#, None);
        check("<html>Unauthorized</html>", None);
        check("", None);
    }

    #[test]
    fn a_foreign_text_is_short_and_has_no_control_characters() {
        check("{\"title\": \"a\\u001b[2Jb\\r\\nc\\u202ed\"}", Some("a [2Jb c d"));
        let long = format!(r#"{{"title": "{}"}}"#, "x".repeat(5_000));
        assert_eq!(sentence(long.as_bytes()).map(|sentence| sentence.chars().count()), Some(SHOWN + 1));
    }
}

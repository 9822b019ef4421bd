//! Mail addresses in the form that SMTP requires.
//!
//! Profiles contain addresses as their owners typed them. SMTP (RFC 5321, section 4.1.2) has stricter rules:
//! - A local part that is not a dot-string is quoted. Japanese carriers have issued addresses such as `ana.@docomo.ne.jp` and
//!   `ana..b@ezweb.ne.jp`. They exist and receive mail as `"ana."@docomo.ne.jp`.
//! - A domain in another script is encoded in Punycode (RFC 5891).
//! - A local part outside ASCII is not changed. It works only if the server supports SMTPUTF8 (RFC 6531).

use std::fmt;

use url::Host;

/// The longest local part, in bytes (RFC 5321, section 4.5.3.1.1).
const LOCAL_PART_LIMIT: usize = 64;
/// The longest domain in bytes (RFC 5321, section 4.5.3.1.2), and its longest label (RFC 1035).
const DOMAIN_LIMIT: usize = 255;
const LABEL_LIMIT: usize = 63;

/// A valid mail address. It cannot contain a header line or a second recipient.
#[derive(Clone, PartialEq, Eq)]
pub struct EmailAddress(lettre::Address);

impl EmailAddress {
    /// Parses an address and converts it as the module documentation describes.
    pub fn parse(address: &str) -> Option<Self> {
        let (local, domain) = address.trim().rsplit_once('@')?;
        Some(Self(lettre::Address::new_dangerous(local_part(local)?, ascii_domain(domain)?)))
    }

    /// The address in a form that other people may hear: `a***e@example.com`.
    pub fn masked(&self) -> String {
        let user: Vec<char> = self.0.user().trim_matches('"').chars().collect();
        let last = user.last().filter(|_| user.len() > 2);
        let first = user.first().filter(|_| user.len() > 1);
        format!(
            "{}***{}@{}",
            first.map(char::to_string).unwrap_or_default(),
            last.map(char::to_string).unwrap_or_default(),
            self.0.domain()
        )
    }

    /// The complete address, for storage in a private place. [`EmailAddress::parse`] accepts it.
    pub fn whole(&self) -> String {
        self.0.to_string()
    }

    /// Whether the local part is ASCII. If not, the mail server must support SMTPUTF8.
    pub fn is_ascii(&self) -> bool {
        self.0.user().is_ascii()
    }

    /// The address for the envelope and the `To` header.
    pub(crate) fn mailbox(&self) -> &lettre::Address {
        &self.0
    }
}

impl fmt::Debug for EmailAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EmailAddress(redacted)")
    }
}

/// The local part, as a dot-string if possible, otherwise quoted.
fn local_part(text: &str) -> Option<String> {
    let content = match text.strip_prefix('"').and_then(|text| text.strip_suffix('"')) {
        Some(quoted) => unescaped(quoted)?,
        // Without quotes, only dots may be in invalid places. Any other invalid character is a mistake or a second recipient.
        None => text.chars().all(|c| c == '.' || is_atom(c)).then(|| text.to_owned()).filter(|text| text.chars().any(is_atom))?,
    };
    if content.len() > LOCAL_PART_LIMIT {
        return None;
    }
    if content.split('.').all(|atom| !atom.is_empty() && atom.chars().all(is_atom)) {
        return Some(content);
    }
    Some(format!("\"{}\"", content.replace('\\', r"\\").replace('"', "\\\"")))
}

/// The content of a quoted string. `None` for an invalid one.
fn unescaped(quoted: &str) -> Option<String> {
    let (mut content, mut chars) = (String::new(), quoted.chars());
    while let Some(c) = chars.next() {
        let c = match c {
            '\\' => chars.next()?,
            '"' => return None,
            c => c,
        };
        if !matches!(c, ' '..='~') && !is_letter_beyond_ascii(c) {
            return None;
        }
        content.push(c);
    }
    Some(content)
}

/// Whether RFC 5322 or RFC 6532 (for characters beyond ASCII) allows the character in an atom.
fn is_atom(c: char) -> bool {
    c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~".contains(c) || is_letter_beyond_ascii(c)
}

/// Excludes invisible characters and those that change the direction of the text.
fn is_letter_beyond_ascii(c: char) -> bool {
    let is_format = matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}');
    !c.is_ascii() && !c.is_control() && !c.is_whitespace() && !is_format
}

/// The domain: a DNS name in ASCII, or an address literal.
fn ascii_domain(text: &str) -> Option<String> {
    if let Some(literal) = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')) {
        let address = literal.strip_prefix("IPv6:").unwrap_or(literal);
        return address.parse::<std::net::IpAddr>().is_ok().then(|| text.to_owned());
    }
    if text.is_ascii() {
        return is_domain(text).then(|| text.to_owned());
    }
    // The host of a URL may be percent-encoded, but the domain of a mail address must not be.
    match Host::parse(text).ok().filter(|_| !text.contains('%'))? {
        Host::Domain(domain) => Some(domain).filter(|domain| is_domain(domain)),
        Host::Ipv4(_) | Host::Ipv6(_) => None,
    }
}

fn is_domain(text: &str) -> bool {
    let inner = |c: u8| c.is_ascii_alphanumeric() || c == b'-' || c == b'_';
    let is_label = |label: &str| {
        let hyphened = label.starts_with('-') || label.ends_with('-');
        (1..=LABEL_LIMIT).contains(&label.len()) && label.bytes().all(inner) && !hyphened
    };
    text.len() <= DOMAIN_LIMIT && text.split('.').all(is_label)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(typed: &str, sent: &str) {
        let address = EmailAddress::parse(typed).unwrap_or_else(|| panic!("{typed} is refused"));
        assert_eq!(address.whole(), sent);
        assert!(EmailAddress::parse(sent) == Some(address), "{sent} does not read back");
    }

    #[test]
    fn an_address_is_converted_to_the_form_of_smtp() {
        for same in
            ["a+printer@example.com", "o'neil@example.co.uk", "ana@localhost", "a@[192.0.2.1]", "a@[IPv6:2001:db8::1]", "jörg@example.com"]
        {
            check(same, same);
        }
        check(" ana@example.com\n", "ana@example.com");
        check("ana.@docomo.ne.jp", "\"ana.\"@docomo.ne.jp");
        check("ana..b@ezweb.ne.jp", "\"ana..b\"@ezweb.ne.jp");
        check(".ana@example.com", "\".ana\"@example.com");
        check("\"ana\"@example.com", "ana@example.com");
        check("\"ana miller\"@example.com", "\"ana miller\"@example.com");
        check(r#""a\"b\\c@d"@example.com"#, r#""a\"b\\c@d"@example.com"#);
        check("name@bücher.example", "name@xn--bcher-kva.example");
        check("用户@例子.广告", "用户@xn--fsqu00a.xn--4rr70v");
        check("ana@почта。рф", "ana@xn--80a1acny.xn--p1ai");
    }

    #[test]
    fn an_address_cannot_carry_a_header_or_a_second_recipient() {
        for bad in [
            "a@example.com\r\nBcc: b@example.com",
            "\"a\r\nBcc: b\"@example.com",
            "a@example.com, b@example.com",
            "a@b@example.com",
            "a b@example.com",
            "<a@example.com>",
            "\"a\"b\"@example.com",
            "\"a\\\"@example.com",
            "\u{202e}ana@example.com",
            "...@example.com",
            "",
            "a",
            "@example.com",
            "a@",
            "a@exa mple.com",
            "a@example..com",
            "a@-example.com",
            "a@ex%61mple.com",
            "a@bü%63her.example",
            "a@１９２.0.2.1",
            "\"@example.com",
        ] {
            assert!(EmailAddress::parse(bad).is_none(), "{bad:?}");
        }
        assert!(EmailAddress::parse(&format!("{}@example.com", "a".repeat(65))).is_none());
    }

    #[test]
    fn a_masked_address_shows_only_the_first_and_last_letter() {
        let masked = |address: &str| EmailAddress::parse(address).unwrap().masked();
        assert_eq!(masked("alice@example.com"), "a***e@example.com");
        assert_eq!(masked("al@example.com"), "a***@example.com");
        assert_eq!(masked("a@example.com"), "***@example.com");
        assert_eq!(masked("\"ana miller\"@example.com"), "a***r@example.com");
        assert_eq!(masked("\"\"@example.com"), "***@example.com");
    }
}

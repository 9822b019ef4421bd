//! The clauses of [`Mailer`]. The rules are those of Amazon SES's SendRawEmail
//! (<https://docs.aws.amazon.com/ses/latest/APIReference/API_SendRawEmail.html>).

use onething::login::EmailAddress;
use onething::mail::{Letter, MailError, Mailer};

use super::{Broken, Kept, Verdict, holds, judge, refuses, same};

/// Where mail is sent from, and where it ends up.
pub trait Post {
    type Mailer: Mailer;

    fn mailer(&self) -> &Self::Mailer;
    /// An address that mail may come from.
    fn sender(&self) -> &str;
    /// All mail that has ever arrived, as soon as it is so much.
    async fn arrived(&self, at_least: usize) -> Vec<Arrived>;
}

/// A letter that has arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arrived {
    pub recipients: Vec<String>,
    pub message: Vec<u8>,
}

pub async fn judge<P: Post>(fresh: impl AsyncFn() -> P) -> Vec<Verdict> {
    judge![fresh;
        a_letter_that_is_taken_arrives_once,
        a_letter_arrives_as_it_was_written,
        a_letter_goes_to_its_recipient_and_to_nobody_else,
        a_sender_who_is_not_verified_is_refused,
    ]
}

fn letter(from: &str, to: &str, message: &str) -> Result<Letter, Broken> {
    let to = EmailAddress::parse(to).ok_or_else(|| Broken::here("an address"))?;
    Ok(Letter { from: from.to_owned(), to, message: message.replace('\n', "\r\n").into_bytes(), label: None })
}

fn message(from: &str, to: &str, text: &str) -> String {
    format!("From: {from}\nTo: {to}\nSubject: Your printer\nMIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\n\n{text}\n")
}

/// Sends the letters; what has arrived afterwards and had not before.
async fn delivered<P: Post>(post: &P, letters: Vec<Letter>) -> Result<Vec<Arrived>, Broken> {
    let (before, sent) = (post.arrived(0).await.len(), letters.len());
    for letter in letters {
        post.mailer().send(letter).await?;
    }
    Ok(post.arrived(before + sent).await.split_off(before))
}

async fn a_letter_that_is_taken_arrives_once(post: &impl Post) -> Kept {
    let texts = ["the first", "the second", "the third"];
    let letters: Result<Vec<_>, _> = texts
        .iter()
        .map(|text| letter(post.sender(), "ana@mail.example.com", &message(post.sender(), "ana@mail.example.com", text)))
        .collect();
    let arrived = delivered(post, letters?).await?;
    let with = |text: &str| arrived.iter().filter(|letter| String::from_utf8_lossy(&letter.message).contains(text)).count();
    same(texts.map(with), [1, 1, 1], "how often each has arrived")?;
    same(arrived.len(), 3, "letters")
}

/// SES puts lines of its own above the header, such as Message-ID
/// (<https://docs.aws.amazon.com/ses/latest/dg/send-email-raw.html>). From there on no byte is another; only of the
/// empty lines at the end there may be one more, because SMTP ends a message with the end of a line.
async fn a_letter_arrives_as_it_was_written(post: &impl Post) -> Kept {
    let text = format!(".\n..\n.begins with a dot\nFrom here on\n\n=3D =\n{}\n\n\n. and so does the last", "x".repeat(998));
    let written = letter(post.sender(), "ana@mail.example.com", &message(post.sender(), "ana@mail.example.com", &text))?;
    let expected = String::from_utf8_lossy(&written.message).into_owned();
    let arrived = delivered(post, vec![written]).await?;
    same(arrived.len(), 1, "letters")?;
    let found = String::from_utf8_lossy(&arrived[0].message).into_owned();
    let found = found.strip_suffix("\r\n\r\n").map_or(found.clone(), |found| format!("{found}\r\n"));
    let (above, letter) = found.split_at(found.find("From: ").unwrap_or_default());
    same(letter, expected, "the letter")?;
    holds(above.is_empty() || above.ends_with("\r\n"), "what is added are whole lines")
}

/// `Destinations`: where it is given, the header names nobody.
async fn a_letter_goes_to_its_recipient_and_to_nobody_else(post: &impl Post) -> Kept {
    let header = "Ben <ben@mail.example.com>\nCc: cleo@mail.example.com\nBcc: dora@mail.example.com";
    let written = letter(post.sender(), "ana@mail.example.com", &message(post.sender(), header, "Hello"))?;
    let arrived = delivered(post, vec![written]).await?;
    let recipients: Vec<_> = arrived.into_iter().flat_map(|letter| letter.recipients).collect();
    same(recipients, ["ana@mail.example.com"], "the recipients")
}

/// "You can only send email from verified email addresses or domains."
async fn a_sender_who_is_not_verified_is_refused(post: &impl Post) -> Kept {
    let stranger = "stranger@elsewhere.example.org";
    let written = letter(stranger, "ana@mail.example.com", &message(stranger, "ana@mail.example.com", "Hello"))?;
    let before = post.arrived(0).await.len();
    let outcome = post.mailer().send(written).await;
    refuses(&outcome, |error| matches!(error, MailError::NotVerified(_)), "mail of a stranger")?;
    holds(post.arrived(before).await.len() == before, "nothing has arrived")
}

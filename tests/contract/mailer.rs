//! The clauses of [`Mailer`]. The rules are those of Amazon SES's SendRawEmail
//! (<https://docs.aws.amazon.com/ses/latest/APIReference/API_SendRawEmail.html>).

use onething::login::EmailAddress;
use onething::mail::{Letter, MailError, Mailer};

use super::{Broken, Kept, Verdict, holds, judge, refuses, same};

/// A mailer, and the mail that has arrived.
pub trait Post {
    type Mailer: Mailer;

    fn mailer(&self) -> &Self::Mailer;
    /// An address that the mailer accepts as a sender.
    fn sender(&self) -> &str;
    /// All mails that have ever arrived, once there are `at_least` that many.
    async fn arrived(&self, at_least: usize) -> Vec<Arrived>;
}

/// A mail that has arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arrived {
    pub recipients: Vec<String>,
    pub message: Vec<u8>,
}

pub async fn judge<P: Post>(fresh: impl AsyncFn() -> P) -> Vec<Verdict> {
    judge![fresh;
        an_accepted_mail_arrives_once,
        a_mail_arrives_unchanged,
        a_mail_goes_only_to_its_recipient,
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

/// Sends the mails and returns those that have arrived since.
async fn delivered<P: Post>(post: &P, letters: Vec<Letter>) -> Result<Vec<Arrived>, Broken> {
    let (before, sent) = (post.arrived(0).await.len(), letters.len());
    for letter in letters {
        post.mailer().send(letter).await?;
    }
    Ok(post.arrived(before + sent).await.split_off(before))
}

async fn an_accepted_mail_arrives_once(post: &impl Post) -> Kept {
    let texts = ["the first", "the second", "the third"];
    let letters: Result<Vec<_>, _> = texts
        .iter()
        .map(|text| letter(post.sender(), "ana@mail.example.com", &message(post.sender(), "ana@mail.example.com", text)))
        .collect();
    let arrived = delivered(post, letters?).await?;
    let with = |text: &str| arrived.iter().filter(|letter| String::from_utf8_lossy(&letter.message).contains(text)).count();
    same(texts.map(with), [1, 1, 1], "how often each mail has arrived")?;
    same(arrived.len(), 3, "letters")
}

/// SES adds header lines at the top, such as Message-ID (<https://docs.aws.amazon.com/ses/latest/dg/send-email-raw.html>). The
/// rest is unchanged byte by byte, except that one more empty line at the end is allowed, because SMTP ends a message with a line
/// end.
async fn a_mail_arrives_unchanged(post: &impl Post) -> Kept {
    let text = format!(".\n..\n.begins with a dot\nFrom here on\n\n=3D =\n{}\n\n\n. and so does the last", "x".repeat(998));
    let written = letter(post.sender(), "ana@mail.example.com", &message(post.sender(), "ana@mail.example.com", &text))?;
    let expected = String::from_utf8_lossy(&written.message).into_owned();
    let arrived = delivered(post, vec![written]).await?;
    same(arrived.len(), 1, "letters")?;
    let found = String::from_utf8_lossy(&arrived[0].message).into_owned();
    let found = found.strip_suffix("\r\n\r\n").map_or(found.clone(), |found| format!("{found}\r\n"));
    let (above, letter) = found.split_at(found.find("From: ").unwrap_or_default());
    same(letter, expected, "the letter")?;
    holds(above.is_empty() || above.ends_with("\r\n"), "only whole lines are added")
}

/// `Destinations`: if the parameter is given, the recipients in the header are ignored.
async fn a_mail_goes_only_to_its_recipient(post: &impl Post) -> Kept {
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
    refuses(&outcome, |error| matches!(error, MailError::NotVerified(_)), "mail of an unknown sender")?;
    holds(post.arrived(before).await.len() == before, "nothing has arrived")
}

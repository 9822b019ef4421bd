//! Mail into a folder: one `.eml` per message, for a mail program, an editor or a test to open.
//!
//! A message appears whole or not at all, under a name that sorts by time, and only its owner can read it:
//! there is a private key in it.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use mail_parser::{MessageParser, MimeHeaders};
use onething::deliver::{Letter, MailError, Mailer};

use crate::clock;

/// A folder that takes mail.
#[derive(Clone)]
pub struct MailFolder {
    path: PathBuf,
    /// What was sent by this process, oldest first, and the microsecond of the last.
    sent: Arc<Mutex<(Vec<PathBuf>, u64)>>,
}

impl MailFolder {
    /// Opens a folder, and makes it where there is none.
    pub fn open(path: &Path) -> io::Result<Self> {
        let mut folder = DirBuilder::new();
        folder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut folder, 0o700);
        folder.create(path)?;
        Ok(Self { path: path.to_owned(), sent: Arc::default() })
    }

    /// The messages that this process has sent, oldest first.
    pub fn sent(&self) -> Vec<PathBuf> {
        self.sent.lock().unwrap_or_else(PoisonError::into_inner).0.clone()
    }

    /// Saves the attachment of a message beside it, as a mail program does.
    pub fn save_attachment(&self, message: &Path) -> io::Result<PathBuf> {
        let message = fs::read(message)?;
        let parsed = MessageParser::default().parse(&message);
        let attachment = parsed.as_ref().and_then(|parsed| parsed.attachment(0));
        let named = attachment.and_then(|part| Some((Path::new(part.attachment_name()?).file_name()?, part.contents())));
        let (name, content) = named.ok_or_else(|| io::Error::other("the message has no attachment"))?;
        write_whole(&self.path.join(name), content)?;
        Ok(self.path.join(name))
    }

    fn take(&self, message: &[u8]) -> io::Result<()> {
        let mut sent = self.sent.lock().unwrap_or_else(PoisonError::into_inner);
        // Two messages of one microsecond, or a clock set back, must not change the order.
        let micros = clock::micros().max(sent.1 + 1);
        let path = self.path.join(format!("{}.eml", clock::file_name(micros)));
        write_whole(&path, message)?;
        sent.0.push(path);
        sent.1 = micros;
        Ok(())
    }
}

impl Mailer for MailFolder {
    async fn send(&self, letter: Letter) -> Result<(), MailError> {
        let folder = self.clone();
        let written = tokio::task::spawn_blocking(move || folder.take(&letter.message)).await;
        match written {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(MailError::Refused(error.to_string())),
            Err(_) => Err(MailError::Unclear("the mailbox broke down".into())),
        }
    }
}

/// Writes a file under another name and moves it into place, where it replaces an older one.
fn write_whole(path: &Path, content: &[u8]) -> io::Result<()> {
    let unfinished = path.with_added_extension(format!("{}.tmp", std::process::id()));
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let written = options.open(&unfinished).and_then(|mut file| {
        file.write_all(content)?;
        file.sync_all()
    });
    let moved = written.and_then(|()| fs::rename(&unfinished, path));
    if moved.is_err() {
        // What is half written holds a key; whether it could be removed changes nothing for the caller.
        let _ = fs::remove_file(&unfinished);
    }
    moved
}

#[cfg(test)]
mod tests {
    use onething::identify::EmailAddress;

    use super::*;

    const MESSAGE: &str = "From: a@example.com\r\nTo: b@example.com\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n\
        --x\r\nContent-Type: text/plain\r\n\r\nHello\r\n\
        --x\r\nContent-Type: application/zip\r\nContent-Disposition: attachment; filename=\"NAME\"\r\n\
        Content-Transfer-Encoding: base64\r\n\r\nUEs=\r\n--x--\r\n";

    fn letter(message: &str) -> Letter {
        Letter { from: "a@example.com".into(), to: EmailAddress::parse("b@example.com").unwrap(), message: message.into(), label: None }
    }

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(folder).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[tokio::test]
    async fn messages_lie_in_the_folder_in_the_order_they_came() {
        let place = tempfile::tempdir().unwrap();
        let mail = MailFolder::open(&place.path().join("a/mail")).unwrap();
        for number in 0..20 {
            mail.send(letter(&number.to_string())).await.unwrap();
        }
        let contents = names(&mail.path).iter().map(|name| fs::read_to_string(mail.path.join(name)).unwrap()).collect::<Vec<_>>();
        assert_eq!(contents, (0..20).map(|number| number.to_string()).collect::<Vec<_>>());
        assert_eq!(mail.sent().len(), 20);
        assert!(names(&mail.path).iter().all(|name| name.ends_with("Z.eml")));
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn nobody_else_can_read_a_message() {
        use std::os::unix::fs::PermissionsExt;
        let place = tempfile::tempdir().unwrap();
        let mail = MailFolder::open(&place.path().join("mail")).unwrap();
        mail.send(letter(&MESSAGE.replace("NAME", "a.zip"))).await.unwrap();
        let bundle = mail.save_attachment(&mail.sent()[0]).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&mail.path), mode(&mail.sent()[0]), mode(&bundle)), (0o700, 0o600, 0o600));
    }

    #[tokio::test]
    async fn an_attachment_is_saved_beside_its_message_whatever_path_it_names() {
        let place = tempfile::tempdir().unwrap();
        let mail = MailFolder::open(place.path()).unwrap();
        mail.send(letter(&MESSAGE.replace("NAME", "../../thing.zip"))).await.unwrap();
        for _again in 0..2 {
            let saved = mail.save_attachment(&mail.sent()[0]).unwrap();
            assert_eq!(saved, place.path().join("thing.zip"));
            assert_eq!(fs::read(saved).unwrap(), b"PK");
        }
        assert_eq!(names(place.path()).len(), 2);
    }

    #[tokio::test]
    async fn a_folder_that_is_gone_refuses_mail_and_leaves_nothing() {
        let place = tempfile::tempdir().unwrap();
        let mail = MailFolder::open(&place.path().join("mail")).unwrap();
        fs::remove_dir(&mail.path).unwrap();
        assert!(matches!(mail.send(letter("x")).await, Err(MailError::Refused(_))));
        assert!(mail.sent().is_empty());
    }
}

use std::time::Duration;

use onething::certificate::Certificate;
use onething::identifiers::{OwnerId, ThingName, ThingPrefix};
use onething::login::EmailAddress;
use onething::mail::bundle::Broker;
use onething::mail::{Label, Parcel, Sender, compose};
use onething::speech::locales::Locale;

use super::*;
use crate::authority::Authority;
use onething_device::bundle::Bundle;

const NOW: u64 = 1_795_305_600;
const MESSAGE: &str = "From: a@example.com\r\nTo: b@example.com\r\nSubject: Hi\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n\
    --x\r\nContent-Type: text/plain\r\n\r\nHello\r\n\
    --x\r\nContent-Type: application/zip\r\nContent-Disposition: attachment; filename=\"NAME\"\r\n\
    Content-Transfer-Encoding: base64\r\n\r\nUEs=\r\n--x--\r\n";

fn letter(message: &str) -> Letter {
    Letter { from: "a@example.com".into(), to: EmailAddress::parse("b@example.com").unwrap(), message: message.into(), label: None }
}

fn to(address: &str, text: &str) -> Letter {
    let message = format!("From: Hub <a@example.com>\r\nTo: {address}\r\nSubject: {text}\r\n\r\n{text}\r\n");
    Letter { to: EmailAddress::parse(address).unwrap(), ..letter(&message) }
}

struct Owner {
    thing: ThingName,
    certificate: Certificate,
    broker: Broker,
}

impl Owner {
    fn new() -> Self {
        let authority = Authority::new(NOW).unwrap();
        let thing = ThingName::of(&ThingPrefix::parse("3D_Printer-").unwrap(), &OwnerId::parse("amzn1.account.ANA").unwrap());
        let broker =
            Broker { host: "localhost".into(), port: 8883, roots: vec![("RootCA.pem".into(), authority.root_pem())], register: None };
        Self { thing, certificate: authority.issue(NOW).unwrap(), broker }
    }

    /// The mail with a bundle, as the skill composes it.
    fn letter(&self) -> Letter {
        let to = EmailAddress::parse("ana@example.com").unwrap();
        let parcel = Parcel {
            name: Some("Ana Müller"),
            to: &to,
            thing: &self.thing,
            device: "3D printer",
            invocation: "my printer",
            device_model: "",
            broker: &self.broker,
            locale: Locale::of(Some("en-US")),
            now: NOW,
        };
        compose(&Sender { from: "Hub <hub@localhost>".parse().unwrap(), reply_to: None }, &parcel, &self.certificate).unwrap()
    }
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn subjects(mail: &MailFolder, to: Option<&str>) -> Vec<String> {
    mail.messages(to).unwrap().into_iter().map(|message| message.subject).collect()
}

/// A folder with three mails to two recipients.
async fn some_mail(path: &Path) -> MailFolder {
    let mail = MailFolder::open(path).unwrap();
    for (address, text) in [("ana@example.com", "one"), ("ben@example.com", "two"), ("ana@example.com", "three")] {
        mail.send(to(address, text)).await.unwrap();
    }
    mail
}

#[tokio::test]
async fn messages_are_listed_in_the_order_of_arrival() {
    let place = tempfile::tempdir().unwrap();
    let mail = MailFolder::open(&place.path().join("a/mail")).unwrap();
    for number in 0..20 {
        mail.send(letter(&number.to_string())).await.unwrap();
    }
    let mut names = names(&mail.path);
    assert_eq!(names.pop().as_deref(), Some(index::FILE));
    let contents = names.iter().map(|name| fs::read_to_string(mail.path.join(name)).unwrap()).collect::<Vec<_>>();
    assert_eq!(contents, (0..20).map(|number| number.to_string()).collect::<Vec<_>>());
    assert_eq!(mail.sent().len(), 20);
    assert!(names.iter().all(|name| name.ends_with("Z.eml")));
}

#[cfg(unix)]
#[tokio::test]
async fn files_and_folder_are_readable_only_by_the_owner() {
    use std::os::unix::fs::PermissionsExt;
    let place = tempfile::tempdir().unwrap();
    let mail = MailFolder::open(&place.path().join("mail")).unwrap();
    mail.send(letter(&MESSAGE.replace("NAME", "a.zip"))).await.unwrap();
    let bundle = mail.save_attachment(&mail.sent()[0]).unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&mail.path), 0o700);
    for file in [&mail.sent()[0], &bundle, &mail.path.join(index::FILE)] {
        assert_eq!(mode(file), 0o600, "{}", file.display());
    }
}

#[tokio::test]
async fn an_attachment_is_saved_in_the_mail_folder_whatever_path_it_names() {
    let place = tempfile::tempdir().unwrap();
    let mail = MailFolder::open(place.path()).unwrap();
    mail.send(letter(&MESSAGE.replace("NAME", "../../thing.zip"))).await.unwrap();
    for _again in 0..2 {
        let saved = mail.save_attachment(&mail.sent()[0]).unwrap();
        assert_eq!(saved, place.path().join("thing.zip"));
        assert_eq!(fs::read(saved).unwrap(), b"PK");
    }
    assert_eq!(names(place.path()).len(), 3);
    for taken in [index::FILE, "20261122T000405.000006Z.eml"] {
        mail.send(letter(&MESSAGE.replace("NAME", taken))).await.unwrap();
        assert!(mail.save_attachment(mail.sent().last().unwrap()).is_err(), "{taken} would be overwritten");
    }
}

#[tokio::test]
async fn a_deleted_folder_refuses_mail_and_is_not_created_again() {
    let place = tempfile::tempdir().unwrap();
    let mail = MailFolder::open(&place.path().join("mail")).unwrap();
    fs::remove_dir_all(&mail.path).unwrap();
    assert!(matches!(mail.send(letter("x")).await, Err(MailError::Refused(_))));
    assert!(mail.sent().is_empty() && mail.messages(None).unwrap().is_empty());
}

#[tokio::test]
async fn a_message_has_the_parts_that_a_mail_program_shows() {
    let place = tempfile::tempdir().unwrap();
    let mail = MailFolder::open(place.path()).unwrap();
    let owner = Owner::new();
    let letter = owner.letter();
    let raw = letter.message.clone();
    mail.send(letter).await.unwrap();
    let message = mail.messages(Some("ANA@example.com")).unwrap().remove(0);
    assert_eq!((message.from.as_str(), message.to.as_str()), ("Hub <hub@localhost>", "ana@example.com"));
    assert!(message.text.contains("Ana Müller") && message.html.as_ref().unwrap().contains("<"), "{}", message.text);
    assert_eq!(message.thing.as_deref(), Some(owner.thing.as_str()));
    assert_eq!(message.certificate.as_deref(), Some(owner.certificate.id.as_str()));
    assert_eq!(mail.html(&message.id).unwrap(), message.html);
    assert!(mail.raw(&message.id).unwrap() == Some(raw));
    let (name, content) = mail.attachment(&message.id).unwrap().unwrap();
    let shown = message.attachment.unwrap();
    assert_eq!((&shown.name, shown.size), (&name, content.len()));
    assert_eq!(name, format!("{}.zip", owner.thing));
    assert_eq!(Bundle::open(&content).unwrap().connection.thing_name, owner.thing.as_str());
}

#[tokio::test]
async fn plain_text_has_no_html_and_no_attachment() {
    let place = tempfile::tempdir().unwrap();
    let mail = some_mail(place.path()).await;
    let message = mail.messages(None).unwrap().remove(0);
    assert_eq!((message.text.trim(), message.html, message.attachment), ("one", None, None));
    assert_eq!((mail.html(&message.id).unwrap(), mail.attachment(&message.id).unwrap()), (None, None));
}

#[tokio::test]
async fn messages_are_filtered_by_recipient() {
    let place = tempfile::tempdir().unwrap();
    let mail = some_mail(place.path()).await;
    assert_eq!(subjects(&mail, Some("ana@example.com")), ["one", "three"]);
    assert_eq!(subjects(&mail, Some("ben@example.com")), ["two"]);
    assert_eq!(subjects(&mail, Some("example.com")), [""; 0]);
    assert_eq!(subjects(&mail, None), ["one", "two", "three"]);
}

#[tokio::test]
async fn an_id_cannot_name_another_file() {
    let place = tempfile::tempdir().unwrap();
    fs::write(place.path().join("secret.eml"), "x").unwrap();
    let mail = some_mail(&place.path().join("mail")).await;
    for id in ["../secret.eml", "secret.eml", "", ".", "index.jsonl", "/etc/passwd", "a\0b"] {
        assert_eq!(mail.raw(id).unwrap(), None, "{id:?}");
        assert_eq!((mail.html(id).unwrap(), mail.attachment(id).unwrap()), (None, None));
    }
}

#[cfg(unix)]
#[tokio::test]
async fn a_symbolic_link_in_the_folder_is_not_a_message() {
    let place = tempfile::tempdir().unwrap();
    fs::write(place.path().join("secret"), "x").unwrap();
    some_mail(&place.path().join("mail")).await;
    std::os::unix::fs::symlink(place.path().join("secret"), place.path().join("mail/link.eml")).unwrap();
    assert_eq!(MailFolder::open(&place.path().join("mail")).unwrap().sent().len(), 3);
}

#[tokio::test]
async fn a_new_message_wakes_a_receiver() {
    let place = tempfile::tempdir().unwrap();
    let mail = MailFolder::open(place.path()).unwrap();
    let mut arrivals = mail.arrivals();
    let waiting = tokio::spawn(async move { arrivals.changed().await.map(|()| *arrivals.borrow_and_update()).unwrap() });
    mail.send(letter("x")).await.unwrap();
    assert_eq!(tokio::time::timeout(Duration::from_secs(10), waiting).await.unwrap().unwrap(), 1);
}

#[tokio::test]
async fn mail_and_its_order_survive_a_restart() {
    let place = tempfile::tempdir().unwrap();
    let before = some_mail(place.path()).await;
    let written = fs::read(place.path().join(index::FILE)).unwrap();
    let mail = MailFolder::open(place.path()).unwrap();
    assert_eq!(fs::read(place.path().join(index::FILE)).unwrap(), written, "a correct index is not written again");
    assert!(mail.entries(None) == before.entries(None));
    mail.send(to("ana@example.com", "four")).await.unwrap();
    assert_eq!(subjects(&MailFolder::open(place.path()).unwrap(), None), ["one", "two", "three", "four"]);
}

#[tokio::test]
async fn a_clock_that_was_set_back_does_not_change_the_order() {
    let place = tempfile::tempdir().unwrap();
    let future = format!("{}.eml", clock::file_name(clock::micros() + 3_600_000_000));
    fs::write(place.path().join(future), to("ana@example.com", "from the future").message).unwrap();
    let mail = some_mail(place.path()).await;
    assert_eq!(subjects(&mail, None), ["from the future", "one", "two", "three"]);
    assert_eq!(subjects(&MailFolder::open(place.path()).unwrap(), None), ["from the future", "one", "two", "three"]);
}

#[tokio::test]
async fn a_truncated_missing_or_invalid_index_is_rebuilt() {
    let place = tempfile::tempdir().unwrap();
    let owner = Owner::new();
    some_mail(place.path()).await.send(owner.letter()).await.unwrap();
    let path = place.path().join(index::FILE);
    let whole = fs::read(&path).unwrap();
    for cut in (0..whole.len()).step_by(11) {
        fs::write(&path, &whole[..cut]).unwrap();
        Index::open(place.path()).unwrap();
        assert!(fs::read(&path).unwrap() == whole, "cut at {cut}");
    }
    for nonsense in [b"\xff\n{}\n[]".to_vec(), [&whole[..], &whole[..]].concat(), [&b"{\"id\":\"../x.eml\"}\n"[..], &whole[..]].concat()] {
        fs::write(&path, nonsense).unwrap();
        Index::open(place.path()).unwrap();
        assert!(fs::read(&path).unwrap() == whole);
    }
    fs::remove_file(&path).unwrap();
    let mail = MailFolder::open(place.path()).unwrap();
    assert!(fs::read(&path).unwrap() == whole);
    assert_eq!(mail.entries(None)[3].certificate.as_deref(), Some(owner.certificate.id.as_str()), "the id comes from the bundle");
}

#[tokio::test]
async fn messages_deleted_or_added_by_hand_are_detected() {
    let place = tempfile::tempdir().unwrap();
    let mail = some_mail(place.path()).await;
    fs::remove_file(&mail.sent()[1]).unwrap();
    fs::write(place.path().join("note.eml"), to("ben@example.com", "by hand").message).unwrap();
    fs::write(place.path().join("note.txt"), "no mail").unwrap();
    assert_eq!(subjects(&mail, None), ["one", "three"], "a deleted message is omitted without opening the folder again");
    let mail = MailFolder::open(place.path()).unwrap();
    assert_eq!(mail.entries(None).len(), 3);
    assert_eq!(subjects(&mail, Some("ben@example.com")), ["by hand"]);
    fs::write(place.path().join("note.eml"), to("ben@example.com", "by another hand").message).unwrap();
    assert_eq!(subjects(&MailFolder::open(place.path()).unwrap(), Some("ben@example.com")), ["by another hand"]);
}

#[tokio::test]
async fn partial_files_of_a_crashed_process_are_removed() {
    let place = tempfile::tempdir().unwrap();
    some_mail(place.path()).await;
    fs::write(place.path().join("20261122T000405.000006Z.eml.77.tmp"), "PRIVATE").unwrap();
    MailFolder::open(place.path()).unwrap();
    assert!(names(place.path()).iter().all(|name| !name.ends_with(".tmp")));
}

#[tokio::test]
async fn an_index_that_could_not_be_written_is_repaired_by_the_next_mail() {
    let place = tempfile::tempdir().unwrap();
    let mail = some_mail(place.path()).await;
    let path = place.path().join(index::FILE);
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    mail.send(to("ana@example.com", "four")).await.unwrap();
    assert_eq!(subjects(&mail, None).len(), 4, "the mail counts as sent");
    fs::remove_dir(&path).unwrap();
    mail.send(to("ana@example.com", "five")).await.unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap().lines().count(), 5);
}

#[tokio::test]
async fn the_index_contains_the_label_of_a_letter() {
    let place = tempfile::tempdir().unwrap();
    let owner = Owner::new();
    let label = Label { thing: owner.thing.clone(), certificate: owner.certificate.id.clone() };
    let folder = MailFolder::open(place.path()).unwrap();
    folder.send(Letter { label: Some(label), ..to("ana@example.com", "no bundle") }).await.unwrap();
    let entry = folder.entries(None).remove(0);
    assert_eq!((entry.thing.as_deref(), entry.certificate.as_deref()), (Some(owner.thing.as_str()), Some(owner.certificate.id.as_str())));
}

#[test]
fn concurrent_probes_succeed_and_leave_no_file() {
    let place = tempfile::tempdir().unwrap();
    let mail = MailFolder::open(place.path()).unwrap();
    std::thread::scope(|scope| {
        let asking = (0..8).map(|_| scope.spawn(|| (0..20).try_for_each(|_| mail.probe())));
        let asking: Vec<_> = asking.collect();
        asking.into_iter().for_each(|asked| asked.join().unwrap().unwrap());
    });
    let left = fs::read_dir(place.path()).unwrap().map(|file| file.unwrap().file_name());
    assert_eq!(left.filter(|name| name != index::FILE).count(), 0);
    fs::remove_dir_all(place.path()).unwrap();
    assert!(mail.probe().is_err());
}

#[tokio::test]
async fn messages_are_found_by_the_address_as_its_owner_typed_it() {
    let place = tempfile::tempdir().unwrap();
    let mail = MailFolder::open(place.path()).unwrap();
    let typed = ["ana.@docomo.ne.jp", "ana..b@ezweb.ne.jp", "ana@bücher.example", "jörg@example.com"];
    for address in typed {
        let written = EmailAddress::parse(address).unwrap().whole();
        mail.send(Letter { to: EmailAddress::parse(address).unwrap(), ..to(&written, address) }).await.unwrap();
    }
    for address in typed {
        assert_eq!(mail.messages(Some(address)).unwrap().len(), 1, "{address}");
    }
}

//! With `SMTP_URL` mail goes out by that server: a real one, which takes whatever comes.

use mail_parser::{MessageParser, MimeHeaders};

use crate::bundle::Bundle;
use crate::harness::{Starting, serve};

#[allow(dead_code, reason = "the story of the Lambda takes the rest of it")]
#[path = "../../../tests/harness/post_office.rs"]
mod post_office;

pub use crate::harness::within;

#[tokio::test(flavor = "multi_thread")]
async fn mail_goes_out_by_the_server_that_is_named() {
    let office = post_office::PostOffice::open().await;
    let place = tempfile::tempdir().unwrap();
    let mut command = serve(place.path());
    command.env("SMTP_URL", format!("smtp://{}", office.address)).env("MAIL_FROM", "Printers <printers@skill.example.com>");
    let hub = Starting::start(command).ready();
    hub.client().link("ana").await.unwrap();
    let mail = office.mail(0).await;
    assert_eq!((mail.sender.as_str(), mail.recipients.as_slice()), ("printers@skill.example.com", &["ana@example.com".to_owned()][..]));
    let message = MessageParser::default().parse(&mail.message).unwrap();
    let attachment = message.attachment(0).unwrap();
    assert!(attachment.attachment_name().unwrap().ends_with(".zip"));
    Bundle::open(attachment.contents()).reads_its_shadow(hub.mqtt_port()).await;
    assert_eq!(
        std::fs::read_dir(place.path().join("mail"))
            .unwrap()
            .filter(|file| file.as_ref().unwrap().path().extension() == Some("eml".as_ref()))
            .count(),
        0
    );
    hub.stop().await;
}

//! A shorter story on another emulator of AWS, moto: the control plane, the mail and the shadow. `tests/contract/gaps.rs` lists
//! its differences from AWS.

use serde_json::json;

use crate::harness::alexa::{Echo, Slot};
use crate::harness::aws::Aws;
use crate::harness::function::Function;
use crate::harness::ministack::{Account, describe, prepare, report};
use crate::harness::moto::Moto;
use crate::harness::operations::{creates, searches};
use crate::stack::{check_one_owner_one_thing, list};

#[tokio::test(flavor = "multi_thread")]
async fn an_onboarding_and_a_command_on_moto() {
    let moto = Moto::start().await;
    prepare(&moto.url, &Account::deployed()).await;
    let function = Function::with(Aws::in_front_of(&moto.url).await).await;
    let ada = function.welcomes("Ada");

    let mut echo = Echo::linked(&ada.token);
    let request = echo.launch();
    function.lambda.answer(&mut echo, &request).await.welcomes();

    let mails = moto.mails().await;
    let [mail] = mails.as_slice() else {
        panic!("{} mails", mails.len());
    };
    // moto adds the recipients of the header to those of the call.
    let recipients = list(mail, "destinations");
    assert!(!recipients.is_empty() && recipients.iter().all(|to| to.as_str() == ada.email.as_deref()), "{recipients:?}");
    let message = mail["raw_data"].as_str().expect("a raw message");
    let (read, bundle) = moto.open_mail(message).await;
    let attachments = list(&read, "attachments");
    assert_eq!(attachments.len(), 1, "{read:#}");

    let mailed = std::fs::read_to_string(bundle.join("certificate.pem")).expect("the certificate of the bundle");
    check_one_owner_one_thing(&describe(&moto.url).await, &ada, &mailed);

    // The command is in the shadow, and no resource was created or searched for.
    function.aws.forgets();
    echo.start_over();
    let request = echo.intent("PrintIntent", &[Slot::said("model", "vase")]);
    function.lambda.answer(&mut echo, &request).await.says(&["vase"]);
    let account = describe(&moto.url).await;
    let thing = &list(&account, "things")[0];
    let command = &thing["shadow"]["state"]["desired"]["command"];
    assert_eq!(command["name"], "print", "{thing:#}");
    assert_eq!(command["args"]["model"], "vase", "{thing:#}");
    let operations = function.aws.operations();
    assert!(!operations.iter().any(|name| creates(name) || searches(name)), "{operations:?}");

    let name = thing["name"].as_str().expect("the name of the thing");
    report(&moto.url, name, &json!({"status": "paused", "model": "vase", "progress": 40})).await;
    let request = echo.intent("StatusIntent", &[]);
    function.lambda.answer(&mut echo, &request).await.says(&["paused", "40"]);
}

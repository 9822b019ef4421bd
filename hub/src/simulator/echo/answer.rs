//! The effect of a skill's response on the session: the session ends, continues, or continues with a dialog.

use std::sync::Arc;

use serde_json::{Value, json};

use super::Echo;
use super::dialog::{Dialog, Directive};
use super::envelope::Session;
use super::output::EchoOutput;

impl Echo {
    /// Processes the response envelope of the skill, which ends or continues the session and the dialog.
    pub fn take_answer(&mut self, answer: &Value) -> EchoOutput {
        let response = &answer["response"];
        let mut output = EchoOutput::read(response);
        let Some(mut session) = self.session.take() else { return output };
        session.is_new = false;
        session.attributes = answer.get("sessionAttributes").cloned().unwrap_or_else(|| json!({}));
        if !response.is_object() {
            return self.not_valid(session, "an answer without a response");
        }
        let directive = Directive::read(&output.directives).map(|(directive, intent)| (directive, intent.cloned()));
        let stays = match response.get("shouldEndSession") {
            Some(Value::Bool(ends)) => !ends,
            Some(Value::Null) => true,
            Some(_) => false,
            // Without `shouldEndSession`, a device without a screen keeps the session open only for a dialog.
            None => directive.is_some(),
        };
        if !stays {
            return output;
        }
        output.listening = true;
        match directive {
            Some((directive, intent)) => self.lead(session, directive, intent, output),
            None => {
                session.dialog = None;
                self.session = Some(session);
                output
            }
        }
    }

    /// Continues a dialog by a directive of the skill.
    fn lead(&mut self, mut session: Session, directive: Directive, updated: Option<Value>, mut output: EchoOutput) -> EchoOutput {
        let before = session.dialog.take().map(|dialog| dialog.intent);
        let mut dialog = Dialog { intent: updated.or(before).unwrap_or_default(), question: None, automatic: false };
        let model = Arc::clone(&self.model);
        let known = match dialog.rules(&model, &directive) {
            Ok(known) => known,
            Err(fault) => return self.not_valid(session, &fault),
        };
        match directive {
            Directive::Ask(question) => dialog.question = Some(question),
            Directive::Delegate => match dialog.next(known) {
                Some((question, prompt)) => {
                    dialog.question = Some(question);
                    output.asked(&prompt);
                }
                None => {
                    let request = json!({"type": "IntentRequest", "dialogState": "COMPLETED", "intent": dialog.intent});
                    session.dialog = Some(dialog);
                    self.session = Some(session);
                    return EchoOutput { listening: false, follow_up: Some(self.in_session(request)), ..output };
                }
            },
        }
        session.dialog = Some(dialog);
        self.session = Some(session);
        output
    }

    /// Ends the session because of an invalid response: Alexa's error speech, and a `SessionEndedRequest` for the skill.
    fn not_valid(&mut self, session: Session, fault: &str) -> EchoOutput {
        self.session = Some(session);
        let error = json!({"type": "INVALID_RESPONSE", "message": fault});
        let request = self.last_of_session(json!({"type": "SessionEndedRequest", "reason": "ERROR", "error": error}));
        let speech = "There was a problem with the requested skill's response.".to_owned();
        EchoOutput { speech, follow_up: Some(request), ..EchoOutput::default() }
    }
}

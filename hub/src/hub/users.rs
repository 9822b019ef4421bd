//! What the users of a hub in trying mode do in the Alexa app, and how they come and go.

use std::sync::Arc;

use onething::identifiers::OwnerId;
use onething::lambda::invoke;
use serde_json::{Value, json};

use super::{ANSWER_WITHIN, Hub};
use crate::events::Subject;
use crate::sign_in::{LocalLogin, UserError, UserName};
use crate::simulator::echo_sessions::EchoSession;

/// How often a user who is removed is forgotten, until it has worked.
const FORGETS: usize = 3;

impl Hub {
    /// A user agrees that the skill may know them: Alexa gets a token, and tells the skill so.
    pub async fn link(&self, user: &UserName) -> Result<(), UserError> {
        let token = self.users.link(user).await?;
        self.enable(user).await;
        self.events.tell(user, Subject::Link);
        let mut echo_session = self.echo_sessions.of(user).await;
        echo_session.hold(Some(token));
        let event = echo_session.echo.linked_event();
        drop(echo_session);
        // What could not be done now is done with the first word.
        if let Some(event) = event {
            self.send(event).await;
        }
        Ok(())
    }

    /// A user takes that back.
    pub async fn unlink(&self, user: &UserName) -> Result<(), UserError> {
        self.users.unlink(user).await?;
        self.echo_sessions.of(user).await.hold(None);
        self.events.tell(user, Subject::Link);
        Ok(())
    }

    /// A user disables the skill: Alexa tells the skill so, and the link is over.
    pub async fn disable(&self, user: &UserName) -> Result<(), UserError> {
        let token = self.users.user(user, None).await?.token();
        let mut echo_session = self.echo_sessions.of(user).await;
        echo_session.hold(token);
        let event = echo_session.echo.disable();
        drop(echo_session);
        self.send(event).await;
        self.users.unlink(user).await?;
        for what in [Subject::Link, Subject::Echo] {
            self.events.tell(user, what);
        }
        Ok(())
    }

    /// A user enables the skill.
    pub async fn enable(&self, user: &UserName) {
        let mut echo_session = self.echo_sessions.of(user).await;
        let event = (!echo_session.echo.is_enabled()).then(|| echo_session.echo.enable());
        drop(echo_session);
        if let Some(event) = event {
            self.send(event).await;
        }
        self.events.tell(user, Subject::Echo);
    }

    /// Sends a request that has no answer to be heard.
    async fn send(&self, request: Value) {
        if let Err(failure) = invoke(Arc::clone(&self.skill), request, ANSWER_WITHIN).await {
            tracing::warn!(step = "request", "the skill did not take a request of the page: {failure}");
        }
    }

    /// Removes a user with all that is theirs: device, identity, conversation, mail. The last one stays.
    pub async fn remove_user(&self, user: &UserName) -> Result<(), UserError> {
        let users = self.users.users().await?;
        if users.iter().all(|one| one.user != *user) {
            return Ok(());
        }
        if users.len() == 1 {
            return Err(UserError::Last);
        }
        self.remove(user).await
    }

    /// Everything of the users is as at the first start.
    pub async fn reset(&self) -> Result<(), UserError> {
        for user in self.users.users().await? {
            self.remove(&user.user).await?;
        }
        first_users(&self.users).await?;
        for user in self.users.users().await? {
            for what in [Subject::Users, Subject::Echo, Subject::Mail, Subject::Device, Subject::Shadow] {
                self.events.tell(&user.user, what);
            }
        }
        Ok(())
    }

    async fn remove(&self, user: &UserName) -> Result<(), UserError> {
        self.devices.remove(user).await?;
        // Their identity goes as that of any owner who says "forget me".
        let address = self.users.user(user, None).await?.address().to_owned();
        let token = self.users.link(user).await?;
        let mut echo_session = self.echo_sessions.of(user).await;
        echo_session.hold(Some(token));
        // Another request may be at work on the thing, for as long as its lease.
        let mut is_forgotten = false;
        for _attempt in 0..FORGETS {
            self.say_forget_me(&mut echo_session).await;
            let is_theirs = |owner: Option<&OwnerId>| owner.and_then(UserName::of).as_ref() == Some(user);
            let things = self.registry.things().await;
            is_forgotten = things.is_ok_and(|things| !things.iter().any(|thing| is_theirs(thing.owner.as_ref())));
            if is_forgotten {
                break;
            }
        }
        if !is_forgotten {
            tracing::warn!(step = "lifecycle", "the thing of a user who was removed is still there");
        }
        drop(echo_session);
        self.users.remove(user).await?;
        self.echo_sessions.forget(user);
        let mail = self.mail.clone();
        let thrown = tokio::task::spawn_blocking(move || mail.remove(&address)).await.map_err(std::io::Error::other).flatten();
        if let Err(error) = thrown {
            tracing::warn!(step = "mail", "the mail of a user who was removed is still there: {error}");
        }
        self.events.tell(user, Subject::Users);
        Ok(())
    }

    /// "Forget me", and yes to what the skill asks then.
    async fn say_forget_me(&self, echo_session: &mut EchoSession) {
        for name in ["ForgetMeIntent", "AMAZON.YesIntent"] {
            let intent = json!({"name": name, "confirmationStatus": "CONFIRMED", "slots": {}});
            let request = echo_session.echo.request(json!({"type": "IntentRequest", "dialogState": "COMPLETED", "intent": intent}));
            match invoke(Arc::clone(&self.skill), request, ANSWER_WITHIN).await {
                Ok(response) => drop(echo_session.echo.take_answer(&response)),
                Err(failure) => tracing::warn!(step = "request", "the skill did not forget a user who was removed: {failure}"),
            }
        }
    }
}

/// The users of a hub that is new.
pub(super) async fn first_users(users: &LocalLogin) -> Result<(), UserError> {
    for name in ["Ana", "Ben"] {
        users.add(name, None).await?;
    }
    Ok(())
}

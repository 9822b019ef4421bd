//! The actions of local users in the Alexa app, such as linking an account, and the removal of local users.

use std::sync::Arc;

use onething::identifiers::OwnerId;
use onething::lambda::invoke;
use serde_json::{Value, json};

use super::{ANSWER_WITHIN, Hub};
use crate::events::Subject;
use crate::sign_in::{LocalLogin, UserError, UserName};
use crate::simulator::echo_sessions::EchoSession;

/// The number of attempts to delete the thing of a removed user.
const FORGETS: usize = 3;

impl Hub {
    /// Links a user's account to the skill: the Echo gets an access token, and Alexa sends the skill an `AccountLinked` event.
    pub async fn link(&self, user: &UserName) -> Result<(), UserError> {
        let token = self.users.link(user).await?;
        self.enable(user).await;
        self.events.tell(user, Subject::Link);
        let mut echo_session = self.echo_sessions.of(user).await;
        echo_session.hold(Some(token));
        let event = echo_session.echo.linked_event();
        drop(echo_session);
        // If the skill fails here, it creates the thing at the first utterance.
        if let Some(event) = event {
            self.send(event).await;
        }
        Ok(())
    }

    /// Removes the link between a user's account and the skill.
    pub async fn unlink(&self, user: &UserName) -> Result<(), UserError> {
        self.users.unlink(user).await?;
        self.echo_sessions.of(user).await.hold(None);
        self.events.tell(user, Subject::Link);
        Ok(())
    }

    /// Disables the skill for a user: Alexa sends the skill a `SkillDisabled` event, and the account is no longer linked.
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

    /// Enables the skill for a user.
    pub async fn enable(&self, user: &UserName) {
        let mut echo_session = self.echo_sessions.of(user).await;
        let event = (!echo_session.echo.is_enabled()).then(|| echo_session.echo.enable());
        drop(echo_session);
        if let Some(event) = event {
            self.send(event).await;
        }
        self.events.tell(user, Subject::Echo);
    }

    /// Sends an event of Alexa, whose response is not spoken.
    async fn send(&self, request: Value) {
        if let Err(failure) = invoke(Arc::clone(&self.skill), request, ANSWER_WITHIN).await {
            tracing::warn!(step = "request", "the skill did not take a request of the page: {failure}");
        }
    }

    /// Removes a user with device, thing, conversation and mail. An unknown user is ignored; the last user cannot be removed.
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

    /// Removes all users and creates the users of a new hub.
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
        // The thing is deleted in the same way as when its owner says "forget me".
        let address = self.users.user(user, None).await?.address().to_owned();
        let token = self.users.link(user).await?;
        let mut echo_session = self.echo_sessions.of(user).await;
        echo_session.hold(Some(token));
        // Another request may hold the lease on the thing, so there are several attempts.
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

    /// Sends the intents of "forget me" and of "yes", which confirms it.
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

/// Creates the users of a new hub.
pub(super) async fn first_users(users: &LocalLogin) -> Result<(), UserError> {
    for name in ["Ana", "Ben"] {
        users.add(name, None).await?;
    }
    Ok(())
}

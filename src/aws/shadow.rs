//! Classic device shadows and connections, over the data plane of AWS IoT Core
//! (<https://docs.aws.amazon.com/iot/latest/developerguide/device-shadow-rest-api.html>,
//! <https://docs.aws.amazon.com/iot/latest/apireference/API_Operations_AWS_IoT_Data_Plane.html>).

use http::Method;
use serde::Deserialize;
use serde_json::Value;

use super::signed::{Call, Failure, Patience, Reply, Service};
use crate::relay::{Connection, Patch, Shadow, ShadowError, Shadows};
use crate::thing::ThingName;

const NOT_FOUND: &str = "ResourceNotFoundException";

/// AWS IoT Core's shadow service.
#[derive(Clone)]
pub struct IotShadows {
    service: Service,
}

/// GetConnection's answer. The times are in milliseconds, and each is there only beside its own state.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ConnectionState {
    connected: bool,
    connected_since: Option<u64>,
    disconnected_since: Option<u64>,
}

impl IotShadows {
    pub(super) fn new(service: Service) -> Self {
        Self { service }
    }
}

fn shadow_of(thing: &ThingName, method: Method) -> Call {
    Call::new(method, &["things", thing.as_str(), "shadow"])
}

/// A device's client id is its thing's name.
fn connection_of(thing: &ThingName, method: Method) -> Call {
    Call::new(method, &["connections", thing.as_str()])
}

fn read(failure: Failure) -> ShadowError {
    match failure {
        Failure::Throttled(_) => ShadowError::Throttled,
        Failure::Unsent(why) => ShadowError::Refused(why.into()),
        Failure::Unclear(what) => ShadowError::Unclear(what),
        Failure::Refused(refusal) => match refusal.code.as_str() {
            "ConflictException" => ShadowError::Conflict,
            "RequestEntityTooLargeException" => ShadowError::TooLarge,
            _ => ShadowError::Refused(refusal.to_string()),
        },
    }
}

fn gone_is_done(outcome: Result<Reply, Failure>) -> Result<(), ShadowError> {
    match outcome {
        Err(failure) if !failure.is(NOT_FOUND) => Err(read(failure)),
        _ => Ok(()),
    }
}

impl Shadows for IotShadows {
    async fn read(&self, thing: &ThingName) -> Result<Option<Shadow>, ShadowError> {
        match self.service.send(shadow_of(thing, Method::GET)).await {
            Ok(reply) => Ok(Some(Shadow::read(&reply.json::<Value>().map_err(read)?))),
            Err(failure) if failure.is(NOT_FOUND) => Ok(None),
            Err(failure) => Err(read(failure)),
        }
    }

    async fn update(&self, thing: &ThingName, patch: &Patch) -> Result<(), ShadowError> {
        self.service.send(shadow_of(thing, Method::POST).json(patch.document())).await.map(drop).map_err(read)
    }

    async fn delete(&self, thing: &ThingName) -> Result<(), ShadowError> {
        gone_is_done(self.service.send(shadow_of(thing, Method::DELETE)).await)
    }

    async fn connection(&self, thing: &ThingName) -> Result<Connection, ShadowError> {
        match self.service.send(connection_of(thing, Method::GET)).await {
            Ok(reply) => Ok(reply.json().map_or(Connection::Unknown, |state| told(&state))),
            Err(failure) if failure.is(NOT_FOUND) => Ok(Connection::Unknown),
            Err(failure) => Err(read(failure)),
        }
    }

    async fn disconnect(&self, thing: &ThingName) -> Result<(), ShadowError> {
        gone_is_done(self.service.send(connection_of(thing, Method::DELETE).patience(Patience::ONCE)).await)
    }
}

fn told(state: &ConnectionState) -> Connection {
    let seconds = |milliseconds: Option<u64>| milliseconds.filter(|since| *since > 0).map(|since| since / 1000);
    if state.connected {
        Connection::Connected { since: seconds(state.connected_since) }
    } else {
        Connection::Disconnected { since: seconds(state.disconnected_since) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(answer: &str, expected: Option<Connection>) {
        assert_eq!(serde_json::from_str(answer).ok().as_ref().map(told), expected, "{answer}");
    }

    #[test]
    fn the_times_of_a_connection_are_read_as_milliseconds() {
        check(
            r#"{"connected":true,"connectedSince":1700000000123,"clientId":"x"}"#,
            Some(Connection::Connected { since: Some(1_700_000_000) }),
        );
        check(
            r#"{"connected":false,"disconnectedSince":1700000000123,"connectedSince":0}"#,
            Some(Connection::Disconnected { since: Some(1_700_000_000) }),
        );
        check(r#"{"connected":false}"#, Some(Connection::Disconnected { since: None }));
        check(r#"{"state":{}}"#, None);
    }

    #[test]
    fn each_refusal_says_what_became_of_the_change() {
        use super::super::signed::Refusal;
        let refused = |code: &str| read(Failure::Refused(Refusal::new(400, code, &"".into())));
        assert!(matches!(refused("ConflictException"), ShadowError::Conflict));
        assert!(matches!(refused("RequestEntityTooLargeException"), ShadowError::TooLarge));
        assert!(matches!(refused("ForbiddenException"), ShadowError::Refused(code) if code == "ForbiddenException (400)"));
    }
}

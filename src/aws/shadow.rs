//! Classic device shadows and connections, over the data plane of AWS IoT Core
//! (<https://docs.aws.amazon.com/iot/latest/developerguide/device-shadow-rest-api.html>,
//! <https://docs.aws.amazon.com/iot/latest/apireference/API_Operations_AWS_IoT_Data_Plane.html>).

use aws_sdk_iotdataplane::operation::delete_connection::DeleteConnectionError;
use aws_sdk_iotdataplane::operation::delete_thing_shadow::DeleteThingShadowError;
use aws_sdk_iotdataplane::operation::get_connection::GetConnectionOutput;
use aws_sdk_iotdataplane::operation::update_thing_shadow::UpdateThingShadowError;
use aws_sdk_iotdataplane::primitives::Blob;
use aws_sdk_iotdataplane::{Client, Config};
use aws_smithy_types::retry::RetryConfig;

use super::failure::{Failure, gone_is_done};
use crate::identifiers::ThingName;
use crate::shadow::{Connection, Patch, Shadow, ShadowError, Shadows};

/// The shadow service of AWS IoT Core.
#[derive(Clone)]
pub struct IotShadows {
    client: Client,
}

impl IotShadows {
    pub(super) fn new(client: Client) -> Self {
        Self { client }
    }
}

impl<E> From<Failure<E>> for ShadowError {
    fn from(failure: Failure<E>) -> Self {
        failure.fold(ShadowError::Throttled, ShadowError::Refused, ShadowError::Unclear)
    }
}

impl Shadows for IotShadows {
    async fn read(&self, thing: &ThingName) -> Result<Option<Shadow>, ShadowError> {
        let document = match self.client.get_thing_shadow().thing_name(thing.as_str()).send().await.map_err(Failure::from) {
            Err(Failure::Refused(no)) if no.error.is_resource_not_found_exception() => return Ok(None),
            found => found?.payload.unwrap_or_else(|| Blob::new([])),
        };
        let document = serde_json::from_slice(document.as_ref());
        document.map(|document| Some(Shadow::read(&document))).map_err(|_| ShadowError::Unclear("an answer that cannot be read".into()))
    }

    async fn update(&self, thing: &ThingName, patch: &Patch) -> Result<(), ShadowError> {
        let document = Blob::new(patch.document().to_string());
        let updated = self.client.update_thing_shadow().thing_name(thing.as_str()).payload(document).send().await;
        updated.map(drop).map_err(|error| not_updated(error.into()))
    }

    async fn delete(&self, thing: &ThingName) -> Result<(), ShadowError> {
        let outcome = self.client.delete_thing_shadow().thing_name(thing.as_str()).send().await.map_err(Failure::from);
        Ok(gone_is_done(outcome, DeleteThingShadowError::is_resource_not_found_exception)?)
    }

    async fn connection(&self, thing: &ThingName) -> Result<Connection, ShadowError> {
        // The client id of a device is the name of its thing.
        match self.client.get_connection().client_id(thing.as_str()).send().await.map_err(Failure::from) {
            Ok(state) => Ok(connection_of(&state)),
            Err(Failure::Refused(no)) if no.error.is_resource_not_found_exception() => Ok(Connection::Unknown),
            Err(failure) => Err(failure.into()),
        }
    }

    async fn disconnect(&self, thing: &ThingName) -> Result<(), ShadowError> {
        let call = self.client.delete_connection().client_id(thing.as_str()).customize();
        let once = Config::builder().retry_config(RetryConfig::disabled());
        let outcome = call.config_override(once).send().await.map_err(Failure::from);
        Ok(gone_is_done(outcome, DeleteConnectionError::is_resource_not_found_exception)?)
    }
}

fn not_updated(failure: Failure<UpdateThingShadowError>) -> ShadowError {
    match failure {
        Failure::Refused(no) if no.error.is_conflict_exception() => ShadowError::Conflict,
        Failure::Refused(no) if no.error.is_request_entity_too_large_exception() => ShadowError::TooLarge,
        failure => failure.into(),
    }
}

/// Converts the response of GetConnection. Its times are in milliseconds. A time that does not belong to the current state is 0.
fn connection_of(state: &GetConnectionOutput) -> Connection {
    let seconds = |milliseconds: i64| u64::try_from(milliseconds / 1000).ok().filter(|since| *since > 0);
    if state.connected {
        Connection::Connected { since: seconds(state.connected_since) }
    } else {
        Connection::Disconnected { since: seconds(state.disconnected_since) }
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_iotdataplane::error::SdkError;
    use aws_sdk_iotdataplane::types::error::{ConflictException, RequestEntityTooLargeException};
    use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
    use aws_smithy_types::body::SdkBody;
    use aws_smithy_types::error::ErrorMetadata;

    use super::*;

    #[test]
    fn refusals_of_an_update_are_classified() {
        let refused = |error: UpdateThingShadowError| {
            let answer = HttpResponse::new(400.try_into().unwrap(), SdkBody::empty());
            not_updated(SdkError::service_error(error, answer).into())
        };
        let code = |code: &str| ErrorMetadata::builder().code(code).build();
        let conflict = UpdateThingShadowError::ConflictException(ConflictException::builder().build());
        assert!(matches!(refused(conflict), ShadowError::Conflict));
        let large = RequestEntityTooLargeException::builder().build();
        assert!(matches!(refused(UpdateThingShadowError::RequestEntityTooLargeException(large)), ShadowError::TooLarge));
        let forbidden = refused(UpdateThingShadowError::generic(code("ForbiddenException")));
        assert!(matches!(forbidden, ShadowError::Refused(code) if code == "ForbiddenException (400)"));
    }

    #[test]
    fn connection_times_are_parsed_as_milliseconds() {
        let state = GetConnectionOutput::builder;
        let connected = state().connected(true).connected_since(1_700_000_000_123).build();
        assert_eq!(connection_of(&connected), Connection::Connected { since: Some(1_700_000_000) });
        let disconnected = state().disconnected_since(1_700_000_000_123).connected_since(0).build();
        assert_eq!(connection_of(&disconnected), Connection::Disconnected { since: Some(1_700_000_000) });
        assert_eq!(connection_of(&state().build()), Connection::Disconnected { since: None });
    }
}

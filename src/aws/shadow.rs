//! Classic device shadows, over the data plane of AWS IoT Core
//! (<https://docs.aws.amazon.com/iot/latest/developerguide/device-shadow-rest-api.html>).

use aws_config::SdkConfig;
use aws_sdk_iotdataplane::Client;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::Blob;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;

use super::{Failure, failure};
use crate::relay::{Patch, Shadow, ShadowError, Shadows};
use crate::thing::ThingName;

/// AWS IoT Core's shadow service.
#[derive(Clone)]
pub struct IotShadows {
    client: Client,
}

impl IotShadows {
    pub(super) fn new(sdk: &SdkConfig) -> Self {
        Self { client: Client::new(sdk) }
    }
}

fn read<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>) -> ShadowError {
    match error.code() {
        Some("ConflictException") => return ShadowError::Conflict,
        Some("RequestEntityTooLargeException") => return ShadowError::TooLarge,
        _ => {}
    }
    match failure(error) {
        Failure::Throttled(_) => ShadowError::Throttled,
        Failure::Refused(code) => ShadowError::Refused(code),
        Failure::Unclear(what) => ShadowError::Unclear(what),
    }
}

impl Shadows for IotShadows {
    async fn read(&self, thing: &ThingName) -> Result<Option<Shadow>, ShadowError> {
        match self.client.get_thing_shadow().thing_name(thing.as_str()).send().await {
            Ok(answer) => {
                let document = answer.payload.unwrap_or_else(|| Blob::new([]));
                let document = serde_json::from_slice(document.as_ref());
                let document = document.map_err(|_| ShadowError::Unclear("a shadow that is not JSON".into()))?;
                Ok(Some(Shadow::read(&document)))
            }
            Err(error) if error.code() == Some("ResourceNotFoundException") => Ok(None),
            Err(error) => Err(read(&error)),
        }
    }

    async fn update(&self, thing: &ThingName, patch: &Patch) -> Result<(), ShadowError> {
        let payload = Blob::new(patch.document().to_string());
        let call = self.client.update_thing_shadow().thing_name(thing.as_str()).payload(payload);
        call.send().await.map(drop).map_err(|error| read(&error))
    }
}

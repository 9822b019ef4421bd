//! The classification of a failed call to an AWS service.
//!
//! A failure keeps the error of the SDK and the error code of the response. The message of a response can quote mail addresses,
//! so it is neither returned nor logged.

use std::error::Error;
use std::fmt;

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_iot::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::Intercept;
use aws_smithy_runtime_api::client::interceptors::context::{FinalizerInterceptorContextMut, FinalizerInterceptorContextRef};
use aws_smithy_runtime_api::client::interceptors::dyn_dispatch_hint;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::{ConfigBag, Storable, StoreReplace};

/// The prefixes of the error codes for an exceeded quota.
const THROTTLED: [&str; 4] = ["Throttling", "TooManyRequests", "ProvisionedThroughputExceeded", "RequestLimitExceeded"];

/// Why a call failed.
#[derive(Debug)]
pub(super) enum Failure<E> {
    /// A quota is exceeded. The call had no effect.
    Throttled(String),
    /// The service refused the call permanently. The call had no effect.
    Refused(Refusal<E>),
    /// No request was sent. Contains the reason.
    Unsent(&'static str),
    /// There is no response, or no intelligible one. The call may have had an effect.
    Unclear(String),
}

/// The error response of a service that refused a call.
pub(super) struct Refusal<E> {
    /// The modelled error of the SDK.
    pub error: E,
    status: u16,
    code: String,
}

impl<E> fmt::Display for Refusal<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.code, self.status)
    }
}

impl<E> fmt::Debug for Refusal<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl<E: ProvideErrorMetadata> From<SdkError<E, HttpResponse>> for Failure<E> {
    fn from(error: SdkError<E, HttpResponse>) -> Self {
        match error {
            SdkError::ServiceError(error) => {
                let (status, unclear_before) = (error.raw().status().as_u16(), error.raw().extension::<UnclearBefore>().is_some());
                Self::answered(error.into_err(), status, unclear_before)
            }
            SdkError::ConstructionFailure(_) => Self::Unsent("a request that cannot be made"),
            SdkError::TimeoutError(_) => Self::Unclear("no answer in time".into()),
            SdkError::DispatchFailure(failure) if failure.is_timeout() => Self::Unclear("no answer in time".into()),
            SdkError::DispatchFailure(failure) if failure.is_user() => Self::Unsent("a request that cannot be made"),
            SdkError::DispatchFailure(failure) if failure.as_connector_error().is_some_and(|error| lacks_credentials(error)) => {
                Self::Unsent("no credentials in the environment")
            }
            SdkError::DispatchFailure(_) => Self::Unclear("the connection failed".into()),
            _ => Self::Unclear("an answer that cannot be read".into()),
        }
    }
}

impl<E: ProvideErrorMetadata> Failure<E> {
    fn answered(error: E, status: u16, unclear_before: bool) -> Self {
        let code = error.code().unwrap_or("an unknown error").to_owned();
        let is_throttled = status == 429 || THROTTLED.iter().any(|start| code.starts_with(start));
        let refusal = Refusal { error, status, code };
        match status {
            // The last attempt had no effect, but an earlier one may have had.
            _ if is_throttled && unclear_before => Self::Unclear(refusal.to_string()),
            _ if is_throttled => Self::Throttled(refusal.to_string()),
            // 501 Not Implemented: a service that does not know the call did not perform it.
            400..=499 | 501 => Self::Refused(refusal),
            200..=299 => Self::Unclear("an answer that cannot be read".into()),
            _ => Self::Unclear(refusal.to_string()),
        }
    }
}

impl<E> Failure<E> {
    /// Converts the failure into the error type of an interface that needs no details of a refusal.
    pub(super) fn fold<T>(self, throttled: T, refused: impl FnOnce(String) -> T, unclear: impl FnOnce(String) -> T) -> T {
        match self {
            Failure::Throttled(_) => throttled,
            Failure::Refused(refusal) => refused(refusal.to_string()),
            Failure::Unsent(why) => refused(why.into()),
            Failure::Unclear(what) => unclear(what),
        }
    }
}

/// Treats the error "not found" as success, for calls that detach, deactivate or delete.
pub(super) fn gone_is_done<T, E>(outcome: Result<T, Failure<E>>, is_gone: impl FnOnce(&E) -> bool) -> Result<(), Failure<E>> {
    match outcome {
        Err(Failure::Refused(refusal)) if is_gone(&refusal.error) => Ok(()),
        outcome => outcome.map(drop),
    }
}

fn lacks_credentials(error: &(dyn Error + 'static)) -> bool {
    std::iter::successors(Some(error), |error| (*error).source()).any(|error| error.is::<CredentialsError>())
}

/// An interceptor that marks the final response of a call if an earlier attempt may have had an effect.
#[derive(Debug)]
pub(super) struct MarkUnclear;

/// The mark: an earlier attempt ended without a response that says whether the call had an effect.
#[derive(Clone, Copy, Debug)]
struct UnclearBefore;

impl Storable for UnclearBefore {
    type Storer = StoreReplace<Self>;
}

#[dyn_dispatch_hint]
impl Intercept for MarkUnclear {
    fn name(&self) -> &'static str {
        "MarkUnclear"
    }

    fn read_after_attempt(
        &self,
        context: &FinalizerInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let failed = matches!(context.output_or_error(), Some(Err(_)));
        if failed && context.response().is_none_or(|answer| answer.status().is_server_error()) {
            config.interceptor_state().store_put(UnclearBefore);
        }
        Ok(())
    }

    fn modify_before_completion(
        &self,
        context: &mut FinalizerInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if let Some((mark, answer)) = config.load::<UnclearBefore>().zip(context.response_mut()) {
            answer.add_extension(*mark);
        }
        Ok(())
    }
}

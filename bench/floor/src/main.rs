//! A Lambda function that does nothing: the cost of `lambda_runtime` alone, as the lower bound of the figures in
//! `bench/compare.py`.

use lambda_runtime::{Error, LambdaEvent, service_fn};
use serde_json::{Value, json};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    lambda_runtime::run(service_fn(answer)).await
}

async fn answer(_: LambdaEvent<Value>) -> Result<Value, Error> {
    Ok(json!({"version": "1.0", "response": {"outputSpeech": {"type": "PlainText", "text": "Nothing."}, "shouldEndSession": true}}))
}

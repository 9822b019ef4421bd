//! The AWS operation of an HTTP request: by the paths of the service models of `iot`, `iot-data`, `ses` and `lambda`, and by the
//! header `x-amz-target` of `dynamodb` and `ssm`.

use axum::http::Method;

use super::http::query_value;

/// The name of the operation in the API reference. An unknown request gives its method and path.
pub fn operation(method: &Method, path: &str, target: Option<&str>, body: &[u8]) -> String {
    if let Some((_, action)) = target.and_then(|target| target.split_once('.')) {
        return action.to_owned();
    }
    let steps: Vec<&str> = path.trim_matches('/').split('/').collect();
    let name = match (method.as_str(), steps.as_slice()) {
        ("GET", ["things"]) => "ListThings",
        ("POST", ["things", _]) => "CreateThing",
        ("GET", ["things", _]) => "DescribeThing",
        ("PATCH", ["things", _]) => "UpdateThing",
        ("DELETE", ["things", _]) => "DeleteThing",
        ("GET", ["things", _, "shadow"]) => "GetThingShadow",
        ("POST", ["things", _, "shadow"]) => "UpdateThingShadow",
        ("DELETE", ["things", _, "shadow"]) => "DeleteThingShadow",
        ("GET", ["things", _, "principals" | "principals-v2"]) => "ListThingPrincipals",
        ("PUT", ["things", _, "principals"]) => "AttachThingPrincipal",
        ("DELETE", ["things", _, "principals"]) => "DetachThingPrincipal",
        ("GET", ["principals", "things"] | ["principals", "things-v2"]) => "ListPrincipalThings",
        ("POST", ["keys-and-certificate"]) => "CreateKeysAndCertificate",
        ("POST", ["certificates"]) => "CreateCertificateFromCsr",
        ("GET", ["certificates"]) => "ListCertificates",
        ("GET", ["certificates", _]) => "DescribeCertificate",
        ("PUT", ["certificates", _]) => "UpdateCertificate",
        ("DELETE", ["certificates", _]) => "DeleteCertificate",
        ("PUT", ["target-policies", _]) => "AttachPolicy",
        ("POST", ["target-policies", _]) => "DetachPolicy",
        ("POST", ["attached-policies", _]) => "ListAttachedPolicies",
        ("GET", ["endpoint"]) => "DescribeEndpoint",
        ("GET", ["thing-types", _]) => "DescribeThingType",
        ("POST", ["thing-types", _]) => "CreateThingType",
        ("POST", ["policies", _]) => "CreatePolicy",
        ("GET", ["connections", _]) => "GetConnection",
        ("DELETE", ["connections", _]) => "DeleteConnection",
        ("POST", ["2015-03-31", "functions", _, "invocations"]) => "Invoke",
        ("POST", [""]) => return query_operation(body),
        _ => return format!("{method} {path}"),
    };
    name.to_owned()
}

/// SES uses the query protocol: the operation is a field of the form.
fn query_operation(body: &[u8]) -> String {
    std::str::from_utf8(body).ok().and_then(|form| query_value(form, "Action")).unwrap_or_else(|| "POST /".to_owned())
}

/// Whether the operation creates a resource.
pub fn creates(operation: &str) -> bool {
    operation.starts_with("Create")
}

/// Whether the operation lists resources, which code that computes their names does not need.
pub fn searches(operation: &str) -> bool {
    operation.starts_with("List")
}

//! Says when the hub was built: a clock that is behind that is wrong. `SOURCE_DATE_EPOCH` says so for builds that are to be repeated
//! (<https://reproducible-builds.org/specs/source-date-epoch/>).

use std::time::{SystemTime, UNIX_EPOCH};

fn main() {
    let now = || SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let built = std::env::var("SOURCE_DATE_EPOCH").ok().and_then(|at| at.parse().ok()).unwrap_or_else(now);
    println!("cargo::rustc-env=ONETHING_BUILT_AT={built}");
    println!("cargo::rerun-if-env-changed=SOURCE_DATE_EPOCH");
    println!("cargo::rerun-if-changed=build.rs");
}

//! Sets `ONETHING_BUILT_AT` to the time of the build, as Unix time in seconds. A clock that is earlier than this time is wrong.
//! Reproducible builds set the time with `SOURCE_DATE_EPOCH` (<https://reproducible-builds.org/specs/source-date-epoch/>).

use std::time::{SystemTime, UNIX_EPOCH};

fn main() {
    let now = || SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let built = std::env::var("SOURCE_DATE_EPOCH").ok().and_then(|at| at.parse().ok()).unwrap_or_else(now);
    println!("cargo::rustc-env=ONETHING_BUILT_AT={built}");
    println!("cargo::rerun-if-env-changed=SOURCE_DATE_EPOCH");
    println!("cargo::rerun-if-changed=build.rs");
}

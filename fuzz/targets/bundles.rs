//! See [`onething_fuzz::bundles`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| onething_fuzz::bundles::run(data));

//! See [`onething_fuzz::models`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| onething_fuzz::models::run(data));

//! See [`onething_fuzz::interaction_models`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| onething_fuzz::interaction_models::run(data));

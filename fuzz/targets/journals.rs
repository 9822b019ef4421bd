//! See [`onething_fuzz::journals`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| onething_fuzz::journals::run(data));

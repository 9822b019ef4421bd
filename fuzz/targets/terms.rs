//! See [`onething_fuzz::terms`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| onething_fuzz::terms::run(data));

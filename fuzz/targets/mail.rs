//! See [`onething_fuzz::mail`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| onething_fuzz::mail::run(data));

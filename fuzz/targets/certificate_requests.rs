//! See [`onething_fuzz::certificate_requests`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| onething_fuzz::certificate_requests::run(data));

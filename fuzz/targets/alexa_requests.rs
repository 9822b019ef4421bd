//! See [`onething_fuzz::alexa_requests`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| onething_fuzz::alexa_requests::run(data));

//! See [`onething_fuzz::registration_requests`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| onething_fuzz::registration_requests::run(data));

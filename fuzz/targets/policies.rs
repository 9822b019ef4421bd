//! See [`onething_fuzz::policies`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| onething_fuzz::policies::run(data));

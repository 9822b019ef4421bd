//! See [`onething_fuzz::shadows`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| onething_fuzz::shadows::run(data));

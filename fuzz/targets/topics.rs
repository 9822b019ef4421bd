//! See [`onething_fuzz::topics`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| onething_fuzz::topics::run(data));

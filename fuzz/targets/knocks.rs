//! See [`onething_fuzz::knocks`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| onething_fuzz::knocks::run(data));

//! See [`onething_fuzz::utterances`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| onething_fuzz::utterances::run(data));

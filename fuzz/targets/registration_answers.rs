//! See [`onething_fuzz::registration_answers`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| onething_fuzz::registration_answers::run(data));

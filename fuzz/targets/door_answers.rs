//! See [`onething_fuzz::door_answers`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| onething_fuzz::door_answers::run(data));

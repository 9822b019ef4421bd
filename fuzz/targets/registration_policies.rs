//! See [`onething_fuzz::registration_policies`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| onething_fuzz::registration_policies::run(data));

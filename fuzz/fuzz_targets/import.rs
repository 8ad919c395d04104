#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| catchup_fuzz::import(bytes));

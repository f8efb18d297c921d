#![no_main]

likeness_fuzz::decode_target!(Jpeg);

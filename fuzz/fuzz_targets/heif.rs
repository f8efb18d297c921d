#![no_main]

likeness_fuzz::target!(likeness_fuzz::heif::seeds, likeness_fuzz::heif::run);

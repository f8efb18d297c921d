//! Builds `src/native.c`.

fn main() {
    println!("cargo::rerun-if-changed=src/native.c");
    let mut build = cc::Build::new();
    // AddressSanitizer has an allocator of its own.
    let sanitized = std::env::var("CARGO_CFG_SANITIZE").is_ok_and(|sanitizers| !sanitizers.is_empty());
    if sanitized {
        build.define("SANITIZED", None);
    }
    // libFuzzer defines `__sanitizer_cov_trace_pc` too, to do nothing. The linker takes the first that it finds.
    println!("cargo::rustc-link-arg-bins=-Wl,-z,muldefs");
    build.file("src/native.c").compile("likeness_fuzz_native");
}

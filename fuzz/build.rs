//! Builds `src/native.c`.

fn main() {
    println!("cargo::rerun-if-changed=src/native.c");
    // libFuzzer defines `__sanitizer_cov_trace_pc` too, without effect. The linker takes the first definition.
    println!("cargo::rustc-link-arg-bins=-Wl,-z,muldefs");
    // AddressSanitizer replaces the allocator, so that memory is not counted.
    println!("cargo::rustc-check-cfg=cfg(sanitized)");
    if std::env::var("CARGO_CFG_SANITIZE").is_ok_and(|sanitizers| !sanitizers.is_empty()) {
        println!("cargo::rustc-cfg=sanitized");
    }
    cc::Build::new()
        .file("src/native.c")
        .compile("likeness_fuzz_native");
}

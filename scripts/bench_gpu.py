#!/usr/bin/env python3
"""Agreement and all benches with CUDA, on a Linux machine with an NVIDIA GPU: sets up what is needed, looks whether the models
compute there what they should, and prints the times.

    bench_gpu.py [--wheels FOLDER] [--libraries FOLDER] [--tensorrt] [--dry-run]
    bench_gpu.py --prepare FOLDER
    bench_gpu.py --prepared FOLDER [--libraries FOLDER] [--tensorrt] [--dry-run]

The first form needs Rust and a network, or wheels and libraries as scripts/setup_provider.py takes them. For a GPU machine that
has neither, --prepare puts the programs, the models, the pictures and ONNX Runtime into a folder on a machine of the same
platform; that folder and this checkout's scripts are all that --prepared needs there, beside Python and the driver. NVIDIA's
libraries are part of the folder unless --libraries is given to --prepare too, with any value that then exists on the GPU
machine.

What is run, each printed as it is: `likeness doctor`, the agreement with the reference (tests/golden.rs), the models, batches
of the embedder from 1 to 32 and verifications against the CPU provider (scripts/bench_providers.py) in f32 and in tf32, and
the criterion benches. The exit code is 0 if all could be run and the agreement holds.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import setup_provider
from environment import SHARED
from setup import LIKENESS, ROOT, fail, say

BUILD = ["--release", "--locked", "--target-dir", "target"]
BENCHES = ["detect", "embed", "liveness", "verify", "floor"]
TOOLS = ["time_models", "time_verify"]
BATCHES = "1,2,4,8,16,32"
# What the agreement and the benches read of ../shared.
PICTURES = ["data", "golden"]


def built():
    """Builds the programs and says where each is."""
    subprocess.run(["cargo", "build", *BUILD, "-p", "likeness", "-p", "likeness-tools", *flags("--bin", [*TOOLS, "likeness"])], cwd=ROOT, check=True)
    programs = {name: ROOT / "target/release" / name for name in TOOLS} | {"likeness": LIKENESS}
    for kind, names in (("test", ["golden"]), ("bench", BENCHES)):
        # Only the benches are built so as the bench profile says.
        build = ["cargo", kind, *(BUILD if kind == "test" else BUILD[1:]), *flags(f"--{kind}", names)]
        command = [*build, "--no-run", "--message-format=json"]
        output = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout
        for message in map(json.loads, output.splitlines()):
            target = message.get("target", {})
            if message.get("executable") and target.get("name") in names and kind in target.get("kind", []):
                programs[target["name"]] = Path(message["executable"])
    return programs


def flags(flag, names):
    return [part for name in names for part in (flag, name)]


def prepare(folder, libraries):
    """All that the GPU machine needs, without what it only needs for building."""
    for runtime in ("onnxruntime", "onnxruntime-cuda"):
        # Links into an installation of NVIDIA's are made anew where they are used.
        shutil.copytree(
            ROOT / ".setup" / runtime,
            folder / ".setup" / runtime,
            dirs_exist_ok=True,
            ignore=lambda path, names: [name for name in names if libraries and (Path(path) / name).is_symlink()],
        )
    (folder / "programs").mkdir(parents=True, exist_ok=True)
    for name, path in built().items():
        shutil.copy2(path, folder / "programs" / name)
        subprocess.run(["strip", "--strip-debug", folder / "programs" / name], check=False)
    shutil.copytree(ROOT / "models/store", folder / "models", dirs_exist_ok=True)
    for part in PICTURES:
        shutil.copytree(SHARED / part, folder / "shared" / part, dirs_exist_ok=True)
    say(f"prepared: carry {folder} and scripts/, and run scripts/bench_gpu.py --prepared there")


def steps(programs, tensorrt):
    """Name, command and provider of everything that is run."""
    yield "doctor", [programs["likeness"], "doctor", "--provider", "cuda"], None
    yield "agreement with the reference", [programs["golden"]], "cuda"
    providers = [sys.executable, ROOT / "scripts/bench_providers.py", "--tools", programs["time_models"].parent]
    yield "cuda, f32", [*providers, "--batches", BATCHES, "cuda"], None
    yield "cuda, tf32", [*providers, "--batches", BATCHES, "cuda", "--option", "precision=tf32"], None
    if tensorrt:
        yield "agreement with the reference, tensorrt", [programs["golden"]], "tensorrt"
        yield "tensorrt, f32", [*providers, "--batches", BATCHES, "tensorrt"], None
        yield "tensorrt, f16", [*providers, "--batches", BATCHES, "tensorrt", "--option", "precision=f16"], None
    for name in BENCHES:
        command = [programs[name], "--bench", "--warm-up-time", "1", "--measurement-time", "3"]
        yield f"bench {name}", command, "cuda"


def run(programs, environment, tensorrt, dry):
    failed = []
    for name, command, provider in steps(programs, tensorrt):
        print(f"\n## {name}\n" + " ".join(map(str, command)), flush=True)
        if dry:
            continue
        of_step = {**environment, **({"LIKENESS__ENGINE__PROVIDER": provider} if provider else {})}
        if subprocess.run(command, cwd=ROOT, env=of_step).returncode != 0:
            failed.append(name)
            if name == "doctor":
                break
    if failed:
        fail("failed: " + ", ".join(failed))


def gpu():
    """The GPU in the driver's words."""
    query = ["nvidia-smi", "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader"]
    try:
        found = subprocess.run(query, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return None
    return found.stdout.strip() if found.returncode == 0 else None


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--wheels", type=Path, metavar="FOLDER", help="take the wheels from here")
    parser.add_argument("--libraries", type=Path, metavar="FOLDER", help="take NVIDIA's libraries from below this")
    parser.add_argument("--prepare", type=Path, metavar="FOLDER", help="only put all that is needed here")
    parser.add_argument("--prepared", type=Path, metavar="FOLDER", help="run what --prepare put here")
    parser.add_argument("--tensorrt", action="store_true", help="with TensorRT too, which must be installed")
    parser.add_argument("--dry-run", action="store_true", help="only say what would be run")
    arguments = parser.parse_args()

    card = gpu()
    if card is None and not (arguments.dry_run or arguments.prepare):
        fail("no NVIDIA GPU here: nvidia-smi does not answer. --dry-run says what would be run, --prepare needs none")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("LIKENESS__ENGINE__")}
    if arguments.prepared:
        folder = arguments.prepared.resolve()
        if not (folder / "programs").is_dir():
            fail(f"{folder} is not what --prepare makes")
        environment |= {"LIKENESS_SHARED": str(folder / "shared"), "LIKENESS_MODELS": str(folder / "models")}
        if arguments.libraries:
            setup_provider.link_libraries(arguments.libraries, folder / ".setup/onnxruntime-cuda")
        programs = {path.name: path for path in (folder / "programs").iterdir()}
    elif arguments.dry_run:
        names = ["likeness", "golden", *TOOLS, *BENCHES]
        programs = {name: Path("target/release") / name for name in names}
    else:
        if not (SHARED / "data").is_dir():
            fail("../shared is needed (LIKENESS_SHARED names another)")
        subprocess.run([sys.executable, ROOT / "scripts/setup.py"], check=True)
        setup_provider.set_up("cuda", arguments.wheels, arguments.libraries)
        subprocess.run(["cargo", "build", *BUILD], cwd=ROOT, check=True)
        subprocess.run([sys.executable, ROOT / "scripts/setup.py", "models"], check=True)
        if arguments.prepare:
            prepare(arguments.prepare.resolve(), arguments.libraries)
            return
        programs = built()
    print(f"GPU: {card or 'none'}", flush=True)
    run(programs, {**environment, "LIKENESS_NO_SKIP": "1"}, arguments.tensorrt, arguments.dry_run)


if __name__ == "__main__":
    main()

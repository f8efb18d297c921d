"""Programs from Debian's packages, for set-up."""

import os
import shutil
import subprocess
import sys


def install(programs, say, otherwise):
    """Installs the packages of programs that are not on the path: `programs` maps names of programs to packages. Where that
    fails, ends the program and says what to do instead (`otherwise`)."""
    missing = [package for program, package in programs.items() if not shutil.which(program)]
    if not missing:
        return
    as_root = [] if os.geteuid() == 0 else ["sudo"]
    install = [*as_root, "apt-get", "install", "-y", "--no-install-recommends", *missing]
    say(f"installing {', '.join(missing)}")
    # The lists of a fresh machine are empty, and old ones name packages that are gone.
    attempts = [[install], [[*as_root, "apt-get", "update"], install]]
    if not shutil.which("apt-get") or not any(all(map(_succeeds, attempt)) for attempt in attempts):
        say(f"cannot install {', '.join(missing)}: {otherwise}")
        sys.exit(1)


def _succeeds(command):
    environment = dict(os.environ, DEBIAN_FRONTEND="noninteractive")
    return subprocess.run(command, stdin=subprocess.DEVNULL, stdout=sys.stderr, env=environment).returncode == 0

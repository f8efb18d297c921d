"""Virtual environments of scripts that need more than Python's own library: pinned, made once, below .setup."""

import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def interpreter(name, requirements):
    """The interpreter of the environment `name`, with the requirements installed."""
    folder = ROOT / ".setup" / name
    found = folder / "bin" / "python"
    stamp = folder / "requirements"
    if not (stamp.is_file() and stamp.read_text() == "\n".join(requirements)):
        print(f"installing {', '.join(requirements)}", file=sys.stderr)
        venv.create(folder, with_pip=True, clear=True)
        subprocess.run([found, "-m", "pip", "install", "--quiet", *requirements], check=True)
        stamp.write_text("\n".join(requirements))
    return found

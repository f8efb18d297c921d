"""The real binary on loopback, for scripts that measure it; and what Linux tells of its process."""

import os
import re
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SHARED = Path(os.environ.get("LIKENESS_SHARED") or ROOT.parent / "shared")
APP, KEY = "bench", "bench-load-key"


class Service:
    """`likeness serve` with so many workers and its defaults, from ready to ended."""

    def __init__(self, workers, cores=None):
        self.folder = tempfile.TemporaryDirectory()
        environment = {
            **os.environ,
            "LIKENESS_APPS": f"{APP}:{KEY}",
            "LIKENESS__STORAGE__FOLDER": self.folder.name,
            "RUST_LOG": "error",
        }
        command = [ROOT / "target/release/likeness", "serve", "--workers", str(workers), "--listen", "127.0.0.1:0"]
        if cores is not None:
            command = ["taskset", "--cpu-list", ",".join(map(str, cores)), *command]
        self.process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)
        ready = self.process.stdout.readline()
        address = re.search(r"http://(\S+)", ready)
        if not address:
            self.__exit__()
            sys.exit(f"the service did not start: {ready}")
        self.address = address[1]

    @property
    def pid(self):
        return self.process.pid

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(timeout=30)
        self.folder.cleanup()


def resident_mib(pid):
    text = Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+) kB", text)[1]) / 1024


def cpu_seconds(pid):
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

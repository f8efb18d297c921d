"""The real binary on loopback, for scripts that measure it; and what Linux tells of its process."""

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from environment import ROOT, SHARED

APP, KEY = "bench", "bench-load-key-0123"


class Service:
    """`likeness serve` with so many workers and its defaults, from ready to ended; with a pack, that one in place of the
    default, and an operator's port, whose models are read anew only when it is told to; with variables, those in its
    environment."""

    def __init__(self, workers, cores=None, pack=None, variables=None):
        self.folder = tempfile.TemporaryDirectory()
        environment = {
            **os.environ,
            "LIKENESS_APPS": f"{APP}:{KEY}",
            "LIKENESS__STORAGE__FOLDER": self.folder.name,
            "RUST_LOG": "error",
            **(variables or {}),
        }
        command = [ROOT / "target/release/likeness", "serve", "--workers", str(workers), "--listen", "127.0.0.1:0"]
        if pack is not None:
            environment["LIKENESS__RELOAD__CHECK_SECONDS"] = "0"
            command += ["--pack", pack, "--admin-listen", "127.0.0.1:0"]
        self.process = subprocess.Popen(on_cores(cores, command), cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)
        self.address = self.announced()
        self.admin_address = None if pack is None else self.announced()

    def announced(self):
        """The address in the next line that the service prints as it starts."""
        line = self.process.stdout.readline()
        address = re.search(r"http://(\S+)", line)
        if not address:
            self.__exit__()
            sys.exit(f"the service did not start: {line}")
        return address[1]

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


def load(service, clients, seconds, cores=None, rate=None):
    """Lets clients verify for a while: each again as soon as it is answered, or all together so many times a second. What
    `tools/src/bin/load` says of the verifications, with `refused`, which is that of the 503, and `cost_ms`, the service's processor
    time for each."""
    pictures = SHARED / "data" / "faces"
    command = [ROOT / "target/release/load", "--address", service.address, "--app-id", APP]
    command += ["--seconds", str(seconds), "--clients", str(clients)]
    command += ["--selfie", pictures / "img2.jpg", "--photo", pictures / "img11.jpg"]
    if rate is not None:
        command += ["--rate", f"{rate:.2f}"]
    before = cpu_seconds(service.pid)
    environment = {**os.environ, "LIKENESS_APP_KEY": KEY}
    run = subprocess.run(on_cores(cores, command), env=environment, stdout=subprocess.PIPE, text=True, check=True)
    spent = cpu_seconds(service.pid) - before
    by_status = json.loads(run.stdout)["by_status"]
    if set(by_status) - {"200", "503"} or "200" not in by_status:
        sys.exit(f"not only verifications and 503: {by_status}")
    refused = by_status.get("503", {"count": 0, "per_second": 0})
    return {**by_status["200"], "refused": refused, "cost_ms": 1e3 * spent / by_status["200"]["count"]}


def on_cores(cores, command):
    """The command on these cores, or on all."""
    return command if cores is None else ["taskset", "--cpu-list", ",".join(map(str, cores)), *command]

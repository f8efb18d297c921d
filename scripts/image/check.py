#!/usr/bin/env python3
"""Runs an image as docs/install.md says, and looks whether it does what is said there.

    check.py [--engine docker|podman] [--network host] [--pictures FOLDER] [IMAGE]

The container has a root file system that cannot be written to, no capability, and one volume. It must get ready, verify two
pictures with the key that it printed, finish what is under way when it is stopped, end with 0, and know the key when it is
started again. The image must hold what it needs and nothing that it was built with. The container and the volume are removed.
"""

import argparse
import http.client
import json
import os
import socket
import subprocess
import sys
import tarfile
import time
import urllib.error
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.append(str(ROOT / "scripts"))

from environment import SHARED  # noqa: E402

NAME = f"likeness-check-{os.getpid()}"
USER = "10001"
HARDENING = ["--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges"]
# Seconds. Ready within the image's own start period; a drain is bounded by the deadline of a request (10 s).
READY, DRAINED = 30, 30
BOUNDARY = "likeness-check"
VERIFICATION = "/v0.2/biometric-verification"
TOOLS = {"cargo", "rustc", "cc", "gcc", "g++", "ld", "as", "make", "nasm", "git", "pip", "pip3", "python3"}
# Where the build works.
BUILT_IN = {"src", "image", "state"}
# What only this machine knows, and what a build leaves behind.
PRIVATE = (".pem", ".key", ".jpg", ".jpeg", ".png", ".webp", ".rs", ".rlib", ".git", ".env", "/.netrc", "/id_rsa")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("image", nargs="?", default="likeness")
    parser.add_argument("--engine", default="docker")
    parser.add_argument("--network", help="`host` where the engine can publish no port")
    parser.add_argument("--pictures", type=Path, default=SHARED / "data" / "faces", help="has img2.jpg and img11.jpg, of one person")
    arguments = parser.parse_args()
    engine = Engine(arguments.engine)
    try:
        check_image(engine, arguments.image)
        check_files(engine, arguments.image)
        check_service(engine, arguments)
    finally:
        engine.run("rm", "--force", "--volumes", NAME, check=False)
        engine.run("volume", "rm", "--force", NAME, check=False)
    print(f"{arguments.image}: all as it should be")


class Engine:
    def __init__(self, program):
        self.program = program

    def run(self, *arguments, check=True):
        done = subprocess.run([self.program, *arguments], capture_output=True, text=True)
        if check and done.returncode != 0:
            sys.exit(f"{self.program} {' '.join(arguments)}: {done.stderr.strip()}")
        return done

    def inside(self, *command):
        return self.run("exec", NAME, *command, check=False)

    def state(self):
        return json.loads(self.run("container", "inspect", NAME).stdout)[0]["State"]

    def log(self):
        done = self.run("logs", NAME)
        return done.stdout + done.stderr


def ensure(condition, said):
    if not condition:
        sys.exit(f"image: it is not so that: {said}")
    print(f"  {said}")


def check_image(engine, image):
    inspected = json.loads(engine.run("image", "inspect", image).stdout)[0]
    config = inspected["Config"]
    ensure(config["User"] == f"{USER}:{USER}", f"the user is {config['User']}")
    ensure("/var/lib/likeness" in config["Volumes"], f"volumes: {', '.join(config['Volumes'])}")
    # podman has it beside the configuration.
    health = config.get("Healthcheck") or inspected.get("Healthcheck") or {}
    ensure(health.get("Test") == ["CMD", "likeness", "healthcheck"], f"health check: {health.get('Test')}")
    labels = config["Labels"]
    for label in ("version", "revision", "created"):
        value = labels.get(f"org.opencontainers.image.{label}", "unknown")
        ensure(value != "unknown", f"{label}: {value}")
    words = ("TOKEN", "SECRET", "PASSWORD", "KEY")
    secret = [variable for variable in config["Env"] if any(word in variable.upper() for word in words)]
    ensure(not secret, f"{len(secret)} secrets in the environment")
    print(f"  size: {inspected['Size'] / 2**20:.0f} MiB, base included")


def check_files(engine, image):
    """What is in it, without running it."""
    engine.run("create", "--name", NAME, image)
    own, tools, private = 0, [], []
    here = os.fsencode(ROOT)
    with subprocess.Popen([engine.program, "export", NAME], stdout=subprocess.PIPE) as export:
        with tarfile.open(fileobj=export.stdout, mode="r|") as archive:
            for entry in archive:
                path = Path("/") / entry.name
                if path.name in TOOLS and str(path.parent).endswith("bin"):
                    tools.append(str(path))
                if path.parts[1:] and path.parts[1] in BUILT_IN:
                    private.append(str(path))
                if "likeness" not in str(path):
                    continue
                if str(path) == "/var/lib/likeness":
                    ensure(entry.uid == int(USER), f"{path} belongs to user {entry.uid}")
                    continue
                if entry.uid != 0 or entry.mode & 0o022:
                    sys.exit(f"image: {path} can be changed by the service")
                if str(path).lower().endswith(PRIVATE):
                    private.append(str(path))
                if entry.isfile():
                    own += entry.size
                    if here in archive.extractfile(entry).read():
                        private.append(f"{path}, which names {ROOT}")
    engine.run("rm", "--volumes", NAME)
    ensure(not tools, f"tools of the build: {', '.join(tools) or 'none'}")
    ensure(not private, f"what does not belong there: {', '.join(private) or 'none'}")
    print(f"  Likeness itself: {own / 2**20:.0f} MiB")


def check_service(engine, arguments):
    port = free_port()
    command = ["run", "--detach", "--name", NAME, *HARDENING]
    if engine.program == "podman":
        command.append("--read-only-tmpfs=false")  # there it would be writable all the same
    command += ["--volume", f"{NAME}:/var/lib/likeness"]
    if arguments.network:
        address = f"127.0.0.1:{port}"
        command += ["--network", arguments.network, "--env", f"LIKENESS_LISTEN={address}"]
        command += ["--env", f"LIKENESS_HEALTHCHECK_URL=http://{address}"]
    else:
        command += ["--publish", f"127.0.0.1:{port}:8080"]
    engine.run(*command, arguments.image)
    print(f"  ready after {wait_ready(engine):.1f} s")
    check_confinement(engine)
    ensure("telemetry" not in engine.log().lower(), "ONNX Runtime reports nothing to its maker")
    key = first_key(engine)
    body = form(arguments.pictures)
    verify(port, key, body)
    stop_with_a_request(engine, port, key, body)
    engine.run("start", NAME)
    print(f"  ready again after {wait_ready(engine):.1f} s, with its volume")
    verify(port, key, body)
    engine.run("stop", NAME)
    ensure(engine.state()["ExitCode"] == 0, "stopped again, exit code 0")


def free_port():
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return listening.getsockname()[1]


def wait_ready(engine):
    """As the image's own health check asks."""
    began = time.monotonic()
    while engine.inside("likeness", "healthcheck", "--ready").returncode != 0:
        if not engine.state()["Running"] or time.monotonic() - began > READY:
            sys.exit(f"image: it does not get ready\n{engine.log()}")
        time.sleep(0.1)
    healthy = engine.inside("likeness", "healthcheck")
    ensure(healthy.returncode == 0, f"the health check says {healthy.stdout.strip()}")
    return time.monotonic() - began


def check_confinement(engine):
    status = dict(line.split(":", 1) for line in engine.inside("cat", "/proc/1/status").stdout.splitlines())
    status = {key: value.split() for key, value in status.items()}
    ensure(set(status["Uid"] + status["Gid"]) == {USER}, f"process 1 is user {status['Uid'][0]}")
    capabilities = {int(status[kind][0], 16) for kind in ("CapPrm", "CapEff", "CapBnd", "CapAmb")}
    ensure(capabilities == {0} and status["NoNewPrivs"] == ["1"], "no capability, and none to be had")
    for place in ("/x", "/etc/x", "/usr/share/likeness/x", "/tmp/x"):
        ensure(engine.inside("touch", place).returncode != 0, f"{place} cannot be written")
    limits = [line.split() for line in engine.inside("cat", "/proc/1/limits").stdout.splitlines()]
    ensure(["Max", "core", "file", "size", "0", "0"] in [line[:6] for line in limits], "no core dumps")


def first_key(engine):
    """Of the app that a service with an empty storage makes."""
    for line in engine.log().splitlines():
        if "app_key" in line:
            return line.split("app_key", 1)[1].strip(' :="')
    sys.exit(f"image: no key was printed\n{engine.log()}")


def form(pictures):
    body = b""
    for field, name in (("selfie", "img2.jpg"), ("image", "img11.jpg")):
        head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{field}"; filename="{name}"\r\nContent-Type: image/jpeg\r\n\r\n'
        body += head.encode() + (pictures / name).read_bytes() + b"\r\n"
    return body + f"--{BOUNDARY}--\r\n".encode()


def headers(key):
    return {"app_id": "default", "app_key": key, "Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}


def verify(port, key, body):
    request = urllib.request.Request(f"http://127.0.0.1:{port}{VERIFICATION}", body, headers(key))
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            biometric = json.load(answer)["response_data"]["biometric"]
            print(f"  a verification: {answer.status}, {biometric}")
    except urllib.error.HTTPError as error:
        sys.exit(f"image: a verification is answered {error.code} {error.read().decode()}")


def stop_with_a_request(engine, port, key, body):
    """SIGTERM while a body is half there: it is answered all the same, and only then the process ends, with 0."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=DRAINED)
    connection.putrequest("POST", VERIFICATION)
    for name, value in {**headers(key), "Content-Length": str(len(body)), "Expect": "100-continue"}.items():
        connection.putheader(name, value)
    connection.endheaders()
    # It asks for the body: so the request is under way.
    begun = connection.sock.recv(64)
    ensure(begun.startswith(b"HTTP/1.1 100"), "a request is under way")
    connection.send(body[: len(body) // 2])
    engine.run("kill", "--signal", "TERM", NAME)
    until = time.monotonic() + DRAINED
    while answers(port):
        if time.monotonic() > until:
            sys.exit("image: it takes requests after SIGTERM")
        time.sleep(0.02)
    connection.send(body[len(body) // 2 :])
    answer = connection.getresponse()
    ensure(answer.status == 200, f"what was under way at SIGTERM is answered {answer.status}")
    code = engine.run("wait", NAME).stdout.strip()
    ensure(code == "0", f"it ended with exit code {code}")


def answers(port):
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5) as answer:
            return answer.status == 200
    except (OSError, http.client.HTTPException):
        return False


if __name__ == "__main__":
    main()

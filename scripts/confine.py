#!/usr/bin/env python3
"""Runs a command with the system calls that a systemd unit leaves it, without systemd: to see that the unit leaves enough.

    confine.py UNIT COMMAND [ARGUMENT ...]

Heeds SystemCallFilter=, SystemCallErrorNumber=, MemoryDenyWriteExecute=, RestrictAddressFamilies= and RestrictNamespaces=yes of
the unit, as seccomp filters that the kernel enforces. What the sets of calls (@system-service) are, systemd-analyze says:
LIKENESS_SYSTEMD_ANALYZE names it, else it is looked for on the path. Needs libseccomp, which every systemd does.
"""

import configparser
import ctypes
import errno
import os
import socket
import subprocess
import sys
from pathlib import Path

ANALYZE = os.environ.get("LIKENESS_SYSTEMD_ANALYZE", "systemd-analyze")
# seccomp.h of libseccomp 2.5
ALLOW = 0x7FFF0000
EQUAL, GREATER_OR_EQUAL, MASKED_EQUAL = 4, 5, 7
NO_SUCH_CALL = -1
# mman.h, shm.h, prctl.h of Linux
PROT_WRITE, PROT_EXEC = 2, 4
SHM_EXEC = 0o100000
PR_SET_NO_NEW_PRIVS = 38
# sched.h: a clone() that makes any namespace of its own has one of these
NAMESPACES = (0x00000080, 0x00020000, 0x02000000, 0x04000000, 0x08000000, 0x10000000, 0x20000000, 0x40000000)
# Beyond the last that any Linux has.
FAMILIES = 64


class Comparison(ctypes.Structure):
    _fields_ = [("argument", ctypes.c_uint), ("operation", ctypes.c_int), ("a", ctypes.c_uint64), ("b", ctypes.c_uint64)]


def refuse(number):
    return 0x00050000 | number


class Filter:
    """What happens to calls that no rule is about, and rules."""

    def __init__(self, library, otherwise):
        self.library = library
        self.context = library.seccomp_init(otherwise)

    def rule(self, action, call, *comparisons):
        number = self.library.seccomp_syscall_resolve_name(call.encode())
        # Sets name calls of other machines too.
        if number != NO_SUCH_CALL:
            array = (Comparison * len(comparisons))(*comparisons)
            failed = self.library.seccomp_rule_add_array(self.context, action, number, len(comparisons), array)
            # Calls that this machine has not, by their pseudo numbers, are refused by it.
            if failed not in (0, -errno.EDOM, -errno.EOPNOTSUPP):
                sys.exit(f"confine: {call}: {os.strerror(-failed)}")

    def load(self):
        failed = self.library.seccomp_load(self.context)
        if failed:
            sys.exit(f"confine: the kernel takes no filter: {os.strerror(-failed)}")


def libseccomp():
    # Where systemd-analyze was unpacked, it may be the only one.
    beside = sorted(Path(ANALYZE).parent.parent.glob("lib/*/libseccomp.so.2"))
    library = ctypes.CDLL(beside[0] if beside else "libseccomp.so.2")
    library.seccomp_init.restype = ctypes.c_void_p
    library.seccomp_init.argtypes = [ctypes.c_uint32]
    library.seccomp_load.argtypes = [ctypes.c_void_p]
    library.seccomp_rule_add_array.argtypes = [
        ctypes.c_void_p, ctypes.c_uint32, ctypes.c_int, ctypes.c_uint, ctypes.POINTER(Comparison)
    ]
    return library


def settings(unit):
    """Of [Service]: each key with all of its values."""
    found = {}

    class Values(dict):
        def __setitem__(self, key, value):
            if isinstance(value, list) and isinstance(self.get(key), list):
                self[key].extend(value)
            else:
                super().__setitem__(key, value)

    parser = configparser.RawConfigParser(dict_type=Values, strict=False, delimiters=("=",), comment_prefixes=("#", ";"))
    parser.optionxform = str
    parser.read(unit)
    for key, value in parser["Service"].items():
        found[key] = value.split("\n")
    return found


def calls_of(names):
    """The calls that names and @sets stand for."""
    found = set()
    for name in names:
        if not name.startswith("@"):
            found.add(name)
            continue
        said = subprocess.run([ANALYZE, "syscall-filter", name], check=True, capture_output=True, text=True).stdout
        lines = (line.strip() for line in said.splitlines()[1:])
        found |= calls_of(line for line in lines if line and not line.startswith("#"))
    return found


def allowed_calls(values):
    """The first value says whether the list is of what is allowed."""
    allowed = calls_of(["@default"])
    for value in values:
        names = calls_of(value.removeprefix("~").split())
        allowed = allowed - names if value.startswith("~") else allowed | names
    return allowed


def confine(unit):
    library = libseccomp()
    found = settings(unit)
    if ctypes.CDLL(None).prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        sys.exit("confine: no_new_privs cannot be set")

    restricted = Filter(library, ALLOW)
    if found.get("RestrictAddressFamilies"):
        families = {int(getattr(socket, name)) for value in found["RestrictAddressFamilies"] for name in value.split()}
        refused = refuse(errno.EAFNOSUPPORT)
        for family in set(range(FAMILIES)) - families:
            restricted.rule(refused, "socket", Comparison(0, EQUAL, family))
        restricted.rule(refused, "socket", Comparison(0, GREATER_OR_EQUAL, FAMILIES))
    if found.get("RestrictNamespaces") == ["yes"]:
        # Its flags are behind a pointer: the C library then takes the older call.
        restricted.rule(refuse(errno.ENOSYS), "clone3")
        for call in ("unshare", "setns"):
            restricted.rule(refuse(errno.EPERM), call)
        for flag in NAMESPACES:
            restricted.rule(refuse(errno.EPERM), "clone", Comparison(0, MASKED_EQUAL, flag, flag))
    if found.get("MemoryDenyWriteExecute") == ["yes"]:
        both = PROT_WRITE | PROT_EXEC
        for call in ("mmap", "mmap2"):
            restricted.rule(refuse(errno.EPERM), call, Comparison(2, MASKED_EQUAL, both, both))
        for call in ("mprotect", "pkey_mprotect"):
            restricted.rule(refuse(errno.EPERM), call, Comparison(2, MASKED_EQUAL, PROT_EXEC, PROT_EXEC))
        restricted.rule(refuse(errno.EPERM), "shmat", Comparison(2, MASKED_EQUAL, SHM_EXEC, SHM_EXEC))

    otherwise = getattr(errno, found.get("SystemCallErrorNumber", ["EPERM"])[-1])
    listed = Filter(library, refuse(otherwise))
    for call in allowed_calls(found["SystemCallFilter"]):
        listed.rule(ALLOW, call)
    restricted.load()
    listed.load()


def main():
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    confine(sys.argv[1])
    os.execvp(sys.argv[2], sys.argv[2:])


if __name__ == "__main__":
    main()

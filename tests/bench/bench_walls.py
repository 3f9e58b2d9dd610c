#!/usr/bin/python3
"""What each kind of process may still do: user, rights, descriptors, mapped files, and the system calls of a worker."""
import collections
import os
import pathlib
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from support import certificates, liars, walls  # noqa: E402
from support.postern import Backend, Configuration, Listener, Postern, command  # noqa: E402


def describe(name, pid):
    status = walls.status(pid)
    print(f"\n== {name}")
    print("  user %s, group %s, further groups %s" % (status["Uid"].split()[0], status["Gid"].split()[0], status["Groups"].strip() or "none"))
    print("  capabilities %s, new privileges %s, seccomp %s, core %s" % (
        "none" if int(status["CapPrm"], 16) == 0 else status["CapPrm"], "no" if status["NoNewPrivs"] == "1" else "yes",
        {"0": "off", "2": "filter"}[status["Seccomp"]], walls.core_limit(pid)[0]))
    if os.geteuid() != 0:
        print("  descriptors and maps: only root may look")
        return
    kinds = collections.Counter(walls.kind_of(target) or target for target in walls.descriptors(pid).values())
    print("  descriptors: " + ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items())))
    print("  files mapped: " + ", ".join(os.path.basename(path) for path in walls.mapped(pid)))


def main():
    with tempfile.TemporaryDirectory() as folder, liars.Fake(liars.ImapStore({b"alice": b"right"})) as fake:
        ca = certificates.make_ca(folder)
        certificate = certificates.make_certificate(folder, ca, ("localhost", "127.0.0.1"))
        listeners = [Listener("imap", "implicit"), Listener("imap", "starttls")]
        with Postern(None, Configuration(certificate, [Backend("imap", fake.port)], listeners=listeners, workers=1)) as front:
            describe("supervisor", front.pid)
            for kind in ("worker", "auth", "keeper", "monitor"):
                for pid in front.children(kind)[:1]:
                    describe(kind, pid)
    calls = subprocess.run(command("--syscalls"), capture_output=True, text=True, check=True).stdout.split("\n")[:-1]
    print("\n== system calls of a worker: %d rules" % len(calls))
    print("  " + ", ".join(calls))


if __name__ == "__main__":
    main()

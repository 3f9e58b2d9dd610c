#!/usr/bin/python3
"""Workers and authentication processes killed at random under a stream of logins: every login that fails must have a cause.

A connection that breaks must have been cut by the death of a worker, a temporary refusal must follow the death of an auth process,
and a refusal is never explained. After it one address may open as many sessions as it is allowed, no more: its count
is back at zero; and every process holds the descriptors that it held before.
"""
import argparse
import os
import pathlib
import random
import signal
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from pump import Pump  # noqa: E402
from support import certificates, clients, process, stores  # noqa: E402
from support.postern import Backend, Configuration, Listener, Postern  # noqa: E402
from support.wait import wait_for  # noqa: E402

LISTENERS = [Listener(name, "implicit") for name in ("submission", "imap", "pop3")]
ALLOWED = 40      # sessions of one address
AFTERMATH = 2.0   # seconds in which a death explains a failure
CAUSES = {"connection": "worker", "temporary": "auth"}


def kill_at_random(front, pump, seconds):
    """What was killed: (seconds since the pump began, kind)."""
    killed = []
    while time.monotonic() - pump.begin < seconds:
        time.sleep(random.uniform(1, 5))
        kind = random.choice(("worker", "auth"))
        present = front.children(kind)
        if present:
            killed.append((time.monotonic() - pump.begin, kind))
            os.kill(random.choice(present), signal.SIGKILL)
    return killed


def explain(pump, killed):
    """How many failures each kind of death explains, and those without a cause."""
    explained, strange = {"worker": 0, "auth": 0}, []
    for when, outcome in pump.failed_at:
        kind = CAUSES.get(outcome.split(":")[0])
        if any(kind == who and 0 <= when - moment <= AFTERMATH for moment, who in killed):
            explained[kind] += 1
        else:
            strange.append((when, outcome))
    return explained, strange


def sessions_of_one_address(front, context):
    """How many it may open at once."""
    wires = []
    try:
        while len(wires) <= ALLOWED:
            wires.append(clients.reach(front.port("imap", "implicit"), "imap", "implicit", context))
    except (OSError, AssertionError):
        pass
    for wire in wires:
        wire.close()
    return len(wires)


def descriptors(front):
    return sorted(process.open_descriptors(pid) for pid in [front.pid, *front.children()])


def soak(front, context, options):
    targets = [(one.protocol, front.port(one.protocol, "implicit")) for one in LISTENERS]
    held = descriptors(front)
    with Pump(context, targets, "alice", "wonderland", options.rate) as pump:
        killed = kill_at_random(front, pump, options.seconds)
        time.sleep(AFTERMATH)
    pump.report()
    died = len(front.events("child_died"))
    wait_for(lambda: len(front.events("child_started")) == died, lambda: "everyone to be back\n" + front.log()[-2000:], 60)
    explained, strange = explain(pump, killed)
    print("killed: %d workers, %d auth processes; deaths logged: %d" %
          (sum(kind == "worker" for _, kind in killed), sum(kind == "auth" for _, kind in killed), died))
    print("failed logins: %d explained by the death of a worker, %d by that of an auth process, %d not explained" %
          (explained["worker"], explained["auth"], len(strange)))
    for when, outcome in strange[:10]:
        print("  at %.1f s: %s" % (when, outcome))
    room = sessions_of_one_address(front, context)
    print("sessions that the address may open afterwards: %d of %d" % (room, ALLOWED))
    wait_for(lambda: descriptors(front) == held, lambda: f"descriptors {held} again, not {descriptors(front)}")
    print("descriptors of each process, before and after: %s" % held)
    return not strange and died == len(killed) and room == ALLOWED


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=120)
    parser.add_argument("--rate", type=float, default=50, help="logins a second")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        ca = certificates.make_ca(os.path.join(folder, "ca"))
        certificate = certificates.make_certificate(folder, ca, ("localhost", "127.0.0.1"))
        context = clients.tls_context(ca.certificate)
        dovecot = stores.Dovecot().start()
        postfix = stores.Postfix(dovecot=dovecot).start()
        try:
            backends = [Backend("imap", dovecot.imap_port), Backend("pop3", dovecot.pop3_port), Backend("submission", postfix.port)]
            configuration = Configuration(certificate, backends, listeners=LISTENERS,
                                          monitor="",
                                          limits=f"drain_timeout = 2; max_sessions_per_address = {ALLOWED};")
            with Postern(tempfile.mkdtemp(dir=folder), configuration) as front:
                fine = soak(front, context, options)
        finally:
            postfix.stop()
            dovecot.stop()
    sys.exit(0 if fine else 1)


if __name__ == "__main__":
    main()

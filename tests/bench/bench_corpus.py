#!/usr/bin/python3
"""Random mails of 0 to 5 MiB in the shapes of real ones, by DATA and BDAT, pipelined and not, through Postern to four kinds of
server; SHA-256 of what arrived is compared with what was sent. The exit status says whether all were equal."""
import argparse
import contextlib
import pathlib
import sys
import tempfile
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from support import certificates, clients, corpus, stores  # noqa: E402
from support.postern import Configuration, Listener, Postern  # noqa: E402

SESSIONS = 4


def submit_all(port, context, kind, numbers, largest, faults):
    """In a thread. The messages are made as they are sent: all of them together would not fit everywhere."""
    try:
        for begin in range(0, len(numbers), 20):
            messages = [corpus.message_for(kind, number, largest) for number in numbers[begin:begin + 20]]
            corpus.submit(port, context, messages)
    except Exception as fault:    # shown by the main thread
        faults.append(fault)


def run(kind, front, context, count, largest):
    faults, begin = [], time.monotonic()
    threads = [threading.Thread(target=submit_all, args=(front.port("submission", "implicit"), context, kind,
                                                         range(first, count, SESSIONS), largest, faults))
               for first in range(SESSIONS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if faults:
        raise faults[0]
    kind.mailbox.wait(count, 600)
    different, octets = [], 0
    for number in range(count):
        message = corpus.message_for(kind, number, largest)
        octets += len(message.text)
        different += kind.mailbox.differences([message])
    print("%-32s %5d mails, %6.1f MiB, %6.1f s: %d different%s" % (
        kind.name, count, octets / (1 << 20), time.monotonic() - begin, len(different),
        "".join(" %d" % number for number in different[:20])), flush=True)
    for fault in kind.mailbox.faults[:5]:
        print("  " + fault)
    return not different and not kind.mailbox.faults


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=100, help="mails to each kind of server (100)")
    parser.add_argument("--largest", type=int, default=5 << 20, help="octets of the largest (5 MiB)")
    arguments = parser.parse_args()
    equal = True
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        ca = certificates.make_ca(folder)
        certificate = certificates.make_certificate(folder, ca, ("localhost", "127.0.0.1"))
        context = clients.tls_context(ca.certificate)
        dovecot = stack.enter_context(stores.Dovecot(users={corpus.USER: corpus.PASSWORD}))
        for kind in corpus.kinds(stack, dovecot):
            configuration = Configuration(certificate, [kind.backend()], listeners=[Listener("submission", "implicit")],
                                          limits="drain_timeout = 1;")
            with Postern(tempfile.mkdtemp(dir=folder), configuration) as front:
                equal = run(kind, front, context, arguments.count, arguments.largest) and equal
    return 0 if equal else 1


if __name__ == "__main__":
    sys.exit(main())

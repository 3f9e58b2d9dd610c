#!/usr/bin/python3
"""What Postern adds to a login: one after another, handshake included, TLS 1.3, ECDSA P-256 (see --help for numbers).

Measured from connect() to the tagged OK of IMAP LOGIN: through Postern, which then logs in to Dovecot in clear text, and
straight to the same Dovecot with TLS of its own. A second comparison takes the store out of the picture: an instant stand-in
that answers at once, through Postern, and its own clear-text login time.
"""
import argparse
import pathlib
import ssl
import statistics
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from support import certificates, clients, liars, stores  # noqa: E402
from support.postern import Backend, Configuration, Listener, Postern  # noqa: E402


def one_login(port, context):
    begin = time.perf_counter()
    wire = clients.Wire(port, tls=context)
    assert wire.line().startswith("* OK")
    assert wire.imap("a LOGIN alice wonderland").split("\n")[-1].startswith("a OK")
    taken = time.perf_counter() - begin
    wire.imap("b LOGOUT")
    wire.close()
    return taken * 1000


def measure(count, **ports):
    """Milliseconds by name; the ways take turns, so that whatever else the machine does meets all of them."""
    times = {name: [] for name in ports}
    for _ in range(count):
        for name, (port, context) in ports.items():
            times[name].append(one_login(port, context))
    return times


def show(name, times):
    ordered = sorted(times)
    print("%-34s median %6.2f ms   95%% %6.2f ms   most %6.2f ms" %
          (name, statistics.median(ordered), ordered[int(len(ordered) * 0.95)], ordered[-1]))
    return statistics.median(ordered)


def postern(folder, certificate, port):
    return Postern(folder, Configuration(certificate, [Backend("imap", port)], listeners=[Listener("imap", "implicit")],
                                         limits="drain_timeout = 1;"))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=300)
    count = parser.parse_args().count
    with tempfile.TemporaryDirectory() as folder:
        ca = certificates.make_ca(folder)
        certificate = certificates.make_certificate(folder, ca, ("localhost", "127.0.0.1"))
        context = clients.tls_context(ca.certificate, ssl.TLSVersion.TLSv1_3)
        with stores.Dovecot(users={"alice": "wonderland"}, certificate=certificate) as dovecot, \
                liars.Fake(liars.ImapStore(None)) as fake, \
                postern(tempfile.mkdtemp(dir=folder), certificate, dovecot.imap_port) as before_dovecot, \
                postern(tempfile.mkdtemp(dir=folder), certificate, fake.port) as before_fake:
            ways = {"Dovecot, straight (TLS)": (dovecot.imaps_port, context),
                    "Dovecot, through Postern": (before_dovecot.port("imap", "implicit"), context),
                    "stand-in, straight (no TLS)": (fake.port, None),
                    "stand-in, through Postern": (before_fake.port("imap", "implicit"), context)}
            measure(5, **ways)
            print("%d logins each, ECDSA P-256, TLS 1.3, handshake included" % count)
            medians = [show(name, times) for name, times in measure(count, **ways).items()]
        print("Postern adds %.2f ms to a login at Dovecot" % (medians[1] - medians[0]))
        print("TLS and Postern together add %.2f ms to a login at the stand-in" % (medians[3] - medians[2]))


if __name__ == "__main__":
    main()

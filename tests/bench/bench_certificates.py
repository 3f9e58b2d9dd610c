#!/usr/bin/python3
"""Thousands of certificates in a folder: start, memory of each process beside that with one certificate, handshakes for random names, and the
renewal of one among all. Needs Debian's python3-cryptography, which makes them quickly."""
import argparse
import datetime
import os
import pathlib
import random
import socket
import ssl
import statistics
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from support.postern import Backend, Configuration, Listener, Postern, check  # noqa: E402

try:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
except ImportError:
    print("not measured: python3-cryptography is not installed")
    sys.exit(0)

PATIENCE = 300
PEM, PLAIN = serialization.Encoding.PEM, serialization.NoEncryption()


class Maker:
    """An authority, and certificates of it."""

    def __init__(self):
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Throw-away CA")])
        self.issuer_id = x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key())

    def make(self, folder, name):
        """In certbot's layout."""
        key, now = ec.generate_private_key(ec.SECP256R1()), datetime.datetime.utcnow()
        made = (x509.CertificateBuilder().subject_name(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)]))
                .issuer_name(self.name).public_key(key.public_key()).serial_number(x509.random_serial_number())
                .not_valid_before(now - datetime.timedelta(hours=1)).not_valid_after(now + datetime.timedelta(days=90))
                .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), False)
                .add_extension(self.issuer_id, False).sign(self.key, hashes.SHA256()))
        os.makedirs(os.path.join(folder, name), exist_ok=True)
        self.put(os.path.join(folder, name, "privkey.pem"), key.private_bytes(PEM, serialization.PrivateFormat.PKCS8, PLAIN))
        self.put(os.path.join(folder, name, "fullchain.pem"), made.public_bytes(PEM))
        return made.public_bytes(serialization.Encoding.DER)

    @staticmethod
    def put(path, data):
        with open(path + ".new", "wb") as file:
            os.fchmod(file.fileno(), 0o600)
            file.write(data)
        os.replace(path + ".new", path)


def memory(pid):
    """(own, in proportion) KiB: what it shares with nobody; and its part of what is shared besides."""
    with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as file:
        found = {key: int(value.split()[0]) for key, _, value in (line.partition(":") for line in file) if value.endswith("kB\n")}
    return found["Private_Clean"] + found["Private_Dirty"], found["Pss"]


def sizes(front):
    pids = {"supervisor": front.pid}
    for kind in ("worker", "keeper", "monitor"):
        for number, pid in enumerate(sorted(front.children(kind))):
            pids[f"{kind} {number}"] = pid
    return {name: memory(pid) for name, pid in pids.items()}


def seconds_of_processor(pid):
    with open(f"/proc/{pid}/stat", "rb") as file:
        fields = file.read().rpartition(b")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def handshake(port, name):
    """(seconds, leaf)"""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with socket.create_connection(("127.0.0.1", port)) as sock:
        begin = time.perf_counter()
        with context.wrap_socket(sock, server_hostname=name) as wire:
            return time.perf_counter() - begin, wire.getpeercert(True)


def start(folder, live):
    class Files:
        chain = key = "unused"
    configuration = Configuration(Files, [Backend("imap", 1)], listeners=[Listener("imap", "implicit")],
                                  limits="drain_timeout = 1; max_sessions_per_address = 0;").text()
    at = configuration.index("tls: {")
    text = configuration[:at] + 'tls: { certificates_dir = "%s"; };' % live + configuration[configuration.index("\n", at):]
    front = Postern(tempfile.mkdtemp(dir=folder), text, listeners=[Listener("imap", "implicit")])
    begin = time.monotonic()
    status, said = check(front.path, PATIENCE)
    assert status == 0, said
    checked = time.monotonic()
    front.start(PATIENCE)
    return front, checked - begin, time.monotonic() - checked


def show(what, times):
    print("%-44s median %6.2f ms, most %6.2f ms" % (what, statistics.median(times) * 1000, max(times) * 1000))


def measure(front, live, maker, names):
    port = front.port("imap", "implicit")
    handshake(port, names[0])
    some = random.sample(names, min(200, len(names)))
    show("handshake, a name for the first time", [handshake(port, name)[0] for name in some])
    show("handshake, the same name again and again", [handshake(port, names[0])[0] for _ in range(200)])
    many = [random.choice(names) for _ in range(1000)]
    show("handshake, 1,000 random names", [handshake(port, name)[0] for name in many])
    name, times = names[len(names) // 2], []
    for _ in range(5):
        leaf, begin = maker.make(live, name), time.monotonic()
        while handshake(port, name)[1] != leaf:
            time.sleep(0.02)
        times.append(time.monotonic() - begin)
        time.sleep(1.5)
    print("renewal of one, until it is seen: median %.2f s, most %.2f s" % (statistics.median(times), max(times)))
    before = seconds_of_processor(front.pid)
    time.sleep(5)
    print("the supervisor at rest: %.1f %% of a core" % ((seconds_of_processor(front.pid) - before) * 20))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--certificates", type=int, default=5000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        maker, names = Maker(), ["n%05d.example.test" % number for number in range(options.certificates)]
        live, alone = os.path.join(folder, "live"), os.path.join(folder, "alone")
        begin = time.monotonic()
        for name in names:
            maker.make(live, name)
        print("%d certificates made in %.1f s" % (len(names), time.monotonic() - begin))
        maker.make(alone, names[0])
        front, checking, starting = start(folder, alone)
        with front:
            handshake(front.port("imap", "implicit"), names[0])
            base = sizes(front)
        print("%5d: -t %.2f s, start %.2f s" % (1, checking, starting))
        front, checking, starting = start(folder, live)
        with front:
            handshake(front.port("imap", "implicit"), names[0])
            crowd = sizes(front)
            print("%5d: -t %.2f s, start %.2f s" % (len(names), checking, starting))
            measure(front, live, maker, names)
            after = sizes(front)
    print("KiB of its own (with its part of what is shared): with 1, with %d, then with %d contexts" % (len(names), min(256, len(names))))
    for name in base:
        print("%-12s %6d (%6d)   %6d (%6d)   %6d (%6d)" % (name, *base[name], *crowd[name], *after[name]))


if __name__ == "__main__":
    main()

"""Which of two certificates side by side the clients of others get: dual.py.

A Postern with an ECDSA and an RSA certificate of the same names, each of an authority of its kind; OpenSSL, GnuTLS, Java and
Node, each as it comes, then limited to RSA and to ECDSA, in TLS 1.2 (by suites) and TLS 1.3 (by signature algorithms). All verify
what they get. Prints a table; fails where one does not get the certificate that it can use, or where ECDSA is not taken
before RSA. Half a minute.
"""
import pathlib
import re
import shutil
import ssl
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from support import certificates, liars    # noqa: E402
from support.postern import Backend, Configuration, Listener, Postern    # noqa: E402

HERE = pathlib.Path(__file__).resolve().parent
VERSIONS = ("1.2", "1.3")
WANTED = {"either": "ECDSA", "RSA": "RSA", "ECDSA": "ECDSA"}    # by what a client is limited to
SUITES = {"either": "", "RSA": "ECDHE-RSA-AES128-GCM-SHA256", "ECDSA": "ECDHE-ECDSA-AES128-GCM-SHA256"}
SCHEMES = {"either": "", "RSA": "rsa_pss_rsae_sha256:rsa_pkcs1_sha256", "ECDSA": "ecdsa_secp256r1_sha256"}
GNUTLS_SUITES = {"either": "", "RSA": ":-ECDHE-ECDSA", "ECDSA": ":-ECDHE-RSA:-RSA:-DHE-RSA"}
GNUTLS_SCHEMES = {"either": "", "RSA": ":-SIGN-ALL:+SIGN-RSA-PSS-RSAE-SHA256:+SIGN-RSA-SHA256",
                  "ECDSA": ":-SIGN-ALL:+SIGN-ECDSA-SECP256R1-SHA256:+SIGN-ECDSA-SHA256"}


def limits(version, limit):
    """(suites, signature algorithms), as OpenSSL names them."""
    return (SUITES[limit], "") if version == "1.2" else ("", SCHEMES[limit])


def of_openssl(port, ca, version, limit):
    suites, schemes = limits(version, limit)
    return ["openssl", "s_client", "-connect", "localhost:%d" % port, "-servername", "localhost", "-CAfile", ca, "-verify_return_error",
            "-verify_hostname", "localhost", "-tls1_" + version[-1], *(["-cipher", suites] if suites else []),
            *(["-sigalgs", schemes] if schemes else [])]


def of_gnutls(port, ca, version, limit):
    more = (GNUTLS_SUITES if version == "1.2" else GNUTLS_SCHEMES)[limit]
    return ["gnutls-cli", "-p", str(port), "--x509cafile", ca, "--print-cert", "--priority",
            "NORMAL:-VERS-ALL:+VERS-TLS%s%s" % (version, more), "localhost"]


def of_java(port, ca, version, limit):
    suites, schemes = limits(version, limit)
    names = "TLS_%s_WITH_AES_128_GCM_SHA256" % suites[:-len("-AES128-GCM-SHA256")].replace("-", "_") if suites else ""
    return ["java", *(["-Djdk.tls.client.SignatureSchemes=" + schemes.replace(":", ",")] if schemes else []), str(HERE / "Dual.java"),
            str(port), ca, "TLSv" + version, names]


def of_node(port, ca, version, limit):
    return ["node", str(HERE / "dual.js"), str(port), ca, "TLSv" + version, *limits(version, limit)]


CLIENTS = {"openssl": of_openssl, "gnutls-cli": of_gnutls, "java": of_java, "node": of_node}


def der(text):
    """The first certificate of a text."""
    found = re.search("-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", text, re.DOTALL)
    return ssl.PEM_cert_to_DER_cert(found.group()) if found else None


def shake(command, kinds):
    """(version, kind of certificate, what it said) of that client; without the first two where it was not content."""
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False)
    said = done.stdout + done.stderr
    version = re.search(r"TLSv?(1\.[0-9])", done.stdout)
    return (version.group(1), kinds.get(der(done.stdout)), said) if version and done.returncode == 0 else (None, None, said)


def house(folder):
    """The file of both authorities, {certificate: kind}, and a Postern that is about to be started."""
    kinds, pairs, ca = {}, [], pathlib.Path(folder) / "authorities.pem"
    for kind, key in (("RSA", "rsa"), ("ECDSA", "ec")):    # the other way round, the first would be right for "either" by chance
        authority = certificates.make_ca(folder, "Throw-away %s CA" % kind, key)
        pairs.append(certificates.make_certificate(folder, authority, ("localhost", "127.0.0.1"), key=key))
        kinds[der(pathlib.Path(pairs[-1].chain).read_text(encoding="ascii"))] = kind
        with open(ca, "a", encoding="ascii") as file:
            file.write(pathlib.Path(authority.certificate).read_text(encoding="ascii"))
    store = liars.Fake(liars.ImapStore(None))
    configuration = Configuration(pairs, [Backend("imap", store.port)], listeners=[Listener("imap", "implicit")],
                                  limits="max_sessions_per_address = 0;")
    return str(ca), kinds, Postern(folder, configuration)


def main():
    missing = [program for program in CLIENTS if shutil.which(program) is None]
    if missing:
        sys.exit("not installed: %s (tests/support/install-deps.sh audit)" % " ".join(missing))
    bad = 0
    print("%-12s %-8s %-11s %s" % ("client", "TLS", "limited to", "certificate"))
    with tempfile.TemporaryDirectory() as folder:
        ca, kinds, front = house(folder)
        with front:
            port = front.port("imap", "implicit")
            for client, command in CLIENTS.items():
                for version in VERSIONS:
                    for limit, wanted in WANTED.items():
                        got, kind, said = shake(command(port, ca, version, limit), kinds)
                        fine = (got, kind) == (version, wanted)
                        print("%-12s %-8s %-11s %s%s" % (client, got, limit, kind, "" if fine else "  WRONG: TLS %s with %s is wanted\n%s"
                                                         % (version, wanted, said)))
                        bad += not fine
    print("\ndual: %s" % ("%d of them wrong" % bad if bad else "each got the certificate that it can use"))
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())

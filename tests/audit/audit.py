"""What the scanners find at Postern's six listeners: audit.py [--keep FOLDER].

A Postern with profile "modern", an ECDSA and an RSA certificate of 90 days with CRL and OCSP URIs and a stapled response, so that
the throw-away authority is not the finding; testssl.sh and sslscan at each listener; a table. Fails on whatever is above
"ok" and "info" and does not stand in EXPLAINED. All on loopback: testssl.sh's checks that need the Internet (fetching the
CRL, asking the OCSP responder, CAA records) are off, as it has them by default. Some four minutes on two cores.
"""
import argparse
import concurrent.futures
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from support import certificates, liars, responder    # noqa: E402
from support.postern import Backend, Configuration, Postern    # noqa: E402

DAYS = 90
MORE = "crlDistributionPoints = URI:http://crl.example.test/ca.crl\nauthorityInfoAccess = OCSP;URI:http://ocsp.example.test/\n"
STARTTLS = {"submission": "smtp", "imap": "imap", "pop3": "pop3"}
CHECKS = ("--protocols", "--std", "--cipher-per-proto", "--fs", "--server-defaults", "--server-preference", "--vulnerable",
          "--grease")
FINE = {"OK", "INFO", "DEBUG"}

# (scanner, finding, pattern of its text): why it is none.
EXPLAINED = {
    ("testssl", "engine_problem", ".*"): "of the scanner's own openssl, not of Postern",
    ("testssl", "sessionresumption_ticket", "connect problem"):
        "openssl s_client leaves before the ticket of TLS 1.3 is there, now and then on a busy machine",
    ("testssl", "GREASE", "contains an application_layer_protocol_negotiation extension"):
        "it names protocols of the web, which are refused (RFC 7301 3.2, and what ALPACA is about)",
    ("sslscan", "TLSv1.2 disabled", ".*"):
        "it asks with 344 suites at once, of which wolfSSL reads at most 150; testssl.sh above finds TLS 1.2",
}


def staple(pair, authority):
    """A response about that certificate, beside its chain."""
    pathlib.Path(pair.chain + ".ocsp").write_bytes(responder.response(authority, pair, 7 * 24 * 60))


def house(folder):
    """The authority's file, and a Postern that is about to be started."""
    authority = certificates.make_ca(folder, days=DAYS + 10)
    pairs = [certificates.make_certificate(folder, authority, ("localhost", "127.0.0.1"), key=key, days=DAYS, more=MORE)
             for key in ("ec", "rsa")]
    for pair in pairs:
        staple(pair, authority)
        # Who has signed the response is looked for in the chain.
        with open(pair.chain, "a", encoding="ascii") as chain, open(authority.certificate, encoding="ascii") as file:
            chain.write(file.read())
    stores = [("imap", liars.Fake(liars.ImapStore(None))), ("pop3", liars.Fake(liars.Pop3Store(None))),
              ("submission", liars.Fake(liars.SubmissionStore(None)))]
    configuration = Configuration(pairs[0], [Backend(name, store.port) for name, store in stores],
                                  limits="max_sessions_per_address = 0;")
    listed = ", ".join('{ chain = "%s"; key = "%s"; }' % (pair.chain, pair.key) for pair in pairs)
    text = re.sub(r"certificates = \(.*?\);", lambda _: "certificates = ( %s );" % listed, configuration.text(), count=1)
    return authority.certificate, Postern(folder, text, listeners=configuration.listeners)


def run(arguments, path):
    """The scanner's own words go to that file."""
    with open(path, "w", encoding="utf-8") as file:
        subprocess.run(arguments, stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.STDOUT, timeout=600, check=False)


def testssl(listener, port, ca, stem):
    """(severity, finding, text) of each finding."""
    starttls = ["--starttls", STARTTLS[listener.protocol]] if listener.tls == "starttls" else []
    pathlib.Path(stem + ".json").unlink(missing_ok=True)    # it writes over no report
    run([shutil.which("testssl") or "testssl.sh", "--quiet", "--color", "0", "--warnings", "off", "--nodns", "none",
         "--ip", "127.0.0.1", "--add-ca", ca, "--jsonfile", stem + ".json", *CHECKS, *starttls, "localhost:%d" % port],
        stem + ".txt")
    with open(stem + ".json", encoding="utf-8") as file:
        return [(one["severity"], one["id"], one["finding"]) for one in json.load(file)]


def judged(element):
    """The finding in one element of sslscan's report, None where there is none to make."""
    facts = element.attrib
    name = {"ssl": "SSLv", "tls": "TLSv"}.get(facts.get("type"), "") + facts.get("version", "")
    if element.tag == "protocol":
        wanted = name in ("TLSv1.2", "TLSv1.3")
        enabled = facts["enabled"] == "1"
        return ("OK" if enabled == wanted else "HIGH", "%s %s" % (name, "enabled" if enabled else "disabled"), "")
    if element.tag == "cipher":
        good = facts["strength"] in ("strong", "acceptable")
        return ("INFO" if good else "HIGH", "%s %s" % (facts["sslversion"], facts["cipher"]), facts["strength"])
    if element.tag == "group":
        return ("INFO" if facts["name"].startswith(("x25519", "secp256r1")) else "LOW", "group " + facts["name"],
                facts["sslversion"])
    if element.tag in ("renegotiation", "compression"):
        bad = facts["supported"] == "1" and facts.get("secure") != "1"
        return ("HIGH" if bad else "OK", element.tag, "supported" if facts["supported"] == "1" else "not supported")
    if element.tag == "fallback":
        return ("OK" if facts["supported"] == "1" else "LOW", "fallback SCSV", "")
    if element.tag == "heartbleed":
        return ("HIGH" if facts["vulnerable"] == "1" else "OK", "heartbleed", facts["sslversion"])
    return None


def sslscan(listener, port, stem):
    starttls = ["--starttls-" + STARTTLS[listener.protocol]] if listener.tls == "starttls" else []
    # It asks for TLS 1.3 with 32 random octets for a key, the same ones for a second. Half of them are above 2^255, which no key is,
    # and wolfSSL refuses them: so it gets a few throws.
    for _ in range(10):
        run(["sslscan", "--no-colour", "--no-groups", "--timeout=30", "--sni-name=localhost", "--xml=" + stem + ".xml", *starttls,
             "127.0.0.1:%d" % port], stem + ".txt")
        found = [finding for finding in map(judged, xml.etree.ElementTree.parse(stem + ".xml").iter()) if finding]
        if any(name == "TLSv1.3 enabled" for _, name, _ in found):
            break
        time.sleep(1)
    return found


def explanation(scanner, finding):
    severity, name, text = finding
    if severity in FINE:
        return ""
    for (who, what, pattern), why in EXPLAINED.items():
        if (who, what) == (scanner, name) and re.search(pattern, text):
            return why
    return None


def scan(listener, port, ca, folder):
    stem = os.path.join(folder, "%s-%s" % (listener.protocol, listener.tls))
    return {"testssl": testssl(listener, port, ca, stem + "-testssl"), "sslscan": sslscan(listener, port, stem + "-sslscan")}


# What must have been found, so that a scanner that saw nothing does not pass for a clean house.
EXPECTED = {"testssl": ("TLS1_2", "TLS1_3", "heartbleed", "ROBOT", "RC4", "cert_chain_of_trust <cert#1>", "OCSP_stapling <cert#1>"),
            "sslscan": ("TLSv1.3 enabled", "SSLv3 disabled", "heartbleed")}


def report(listener, found):
    """Prints what is to be seen of one listener; the number of findings that nobody explains."""
    bad = 0
    for scanner, findings in found.items():
        names = {name for _, name, _ in findings}
        missing = [name for name in EXPECTED[scanner] if name not in names]
        counts = {level: sum(severity == level for severity, _, _ in findings) for level, _, _ in findings}
        print("%-11s %-9s %-8s %s" % (listener.protocol, listener.tls, scanner,
                                      " ".join("%s=%d" % item for item in sorted(counts.items()))))
        for finding in findings:
            why = explanation(scanner, finding)
            if why == "":
                continue
            print("    %s %s: %s%s" % (*finding, " (explained: %s)" % why if why else ""))
            bad += why is None
        for name in missing:
            print("    the scanner says nothing of %s" % name)
        bad += len(missing)
    return bad


def offered(found):
    """Versions, suites and groups of one listener, as testssl.sh has them."""
    return [(severity, name, re.sub(r"\s+", " ", text)) for severity, name, text in found["testssl"]
            if name.startswith(("SSLv", "TLS1", "cipher-tls", "FS_", "PFS_"))]


def table(listeners, offers):
    """What the first listener offers; the number of those that do not offer the same."""
    print("\nOffered:")
    for row in offers[0]:
        print("    %-5s %-22s %s" % row)
    bad = 0
    for listener, rows in zip(listeners, offers):
        for row in sorted(set(rows) ^ set(offers[0])):
            print("    %s %s differs: %s %s: %s" % (listener.protocol, listener.tls, *row))
        bad += set(rows) != set(offers[0])
    return bad


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--keep", metavar="FOLDER", help="keep the scanners' reports there")
    keep = parser.parse_args().keep
    for program in ("testssl", "sslscan"):
        if shutil.which(program) is None:
            sys.exit("%s is not installed: tests/support/install-deps.sh audit" % program)
    with tempfile.TemporaryDirectory() as folder, concurrent.futures.ThreadPoolExecutor(2) as pool:
        os.chmod(folder, 0o755)
        reports = keep or os.path.join(folder, "reports")
        os.makedirs(reports, exist_ok=True)
        ca, front = house(folder)
        with front:
            scans = [(one, pool.submit(scan, one, port, ca, reports)) for one, (_, port) in zip(front.listeners, front.addresses)]
            bad = sum(report(listener, job.result()) for listener, job in scans)
        bad += table([listener for listener, _ in scans], [offered(job.result()) for _, job in scans])
    print("\naudit: %s" % ("%d findings that nobody explains" % bad if bad else "nothing above \"info\" that is not explained"))
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())

"""postern --audit: what is offered, what is found, the records; and its exit status."""
import hashlib
import os
import re
import subprocess

import pytest

from support import certificates
from support.postern import Backend, Configuration, Listener, Postern, all_listeners, command

NAME = "mail.example.test"


def audit(folder, certificate, listeners=None, text=None, **settings):
    """(exit status, stdout, stderr); text changes the configuration's."""
    configuration = Configuration(certificate, [Backend("imap", 10143), Backend("pop3", 10110), Backend("submission", 10587)],
                                  listeners=all_listeners() if listeners is None else listeners, **settings)
    front = Postern(str(folder), configuration)
    if text is not None:
        front.configure(text(configuration.text()))
    done = subprocess.run(command("-c", front.path, "--audit"), capture_output=True, text=True, timeout=60)
    return done.returncode, done.stdout, done.stderr


@pytest.fixture(scope="module")
def named(tmp_path_factory, authority):
    """A certificate that has nothing to be found: of three months, with the host name in it."""
    folder = tmp_path_factory.mktemp("named")
    folder.chmod(0o755)
    return certificates.make_certificate(str(folder), authority, [NAME], days=90)


def findings(text):
    return re.findall(r"^FINDING  (.*)$", text, re.MULTILINE)


def test_what_is_right_is_told_whole_and_has_no_finding(tmp_path, named):
    status, said, error = audit(tmp_path, named)
    assert (status, findings(said)) == (0, []), said + error
    for words in ("[imap 127.0.0.1:0 starttls]", "TLSv1.3 TLSv1.2", "TLS_AES_128_GCM_SHA256", "names        " + NAME, "ECDSA P-256",
                  "FINDINGS: 0", "_imaps._tcp IN SRV", "RFC 9325 3.7"):
        assert words in said, said


def test_each_finding_has_its_clause_and_the_exit_status_is_1(tmp_path, certificate):
    status, said, error = audit(tmp_path, certificate, listeners=[Listener("imap", "starttls")], text=lambda text: text.replace(
        "tls: {", 'tls: { profile = "tes"; '))
    found = findings(said)
    assert status == 1, said + error
    for clause in ("RFC 8314 3, RFC 9325 3.2", "RFC 8996", "RFC 8314 4.4, RFC 7817 3"):
        assert any(clause in line for line in found), said
    assert any("expires within 21 days" in line for line in found), said


def test_the_tlsa_record_is_the_hash_of_the_key(tmp_path, named):
    _, said, _ = audit(tmp_path, named, listeners=[Listener("imap", "implicit")],
                       text=lambda text: text.replace("port = 0", "port = 45993"))
    key = subprocess.run(["openssl", "x509", "-in", named.chain, "-pubkey", "-noout"], capture_output=True, check=True).stdout
    der = subprocess.run(["openssl", "pkey", "-pubin", "-outform", "DER"], input=key, capture_output=True, check=True).stdout
    assert "_45993._tcp.%s. IN TLSA 3 1 1 %s\n" % (NAME, hashlib.sha256(der).hexdigest()) in said
    assert "_imaps._tcp IN SRV 0 1 45993 %s.\n" % NAME in said


def test_what_has_expired_is_a_finding(tmp_path, authority):
    folder = tmp_path / "old"
    folder.mkdir(mode=0o755)
    expired = certificates.make_certificate(str(folder), authority, [NAME], days=-1)
    status, said, error = audit(tmp_path, expired)
    assert status == 1 and any("has expired" in line for line in findings(said)), said + error


def test_a_broken_configuration_is_78_and_no_report(tmp_path, named):
    status, said, error = audit(tmp_path, named, text=lambda text: text + "nonsense = 1;\n")
    assert status == 78 and said == "" and "nonsense" in error
    os.rename(named.key, named.key + ".away")
    try:
        status, said, error = audit(tmp_path, named)
    finally:
        os.rename(named.key + ".away", named.key)
    assert status == 78 and said == "" and named.key in error

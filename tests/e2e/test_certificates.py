"""Which certificate a client is shown, and what is refused before any is: names, wildcards, defaults, ECDSA beside RSA, folders, `-t`."""
import dataclasses
import hashlib
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess

import pytest

from support import certificates
from support.postern import Backend, Configuration, Listener, Postern, check, quote

LISTENERS = [Listener("imap", "implicit"), Listener("pop3", "implicit")]


@dataclasses.dataclass
class Certified(Configuration):
    """The usual configuration, with this in place of its `tls`, and text of its own within the listeners."""

    whole_tls: str = ""
    own: dict = dataclasses.field(default_factory=dict)    # by protocol

    def text(self):
        text = re.sub(r"^tls: .*$", lambda _: "tls: {\n%s\n};" % self.whole_tls, super().text(), flags=re.MULTILINE)
        for protocol, own in self.own.items():
            text = text.replace('{ protocol = "%s"; address' % protocol, '{ %s\n protocol = "%s"; address' % (own, protocol))
        return text


def item(pair, more=""):
    return "{ chain = %s; key = %s; %s }" % (quote(pair.chain), quote(pair.key), more)


def items(*all_of_them):
    return "certificates = (\n%s\n);" % ",\n".join(all_of_them)


def configuration(tls, **settings):
    return Certified(certificate=certificates.Certificate("-", "-", ()), backends=[Backend("imap", 1), Backend("pop3", 1)],
                     listeners=LISTENERS, whole_tls=tls, **settings)


@pytest.fixture
def serve(tmp_path):
    """Starts a Postern with that `tls`."""
    started = []

    def start(tls, **settings):
        front = Postern(str(tmp_path), configuration(tls, **settings)).start()
        started.append(front)
        return front

    yield start
    for front in started:
        front.stop()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return str(tmp_path_factory.mktemp("pairs"))


@pytest.fixture(scope="module")
def pairs(folder, authority):
    """Certificates by name."""
    def make(names, key="ec"):
        return certificates.make_certificate(folder, authority, names, key=key)

    return {"first": make("first.test"), "second": make(("second.test", "also.second.test")), "wild": make(("*.wild.test",)),
            "exact": make("exact.wild.test"), "rsa": make("second.test", key="rsa")}


def print_of(chain):
    with open(chain, encoding="ascii") as file:
        return hashlib.sha256(ssl.PEM_cert_to_DER_cert(file.read().partition("-----END CERTIFICATE-----\n")[0]
                                                       + "-----END CERTIFICATE-----\n")).hexdigest()


def shown(front, name, protocol="imap"):
    """The fingerprint of what a client that asks for that name is shown."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with socket.create_connection(front.address(protocol, "implicit"), 20) as raw:
        with context.wrap_socket(raw, server_hostname=name) as wire:
            return hashlib.sha256(wire.getpeercert(True)).hexdigest()


def assert_shown(front, name, pair, protocol="imap"):
    assert shown(front, name, protocol) == print_of(pair.chain), name


# ---- by name


def test_a_client_gets_the_certificate_of_the_name_that_it_asks_for(serve, pairs):
    front = serve(items(*(item(pairs[name]) for name in ("first", "second", "wild", "exact"))))
    assert_shown(front, "first.test", pairs["first"])
    assert_shown(front, "second.test", pairs["second"])
    assert_shown(front, "ALSO.second.TEST", pairs["second"])
    assert_shown(front, "any.wild.test", pairs["wild"])
    assert_shown(front, "exact.wild.test", pairs["exact"])
    # a wildcard stands for one label; the default answers for what nobody has
    assert_shown(front, "two.labels.wild.test", pairs["first"])
    assert_shown(front, "wild.test", pairs["first"])
    assert_shown(front, "unknown.test", pairs["first"])
    assert_shown(front, None, pairs["first"])


def test_the_default_may_be_named_and_an_unknown_name_be_refused(serve, pairs):
    front = serve(items(item(pairs["first"]), item(pairs["second"], "default = true;")) + 'unknown_sni = "refuse";')
    assert_shown(front, None, pairs["second"])
    assert_shown(front, "first.test", pairs["first"])
    with pytest.raises(ssl.SSLError, match="(?i)unrecognized.name"):
        shown(front, "unknown.test")
    assert front.wait_event("refused", protocol="imap")["reason"] == "sni"


def test_a_listener_may_have_certificates_of_its_own(serve, pairs):
    front = serve(items(item(pairs["first"])), own={"pop3": items(item(pairs["second"]))})
    assert_shown(front, "first.test", pairs["first"])
    assert_shown(front, "second.test", pairs["first"])
    assert_shown(front, "first.test", pairs["second"], "pop3")
    assert_shown(front, "second.test", pairs["second"], "pop3")


# ---- ECDSA beside RSA


def openssl_sees(front, *arguments):
    """The kind of key that openssl s_client is shown."""
    done = subprocess.run(["openssl", "s_client", "-connect", "127.0.0.1:%d" % front.port("imap", "implicit"), *arguments],
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False)
    pem = re.search("-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", done.stdout, re.DOTALL)
    assert pem, done.stdout + done.stderr
    text = subprocess.run(["openssl", "x509", "-noout", "-text"], input=pem.group(), capture_output=True, text=True, check=True).stdout
    return re.search("Public Key Algorithm: (.*)", text).group(1)


@pytest.mark.parametrize("order, name", ((("second", "rsa"), "second.test"), (("rsa", "second"), None)), ids=("named", "unnamed"))
def test_a_client_gets_the_kind_of_key_that_it_can_verify(serve, pairs, order, name):
    front = serve(items(*(item(pairs[which]) for which in order)))
    asked = ("-servername", name) if name else ("-noservername",)
    for only, key in ((("-tls1_3", "-sigalgs", "rsa_pss_rsae_sha256:ecdsa_secp256r1_sha256"), "id-ecPublicKey"),
                      (("-tls1_3", "-sigalgs", "rsa_pss_rsae_sha256"), "rsaEncryption"),
                      (("-tls1_2", "-cipher", "ECDHE-RSA-AES128-GCM-SHA256"), "rsaEncryption"),
                      (("-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-GCM-SHA256"), "id-ecPublicKey"),
                      (("-tls1_2", "-sigalgs", "RSA+SHA256"), "rsaEncryption"),
                      (("-tls1_2", "-cipher", "ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES128-GCM-SHA256"), "id-ecPublicKey")):
        assert openssl_sees(front, *asked, *only) == key, only


# ---- folders


def live(folder, name, pair):
    """As certbot lays them out: links into an archive."""
    archive = os.path.join(folder, "..", "archive")
    place = os.path.join(folder, name)
    os.makedirs(place)
    os.makedirs(archive, exist_ok=True)
    for source, link in ((pair.chain, "fullchain.pem"), (pair.key, "privkey.pem")):
        kept = os.path.join(archive, "%s-%s" % (name, link))
        shutil.copy(source, kept)
        os.symlink(kept, os.path.join(place, link))


def test_a_folder_of_certificates_in_both_layouts(serve, pairs, tmp_path):
    found = tmp_path / "live"
    found.mkdir()
    live(str(found), "second.test", pairs["second"])
    for name, ending in (("wild", "pem"), ("exact", "crt")):
        shutil.copy(pairs[name].chain, found / (name + "." + ending))
        shutil.copy(pairs[name].key, found / (name + ".key"))
    front = serve(items(item(pairs["first"])) + 'certificates_dir = "live";')
    assert_shown(front, "second.test", pairs["second"])
    assert_shown(front, "any.wild.test", pairs["wild"])
    assert_shown(front, "exact.wild.test", pairs["exact"])
    assert_shown(front, None, pairs["first"])


def test_of_certificates_that_would_do_alike_the_first_is_shown(serve, folder, authority, tmp_path):
    stays, early, late = (certificates.make_certificate(folder, authority, names)
                          for names in ("one.test", ("one.test", "two.test"), ("one.test", "two.test")))
    found = tmp_path / "live"
    found.mkdir()
    live(str(found), "a-0001", late)
    live(str(found), "a", early)
    front = serve(items(item(stays)) + 'certificates_dir = "live";')
    assert_shown(front, "one.test", stays)
    assert_shown(front, "two.test", early)


# ---- what -t refuses, each at its place


def rsa_1024(folder, authority):
    key = os.path.join(folder, "small.key")
    subprocess.run(["openssl", "genrsa", "-out", key, "1024"], capture_output=True, check=True)
    return signed(folder, authority, "small", key)


def signed(folder, authority, name, key, *options, extensions=""):
    """A certificate for a key that is there, with more to it than make_certificate() knows."""
    stem = os.path.join(folder, name)
    with open(stem + ".ext", "w", encoding="ascii") as file:
        file.write("subjectAltName = DNS:%s.test\n%s" % (name, extensions))
    subprocess.run(["openssl", "req", "-new", "-key", key, "-subj", "/CN=" + name, "-out", stem + ".csr"], capture_output=True, check=True)
    subprocess.run(["openssl", "x509", "-req", "-in", stem + ".csr", "-CA", authority.certificate, "-CAkey", authority.key, "-set_serial", "7",
                    "-days", "1", "-extfile", stem + ".ext", "-out", stem + ".pem", *options], capture_output=True, check=True)
    return certificates.Certificate(stem + ".pem", key, (name + ".test",))


def joined(folder, name, *chains):
    path = os.path.join(folder, name)
    with open(path, "w", encoding="ascii") as out:
        for chain in chains:
            with open(chain, encoding="ascii") as file:
                out.write(file.read())
    return path


def half(folder, pair):
    path = os.path.join(folder, "half.pem")
    with open(pair.chain, encoding="ascii") as file:
        text = file.read()
    with open(path, "w", encoding="ascii") as out:
        out.write(text[:len(text) // 2])
    return path


def bad_pair(what, folder, authority, pairs):
    first, second = pairs["first"], pairs["second"]
    pair = dataclasses.replace
    if what == "gone":
        return pair(first, chain=os.path.join(folder, "gone.pem"))
    if what == "mismatch":
        return pair(first, key=second.key)
    if what == "half":
        return pair(first, chain=half(folder, first))
    if what == "stranger":
        return pair(first, chain=joined(folder, "stranger.pem", first.chain, second.chain))
    if what == "order":
        return pair(first, chain=joined(folder, "order.pem", first.chain, second.chain, authority.certificate))
    if what == "expired":
        return certificates.make_certificate(folder, authority, "expired.test", days=-1)
    if what == "small":
        return rsa_1024(folder, authority)
    if what == "sha1":
        return signed(folder, authority, "sha1", first.key, "-sha1")
    assert what == "incomplete"
    return signed(folder, authority, "incomplete", first.key,
                  extensions="authorityInfoAccess = caIssuers;URI:http://ca.test/ca.der\n")


FAULTS = {
    "gone": r"gone\.pem: .*No such file or directory",
    "mismatch": "the key does not belong to the first certificate of the chain",
    "half": "cannot be read",
    "stranger": "not issued by the one behind it",
    "order": "wrong order: certificate 1 .* is issued by certificate 3",
    "expired": r"certificate 1 \(CN = expired\.test\) expired on ",
    "small": "the RSA key has 1024 bits; profile \"modern\" asks for 2048 and more",
    "sha1": "is signed with SHA-1, which profile \"modern\" forbids",
    "incomplete": "incomplete chain",
}


def place_of(text, words):
    return next(number for number, line in enumerate(text.split("\n"), 1) if words in line)


@pytest.mark.parametrize("what", FAULTS)
def test_a_certificate_that_cannot_be_used_is_refused_with_its_place(what, tmp_path, authority, pairs):
    pair = bad_pair(what, str(tmp_path), authority, pairs)
    text = configuration(items(item(pairs["second"]), item(pair))).text()
    path = tmp_path / "postern.conf"
    path.write_text(text)
    status, said = check(path)
    place = "postern.conf:%d: error: " % place_of(text, item(pair))
    faults = [line for line in said.split("\n") if place in line]
    assert status == 78 and faults, said
    assert any(re.search(FAULTS[what], line) for line in faults), said
    assert len([line for line in said.split("\n") if line]) == len(faults), "a fault elsewhere: " + said


def test_a_bad_certificate_in_a_folder_is_refused_too(tmp_path, pairs):
    (tmp_path / "live").mkdir()
    shutil.copy(pairs["first"].chain, tmp_path / "live" / "mixed.pem")
    shutil.copy(pairs["second"].key, tmp_path / "live" / "mixed.key")
    text = configuration(items(item(pairs["second"])) + '\ncertificates_dir = "live";').text()
    (tmp_path / "postern.conf").write_text(text)
    status, said = check(tmp_path / "postern.conf")
    assert status == 78, said
    assert re.search(r"postern\.conf:%d: error: .*mixed\.key: the key does not belong" % place_of(text, "certificates_dir"), said), said


def test_an_expired_certificate_does_not_stop_a_reload(serve, pairs, authority, tmp_path):
    """It may be what runs already, and the reload about something else."""
    front = serve(items(item(pairs["first"])))
    over = certificates.make_certificate(str(tmp_path), authority, "over.test", days=-1)
    front.configure(configuration(items(item(pairs["first"]), item(over))))
    front.signal(signal.SIGHUP)
    front.wait_event("reload", result="done")
    assert_shown(front, "over.test", over)

"""A client of SCRAM (RFC 5802, 7677) without channel binding, and the three protocols' way of speaking SASL (RFC 4954, 9051, 5034)."""
import base64
import hashlib
import hmac
import os

from .clients import encoded, plain

MECHANISMS = {"SCRAM-SHA-1": "sha1", "SCRAM-SHA-256": "sha256", "SCRAM-SHA-512": "sha512"}


def _decoded(text):
    return base64.b64decode(text, validate=True).decode()


class Scram:
    """step() takes the server's words, decoded, and gives ours; None first. `proven` once the server has shown that it knows us."""

    def __init__(self, mechanism, user, password, authzid=""):
        self.hash = MECHANISMS[mechanism]
        self.password = password.encode()
        self.header = "n,%s," % ("a=" + authzid if authzid else "")
        self.nonce = base64.b64encode(os.urandom(18)).decode()
        self.first = "n=%s,r=%s" % (user.replace("=", "=3D").replace(",", "=2C"), self.nonce)
        self.signature = None
        self.proven = False

    def step(self, challenge):
        if challenge is None:
            return self.header + self.first
        fields = dict(part.split("=", 1) for part in challenge.split(","))
        if self.signature is not None:
            assert base64.b64decode(fields["v"]) == self.signature
            self.proven = True
            return ""
        return self._prove(challenge, fields)

    def _mac(self, key, text):
        return hmac.new(key, text if isinstance(text, bytes) else text.encode(), self.hash).digest()

    def _prove(self, challenge, fields):
        assert fields["r"].startswith(self.nonce) and len(fields["r"]) > len(self.nonce) and int(fields["i"]) >= 4096
        final = "c=%s,r=%s" % (encoded(self.header), fields["r"])
        text = ",".join((self.first, challenge, final))
        salted = hashlib.pbkdf2_hmac(self.hash, self.password, base64.b64decode(fields["s"]), int(fields["i"]))
        key = self._mac(salted, b"Client Key")
        signature = self._mac(hashlib.new(self.hash, key).digest(), text)
        self.signature = self._mac(self._mac(salted, b"Server Key"), text)
        return final + ",p=" + base64.b64encode(bytes(a ^ b for a, b in zip(key, signature))).decode()


def _begin(wire, protocol, mechanism, initial):
    initial = "" if initial is None else " " + initial
    if protocol == "submission":
        return wire.smtp("AUTH " + mechanism + initial)
    if protocol == "imap":
        return wire.imap("l AUTHENTICATE " + mechanism + initial, tag="l")
    return wire.pop3("AUTH " + mechanism + initial)


def _say(wire, protocol, text):
    return wire.imap(text, tag="l") if protocol == "imap" else wire.reply(protocol, text)


def _challenge(protocol, answer):
    """The words of a challenge, still encoded; None when it is none."""
    begin = {"submission": "334 ", "imap": "+ ", "pop3": "+ "}[protocol]
    return answer[len(begin):].strip() if answer.startswith(begin) else None


def log_in(wire, protocol, mechanism, user, password, authzid="", at_once=True):
    """The last reply. With at_once the mechanism's first words go with the command."""
    scram = Scram(mechanism, user, password, authzid) if mechanism in MECHANISMS else None
    if scram:
        words = [encoded(scram.step(None))]
    elif mechanism == "PLAIN":
        words = [plain(user, password, authzid)]
    else:
        words = [encoded(user), encoded(password)]
    answer = _begin(wire, protocol, mechanism, words.pop(0) if at_once else None)
    while (challenge := _challenge(protocol, answer)) is not None:
        if words:
            answer = _say(wire, protocol, words.pop(0))
        else:
            answer = _say(wire, protocol, encoded(scram.step(_decoded(challenge))))
    last = answer.split("\n")[-1]
    if scram and last.startswith({"submission": "235", "imap": "l OK", "pop3": "+OK"}[protocol]):
        assert scram.proven
    return last

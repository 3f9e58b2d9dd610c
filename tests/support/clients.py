"""Mail clients for the tests: a socket that shows every byte, and the command-line clients people use.

Wire speaks the protocols by hand, in clear text or TLS; everything it reads has a deadline, so a test that
waits for an answer that never comes fails instead of hanging. The wrappers round curl, swaks, msmtp, mbsync and
fetchmail write what configuration the client needs into a folder of the caller and run it once.
"""
import base64
import errno
import itertools
import os
import random
import socket
import ssl
import subprocess

DEADLINE = 20


class Silence(AssertionError):
    """The peer said nothing before the deadline."""


def tls_context(ca, version=None, verify=True):
    """A client's context that trusts only `ca`; with `version` (ssl.TLSVersion) exactly that version."""
    context = ssl.create_default_context(cafile=str(ca))
    # Python takes an end without close_notify for a good one unless told otherwise; we want to see the difference.
    context.options &= ~getattr(ssl, "OP_IGNORE_UNEXPECTED_EOF", 0)
    if version is not None:
        context.minimum_version = context.maximum_version = version
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


# Below the kernel's own choice and those of ports.py, each once a round; another run begins elsewhere. Threads may share it.
_FIRST, _LAST = 10000, 29999
_steps = itertools.count(random.randint(_FIRST, _LAST))


def _connect(host, port, source, deadline):
    """From a port that no client of this run has had before, since a log names a client by it; from any where too many of
    those are somebody else's."""
    for _ in range(50):
        own = _FIRST + next(_steps) % (_LAST - _FIRST + 1)
        try:
            return socket.create_connection((host, port), timeout=deadline, source_address=(source, own))
        except OSError as error:
            if error.errno not in (errno.EADDRINUSE, errno.EADDRNOTAVAIL):
                raise
    return socket.create_connection((host, port), timeout=deadline, source_address=(source, 0))


class Wire:
    """One connection, byte by byte. Text is latin-1 both ways, so that every octet has a character."""

    def __init__(self, port, host="127.0.0.1", tls=None, name="localhost", source=None, deadline=DEADLINE):
        self.name = name
        self.data = bytearray()    # else megabytes that come in small pieces would be copied with each
        self.ending = None
        self.socket = _connect(host, port, source or ("::1" if ":" in host else "127.0.0.1"), deadline)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if tls is not None:
            self.start_tls(tls)

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.close()

    @property
    def address(self):
        """As the log's field `client` has it."""
        return "%s:%d" % self.socket.getsockname()[:2]

    def start_tls(self, context):
        assert self.data == b"", "the peer sent bytes in clear text behind its STARTTLS reply: %r" % self.data
        self.socket = context.wrap_socket(self.socket, server_hostname=self.name, suppress_ragged_eofs=False)

    def send(self, text):
        self.socket.sendall(text if isinstance(text, bytes) else text.encode("latin-1"))

    def try_send(self, text):
        """The same, where the peer may have ended the connection already."""
        try:
            self.send(text)
        except OSError:
            pass

    def fill(self):
        """Reads once; False at the end, and `ending` then says which: close_notify, eof, reset or an alert."""
        if self.ending:
            return False
        secure = isinstance(self.socket, ssl.SSLSocket)
        try:
            data = self.socket.recv(65536)
        except TimeoutError:
            raise Silence("nothing more than %r" % bytes(self.data[-200:])) from None
        except ssl.SSLError as error:    # an end without close_notify, or an alert
            self.ending = "eof" if "EOF" in (error.reason or "EOF") else error.reason.lower()
        except ConnectionResetError:
            self.ending = "reset"
        else:
            if data:
                self.data += data
                return True
            self.ending = "close_notify" if secure else "eof"
        return False

    def line(self):
        """The next line without its CRLF; None at the end of the connection."""
        while b"\n" not in self.data:
            if not self.fill():
                assert self.data == b"", "half a line: %r" % self.data
                return None
        end = self.data.index(b"\n")
        line = bytes(self.data[:end])
        del self.data[:end + 1]
        assert line.endswith(b"\r"), "a line without CR: %r" % line
        return line[:-1].decode("latin-1")

    def exactly(self, count):
        while len(self.data) < count:
            assert self.fill(), "%d octets, then the end (%s)" % (len(self.data), self.ending)
        data = bytes(self.data[:count])
        del self.data[:count]
        return data

    def rest(self):
        """Everything until the end of the connection."""
        while self.fill():
            pass
        data = self.data.decode("latin-1")
        self.data.clear()
        return data

    # ---- one reply of each protocol

    def smtp(self, text=None):
        """A whole reply, its lines joined by newlines; "" when the connection ends first."""
        if text is not None:
            self.send(text + "\r\n")
        lines = []
        while True:
            line = self.line()
            if line is None:
                assert not lines, "half a reply: %r" % lines
                return ""
            assert line[:3].isdigit() and line[3:4] in ("", " ", "-"), "not a reply: %r" % line
            lines.append(line)
            if line[3:4] != "-":
                return "\n".join(lines)

    def imap(self, text=None, tag=None):
        """Lines up to the tagged one (or "+ "), joined; what came before the end when it ends first."""
        if text is not None:
            self.send(text + "\r\n")
            tag = tag or text.split(" ")[0]
        lines = []
        while True:
            line = self.line()
            if line is None:
                return "\n".join(lines)
            lines.append(line)
            if line.startswith((str(tag) + " ", "+")):
                return "\n".join(lines)

    def pop3(self, text=None, many=False):
        """A status line, with the lines up to the lone dot when `many` and the status is +OK."""
        if text is not None:
            self.send(text + "\r\n")
        first = self.line()
        if first is None:
            return ""
        lines = [first]
        while many and first.startswith("+OK") and lines[-1] != ".":
            line = self.line()
            assert line is not None, "half an answer: %r" % lines
            lines.append(line)
        return "\n".join(lines)

    def reply(self, protocol, text=None):
        """One reply of that protocol; for IMAP the text carries its tag."""
        if protocol == "submission":
            return self.smtp(text)
        if protocol == "imap":
            return self.imap(text) if text is not None else (self.line() or "")
        return self.pop3(text, many=bool(text) and text.split(" ")[0].upper() in ("CAPA", "LIST", "UIDL"))

    def close(self):
        self.socket.close()

    def vanish(self):
        """Ends with a TCP reset: no close_notify, nothing."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.socket.close()

    def half_close(self):
        """TCP FIN in our direction, without a close_notify."""
        socket.socket.shutdown(self.socket, socket.SHUT_WR)


def go_by_reset(wire):
    wire.vanish()


def go_without_close_notify(wire):
    wire.half_close()


def go_with_close_notify(wire):
    wire.socket.settimeout(5)
    try:
        wire.socket.unwrap()
    except OSError:
        pass
    wire.close()


WAYS_TO_GO = (go_by_reset, go_without_close_notify, go_with_close_notify)


def plain(user, password, authzid=""):
    """The response of SASL PLAIN."""
    return encoded("%s\0%s\0%s" % (authzid, user, password))


def encoded(text):
    return base64.b64encode(text if isinstance(text, bytes) else text.encode()).decode()


STARTTLS = {"submission": "STARTTLS", "imap": "s STARTTLS", "pop3": "STLS"}
STARTED = {"submission": "220", "imap": "s OK", "pop3": "+OK"}


def reach(port, protocol, mode, context, **more):
    """A connection on which TLS stands and the greeting has been read; for submission EHLO has been said."""
    wire = Wire(port, tls=context if mode == "implicit" else None, **more)
    greeting = wire.reply(protocol)
    assert greeting.startswith({"submission": "220", "imap": "* OK", "pop3": "+OK"}[protocol]), greeting
    if mode == "starttls":
        if protocol == "submission":
            assert "STARTTLS" in wire.smtp("EHLO client.example.test")
        answer = wire.reply(protocol, STARTTLS[protocol])
        assert answer.startswith(STARTED[protocol]), answer
        wire.start_tls(context)
    if protocol == "submission":
        assert wire.smtp("EHLO client.example.test").startswith("250")
    return wire


def before_tls(port, protocol, mode):
    """A connection on which the next octets are TLS."""
    wire = Wire(port)
    if mode == "starttls":
        wire.reply(protocol)
        if protocol == "submission":
            wire.smtp("EHLO c.example.test")
        assert wire.reply(protocol, STARTTLS[protocol]).startswith(STARTED[protocol])
    return wire


def log_in(wire, protocol, user, password):
    """The reply to one login; the caller judges it."""
    if protocol == "submission":
        return wire.smtp("AUTH PLAIN " + plain(user, password))
    if protocol == "imap":
        return wire.imap("l LOGIN %s %s" % (user, password)).split("\n")[-1]
    answer = wire.pop3("USER " + user)
    return wire.pop3("PASS " + password) if answer.startswith("+OK") else answer


ACCEPTED = {"submission": "235 ", "imap": "l OK ", "pop3": "+OK"}
REFUSED = {"submission": "535 5.7.8 ", "imap": "l NO [AUTHENTICATIONFAILED] ", "pop3": "-ERR [AUTH] "}
TEMPORARY = {"submission": "454 4.7.0 ", "imap": "l NO [UNAVAILABLE] ", "pop3": "-ERR [SYS/TEMP] "}


def enter(port, protocol, mode, context, user, password, **more):
    """A connection that is logged in."""
    wire = reach(port, protocol, mode, context, **more)
    answer = log_in(wire, protocol, user, password)
    assert answer.startswith(ACCEPTED[protocol]), answer
    return wire


# ---- the clients people use

def run(*command, data=None, environment=None, cwd=None, deadline=60):
    """The finished process; what it printed is text in stdout, both streams together."""
    return subprocess.run([str(part) for part in command], input=data, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, timeout=deadline, cwd=cwd, text=True, errors="replace",
                          env=dict(os.environ, LC_ALL="C", **(environment or {})))


def curl(ca, url, *options, user=None, data=None):
    command = ["curl", "-sS", "-v", "--max-time", "30", "--noproxy", "*", "--cacert", ca, "--ssl-reqd"]
    if user:
        command += ["--user", user]
    return run(*command, *options, url, data=data)


def swaks(ca, port, user, password, sender, recipient, body, *options, implicit=False):
    return run("swaks", "--server", "127.0.0.1", "--port", port, "--tls-on-connect" if implicit else "--tls",
               "--tls-verify", "--tls-ca-path", ca, "--auth", "PLAIN", "--auth-user", user, "--auth-password",
               password, "--from", sender, "--to", recipient, "--header", "Subject: " + body, "--body", body,
               "--timeout", "20", *options)


def write_private(path, text):
    path.write_text(text)
    path.chmod(0o600)
    return path


def msmtp(folder, ca, port, user, password, sender, recipient, message, implicit=False):
    rc = write_private(folder / "msmtprc", "\n".join([
        "account default", "host localhost", "port %d" % port, "tls on",
        "tls_starttls %s" % ("off" if implicit else "on"), "tls_trust_file %s" % ca, "auth plain",
        "user " + user, "password " + password, "from " + sender, "timeout 20", ""]))
    return run("msmtp", "--debug", "-C", rc, recipient, data=message, environment={"HOME": str(folder)})


def mbsync(folder, ca, port, user, password, implicit=False):
    """Brings the whole INBOX into folder/mail/; returns the process."""
    (folder / "mail").mkdir(exist_ok=True)
    rc = write_private(folder / "mbsyncrc", "\n".join([
        "IMAPAccount store", "Host localhost", "Port %d" % port, "User " + user, 'Pass "%s"' % password,
        "SSLType %s" % ("IMAPS" if implicit else "STARTTLS"), "CertificateFile %s" % ca, "SystemCertificates no",
        "AuthMechs *", "Timeout 20", "",
        "IMAPStore far", "Account store", "", "MaildirStore near", "Path %s/mail/" % folder,
        "Inbox %s/mail/INBOX" % folder, "SubFolders Verbatim", "",
        "Channel all", "Far :far:INBOX", "Near :near:INBOX", "Create Near", "Sync Pull", "SyncState *", ""]))
    return run("mbsync", "-V", "-c", rc, "all", environment={"HOME": str(folder)})


def fetchmail(folder, ca, port, protocol, user, password, implicit=False):
    """Fetches all mail and appends it to folder/fetched; returns the process."""
    rc = write_private(folder / "fetchmailrc", "\n".join([
        "poll localhost protocol %s port %d" % (protocol, port), "    user \"%s\" password \"%s\"" % (user, password),
        "    %s" % ("ssl" if implicit else "sslproto TLS1.2+"),
        "    sslcertck sslcertfile %s" % ca, "    fetchall keep",
        "    mda \"/bin/sh -c 'cat >> %s/fetched'\"" % folder, ""]))
    return run("fetchmail", "-v", "--nodetach", "-f", rc, "--pidfile", folder / "fetchmail.pid", "--timeout", "20",
               "--idfile", folder / "fetchids",
               environment={"HOME": str(folder), "FETCHMAILHOME": str(folder), "USER": "nobody"})


def openssl_client(port, *options, data="", deadline=20):
    """`openssl s_client` against a TLS port; both streams in stdout."""
    return run("openssl", "s_client", "-connect", "127.0.0.1:%d" % port, *options, data=data, deadline=deadline)

"""A small submission server for where Postfix cannot run (it needs root): AUTH PLAIN and LOGIN against the users of a
Dovecot, plaintext only, delivery into that Dovecot by LMTP. One thread per connection."""
import base64
import binascii
import smtplib
import socketserver
import threading

from .stores import DOMAIN

_EHLO = (f"store.{DOMAIN}", "PIPELINING", "SIZE 104857600", "AUTH PLAIN LOGIN", "ENHANCEDSTATUSCODES", "8BITMIME", "SMTPUTF8")
_LONGEST_LINE = 1 << 20


class SubmissionStandIn:
    """Same use as stores.Postfix: start(), port, stop(), log()."""

    name = "stand-in"
    certificate = None

    def __init__(self, dovecot):
        self.dovecot = dovecot
        self.port = 0
        self._server = None
        self._thread = None
        self._lines = []

    def start(self):
        self._server = _Server(("127.0.0.1", self.port), _Connection)
        self._server.store = self
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self._thread.start()
        return self

    def stop(self, keep=False):
        if self._server:
            self._server.shutdown()
            self._server.server_close()
            self._thread.join()
            self._server = None

    def restart(self):
        self.stop()
        return self.start()

    def note(self, line):
        self._lines.append(line)

    def log(self):
        return "".join(line + "\n" for line in self._lines)

    def accepts(self, user, password):
        expected = self.dovecot.users.get(user.decode(errors="surrogateescape"))
        raw = expected.encode() if isinstance(expected, str) else expected
        return raw is not None and raw == password

    def deliver(self, sender, recipients, message):
        """The refusals, by recipient."""
        with smtplib.LMTP("127.0.0.1", self.dovecot.lmtp_port) as lmtp:
            try:
                return lmtp.sendmail(sender, recipients, message)
            except smtplib.SMTPRecipientsRefused as refused:
                return refused.recipients

    def __enter__(self):
        return self if self._server else self.start()

    def __exit__(self, *_):
        self.stop()


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False


class _Connection(socketserver.StreamRequestHandler):
    def handle(self):
        self.store = self.server.store
        self.user = None
        self._forget()
        try:
            self._reply(220, f"store.{DOMAIN} ESMTP stand-in")
            while line := self._line():
                if self._command(line) == "end":
                    return
        except OSError:
            pass

    def _forget(self):
        self.sender, self.recipients = None, []

    def _line(self):
        """A line without its end; None when the client has gone."""
        line = self.rfile.readline(_LONGEST_LINE)
        return line.rstrip(b"\r\n") or b" " if line.endswith(b"\n") else None

    def _reply(self, code, *lines):
        last = len(lines) - 1
        self.wfile.write("".join(f"{code}{' ' if n == last else '-'}{text}\r\n" for n, text in enumerate(lines)).encode())

    def _command(self, line):
        verb, _, argument = line.partition(b" ")
        verb = verb.upper().decode("ascii", "replace")
        self.store.note(f"{verb} {'***' if verb == 'AUTH' else argument.decode(errors='replace')}")
        handler = getattr(self, f"_do_{verb.lower()}", None)
        if not handler:
            return self._reply(502, "5.5.2 command not recognized")
        if verb in ("MAIL", "RCPT", "DATA") and self.user is None:
            return self._reply(530, "5.7.0 authentication required")
        return handler(argument)

    def _do_ehlo(self, _):
        self._forget()
        self._reply(250, *_EHLO)

    def _do_helo(self, _):
        self._forget()
        self._reply(250, _EHLO[0])

    def _do_noop(self, _):
        self._reply(250, "2.0.0 ok")

    def _do_rset(self, _):
        self._forget()
        self._reply(250, "2.0.0 ok")

    def _do_vrfy(self, _):
        self._reply(252, "2.0.0 send some mail")

    def _do_quit(self, _):
        self._reply(221, "2.0.0 bye")
        return "end"

    def _do_auth(self, argument):
        mechanism, _, initial = argument.partition(b" ")
        try:
            if mechanism.upper() == b"PLAIN":
                _, user, password = self._answer(initial, b"").split(b"\0")
            elif mechanism.upper() == b"LOGIN":
                user = self._answer(initial, b"Username:")
                password = self._answer(b"", b"Password:")
            else:
                return self._reply(504, "5.5.4 unknown mechanism")
        except (ValueError, binascii.Error):
            return self._reply(501, "5.5.2 cancelled or malformed")
        if not self.store.accepts(user, password):
            return self._reply(535, "5.7.8 authentication failed")
        self.user = user
        return self._reply(235, "2.7.0 authenticated")

    def _answer(self, initial, challenge):
        if not initial:
            self._reply(334, base64.b64encode(challenge).decode())
            initial = self._line() or b"*"
        return base64.b64decode(b"" if initial == b"=" else initial, validate=True)

    def _do_mail(self, argument):
        self.sender, self.recipients = _path(argument), []
        self._reply(250, "2.1.0 ok")

    def _do_rcpt(self, argument):
        recipient = _path(argument)
        if self.sender is None:
            return self._reply(503, "5.5.1 MAIL first")
        if not recipient.endswith(f"@{DOMAIN}") or recipient.rpartition("@")[0] not in self.store.dovecot.users:
            return self._reply(550, "5.1.1 no such user here")
        self.recipients.append(recipient)
        return self._reply(250, "2.1.5 ok")

    def _do_data(self, _):
        if not self.recipients:
            return self._reply(503, "5.5.1 RCPT first")
        self._reply(354, "go on")
        message = self._message()
        if message is None:
            return "end"
        refused = self.store.deliver(self.sender, self.recipients, message)
        self._forget()
        return self._reply(554, "5.3.0 not delivered") if refused else self._reply(250, "2.0.0 delivered")

    def _message(self):
        lines = []
        while (line := self.rfile.readline(_LONGEST_LINE)) != b".\r\n":
            if not line:
                return None
            lines.append(line[1:] if line.startswith(b".") else line)
        return b"".join(lines)


def _path(argument):
    return argument.partition(b"<")[2].partition(b">")[0].decode(errors="surrogateescape")

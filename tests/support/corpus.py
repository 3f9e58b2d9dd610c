"""A corpus of random mails in the shapes of real ones, ways to submit them, and stores that keep what arrives.

What a message became is known by its recipient: number N goes to mN@example.test. Everything is made from the number, so
that a run can be repeated. The stores read with buffered files, because some messages are large."""
import base64
import hashlib
import random
import shutil
import socketserver
import threading

from . import clients, stores
from .postern import Backend

USER, PASSWORD = "alice", "wonderland"
SIZE = 100 << 20
_TEXT = bytes((byte % 95) + 32 for byte in range(256))
_EIGHT_BIT = bytes(byte if byte >= 32 and byte != 127 else byte + 128 for byte in range(128)) + bytes(range(128, 256))
_DOTS = (b".", b"..", b"...", b". ", b".a", b"..a", b".\t", b".QUIT", b"a.", b" .")


class Message:
    """`text` is what is sent; `binary` says that it needs BODY=BINARYMIME."""

    def __init__(self, number, largest, binary=False, empty_chunks=True):
        self.number = number
        self.empty_chunks = empty_chunks
        self.binary = binary
        self.random = random.Random("%d %d %s" % (number, largest, binary))
        self.text = self._make(largest)

    def _make(self, largest):
        if self.number % 50 == 0 and not self.binary:
            return b""
        size = min(int(2 ** self.random.uniform(0, largest.bit_length())), largest)
        encoding = b"binary" if self.binary else b"8bit"
        head = (b"From: Alice <alice@example.test>\r\nTo: m%d@example.test\r\nSubject: number %d\r\n"
                b"Date: Sun, 22 Nov 2026 02:00:00 +0000\r\nMessage-ID: <corpus.%d@example.test>\r\nMIME-Version: 1.0\r\n"
                b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: %s\r\n\r\n"
                % (self.number, self.number, self.number, encoding))
        if self.binary:
            return head + self.random.randbytes(size)
        text = head + b"".join(self._lines(size))
        return text if self.random.random() < 0.8 else text + self._line()

    def _lines(self, size):
        while size > 0:
            line = self._line() + b"\r\n"
            size -= len(line)
            yield line

    def _line(self):
        kind = self.random.random()
        if kind < 0.05:
            return self.random.choice(_DOTS)
        if kind < 0.10:
            return b""
        if kind < 0.11:
            return self.random.randbytes(self.random.choice((996, 998, 999, 1000, 2000, 5000))).translate(_TEXT)
        if kind < 0.25:
            return self.random.randbytes(self.random.randrange(80)).translate(_EIGHT_BIT)
        return self.random.randbytes(self.random.randrange(60, 79)).translate(_TEXT)

    def recipient(self):
        return "m%d@example.test" % self.number

    def digests(self):
        """Of what may arrive: the text, or, where it ends inside a line, the text and the line end that DATA cannot do without."""
        whole = self.binary or self.text.endswith(b"\r\n") or not self.text
        return {hashlib.sha256(text).hexdigest() for text in (self.text, self.text + (b"" if whole else b"\r\n"))}

    def chunks(self):
        """The text in one to five pieces. Some may be empty, but to Postfix (which says 551 to BDAT 0) only the last one."""
        cuts = sorted(self.random.randrange(len(self.text) + 1) for _ in range(self.random.randrange(5)))
        places = [0, *cuts, len(self.text)]
        pieces = [self.text[begin:end] for begin, end in zip(places, places[1:])]
        return pieces if self.empty_chunks else [*filter(None, pieces[:-1]), pieces[-1]]


# ---- the client

def _expect(wire, *codes):
    for code in codes:
        answer = wire.smtp()
        assert answer.startswith(code), "%r where %s was expected" % (answer, code)


def _envelope(message):
    body = "BINARYMIME" if message.binary else "8BITMIME"
    return (("MAIL FROM:<alice@example.test> SIZE=%d BODY=%s\r\n" % (len(message.text), body)).encode(),
            ("RCPT TO:<%s>\r\n" % message.recipient()).encode())


def by_data(wire, message, pipelined):
    body = message.text + (b"" if message.text.endswith(b"\r\n") or not message.text else b"\r\n")
    body = (b"\r\n" + body).replace(b"\r\n.", b"\r\n..")[2:] + b".\r\n"
    commands = [*_envelope(message), b"DATA\r\n"]
    codes = ["250", "250", "354"]
    if pipelined:
        wire.send(b"".join(commands))
        _expect(wire, *codes)
    else:
        for command, code in zip(commands, codes):
            wire.send(command)
            _expect(wire, code)
    wire.send(body)
    _expect(wire, "250")


def by_bdat(wire, message, pipelined):
    chunks = message.chunks()
    parts = list(_envelope(message))
    for number, chunk in enumerate(chunks):
        last = b" LAST" if number + 1 == len(chunks) else b""
        parts.append(b"BDAT %d%s\r\n" % (len(chunk), last) + chunk)
    if pipelined:
        wire.send(b"".join(parts))
        _expect(wire, *["250"] * len(parts))
        return
    for part in parts:
        wire.send(part)
        _expect(wire, "250")


WAYS = ((by_data, False), (by_data, True), (by_bdat, False), (by_bdat, True))


def submit(port, context, messages, per_session=20):
    """Each message in the way that its number says, some of them in one session."""
    for begin in range(0, len(messages), per_session):
        with clients.enter(port, "submission", "implicit", context, USER, PASSWORD) as wire:
            for message in messages[begin:begin + per_session]:
                way, pipelined = WAYS[3 - message.number % 2 if message.binary else message.number % 4]
                way(wire, message, pipelined)
            assert wire.smtp("QUIT").startswith("221")


# ---- stores

class Mailbox:
    """What arrived, by recipient: the digest of each copy."""

    def __init__(self):
        self.digests = {}
        self.faults = []
        self.changed = threading.Condition()

    def take(self, recipient, text):
        with self.changed:
            self.digests.setdefault(recipient, []).append(hashlib.sha256(text).hexdigest())
            self.changed.notify_all()

    def wait(self, count, deadline):
        with self.changed:
            self.changed.wait_for(lambda: sum(map(len, self.digests.values())) >= count, deadline)

    def differences(self, messages):
        """Numbers of those that did not arrive once and unchanged."""
        found = self.digests
        return [message.number for message in messages
                if len(found.get(message.recipient(), ())) != 1 or not message.digests().issuperset(found[message.recipient()])]


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False
    request_queue_size = 64


class Store:
    """A server for the mails on a port of its own. extensions: what EHLO shows; lmtp: what Postfix delivers to.

    Without PIPELINING it notes as a fault when anything has come behind a command that it has not answered."""

    def __init__(self, extensions=(), lmtp=False):
        self.extensions, self.lmtp = extensions, lmtp
        self.mailbox = Mailbox()
        self.server = _Server(("127.0.0.1", 0), _Connection)
        self.server.store = self
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.server.shutdown()
        self.server.server_close()


class _Connection(socketserver.StreamRequestHandler):
    rbufsize = 1 << 16

    def handle(self):
        self.store = self.server.store
        self.recipients, self.chunks = [], []
        self.say("220 store.example.test ready")
        try:
            while (line := self.rfile.readline(4096)).endswith(b"\r\n"):
                if self.command(*line[:-2].partition(b" ")) == "end":
                    return
        except OSError:
            pass

    def say(self, *lines):
        code = lines[0][:3]
        lines = [lines[0][4:], *lines[1:]]
        self.request.sendall("".join("%s%s%s\r\n" % (code, " " if n + 1 == len(lines) else "-", line)
                                     for n, line in enumerate(lines)).encode())

    def command(self, verb, _, argument):
        verb = verb.upper().decode("latin-1")
        if not self.store.lmtp and "PIPELINING" not in self.store.extensions and verb != "BDAT" and self.more():
            self.store.mailbox.faults.append("something came behind %s before it was answered" % verb)
        if verb in ("EHLO", "LHLO"):
            self.say("250 store.example.test", *self.store.extensions, "AUTH PLAIN")
        elif verb == "AUTH":
            secret = base64.b64decode(argument.split(b" ")[1])
            right = secret == b"\0%s\0%s" % (USER.encode(), PASSWORD.encode())
            self.say("235 2.7.0 welcome" if right else "535 5.7.8 no")
        elif verb == "RCPT":
            self.recipients.append(argument.partition(b"<")[2].partition(b">")[0].decode())
            self.say("250 2.1.5 ok")
        elif verb == "DATA":
            self.say("354 go on")
            self.message(self.data())
        elif verb == "BDAT":
            self.chunk(argument.split(b" "))
        elif verb == "QUIT":
            self.say("221 2.0.0 bye")
            return "end"
        else:
            self.recipients, self.chunks = [], []
            self.say("250 2.0.0 ok")
        return None

    def more(self):
        self.request.setblocking(False)
        try:
            return bool(self.rfile.peek(1))
        finally:
            self.request.setblocking(True)

    def data(self):
        lines = []
        while (line := self.rfile.readline()) != b".\r\n":
            if not line:
                raise ConnectionError
            lines.append(line[1:] if line.startswith(b".") else line)
        return b"".join(lines)

    def chunk(self, words):
        data = self.rfile.read(int(words[0]))
        if len(data) < int(words[0]):
            raise ConnectionError
        self.chunks.append(data)
        if words[1:] == [b"LAST"]:
            self.message(b"".join(self.chunks))
        else:
            self.say("250 2.0.0 more")

    def message(self, text):
        recipients, self.recipients, self.chunks = self.recipients, [], []
        if self.store.lmtp:
            text = without_trace(text)
        for recipient in recipients:
            self.store.mailbox.take(recipient, text)
            if self.store.lmtp:
                self.say("250 2.0.0 taken")
        if not self.store.lmtp:
            self.say("250 2.0.0 taken")


def without_trace(text):
    """Without the Received field that Postfix puts before all, and without the line between it and no header."""
    end = text.find(b"\r\n") + 2
    assert text.startswith(b"Received: "), text[:200]
    while text[end:end + 1] in (b" ", b"\t"):
        end = text.find(b"\r\n", end) + 2
    return b"" if text[end:] == b"\r\n" else text[end:]


# ---- the backends of a run

_POSTFIX = """
virtual_transport = lmtp:inet:127.0.0.1:%d
local_header_rewrite_clients =
lmtp_line_length_limit = 0
smtputf8_enable = no
disable_mime_input_processing = yes
smtpd_client_message_rate_limit = 0
smtpd_discard_ehlo_keywords = %s
"""
BOUNDS = '"SIZE %d", "8BITMIME", "CHUNKING"' % SIZE


class Kind:
    """One kind of backend: a name, a port to submit to, the mailbox where it all arrives."""

    def __init__(self, name, port, mailbox, capabilities=BOUNDS, binary=False, empty_chunks=True):
        self.name, self.port, self.mailbox, self.binary = name, port, mailbox, binary
        self.empty_chunks = empty_chunks
        self.capabilities = capabilities

    def backend(self):
        return Backend("submission", self.port, extra="capabilities = ( %s );" % self.capabilities)


def kinds(stack, dovecot):
    """All that this machine can run, kept by an ExitStack: Postfix with and without CHUNKING (as root only), an old server
    without PIPELINING, and one that takes binary messages."""
    if stores.is_root() and shutil.which("postfix", path="/usr/sbin:/sbin:/usr/bin"):
        for name, discarded in (("Postfix", ""), ("Postfix without CHUNKING", "chunking")):
            sink = stack.enter_context(Store(("PIPELINING", "8BITMIME"), lmtp=True))
            postfix = stack.enter_context(stores.Postfix(dovecot=dovecot, settings=_POSTFIX % (sink.port, discarded)))
            yield Kind(name, postfix.port, sink.mailbox, empty_chunks=False)
    old = stack.enter_context(Store(("SIZE %d" % SIZE,)))
    yield Kind("old server without PIPELINING", old.port, old.mailbox)
    able = stack.enter_context(Store(("PIPELINING", "SIZE %d" % SIZE, "8BITMIME", "CHUNKING", "BINARYMIME")))
    yield Kind("server with BINARYMIME", able.port, able.mailbox, BOUNDS + ', "BINARYMIME"', binary=True)


def message_for(kind, number, largest):
    return Message(number, largest, kind.binary and number % 2 == 1, kind.empty_chunks)

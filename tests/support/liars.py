"""Stand-ins for mail stores: honest ones that record what reaches them, and lying ones.

A Fake listens on loopback and runs one script in a thread for each connection; the script is a function of one
Conversation. What the front-end sent is kept octet for octet, and apart from it what it sent before TLS, so a
test can prove that a password did not pass. A script ends by returning, or by Gone when the front-end closes.
Anything else that a script raises is a fault of the test and is raised again by Fake.close().
"""
import base64
import re
import socket
import ssl
import threading

DEADLINE = 20


class Gone(Exception):
    """The front-end has closed the connection."""


class Conversation:
    """One connection of the front-end to a fake."""

    def __init__(self, sock, fake):
        self.socket = sock
        self.fake = fake
        self.data = b""
        self.received = b""        # everything, decrypted
        self.clear = b""           # what of it came before TLS
        self.secure = False
        self.ended = threading.Event()
        self.notes = {}            # whatever a script wants to tell

    def send(self, text):
        try:
            self.socket.sendall(text if isinstance(text, bytes) else text.encode("latin-1"))
        except OSError:
            raise Gone from None

    def fill(self):
        try:
            data = self.socket.recv(65536)
        except OSError:
            data = b""
        if not data:
            raise Gone
        self.data += data
        self.received += data
        if not self.secure:
            self.clear += data
        self.fake.notify()

    def line(self):
        while b"\r\n" not in self.data:
            self.fill()
        line, _, self.data = self.data.partition(b"\r\n")
        return line.decode("latin-1")

    def exactly(self, count):
        while len(self.data) < count:
            self.fill()
        data, self.data = self.data[:count], self.data[count:]
        return data

    def rest(self):
        """Reads until the front-end closes."""
        while True:
            self.fill()

    def note(self, key, value=True):
        self.notes[key] = value
        self.fake.notify()

    def start_tls(self):
        assert self.data == b"", "the front-end sent octets behind STARTTLS: %r" % self.data
        try:
            self.socket = self.fake.context.wrap_socket(self.socket, server_side=True)
        except OSError as error:
            self.note("handshake", str(error))
            raise Gone from None
        self.secure = True
        self.note("handshake", "done")

    def close(self):
        try:
            self.socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.socket.close()


class Fake:
    """A server on 127.0.0.1, port 0 for a free one. certificate: (chain, key) paths, for scripts that start TLS."""

    def __init__(self, script, certificate=None, implicit=False, port=0):
        self.script = script
        self.implicit = implicit
        self.conversations = []
        self.faults = []
        self.changed = threading.Condition()
        self.context = None
        if certificate:
            self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.context.load_cert_chain(*[str(path) for path in certificate])
        self.listener = socket.create_server(("127.0.0.1", port), backlog=64)
        self.port = self.listener.getsockname()[1]
        self.threads = []
        self.closing = False
        self.start(self.accept)

    def start(self, function, *arguments):
        thread = threading.Thread(target=function, args=arguments, daemon=True)
        self.threads.append(thread)
        thread.start()

    def notify(self):
        with self.changed:
            self.changed.notify_all()

    def accept(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            if self.closing:
                sock.close()
                return
            sock.settimeout(2 * DEADLINE)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            talk = Conversation(sock, self)
            self.conversations.append(talk)
            self.notify()
            self.start(self.converse, talk)

    def converse(self, talk):
        try:
            if self.implicit:
                talk.start_tls()
            self.script(talk)
        except Gone:
            pass
        except Exception as fault:    # a broken script must not look like a front-end that closed
            self.faults.append(fault)
        finally:
            talk.close()
            talk.ended.set()
            self.notify()

    def wait(self, predicate, what="the fake to see it"):
        """Until predicate(self) holds; what it returned."""
        with self.changed:
            result = self.changed.wait_for(lambda: predicate(self), DEADLINE)
        assert result, "waited in vain for %s; received: %r" % (what, [t.received for t in self.conversations])
        return result

    def wait_ended(self, count=1):
        """Until `count` conversations have ended; the conversations."""
        self.wait(lambda fake: sum(t.ended.is_set() for t in fake.conversations) >= count,
                  "%d conversations to end" % count)
        return self.conversations

    def forget(self):
        """Starts afresh for the next test: conversations so far are closed and no longer looked at."""
        for talk in self.conversations:
            talk.close()
        self.wait(lambda fake: all(talk.ended.is_set() for talk in fake.conversations), "old conversations to end")
        self.conversations = []
        faults, self.faults = self.faults, []
        if faults:
            raise faults[0]

    def received(self):
        return b"".join(talk.received for talk in self.conversations)

    def close(self):
        self.closing = True
        try:
            socket.create_connection(("127.0.0.1", self.port), 5).close()    # wakes accept()
        except OSError:
            pass
        self.listener.close()
        for talk in self.conversations:
            talk.close()
        for thread in self.threads:
            thread.join(5)
        if self.faults:
            raise self.faults[0]

    def __enter__(self):
        return self

    def __exit__(self, kind, *unused):
        try:
            self.close()
        except Exception:
            if kind is None:
                raise


# ---- honest IMAP

ATOM_OR_STRING = re.compile(rb'"((?:[^"\\\r\n]|\\["\\])*)"|([^\s"(){%*\\\x00-\x1f\x7f]+)')


def imap_command(talk):
    """One command with its literals: (tag, name, arguments), all octets."""
    words, line = [], b""
    while True:
        line = talk.line().encode("latin-1")
        literal = re.search(rb"\{(\d+)(\+?)\}$", line)
        text = line[:literal.start()] if literal else line
        position = 0
        while position < len(text):
            if text[position:position + 1] == b" ":
                position += 1
                continue
            word = ATOM_OR_STRING.match(text, position)
            assert word, "not IMAP: %r" % line
            words.append(re.sub(rb"\\(.)", rb"\1", word[1]) if word[1] is not None else word[2])
            position = word.end()
        if not literal:
            break
        if not literal[2]:
            talk.send("+ go on\r\n")
        words.append(talk.exactly(int(literal[1])))
    return words[0].decode(), words[1].decode().upper(), words[2:]


class ImapStore:
    """Takes LOGIN and AUTHENTICATE PLAIN for `users`; behind the login it answers every line with OK and that line.

    users: None accepts anyone. after: capabilities once logged in, when they differ."""

    def __init__(self, users, capability="IMAP4rev1", after=None, starttls=False, in_ok=True, accept="logged in",
                 refuse="[AUTHENTICATIONFAILED] no", greeting="* OK store ready"):
        self.users = users
        self.capability = capability
        self.after = after or capability
        self.starttls = starttls
        self.in_ok = in_ok
        self.accept, self.refuse, self.greeting = accept, refuse, greeting

    def __call__(self, talk):
        talk.send(self.greeting + "\r\n")
        talk.note("commands", [])
        while True:
            tag, name, arguments = imap_command(talk)
            talk.notes["commands"].append((name, arguments))
            if name == "LOGIN" or name == "AUTHENTICATE":
                if self.log_in(talk, tag, name, arguments):
                    return self.relay(talk)
            elif name == "STARTTLS" and self.starttls and not talk.secure:
                talk.send(tag + " OK begin\r\n")
                talk.start_tls()
            elif name == "CAPABILITY":
                talk.send("* CAPABILITY %s\r\n%s OK done\r\n" % (self.capabilities(talk), tag))
            elif name == "LOGOUT":
                talk.send("* BYE\r\n%s OK done\r\n" % tag)
                return None
            elif name in ("NOOP", "ID"):
                talk.send(tag + " OK done\r\n")
            else:
                talk.send(tag + " BAD what?\r\n")

    def capabilities(self, talk):
        starttls = self.starttls and not talk.secure
        return self.capability + (" STARTTLS LOGINDISABLED" if starttls else "")

    def log_in(self, talk, tag, name, arguments):
        if name == "AUTHENTICATE":
            if len(arguments) < 2:
                talk.send("+ \r\n")
                arguments = [arguments[0], talk.line().encode("latin-1")]
            _, user, password = base64.b64decode(arguments[1]).split(b"\0")
        else:
            user, password = arguments
        talk.note("login", (user, password))
        if self.users is not None and self.users.get(user) != password:
            talk.send("%s NO %s\r\n" % (tag, self.refuse))
            return False
        code = "[CAPABILITY %s] " % self.after if self.in_ok else ""
        talk.send("%s OK %s%s\r\n" % (tag, code, self.accept))
        talk.note("logged_in")
        return True

    def relay(self, talk):
        while True:
            line = talk.line()
            tag = line.split(" ")[0]
            if " CAPABILITY" in line:
                talk.send("* CAPABILITY %s\r\n" % self.after)
            talk.send("%s OK did %s\r\n" % (tag, line))


# ---- honest POP3

class Pop3Store:
    """USER and PASS (or AUTH PLAIN) for `users`; behind the login every line is answered with +OK and that line."""

    def __init__(self, users, starttls=False, refuse="-ERR [AUTH] no", to_user="+OK", greeting="+OK store ready"):
        self.users = users
        self.starttls = starttls
        self.refuse, self.to_user, self.greeting = refuse, to_user, greeting

    def __call__(self, talk):
        talk.send(self.greeting + "\r\n")
        user = b""
        while True:
            line = talk.line().encode("latin-1")
            name, _, argument = line.partition(b" ")
            name = name.upper()
            if name == b"USER":
                user = argument
                talk.send(self.to_user + "\r\n")
            elif name == b"PASS":
                if self.verdict(talk, user, argument):
                    return self.relay(talk)
            elif name == b"AUTH":
                mechanism, _, response = argument.partition(b" ")
                if not response:
                    talk.send("+ \r\n")
                    response = talk.line().encode("latin-1")
                _, user, password = base64.b64decode(response).split(b"\0")
                if self.verdict(talk, user, password):
                    return self.relay(talk)
            elif name == b"STLS" and self.starttls and not talk.secure:
                talk.send("+OK begin\r\n")
                talk.start_tls()
            elif name == b"CAPA":
                talk.send("+OK\r\nUSER\r\nSASL PLAIN\r\n%s.\r\n" %
                          ("STLS\r\n" if self.starttls and not talk.secure else ""))
            elif name == b"QUIT":
                talk.send("+OK bye\r\n")
                return None
            else:
                talk.send("-ERR what?\r\n")

    def verdict(self, talk, user, password):
        talk.note("login", (user, password))
        if self.users is not None and self.users.get(user) != password:
            talk.send(self.refuse + "\r\n")
            return False
        talk.send("+OK logged in\r\n")
        talk.note("logged_in")
        return True

    def relay(self, talk):
        while True:
            line = talk.line()
            talk.send("+OK did %s\r\n" % line)
            if line.upper() == "QUIT":
                return


# ---- submission: honest with commands, gullible with messages

LENIENT_END = re.compile(rb"(?:\r\n|\n|\r|^)\.(?:\r\n|\n|\r)")


class SubmissionStore:
    """A recording server. `commands` and `messages` are of all conversations of this store.

    It is as gullible as the worst server known: any line end before and behind a lone dot ends a message, and a bare
    LF or CR ends a command. So whatever a front-end lets through shows as a second message or command.
    """

    def __init__(self, users, extensions=("PIPELINING", "SIZE 50000000", "8BITMIME"), starttls=False,
                 auth="PLAIN LOGIN", accept="235 2.7.0 welcome", refuse="535 5.7.8 no", answers=None):
        self.users = users
        self.extensions = extensions
        self.starttls = starttls
        self.auth = auth
        self.accept, self.refuse = accept, refuse
        self.answers = answers or {}    # verb to reply, in place of our own
        self.commands = []              # lines after login, as they came
        self.messages = []              # whole messages
        self.cut = []                   # what came of messages that never ended

    def __call__(self, talk):
        talk.send("220 store.example.test ESMTP\r\n")
        logged_in = False
        while True:
            line = self.command(talk)
            if logged_in:
                self.commands.append(line)
                self.note(talk)
            verb = line.split(b" ")[0].upper().decode("latin-1")
            if verb in self.answers:
                talk.send(self.answers[verb] + "\r\n")
                if self.answers[verb].startswith("354"):
                    self.message(talk)
            elif verb in ("EHLO", "HELO"):
                self.ehlo(talk, logged_in)
            elif verb == "STARTTLS" and self.starttls and not talk.secure:
                talk.send("220 begin\r\n")
                talk.start_tls()
            elif verb == "AUTH":
                logged_in = self.log_in(talk, line)
            elif verb == "DATA":
                talk.send("354 go\r\n")
                self.message(talk)
                talk.send("250 2.0.0 taken\r\n")
            elif verb == "BDAT":
                self.chunk(talk, line)
            elif verb == "QUIT":
                talk.send("221 2.0.0 bye\r\n")
                return
            else:
                if verb in ("RSET", "MAIL"):
                    talk.notes.pop("chunks", None)
                talk.send("250 2.0.0 %s\r\n" % verb)

    def chunk(self, talk, line):
        """As exact as DATA is gullible: the octets announced, and a message only at LAST."""
        words = line.split(b" ")
        try:
            data = talk.notes.setdefault("chunks", b"") + talk.exactly(int(words[1]))
        except Gone:
            self.cut.append(talk.data)
            self.note(talk)
            raise
        talk.notes["chunks"] = data
        if words[2:] == [b"LAST"]:
            self.messages.append(talk.notes.pop("chunks"))
        self.note(talk)
        talk.send("250 2.0.0 taken\r\n")

    def note(self, talk):
        talk.fake.notify()

    def command(self, talk):
        while True:
            end = re.search(rb"\r\n|\n|\r(?!\Z)", talk.data)
            if end:
                line, talk.data = talk.data[:end.start()], talk.data[end.end():]
                return line
            talk.fill()

    def ehlo(self, talk, logged_in):
        lines = ["store.example.test", *self.extensions]
        if self.starttls and not talk.secure:
            lines.append("STARTTLS")
        elif self.auth and not logged_in:
            lines.append("AUTH " + self.auth)
        talk.send("".join("250%s%s\r\n" % ("-" if i + 1 < len(lines) else " ", line)
                          for i, line in enumerate(lines)))

    def log_in(self, talk, line):
        words = line.split(b" ")
        if words[1].upper() == b"PLAIN":
            if len(words) < 3:
                talk.send("334 \r\n")
                words.append(talk.line().encode("latin-1"))
            _, user, password = base64.b64decode(words[2]).split(b"\0")
        else:
            talk.send("334 VXNlcm5hbWU6\r\n")
            user = base64.b64decode(talk.line())
            talk.send("334 UGFzc3dvcmQ6\r\n")
            password = base64.b64decode(talk.line())
        talk.note("login", (user, password))
        accepted = self.users is None or self.users.get(user) == password
        talk.send((self.accept if accepted else self.refuse) + "\r\n")
        return accepted

    def message(self, talk):
        looked = 0    # no end begins before that
        try:
            while not (end := LENIENT_END.search(talk.data, looked)):
                looked = max(0, len(talk.data) - 4)
                talk.fill()
        except Gone:
            self.cut.append(talk.data)
            self.note(talk)
            raise
        self.messages.append(talk.data[:end.start()] + b"\r\n")
        talk.data = talk.data[end.end():]
        self.note(talk)


class PatientStore(SubmissionStore):
    """Says nothing after login until `count` commands have come; then answers them all. `seen` is what had come by then.

    So a front-end that waits for an answer in between waits for ever, and a round trip needs no clock to be counted."""

    def __init__(self, count, **settings):
        super().__init__(None, **settings)
        self.count = count
        self.seen = None

    def command(self, talk):
        if talk.notes.get("logged_in") and self.seen is None:
            while talk.data.count(b"\r\n") < self.count:
                talk.fill()
            self.seen = talk.data
            self.note(talk)
        return super().command(talk)

    def log_in(self, talk, line):
        talk.notes["logged_in"] = super().log_in(talk, line)
        return talk.notes["logged_in"]


class SlowWitnessStore(SubmissionStore):
    """Without PIPELINING: `early` holds what had come behind a command before it was answered."""

    def __init__(self, **settings):
        super().__init__(None, extensions=("SIZE 50000000",), **settings)
        self.early = []

    def command(self, talk):
        line = super().command(talk)
        talk.socket.setblocking(False)
        try:
            talk.data += talk.socket.recv(65536)
        except OSError:
            pass
        finally:
            talk.socket.settimeout(2 * DEADLINE)
        if talk.data:
            self.early.append((line, talk.data))
        return line

"""Thirty mebibytes each way through one worker, unchanged, and the worker's memory meanwhile."""
import base64
import hashlib
import os
import pathlib
import threading

import pytest

from conftest import USERS
from support import clients
from support.postern import program
from support.process import resident_memory
from support.wait import wait_for

SIZE = 30 << 20
GROWTH = 2 << 20


@pytest.fixture(scope="module")
def front(launch, dovecot, postfix):
    return launch(imap=dovecot.imap_port, pop3=dovecot.pop3_port, submission=postfix.port, workers=1)


@pytest.fixture(scope="module")
def body():
    """Random lines; some begin with dots."""
    text = base64.b64encode(os.urandom(SIZE * 3 // 4))
    lines = [text[i:i + 74] for i in range(0, len(text), 74)]
    lines[5::1000] = [b"." + line[1:] for line in lines[5::1000]]
    return b"\r\n".join(lines) + b"\r\n"


def message(name, body):
    return (b"From: large@example.test\r\nTo: large@example.test\r\nSubject: %s\r\nDate: Sat, 21 Nov 2026 20:00:00 +0000\r\n"
            b"Message-ID: <%s@example.test>\r\nMIME-Version: 1.0\r\n\r\n" % (name, name) + body)


def instrumented():
    """Sanitizers keep what was freed, and valgrind has a memory of its own: then only the bytes are judged."""
    return bool(os.environ.get("POSTERN_WRAPPER")) or b"__asan_init" in pathlib.Path(program()).read_bytes()


class Memory:
    """The greatest resident size of the worker while this block runs, over the size at its start."""

    def __init__(self, front):
        self.pid, = front.children("worker")

    def __enter__(self):
        self.idle = self.most = resident_memory(self.pid)
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self.watch, daemon=True)
        self.thread.start()
        return self

    def watch(self):
        while not self.stop.wait(0.005):
            self.most = max(self.most, resident_memory(self.pid))

    def __exit__(self, *unused):
        self.stop.set()
        self.thread.join()
        self.most = max(self.most, resident_memory(self.pid))


def enter(front, protocol, context):
    return clients.enter(front.port(protocol, "implicit"), protocol, "implicit", context, "large", USERS["large"])


def digest(data):
    return hashlib.sha256(data).hexdigest()


@pytest.fixture(scope="module", autouse=True)
def warm(front, context):
    """The idle value is that of a worker that has served before: one small session of each kind, then silence."""
    for protocol in ("submission", "imap", "pop3"):
        with enter(front, protocol, context) as wire:
            wire.reply(protocol, {"submission": "QUIT", "imap": "z LOGOUT", "pop3": "QUIT"}[protocol])
            wire.rest()


def fetch(front, context, name):
    """The whole message by IMAP, once it is there."""
    with enter(front, "imap", context) as wire:
        wire.imap("a SELECT INBOX")

        def number():
            wire.imap("b NOOP")
            found = [line for line in wire.imap("c SEARCH SUBJECT %s" % name.decode()).split("\n") if line.startswith("* SEARCH ")]
            return found and found[0].split()[2]

        wire.send("d FETCH %s BODY.PEEK[]\r\n" % wait_for(number, "the message to arrive", deadline=60))
        line = wire.line()
        while "{" not in line:
            line = wire.line()
        data = wire.exactly(int(line[line.rindex("{") + 1:-1]))
        assert wire.imap(tag="d").split("\n")[-1].startswith("d OK")
        return data


def retrieve(front, context, name):
    """The same by POP3."""
    with enter(front, "pop3", context) as wire:
        count = int(wire.pop3("STAT").split()[1])
        for number in range(count, 0, -1):
            if ("Subject: " + name.decode()) not in wire.pop3("TOP %d 0" % number, many=True):
                continue
            assert wire.pop3("RETR %d" % number).startswith("+OK")
            while not wire.data.endswith(b"\r\n.\r\n"):
                assert wire.fill()
            lines = wire.exactly(len(wire.data))[:-3].split(b"\r\n")
            return b"\r\n".join(line[1:] if line.startswith(b".") else line for line in lines)
    raise AssertionError("no such message")


def body_of(data):
    return data.partition(b"\r\n\r\n")[2]


def append(front, context, name, text, synchronising):
    with enter(front, "imap", context) as wire:
        wire.send("a APPEND INBOX {%d%s}\r\n" % (len(text), "" if synchronising else "+"))
        if synchronising:
            assert wire.imap(tag="a").startswith("+")
        wire.send(text + b"\r\n")
        assert wire.imap(tag="a").split("\n")[-1].startswith("a OK")


def submit(front, context, text):
    with enter(front, "submission", context) as wire:
        assert wire.smtp("MAIL FROM:<large@example.test>").startswith("250")
        assert wire.smtp("RCPT TO:<large@example.test>").startswith("250")
        assert wire.smtp("DATA").startswith("354")
        wire.send(text.replace(b"\r\n.", b"\r\n..") + b".\r\n")
        assert wire.smtp().startswith("250")
        wire.smtp("QUIT")


@pytest.mark.parametrize("way", ("DATA", "APPEND {n}", "APPEND {n+}"))
def test_thirty_mebibytes_arrive_and_come_back_unchanged(front, context, body, way):
    name = {"DATA": b"by-data", "APPEND {n}": b"by-append", "APPEND {n+}": b"by-append-plus"}[way]
    text = message(name, body)
    with Memory(front) as memory:
        if way == "DATA":
            submit(front, context, text)
        else:
            append(front, context, name, text, way == "APPEND {n}")
        fetched = fetch(front, context, name)
        retrieved = retrieve(front, context, name)
    assert digest(body_of(fetched)) == digest(body), "by IMAP"
    assert digest(body_of(retrieved)) == digest(body), "by POP3"
    if way != "DATA":
        assert digest(fetched) == digest(text)
    print("worker: %d KiB idle, %d KiB at most" % (memory.idle >> 10, memory.most >> 10))
    if not instrumented():
        assert memory.most - memory.idle <= GROWTH

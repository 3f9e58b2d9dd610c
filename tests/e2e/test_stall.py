"""A side that stops taking bytes stops the other, costs no processor time meanwhile, and nothing is lost when it goes on."""
import hashlib
import os
import select
import threading
import time

import pytest

from support import clients
from support.liars import Fake, SubmissionStore
from support.wait import wait_for

SIZE = 24 << 20    # more than all socket buffers on the way
USER, SECRET = "alice", "secret-of-alice"
LOOK = 1.0         # seconds over which the processor time of a stalled worker is taken
BUSY = 0.5         # of them; a worker that spins takes all


def processor_seconds(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def assert_asleep(front):
    pid, = front.children("worker")
    before, begun = processor_seconds(pid), time.monotonic()
    time.sleep(LOOK)    # what is judged is how much was used in it
    used, passed = processor_seconds(pid) - before, time.monotonic() - begun
    assert used < BUSY * passed, f"{used:.2f} s of processor time in {passed:.2f} s of doing nothing"


def until_full(wire, block):
    """Sends until the other side has not taken a byte for a while; how much it took."""
    sent = 0
    wire.socket.settimeout(0.5)
    try:
        while sent < SIZE:
            sent += wire.socket.send(block)
    except TimeoutError:
        pass
    assert 0 < sent < SIZE, "the other side took everything"
    return sent


def wait_full(find_socket):
    """Until no byte more goes into that socket for half a second."""
    wait_for(lambda: not select.select([], [find_socket()], [], 0.5)[1], "a full pipe")


@pytest.fixture
def fakes():
    """Backends that stop reading or talk without end once `go` is about; what they then got is in `got`."""
    state = {"go": threading.Event(), "got": hashlib.sha256(), "count": 0}

    def pop3(talk):
        talk.send("+OK\r\n")
        talk.line(), talk.send("+OK\r\n")
        talk.line(), talk.send("+OK\r\n")
        if talk.line().startswith("FLOOD"):
            block = b"x" * 65534 + b"\r\n"
            for _ in range(SIZE // len(block)):
                talk.send(block)
            return
        state["go"].wait(60)
        while True:
            state["count"] += len(talk.data)
            state["got"].update(talk.data)
            talk.data = talk.received = talk.clear = b""
            if state["count"] >= SIZE:
                break
            talk.fill()
        talk.send("+OK took all\r\n")

    def message(talk):
        state["go"].wait(60)
        text = bytearray()
        while not text.endswith(b"\r\n.\r\n"):
            if not talk.data:
                talk.fill()
            text += talk.data
            talk.data = talk.received = talk.clear = b""
        state["message"] = hashlib.sha256(text).digest()

    store = SubmissionStore(None)
    store.message = message
    with Fake(pop3) as mailbox, Fake(store) as relay:
        state["pop3"], state["submission"] = mailbox, relay
        yield state
        state["go"].set()


@pytest.fixture
def front(launch, fakes):
    return launch(pop3=fakes["pop3"].port, submission=fakes["submission"].port, workers=1)


def enter(front, protocol, context):
    return clients.enter(front.port(protocol, "implicit"), protocol, "implicit", context, USER, SECRET)


def test_a_client_that_does_not_read(front, fakes, context):
    with enter(front, "pop3", context) as wire:
        wire.send("FLOOD\r\n")
        wait_full(lambda: fakes["pop3"].conversations[0].socket)
        assert_asleep(front)
        taken = 0
        wire.socket.settimeout(20)
        while True:
            data = wire.socket.recv(65536)
            if not data:
                break
            taken += len(data)
        assert taken == SIZE // 65536 * 65536


def test_a_store_that_does_not_read(front, fakes, context):
    text = os.urandom(SIZE)
    with enter(front, "pop3", context) as wire:
        wire.send("STALL\r\n")
        sender = threading.Thread(target=wire.socket.sendall, args=(text,))
        wire.socket.settimeout(60)
        sender.start()
        wait_full(lambda: wire.socket)
        assert_asleep(front)
        fakes["go"].set()
        sender.join(60)
        assert not sender.is_alive()
        assert wire.line() == "+OK took all"
    assert fakes["count"] == SIZE
    assert fakes["got"].digest() == hashlib.sha256(text).digest()


def test_a_store_that_does_not_take_a_message(front, fakes, context):
    line = b"0123456789" * 7 + b"\r\n"
    with enter(front, "submission", context) as wire:
        assert wire.smtp("MAIL FROM:<a@example.test>").startswith("250")
        assert wire.smtp("RCPT TO:<b@example.test>").startswith("250")
        assert wire.smtp("DATA").startswith("354")
        text = line * (SIZE // len(line)) + b".\r\n"
        wire.socket.settimeout(60)
        sender = threading.Thread(target=wire.socket.sendall, args=(text,))
        sender.start()
        wait_full(lambda: wire.socket)
        assert_asleep(front)
        fakes["go"].set()
        sender.join(60)
        assert not sender.is_alive()
        assert wire.smtp().startswith("250")
    assert fakes["message"] == hashlib.sha256(text).digest()


@pytest.mark.parametrize("logged_in", (False, True))
def test_a_client_that_asks_without_end_and_reads_nothing(front, fakes, context, logged_in):
    with (enter(front, "submission", context) if logged_in else
          clients.reach(front.port("submission", "implicit"), "submission", "implicit", context)) as wire:
        until_full(wire, b"NOOP\r\n" * 8192)
        assert_asleep(front)

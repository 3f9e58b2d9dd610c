"""A side that stops taking bytes stops the other, costs no processor time meanwhile, and nothing is lost when it goes on."""
import ctypes
import ctypes.util
import hashlib
import os
import select
import ssl
import threading
import time

import pytest

from support import clients
from support.liars import Fake, SubmissionStore
from support.postern import Backend
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


SSL_ERROR_WANT_WRITE = 3


def key_updates_until_full(wire):
    """Asks for new keys, reading no answer, until the other side reads no more. Python's ssl has no call for it."""
    library = ctypes.CDLL(ctypes.util.find_library("ssl"))
    library.SSL_key_update.argtypes = [ctypes.c_void_p, ctypes.c_int]
    library.SSL_do_handshake.argtypes = [ctypes.c_void_p]
    library.SSL_get_error.argtypes = [ctypes.c_void_p, ctypes.c_int]
    # The C object: two words of every object, the socket, then SSL *.
    leg = ctypes.c_void_p.from_address(id(wire.socket._sslobj) + 3 * ctypes.sizeof(ctypes.c_void_p)).value
    wire.socket.setblocking(False)
    ready = True
    while ready:
        library.SSL_key_update(leg, 1)
        result = library.SSL_do_handshake(leg)
        if result != 1 and library.SSL_get_error(leg, result) != SSL_ERROR_WANT_WRITE:
            return    # the other side has ended it already
        if result != 1:
            ready = select.select([], [wire.socket], [], 2)[1]


def test_a_login_whose_answer_the_client_does_not_take_ends_that_session_alone(launch_once, context):
    go, asked = threading.Event(), threading.Event()

    def pop3(talk):
        talk.send("+OK\r\n")
        talk.line(), talk.send("+OK\r\n")
        talk.line(), asked.set(), go.wait(60), talk.send("+OK\r\n")
        talk.rest()

    with Fake(pop3) as mailbox:
        front = launch_once(pop3=mailbox.port, workers=1)
        worker = front.children("worker")
        with clients.reach(front.port("pop3", "implicit"), "pop3", "implicit", context) as wire:
            assert wire.pop3("USER " + USER).startswith("+OK")
            wire.send("PASS %s\r\n" % SECRET)
            assert asked.wait(20)
            key_updates_until_full(wire)
            go.set()
            front.wait_event("session_end", reason="client_slow")
        mailbox.wait_ended()
        with clients.reach(front.port("pop3", "implicit"), "pop3", "implicit", context):
            assert front.children("worker") == worker


@pytest.fixture
def hidden(launch_once, certificate):
    """front(script): a Postern before a POP3 store behind TLS, which runs the script after the login."""
    stores = []

    def start(script):
        def pop3(talk):
            talk.send("+OK\r\n")
            talk.line(), talk.send("+OK\r\n")
            talk.line(), talk.send("+OK\r\n")
            script(talk)

        stores.append(Fake(pop3, certificate=(certificate.chain, certificate.key), implicit=True))
        backend = Backend("pop3", stores[-1].port, tls="implicit", extra='verify = "none";')
        return launch_once(pop3=backend, workers=1)

    yield start
    for store in stores:
        store.close()


def test_a_client_that_has_said_goodbye_still_hears_a_store_behind_tls(hidden, context):
    go = threading.Event()

    def script(talk):
        talk.line(), go.wait(60), talk.send("+OK bye\r\n"), talk.socket.unwrap()

    front = hidden(script)
    with enter(front, "pop3", context) as wire:
        wire.send("QUIT\r\n")
        wire.socket.setblocking(False)
        try:
            wire.socket.unwrap()    # our close_notify; we wait for no answer yet
        except ssl.SSLWantReadError:
            pass
        assert_asleep(front)
        go.set()
        assert front.wait_event("session_end")["reason"] == "client_closed"


def test_a_store_behind_tls_that_talks_before_it_listens(hidden, context):
    """Both directions full: the one that the client reads goes on."""
    block = b"x" * 65534 + b"\r\n"

    def script(talk):
        talk.line()
        time.sleep(2)    # meanwhile the other direction fills
        for _ in range(SIZE // len(block)):
            talk.send(block)
        count = len(talk.data)
        while count < SIZE:
            talk.data = talk.received = b""
            talk.fill()
            count += len(talk.data)
        talk.send("+OK took all\r\n")

    front = hidden(script)
    with enter(front, "pop3", context) as wire:
        wire.send("FLOOD\r\n")
        wire.socket.setblocking(False)
        taken, sent, ended = b"", 0, False
        data = memoryview(bytes(SIZE))
        while not ended and not taken.endswith(b"+OK took all\r\n"):
            readable, writable, _ = select.select([wire.socket], [wire.socket] if sent < SIZE else [], [], 20)
            assert readable or writable, "nothing moves any more"
            if writable:
                try:
                    sent += wire.socket.send(data[sent:sent + 16384])
                except (ssl.SSLWantWriteError, ssl.SSLWantReadError):
                    pass
            try:
                while not ended:
                    got = wire.socket.recv(65536)
                    taken, ended = taken[-64:] + got, not got
            except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
                pass
        assert taken.endswith(b"+OK took all\r\n")

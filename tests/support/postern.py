"""A Postern under test: its configuration, its life, its log.

The program is $POSTERN (default build/postern), started behind $POSTERN_WRAPPER when that is set (valgrind ...). Listeners
are given port 0; the real ports are read from the `ready` event. A log that holds a report of a sanitizer fails the test."""
import atexit
import fcntl
import os
import pathlib
import select
import shlex
import signal
import subprocess
import tempfile
import termios
import threading
import time
from dataclasses import dataclass, field

from . import log_lines, process
from .wait import DEADLINE, Timeout, wait_for

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROTOCOLS = ("submission", "imap", "pop3")
MODES = ("starttls", "implicit")
_SLOW = 4 if os.environ.get("POSTERN_WRAPPER") or "asan" in os.environ.get("POSTERN", "") else 1
_WITHOUT_FILTER = "seccomp = false;" if "valgrind" in os.environ.get("POSTERN_WRAPPER", "") else ""    # it calls what it likes
_ALARMS = ("AddressSanitizer", "LeakSanitizer", "runtime error:", "ThreadSanitizer", "Assertion `")


def program():
    return os.path.abspath(os.environ.get("POSTERN") or ROOT / "build" / "postern")


def command(*arguments):
    """The program with arguments, as a list to run."""
    return [*shlex.split(os.environ.get("POSTERN_WRAPPER", "")), program(), *map(str, arguments)]


def environment():
    """What the program is run with: sanitizers stop at the first fault and say so on stderr."""
    found = dict(os.environ)
    found["ASAN_OPTIONS"] = "abort_on_error=0:exitcode=99:detect_leaks=1:" + found.get("ASAN_OPTIONS", "")
    found["UBSAN_OPTIONS"] = "print_stacktrace=1:halt_on_error=1:" + found.get("UBSAN_OPTIONS", "")
    return found


def check(path, deadline=DEADLINE * _SLOW):
    """Runs `postern -c path -t`: (exit status, what it printed)."""
    done = subprocess.run(command("-c", path, "-t"), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, errors="replace", timeout=deadline, check=False, env=environment())
    return done.returncode, done.stdout


@dataclass(frozen=True)
class Listener:
    protocol: str
    tls: str
    address: str = "127.0.0.1"
    port: int = 0
    extra: str = ""    # libconfig text within the listener


def all_listeners(addresses=("127.0.0.1",)):
    """Three protocols, both TLS modes, on each address; port 0."""
    return [Listener(protocol, tls, address) for address in addresses for protocol in PROTOCOLS for tls in MODES]


def quote(text):
    """A string of libconfig."""
    return '"' + str(text).replace("\\", "\\\\").replace('"', '\\"') + '"'


@dataclass
class Backend:
    """A pool with one server; `login` and `extra` are libconfig text within the pool."""

    protocol: str
    port: int
    host: str = "127.0.0.1"
    tls: str = "none"
    extra: str = ""
    name: str = ""
    login: str = 'login = "password";'

    def text(self):
        return (f"  {{ name = {quote(self.pool())}; protocol = {quote(self.protocol)};\n"
                f"    servers = ( {{ host = {quote(self.host)}; port = {self.port}; }} ); tls = {quote(self.tls)};\n"
                f"    {self.login} {self.extra} }}")

    def pool(self):
        return self.name or f"old-{self.protocol}"


@dataclass
class Configuration:
    """The usual configuration as libconfig text: give what a test is about, leave the rest."""

    certificate: object    # or several
    backends: list
    listeners: list = field(default_factory=all_listeners)
    hostname: str = "mail.example.test"
    workers: int = 2
    limits: str = ""
    guessing: str = "delay_from = 0; refuse_from = 0; user_delay_from = 0;"    # a test of its own
    auth: str = 'source = "backend"; mechanisms = ( "PLAIN", "LOGIN" );'
    monitor: str = "interval = 0;"    # nobody but a login comes to the servers, unless a test is about that
    log: str = 'target = "stderr"; format = "logfmt"; level = "info";'
    top: str = ""
    tls: str = ""    # within tls, behind the certificates

    def text(self):
        chosen = self.certificate if isinstance(self.certificate, (list, tuple)) else [self.certificate]
        certificates = ", ".join(f"{{ chain = {quote(one.chain)}; key = {quote(one.key)}; }}" for one in chosen)
        listeners = ",\n".join(f"  {{ protocol = {quote(one.protocol)}; address = {quote(one.address)}; port = {one.port}; "
                               f"tls = {quote(one.tls)}; {one.extra} }}" for one in self.listeners)
        backends = ",\n".join(one.text() for one in self.backends)
        routes = " ".join(f"{one.protocol} = {quote(one.pool())};" for one in self.backends)
        return f"""hostname = {quote(self.hostname)};
workers = {self.workers};
{_WITHOUT_FILTER if "seccomp" not in self.top else ""}
{self.top}
tls: {{ certificates = ( {certificates} ); {self.tls} }};
listeners = (
{listeners}
);
auth: {{ {self.auth} }};
backends = (
{backends}
);
routes = ( {{ {routes} }} );
limits: {{ {self.limits} }};
guessing: {{ {self.guessing} }};
monitor: {{ {self.monitor} }};
log: {{ {self.log} }};
"""


class Postern:
    """One running Postern. `configuration` is text, or anything with a text(); in it, certificates and ports are the
    caller's matter. `listeners` defaults to those of a Configuration, and gives port() its names."""

    def __init__(self, folder=None, configuration=None, listeners=None, arguments=()):
        self._own = tempfile.TemporaryDirectory(prefix="postern-") if folder is None else None
        self.folder = str(folder or self._own.name)
        self.path = os.path.join(self.folder, "postern.conf")
        self.listeners = listeners if listeners is not None else getattr(configuration, "listeners", [])
        self.arguments = list(arguments)
        self.addresses = []
        self._process = None
        self._lines = []
        self._reader = None
        self._news = threading.Condition()
        self._reading = threading.Lock()
        if configuration is not None:
            self.configure(configuration)

    def configure(self, configuration):
        text = configuration if isinstance(configuration, str) else configuration.text()
        with open(self.path, "w", encoding="utf-8", errors="surrogateescape") as file:
            file.write(text)

    # -- life

    @property
    def pid(self):
        return self._process.pid

    @property
    def status(self):
        """The exit status, None while it runs."""
        return self._process.poll()

    def launch(self):
        """Starts the process without waiting for anything."""
        assert os.access(program(), os.X_OK), f"{program()} is not there: run make first"
        self._lines = []
        self._process = subprocess.Popen(command("-c", self.path, *self.arguments), stdin=subprocess.DEVNULL,
                                         stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, bufsize=0, env=environment(),
                                         start_new_session=True)
        atexit.register(self.kill)
        self._reader = threading.Thread(target=self._read, args=(self._process.stderr,), daemon=True)
        self._reader.start()
        return self

    def start(self, deadline=DEADLINE * _SLOW):
        """Returns self once `ready` was logged; the ports are then known."""
        self.launch()
        try:
            ready = self.wait_event("ready", deadline=deadline)
        except BaseException:
            self.kill()
            raise
        self.addresses = [_address(text) for text in ready.get("addresses", "").replace(",", " ").split()]
        return self

    def _read(self, stream):
        """Runs in a thread: collects the log line by line."""
        rest = b""
        with stream:
            while select.select([stream], [], []):
                with self._reading:
                    data = os.read(stream.fileno(), 1 << 16)
                    *whole, rest = (rest + data).split(b"\n")
                    for raw in whole if data else filter(None, [rest]):
                        self.hear(raw.decode("utf-8", "surrogateescape"))
                if not data:
                    return

    def hear(self, line):
        """Adds a line to the log; a stand-in for a daemon of logs calls this as well."""
        log_lines.note(line)
        with self._news:
            self._lines.append(line)
            self._news.notify_all()

    def stop(self, number=signal.SIGTERM, deadline=DEADLINE * _SLOW):
        """Ends it in an orderly way; asserts exit status 0, no child left, nothing found by a sanitizer."""
        if not self._process:
            return
        family = process.descendants(self.pid)
        try:
            if self.status is None:
                self._process.send_signal(number)
            self._process.wait(deadline)
            wait_for(lambda: not any(map(process.is_alive, family)), "the end of every child")
        except subprocess.TimeoutExpired:
            raise AssertionError(f"did not end within {deadline:g} s of signal {number}\n{self.log()}") from None
        finally:
            self._close(family)
        self.assert_sane()
        status, self._process = self._process.returncode, None
        assert status == 0, f"ended with status {status}\n{self.log()}"

    def kill(self):
        """Ends it at once with all its children; for clearing up."""
        if self._process:
            self._close(process.descendants(self.pid))
            self._process = None

    def _close(self, family):
        atexit.unregister(self.kill)
        if self._process.poll() is None:
            self._process.kill()
        process.kill(family)
        self._process.wait()
        self._reader.join(5)

    def signal(self, number):
        self._process.send_signal(number)

    def __enter__(self):
        return self if self._process else self.start()

    def __exit__(self, kind, *_):
        if kind is None:
            self.stop()
        else:
            self.kill()

    def children(self, kind=None):
        """Ids of the children, of one kind ("worker", "auth") by their command line."""
        found = [pid for pid, _ in process.descendants(self.pid)]
        if kind is None:
            return found
        return [pid for pid in found if _is_child_of_kind(pid, kind)]

    # -- where it listens

    def address(self, protocol, tls, host="127.0.0.1"):
        """(host, port) of the listener with these; needs listeners in the order of the configuration."""
        for listener, (address, port) in zip(self.listeners, self.addresses):
            if (listener.protocol, listener.tls, listener.address) == (protocol, tls, host):
                return address, port
        raise LookupError(f"no listener {protocol} {tls} {host} in {self.addresses}")

    def port(self, protocol, tls, host="127.0.0.1"):
        return self.address(protocol, tls, host)[1]

    # -- what it says

    def lines(self):
        """All lines so far: what it has written by now is among them."""
        self._catch_up()
        with self._news:
            return list(self._lines)

    def _catch_up(self):
        stream = self._process and self._process.stderr
        waiting = bytearray(4)
        try:
            while stream and fcntl.ioctl(stream.fileno(), termios.FIONREAD, waiting) == 0 and any(waiting):
                time.sleep(0.0005)
        except (OSError, ValueError):    # it has ended, and everything was read
            pass
        with self._reading:
            pass

    def log(self):
        return "\n".join(self.lines())

    def events(self, name=None, **fields):
        """All events so far of that name whose fields have these values, as dictionaries of text."""
        wanted = {key: str(value) for key, value in fields.items()}
        found = []
        for line in self.lines():
            event = log_lines.parse(line)
            if "event" in event and name in (None, event["event"]):
                if all(event.get(key) == value for key, value in wanted.items()):
                    found.append(event)
        return found

    def wait_event(self, name, count=1, deadline=DEADLINE, **fields):
        """Waits until there are `count` such events; returns the last of them."""

        def look():
            found = self.events(name, **fields)
            if len(found) >= count:
                return found[count - 1]
            if self._process is None or self._process.poll() is not None:
                self._reader.join(5)
                found = self.events(name, **fields)
                if len(found) < count:
                    raise Timeout(f"it ended before event {name} {fields}\n{self.log()}")
            return None

        return wait_for(look, lambda: f"event {name} {fields}\n{self.log()}", deadline)

    def assert_sane(self):
        """Fails when a sanitizer or an assertion spoke."""
        text = self.log()
        for alarm in _ALARMS:
            place = text.find(alarm)
            assert place < 0, f"{alarm} in the log\n{text[max(place - 500, 0):place + 5000]}"


def _is_child_of_kind(pid, kind):
    try:
        arguments = process.command_line(pid)
    except OSError:
        return False
    return kind in arguments or f"--child={kind}" in arguments


def _address(text):
    """ "127.0.0.1:143" or "[::1]:143" as (host, port)."""
    host, _, port = text.rpartition(":")
    return host.strip("[]"), int(port)


def standard(folder, certificate, dovecot, submission, listeners=None, **settings):
    """A Postern before these stores, not started; settings are fields of Configuration."""
    backends = [Backend("imap", dovecot.imap_port), Backend("pop3", dovecot.pop3_port),
                Backend("submission", submission.port)]
    listeners = all_listeners() if listeners is None else listeners
    return Postern(folder, Configuration(certificate, backends, listeners=listeners, **settings))

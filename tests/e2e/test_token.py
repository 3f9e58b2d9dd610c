"""Private keys in PKCS#11 tokens (SoftHSM2): who gets to see such a certificate, and what happens while a token is slow or away."""
import os
import pathlib
import pwd
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile

import pytest

import test_status as status
from support import certificates, clients, liars, ports, process, walls
from support.postern import Listener, check
from support.wait import wait_for
from test_keeper import AS_ROOT, UNWRAPPED, holds, secrets_of, shake, stands_still

MODULES = [path for path in pathlib.Path("/usr/lib").glob("**/libsofthsm2.so") if path.is_file()]
PIN = "481516"

pytestmark = pytest.mark.skipif(not MODULES or not shutil.which("softhsm2-util"), reason="SoftHSM2 is not installed (softhsm2)")


class Token:
    """A token of SoftHSM2 in a folder that the process which reads it may write to."""

    def __init__(self, folder, monkeypatch):
        self.folder = folder
        self.module = MODULES[0]
        (folder / "tokens").mkdir()
        (folder / "softhsm2.conf").write_text(f"directories.tokendir = {folder}/tokens\nobjectstore.backend = file\nlog.level = ERROR\n")
        (folder / "pin").write_text(PIN + "\n")
        (folder / "pin").chmod(0o600)
        monkeypatch.setenv("SOFTHSM2_CONF", str(folder / "softhsm2.conf"))
        self.util("--init-token", "--free", "--label", "front door", "--pin", PIN, "--so-pin", "0" + PIN)
        self.share()

    def util(self, *arguments):
        subprocess.run(["softhsm2-util", *arguments], check=True, capture_output=True)

    def share(self):
        """With the user whom Postern's process runs as."""
        if os.geteuid() != 0:
            return
        for path in (self.folder / "tokens", *(self.folder / "tokens").rglob("*")):
            shutil.chown(path, "nobody")
        for path in (self.folder, self.folder / "softhsm2.conf"):
            path.chmod(0o755)

    def take(self, pair, label, number):
        """Puts the key there; the same certificate with the key's URI in the place of its file."""
        plain = self.folder / f"{label}.p8"
        subprocess.run(["openssl", "pkcs8", "-topk8", "-nocrypt", "-in", pair.key, "-out", plain], check=True)
        self.util("--import", str(plain), "--token", "front door", "--label", label, "--id", f"{number:02x}", "--pin", PIN)
        plain.unlink()
        self.share()
        return certificates.Certificate(pair.chain, f"pkcs11:token=front%20door;object={label}", pair.names)

    def options(self, pin="pin"):
        return f'pkcs11: {{ module = "{self.module}"; pin_file = "{self.folder / pin}"; }};'


@pytest.fixture(scope="session")
def shaky_library():
    folder = tempfile.mkdtemp(prefix="postern-shaky-")
    source = pathlib.Path(__file__).parent.parent / "support" / "shaky_module.c"
    flags = subprocess.run(["pkg-config", "--cflags", "p11-kit-1"], check=True, capture_output=True, text=True).stdout.split()
    subprocess.run(["cc", "-shared", "-fPIC", *flags, "-o", f"{folder}/shaky.so", source], check=True)
    os.chmod(folder, 0o755)
    yield pathlib.Path(folder) / "shaky.so"
    shutil.rmtree(folder)


@pytest.fixture
def shaky(token, shaky_library, monkeypatch):
    """The token behind a library that fails as files in this folder say (tests/support/shaky_module.c)."""
    folder = token.folder / "shaky"
    folder.mkdir()
    folder.chmod(0o777)
    token.module = shaky_library
    monkeypatch.setenv("SHAKY", str(folder))
    monkeypatch.setenv("SHAKY_BEHIND", str(MODULES[0]))
    return folder


@pytest.fixture
def token(monkeypatch):
    with tempfile.TemporaryDirectory(prefix="postern-token-") as folder:    # which every user may enter, unlike pytest's own
        yield Token(pathlib.Path(folder), monkeypatch)


@pytest.fixture(scope="module")
def store():
    with liars.Fake(liars.ImapStore(None)) as fake:
        yield fake


@pytest.fixture
def pair(authority, tmp_path):
    """pair(kind, name): a certificate, its key in a file."""
    return lambda kind, name="localhost": certificates.make_certificate(str(tmp_path / kind), authority, (name, "127.0.0.1"), key=kind)


@pytest.fixture
def front(launch_once, store, token):
    """front(certificates...): a Postern with the token behind it."""
    def make(*chosen, workers=1, **settings):
        port = ports.free_port()
        top = "status: { port = %d; };" % port + (' user = "nobody";' if os.geteuid() == 0 else "")
        one = launch_once(imap=store.port, certificate=list(chosen), workers=workers, listeners=[Listener("imap", "implicit")],
                          tls=token.options(), top=top, **settings)
        one.status_port = port
        return one
    return make


class Half:
    """A client whose handshake has begun, and does not go on as long as the token does not answer."""

    def __init__(self, one, context):
        raw = socket.create_connection(("127.0.0.1", one.port("imap", "implicit")), timeout=20)
        self.tls = context.wrap_socket(raw, server_hostname="localhost", do_handshake_on_connect=False)
        self.tls.setblocking(False)
        with pytest.raises(ssl.SSLWantReadError):
            self.tls.do_handshake()
        self.tls.settimeout(20)

    def finish(self):
        """Whether it goes well."""
        with self.tls:
            try:
                self.tls.do_handshake()
            except (ssl.SSLError, ConnectionError):
                return False
            return True


def wait_for_handshakes(one, count, wire):
    """Until so many have begun; behind that, an answer of the one worker means that it has asked the token for all of them."""
    state = 'postern_sessions{protocol="imap",state="handshake"}'
    wait_for(lambda: status.metrics(one.status_port)[state] == count, "handshakes that wait")
    assert wire.imap("a NOOP").startswith("a OK")


def login(one, context):
    with clients.enter(one.port("imap", "implicit"), "imap", "implicit", context, "alice", "any") as wire:
        return wire.imap("a NOOP").startswith("a OK")


@pytest.mark.parametrize("kind", ["ec", "rsa"])
def test_a_login_with_each_kind_of_key(front, token, pair, context, old_context, kind):
    one = front(token.take(pair(kind), kind, 1), workers=2)
    assert "its only key is in a token" in one.log()
    for _ in range(4):
        assert login(one, context)
    assert not shake(one, old_context)
    assert one.wait_event("refused", reason="no_common_certificate")


def test_a_client_of_tls_1_2_gets_the_certificate_whose_key_is_in_a_file(front, token, pair, context, old_context):
    one = front(token.take(pair("ec"), "mail", 1), pair("rsa"))
    assert "its only key" not in one.log()
    kinds = []
    for chosen in (context, old_context):
        with clients.Wire(one.port("imap", "implicit"), tls=chosen) as wire:
            text = subprocess.run(["openssl", "x509", "-inform", "DER", "-noout", "-text"], input=wire.socket.getpeercert(True),
                                  capture_output=True, check=True).stdout
            kinds.append(b"id-ecPublicKey" in text)
    assert kinds == [True, False]


@AS_ROOT
@UNWRAPPED
@pytest.mark.parametrize("kind", ["ec", "rsa"])
def test_no_other_process_has_the_key_or_the_pin(front, token, pair, context, kind):
    made = pair(kind)
    needles = {**secrets_of(made.key), "the PIN": PIN.encode()}
    one = front(token.take(made, kind, 1))
    assert login(one, context) and login(one, context)
    assert "the PIN" in holds(one.children("token")[0], needles), "the search finds nothing where there is something"
    for name in ("worker", "auth", "keeper", "monitor"):
        for pid in one.children(name):
            assert not holds(pid, needles), name


@UNWRAPPED
def test_while_a_token_is_slow_nobody_else_waits(front, token, pair, context):
    one = front(token.take(pair("ec"), "mail", 1))
    slow = one.children("token")[0]
    with clients.enter(one.port("imap", "implicit"), "imap", "implicit", context, "alice", "any") as wire:
        os.kill(slow, signal.SIGSTOP)
        wait_for(lambda: stands_still(slow), "a token that does not answer")
        waiting = [Half(one, context) for _ in range(3)]
        wait_for_handshakes(one, 3, wire)
        for _ in range(20):
            assert wire.imap("a NOOP").startswith("a OK")
        os.kill(slow, signal.SIGCONT)
        assert all([half.finish() for half in waiting])
        assert wire.imap("a NOOP").startswith("a OK")


@UNWRAPPED
def test_a_handshake_that_waits_ends_in_time_and_a_late_answer_does_no_harm(front, token, pair, context):
    one = front(token.take(pair("ec"), "mail", 1), limits={"handshake_timeout": 1})
    slow = one.children("token")[0]
    os.kill(slow, signal.SIGSTOP)
    wait_for(lambda: stands_still(slow), "a token that does not answer")
    assert not shake(one, context)
    assert one.wait_event("session_end", reason="handshake_timeout")
    os.kill(slow, signal.SIGCONT)
    wait_for(lambda: shake(one, context), "a handshake again")
    assert one.children("token") == [slow]


@UNWRAPPED
def test_the_process_dies_and_comes_back(front, token, pair, context):
    one = front(token.take(pair("ec"), "mail", 1))
    first = one.children("token")[0]
    with clients.enter(one.port("imap", "implicit"), "imap", "implicit", context, "alice", "any") as wire:
        os.kill(first, signal.SIGSTOP)
        wait_for(lambda: stands_still(first), "a token that does not answer")
        half = Half(one, context)
        wait_for_handshakes(one, 1, wire)
        os.kill(first, signal.SIGKILL)
        one.wait_event("child_died", kind="token", pid=first)
        assert not half.finish()
        assert one.wait_event("refused", reason="token")
        wait_for(lambda: shake(one, context), "a handshake again")
        assert wire.imap("a NOOP").startswith("a OK")
    assert one.children("token") != [first]


def refused(front):
    """The log of a Postern that must not start with what `front` was to start it with."""
    with pytest.raises(Exception, match="it ended before event ready") as caught:
        front()
    return str(caught.value)


@pytest.mark.parametrize("what, why", [
    ("object=another", "the token has no such private key of ECDSA"),
    ("object=strange", "the key in the token does not belong to the certificate"),
    ("object=mail;serial=0", "there is no such token"),
])
def test_a_key_that_is_not_there_ends_the_start(front, token, pair, what, why):
    made = token.take(pair("ec"), "mail", 1)
    token.take(pair("ec", "another.test"), "strange", 2)
    named = certificates.Certificate(made.chain, "pkcs11:" + what, made.names)
    assert f'postern.conf:5: error: "key": pkcs11:{what}: {why}' in refused(lambda: front(named))


def test_a_wrong_pin_ends_the_start(front, token, pair):
    made = token.take(pair("ec"), "mail", 1)
    (token.folder / "pin").write_text("not" + PIN)
    text = refused(lambda: front(made))
    assert "the token does not let us log in: the PIN is wrong" in text
    assert "not" + PIN not in text


def test_the_check_asks_nothing_of_a_token(front, token, pair):
    one = front(token.take(pair("ec"), "mail", 1))
    text = pathlib.Path(one.path).read_text()
    pathlib.Path(one.path).write_text(text.replace("object=mail", "object=never"))
    status, said = check(one.path)
    assert (status, said.splitlines()[-1]) == (0, "configuration ok")


def test_a_reload_with_a_broken_token_is_refused_and_with_another_key_works(front, token, pair, context):
    first, second = pair("ec"), pair("rsa")
    made = token.take(first, "mail", 1)
    other = token.take(second, "other", 2)
    one = front(made)
    text = pathlib.Path(one.path).read_text()
    pathlib.Path(one.path).write_text(text.replace("object=mail", "object=never"))
    one.signal(signal.SIGHUP)
    assert "no such private key" in one.wait_event("reload", line=5, level="error")["error"]
    one.wait_event("reload", message="failed; generation 1 stays in force")
    assert login(one, context)
    pathlib.Path(one.path).write_text(text.replace(made.chain, other.chain).replace(made.key, other.key))
    one.signal(signal.SIGHUP)
    one.wait_event("reload", result="done")
    assert login(one, context)
    pathlib.Path(one.path).write_text(text.replace(made.key, first.key).replace(token.options(), ""))
    one.signal(signal.SIGHUP)
    one.wait_event("reload", count=2, result="done")
    wait_for(lambda: not one.children("token"), "the end of a process that is not needed")
    assert login(one, context)
    pathlib.Path(one.path).write_text(text)
    one.signal(signal.SIGHUP)
    one.wait_event("reload", count=3, result="done")
    assert login(one, context)


def test_a_renewed_certificate_with_a_key_that_is_missing_yet(front, token, pair, authority, context, tmp_path):
    made = token.take(pair("ec"), "mail", 1)
    later = certificates.make_certificate(str(tmp_path / "later"), authority, ("localhost", "127.0.0.1"), key="ec")
    one = front(made)
    assert login(one, context)
    shutil.copy(later.chain, made.chain)
    assert "does not belong to the certificate" in one.wait_event("key_missing", line=5)["reason"]
    one.wait_event("certificate_renewed")
    wait_for(lambda: not shake(one, context), "the renewed certificate")
    token.take(later, "mail", 2)
    wait_for(lambda: shake(one, context), "the new key")


@UNWRAPPED
@pytest.mark.skipif(not shutil.which("pkcs11-tool"), reason="pkcs11-tool is not installed (opensc)")
def test_a_token_that_forgets_the_key_is_opened_anew(front, token, pair, context):
    made = pair("ec")
    one = front(token.take(made, "mail", 1))
    assert login(one, context)
    subprocess.run(["pkcs11-tool", "--module", MODULES[0], "--token-label", "front door", "--login", "--pin", PIN, "--delete-object",
                    "--type", "privkey", "--label", "mail"], check=True, capture_output=True)
    assert not shake(one, context)
    assert "a token has gone" in one.wait_event("child_failed")["message"]
    one.wait_event("key_missing")
    assert not shake(one, context)
    token.take(made, "mail", 1)
    wait_for(lambda: shake(one, context), "the key again")
    assert len(one.events("child_died", kind="token")) == 1


@UNWRAPPED
def test_a_library_that_hangs_does_not_outlive_the_supervisor(front, token, shaky, pair, context):
    one = front(token.take(pair("ec"), "mail", 1))
    family = process.descendants(one.pid)
    with clients.enter(one.port("imap", "implicit"), "imap", "implicit", context, "alice", "any") as wire:
        (shaky / "hang").touch()
        half = Half(one, context)
        wait_for_handshakes(one, 1, wire)
        one.signal(signal.SIGKILL)
        try:
            wait_for(lambda: not any(map(process.is_alive, family)), "the end of a process whose library hangs")
        finally:
            (shaky / "hang").unlink()
            one.kill()
        assert not half.finish()


@UNWRAPPED
def test_a_key_that_is_missing_is_looked_for_also_where_that_takes_long(front, token, shaky, pair, authority, context, tmp_path):
    made = token.take(pair("ec"), "mail", 1)
    later = certificates.make_certificate(str(tmp_path / "later"), authority, ("localhost", "127.0.0.1"), key="ec")
    one = front(made)
    shutil.copy(later.chain, made.chain)
    one.wait_event("key_missing")
    one.wait_event("certificate_renewed")
    (shaky / "slow").touch()
    os.kill(one.children("token")[0], signal.SIGKILL)
    one.wait_event("key_missing", count=2)
    one.wait_event("child_started", kind="token")
    token.take(later, "mail", 2)
    (shaky / "slow").unlink()
    wait_for(lambda: shake(one, context), "the new key")


def test_a_token_that_forgets_us_while_a_key_is_missing(front, token, shaky, pair, authority, context, tmp_path):
    made = token.take(pair("ec"), "mail", 1)
    later = certificates.make_certificate(str(tmp_path / "later"), authority, ("localhost", "127.0.0.1"), key="ec")
    one = front(made)
    shutil.copy(later.chain, made.chain)
    one.wait_event("key_missing")
    one.wait_event("certificate_renewed")
    (shaky / "forget").touch()
    wait_for(lambda: not (shaky / "forget").exists(), "another look into the token")
    token.take(later, "mail", 2)
    wait_for(lambda: shake(one, context), "the new key")


@AS_ROOT
@UNWRAPPED
def test_the_process_has_no_more_than_it_should(front, token, pair):
    one = front(token.take(pair("ec"), "mail", 1))
    pid = one.children("token")[0]
    found = walls.status(pid)
    assert set(found["Uid"].split()) == {str(pwd.getpwnam("nobody").pw_uid)}
    assert found["Groups"].split() == []
    assert found["NoNewPrivs"] == "1"
    assert int(found["CapEff"], 16) == int(found["CapBnd"], 16) == 0
    held = [os.readlink(f"/proc/{pid}/fd/{name}") for name in os.listdir(f"/proc/{pid}/fd")]
    assert len([name for name in held if name.startswith("socket:")]) == 2    # the supervisor's channel and the worker's
    assert not [name for name in held if "memfd" in name or name == "/dev/shm"], held
    assert one.children("keeper") and "libsofthsm2" not in pathlib.Path(f"/proc/{one.children('worker')[0]}/maps").read_text()

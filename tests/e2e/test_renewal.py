"""Certificates whose files are replaced, in each of the ways that people replace them: shown to new handshakes without a command,
while sessions go on; what does not fit is told, never shown, and looked at again."""
import os
import shutil
import signal
import ssl

import pytest

from support import certificates, clients, liars
from support.postern import Backend, Configuration, Listener, Postern
from support.wait import wait_for

HERE = ("localhost", "127.0.0.1")


@pytest.fixture(scope="module")
def store():
    with liars.Fake(liars.ImapStore({b"alice": b"right"})) as fake:
        yield fake


class Pair:
    """A chain and its key as bytes, and the leaf as clients see it."""

    def __init__(self, made):
        with open(made.chain, "rb") as chain, open(made.key, "rb") as key:
            self.chain, self.key = chain.read(), key.read()
        self.leaf = ssl.PEM_cert_to_DER_cert(self.chain.decode("ascii").partition("-----END CERTIFICATE-----\n")[0]
                                             + "-----END CERTIFICATE-----\n")


@pytest.fixture(scope="module")
def pairs(authority, tmp_path_factory):
    """Three certificates for the same name."""
    folder = str(tmp_path_factory.mktemp("pairs"))
    return [Pair(certificates.make_certificate(folder, authority, HERE)) for _ in range(3)]


@pytest.fixture(scope="module")
def other(authority, tmp_path_factory):
    """One for another name."""
    return Pair(certificates.make_certificate(str(tmp_path_factory.mktemp("other")), authority, ("other.test",)))


def put(path, data):
    """In place: whoever looks may see a part of it."""
    with open(path, "wb") as file:
        file.write(data)


def put_over(path, data):
    """Written beside it, then renamed."""
    put(str(path) + ".new", data)
    os.chmod(str(path) + ".new", 0o600)
    os.replace(str(path) + ".new", path)


def put_pair(folder, pair, chain="fullchain.pem", key="privkey.pem"):
    put(folder / key, pair.key)
    os.chmod(folder / key, 0o600)
    put(folder / chain, pair.chain)


def put_pair_over(folder, pair):
    """Nobody is likely to look between the one and the other, however busy the machine is."""
    for name, data in (("privkey.pem", pair.key), ("fullchain.pem", pair.chain)):
        put(folder / (name + ".new"), data)
        os.chmod(folder / (name + ".new"), 0o600)
    for name in ("privkey.pem", "fullchain.pem"):
        os.replace(folder / (name + ".new"), folder / name)


class House:
    def __init__(self, folder, store, context, tls, **settings):
        class Files:
            chain, key = "cert.pem", "key.pem"
        self.context = context
        configuration = Configuration(Files, [Backend("imap", store.port)], listeners=[Listener("imap", "implicit")],
                                      limits="drain_timeout = 2; failure_delay_ms = 10;", **settings)
        text = configuration.text()
        start = text.index("tls: {")
        end = text.index("\n", start)
        self.front = Postern(str(folder), text[:start] + "tls: { " + tls + " };" + text[end:], listeners=configuration.listeners)

    def leaf(self, name=None):
        """What a client is shown who asks for that name."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        with clients.reach(self.front.port("imap", "implicit"), "imap", "implicit", context, name=name) as wire:
            return wire.socket.getpeercert(True)

    def shows(self, pair, name=None):
        """An event comes a moment before the last worker has heard of it."""
        wait_for(lambda: self.leaf(name) == pair.leaf, lambda: "the new certificate\n" + self.front.log())

    def serves(self):
        """Whether a handshake goes well: a worker that has not heard of a new keeper yet fails it."""
        try:
            return self.leaf()
        except (ssl.SSLError, ConnectionError):
            return None

    def enter(self):
        wire = clients.reach(self.front.port("imap", "implicit"), "imap", "implicit", self.context)
        assert clients.log_in(wire, "imap", "alice", "right").startswith(clients.ACCEPTED["imap"])
        return wire


def works(wire):
    return wire.imap("x NOOP").split("\n")[-1].startswith("x OK")


@pytest.fixture
def house(tmp_path, store, context):
    made = []

    def make(tls, **settings):
        made.append(House(tmp_path, store, context, tls, **settings))
        made[-1].front.start()
        return made[-1]
    yield make
    for one in made:
        one.front.kill()


EXPLICIT = 'certificates = ( { chain = "fullchain.pem"; key = "privkey.pem"; } );'


@pytest.mark.parametrize("how", [put_pair, put_pair_over])
def test_a_pair_is_replaced_and_sessions_stay(house, tmp_path, pairs, how):
    put_pair(tmp_path, pairs[0])
    one = house(EXPLICIT)
    processes = one.front.children("worker") + one.front.children("keeper")
    with one.enter() as old:
        how(tmp_path, pairs[1])
        event = one.front.wait_event("certificate_renewed")
        assert event["file"].endswith("/fullchain.pem")
        assert event["names"] == "localhost" or "localhost" in event["names"].split()
        assert event["not_after"].endswith("Z")
        one.shows(pairs[1])
        assert works(old)
    assert one.front.children("worker") + one.front.children("keeper") == processes
    one.front.stop()


def test_links_that_certbot_turns(house, tmp_path, pairs):
    archive, live = tmp_path / "archive", tmp_path / "live"
    for folder in (archive / "localhost", live / "localhost"):
        folder.mkdir(parents=True)

    def turn(number, pair):
        put_pair(archive / "localhost", pair, f"fullchain{number}.pem", f"privkey{number}.pem")
        for name in ("privkey", "fullchain"):
            link = live / "localhost" / (name + ".pem")
            if link.is_symlink():
                link.unlink()
            link.symlink_to(f"../../archive/localhost/{name}{number}.pem")

    turn(1, pairs[0])
    one = house('certificates_dir = "live";')
    for number in (2, 3):
        turn(number, pairs[number - 1])
        one.front.wait_event("certificate_renewed", count=number - 1)
        one.shows(pairs[number - 1])
    put_pair(archive / "localhost", pairs[0], "fullchain3.pem", "privkey3.pem")    # what the link leads to
    one.front.wait_event("certificate_renewed", count=3)
    one.shows(pairs[0])
    one.front.stop()


def test_a_secret_that_kubernetes_updates(house, tmp_path, pairs):
    volume = tmp_path / "volume"
    volume.mkdir()

    def update(number, pair):
        (volume / f"..{number}").mkdir()
        put_pair(volume / f"..{number}", pair, "tls.crt", "tls.key")
        (volume / "..data_tmp").symlink_to(f"..{number}")
        os.replace(volume / "..data_tmp", volume / "..data")
        if number > 1:
            shutil.rmtree(volume / f"..{number - 1}")

    update(1, pairs[0])
    for name in ("tls.crt", "tls.key"):
        (volume / name).symlink_to("..data/" + name)
    one = house('certificates_dir = "volume";')
    for number in (2, 3):
        update(number, pairs[number - 1])
        one.front.wait_event("certificate_renewed", count=number - 1)
        one.shows(pairs[number - 1])
    one.front.stop()


def test_half_a_file_is_told_and_never_shown(house, tmp_path, pairs):
    put_pair(tmp_path, pairs[0])
    one = house(EXPLICIT)
    put(tmp_path / "privkey.pem", pairs[1].key)
    with open(tmp_path / "fullchain.pem", "wb", buffering=0) as file:
        file.write(pairs[1].chain[:200])
        refused = one.front.wait_event("certificate_refused")
        assert refused["file"].endswith("/fullchain.pem") and refused["why"] and refused["level"] == "error"
        assert one.leaf() == pairs[0].leaf
        file.write(pairs[1].chain[200:])
    one.front.wait_event("certificate_renewed")
    one.shows(pairs[1])
    one.front.stop()


def test_a_key_that_does_not_fit_keeps_the_pair_that_was_there(house, tmp_path, pairs):
    put_pair(tmp_path, pairs[0])
    one = house(EXPLICIT)
    put_over(tmp_path / "fullchain.pem", pairs[1].chain)
    one.front.wait_event("certificate_refused")
    assert one.leaf() == pairs[0].leaf
    os.kill(one.front.children("worker")[0], signal.SIGKILL)
    one.front.wait_event("child_started", kind="worker")
    assert one.leaf() == pairs[0].leaf
    put_over(tmp_path / "privkey.pem", pairs[1].key)
    one.front.wait_event("certificate_renewed")
    one.shows(pairs[1])
    assert len(one.front.events("certificate_refused")) == 1, "once for each state of the files"
    one.front.stop()


def test_a_folder_gains_a_name_and_loses_one(house, tmp_path, pairs, other):
    live = tmp_path / "live"
    (live / "localhost").mkdir(parents=True)
    put_pair(live / "localhost", pairs[0])
    one = house('certificates_dir = "live"; unknown_sni = "default";')
    assert one.leaf("other.test") == pairs[0].leaf
    (live / "other.test").mkdir()
    put_pair(live / "other.test", other)
    assert one.front.wait_event("certificate_renewed")["names"] == "other.test"
    one.shows(other, "other.test")
    assert one.leaf("localhost") == pairs[0].leaf
    shutil.rmtree(live / "other.test")
    assert one.front.wait_event("certificate_removed")["names"] == "other.test"
    one.shows(pairs[0], "other.test")
    one.front.stop()


def test_the_last_certificate_of_a_folder_stays_in_use_when_it_goes(house, tmp_path, pairs):
    live = tmp_path / "live"
    live.mkdir()
    put_pair(live, pairs[0], "a.pem", "a.key")
    one = house('certificates_dir = "live";')
    (live / "a.key").unlink()
    assert "no key" in one.front.wait_event("certificate_warning")["warning"]
    assert "no certificate" in one.front.wait_event("certificate_refused")["why"]
    assert one.leaf() == pairs[0].leaf
    put_pair(live, pairs[1], "a.pem", "a.key")
    one.front.wait_event("certificate_renewed")
    one.shows(pairs[1])
    one.front.stop()


@pytest.mark.parametrize("kind", ["worker", "keeper"])
def test_who_is_started_again_has_the_renewed_certificate(house, tmp_path, pairs, kind):
    put_pair(tmp_path, pairs[0])
    one = house(EXPLICIT, workers=1)
    put_pair_over(tmp_path, pairs[1])
    one.front.wait_event("certificate_renewed")
    one.shows(pairs[1])
    os.kill(one.front.children(kind)[0], signal.SIGKILL)
    one.front.wait_event("child_started", kind=kind)
    wait_for(one.serves, "a handshake")
    one.shows(pairs[1])
    one.front.stop()


def test_a_reload_and_a_renewal_do_not_disturb_each_other(house, tmp_path, pairs):
    put_pair(tmp_path, pairs[0])
    one = house(EXPLICIT)
    for number in range(1, 7):
        put_pair_over(tmp_path, pairs[number % 3])
        one.front.signal(signal.SIGHUP)
        one.front.wait_event("reload", count=number, result="done")
        one.shows(pairs[number % 3])
    assert not one.front.events("certificate_refused")
    one.front.stop()


def test_a_certificate_about_to_expire_and_a_key_for_everybody_are_told(house, tmp_path, authority, pairs):
    put_pair(tmp_path, pairs[0])
    one = house(EXPLICIT)
    event = one.front.wait_event("certificate_expires")
    assert event["level"] == "warning" and event["days"] in ("0", "1") and event["names"]
    put_pair_over(tmp_path, pairs[1])
    one.front.wait_event("certificate_renewed")
    os.chmod(tmp_path / "privkey.pem", 0o644)
    assert "everybody may read" in one.front.wait_event("certificate_warning")["warning"]
    old = Pair(certificates.make_certificate(str(tmp_path / "old"), authority, HERE, days=-1))
    put_pair_over(tmp_path, old)
    one.front.wait_event("certificate_refused")
    one.front.signal(signal.SIGHUP)     # the operator insists: an expired one is a warning then
    one.front.wait_event("reload", result="done")
    assert one.front.wait_event("certificate_expires", expired="yes")["names"]
    one.shows(old)
    one.front.stop()

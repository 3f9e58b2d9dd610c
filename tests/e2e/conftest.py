"""What the end-to-end tests share: certificates, one Dovecot and one submission server for all, and Posterns before them.

`launch` starts a Postern for a module; everything started is stopped again, and when a test fails the log of every
running Postern is shown with it.
"""
import os
import pathlib
import shutil
import ssl
import sys
import tempfile

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from support import certificates, clients, events_seen, liars, ports, stores  # noqa: E402
from support.postern import MODES, PROTOCOLS, Backend, Configuration, Postern, all_listeners  # noqa: E402

__all__ = ("HOSTS", "MASTER", "MODES", "ODD_USERS", "PROTOCOLS", "USERS")
HOSTS = ("127.0.0.1", "::1") if ports.has_ipv6() else ("127.0.0.1",)

USERS = {name: "secret-of-" + name for name in ("alice", "bob", "carol", "dave", "large")}

# Names and passwords that tempt a front-end to misquote them.
ODD_USERS = {
    'quo"te': 'pass"word',
    "back\\slash": "pass\\word\\",
    "two words": " leading and  double blanks ",
    "gr\u00fc\u00dfe": "p\u00e4ss-\u65e5\u672c",
    "per%cent{5}": "{3}",
    "star*": "*",
    "paren(s)": ") NIL (",
}

MASTER = "Geheim-des-Meisters-2"    # password of the master user "postern"

_running = []    # Posterns, for the report of a failure
_skipped = []    # tests that this machine or user cannot run
_WHOLE = pytest.StashKey()    # whether every test is run


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config, items):
    here = pathlib.Path(__file__).parent
    chosen = {item.path for item in items}
    config.stash[_WHOLE] = (chosen == set(here.glob("test_*.py")) and not config.option.keyword
                            and not config.option.markexpr and not any("::" in argument for argument in config.args))


def pytest_sessionfinish(session):
    """Several processes share the tests; what each has seen in logs is compared with the README when all have ended (events_seen.py)."""
    folder = os.environ.get("POSTERN_SEEN")
    if folder and _WHOLE in session.config.stash:
        events_seen.write(folder, session.config.stash[_WHOLE], bool(_skipped))


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    report = (yield).get_result()
    if report.skipped:
        _skipped.append(item)
    if report.failed:
        for front in _running:
            report.sections.append(("log of the Postern in " + front.folder, front.log()[-12000:]))


@pytest.fixture(scope="session")
def authority(tmp_path_factory):
    return certificates.make_ca(str(tmp_path_factory.mktemp("ca")))


@pytest.fixture(scope="session")
def certificate(authority, tmp_path_factory):
    return certificates.make_certificate(str(tmp_path_factory.mktemp("certificate")), authority,
                                         ("localhost", "127.0.0.1", "::1"))


@pytest.fixture(scope="session")
def context(authority):
    """What a client trusts."""
    return clients.tls_context(authority.certificate)


@pytest.fixture(scope="session")
def old_context(authority):
    """The same, TLS 1.2 and no other."""
    return clients.tls_context(authority.certificate, ssl.TLSVersion.TLSv1_2)


@pytest.fixture(scope="session")
def _stores(certificate):
    dovecot, submission = stores.start_stores(users={**USERS, **ODD_USERS}, certificate=certificate)
    yield dovecot, submission
    submission.stop()
    dovecot.stop()


@pytest.fixture(scope="session")
def dovecot(_stores):
    return _stores[0]


@pytest.fixture(scope="session")
def postfix(_stores):
    """The submission server: Postfix, or a stand-in where it cannot run."""
    return _stores[1]


@pytest.fixture(scope="session")
def public():
    """A folder that the users of the stores and of Postern may enter."""
    made = tempfile.mkdtemp(prefix="public-")
    os.chmod(made, 0o755)
    yield made
    shutil.rmtree(made)


@pytest.fixture(scope="session")
def master_dovecot(public):
    """Knows no user's password, and lets the master user in as anybody; believes Postern."""
    with stores.Dovecot(users={}, trusted="127.0.0.1", settings=stores.masters(os.path.join(public, "masters"), MASTER)) as one:
        yield one


@pytest.fixture(scope="session")
def master_postfix(master_dovecot):
    """Takes the master user by way of that Dovecot, and Postern's word for a user."""
    if not stores.is_root() or not stores.program("postfix"):
        pytest.skip("Postfix cannot run here")
    with stores.Postfix(dovecot=master_dovecot, xclient="127.0.0.1") as one:
        yield one


@pytest.fixture(scope="module")
def fakes():
    """Ports by protocol of stores that let everybody in; some modules have others under this name."""
    with liars.Fake(liars.ImapStore(None)) as imap, liars.Fake(liars.Pop3Store(None)) as pop3, \
            liars.Fake(liars.SubmissionStore(None)) as submission:
        yield {"imap": imap.port, "pop3": pop3.port, "submission": submission.port}


def _launcher(tmp_path_factory, certificate):
    started = []

    def launch(limits=None, hosts=("127.0.0.1",), listeners=None, certificate=certificate, **settings):
        """Backends by protocol, each a port or a Backend; limits as a dictionary; the rest for Configuration."""
        backends = []
        for protocol in PROTOCOLS:
            store = settings.pop(protocol, None)
            if store is not None:
                backends.append(store if isinstance(store, Backend) else Backend(protocol, store))
        listeners = listeners or [one for one in all_listeners(hosts) if one.protocol in [b.protocol for b in backends]]
        text = " ".join("%s = %s;" % (key, value) for key, value in {"drain_timeout": 2, **(limits or {})}.items())
        front = Postern(str(tmp_path_factory.mktemp("postern")),
                        Configuration(certificate, backends, listeners=listeners, limits=text, **settings))
        started.append(front)
        _running.append(front)
        return front.start()

    def stop_all():
        try:
            for front in started:
                front.stop()
        finally:
            for front in started:
                front.kill()
                _running.remove(front)
    return launch, stop_all


@pytest.fixture(scope="module")
def launch(tmp_path_factory, certificate):
    """launch(imap=..., pop3=..., submission=..., limits=...): a Postern for the rest of the module."""
    start, stop_all = _launcher(tmp_path_factory, certificate)
    yield start
    stop_all()


@pytest.fixture
def launch_once(tmp_path_factory, certificate):
    """The same for one test alone."""
    start, stop_all = _launcher(tmp_path_factory, certificate)
    yield start
    stop_all()


@pytest.fixture(scope="session")
def real(tmp_path_factory, certificate, dovecot, postfix):
    """One Postern before the real stores, for all tests that leave it as it was."""
    start, stop_all = _launcher(tmp_path_factory, certificate)
    yield start(imap=dovecot.imap_port, pop3=dovecot.pop3_port, submission=postfix.port, hosts=HOSTS,
                limits={"failure_delay_ms": 10, "failure_delay_max_ms": 20})
    stop_all()

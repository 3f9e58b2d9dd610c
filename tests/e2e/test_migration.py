"""The pages of README.md for those who come from another front-end: their configuration and ours, read from that page, run
before the same stores by the same client program; the outcome is the same, and where ours is stricter it shows."""
import contextlib
import imaplib
import os
import pathlib
import poplib
import re
import shutil
import signal
import smtplib
import sqlite3
import ssl
import subprocess
import tempfile
import uuid
from concurrent.futures import ThreadPoolExecutor
from email.message import EmailMessage

import pytest

from conftest import MODES, PROTOCOLS, USERS
from support import clients, peers, ports, stores
from support.postern import ROOT, Listener, Postern, check, command
from support.wait import wait_for

USER = "dave"
HOST = "127.0.0.1"


def page(name):
    """The code block of README.md behind that mark."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    found = re.findall(r"<!-- migration: %s -->\n```\n(.*?)```\n" % re.escape(name), text, re.DOTALL)
    assert len(found) == 1, f"{len(found)} blocks {name}"
    return found[0]


def filled(text, values):
    """The text with each of these replaced; each has to be there."""
    for old, new in values.items():
        assert old in text, f"{old} is not in\n{text}"
        text = text.replace(old, str(new))
    return text


PASSDB = r"^passdb \{.*?^\}\n"


def replaced(text, pattern, other):
    """The text with the one part of that pattern exchanged."""
    text, count = re.subn(pattern, lambda _: other, text, flags=re.DOTALL | re.MULTILINE)
    assert count == 1
    return text


# ---- the client program

class Client:
    """What a user's mail program does at one set of ports: logs in, submits, fetches by IMAP, fetches and deletes by POP3."""

    def __init__(self, where, context, password=USERS[USER]):
        self.where, self.context, self.password = where, context, password

    def submission(self, mode):
        port = self.where["submission", mode]
        if mode == "implicit":
            return smtplib.SMTP_SSL(HOST, port, context=self.context, timeout=clients.DEADLINE)
        smtp = smtplib.SMTP(HOST, port, timeout=clients.DEADLINE)
        smtp.starttls(context=self.context)
        return smtp

    def imap(self, mode):
        port = self.where["imap", mode]
        if mode == "implicit":
            return imaplib.IMAP4_SSL(HOST, port, ssl_context=self.context, timeout=clients.DEADLINE)
        imap = imaplib.IMAP4(HOST, port, timeout=clients.DEADLINE)
        imap.starttls(self.context)
        return imap

    def pop3(self, mode):
        port = self.where["pop3", mode]
        if mode == "implicit":
            return poplib.POP3_SSL(HOST, port, context=self.context, timeout=clients.DEADLINE)
        pop3 = poplib.POP3(HOST, port, timeout=clients.DEADLINE)
        pop3.stls(self.context)
        return pop3

    def wrong_password(self, protocol, mode):
        """How a login with a wrong password ends."""
        with clients.reach(self.where[protocol, mode], protocol, mode, self.context) as wire:
            answer = clients.log_in(wire, protocol, USER, "wrong")
        refused = {"submission": "535 5.7.8 ", "imap": "l NO ", "pop3": "-ERR "}[protocol]
        return "refused" if answer.startswith(refused) else answer

    def submit(self, mode, subject):
        """Sends a message; returns the extensions that were shown before the login."""
        message = EmailMessage()
        message["From"], message["To"], message["Subject"] = f"{USER}@example.test", f"{USER}@example.test", subject
        message.set_content(f"This is {subject}.\n.\n..dots\n")
        with self.submission(mode) as smtp:
            smtp.ehlo("client.example.test")
            shown = dict(smtp.esmtp_features)
            smtp.login(USER, self.password)
            assert smtp.send_message(message) == {}
        return {name: shown.get(name) for name in ("size", "8bitmime", "dsn", "auth")}

    def fetch(self, mode, subject):
        """The text of that message, by IMAP."""
        imap = self.imap(mode)
        try:
            imap.login(USER, self.password)
            imap.select("INBOX")
            found = imap.search(None, "SUBJECT", subject)[1][0].split()
            assert len(found) == 1, found
            return imap.fetch(found[0].decode(), "(BODY.PEEK[TEXT])")[1][0][1]
        finally:
            imap.logout()

    def collect(self, mode, subject):
        """The text of that message, by POP3; it is deleted."""
        pop3 = self.pop3(mode)
        pop3.user(USER)
        pop3.pass_(self.password)
        for number in range(pop3.stat()[0], 0, -1):
            lines = pop3.retr(number)[1]
            if f"Subject: {subject}".encode() in lines:
                pop3.dele(number)
                pop3.quit()
                return b"\r\n".join(lines[lines.index(b"") + 1:]) + b"\r\n"
        raise AssertionError(f"no message {subject}")

    def day(self, dovecot):
        """All of that in both TLS modes: what the client saw, as plain values to compare."""
        pairs = [(protocol, mode) for protocol in PROTOCOLS for mode in MODES]
        with ThreadPoolExecutor(len(pairs)) as pool:
            seen = dict(zip(pairs, pool.map(lambda pair: self.wrong_password(*pair), pairs)))
        for mode in MODES:
            subject = uuid.uuid4().hex
            seen["shown", mode] = self.submit(mode, subject)
            dovecot.wait_message(USER, subject.encode())
            for way in (self.fetch, self.collect):
                seen[way.__name__, mode] = way(mode, subject).replace(subject.encode(), b"SUBJECT")
            assert not any(subject.encode() in text for text in dovecot.messages(USER)), "POP3 has not deleted it"
        return seen


# ---- both sides

@pytest.fixture(scope="module")
def vault():
    """A folder for secrets, which those may enter whom they are given to."""
    folder = tempfile.mkdtemp(prefix="migration-")
    os.chmod(folder, 0o755)
    yield pathlib.Path(folder)
    shutil.rmtree(folder)


def keep(path, text, user=None):
    """Writes what only that user may read."""
    path.write_text(text)
    path.chmod(0o600)
    if user:
        shutil.chown(path, user)
    return path


@pytest.fixture(scope="module")
def dovecot(vault, certificate):
    """A Dovecot that has a master user."""
    if not (stores.is_root() and stores.program("postfix")):
        pytest.skip("Postfix runs only for root")
    masters = keep(vault / "masters", "postern:{PLAIN}secret\n", "dovecot")
    settings = f"passdb {{\n  driver = passwd-file\n  args = {masters}\n  master = yes\n}}\n"
    with stores.Dovecot(users=USERS, certificate=certificate, settings=settings) as server:
        yield server


@pytest.fixture(scope="module")
def store(dovecot, certificate):
    """A submission server that takes the client's address from its front-end's XCLIENT, as those before it expect."""
    with stores.Postfix(None, dovecot, certificate, xclient=HOST) as postfix:
        yield postfix


def new_ports():
    return {pair: ports.free_port() for pair in peers.STANDARD_PORTS}


def at_ports(text, where):
    """The configuration of a page, for ports of loopback."""
    text = filled(text, {'address = "0.0.0.0"': f'address = "{HOST}"'})
    return filled(text, {f'port = {port}; tls = "{pair[1]}"': f'port = {where[pair]}; tls = "{pair[1]}"'
                         for pair, port in peers.STANDARD_PORTS.items()})


@contextlib.contextmanager
def postern(text, folder, where=None):
    """A Postern with the page's configuration, checked first."""
    front = Postern(str(folder), at_ports(text, where or dict.fromkeys(peers.STANDARD_PORTS, 0)),
                    [Listener(*pair) for pair in peers.STANDARD_PORTS])
    assert check(front.path) == (0, "configuration ok\n")
    with front.start():
        yield front


def reached(front):
    return {pair: front.port(*pair) for pair in peers.STANDARD_PORTS}


@pytest.fixture(scope="module")
def nginx(dovecot, store, certificate):
    if not stores.program("nginx"):
        pytest.skip("nginx is not installed")
    with peers.AuthHttp({"imap": dovecot.imap_port, "pop3": dovecot.pop3_port, "smtp": store.port}) as asked:
        text = filled(page("nginx theirs"), {
            "127.0.0.1:9000": f"{HOST}:{asked.port}", "/run/nginx.pid": "FOLDER/nginx.pid",
            "/var/log/nginx/mail.log": "FOLDER/nginx.log", "/etc/ssl/mail/cert.pem": certificate.chain,
            "/etc/ssl/mail/key.pem": certificate.key})
        with peers.Nginx(text, new_ports()) as server:
            yield server


@pytest.fixture(scope="module")
def nginx_ours(dovecot, store, certificate):
    return filled(page("nginx ours"), {
        "/etc/ssl/mail/cert.pem": certificate.chain, "/etc/ssl/mail/key.pem": certificate.key, "port = 10143": f"port = {dovecot.imap_port}",
        "port = 10110": f"port = {dovecot.pop3_port}", "port = 10587": f"port = {store.port}"})


@pytest.fixture(scope="module")
def after_nginx(nginx_ours, tmp_path_factory):
    with postern(nginx_ours, tmp_path_factory.mktemp("ours")) as front:
        yield front


@pytest.fixture(scope="module")
def proxied(dovecot, store, certificate, authority):
    """What is filled into the blocks of that page."""
    return {"/etc/ssl/mail/cert.pem": certificate.chain, "/etc/ssl/mail/key.pem": certificate.key,
            "/etc/ssl/mail/store-ca.pem": authority.certificate, "192.0.2.10": HOST,
            "10143": dovecot.imap_port, "10110": dovecot.pop3_port, "10587": store.port}


@pytest.fixture(scope="module")
def proxy(proxied):
    with peers.DovecotProxy(filled(page("dovecot theirs"), proxied), new_ports()) as server:
        yield server


@pytest.fixture(scope="module")
def proxy_ours(proxied):
    return filled(page("dovecot ours"), proxied)


@pytest.fixture(scope="module")
def after_proxy(proxy_ours, tmp_path_factory):
    with postern(proxy_ours, tmp_path_factory.mktemp("ours")) as front:
        yield front


@pytest.fixture(scope="module")
def database(tmp_path_factory):
    """Who is at which store, as the query of the page expects it."""
    path = tmp_path_factory.mktemp("sql") / "users.db"
    with contextlib.closing(sqlite3.connect(path)) as users, users:
        users.execute("CREATE TABLE users (name TEXT, host TEXT)")
        users.executemany("INSERT INTO users VALUES (?, ?)", [(name, HOST) for name in USERS])
    path.parent.chmod(0o755)
    return path


@pytest.fixture(scope="module")
def sql_proxy(proxied, database):
    query = filled(page("dovecot sql"), {"/etc/dovecot/users.db": database,
                                         **{port: real for port, real in proxied.items() if port.isdigit()}})
    theirs = replaced(filled(page("dovecot theirs"), proxied), PASSDB, "passdb {\n  driver = sql\n  args = FOLDER/sql.conf\n}\n")
    with peers.DovecotProxy(theirs, new_ports(), files={"sql.conf": query}) as server:
        yield server


@pytest.fixture(scope="module", params=("nginx", "proxy"))
def both(request):
    """Ports of theirs, and ours in its place."""
    return request.getfixturevalue(request.param).ports, request.getfixturevalue("after_" + request.param)


def expected(dsn):
    """What a day looks like; `dsn`: whether that extension is shown."""
    seen = {(protocol, mode): "refused" for protocol in PROTOCOLS for mode in MODES}
    for mode in MODES:
        seen["shown", mode] = {"size": "52428800", "8bitmime": "", "dsn": "" if dsn else None, "auth": " PLAIN LOGIN"}
        seen["fetch", mode] = seen["collect", mode] = b"This is SUBJECT.\r\n.\r\n..dots\r\n"
    return seen


def test_the_day_of_a_user_is_the_same(both, dovecot, context, request):
    where, front = both
    outcome = expected(dsn="nginx" in request.node.name)
    assert Client(where, context).day(dovecot) == outcome
    assert Client(reached(front), context).day(dovecot) == outcome


def test_one_line_tells_each_session(both, context):
    front = both[1]
    for protocol in PROTOCOLS:
        with clients.enter(front.port(protocol, "implicit"), protocol, "implicit", context, USER, USERS[USER]) as wire:
            wire.reply(protocol, "z LOGOUT" if protocol == "imap" else "QUIT")
            place = "%s:%d" % wire.socket.getsockname()
        assert front.wait_event("session_end", client=place)["user"] == USER


def test_where_the_user_is_told_by_sql(sql_proxy, dovecot, context):
    assert Client(sql_proxy.ports, context).day(dovecot) == expected(dsn=False)


def test_the_store_of_submission_is_told_where_the_client_is(both, store, context):
    for ports_of, address in ((both[0], "127.0.0.7"), (reached(both[1]), "127.0.0.8")):
        count = store.log().count(f"client=unknown[{address}]")
        with clients.enter(ports_of["submission", "implicit"], "submission", "implicit", context, USER, USERS[USER],
                           source=address) as wire:
            assert wire.smtp(f"MAIL FROM:<{USER}@example.test>").startswith("250 ")
            assert wire.smtp(f"RCPT TO:<{USER}@example.test>").startswith("250 ")
            wait_for(lambda: store.log().count(f"client=unknown[{address}]") > count, lambda: f"{address} in\n{store.log()}")


# ---- the proxy decides, and is a master user at the store

OWN = "known-to-the-front-end-alone"


def test_where_the_proxy_decides_theirs(proxied, vault, dovecot, context):
    users = keep(vault / "users", "%s:{PLAIN}%s\n" % (USER, OWN), "dovecot")
    text = replaced(page("dovecot theirs"), PASSDB, page("dovecot master theirs"))
    with peers.DovecotProxy(filled(text, {**proxied, "/etc/dovecot/users": users}), new_ports()) as theirs:
        assert Client(theirs.ports, context, OWN).day(dovecot) == expected(dsn=False)


def test_where_the_proxy_decides_ours(proxied, vault, dovecot, context, tmp_path):
    if not stores.program("saslpasswd2"):
        pytest.skip("sasl2-bin is not installed")
    users, secret = vault / "users.db", keep(vault / "master.secret", "secret\n")
    subprocess.run([stores.program("saslpasswd2"), "-p", "-c", "-u", "mail.example.test", "-f", users, USER], check=True,
                   input=OWN.encode())
    shutil.chown(users, "nobody")
    text = replaced(page("dovecot ours"), r"^auth: .*?^\);\n", page("dovecot master ours"))
    text = filled(text, {**proxied, "/etc/postern/users.db": users, "/etc/postern/master.secret": secret})
    with postern('user = "nobody";\n' + text, tmp_path) as front:
        assert Client(reached(front), context, OWN).day(dovecot) == expected(dsn=False)


# ---- where ours is stricter

EXPOSED = {"submission": "538 5.7.11 ", "imap": "l NO [PRIVACYREQUIRED] ", "pop3": "-ERR [AUTH] "}


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_they_take_a_password_in_clear_text_and_ours_does_not(both, protocol):
    where, front = both
    answers = []
    for port in (where[protocol, "starttls"], front.port(protocol, "starttls")):
        with clients.Wire(port) as wire:
            wire.reply(protocol)
            if protocol == "submission":
                wire.smtp("EHLO client.example.test")
            answers.append(clients.log_in(wire, protocol, USER, USERS[USER]))
    assert answers[0].startswith(clients.ACCEPTED[protocol])
    assert answers[1].startswith(EXPOSED[protocol])
    if protocol != "pop3":    # there USER is refused already: no password was sent
        front.wait_event("password_exposed", protocol=protocol)


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1 is deprecated")
def test_they_speak_tls_1_1_and_ours_does_not(both, authority):
    where, front = both
    old = ssl.create_default_context(cafile=authority.certificate)
    old.set_ciphers("DEFAULT:@SECLEVEL=0")
    old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1
    with clients.Wire(where["imap", "implicit"], tls=old) as wire:
        assert wire.socket.version() == "TLSv1.1"
    with pytest.raises(ssl.SSLError):
        clients.Wire(front.port("imap", "implicit"), tls=old)
    front.wait_event("refused", reason="tls_version")


def test_behind_them_a_user_may_say_that_he_comes_from_elsewhere(both, context):
    where, front = both
    answers = []
    for ports_of in (where, reached(front)):
        with clients.enter(ports_of["submission", "implicit"], "submission", "implicit", context, USER, USERS[USER]) as wire:
            answers.append(wire.smtp("XCLIENT ADDR=192.0.2.99"))
    assert answers[0].startswith("220 ")
    assert answers[1].startswith("5")


def test_behind_them_a_bare_line_feed_gets_through(both, context):
    where, front = both
    answers = []
    for ports_of in (where, reached(front)):
        with clients.enter(ports_of["submission", "implicit"], "submission", "implicit", context, USER, USERS[USER]) as wire:
            for command in (f"MAIL FROM:<{USER}@example.test>", f"RCPT TO:<{USER}@example.test>", "DATA"):
                assert wire.smtp(command)[0] in "23"
            answers.append(wire.smtp("Subject: bare\r\n\r\none\ntwo\r\n."))
    assert answers[0].startswith("250 ")
    assert answers[1].startswith("550 5.6.11 ")


def test_a_wrong_password_ends_a_session_of_nginx_and_none_of_ours(nginx, after_nginx, context):
    for where, second in ((nginx.ports, ""), (reached(after_nginx), "235 ")):
        with clients.reach(where["submission", "implicit"], "submission", "implicit", context) as wire:
            assert clients.log_in(wire, "submission", USER, "wrong").startswith("535 ")
            if second:
                assert clients.log_in(wire, "submission", USER, USERS[USER]).startswith(second)
            else:
                assert wire.rest() == ""


# ---- the tables of names

def rows(name):
    """The two columns of a table of the README, without its head."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    table = text.partition(f"<!-- migration: {name} names -->\n")[2].partition("\n\n")[0]
    found = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.split("\n")[2:]]
    assert len(found) > 20 and all(len(cells) == 2 for cells in found)
    return found


@pytest.mark.parametrize("name, programs", (
    ("nginx", ("sbin/nginx", "lib/nginx/modules/ngx_mail_module.so")),
    ("dovecot", ("sbin/dovecot", "bin/doveconf", "bin/doveadm", "lib/dovecot/auth", "lib/dovecot/*-login", "lib/dovecot/*.so*"))),
    ids=("nginx", "dovecot"))
def test_the_names_on_the_left_are_known_to_them(name, programs):
    text = b"".join(path.read_bytes() for pattern in programs for path in pathlib.Path("/usr").glob(pattern))
    if not text:
        pytest.skip(f"{name} is not installed")
    told = {word for cells in rows(name) for span in re.findall("`(.*?)`", cells[0]) for word in re.findall("[a-z][a-z_-]{2,}", span)}
    assert not {word for word in told if word.encode() not in text}


@pytest.mark.parametrize("name", ("nginx", "dovecot"))
def test_the_names_on_the_right_are_ours(name):
    shown = subprocess.run(command("--options"), capture_output=True, text=True, check=True, timeout=60).stdout
    options = {cells[0]: " ".join(cells[1:3]) for cells in re.findall(r"^\| `(.*?)` \| (.*?) \| (.*?) \|", shown, re.MULTILINE)}
    for span in (span for cells in rows(name) for span in re.findall("`(.*?)`", cells[1]) if not span.startswith("postern ")):
        option, _, value = span.partition(" = ")
        assert option in options, span
        assert not value or f"`{value.strip(chr(34))}`" in options[option], span


# ---- switching over, and back

def hold(where, context):
    """A session that stays logged in."""
    return clients.enter(where["imap", "implicit"], "imap", "implicit", context, USER, USERS[USER])


def visit(where, context):
    """A short session."""
    with hold(where, context) as wire:
        wire.imap("z LOGOUT")


def assert_alive(wire):
    assert wire.imap("n NOOP").startswith("n OK")
    wire.close()


def change(front, text):
    """A reload with this configuration; returns once it is done."""
    count = len(front.events("reload", result="done"))
    front.configure(text)
    front.signal(signal.SIGHUP)
    front.wait_event("reload", count + 1, result="done")


@pytest.mark.parametrize("name", ("nginx", "proxy"))
def test_the_ports_are_swapped_and_swapped_back_without_ending_a_session(request, name, tmp_path, context):
    theirs, text = request.getfixturevalue(name), request.getfixturevalue(name + "_ours")
    public, other, beside = theirs.ports, new_ports(), new_ports()
    with postern(text, tmp_path, beside) as front:
        visit(beside, context)
        old = hold(public, context)

        front.configure(at_ports(text, public))
        front.signal(signal.SIGHUP)
        front.wait_event("reload", level="error")    # the addresses are still in use, and nothing has changed
        visit(beside, context)
        theirs.move(other)
        change(front, at_ports(text, public))
        visit(public, context)
        visit(other, context)
        assert_alive(old)
        listener = f"{HOST}:{public['imap', 'implicit']}"
        front.wait_event("session_end", listener=listener, user=USER)
        old = hold(public, context)

        change(front, at_ports(text, beside))
        theirs.move(public)
        visit(public, context)
        assert_alive(old)
        front.wait_event("session_end", 2, listener=listener, user=USER)

"""The clients that people use, through Postern to a real Dovecot and a real Postfix, and back."""
import email
import imaplib
import poplib
import smtplib
import ssl
import uuid

import pytest

from conftest import HOSTS, MODES, USERS
from support import clients
from support.wait import wait_for


def mail(subject, sender="alice@example.test", recipient="bob@example.test", body="The body.\r\n"):
    return ("From: %s\r\nTo: %s\r\nSubject: %s\r\nDate: Sat, 21 Nov 2026 20:00:00 +0000\r\n"
            "Message-ID: <%s@example.test>\r\n\r\n%s"
            % (sender, recipient, subject, uuid.uuid4(), body))


def subject():
    return "test-" + uuid.uuid4().hex


def imap_session(front, mode, host, context):
    port = front.port("imap", mode, host)
    if mode == "implicit":
        return imaplib.IMAP4_SSL(host, port, ssl_context=context, timeout=20)
    session = imaplib.IMAP4(host, port, timeout=20)
    session.starttls(context)
    return session


def pop3_session(front, mode, host, context):
    port = front.port("pop3", mode, host)
    if mode == "implicit":
        return poplib.POP3_SSL(host, port, context=context, timeout=20)
    session = poplib.POP3(host, port, timeout=20)
    session.stls(context)
    return session


def smtp_session(front, mode, host, context):
    port = front.port("submission", mode, host)
    if mode == "implicit":
        return smtplib.SMTP_SSL(host, port, context=context, timeout=20)
    session = smtplib.SMTP(host, port, timeout=20)
    session.starttls(context=context)
    return session


def submit(front, mode, host, context, user, message, recipient):
    with smtp_session(front, mode, host, context) as session:
        session.login(user, USERS[user])
        session.sendmail(user + "@example.test", [recipient + "@example.test"], message)


def find_by_imap(front, mode, host, context, user, wanted):
    """The message with that subject, once it has been delivered."""
    session = imap_session(front, mode, host, context)
    session.login(user, USERS[user])
    session.select()

    def fetch():
        session.noop()
        _, found = session.search(None, "SUBJECT", wanted)
        return found[0] and session.fetch(found[0].split()[0], "(RFC822)")[1][0][1]

    message = wait_for(fetch, "the mail %s in the box of %s" % (wanted, user))
    session.logout()
    return message


def find_by_pop3(front, mode, host, context, user, wanted):
    session = pop3_session(front, mode, host, context)
    session.user(user)
    session.pass_(USERS[user])
    found = None
    for number in range(1, len(session.list()[1]) + 1):
        lines = session.retr(number)[1]
        if ("Subject: " + wanted).encode() in lines:
            found = b"\r\n".join(lines) + b"\r\n"
    session.quit()
    return found


@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.parametrize("mode", MODES)
def test_mail_submitted_by_python_is_the_mail_read_by_imap_and_pop3(real, context, mode, host):
    wanted = subject()
    message = mail(wanted, body="First.\r\n.a dot\r\n..two\r\n.\r\nlast, \u00e9\r\n").encode()
    submit(real, mode, host, context, "alice", message, "bob")
    by_imap = find_by_imap(real, mode, host, context, "bob", wanted)
    assert by_imap.endswith(message), "IMAP changed it"
    assert find_by_pop3(real, mode, host, context, "bob", wanted) == by_imap, "POP3 shows another mail than IMAP"


@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.parametrize("mode", MODES)
def test_curl_submits_and_reads(real, context, authority, tmp_path, mode, host):
    wanted = subject()
    (tmp_path / "mail").write_text(mail(wanted), newline="")
    where = "[%s]" % host if ":" in host else host
    scheme = (lambda name: name + "s" if mode == "implicit" else name)
    sent = clients.curl(authority.certificate,
                        "%s://%s:%d/client.example.test" % (scheme("smtp"), where, real.port("submission", mode, host)),
                        "--mail-from", "alice@example.test", "--mail-rcpt", "bob@example.test",
                        "--upload-file", tmp_path / "mail", user="alice:" + USERS["alice"])
    assert sent.returncode == 0, sent.stdout
    find_by_imap(real, mode, host, context, "bob", wanted)
    user = "bob:" + USERS["bob"]
    read = clients.curl(authority.certificate, "%s://%s:%d/INBOX" % (scheme("imap"), where, real.port("imap", mode, host)),
                        "-X", "SEARCH SUBJECT " + wanted, user=user)
    assert read.returncode == 0, read.stdout
    assert any(line.startswith("* SEARCH ") for line in read.stdout.splitlines()), read.stdout
    listed = clients.curl(authority.certificate, "%s://%s:%d/" % (scheme("pop3"), where, real.port("pop3", mode, host)),
                          user=user)
    assert listed.returncode == 0 and "\n1 " in listed.stdout, listed.stdout


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("mechanism", ("PLAIN", "LOGIN"))
def test_curl_logs_in_with_each_mechanism(real, authority, mode, mechanism):
    for protocol, path in (("imap", "INBOX"), ("pop3", ""), ("smtp", "client.example.test")):
        name = "submission" if protocol == "smtp" else protocol
        scheme = protocol + ("s" if mode == "implicit" else "")
        options = ["--login-options", "AUTH=" + mechanism]
        if protocol == "smtp":
            options += ["-X", "NOOP"]
        elif protocol == "imap":
            options += ["-X", "NOOP"]
        for ir in ([], ["--sasl-ir"]):
            done = clients.curl(authority.certificate, "%s://127.0.0.1:%d/%s" % (scheme, real.port(name, mode), path),
                                *options, *ir, user="alice:" + USERS["alice"])
            assert done.returncode == 0, done.stdout
            assert "AUTH" in done.stdout.upper() and mechanism in done.stdout, "curl used another way:\n" + done.stdout


def test_curl_trusts_the_name_in_the_certificate_only(real, authority):
    done = clients.curl(authority.certificate, "imaps://wrong.example.test:%d/INBOX" % real.port("imap", "implicit"),
                        "--resolve", "wrong.example.test:%d:127.0.0.1" % real.port("imap", "implicit"),
                        user="alice:" + USERS["alice"])
    assert done.returncode == 60, done.stdout


@pytest.mark.parametrize("mode", MODES)
def test_swaks_submits(real, context, authority, mode):
    wanted = subject()
    done = clients.swaks(authority.certificate, real.port("submission", mode), "alice", USERS["alice"],
                         "alice@example.test", "bob@example.test", wanted, implicit=mode == "implicit")
    assert done.returncode == 0, done.stdout
    assert "TLS started" in done.stdout and "~> " in done.stdout, done.stdout
    assert wanted.encode() in find_by_imap(real, mode, "127.0.0.1", context, "bob", wanted)


@pytest.mark.parametrize("mode", MODES)
def test_msmtp_submits(real, context, authority, tmp_path, mode):
    wanted = subject()
    done = clients.msmtp(tmp_path, authority.certificate, real.port("submission", mode), "alice", USERS["alice"],
                         "alice@example.test", "bob@example.test", mail(wanted).replace("\r\n", "\n"),
                         implicit=mode == "implicit")
    assert done.returncode == 0, done.stdout
    find_by_imap(real, mode, "127.0.0.1", context, "bob", wanted)


@pytest.mark.parametrize("mode", MODES)
def test_mbsync_brings_the_whole_box(real, context, authority, tmp_path, mode):
    wanted = subject()
    submit(real, mode, "127.0.0.1", context, "alice", mail(wanted, recipient="carol@example.test"), "carol")
    find_by_imap(real, mode, "127.0.0.1", context, "carol", wanted)
    done = clients.mbsync(tmp_path, authority.certificate, real.port("imap", mode), "carol", USERS["carol"],
                          implicit=mode == "implicit")
    assert done.returncode == 0, done.stdout
    texts = [path.read_bytes() for path in (tmp_path / "mail" / "INBOX").glob("*/*") if path.is_file()]
    assert any(email.message_from_bytes(text)["Subject"] == wanted for text in texts), done.stdout


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("protocol", ("imap", "pop3"))
def test_fetchmail_fetches(real, context, authority, tmp_path, protocol, mode):
    wanted = subject()
    submit(real, mode, "127.0.0.1", context, "alice", mail(wanted, recipient="dave@example.test"), "dave")
    find_by_imap(real, mode, "127.0.0.1", context, "dave", wanted)
    done = clients.fetchmail(tmp_path, authority.certificate, real.port(protocol, mode), protocol, "dave",
                             USERS["dave"], implicit=mode == "implicit")
    assert done.returncode == 0, done.stdout
    assert wanted in (tmp_path / "fetched").read_text(errors="replace"), done.stdout


@pytest.mark.parametrize("version", (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3))
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("protocol", ("submission", "imap", "pop3"))
def test_both_versions_of_tls_carry_a_login_and_the_log_tells_it(real, authority, protocol, mode, version):
    context = clients.tls_context(authority.certificate, version)
    name = {ssl.TLSVersion.TLSv1_2: "TLSv1.2", ssl.TLSVersion.TLSv1_3: "TLSv1.3"}[version]
    with clients.enter(real.port(protocol, mode), protocol, mode, context, "alice", USERS["alice"]) as wire:
        assert wire.socket.version() == name
        client = wire.address
        wire.reply(protocol, {"submission": "QUIT", "imap": "z LOGOUT", "pop3": "QUIT"}[protocol])
        wire.rest()
    event = real.wait_event("session_end", client=client)
    assert event["tls"] == name and event["user"] == "alice" and event["protocol"] == protocol
    assert event["cipher"].startswith("TLS_") and event["group"] and event["sni"] == "localhost"
    assert event["mechanism"] and event["backend"] and int(event["in"]) > 0 and int(event["out"]) > 0


def test_imap_idle_is_woken_by_new_mail(real, context):
    with clients.enter(real.port("imap", "implicit"), "imap", "implicit", context, "bob", USERS["bob"]) as wire:
        assert wire.imap("a SELECT INBOX").split("\n")[-1].startswith("a OK")
        assert wire.imap("b IDLE").startswith("+")
        wanted = subject()
        submit(real, "implicit", "127.0.0.1", context, "alice", mail(wanted), "bob")
        line = wire.line()
        while " EXISTS" not in line:
            line = wire.line()
        wire.send("DONE\r\n")
        assert wire.imap(tag="b").split("\n")[-1].startswith("b OK")

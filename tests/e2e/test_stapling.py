"""OCSP stapling: a response from a file or fetched from a responder reaches clients that ask for it; one that has ended never does."""
import http.client
import os
import re
import signal

import pytest

from support import certificates, clients, ports, responder
from support.postern import Backend, Configuration, Listener, Postern, check
from support.wait import wait_for

NAME = "mail.example.test"
VERSIONS = ("-tls1_2", "-tls1_3")
MUST_STAPLE = "tlsfeature = status_request\n"


@pytest.fixture
def make(tmp_path, authority):
    """A certificate with its authority behind it in the chain."""
    folder = tmp_path / "certificates"
    folder.mkdir(mode=0o755)
    tmp_path.chmod(0o755)

    def one(more="", **settings):
        made = certificates.make_certificate(str(folder), authority, [NAME], more=more, **settings)
        with open(made.chain, "a", encoding="ascii") as chain, open(authority.certificate, encoding="ascii") as issuer:
            chain.write(issuer.read())
        return made
    return one


@pytest.fixture
def start(tmp_path):
    made = []

    def launch(certificate, tls="", listeners=None, backends=("imap",), **settings):
        configuration = Configuration(certificate, [Backend(one, ports.free_port()) for one in backends], workers=1, monitor="interval = 0;",
                                      listeners=listeners or [Listener("imap", "implicit")], **settings)
        front = Postern(str(tmp_path), configuration)
        front.configure(configuration.text().replace("tls: {", "tls: { " + tls, 1))
        made.append(front)
        return front.start()
    yield launch
    for front in made:
        front.stop()


def status(front, version, *options, protocol="imap"):
    """What s_client says of the response: the certificate's status, or None."""
    said = clients.openssl_client(front.port(protocol, "implicit"), version, "-status", *options,
                                  data="a LOGOUT\r\n" if protocol == "imap" else "QUIT\r\n")
    text = said if isinstance(said, str) else said.stdout
    assert "Verification" in text or "Verify return code" in text, text
    if "OCSP response: no response sent" in text:
        return None
    found = re.search(r"Cert Status: (\w+)", text)
    assert found, text
    return found[1]


def write(path, data):
    """In one step, as a careful program does."""
    with open(path + ".new", "wb") as file:
        file.write(data)
    os.rename(path + ".new", path)


def test_a_file_beside_the_chain_is_stapled_in_each_version(make, start, authority):
    certificate = make()
    write(certificate.chain + ".ocsp", responder.response(authority, certificate))
    front = start(certificate)
    for version in VERSIONS:
        assert status(front, version) == "good"


def test_without_one_a_client_that_asks_is_served_as_ever(make, start):
    front = start(make())
    for version in VERSIONS:
        assert status(front, version) is None


def test_a_file_that_comes_later_is_stapled_without_a_reload(make, start, authority):
    certificate = make()
    front = start(certificate)
    assert status(front, "-tls1_3") is None
    write(certificate.chain + ".ocsp", responder.response(authority, certificate))
    wait_for(lambda: status(front, "-tls1_3") == "good", "the response")
    assert status(front, "-tls1_2") == "good"


@pytest.mark.parametrize("wrong", ["without_end", "other", "rubbish"])
def test_what_is_not_fit_to_be_sent_is_a_warning_and_not_sent(make, start, authority, wrong):
    certificate = make()
    if wrong == "without_end":
        data = responder.response(authority, certificate, minutes=None)
    else:
        data = responder.response(authority, make()) if wrong == "other" else b"no response"
    write(certificate.chain + ".ocsp", data)
    front = start(certificate)
    for version in VERSIONS:
        assert status(front, version) is None
    code, said = check(front.path)
    assert code == 0 and "warning" in said and "the OCSP response is not sent" in said, said


def test_off_means_none(make, start, authority):
    certificate = make()
    write(certificate.chain + ".ocsp", responder.response(authority, certificate))
    front = start(certificate, tls='ocsp = "off";')
    assert status(front, "-tls1_3") is None
    with open(front.path, encoding="utf-8") as file:
        text = file.read()
    front.configure(text.replace('ocsp = "off"', 'ocsp = "file"'))
    front.signal(signal.SIGHUP)
    front.wait_event("reload", result="done")
    assert status(front, "-tls1_3") == "good"
    front.configure(text)
    front.signal(signal.SIGHUP)
    front.wait_event("reload", result="done", count=2)
    assert status(front, "-tls1_3") is None


def test_must_staple_without_a_response_is_a_loud_warning(make, start):
    certificate = make(MUST_STAPLE)
    front = start(certificate)
    assert "must-staple" in front.log()
    code, said = check(front.path)
    assert code == 0 and "warning" in said and "must-staple" in said


def metrics(port):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        connection.request("GET", "/metrics")
        return connection.getresponse().read().decode()
    finally:
        connection.close()


@pytest.fixture
def server(authority):
    with responder.Responder(authority) as one:
        yield one


def fetched(make, server, more=""):
    server.certificate = make(f"authorityInfoAccess = OCSP;URI:{server.url}\n" + more)
    return server.certificate


def test_one_is_fetched_and_stapled_without_a_restart(make, start, server):
    port = ports.free_port()
    front = start(fetched(make, server, MUST_STAPLE), tls='ocsp = "fetch";', top="status: { port = %d; };" % port)
    front.wait_event("ocsp_fetched", responder=server.url)
    wait_for(lambda: status(front, "-tls1_3") == "good", "the response")
    assert status(front, "-tls1_2") == "good"
    assert len(server.questions) == 1 and server.questions[0][0] == "application/ocsp-request"
    wait_for(lambda: 'postern_staples{state="fresh"} 1\n' in metrics(port), "the metric")
    assert re.search(r'^postern_certificate_not_after_seconds\{certificate="%s",path="[^"]*"\} \d+$' % NAME, metrics(port), re.MULTILINE)
    front.signal(signal.SIGHUP)    # it stays beyond a reload
    front.wait_event("reload", result="done")
    assert status(front, "-tls1_3") == "good" and len(server.questions) == 1


def test_one_that_is_fetched_is_stapled_wherever_the_certificate_serves(make, start, server):
    made = fetched(make, server)
    own = 'certificates = ( { chain = "%s"; key = "%s"; } );' % (made.chain, made.key)
    front = start(made, tls='ocsp = "fetch";', listeners=[Listener("imap", "implicit"), Listener("pop3", "implicit", extra=own)],
                  backends=("imap", "pop3"))
    wait_for(lambda: status(front, "-tls1_3") == "good", "the response")
    assert status(front, "-tls1_3", protocol="pop3") == "good"
    assert len(server.questions) == 1


def test_nothing_is_fetched_unasked(make, start, server):
    port = ports.free_port()
    front = start(fetched(make, server), top="status: { port = %d; };" % port)
    wait_for(lambda: 'postern_staples{state="missing"} 1\n' in metrics(port), "the metric")
    assert status(front, "-tls1_3") is None and server.questions == []


@pytest.mark.parametrize("answer, reason", [
    ((500, {}, b"no"), "HTTP status 500"),
    ((200, {}, b"x" * 66000), "the answer is too long"),
    ((200, {}, b""), "the answer is empty"),
    ((302, {"Location": "file:///etc/passwd"}, b""), "Unsupported protocol"),
], ids=["status", "long", "empty", "redirect"])
def test_a_responder_that_fails_is_told_and_clients_are_served(make, start, server, answer, reason):
    server.answer = answer
    front = start(fetched(make, server), tls='ocsp = "fetch";')
    assert reason in front.wait_event("ocsp_failed", responder=server.url)["reason"]
    assert status(front, "-tls1_3") is None


def test_an_answer_that_is_not_fit_is_not_sent(make, start, server, authority):
    server.answer = (200, {}, responder.response(authority, make()))
    front = start(fetched(make, server), tls='ocsp = "fetch";')
    assert "the OCSP response is not sent" in front.wait_event("certificate_warning")["warning"]
    assert status(front, "-tls1_3") is None


def test_no_other_process_maps_the_library_for_it(make, start, server):
    if os.geteuid() != 0:
        pytest.skip("the maps of our processes are for root to read")
    front = start(fetched(make, server), tls='ocsp = "fetch";')
    front.wait_event("ocsp_fetched")

    def maps(pid):
        with open(f"/proc/{pid}/maps", encoding="utf-8") as file:
            return file.read()

    monitor, = front.children("monitor")
    assert "libcurl" in maps(monitor)
    for pid in [front.pid, *front.children("worker"), *front.children("auth"), *front.children("keeper")]:
        assert "libcurl" not in maps(pid)

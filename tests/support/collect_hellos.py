"""Collects the first message of real TLS clients anew: collect_hellos.py [FOLDER] (default: tests/fuzz/corpus/tls_hello).

Each client is started against a socket that only listens; what it says first goes to FOLDER/<client>_<how>.bin. Clients
that are not installed are named and passed over. The files that are made by hand are written too. What the unit test
expects of each stands there (tests/unit/test_tls_hello_corpus.c): it must be looked at again after a new collection.
Debian: openssl gnutls-bin libnss3-tools libwolfssl35 default-jdk-headless nodejs curl.
"""
import ctypes
import ctypes.util
import pathlib
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from support import raw_tls    # noqa: E402

NAME = "mail.example.test"
FOLDER = pathlib.Path(__file__).resolve().parents[1] / "fuzz" / "corpus" / "tls_hello"

JAVA = """
import javax.net.ssl.*;
import java.util.*;
class Hello {
    public static void main(String[] arguments) throws Exception {
        SSLSocket socket = (SSLSocket) SSLContext.getDefault().getSocketFactory().createSocket("127.0.0.1", Integer.parseInt(arguments[0]));
        SSLParameters parameters = socket.getSSLParameters();
        parameters.setProtocols(arguments[1].split(","));
        if (arguments[2].length() > 0)
            parameters.setServerNames(List.of(new SNIHostName(arguments[2])));
        if (arguments[3].length() > 0)
            parameters.setApplicationProtocols(new String[] { arguments[3] });
        socket.setSSLParameters(parameters);
        socket.startHandshake();
    }
}
"""
NODE = ("require('tls').connect({host:'127.0.0.1',port:%d,rejectUnauthorized:false%s}).on('error',()=>{})")


def read_hello(connection):
    """Records until they hold a whole handshake message."""
    data = b""

    def more(until):
        nonlocal data
        while len(data) < until:
            block = connection.recv(until - len(data))
            if not block:
                raise EOFError("the client ended after %r" % data)
            data += block

    at, message = 0, b""
    while len(message) < 4 or len(message) < 4 + int.from_bytes(message[1:4], "big"):
        more(at + 5)
        end = at + 5 + int.from_bytes(data[at + 3:at + 5], "big")
        more(end)
        message += data[at + 5:end]
        at = end
    return data


def of_command(arguments):
    """What that command, with PORT put in, says to a socket that listens; None when it is not installed."""
    if shutil.which(arguments[0]) is None:
        return None
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        listening.settimeout(30)
        process = subprocess.Popen([part.replace("PORT", str(port)) for part in arguments], stdin=subprocess.PIPE,
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            connection, _ = listening.accept()
            with connection:
                connection.settimeout(30)
                return read_hello(connection)
        finally:
            process.kill()
            process.wait()
            process.stdin.close()


def of_python(version, name, protocols):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if version:
        context.maximum_version = version
    if protocols:
        context.set_alpn_protocols(protocols)
    coming, going = ssl.MemoryBIO(), ssl.MemoryBIO()
    try:
        context.wrap_bio(coming, going, server_hostname=name).do_handshake()
    except ssl.SSLWantReadError:
        return going.read()


def of_wolfssl(method, name=None, protocol=None):
    """The library's client through callbacks; None when it is not installed."""
    path = ctypes.util.find_library("wolfssl")
    if path is None:
        return None
    library = ctypes.CDLL(path)
    pointer, said = ctypes.c_void_p, []
    callback = ctypes.CFUNCTYPE(ctypes.c_int, pointer, pointer, ctypes.c_int, pointer)

    @callback
    def send(_, data, size, __):
        said.append(ctypes.string_at(data, size))
        return size

    @callback
    def receive(*_):
        return -2    # WOLFSSL_CBIO_ERR_WANT_READ

    def call(function, result, *arguments):
        function = getattr(library, function)
        function.restype = result
        return function(*arguments)

    call("wolfSSL_Init", ctypes.c_int)
    settings = pointer(call("wolfSSL_CTX_new", pointer, pointer(call(method, pointer))))
    call("wolfSSL_CTX_set_verify", None, settings, 0, None)
    call("wolfSSL_CTX_SetIOSend", None, settings, send)
    call("wolfSSL_CTX_SetIORecv", None, settings, receive)
    leg = pointer(call("wolfSSL_new", pointer, settings))
    if name:
        call("wolfSSL_UseSNI", ctypes.c_int, leg, ctypes.c_ubyte(0), name.encode(), ctypes.c_ushort(len(name)))
    if protocol:
        call("wolfSSL_UseALPN", ctypes.c_int, leg, protocol.encode(), ctypes.c_uint(len(protocol)), ctypes.c_ubyte(2))
    call("wolfSSL_connect", ctypes.c_int, leg)
    call("wolfSSL_free", None, leg)
    call("wolfSSL_CTX_free", None, settings)
    return b"".join(said)


def by_hand():
    """A hello with a share of X25519MLKEM768, which does not fit into one segment; here over two records, as some servers
    have never seen it. Values of RFC 8701 stand where browsers put them."""
    share = bytes(range(256)) * 4 + bytes(160) + raw_tls.BASE_POINT
    big = raw_tls.hello(suites=(0x3a3a, 0x1301, 0x1302, 0x1303, 0xc02b, 0xc02f), session_id=b"s" * 32, extensions=[
        raw_tls.extension(0x6a6a), raw_tls.server_name(NAME), raw_tls.extension(raw_tls.EXTENDED_MASTER_SECRET),
        raw_tls.extension(raw_tls.RENEGOTIATION, b"\0"), raw_tls.groups(0x8a8a, 0x11ec, raw_tls.X25519, 0x0017),
        raw_tls.extension(raw_tls.TICKET), raw_tls.alpn("imap"), raw_tls.extension(raw_tls.STATUS_REQUEST, b"\1\0\0\0\0"),
        raw_tls.signatures(0x0403, 0x0804, 0x0401), raw_tls.versions(0x7a7a, raw_tls.TLS13, raw_tls.TLS12),
        raw_tls.key_shares((0x8a8a, b"\0"), (0x11ec, share), (raw_tls.X25519, raw_tls.BASE_POINT)),
        raw_tls.extension(0x002d, b"\1\1"), raw_tls.extension(0xcaca, b"\0")])
    yield "hand_postquantum_in_two_records", raw_tls.records(big, 1000)
    yield "hand_postquantum_in_one_record", raw_tls.record(big)
    yield "hand_tls10_without_extensions", raw_tls.record(raw_tls.hello(raw_tls.TLS10, (0x002f, 0x0035, 0x000a, 0x00ff),
                                                                       extensions=b""))


def all_hellos(folder):
    for name, arguments in {
            "openssl_tls13": ["-servername", NAME, "-alpn", "imap", "-status", "-tls1_3"],
            "openssl_both": ["-noservername"],
            "openssl_tls12": ["-servername", NAME, "-tls1_2"],
            "openssl_tls12_no_ticket": ["-noservername", "-tls1_2", "-no_ticket", "-alpn", "pop3,imap"],
            "openssl_ecdsa_only": ["-servername", NAME, "-sigalgs", "ECDSA+SHA256", "-groups", "P-256:X25519"],
    }.items():
        yield name, of_command(["openssl", "s_client", "-connect", "127.0.0.1:PORT"] + arguments)
    for name, arguments in {
            "gnutls_both": ["--sni-hostname", NAME, "--alpn", "imap"],
            "gnutls_no_sni": ["--disable-sni"],
            "gnutls_tls12": ["--sni-hostname", NAME, "--priority", "NORMAL:-VERS-ALL:+VERS-TLS1.2"],
            "gnutls_tls13": ["--sni-hostname", NAME, "--alpn", "pop3", "--priority", "NORMAL:-VERS-ALL:+VERS-TLS1.3"],
    }.items():
        yield name, of_command(["gnutls-cli", "--insecure", "-p", "PORT", "127.0.0.1"] + arguments)
    for name, arguments in {
            "nss_both": ["-a", NAME, "-V", "tls1.2:tls1.3", "-u", "-T", "-G"],
            "nss_tls12": ["-a", NAME, "-V", "tls1.2:tls1.2"],
            "nss_tls13": ["-a", NAME, "-V", "tls1.3:tls1.3"],
            "nss_encrypted_hello_grease": ["-a", NAME, "-V", "tls1.3:tls1.3", "-i", "100"],
    }.items():
        yield name, of_command(["tstclnt", "-D", "-o", "-h", "127.0.0.1", "-p", "PORT"] + arguments)
    (folder / "Hello.java").write_text(JAVA)
    for name, arguments in {
            "java_both": ["TLSv1.3,TLSv1.2", NAME, "imap"],
            "java_tls12": ["TLSv1.2", NAME, ""],
            "java_tls13_no_sni": ["TLSv1.3", "", ""],
    }.items():
        yield name, of_command(["java", str(folder / "Hello.java"), "PORT"] + arguments)
    for name, options in {
            "node_both": ",servername:'%s',ALPNProtocols:['imap']" % NAME,
            "node_tls12": ",servername:'%s',maxVersion:'TLSv1.2'" % NAME,
            "node_tls13_no_sni": ",minVersion:'TLSv1.3'",
    }.items():
        yield name, of_command(["node", "-e", NODE.replace("%d", "PORT") % options])
    for name, arguments in {
            "curl_imaps": ["imaps://%s:PORT/" % NAME],
            "curl_tls12": ["--tls-max", "1.2", "pop3s://%s:PORT/" % NAME],
            "curl_https": ["https://%s:PORT/" % NAME],
    }.items():
        yield name, of_command(["curl", "-sk", "--connect-to", "::127.0.0.1:PORT"] + arguments)
    yield "python_both", of_python(None, NAME, [])
    yield "python_tls12", of_python(ssl.TLSVersion.TLSv1_2, NAME, ["imap"])
    yield "python_no_sni", of_python(None, None, [])
    yield "wolfssl_tls13", of_wolfssl("wolfTLSv1_3_client_method", NAME, "imap")
    yield "wolfssl_both", of_wolfssl("wolfSSLv23_client_method", NAME)
    yield "wolfssl_tls12_no_sni", of_wolfssl("wolfTLSv1_2_client_method")
    yield from by_hand()


def main():
    target = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER
    target.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        for name, data in all_hellos(pathlib.Path(folder)):
            if data is None:
                print("%s: not installed" % name)
                continue
            (target / (name + ".bin")).write_bytes(data)
            print("%s: %d octets" % (name, len(data)))


if __name__ == "__main__":
    main()

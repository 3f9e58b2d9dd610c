// One handshake at localhost: dual.js PORT AUTHORITIES VERSION CIPHERS SIGALGS. Prints the version and the certificate that came
// out. AUTHORITIES is a PEM file; CIPHERS and SIGALGS are as OpenSSL writes them, or empty.
"use strict";
const fs = require("fs");
const tls = require("tls");

const [port, authorities, version, ciphers, sigalgs] = process.argv.slice(2);
const socket = tls.connect({
	host: "localhost", port, servername: "localhost", ca: fs.readFileSync(authorities), minVersion: version, maxVersion: version,
	ciphers: ciphers || undefined, sigalgs: sigalgs || undefined,
}, () => {
	console.log(socket.getProtocol());
	console.log(socket.getPeerX509Certificate().toString());
	socket.destroy();
});
socket.on("error", (error) => {
	console.error(error.message);
	process.exitCode = 1;
});

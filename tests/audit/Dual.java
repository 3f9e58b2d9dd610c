/*
 * One handshake at localhost: Dual.java PORT AUTHORITIES VERSION SUITES. Prints the version and the certificate that came out.
 * AUTHORITIES is a PEM file; SUITES a list with commas, or empty. What may be signed with: -Djdk.tls.client.SignatureSchemes=...
 */
import java.io.FileInputStream;
import java.security.KeyStore;
import java.security.cert.Certificate;
import java.security.cert.CertificateFactory;
import java.util.Base64;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLParameters;
import javax.net.ssl.SSLSocket;
import javax.net.ssl.TrustManagerFactory;

class Dual {
	static SSLContext trusting(String path) throws Exception {
		KeyStore store = KeyStore.getInstance(KeyStore.getDefaultType());
		store.load(null, null);
		try (FileInputStream file = new FileInputStream(path)) {
			for (Certificate authority : CertificateFactory.getInstance("X.509").generateCertificates(file))
				store.setCertificateEntry("authority " + store.size(), authority);
		}
		TrustManagerFactory managers = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
		managers.init(store);
		SSLContext context = SSLContext.getInstance("TLS");
		context.init(null, managers.getTrustManagers(), null);
		return context;
	}

	public static void main(String[] arguments) throws Exception {
		SSLContext context = trusting(arguments[1]);
		try (SSLSocket socket = (SSLSocket) context.getSocketFactory().createSocket("localhost", Integer.parseInt(arguments[0]))) {
			SSLParameters parameters = socket.getSSLParameters();
			parameters.setProtocols(new String[] { arguments[2] });
			parameters.setEndpointIdentificationAlgorithm("HTTPS");
			if (!arguments[3].isEmpty())
				parameters.setCipherSuites(arguments[3].split(","));
			socket.setSSLParameters(parameters);
			socket.startHandshake();
			System.out.println(socket.getSession().getProtocol());
			System.out.println("-----BEGIN CERTIFICATE-----");
			System.out.println(Base64.getMimeEncoder(64, new byte[] { '\n' }).encodeToString(
					socket.getSession().getPeerCertificates()[0].getEncoded()));
			System.out.println("-----END CERTIFICATE-----");
		}
	}
}

// SPDX-License-Identifier: BSD-3-Clause
/*
 * why.c - why a connection failed, in sentences
 */
#include "endpoint/tls/why.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <string.h>
#include <time.h>

static const char *date_text(const ASN1_TIME *at, char *text, size_t bytes)
{
	struct tm tm;

	if (!ASN1_TIME_to_tm(at, &tm) || !strftime(text, bytes, "%Y-%m-%d %H:%M:%S UTC", &tm))
		snprintf(text, bytes, "an unknown date");
	return text;
}

/* @name: in whatever bytes the peer chose */
static void append_name(char *text, size_t bytes, const char *name, int length)
{
	size_t used = strlen(text);

	snprintf(text + used, bytes - used, "%s%.*s", used ? ", " : "", length, name);
	for (char *c = text + used; *c; c++) {
		if (*c < ' ' || *c > '~')
			*c = '?';
	}
}

/* What a certificate is for: "a, b, 127.0.0.1", as many as fit. Return: @text */
static const char *cert_names(const X509 *cert, char *text, size_t bytes)
{
	GENERAL_NAMES *list = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);

	*text = 0;
	for (int i = 0; i < sk_GENERAL_NAME_num(list); i++) {
		int type;
		const ASN1_STRING *s =
			GENERAL_NAME_get0_value(sk_GENERAL_NAME_value(list, i), &type);
		char ip[INET6_ADDRSTRLEN];

		if (type == GEN_DNS)
			append_name(text, bytes, (const char *)ASN1_STRING_get0_data(s),
				    ASN1_STRING_length(s));
		else if (type == GEN_IPADD &&
			 inet_ntop(ASN1_STRING_length(s) == 4 ? AF_INET : AF_INET6,
				   ASN1_STRING_get0_data(s), ip, sizeof(ip)))
			append_name(text, bytes, ip, (int)strlen(ip));
	}
	GENERAL_NAMES_free(list);
	if (!*text)
		append_name(text, bytes, "nothing", 7);
	return text;
}

void tls_why_verify(const struct tls *tls, X509_STORE_CTX *store, char why[ENDPOINT_ERROR_BYTES])
{
	const X509 *cert = X509_STORE_CTX_get_current_cert(store);
	int error = X509_STORE_CTX_get_error(store);
	const char *whose = X509_STORE_CTX_get_error_depth(store) ? "the peer's CA certificate" :
								    "the peer's certificate";
	char text[128];

	switch (error) {
	case X509_V_ERR_CERT_HAS_EXPIRED:
		snprintf(why, ENDPOINT_ERROR_BYTES, "%s has expired, on %s", whose,
			 date_text(X509_get0_notAfter(cert), text, sizeof(text)));
		break;
	case X509_V_ERR_CERT_NOT_YET_VALID:
		snprintf(why, ENDPOINT_ERROR_BYTES, "%s is not valid before %s", whose,
			 date_text(X509_get0_notBefore(cert), text, sizeof(text)));
		break;
	case X509_V_ERR_HOSTNAME_MISMATCH:
	case X509_V_ERR_IP_ADDRESS_MISMATCH:
		snprintf(why, ENDPOINT_ERROR_BYTES, "%s is not for %s but for %s", whose,
			 tls->peer_name, cert_names(cert, text, sizeof(text)));
		break;
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
	case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
	case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
	case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
	case X509_V_ERR_CERT_SIGNATURE_FAILURE:
		snprintf(why, ENDPOINT_ERROR_BYTES,
			 "the peer's certificate is not signed by a CA in %s", tls->cfg->tls_ca);
		break;
	case X509_V_ERR_INVALID_PURPOSE:
		snprintf(why, ENDPOINT_ERROR_BYTES, "%s is not one for a TLS %s", whose,
			 tls->server ? "client" : "server");
		break;
	default:
		snprintf(why, ENDPOINT_ERROR_BYTES, "%s: %s", whose,
			 X509_verify_cert_error_string(error));
	}
}

/* What the peer says of us; @number: of the alert (RFC 8446, section 6) */
static void alert_text(int number, char why[ENDPOINT_ERROR_BYTES])
{
	static const struct {
		int number;
		const char *text;
	} known[] = {
		{ SSL_AD_BAD_CERTIFICATE, "the peer does not accept our certificate" },
		{ SSL_AD_UNSUPPORTED_CERTIFICATE,
		  "the peer does not accept our certificate: it is not for this use" },
		{ SSL_AD_CERTIFICATE_REVOKED, "the peer says that our certificate is revoked" },
		{ SSL_AD_CERTIFICATE_EXPIRED, "the peer says that our certificate has expired" },
		{ SSL_AD_CERTIFICATE_UNKNOWN, "the peer does not accept our certificate" },
		{ SSL_AD_UNKNOWN_CA, "the peer does not know the CA of our certificate" },
		{ SSL_AD_ACCESS_DENIED, "the peer does not accept our certificate" },
		{ SSL_AD_HANDSHAKE_FAILURE,
		  "the peer finds no cipher or certificate that suits both" },
		{ SSL_AD_PROTOCOL_VERSION, "the peer has no TLS 1.2 or later" },
		{ 116 /* certificate_required */, "the peer wants a certificate" },
	};

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		if (known[i].number == number) {
			snprintf(why, ENDPOINT_ERROR_BYTES, "%s", known[i].text);
			return;
		}
	}
	snprintf(why, ENDPOINT_ERROR_BYTES, "the peer has ended it with the alert \"%s\"",
		 SSL_alert_desc_string_long(number));
}

const char *tls_why_queue(void)
{
	const char *text = ERR_reason_error_string(ERR_peek_last_error());

	ERR_clear_error();
	return text ? text : "OpenSSL does not say why";
}

void tls_why_error(const struct tls *tls, int code, int error, char why[ENDPOINT_ERROR_BYTES])
{
	unsigned long e = ERR_peek_last_error();
	int reason = ERR_GET_LIB(e) == ERR_LIB_SSL ? ERR_GET_REASON(e) : 0;
	const char *text = NULL;

	if (code == SSL_ERROR_ZERO_RETURN || (code == SSL_ERROR_SYSCALL && !error))
		text = "the peer has closed the connection";
	else if (code == SSL_ERROR_SYSCALL)
		text = strerror(error);
	else if (reason == SSL_R_UNEXPECTED_EOF_WHILE_READING)
		text = "the peer has closed the connection without a close_notify";
	else if (reason == SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE)
		text = "the peer shows no certificate";
	else if (reason == SSL_R_WRONG_VERSION_NUMBER || reason == SSL_R_HTTP_REQUEST ||
		 reason == SSL_R_BAD_PROTOCOL_VERSION_NUMBER ||
		 reason == SSL_R_PACKET_LENGTH_TOO_LONG)
		text = "the peer does not speak TLS";
	else if (reason == SSL_R_UNSUPPORTED_PROTOCOL || reason == SSL_R_VERSION_TOO_LOW)
		text = "the peer has no TLS 1.2 or later";
	if (text)
		snprintf(why, ENDPOINT_ERROR_BYTES, "%s", text);
	else if (reason == SSL_R_CERTIFICATE_VERIFY_FAILED && *why)
		; /* tls_why_verify() has written it */
	else if (reason > SSL_AD_REASON_OFFSET)
		alert_text(reason - SSL_AD_REASON_OFFSET, why);
	else
		snprintf(why, ENDPOINT_ERROR_BYTES, "TLS: %s", tls_why_queue());
	ERR_clear_error();
}

// SPDX-License-Identifier: BSD-3-Clause
/*
 * tls.c - who we are and whom we trust: files and contexts
 *
 * Both ends show a certificate and check the other's, with TLS 1.2 or 1.3. Before each connection the
 * three files are looked at, and read again when one of them is another than before, so renewed
 * certificates need neither a restart nor a reload; a connection that is open goes on with what it
 * has. There is no resumption of sessions: each connection sees the certificates that are valid now.
 */
#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>

#include "endpoint/tls/private.h"
#include "util/fd.h"

static const char *const file_names[TLS_N_FILES] = { "certificate", "key", "CA" };

/**
 * path_of() - one of the files
 * @tls: credentials
 * @i: which
 *
 * Return: its name.
 */
static const char *path_of(const struct tls *tls, int i)
{
	const char *const paths[TLS_N_FILES] = { tls->cfg->tls_cert, tls->cfg->tls_key,
						 tls->cfg->tls_ca };

	return paths[i];
}

/**
 * refuse() - say what is wrong with a file
 * @tls: credentials
 * @i: which
 * @what: what
 *
 * Return: -EINVAL.
 */
static int refuse(struct tls *tls, int i, const char *what)
{
	snprintf(tls->why, sizeof(tls->why), "%s %s: %s", file_names[i], path_of(tls, i), what);
	ERR_clear_error();
	return -EINVAL;
}

/**
 * no_password() - a key that is encrypted is not for a daemon
 * @buf: not used
 * @size: not used
 * @writing: not used
 * @arg: set to true
 *
 * Return: -1: there is none (pem_password_cb(3)).
 */
static int no_password(char *buf, int size, int writing, void *arg)
{
	*(bool *)arg = true;
	return -1;
}

/**
 * load_key() - read the key and compare it with the certificate
 * @tls: credentials
 * @ctx: context that has the certificate
 *
 * Return: 0 or -EINVAL.
 */
static int load_key(struct tls *tls, SSL_CTX *ctx)
{
	bool encrypted = false;
	BIO *bio = BIO_new_file(path_of(tls, 1), "r");
	EVP_PKEY *key = bio ? PEM_read_bio_PrivateKey(bio, NULL, no_password, &encrypted) : NULL;
	int r = 0;

	BIO_free(bio);
	if (!key)
		return refuse(tls, 1, encrypted ? "it is encrypted" : "there is no PEM key in it");
	if (X509_check_private_key(SSL_CTX_get0_certificate(ctx), key) != 1)
		r = refuse(tls, 1, "it is not the key of the certificate");
	else if (SSL_CTX_use_PrivateKey(ctx, key) != 1)
		r = refuse(tls, 1, tls_why_queue());
	EVP_PKEY_free(key);
	return r;
}

/**
 * load_ca() - read who may have signed the peer's certificate
 * @tls: credentials
 * @ctx: context
 *
 * Return: 0 or -EINVAL.
 */
static int load_ca(struct tls *tls, SSL_CTX *ctx)
{
	STACK_OF(X509_NAME) * names;

	if (SSL_CTX_load_verify_file(ctx, path_of(tls, 2)) != 1)
		return refuse(tls, 2, "there is no PEM certificate in it");
	if (!tls->server)
		return 0;
	names = SSL_load_client_CA_file(path_of(tls, 2));
	if (!names)
		return refuse(tls, 2, tls_why_queue());
	SSL_CTX_set_client_CA_list(ctx, names);
	return 0;
}

/**
 * look_at_files() - whether they can be read, and are the same as before
 * @tls: credentials
 * @same: out
 *
 * Return: 0 or -EINVAL.
 */
static int look_at_files(struct tls *tls, bool *same)
{
	struct stat now[TLS_N_FILES];

	*same = tls->ctx != NULL;
	for (int i = 0; i < TLS_N_FILES; i++) {
		_cleanup_fd_ int fd = open(path_of(tls, i), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
		const struct stat *old = &tls->stat[i];

		if (fd < 0 || fstat(fd, &now[i]))
			return refuse(tls, i, strerror(errno));
		if (!S_ISREG(now[i].st_mode))
			return refuse(tls, i, "it is no file");
		*same &= now[i].st_dev == old->st_dev && now[i].st_ino == old->st_ino &&
			 now[i].st_size == old->st_size &&
			 now[i].st_mtim.tv_sec == old->st_mtim.tv_sec &&
			 now[i].st_mtim.tv_nsec == old->st_mtim.tv_nsec;
	}
	/* Not before all are there: what has changed is to be seen again until it is loaded. */
	memcpy(tls->stat, now, sizeof(now));
	return 0;
}

/**
 * on_verify() - OpenSSL has looked at one of the peer's certificates
 * @ok: it is good
 * @store: what it knows
 *
 * Return: @ok.
 */
static int on_verify(int ok, X509_STORE_CTX *store)
{
	const SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
	struct tls_link *link = SSL_get_app_data(ssl);

	if (!ok && !*link->why)
		tls_why_verify(link->tls, store, link->why);
	return ok;
}

/**
 * on_ticket() - the server offers to resume the session, which it does when it has accepted us
 * @ssl: connection
 * @session: not used
 *
 * Return: 0: it is not kept.
 */
static int on_ticket(SSL *ssl, SSL_SESSION *session)
{
	struct tls_link *link = SSL_get_app_data(ssl);

	link->confirmed = true;
	return 0;
}

/**
 * context_new() - all but the files
 * @tls: credentials
 *
 * Return: a context, or NULL.
 */
static SSL_CTX *context_new(const struct tls *tls)
{
	SSL_CTX *ctx = SSL_CTX_new(tls->server ? TLS_server_method() : TLS_client_method());

	if (!ctx)
		return NULL;
	SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION);
	/* Without tickets that hold a session, a server still sends those that only name one. */
	SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_TICKET);
	SSL_CTX_set_session_cache_mode(ctx, tls->server ? SSL_SESS_CACHE_OFF :
							  SSL_SESS_CACHE_CLIENT |
								  SSL_SESS_CACHE_NO_INTERNAL);
	SSL_CTX_sess_set_new_cb(ctx, on_ticket);
	SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_RELEASE_BUFFERS);
	SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, on_verify);
	return ctx;
}

/**
 * load() - read the files anew
 * @tls: credentials
 *
 * Return: 0 or -EINVAL.
 */
static int load(struct tls *tls)
{
	SSL_CTX *ctx = context_new(tls);
	int r = ctx ? 0 : -EINVAL;

	SSL_CTX_free(tls->ctx);
	tls->ctx = NULL;
	if (r)
		snprintf(tls->why, sizeof(tls->why), "%s", tls_why_queue());
	else if (SSL_CTX_use_certificate_chain_file(ctx, path_of(tls, 0)) != 1)
		r = refuse(tls, 0, "there is no PEM certificate in it");
	else
		r = load_key(tls, ctx);
	if (!r)
		r = load_ca(tls, ctx);
	if (!r)
		tls->ctx = ctx;
	else
		SSL_CTX_free(ctx);
	return r;
}

/**
 * check_time() - whether our certificate is valid now
 * @tls: credentials with a context
 *
 * Return: 0 or -EINVAL.
 */
static int check_time(struct tls *tls)
{
	const X509 *cert = SSL_CTX_get0_certificate(tls->ctx);

	if (X509_cmp_current_time(X509_get0_notAfter(cert)) < 0)
		return refuse(tls, 0, "it has expired");
	if (X509_cmp_current_time(X509_get0_notBefore(cert)) > 0)
		return refuse(tls, 0, "it is not valid yet");
	return 0;
}

int tls_check(struct tls *tls, char why[ENDPOINT_ERROR_BYTES])
{
	bool same;
	int r;

	*tls->why = 0;
	r = look_at_files(tls, &same);
	if (!r && !same)
		r = load(tls);
	if (!r)
		r = check_time(tls);
	if (r)
		memcpy(why, tls->why, ENDPOINT_ERROR_BYTES);
	return r;
}

int tls_new(struct tls **out, struct channel *ch, const struct endpoint_config *cfg,
	    const char *peer_name, bool server, const struct tls_ops *ops, void *arg)
{
	struct tls *tls = calloc(1, sizeof(*tls));

	if (!tls)
		return -ENOMEM;
	*tls = (struct tls){ .ch = ch,
			     .cfg = cfg,
			     .peer_name = peer_name,
			     .server = server,
			     .ops = ops,
			     .arg = arg };
	LIST_INIT(&tls->links);
	*out = tls;
	return 0;
}

struct tls *tls_free(struct tls *tls)
{
	if (!tls)
		return NULL;
	while (!LIST_EMPTY(&tls->links)) {
		tls_link_note_loss(LIST_FIRST(&tls->links),
				   "the endpoint ends before TLS has sent them");
		tls_link_free(LIST_FIRST(&tls->links));
	}
	SSL_CTX_free(tls->ctx);
	free(tls);
	return NULL;
}

void tls_tear(struct tls *tls, int fd)
{
	const struct linger reset = { .l_onoff = 1, .l_linger = 0 };
	struct tls_link *link;

	/* The latest comes first: an earlier link may have had a descriptor of the same number */
	LIST_FOREACH(link, &tls->links, next)
	{
		if (link->state == TLS_OPEN && link->given_fd == fd)
			break;
	}
	if (!link)
		return;
	setsockopt(link->fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
	tls_link_free(link);
}

unsigned int tls_n_links(const struct tls *tls)
{
	const struct tls_link *link;
	unsigned int n = 0;

	LIST_FOREACH(link, &tls->links, next)
	n++;
	return n;
}

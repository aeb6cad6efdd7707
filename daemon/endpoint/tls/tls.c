// SPDX-License-Identifier: BSD-3-Clause
/*
 * tls.c - an endpoint's credentials: files and contexts
 *
 * Both ends show a certificate and check the other's, with TLS 1.2 or 1.3. Before each connection the
 * daemon looks at the three files, and reads them again if one of them has changed, so renewed
 * certificates need neither a restart nor a reload; a connection that is open goes on with what it
 * has. Sessions are not resumed: each connection sees the certificates that are valid now.
 */
#include "endpoint/tls/tls.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>

#include "endpoint/tls/why.h"
#include "util/fd.h"
#include "util/sandbox.h"

static const char *const file_names[TLS_N_FILES] = { "certificate", "key", "CA" };

static const char *path_of(const struct tls *tls, int i)
{
	const char *const paths[TLS_N_FILES] = { tls->cfg->tls_cert, tls->cfg->tls_key,
						 tls->cfg->tls_ca };

	return paths[i];
}

/* Return: -EINVAL */
static int refuse_file(struct tls *tls, int i, const char *what)
{
	snprintf(tls->why, sizeof(tls->why), "%s %s: %s%s", file_names[i], path_of(tls, i), what,
		 sandbox_path_hint(path_of(tls, i), SANDBOX_FILE));
	ERR_clear_error();
	return -EINVAL;
}

/* A daemon cannot ask for a password. Return: -1: there is none (pem_password_cb(3)) */
static int no_password(char *buf, int size, int writing, void *arg)
{
	*(bool *)arg = true;
	return -1;
}

static int load_key(struct tls *tls, SSL_CTX *ctx)
{
	bool encrypted = false;
	BIO *bio = BIO_new_file(path_of(tls, 1), "r");
	EVP_PKEY *key = bio ? PEM_read_bio_PrivateKey(bio, NULL, no_password, &encrypted) : NULL;
	int r = 0;

	BIO_free(bio);
	if (!key)
		return refuse_file(tls, 1,
				   encrypted ? "it is encrypted" : "there is no PEM key in it");
	if (X509_check_private_key(SSL_CTX_get0_certificate(ctx), key) != 1)
		r = refuse_file(tls, 1, "it is not the key of the certificate");
	else if (SSL_CTX_use_PrivateKey(ctx, key) != 1)
		r = refuse_file(tls, 1, tls_why_queue());
	EVP_PKEY_free(key);
	return r;
}

static int load_ca(struct tls *tls, SSL_CTX *ctx)
{
	STACK_OF(X509_NAME) * names;

	if (SSL_CTX_load_verify_file(ctx, path_of(tls, 2)) != 1)
		return refuse_file(tls, 2, "there is no PEM certificate in it");
	if (!tls->server)
		return 0;
	names = SSL_load_client_CA_file(path_of(tls, 2));
	if (!names)
		return refuse_file(tls, 2, tls_why_queue());
	SSL_CTX_set_client_CA_list(ctx, names);
	return 0;
}

/* Whether they can be read, and are the same as before. Return: 0 or -EINVAL */
static int look_at_files(struct tls *tls, bool *same)
{
	struct stat now[TLS_N_FILES];

	*same = tls->ctx != NULL;
	for (int i = 0; i < TLS_N_FILES; i++) {
		_cleanup_fd_ int fd = open(path_of(tls, i), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
		const struct stat *old = &tls->stat[i];

		if (fd < 0 || fstat(fd, &now[i]))
			return refuse_file(tls, i, strerror(errno));
		if (!S_ISREG(now[i].st_mode))
			return refuse_file(tls, i, "it is not a regular file");
		*same &= now[i].st_dev == old->st_dev && now[i].st_ino == old->st_ino &&
			 now[i].st_size == old->st_size &&
			 now[i].st_mtim.tv_sec == old->st_mtim.tv_sec &&
			 now[i].st_mtim.tv_nsec == old->st_mtim.tv_nsec;
	}
	/* Only when all are there: until then, what has changed must look changed the next time. */
	memcpy(tls->stat, now, sizeof(now));
	return 0;
}

static int on_peer_verify(int ok, X509_STORE_CTX *store)
{
	const SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
	struct tls_link *link = SSL_get_app_data(ssl);

	if (!ok && !*link->why)
		tls_why_verify(link->tls, store, link->why);
	return ok;
}

/* A server offers a ticket when it has accepted us. Return: 0: it is not kept */
static int on_session_ticket(SSL *ssl, SSL_SESSION *session)
{
	struct tls_link *link = SSL_get_app_data(ssl);

	link->confirmed = true;
	return 0;
}

static SSL_CTX *new_context(const struct tls *tls)
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
	SSL_CTX_sess_set_new_cb(ctx, on_session_ticket);
	SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_RELEASE_BUFFERS);
	SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, on_peer_verify);
	return ctx;
}

static int load_files(struct tls *tls)
{
	SSL_CTX *ctx = new_context(tls);
	int r = ctx ? 0 : -EINVAL;

	SSL_CTX_free(tls->ctx);
	tls->ctx = NULL;
	if (r)
		snprintf(tls->why, sizeof(tls->why), "%s", tls_why_queue());
	else if (SSL_CTX_use_certificate_chain_file(ctx, path_of(tls, 0)) != 1)
		r = refuse_file(tls, 0, "there is no PEM certificate in it");
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

static int check_cert_time(struct tls *tls)
{
	const X509 *cert = SSL_CTX_get0_certificate(tls->ctx);

	if (X509_cmp_current_time(X509_get0_notAfter(cert)) < 0)
		return refuse_file(tls, 0, "it has expired");
	if (X509_cmp_current_time(X509_get0_notBefore(cert)) > 0)
		return refuse_file(tls, 0, "it is not valid yet");
	return 0;
}

int tls_check(struct tls *tls, char why[ENDPOINT_ERROR_BYTES])
{
	bool same;
	int r;

	*tls->why = 0;
	r = look_at_files(tls, &same);
	if (!r && !same)
		r = load_files(tls);
	if (!r)
		r = check_cert_time(tls);
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

int tls_share(struct tls **out, const struct tls *from, struct channel *ch,
	      const struct tls_ops *ops, void *arg)
{
	int r = tls_new(out, ch, from->cfg, from->peer_name, from->server, ops, arg);

	if (r)
		return r;
	SSL_CTX_up_ref(from->ctx);
	(*out)->ctx = from->ctx;
	return 0;
}

void tls_move(struct tls *tls, struct channel *ch, const struct tls_ops *ops, void *arg)
{
	tls->ch = ch;
	tls->ops = ops;
	tls->arg = arg;
	tls->cfg = &ch->cfg->endpoint;
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

#include "http/tls_conn.h"

#include <fcntl.h>
#include <openssl/err.h>
#include <sys/socket.h>

#include "http/client_certificate.h"
#include "http/fault.h"

static struct conn *conn_of_ssl(const SSL *ssl)
{
    return conn_of_socket(BIO_get_data(SSL_get_rbio(ssl)));
}

bool tls_conn_take_key_update(struct tls_conn *tls, usec_t now)
{
    const usec_t passed = usec_sub(now, tls->key_updates_since) / USEC_PER_SEC;
    tls->n_key_updates -= (unsigned)MIN((usec_t)tls->n_key_updates, passed);
    tls->key_updates_since = tls->n_key_updates == 0 ? now : tls->key_updates_since + passed * USEC_PER_SEC;
    if (tls->n_key_updates >= TLS_KEY_UPDATES_MAX)
        return false;
    tls->n_key_updates++;
    return true;
}

/* OpenSSL bounds what else costs much and does nothing: empty records, warnings, and messages that are too
 * long. */
static void on_message(int is_write, int version, int type, const void *data, size_t size, SSL *ssl,
                       void *userdata)
{
    if (is_write || type != SSL3_RT_HANDSHAKE || size == 0 ||
        *(const unsigned char *)data != SSL3_MT_KEY_UPDATE)
        return;
    struct conn *conn = conn_of_ssl(ssl);
    if (tls_conn_take_key_update(&conn->tls, now_monotonic()) || SSL_get_shutdown(ssl))
        return;
    conn_fault(conn, CLIENT_FAULT_KEY_UPDATES, NULL);
    SSL_set_shutdown(ssl, SSL_RECEIVED_SHUTDOWN | SSL_SENT_SHUTDOWN); /* it reads no further */
}

void tls_conn_watch(SSL_CTX *context)
{
    SSL_CTX_set_msg_callback(context, on_message);
}

/* Keeps what is written between two moments at which OpenSSL waits for the client: h2o sends all of that when
 * the handshake goes on, and none of it when it has failed. */
static long on_bio(BIO *bio, int operation, const char *data, size_t size, int argi, long argl, int result,
                   size_t *processed)
{
    struct tls_conn *tls = (void *)BIO_get_callback_arg(bio);
    if (operation == BIO_CB_WRITE) {
        if (tls->n_written + size <= sizeof(tls->written))
            memcpy(tls->written + tls->n_written, data, size);
        tls->n_written += size;
    } else if (operation == (BIO_CB_READ | BIO_CB_RETURN) && result <= 0) {
        tls->n_written = 0;
    }
    return result;
}

void tls_conn_begin(SSL *ssl)
{
    struct conn *conn = conn_of_ssl(ssl);
    BIO *bio = SSL_get_wbio(ssl);
    conn->tls.ssl = ssl;
    BIO_set_callback_arg(bio, (char *)&conn->tls);
    BIO_set_callback_ex(bio, on_bio);
}

static void send_alert(struct conn *conn)
{
    const struct tls_conn *tls = &conn->tls;
    if (tls->n_written == 0 || tls->n_written > sizeof(tls->written))
        return;
    const int fd = h2o_socket_get_fd(conn->sock);
    if (send(fd, tls->written, tls->n_written, MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)tls->n_written)
        conn->linger_fd = fcntl(fd, F_DUPFD_CLOEXEC, 3); /* or a reset could overtake it */
}

/* Why, in a few words; NULL when it was not the client's doing, or it just went away. */
static const char *failure_of(const struct conn *conn, const char *error)
{
    if (error == h2o_socket_error_closed || error == h2o_socket_error_io ||
        error == h2o_socket_error_out_of_memory)
        return NULL;
    if (conn->tls.ssl && SSL_get_verify_result(conn->tls.ssl) != X509_V_OK)
        return error; /* what is wrong with its certificate */
    const char *reason = ERR_reason_error_string(ERR_peek_error());
    return reason ? reason : error;
}

static void remember_certificate(struct conn *conn)
{
    const X509 *certificate = SSL_get0_peer_certificate(conn->tls.ssl);
    if (certificate && SSL_get_verify_result(conn->tls.ssl) == X509_V_OK)
        conn->certificate = client_certificate_new(certificate);
}

void tls_conn_end(struct conn *conn, const char *error)
{
    if (!error) {
        if (conn->origin->listener->client_verify != CLIENT_VERIFY_NONE)
            remember_certificate(conn);
    } else {
        const char *failure = failure_of(conn, error);
        if (failure)
            conn_fault(conn, CLIENT_FAULT_HANDSHAKE_FAILED, failure);
        send_alert(conn);
    }
    if (conn->tls.ssl)
        BIO_set_callback_ex(SSL_get_wbio(conn->tls.ssl), NULL);
    if (error)
        conn->tls.ssl = NULL;
}

void tls_conn_break_off(struct conn *conn)
{
    if (conn->tls.ssl)
        SSL_set_quiet_shutdown(conn->tls.ssl, 1);
}

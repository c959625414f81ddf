#include "http/client_certificate.h"

#include <openssl/bn.h>
#include <openssl/evp.h>
#include <openssl/x509.h>

#include "util/strbuf.h"

/*
 * X-Client-Cert-Verified: yes                    no, when none was shown
 * X-Client-Cert-Subject: CN=alice,O=Example      RFC 2253, in ASCII: other bytes as \XX
 * X-Client-Cert-Issuer: CN=Example CA
 * X-Client-Cert-Serial: 1A2B                     hexadecimal
 * X-Client-Cert-Fingerprint: 9f86…               SHA-256 of the certificate, hexadecimal
 * Client-Cert: :MIIB…:                           RFC 9440, as a Byte Sequence of RFC 8941
 */
struct client_certificate {
    struct strbuf names;
    struct strbuf all; /* these, and the certificate itself */
};

static void add_field(struct strbuf *out, const char *name, struct slice value)
{
    strbuf_addf(out, "%s: ", name);
    strbuf_add_slice(out, value);
    strbuf_add_string(out, "\r\n");
}

static bool is_printable(struct slice s)
{
    for (size_t i = 0; i < s.size; i++)
        if (s.data[i] < 0x20 || s.data[i] > 0x7e)
            return false;
    return true;
}

static void add_name(struct strbuf *out, const char *field, const X509_NAME *name)
{
    BIO *memory = BIO_new(BIO_s_mem());
    char *data = NULL;
    if (!memory)
        abort();
    if (X509_NAME_print_ex(memory, name, 0, XN_FLAG_RFC2253) >= 0) {
        const long size = BIO_get_mem_data(memory, &data);
        const struct slice text = slice_make(data, size > 0 ? (size_t)size : 0);
        if (text.size > 0 && text.size <= CLIENT_CERTIFICATE_NAME_MAX && is_printable(text))
            add_field(out, field, text);
    }
    BIO_free(memory);
}

static void add_serial(struct strbuf *out, const X509 *certificate)
{
    BIGNUM *number = ASN1_INTEGER_to_BN(X509_get0_serialNumber(certificate), NULL);
    char *hex = number ? BN_bn2hex(number) : NULL;
    if (hex && strlen(hex) <= CLIENT_CERTIFICATE_NAME_MAX)
        add_field(out, "X-Client-Cert-Serial", slice_of(hex));
    OPENSSL_free(hex);
    BN_free(number);
}

static void add_fingerprint(struct strbuf *out, const X509 *certificate)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned int size = 0;
    if (X509_digest(certificate, EVP_sha256(), digest, &size) != 1)
        return;
    strbuf_add_string(out, "X-Client-Cert-Fingerprint: ");
    strbuf_add_hex(out, digest, size);
    strbuf_add_string(out, "\r\n");
}

static void add_whole(struct strbuf *out, const X509 *certificate)
{
    unsigned char *der = NULL;
    const int size = i2d_X509(certificate, &der);
    if (size > 0 && size <= CLIENT_CERTIFICATE_DER_MAX) {
        strbuf_add_string(out, "Client-Cert: :");
        char *to = strbuf_reserve(out, (size_t)size / 3 * 4 + 5);
        out->size += (size_t)EVP_EncodeBlock((unsigned char *)to, der, size);
        strbuf_add_string(out, ":\r\n");
    }
    OPENSSL_free(der);
}

struct client_certificate *client_certificate_new(const X509 *certificate)
{
    struct client_certificate *new = xcalloc(1, sizeof(*new));
    strbuf_add_string(&new->names, "X-Client-Cert-Verified: yes\r\n");
    add_name(&new->names, "X-Client-Cert-Subject", X509_get_subject_name(certificate));
    add_name(&new->names, "X-Client-Cert-Issuer", X509_get_issuer_name(certificate));
    add_serial(&new->names, certificate);
    add_fingerprint(&new->names, certificate);
    strbuf_add(&new->all, new->names.data, new->names.size);
    add_whole(&new->all, certificate);
    return new;
}

struct client_certificate *client_certificate_free(struct client_certificate *certificate)
{
    if (!certificate)
        return NULL;
    strbuf_deinit(&certificate->names);
    strbuf_deinit(&certificate->all);
    free(certificate);
    return NULL;
}

struct slice client_certificate_fields(const struct client_certificate *certificate,
                                       enum client_certificate_fields which)
{
    if (which == CLIENT_CERTIFICATE_FIELDS_NONE)
        return slice_make("", 0);
    if (!certificate)
        return SLICE_LITERAL("X-Client-Cert-Verified: no\r\n");
    const struct strbuf *fields =
        which == CLIENT_CERTIFICATE_FIELDS_ALL ? &certificate->all : &certificate->names;
    return slice_make(fields->data, fields->size);
}

/* Letters in lower case, digits as they are, anything else '-'. */
static char fold(char c)
{
    if (c >= 'A' && c <= 'Z')
        return (char)(c | 0x20);
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ? c : '-';
}

static bool folds_to(struct slice name, struct slice folded)
{
    for (size_t i = 0; i < folded.size; i++)
        if (fold(name.data[i]) != folded.data[i])
            return false;
    return true;
}

bool client_certificate_owns_field(struct slice name)
{
    static const struct slice prefixes[] = {SLICE_LITERAL("client-cert"), SLICE_LITERAL("x-client-cert")};
    for (size_t i = 0; i < ARRAY_SIZE(prefixes); i++)
        if (name.size >= prefixes[i].size && folds_to(name, prefixes[i]))
            return true;
    return false;
}

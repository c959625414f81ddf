/* What comes to us about TLS and is not read by OpenSSL alone. The first byte says what the rest is: a
 * client's server_name extension or its list of protocols, a certificate that it shows, or the ticket keys of
 * another generation.
 */

#include <jansson.h>
#include <openssl/x509.h>

#include "http/client_certificate.h"
#include "http/tls_profile.h"
#include "http/tls_tickets.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_within(struct slice part, struct slice whole)
{
    assert(part.size == 0 || (part.data >= whole.data && part.data + part.size <= whole.data + whole.size));
}

/* Lines, each of printable ASCII. */
static void check_fields(struct slice fields)
{
    assert(fields.size >= 2 && memcmp(fields.data + fields.size - 2, "\r\n", 2) == 0);
    while (fields.size > 0) {
        struct slice line = slice_split(&fields, '\r');
        assert(memchr(line.data, ':', line.size));
        for (size_t i = 0; i < line.size; i++)
            assert(line.data[i] >= 0x20 && line.data[i] <= 0x7e);
        assert(client_certificate_owns_field(line));
        assert(fields.size > 0 && fields.data[0] == '\n');
        fields = slice_skip(fields, 1);
    }
}

static void check_certificate(const uint8_t *data, size_t size)
{
    X509 *x509 = d2i_X509(NULL, &data, (long)size);
    if (!x509)
        return;
    struct client_certificate *certificate = client_certificate_new(x509);
    check_fields(client_certificate_fields(certificate, CLIENT_CERTIFICATE_FIELDS_NAMES));
    check_fields(client_certificate_fields(certificate, CLIENT_CERTIFICATE_FIELDS_ALL));
    client_certificate_free(certificate);
    X509_free(x509);
}

static void check_keys(const uint8_t *data, size_t size)
{
    json_t *document = json_loadb((const char *)data, size, JSON_DECODE_ANY, NULL);
    if (!document)
        return;
    struct tls_tickets *tickets = tls_tickets_new(usec_add(now_monotonic(), USEC_PER_SEC));
    tls_tickets_import(tickets, document);
    json_t *first = tls_tickets_export(tickets);
    tls_tickets_import(tickets, first);
    json_t *second = tls_tickets_export(tickets);
    assert(json_equal(first, second));
    json_decref(first);
    json_decref(second);
    json_decref(document);
    tls_tickets_free(tickets);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    const struct slice rest = slice_make((const char *)data + 1, size - 1);
    switch (data[0] % 4) {
    case 0:
        check_within(tls_parse_server_name(rest), rest);
        break;
    case 1:
        check_within(tls_choose_protocol(rest, true), rest);
        assert(!slice_eq(tls_choose_protocol(rest, false), SLICE_LITERAL("h2")));
        break;
    case 2:
        check_certificate(data + 1, size - 1);
        break;
    default:
        check_keys(data + 1, size - 1);
        break;
    }
    return 0;
}

#include "http/tls_staple.h"

#include <openssl/err.h>
#include <openssl/ocsp.h>
#include <openssl/x509v3.h>

/* Clocks differ by so many seconds. */
#define CLOCK_SKEW 300

DEFINE_CLEANUP(OCSP_RESPONSE *, cleanup_response, OCSP_RESPONSE_free)
DEFINE_CLEANUP(OCSP_BASICRESP *, cleanup_basic, OCSP_BASICRESP_free)
DEFINE_CLEANUP(OCSP_CERTID *, cleanup_certid, OCSP_CERTID_free)
DEFINE_CLEANUP(BIO *, cleanup_bio, BIO_free_all)

/* RFC 7633: the certificate is not to be taken without a staple. */
static bool must_staple(const X509 *leaf)
{
    TLS_FEATURE *features = X509_get_ext_d2i(leaf, NID_tlsfeature, NULL, NULL);
    bool found = false;
    for (int i = 0; i < sk_ASN1_INTEGER_num(features); i++)
        found |= ASN1_INTEGER_get(sk_ASN1_INTEGER_value(features, i)) == TLSEXT_TYPE_status_request;
    TLS_FEATURE_free(features);
    return found;
}

/* Who has signed the leaf, of the chain that goes with it; NULL when it is not there. */
static X509 *find_issuer(const struct tls_certificate *certificate)
{
    STACK_OF(X509) *chain = NULL;
    SSL_CTX_get0_chain_certs(certificate->context, &chain);
    for (int i = 0; i < sk_X509_num(chain); i++)
        if (X509_check_issued(sk_X509_value(chain, i), certificate->leaf) == X509_V_OK)
            return sk_X509_value(chain, i);
    return X509_check_issued(certificate->leaf, certificate->leaf) == X509_V_OK ? certificate->leaf : NULL;
}

/* The part of the response about the leaf. It is found by the issuer where that is known, otherwise by the
 * serial number alone. */
static OCSP_SINGLERESP *find_single(OCSP_BASICRESP *basic, const struct tls_certificate *certificate)
{
    X509 *issuer = find_issuer(certificate);
    for (int i = 0; i < OCSP_resp_count(basic); i++) {
        OCSP_SINGLERESP *single = OCSP_resp_get0(basic, i);
        const OCSP_CERTID *id = OCSP_SINGLERESP_get0_id(single);
        ASN1_OBJECT *algorithm = NULL;
        ASN1_INTEGER *serial = NULL;
        if (OCSP_id_get0_info(NULL, &algorithm, NULL, &serial, (OCSP_CERTID *)(uintptr_t)id) != 1)
            continue;
        if (!issuer) {
            if (ASN1_INTEGER_cmp(serial, X509_get0_serialNumber(certificate->leaf)) == 0)
                return single;
            continue;
        }
        const EVP_MD *md = EVP_get_digestbyobj(algorithm);
        _cleanup_(cleanup_certid)
        OCSP_CERTID *ours = md ? OCSP_cert_to_id(md, certificate->leaf, issuer) : NULL;
        if (ours && OCSP_id_cmp(ours, id) == 0)
            return single;
    }
    return NULL;
}

static int refuse(const struct certificate_config *config, const struct tls_loading *loading,
                  const char *problem, const char *reason)
{
    config_report_add(loading->report, true, config->ocsp_place, loading->section, "TLSOCSPResponse",
                      config->ocsp,
                      "a readable file with the OCSP response (DER) for the certificate beside it", "%s%s%s",
                      problem, reason ? ": " : "", reason ? reason : "");
    return -EBADMSG;
}

static void pass_over(const struct certificate_config *config, const struct tls_loading *loading,
                      const char *problem)
{
    config_report_add(loading->report, false, config->ocsp_place, loading->section, "TLSOCSPResponse",
                      config->ocsp, "a response that is fetched anew, then a reload",
                      "%s: nothing is stapled", problem);
}

/* What the response says of the certificate; NULL when it can be stapled. */
static const char *judge(OCSP_SINGLERESP *single)
{
    ASN1_GENERALIZEDTIME *this_update = NULL, *next_update = NULL;
    const int status = OCSP_single_get0_status(single, NULL, NULL, &this_update, &next_update);
    if (status == V_OCSP_CERTSTATUS_REVOKED)
        return "the certificate was revoked";
    if (status != V_OCSP_CERTSTATUS_GOOD)
        return "the certificate is not known to its authority";
    if (OCSP_check_validity(this_update, next_update, CLOCK_SKEW, -1) == 1)
        return NULL;
    return ERR_GET_REASON(ERR_peek_last_error()) == OCSP_R_STATUS_NOT_YET_VALID
               ? "the response is not valid yet"
               : "the response is too old";
}

int tls_staple_load(struct tls_certificate *certificate, const struct certificate_config *config,
                    const struct tls_loading *loading)
{
    if (!config->ocsp) {
        if (must_staple(certificate->leaf))
            config_report_add(loading->report, false, config->certificate_place, loading->section,
                              "TLSCertificate", config->certificate, "TLSOCSPResponse= beside it",
                              "the certificate demands an OCSP response, and clients refuse it without");
        return 0;
    }
    ERR_clear_error();
    _cleanup_(cleanup_bio)
    BIO *file = tls_read_file(config->ocsp);
    if (!file)
        return refuse(config, loading, "cannot be read", strerror(errno));
    _cleanup_(cleanup_response)
    OCSP_RESPONSE *response = d2i_OCSP_RESPONSE_bio(file, NULL);
    if (!response)
        return refuse(config, loading, "is no OCSP response", tls_reason());
    if (OCSP_response_status(response) != OCSP_RESPONSE_STATUS_SUCCESSFUL)
        return refuse(config, loading, "the authority gave no answer",
                      OCSP_response_status_str(OCSP_response_status(response)));
    _cleanup_(cleanup_basic)
    OCSP_BASICRESP *basic = OCSP_response_get1_basic(response);
    OCSP_SINGLERESP *single = basic ? find_single(basic, certificate) : NULL;
    if (!single)
        return refuse(config, loading, "is not about the certificate beside it", NULL);
    const char *problem = judge(single);
    ERR_clear_error();
    if (problem) {
        pass_over(config, loading, problem);
        return 0;
    }
    const int size = i2d_OCSP_RESPONSE(response, &certificate->staple.response);
    certificate->staple.size = size > 0 ? (size_t)size : 0;
    return 0;
}

static int on_status_request(SSL *ssl, void *userdata)
{
    const struct tls_certificate *certificate = userdata;
    /* The library frees what it is given. */
    unsigned char *copy = OPENSSL_memdup(certificate->staple.response, certificate->staple.size);
    if (!copy || SSL_set_tlsext_status_ocsp_resp(ssl, copy, (long)certificate->staple.size) != 1) {
        OPENSSL_free(copy);
        return SSL_TLSEXT_ERR_NOACK;
    }
    return SSL_TLSEXT_ERR_OK;
}

void tls_certificate_attach(struct tls_certificate *certificate)
{
    if (!certificate->staple.response)
        return;
    SSL_CTX_set_tlsext_status_cb(certificate->context, on_status_request);
    SSL_CTX_set_tlsext_status_arg(certificate->context, certificate);
}

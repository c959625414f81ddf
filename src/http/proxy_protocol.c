#include "http/proxy_protocol.h"

/* Version 1: a line of text. */

#define V1_MAX 107 /* with CR LF */

#define V1_SIGNATURE "PROXY "

/* Decimal digits without leading zeros (2.1). */
static bool parse_port(struct slice s, uint16_t *ret)
{
    unsigned port = 0;

    if (s.size == 0 || s.size > 5 || (s.size > 1 && s.data[0] == '0'))
        return false;
    for (size_t i = 0; i < s.size; i++) {
        if (s.data[i] < '0' || s.data[i] > '9')
            return false;
        port = port * 10 + (unsigned)(s.data[i] - '0');
    }
    *ret = (uint16_t)port;
    return port <= UINT16_MAX;
}

static bool parse_address(struct slice s, bool is_v6, struct ip_address *ret)
{
    return (memchr(s.data, ':', s.size) != NULL) == is_v6 && ip_address_parse(s, ret);
}

/* What stands between the signature and CR LF. */
static const char *parse_line(struct slice rest, struct proxy_header *ret)
{
    const struct slice family = slice_split(&rest, ' ');
    const bool is_v6 = slice_eq(family, SLICE_LITERAL("TCP6"));

    if (slice_eq(family, SLICE_LITERAL("UNKNOWN")))
        return NULL; /* whatever follows is to be ignored */
    if (!is_v6 && !slice_eq(family, SLICE_LITERAL("TCP4")))
        return "after PROXY stands neither TCP4, TCP6 nor UNKNOWN";
    const struct slice source = slice_split(&rest, ' '), destination = slice_split(&rest, ' ');
    const struct slice source_port = slice_split(&rest, ' ');
    if (!parse_address(source, is_v6, &ret->source) || !parse_address(destination, is_v6, &ret->destination))
        return "an address is none of its family";
    if (!parse_port(source_port, &ret->source_port) || !parse_port(rest, &ret->destination_port))
        return "a port is none";
    return NULL;
}

static int parse_v1(const uint8_t *data, size_t size, struct proxy_header *ret, const char **ret_problem)
{
    const struct slice line = slice_make((const char *)data, MIN(size, (size_t)V1_MAX));
    size_t end = STRLEN(V1_SIGNATURE);

    if (size < end)
        return PROXY_HEADER_MORE;
    while (end < line.size && line.data[end] != '\r' && line.data[end] != '\n')
        end++;
    if (end + 1 < line.size && line.data[end] == '\r' && line.data[end + 1] == '\n') {
        *ret_problem =
            parse_line(slice_make(line.data + STRLEN(V1_SIGNATURE), end - STRLEN(V1_SIGNATURE)), ret);
        ret->size = end + 2;
        return *ret_problem ? PROXY_HEADER_MALFORMED : 0;
    }
    if (end < line.size && (line.data[end] == '\n' || end + 1 < line.size)) {
        *ret_problem = "its line does not end in CR LF";
        return PROXY_HEADER_MALFORMED;
    }
    if (line.size < V1_MAX)
        return PROXY_HEADER_MORE;
    *ret_problem = "its line is longer than 107 bytes";
    return PROXY_HEADER_MALFORMED;
}

/* Version 2: binary. */

#define V2_HEAD 16
#define V2_CRC32C 0x03 /* the type of a TLV */

static const uint8_t v2_signature[] = {'\r', '\n', '\r', '\n', 0, '\r', '\n', 'Q', 'U', 'I', 'T', '\n'};

static unsigned read_u16(const uint8_t *bytes)
{
    return (unsigned)bytes[0] << 8 | bytes[1];
}

static uint32_t read_u32(const uint8_t *bytes)
{
    return (uint32_t)read_u16(bytes) << 16 | read_u16(bytes + 2);
}

/* CRC-32C (RFC 4960 appendix B), with four bytes at `hole` taken for zero. */
static uint32_t crc32c(const uint8_t *data, size_t size, size_t hole)
{
    uint32_t crc = UINT32_MAX;

    for (size_t i = 0; i < size; i++) {
        crc ^= i >= hole && i < hole + 4 ? 0 : data[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? UINT32_C(0x82f63b78) : 0);
    }
    return ~crc;
}

static const char *check_tlvs(const uint8_t *header, size_t at, size_t size)
{
    while (at < size) {
        if (size - at < 3 || size - at - 3 < read_u16(header + at + 1))
            return "a TLV does not end within it";
        const size_t length = read_u16(header + at + 1), value = at + 3;
        if (header[at] == V2_CRC32C &&
            (length != 4 || read_u32(header + value) != crc32c(header, size, value)))
            return "its checksum is wrong";
        at = value + length;
    }
    return NULL;
}

/* The whole header of a connection that is passed on. */
static const char *parse_passed_on(const uint8_t *header, struct proxy_header *ret)
{
    const uint8_t *addresses = header + V2_HEAD;
    const size_t length = ret->size - V2_HEAD;
    size_t used;

    switch (header[13]) {
    case 0x00: /* UNSPEC: whatever follows is to be ignored */
        return NULL;
    case 0x11: /* TCP over IPv4 */
        used = 12;
        break;
    case 0x21: /* TCP over IPv6 */
        used = 36;
        break;
    case 0x31: /* a stream over a Unix socket */
        used = 216;
        break;
    default:
        return "its family and protocol are none of which streams are made";
    }
    if (length < used)
        return "its addresses do not end within it";
    if (header[13] == 0x11) {
        ret->source = ip_address_v4(addresses);
        ret->destination = ip_address_v4(addresses + 4);
        ret->source_port = (uint16_t)read_u16(addresses + 8);
        ret->destination_port = (uint16_t)read_u16(addresses + 10);
    } else if (header[13] == 0x21) {
        ret->source = ip_address_v6(addresses);
        ret->destination = ip_address_v6(addresses + 16);
        ret->source_port = (uint16_t)read_u16(addresses + 32);
        ret->destination_port = (uint16_t)read_u16(addresses + 34);
    } else {
        ret->source.family = ret->destination.family = IP_UNIX;
    }
    return check_tlvs(header, V2_HEAD + used, ret->size);
}

static int parse_v2(const uint8_t *data, size_t size, struct proxy_header *ret, const char **ret_problem)
{
    *ret_problem = NULL;
    if (size > 12 && data[12] >> 4 != 2)
        *ret_problem = "its version is not 2";
    else if (size > 12 && (data[12] & 0xf) > 1)
        *ret_problem = "its command is neither LOCAL nor PROXY";
    else if (size >= V2_HEAD && V2_HEAD + read_u16(data + 14) > PROXY_HEADER_MAX)
        *ret_problem = "it is longer than 2048 bytes";
    else if (size < V2_HEAD || size < V2_HEAD + read_u16(data + 14))
        return PROXY_HEADER_MORE;
    if (*ret_problem)
        return PROXY_HEADER_MALFORMED;
    ret->size = V2_HEAD + read_u16(data + 14);
    ret->is_local = (data[12] & 0xf) == 0;
    if (!ret->is_local) /* otherwise all that follows is to be skipped, also the family */
        *ret_problem = parse_passed_on(data, ret);
    return *ret_problem ? PROXY_HEADER_MALFORMED : 0;
}

static bool begins_as(const uint8_t *data, size_t size, const void *signature, size_t signature_size)
{
    return memcmp(data, signature, MIN(size, signature_size)) == 0;
}

int proxy_header_parse(const uint8_t *data, size_t size, struct proxy_header *ret, const char **ret_problem)
{
    struct proxy_header header = {0};
    int r;

    if (size == 0)
        return PROXY_HEADER_MORE;
    if (begins_as(data, size, V1_SIGNATURE, STRLEN(V1_SIGNATURE))) {
        r = parse_v1(data, size, &header, ret_problem);
    } else if (begins_as(data, size, v2_signature, sizeof(v2_signature))) {
        r = parse_v2(data, size, &header, ret_problem);
    } else {
        *ret_problem = "there is none";
        r = PROXY_HEADER_MALFORMED;
    }
    if (r == 0)
        *ret = header;
    return r;
}

#include <fcntl.h>
#include <openssl/err.h>
#include <sys/stat.h>

#include "http/tls_internal.h"

#define FILE_SIZE_MAX (16 << 20) /* a bundle of all public authorities is a twentieth of that */

BIO *tls_read_file(const char *path)
{
    struct stat st;
    char buffer[4096];
    /* Without O_NONBLOCK a FIFO in the file's place would hold us for ever. */
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0 || fstat(fd, &st) < 0)
        return NULL;
    if (!S_ISREG(st.st_mode) || st.st_size > FILE_SIZE_MAX) {
        errno = S_ISREG(st.st_mode) ? EFBIG : S_ISDIR(st.st_mode) ? EISDIR : EINVAL;
        return NULL;
    }
    BIO *memory = BIO_new(BIO_s_mem());
    if (!memory)
        abort();
    for (;;) {
        const ssize_t n = read(fd, buffer, sizeof(buffer));
        if (n < 0 && errno == EINTR)
            continue;
        if (n == 0)
            return memory;
        if (n < 0 || BIO_pending(memory) > FILE_SIZE_MAX || BIO_write(memory, buffer, (int)n) != (int)n)
            break;
    }
    const int error = errno;
    BIO_free(memory);
    errno = error;
    return NULL;
}

void tls_digest_file(EVP_MD_CTX *digest, BIO *file)
{
    char *data;
    const long size = BIO_get_mem_data(file, &data);
    const uint64_t length = size > 0 ? (uint64_t)size : 0;
    EVP_DigestUpdate(digest, &length, sizeof(length)); /* so that two files are not one in another place */
    EVP_DigestUpdate(digest, data, length);
}

const char *tls_reason(void)
{
    const unsigned long error = ERR_peek_last_error();
    const char *reason = error ? ERR_reason_error_string(error) : strerror(errno);
    return reason ? reason : "unknown reason";
}

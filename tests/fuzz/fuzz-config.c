/* Any bytes as the main configuration file: a configuration, or problems that can be shown. */

#include <fcntl.h>
#include <sys/mman.h>

#include "config/config.h"
#include "util/parse.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct config_report report = CONFIG_REPORT_INIT;
    struct config *config = NULL;
    char path[64];
    _cleanup_close_ int fd = memfd_create("config", MFD_CLOEXEC);

    if (fd < 0 || write(fd, data, size) != (ssize_t)size)
        abort();
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);

    const struct config_source source = {path, NULL};
    int r = config_load(&source, &config, &report);
    assert((r == 0) == (config != NULL) && (r == 0) == (report.n_errors == 0));
    for (size_t i = 0; i < report.n_problems; i++) {
        _cleanup_strbuf_ struct strbuf line = STRBUF_INIT;
        config_problem_format(&report.problems[i], &line);
        /* Nothing that a terminal would obey comes through. */
        assert(utf8_is_valid(line.data, line.size));
        for (size_t j = 0; j < line.size; j++)
            assert((unsigned char)line.data[j] >= 0x20 && line.data[j] != 0x7f);
    }
    if (config)
        for (size_t i = 0; i < config->n_routes; i++)
            assert(config->routes[i]->kind != ROUTE_UPSTREAM || config->routes[i]->upstream);
    config_report_deinit(&report);
    config_free(config);
    return 0;
}

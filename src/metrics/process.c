#include <dirent.h>
#include <sys/resource.h>

#include "metrics/process.h"

/* Fields of /proc/PID/stat, by the numbers of proc(5). The third is a letter; from the fourth on they are
 * numbers. */
enum {
    STAT_STATE = 3,
    STAT_UTIME = 14,
    STAT_STIME = 15,
    STAT_NUM_THREADS = 20,
    STAT_VSIZE = 23,
    STAT_RSS = 24,
    STAT_LAST = STAT_RSS,
};

static bool read_fields(const char *rest, uint64_t fields[STAT_LAST + 1])
{
    if (rest[0] != ' ' || rest[1] == '\0')
        return false;
    rest += 2; /* past the state */
    for (int field = STAT_STATE + 1; field <= STAT_LAST; field++) {
        char *end;
        errno = 0;
        fields[field] = strtoull(rest, &end, 10); /* some are negative, none of those that are looked at */
        if (end == rest || errno)
            return false;
        rest = end;
    }
    return true;
}

bool process_usage_parse_stat(struct process_usage *usage, const char *line)
{
    /* The second field is the command's name in parentheses and may hold anything, parentheses too. */
    const char *rest = strrchr(line, ')');
    if (!rest)
        return false;

    uint64_t fields[STAT_LAST + 1];
    if (!read_fields(rest + 1, fields))
        return false;
    usage->cpu_seconds = (double)(fields[STAT_UTIME] + fields[STAT_STIME]) / (double)sysconf(_SC_CLK_TCK);
    usage->threads = fields[STAT_NUM_THREADS];
    usage->virtual_memory = fields[STAT_VSIZE];
    usage->resident_memory = fields[STAT_RSS] * (uint64_t)sysconf(_SC_PAGESIZE);
    usage->has_stat = true;
    return true;
}

static bool count_open_fds(uint64_t *ret)
{
    DIR *directory = opendir("/proc/self/fd");
    if (!directory)
        return false;
    uint64_t n = 0;
    for (struct dirent *entry; (entry = readdir(directory));)
        n += entry->d_name[0] != '.';
    closedir(directory);
    /* Less the one that was just used for counting. */
    *ret = n > 0 ? n - 1 : 0;
    return true;
}

void process_usage_read(struct process_usage *ret)
{
    *ret = (struct process_usage){0};

    _cleanup_fclose_ FILE *stat = fopen("/proc/self/stat", "re");
    char line[1024];
    if (stat && fgets(line, sizeof(line), stat))
        process_usage_parse_stat(ret, line);

    ret->has_open_fds = count_open_fds(&ret->open_fds);

    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY) {
        ret->max_fds = limit.rlim_cur;
        ret->has_max_fds = true;
    }
}

#include <dirent.h>
#include <inttypes.h>
#include <sys/resource.h>

#include "metrics/process.h"

bool process_usage_parse_stat(struct process_usage *usage, const char *line)
{
    /* The second field is the command's name in parentheses and may hold anything, parentheses too. */
    const char *rest = strrchr(line, ')');
    if (!rest)
        return false;

    uint64_t user, system, threads, virtual_memory, resident_pages;
    /* From field 3: state, then 10 numbers, utime, stime, cutime, cstime, priority, nice, num_threads,
     * itrealvalue, starttime, vsize, rss. */
    if (sscanf(rest + 1,
               " %*c %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %" SCNu64 " %" SCNu64 " %*s %*s %*s %*s %" SCNu64
               " %*s %*s %" SCNu64 " %" SCNu64,
               &user, &system, &threads, &virtual_memory, &resident_pages) != 5)
        return false;

    usage->cpu_seconds = (double)(user + system) / (double)sysconf(_SC_CLK_TCK);
    usage->threads = threads;
    usage->virtual_memory = virtual_memory;
    usage->resident_memory = resident_pages * (uint64_t)sysconf(_SC_PAGESIZE);
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

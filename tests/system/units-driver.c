/* Drives src/lifecycle/units.h, on a bus and with a systemd that a test plays.
 *
 *   units-driver [UNIT…]
 *
 * Prints a line "UNIT STATE" for each thing that it is told; an empty state is "-". Commands are lines on
 * stdin:
 *
 *   add UNIT   watches one more
 *   stand      how things stand, as "stand ERROR MICROSECONDS DESCRIPTORS": why systemd cannot be asked, or
 * 0; the longest time that one call has taken; how many descriptors are open
 *
 * It ends with stdin. */

#include <dirent.h>
#include <poll.h>

#include "lifecycle/units.h"

static void on_change(void *userdata, const char *unit, const char *state)
{
    printf("%s %s\n", unit, *state ? state : "-");
    fflush(stdout);
}

static unsigned count_descriptors(void)
{
    DIR *directory = opendir("/proc/self/fd");
    unsigned n = 0;
    while (readdir(directory))
        n++;
    closedir(directory);
    return n - 3; /* ".", ".." and the directory itself */
}

/* False at the end of the commands. */
static bool obey(struct unit_watch *watch, usec_t longest)
{
    char line[256];
    if (!fgets(line, sizeof(line), stdin))
        return false;
    line[strcspn(line, "\n")] = '\0';
    if (strncmp(line, "add ", 4) == 0) {
        unit_watch_add(watch, line + 4);
    } else {
        printf("stand %d %llu %u\n", -unit_watch_fault(watch), (unsigned long long)longest,
               count_descriptors());
        fflush(stdout);
    }
    return true;
}

int main(int argc, char **argv)
{
    struct unit_watch *watch;
    usec_t longest = 0;
    if (unit_watch_new(&watch, on_change, NULL) < 0)
        return EXIT_FAILURE;
    for (int i = 1; i < argc; i++)
        unit_watch_add(watch, argv[i]);
    setvbuf(stdin, NULL, _IONBF, 0); /* what is read ahead would not be polled for */
    for (;;) {
        struct pollfd poll_for[] = {{.fd = STDIN_FILENO, .events = POLLIN},
                                    {.fd = unit_watch_fd(watch), .events = POLLIN}};
        const usec_t wait = usec_sub(unit_watch_due(watch), now_monotonic());
        if (poll(poll_for, 2, (int)usec_min((wait + USEC_PER_MSEC - 1) / USEC_PER_MSEC, INT32_MAX)) < 0)
            return EXIT_FAILURE;
        if (poll_for[0].revents && !obey(watch, longest))
            break;
        const usec_t began = now_monotonic();
        unit_watch_process(watch, began);
        longest = MAX(longest, now_monotonic() - began);
    }
    unit_watch_free(watch);
    return EXIT_SUCCESS;
}

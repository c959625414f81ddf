#include "http/outflow.h"

#include <linux/sockios.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

static bool read_acknowledged(int fd, uint64_t *ret)
{
    struct tcp_info info;
    socklen_t size = sizeof(info);

    if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) < 0 ||
        size < offsetof(struct tcp_info, tcpi_bytes_acked) + sizeof(info.tcpi_bytes_acked))
        return false;
    *ret = info.tcpi_bytes_acked;
    return true;
}

static uint64_t read_queued(int fd)
{
    int queued;
    return ioctl(fd, SIOCOUTQ, &queued) < 0 ? 0 : (uint64_t)queued;
}

bool outflow_is_over(int fd)
{
    return read_queued(fd) == 0;
}

struct outflow outflow_begin(int fd)
{
    struct outflow outflow = {0};

    outflow.is_tcp = read_acknowledged(fd, &outflow.mark);
    if (!outflow.is_tcp)
        outflow.mark = read_queued(fd);
    return outflow;
}

uint64_t outflow_progress(struct outflow *outflow, int fd)
{
    const struct outflow before = *outflow;

    *outflow = outflow_begin(fd);
    if (outflow->is_tcp && before.is_tcp)
        return outflow->mark - before.mark;
    return outflow->mark == before.mark ? 0 : UINT64_MAX;
}

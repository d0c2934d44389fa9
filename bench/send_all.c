/* The least a server can do for a broadcast: one send() per client. */
#include <stddef.h>
#include <sys/socket.h>

int send_all(const int *sockets, int count, const char *frame, size_t size)
{
    for (int i = 0; i < count; i++)
        for (size_t sent = 0; sent < size;) {
            ssize_t n = send(sockets[i], frame + sent, size - sent, MSG_NOSIGNAL);
            if (n < 0)
                return -1;
            sent += (size_t)n;
        }
    return 0;
}

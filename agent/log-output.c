/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "agent/log-output.h"

#include <errno.h>
#include <unistd.h>

void log_output_init(LogOutput *output, char *name)
{
    output->fd = -1;
    output->name = name;
    output->rest = g_string_new(NULL);
}

void log_output_free(LogOutput *output)
{
    if (output->fd >= 0)
        close(output->fd);
    g_free(output->name);
    g_string_free(output->rest, TRUE);
    g_free(output);
}

/* Returns how many bytes went out before put() stopped, and why in *cause (0: all did). */
static size_t put_some(LogOutput *output, LogOutputPut put, const char *bytes, size_t length,
                       int *cause)
{
    size_t done = 0;
    *cause = 0;
    while (done < length) {
        ssize_t count = put(output, bytes + done, length - done);
        if (count < 0 && errno == EINTR)
            continue;
        if (count <= 0) {
            *cause = count < 0 ? errno : EIO;
            break;
        }
        done += (size_t)count;
    }
    return done;
}

int log_output_put(LogOutput *output, LogOutputPut put, const char *bytes, size_t length)
{
    int cause;
    size_t done = put_some(output, put, output->rest->str, output->rest->len, &cause);
    g_string_erase(output->rest, 0, (gssize)done);
    if (cause != 0)
        return cause;
    done = put_some(output, put, bytes, length, &cause);
    if (done > 0 && done < length) {
        g_string_append_len(output->rest, bytes + done, (gssize)(length - done));
        return 0;
    }
    return cause;
}

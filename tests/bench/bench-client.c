/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * bench-client ping COUNT PID  < SOCKET
 * bench-client pipeline COUNT  < SOCKET
 * bench-client read|write BYTES COUNT FILE  < SOCKET
 * bench-client start SOCKET PROGRAM ARGUMENT...
 *
 * A host that costs next to nothing, so that what is measured is the agent. Standard input is the
 * connected socket. Prints, in a line:
 *   ping      the median round trip and the agent's processor time for one, in microseconds, with
 *             this program and process PID on one processor
 *   pipeline  pings answered per second, with 64 of them under way
 *   read      megabytes (10^6) of FILE per second, with BYTES in each of COUNT guest-file-read
 *   write     the same for guest-file-write
 *   start     milliseconds from fork to the first reply to a ping; the program is ended after
 * The time on the processor is the scheduler's: /proc/PID/schedstat, linux/Documentation/scheduler/
 * sched-stats.rst.
 */
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define DEPTH 64u
#define BUFFER_BYTES (1024u * 1024)
#define START_DEADLINE_S 10.0

static const char ping[] = "{\"execute\":\"guest-ping\"}\n";
static char buffer[BUFFER_BYTES];

static double now_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static size_t number(const char *text)
{
    char *end;
    size_t value = strtoul(text, &end, 10);
    if (end == text || *end != '\0')
        errx(EXIT_FAILURE, "%s is no number", text);
    return value;
}

static void put(int fd, const void *bytes, size_t length)
{
    while (length > 0) {
        ssize_t count = write(fd, bytes, length);
        if (count < 0)
            err(EXIT_FAILURE, "cannot send a request");
        bytes = (const char *)bytes + count;
        length -= (size_t)count;
    }
}

static size_t get(int fd)
{
    ssize_t count = read(fd, buffer, sizeof buffer);
    if (count <= 0)
        err(EXIT_FAILURE, "the agent does not answer");
    return (size_t)count;
}

/* Reads one line; what of it came first stays at the beginning of the buffer, with a NUL behind.
 * Returns the line's length. */
static size_t get_reply(int fd)
{
    size_t length = get(fd);
    char last = buffer[length - 1];
    char beginning[256];
    snprintf(beginning, sizeof beginning, "%.*s", (int)length, buffer);

    while (last != '\n') {
        size_t count = get(fd);
        last = buffer[count - 1];
        length += count;
    }
    strcpy(buffer, beginning);
    if (strncmp(buffer, "{\"return\":", 10) != 0)
        errx(EXIT_FAILURE, "the agent refuses: %s", buffer);
    return length;
}

static void request(int fd, const char *text)
{
    put(fd, text, strlen(text));
    get_reply(fd);
}

static double processor_time_us(const char *pid)
{
    char path[64];
    unsigned long long time_ns;
    snprintf(path, sizeof path, "/proc/%s/schedstat", pid);
    FILE *file = fopen(path, "r");
    if (file == NULL || fscanf(file, "%llu", &time_ns) != 1)
        err(EXIT_FAILURE, "cannot read %s", path);
    fclose(file);
    return (double)time_ns / 1e3;
}

static void share_processor(const char *pid, bool shared)
{
    cpu_set_t all = {0}, one;
    CPU_ZERO(&one);
    CPU_SET(0, &one);
    for (size_t cpu = 0; cpu < CPU_SETSIZE; cpu++)
        CPU_SET(cpu, &all);
    const cpu_set_t *set = shared ? &one : &all;
    if (sched_setaffinity((pid_t)number(pid), sizeof *set, set) < 0 ||
        sched_setaffinity(0, sizeof *set, set) < 0)
        err(EXIT_FAILURE, "cannot pin process %s", pid);
}

static int compare(const void *left, const void *right)
{
    double a = *(const double *)left, b = *(const double *)right;
    return (a > b) - (a < b);
}

static void time_pings(int fd, size_t count, const char *pid)
{
    double *times_us = calloc(count + 1, sizeof *times_us);
    if (times_us == NULL)
        err(EXIT_FAILURE, "no memory");
    share_processor(pid, true);
    for (size_t i = 0; i < 100; i++)
        request(fd, ping);
    double busy_us = processor_time_us(pid);
    for (size_t i = 0; i < count; i++) {
        double start = now_s();
        request(fd, ping);
        times_us[i] = (now_s() - start) * 1e6;
    }
    busy_us = processor_time_us(pid) - busy_us;
    share_processor(pid, false);
    qsort(times_us, count, sizeof *times_us, compare);
    printf("%.3f %.3f\n", times_us[count / 2], busy_us / (double)count);
    free(times_us);
}

static size_t count_lines(size_t length)
{
    size_t lines = 0;
    for (size_t i = 0; i < length; i++)
        lines += buffer[i] == '\n';
    return lines;
}

static void time_pipeline(int fd, size_t count)
{
    static char requests[DEPTH * (sizeof ping - 1) + 1];
    for (size_t i = 0; i < DEPTH; i++)
        strcpy(requests + i * (sizeof ping - 1), ping);
    double start = now_s();
    size_t sent = DEPTH, answered = 0;
    put(fd, requests, DEPTH * (sizeof ping - 1));
    while (answered < count) {
        size_t lines = count_lines(get(fd));
        answered += lines;
        size_t more = sent < count ? lines : 0;
        sent += more;
        put(fd, requests, more * (sizeof ping - 1));
    }
    double seconds = now_s() - start;
    while (answered < sent)
        answered += count_lines(get(fd));
    printf("%.3f\n", (double)count / seconds);
}

static long open_in_agent(int fd, const char *path, const char *mode)
{
    char text[4096 + 128];
    snprintf(text, sizeof text,
             "{\"execute\":\"guest-file-open\",\"arguments\":{\"path\":\"%s\",\"mode\":\"%s\"}}\n",
             path, mode);
    request(fd, text);
    return strtol(buffer + strlen("{\"return\":"), NULL, 10);
}

static void rewind_in_agent(int fd, long handle)
{
    char text[256];
    snprintf(text, sizeof text,
             "{\"execute\":\"guest-file-seek\",\"arguments\":{\"handle\":%ld,\"offset\":0,"
             "\"whence\":\"set\"}}\n",
             handle);
    request(fd, text);
}

static void close_in_agent(int fd, long handle)
{
    char text[128];
    snprintf(text, sizeof text,
             "{\"execute\":\"guest-file-close\",\"arguments\":{\"handle\":%ld}}\n", handle);
    request(fd, text);
}

static double time_reads(int fd, size_t bytes, size_t count, const char *path)
{
    char text[256];
    double seconds = 0;
    long handle = open_in_agent(fd, path, "r");

    snprintf(text, sizeof text,
             "{\"execute\":\"guest-file-read\",\"arguments\":{\"handle\":%ld,\"count\":%zu}}\n",
             handle, bytes);
    for (size_t i = 0; i < count; i++) {
        rewind_in_agent(fd, handle);
        double start = now_s();
        put(fd, text, strlen(text));
        size_t length = get_reply(fd);
        seconds += now_s() - start;
        if (length < bytes / 3 * 4)
            errx(EXIT_FAILURE, "%zu bytes came instead of %zu: %s", length, bytes / 3 * 4, buffer);
    }
    close_in_agent(fd, handle);
    return seconds;
}

static double time_writes(int fd, size_t bytes, size_t count, const char *path)
{
    size_t digits = bytes / 3 * 4;
    char *text = malloc(digits + 256);
    double seconds = 0;
    long handle = open_in_agent(fd, path, "w");

    if (text == NULL)
        err(EXIT_FAILURE, "no memory");
    int head = sprintf(text,
                       "{\"execute\":\"guest-file-write\",\"arguments\":{\"handle\":%ld,"
                       "\"buf-b64\":\"",
                       handle);
    for (size_t i = 0; i < digits; i++)
        text[head + (int)i] =
            "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"[i * 7919 % 4099 %
                                                                               64];
    strcpy(text + head + digits, "\"}}\n");
    for (size_t i = 0; i < count; i++) {
        rewind_in_agent(fd, handle);
        double start = now_s();
        request(fd, text);
        seconds += now_s() - start;
    }
    close_in_agent(fd, handle);
    free(text);
    return seconds;
}

static int try_connect(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    if (connect(fd, (const struct sockaddr *)&address, sizeof address) == 0)
        return fd;
    close(fd);
    return -1;
}

static void time_start(const char *path, char **command)
{
    const struct timespec pause = {.tv_nsec = 20000};
    double start = now_s();
    int fd = -1;
    pid_t child = fork();

    if (child == 0) {
        execv(command[0], command);
        err(EXIT_FAILURE, "cannot run %s", command[0]);
    }
    while ((fd = try_connect(path)) < 0 && now_s() - start < START_DEADLINE_S)
        nanosleep(&pause, NULL);
    if (fd < 0)
        errx(EXIT_FAILURE, "nobody listens at %s", path);
    request(fd, ping);
    printf("%.3f\n", (now_s() - start) * 1e3);
    close(fd);
    kill(child, SIGTERM);
    waitpid(child, NULL, 0);
}

int main(int argc, char **argv)
{
    const char *what = argc > 1 ? argv[1] : "";
    int fd = STDIN_FILENO;
    int flags = fcntl(fd, F_GETFL);

    if (strcmp(what, "start") == 0 && argc > 3) {
        time_start(argv[2], argv + 3);
        return EXIT_SUCCESS;
    }
    fcntl(fd, F_SETFL, flags & ~O_NONBLOCK);
    if (strcmp(what, "ping") == 0 && argc == 4)
        time_pings(fd, number(argv[2]), argv[3]);
    else if (strcmp(what, "pipeline") == 0 && argc == 3)
        time_pipeline(fd, number(argv[2]));
    else if (strcmp(what, "read") == 0 && argc == 5)
        printf("%.3f\n", (double)(number(argv[2]) * number(argv[3])) / 1e6 /
                             time_reads(fd, number(argv[2]), number(argv[3]), argv[4]));
    else if (strcmp(what, "write") == 0 && argc == 5)
        printf("%.3f\n", (double)(number(argv[2]) * number(argv[3])) / 1e6 /
                             time_writes(fd, number(argv[2]), number(argv[3]), argv[4]));
    else
        errx(EXIT_FAILURE, "usage: see the head of %s", __FILE__);
    fcntl(fd, F_SETFL, flags);
    return EXIT_SUCCESS;
}

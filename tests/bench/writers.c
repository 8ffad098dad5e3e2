/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * bench-writers paced|files DIRECTORY...
 *
 * Writes to each directory in a thread of its own until standard input ends, and times every write.
 * paced: one page a millisecond, as a log or a database does. files: small files, each with fsync,
 * one after the other. A directory named twice has two writers.
 *
 * Obeys on standard input, a line each, and answers each with a line on standard output:
 *   dirty MIB  writes so much to each directory without syncing it
 *   mark       forgets what was measured so far
 *   longest    the longest write of each writer since the mark, in microseconds
 *   across US  the write of each writer that was under way at this moment of CLOCK_MONOTONIC; 0 for
 *              a writer that was between two writes
 * The last two wait until no write begun before is still under way.
 */
#include <err.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define PACE_NS 1000000L
#define PAGE_BYTES 4096
#define PAGES 1024u /* written over and over */
#define SMALL_FILE_BYTES 1000
#define SMALL_FILES 500u /* likewise */
#define NOTED 1024u      /* writes that are remembered */
#define NOTED_FROM_US 50
#define CHUNK_BYTES (1024 * 1024)

typedef struct {
    int64_t began_us;
    int64_t ended_us;
} Write;

typedef struct {
    unsigned number;
    const char *directory;
    int directory_fd;
    int fd; /* of the paced writer's file */
    _Atomic uint64_t completed;
    _Atomic int64_t longest_us;
    Write noted[NOTED]; /* those that took NOTED_FROM_US or more, over and over */
    unsigned n_noted;
} Writer;

typedef void WriteOnce(Writer *writer);

static WriteOnce *write_once;
static long pace_ns;
static int dirty_mib;

static int64_t now_us(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * INT64_C(1000000) + now.tv_nsec / 1000;
}

static void write_page(Writer *writer)
{
    static const char page[PAGE_BYTES] = {1};
    off_t offset = (off_t)(writer->completed % PAGES) * PAGE_BYTES;

    if (pwrite(writer->fd, page, sizeof page, offset) != sizeof page)
        err(1, "%s", writer->directory);
}

static void write_small_file(Writer *writer)
{
    static const char content[SMALL_FILE_BYTES] = {1};
    char name[64];

    snprintf(name, sizeof name, "small-%u-%u", writer->number,
             (unsigned)(writer->completed % SMALL_FILES));
    int fd = openat(writer->directory_fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0 || write(fd, content, sizeof content) < 0 || fsync(fd) < 0)
        err(1, "%s/%s", writer->directory, name);
    close(fd);
}

static void note(Writer *writer, Write done)
{
    int64_t lasted = done.ended_us - done.began_us;

    if (lasted > atomic_load(&writer->longest_us))
        atomic_store(&writer->longest_us, lasted);
    if (lasted >= NOTED_FROM_US)
        writer->noted[writer->n_noted++ % NOTED] = done;
}

static int64_t lasted_across(const Writer *writer, int64_t moment_us)
{
    for (unsigned i = 0; i < NOTED; i++) {
        Write noted = writer->noted[i];
        if (noted.began_us <= moment_us && moment_us < noted.ended_us)
            return noted.ended_us - noted.began_us;
    }
    return 0;
}

static void *write_for_ever(void *data)
{
    Writer *writer = data;

    for (;;) {
        int64_t began = now_us();
        write_once(writer);
        note(writer, (Write){began, now_us()});
        atomic_fetch_add(&writer->completed, 1);
        if (pace_ns > 0)
            nanosleep(&(struct timespec){.tv_nsec = pace_ns}, NULL);
    }
    return NULL;
}

static void *write_dirty(void *data)
{
    const Writer *writer = data;
    int fd = openat(writer->directory_fd, "dirty", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    char *chunk = calloc(1, CHUNK_BYTES);

    if (fd < 0 || !chunk)
        err(1, "%s/dirty", writer->directory);
    for (off_t done = 0; done < dirty_mib; done++)
        if (pwrite(fd, chunk, CHUNK_BYTES, done * CHUNK_BYTES) != CHUNK_BYTES)
            err(1, "%s/dirty", writer->directory);
    free(chunk);
    close(fd);
    return NULL;
}

static void start_thread(pthread_t *thread, void *(*run)(void *), void *data)
{
    if (pthread_create(thread, NULL, run, data) != 0)
        errx(1, "cannot start a thread");
}

static void dirty(Writer *writers, int count)
{
    pthread_t *threads = calloc((size_t)count, sizeof *threads);

    if (!threads)
        err(1, "threads");
    for (int i = 0; i < count; i++)
        start_thread(&threads[i], write_dirty, &writers[i]);
    for (int i = 0; i < count; i++)
        pthread_join(threads[i], NULL);
    free(threads);
}

static void wait_for_two_writes(const Writer *writer)
{
    uint64_t before = writer->completed;

    while (writer->completed < before + 2)
        nanosleep(&(struct timespec){.tv_nsec = PACE_NS / 4}, NULL);
}

static void obey(const char *line, Writer *writers, int count)
{
    long long moment_us = 0;

    if (sscanf(line, "dirty %d", &dirty_mib) == 1)
        dirty(writers, count);
    bool mark = strcmp(line, "mark\n") == 0;
    bool longest = strcmp(line, "longest\n") == 0;
    bool across = sscanf(line, "across %lld", &moment_us) == 1;
    for (int i = 0; i < count; i++) {
        if (mark)
            atomic_store(&writers[i].longest_us, 0);
        if (longest || across)
            wait_for_two_writes(&writers[i]);
        if (longest)
            printf("%lld ", (long long)writers[i].longest_us);
        if (across)
            printf("%lld ", (long long)lasted_across(&writers[i], moment_us));
    }
    printf("\n");
    fflush(stdout);
}

static void open_writer(Writer *writer, const char *directory, int number)
{
    writer->number = (unsigned)number;
    writer->directory = directory;
    writer->directory_fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (writer->directory_fd < 0)
        err(1, "%s", directory);
    writer->fd = openat(writer->directory_fd, "paced", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    if (writer->fd < 0)
        err(1, "%s/paced", directory);
}

int main(int argc, char **argv)
{
    char line[128];
    pthread_t thread;

    if (argc < 3 || (strcmp(argv[1], "paced") != 0 && strcmp(argv[1], "files") != 0))
        errx(2, "usage: bench-writers paced|files DIRECTORY...");
    bool paced = strcmp(argv[1], "paced") == 0;
    int count = argc - 2;
    Writer *writers = calloc((size_t)count, sizeof *writers);
    if (!writers)
        err(1, "writers");
    write_once = paced ? write_page : write_small_file;
    pace_ns = paced ? PACE_NS : 0;
    for (int i = 0; i < count; i++) {
        open_writer(&writers[i], argv[i + 2], i);
        start_thread(&thread, write_for_ever, &writers[i]);
    }
    while (fgets(line, sizeof line, stdin))
        obey(line, writers, count);
    return 0;
}

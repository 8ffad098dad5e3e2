/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "platform/real-time-clock.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/rtc.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#define ADJTIME_PATH "/etc/adjtime"

static const char *const device_paths[] = {"/dev/rtc0", "/dev/rtc"};

static int open_clock(GError **error)
{
    int cause = ENOENT;
    for (size_t i = 0; i < G_N_ELEMENTS(device_paths); i++) {
        int fd = open(device_paths[i], O_RDONLY | O_CLOEXEC);
        if (fd >= 0)
            return fd;
        if (errno != ENOENT)
            cause = errno;
    }
    if (cause == ENOENT)
        g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_NOENT,
                    "this machine has no hardware clock (no %s)", device_paths[0]);
    else if (cause == EBUSY)
        g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_AGAIN,
                    "another process is using the hardware clock %s", device_paths[0]);
    else
        g_set_error(error, G_FILE_ERROR, g_file_error_from_errno(cause),
                    "cannot open the hardware clock %s: %s", device_paths[0], g_strerror(cause));
    return -1;
}

static bool call_clock(unsigned long request, struct rtc_time *time, const char *verb,
                       GError **error)
{
    int fd = open_clock(error);
    if (fd < 0)
        return false;
    int cause = ioctl(fd, request, time) == 0 ? 0 : errno;
    close(fd);
    if (cause != 0)
        g_set_error(error, G_FILE_ERROR, g_file_error_from_errno(cause),
                    "cannot %s the hardware clock: %s", verb, g_strerror(cause));
    return cause == 0;
}

bool real_time_clock_keeps_local_time(const char *adjtime_path)
{
    g_autofree char *text = NULL;
    if (!g_file_get_contents(adjtime_path, &text, NULL, NULL))
        return false;
    g_auto(GStrv) lines = g_strsplit(text, "\n", 4);
    return g_strv_length(lines) >= 3 && g_str_equal(g_strstrip(lines[2]), "LOCAL");
}

bool real_time_clock_read(int64_t *unix_seconds, GError **error)
{
    struct rtc_time now;
    if (!call_clock(RTC_RD_TIME, &now, "read", error))
        return false;
    struct tm broken_down = {.tm_sec = now.tm_sec,
                             .tm_min = now.tm_min,
                             .tm_hour = now.tm_hour,
                             .tm_mday = now.tm_mday,
                             .tm_mon = now.tm_mon,
                             .tm_year = now.tm_year,
                             .tm_isdst = -1};
    *unix_seconds = real_time_clock_keeps_local_time(ADJTIME_PATH) ? mktime(&broken_down)
                                                                   : timegm(&broken_down);
    return true;
}

bool real_time_clock_write(int64_t unix_seconds, GError **error)
{
    struct tm broken_down;
    time_t seconds = unix_seconds;
    if (real_time_clock_keeps_local_time(ADJTIME_PATH))
        localtime_r(&seconds, &broken_down);
    else
        gmtime_r(&seconds, &broken_down);
    struct rtc_time now = {.tm_sec = broken_down.tm_sec,
                           .tm_min = broken_down.tm_min,
                           .tm_hour = broken_down.tm_hour,
                           .tm_mday = broken_down.tm_mday,
                           .tm_mon = broken_down.tm_mon,
                           .tm_year = broken_down.tm_year,
                           .tm_wday = broken_down.tm_wday,
                           .tm_yday = broken_down.tm_yday};
    return call_clock(RTC_SET_TIME, &now, "set", error);
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "agent/descriptors.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef SYS_close_range
#define SYS_close_range 436
#endif

/* Numbers far apart, so that there is something before, between and after what is kept. */
static const int numbers[] = {5, 20, 21, 60, 200};
#define COUNT (sizeof numbers / sizeof *numbers)

/* The kernel of this process has no close_range(2) from now on. */
static void forget_close_range(void)
{
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_close_range, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {.len = 4, .filter = filter};

    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0)
        _exit(100);
}

static bool is_open(int fd)
{
    return fcntl(fd, F_GETFD) >= 0;
}

static bool keeps(int first_kept, int second_kept, bool kernel_is_old)
{
    if (kernel_is_old)
        forget_close_range();
    for (unsigned i = 0; i < COUNT; i++)
        if (dup2(STDIN_FILENO, numbers[i]) < 0)
            return false;
    descriptors_close_others(first_kept, second_kept);
    for (unsigned i = 0; i < COUNT; i++)
        if (is_open(numbers[i]) != (numbers[i] == first_kept || numbers[i] == second_kept))
            return false;
    return is_open(STDIN_FILENO) && is_open(STDOUT_FILENO) && is_open(STDERR_FILENO);
}

/* In a process of its own: what it closes would be the test's. */
static void assert_keeps(int first_kept, int second_kept)
{
    for (int kernel_is_old = 0; kernel_is_old < 2; kernel_is_old++) {
        int status = 0;
        pid_t pid = fork();
        if (pid == 0)
            _exit(keeps(first_kept, second_kept, kernel_is_old) ? 0 : 1);
        ck_assert_int_eq(waitpid(pid, &status, 0), pid);
        ck_assert_int_eq(status, 0);
    }
}

START_TEST(only_what_is_kept_stays_open_on_old_kernels_too)
{
    assert_keeps(20, 60);
    assert_keeps(60, 20);
    assert_keeps(20, 21);
    assert_keeps(5, 200);
}
END_TEST

START_TEST(one_or_none_may_be_kept)
{
    assert_keeps(-1, -1);
    assert_keeps(21, -1);
    assert_keeps(-1, 5);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("descriptors");
    TCase *tcase = tcase_create("descriptors");
    tcase_add_test(tcase, only_what_is_kept_stays_open_on_old_kernels_too);
    tcase_add_test(tcase, one_or_none_may_be_kept);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * In a process just forked: closes every descriptor but the standard ones and these two (-1: none).
 * What a library opened without O_CLOEXEC goes, too. Allocates nothing and cannot fail: where the
 * kernel has no close_range(2) (before 5.9), each number up to the limit is closed by itself.
 */
void descriptors_close_others(int first_kept, int second_kept);

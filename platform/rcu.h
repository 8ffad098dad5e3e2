/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Expedited RCU grace periods. freeze_super() waits for grace periods three times over
 * (percpu_down_write() per freeze level, rcu_sync_enter()); expediting them is what makes a freeze
 * take 1 ms instead of 30 (../shared/field-notes.md). Source: kernel/ksysfs.c,
 * Documentation/RCU/stallwarn.rst (rcu_expedited), fs/super.c.
 */

/* Opens the switch; -1 with errno when the kernel has none or it is read-only. */
int rcu_switch_open(void);

/* Turns expediting on. *previous becomes what the switch held, or -1 when it was on already and
 * there is nothing to put back; before the switch is turned, so that whoever can read *previous can
 * put it back should this process end right there. Returns 0 or a positive errno. */
int rcu_switch_expedite(int fd, _Atomic int *previous);

/* Puts the switch back; previous -1 does nothing. Returns 0 or a positive errno. */
int rcu_switch_restore(int fd, int previous);

/* The same for whoever has not opened the switch. */
void rcu_switch_put_back(int previous);

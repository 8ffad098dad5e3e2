#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# demo.sh - installs what is needed, builds, boots a guest with quiesced inside, and lets
# quiesce-probe freeze it, prove that, and thaw it. The exit status is quiesce-probe's: 0 FROZEN,
# 1 NOT FROZEN, 2 UNPROVEN, 3 could not run.
set -eu
cd "$(dirname "$0")"

packaging/install-packages build guest
# Debian's meson, whatever else stands in the PATH (pyenv, pip).
[ -f build/build.ninja ] || /usr/bin/meson setup build
/usr/bin/ninja -C build --quiet
PATH=$PWD/build/prober:$PATH exec tests/vm/run-guest --busy --logs build/guest/logs/demo tests/vm/demo

#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# test.sh [--all | --only SUITE...] - installs what is needed, builds, runs every test; --all: those
# on Ceph as well. The last line says how many passed and failed. tests/run tells more.
set -eu
cd "$(dirname "$0")"

packaging/install-packages build libvirt test guest
case " $* " in
*" --all "* | *" ceph "* | *" --only=ceph "*)
    packaging/install-packages ceph || echo "test.sh: without them the suite ceph is skipped" >&2
    ;;
esac
# Debian's meson, whatever else stands in the PATH (pyenv, pip).
[ -f build/build.ninja ] || /usr/bin/meson setup build
/usr/bin/ninja -C build
exec /usr/bin/python3 tests/run "$@"

# SPDX-License-Identifier: LGPL-2.1-or-later
"""Applications in the guest: one writer per filesystem that writes to the disk all the time."""

from guest import MOUNT_POINTS
from waiting import wait_until, wait_until_all_grow

FOLDER = "/run/writers"

# A round is a few direct writes and an fsync, and one more byte in a file on tmpfs.
WRITER = """
name=$1
while [ -e {folder}/go ]; do
    dd if=/dev/zero of=/srv/$name/writer bs=4k count=8 conv=notrunc,fsync oflag=direct status=none
    echo >>{folder}/$name
done
rm {folder}/$name
"""


class Writers:
    """Write within the context; leaving it waits until the last writer is through."""

    def __init__(self, guest):
        self._guest = guest
        self._names = [mount_point.rpartition("/")[2] for mount_point in MOUNT_POINTS]

    def __enter__(self):
        script = WRITER.format(folder=FOLDER)
        self._guest.shell(
            f"mkdir -p {FOLDER}; echo >{FOLDER}/go\n"
            f"cat >{FOLDER}/writer <<'END'\n{script}\nEND\n"
            f"for name in {' '.join(self._names)}; do : >{FOLDER}/$name\n"
            f"setsid sh {FOLDER}/writer $name </dev/null >/dev/null 2>{FOLDER}/$name.errors &\ndone"
        )
        self.wait_for_progress()
        return self

    def __exit__(self, failure, *_):
        self._guest.shell(f"rm -f {FOLDER}/go")
        # After a failure the guest may still be frozen: that is for the test's fixtures to end.
        if not failure:
            wait_until(lambda: not self.rounds(), "the writers' end")

    def rounds(self):
        """How many rounds each live writer has done."""
        names = " ".join(self._names)
        listed = self._guest.shell(f"cd {FOLDER} && stat -c %n:%s {names} 2>&-; true")
        return {name: int(count) for name, count in map(lambda s: s.split(":"), listed.split())}

    def wait_for_progress(self, timeout=60):
        """Returns once every writer has done two more rounds than now."""
        wait_until_all_grow(self.rounds, 2, "two rounds of each writer", timeout)

# SPDX-License-Identifier: LGPL-2.1-or-later
"""A throw-away Ceph cluster: one monitor, one OSD and a pool named rbd, on loopback.

    with Cluster() as cluster:
        cluster.run("rbd", "import", path, "rbd/disk")
        open_with_qemu(cluster.address("disk"))

Everything lies below one folder. The daemons end with this process, however that ends."""

import shutil
import socket
import subprocess
import tempfile
import uuid
from pathlib import Path

from guest import _die_with_parent
from waiting import wait_until

PROGRAMS = ("ceph", "ceph-mon", "ceph-osd", "monmaptool", "rbd", "qemu-img")
POOL = "rbd"
OSD_BYTES = 8 << 30  # sparse

CONF = """\
[global]
fsid = {fsid}
mon host = [v2:127.0.0.1:{port}]
public addr = 127.0.0.1
cluster addr = 127.0.0.1
auth cluster required = none
auth service required = none
auth client required = none
run dir = {folder}
admin socket = {folder}/$name.$pid.asok
log file = {folder}/$name.log
crash dir = {folder}
keyring = /dev/null
osd pool default size = 1
osd pool default min size = 1
osd crush chooseleaf type = 0
mon allow pool size one = true

[mon.a]
mon data = {folder}/mon

[osd.0]
osd data = {folder}/osd
osd objectstore = bluestore
bluestore block size = {osd_bytes}
osd memory target = 1073741824
"""


class ClusterError(Exception):
    pass


def missing():
    """Why there is no Ceph to test with; None if there is."""
    absent = [name for name in PROGRAMS if not shutil.which(name)]
    if absent:
        return f"no {', '.join(absent)} here: packaging/install-packages ceph guest"
    # qemu-img --help lists rbd also where the driver's module is not installed.
    probed = subprocess.run(["qemu-img", "info", "rbd:rbd/none:conf=/nonexistent"],
                            capture_output=True, text=True, timeout=60, check=False)
    if "error reading conf file" not in probed.stderr:
        cause = probed.stderr.strip().rpartition("\n")[2]
        return f"QEMU cannot read rbd: packaging/install-packages ceph ({cause})"
    return None


def _free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class Cluster:
    """Runs within its context. Attributes: conf, the path of its ceph.conf; folder."""

    def __init__(self):
        # Not /tmp, which may be a tmpfs: bluestore opens its file with O_DIRECT.
        self._folder = tempfile.TemporaryDirectory(prefix="ceph-", dir="/var/tmp")
        self.folder = Path(self._folder.name)
        self.conf = self.folder / "ceph.conf"
        self._fsid = str(uuid.uuid4())
        self._daemons = []

    def __enter__(self):
        try:
            self._start_monitor()
            self._start_osd()
            self.run("ceph", "osd", "pool", "create", POOL, "8")
            self.run("rbd", "pool", "init", POOL)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        # Killed, not asked: nobody needs what they would still write.
        for daemon in reversed(self._daemons):
            daemon.kill()
            daemon.wait()
        self._folder.cleanup()

    def _start_monitor(self):
        port = _free_port()
        self.conf.write_text(CONF.format(fsid=self._fsid, port=port, folder=self.folder,
                                         osd_bytes=OSD_BYTES), encoding="utf-8")
        monmap = self.folder / "monmap"
        self.run("monmaptool", "--create", "--fsid", self._fsid,
                 "--addv", "a", f"[v2:127.0.0.1:{port}]", monmap)
        self.run("ceph-mon", "--mkfs", "-i", "a", "--monmap", monmap)
        self._start_daemon("ceph-mon", "a")
        # The client itself waits for the monitor to answer.
        self.run("ceph", "mon", "stat")

    def _start_osd(self):
        osd_uuid = str(uuid.uuid4())
        number = self.run("ceph", "osd", "new", osd_uuid).strip()
        if number != "0":
            raise ClusterError(f"the first OSD of a new cluster has number {number!r}, not 0")
        (self.folder / "osd").mkdir()
        self.run("ceph-osd", "--mkfs", "-i", "0", "--osd-uuid", osd_uuid)
        self._start_daemon("ceph-osd", "0")
        wait_until(lambda: "1 up" in self.run("ceph", "osd", "stat"), "the OSD is up")

    def _start_daemon(self, program, name):
        with open(self.folder / f"{program}.stderr", "wb") as errors:
            self._daemons.append(subprocess.Popen(
                [program, "--foreground", "-c", self.conf, "-i", name],
                stdin=subprocess.DEVNULL, stdout=errors, stderr=errors,
                preexec_fn=_die_with_parent))

    def command(self, program, *arguments):
        """The words of a command of Ceph's that means this cluster."""
        return [program, "-c", str(self.conf), *map(str, arguments)]

    def run(self, program, *arguments, timeout=60):
        """The output of a command of Ceph's that must succeed."""
        command = self.command(program, *arguments)
        result = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                                timeout=timeout, check=False)
        if result.returncode:
            logs = [path.read_text(errors="replace")[-2000:]
                    for path in self.folder.glob("*.stderr")]
            raise ClusterError(f"{command}: {result.stderr}{''.join(logs)}")
        return result.stdout

    def pids(self):
        return [daemon.pid for daemon in self._daemons]

    def address(self, image):
        """How QEMU, and so quiesce-probe, reads an image, or IMAGE@SNAPSHOT."""
        return f"rbd:{POOL}/{image}:conf={self.conf}"

# SPDX-License-Identifier: LGPL-2.1-or-later
"""One running test guest.

    with Guest(build_folder) as guest:
        guest.shell("echo >/srv/ext4/file")
        with guest.agent() as agent:
            agent.call("guest-fsfreeze-freeze")

QEMU runs with TCG alone: /dev/kvm may be there and yet hang. It ends with this process, however
that ends."""

import ctypes
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

import build_guest
from clients import AgentClient, QmpClient, ShellClient

QEMU = "qemu-system-x86_64"
AGENT_DEVICE = {
    "driver": "virtserialport",
    "bus": "agent-bus.0",
    "chardev": "agent",
    "name": "org.qemu.guest_agent.0",
    "id": "agent-port",
}
SHELLS = 4
BOOT_TIMEOUT = 120
BLANK_BYTES = 1 << 30  # sparse
NVME_BYTES = 16 << 20

# What the guest's mount points are, by mount order.
MOUNT_POINTS = ("/srv/ext4", "/srv/xfs", "/srv/btrfs", "/srv/nested")


class GuestError(Exception):
    pass


def _die_with_parent():
    pr_set_pdeathsig = 1
    ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL)


class Guest:
    """Boots on entering the context, is gone after leaving it.

    agent      "quiesced", "qemu-ga", or "none"
    logs       folder that gets console.log and, at the end, agent.log; None: a temporary one
    workshop   number of blank SCSI disks, sda and so on; more than 0 also brings the modules and
               programs to build filesystems, and what lies below them, in the guest
    disks      function that takes a dict, filesystem type to raw image, and gives for each where
               QEMU finds the disk instead, as in -drive file=; None: an overlay of each image
    Attributes: agent_socket, qmp_socket (nobody else is connected there), pid, folder."""

    def __init__(self, build_folder, agent="quiesced", logs=None, workshop=0, disks=None):
        self._image = build_guest.build(build_folder, workshop > 0)
        self._workshop = workshop
        self._foreign_disks = disks(self._image.disks) if disks else {}
        if agent not in self._image.agents:
            raise GuestError(f"no {agent} to put into the guest: build it, or install its package")
        self._agent = agent
        self._folder = tempfile.TemporaryDirectory(prefix="guest-")
        self._process = None
        self._free_shells = []
        self.folder = Path(self._folder.name)
        self.logs = Path(logs or self.folder)
        self.logs.mkdir(parents=True, exist_ok=True)
        self.agent_socket = self.folder / "agent.sock"
        self.qmp_socket = self.folder / "qmp.sock"
        self.boot_seconds = None

    # Life

    def __enter__(self):
        try:
            self._start()
            self._wait_until_up()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_):
        (self.logs / "agent.log").write_text(self.agent_log())
        self.close()

    def close(self):
        for shell in self._free_shells:
            shell.close()
        if self._process:
            self._process.kill()
            self._process.wait()
        self._folder.cleanup()

    @property
    def pid(self):
        return self._process.pid

    def _start(self):
        if not shutil.which(QEMU):
            raise GuestError(f"{QEMU} is missing: packaging/install-packages guest")
        self._process = subprocess.Popen(
            self._command(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=open(self.logs / "qemu.log", "wb"),
            preexec_fn=_die_with_parent,
        )

    def _command(self):
        words = f"console=ttyS0 loglevel=5 panic=-1 mitigations=off guest.agent={self._agent}"
        command = [
            QEMU, "-accel", "tcg,thread=multi", "-machine", "q35", "-cpu", "max",
            "-m", "512", "-smp", "2", "-nodefaults", "-display", "none", "-no-reboot",
            "-kernel", self._image.kernel, "-initrd", self._image.initramfs,
            "-append", f"{words} guest.agent-log=console",
            "-serial", f"file:{self.logs / 'console.log'}",
            "-qmp", f"unix:{self.qmp_socket},server=on,wait=off",
            "-qmp", f"unix:{self.folder / 'harness.sock'},server=on,wait=off",
            "-device", "virtio-serial-pci,id=agent-bus",
            "-chardev", f"socket,id=agent,path={self.agent_socket},server=on,wait=off",
            "-device", ",".join(f"{key}={value}" for key, value in AGENT_DEVICE.items()),
            "-device", "virtio-serial-pci,id=shell-bus",
        ]
        for number in range(SHELLS):
            command += [
                "-chardev", f"socket,id=shell{number},path={self._shell_socket(number)},"
                "server=on,wait=off",
                "-device", f"virtserialport,bus=shell-bus.0,chardev=shell{number},"
                f"name=org.quiesced.shell.{number}",
            ]
        if self._workshop:
            command += ["-device", "virtio-scsi-pci,id=scsi"]
            health = self.folder / "nvme.raw"
            with open(health, "wb") as image:
                image.truncate(NVME_BYTES)
            command += ["-drive", f"if=none,id=nvme,file={health},format=raw,cache=unsafe",
                        "-device", "nvme,drive=nvme,serial=nvme"]
        for number in range(self._workshop):
            blank = self.folder / f"blank{number}.raw"
            with open(blank, "wb") as image:
                image.truncate(BLANK_BYTES)
            command += [
                "-drive", f"if=none,id=blank{number},file={blank},format=raw,cache=unsafe",
                "-device", f"scsi-hd,bus=scsi.0,scsi-id={number},drive=blank{number},"
                f"id=disk-blank{number}",
            ]
        for fs_type in self._image.disks:
            command += [
                "-drive", f"if=none,id={fs_type},{self._disk(fs_type)}",
                "-device", f"virtio-blk-pci,drive={fs_type},serial={fs_type},id=disk-{fs_type}",
            ]
        return [str(word) for word in command]

    def _disk(self, fs_type):
        if fs_type in self._foreign_disks:
            # Flushes count here: others read the storage while QEMU has it open.
            return f"file={self._foreign_disks[fs_type]},format=raw,cache=writeback"
        overlay = self.folder / f"{fs_type}.qcow2"
        base = self._image.disks[fs_type]
        subprocess.run(
            ["qemu-img", "create", "-q", "-f", "qcow2", "-b", base, "-F", "raw", overlay],
            check=True,
        )
        return f"file={overlay},format=qcow2,cache=unsafe"

    def _shell_socket(self, number):
        return self.folder / f"shell{number}.sock"

    def _wait_until_up(self):
        start = time.monotonic()
        deadline = start + BOOT_TIMEOUT
        while not self._shell_socket(SHELLS - 1).exists():
            self._check_alive()
            if time.monotonic() > deadline:
                raise GuestError("QEMU does not open its sockets")
            time.sleep(0.02)
        try:
            # A request waits in QEMU until the guest opens the port.
            self._free_shells = [ShellClient.connect(self._shell_socket(n)) for n in range(SHELLS)]
            if self._agent != "none":
                with self.agent() as agent:
                    agent.sync(timeout=deadline - time.monotonic())
            self.shell("true", timeout=deadline - time.monotonic())
            if self._workshop:
                self.shell("while read -r module; do insmod /lib/modules/$module || exit 1; "
                           "done </lib/modules/order.workshop", timeout=120)
        except (OSError, TimeoutError) as error:
            raise GuestError(f"the guest does not come up: {error}\n{self.evidence()}") from error
        self.boot_seconds = time.monotonic() - start

    def _check_alive(self):
        if self._process.poll() is not None:
            log = (self.logs / "qemu.log").read_text(errors="replace")
            raise GuestError(f"QEMU ended with status {self._process.returncode}: {log}")

    # Talking to it

    def agent(self):
        """A connection to the agent; close it, for the port takes one at a time."""
        return AgentClient.connect(self.agent_socket)

    def qmp(self):
        """A QMP connection of the tests' own; one at a time."""
        return QmpClient.connect(self.folder / "harness.sock")

    def wait_until_down(self, timeout=120):
        """QEMU ends with the guest."""
        self._process.wait(timeout)

    def run(self, command, timeout=60):
        """Runs a shell command in the guest: exit status and output. One that overruns its time
        goes on, and takes one of the few shells with it."""
        self._check_alive()
        if not self._free_shells:
            raise GuestError("every shell of the guest hangs in a command")
        shell = self._free_shells.pop()
        result = shell.run(command, timeout)
        self._free_shells.append(shell)
        return result

    def shell(self, command, timeout=60):
        """The output of a command that must succeed."""
        status, output = self.run(command, timeout)
        if status != 0:
            raise GuestError(f"in the guest, {command!r} ended with status {status}: {output}")
        return output

    def agent_log(self):
        """The agent's log, and what else it has printed; an excuse if there is no getting at it."""
        try:
            return self.run("cat /run/agent.log /run/agent.stderr", timeout=20)[1]
        except (GuestError, OSError) as error:
            return f"(the guest does not hand out the agent's log: {error})\n"

    def write_counts(self):
        """How many writes each disk has completed so far, as QEMU sees it."""
        with self.qmp() as qmp:
            return {
                entry["device"]: entry["stats"]["wr_operations"]
                for entry in qmp.call("query-blockstats")
                if entry["device"] in self._image.disks
            }

    def unplug_agent_port(self):
        """Takes the agent's port away; returns when it is gone."""
        with self.qmp() as qmp:
            qmp.call("device_del", id=AGENT_DEVICE["id"])
            qmp.wait_for_event("DEVICE_DELETED", timeout=60)

    def plug_agent_port(self):
        with self.qmp() as qmp:
            qmp.call("device_add", **AGENT_DEVICE)

    # When something went wrong

    def evidence(self):
        """The console and the agent's log, for the report of a failed test."""
        console = self.logs / "console.log"
        text = console.read_text(errors="replace") if console.exists() else ""
        log = self.agent_log()
        return f"--- console, {console}\n{text[-20000:]}\n--- agent's log\n{log[-20000:]}"

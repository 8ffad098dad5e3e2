# SPDX-License-Identifier: LGPL-2.1-or-later
"""A libvirt daemon of the tests' own, and the test guest as a domain of it.

The daemon runs in session mode, which touches nothing of this machine's: root is mapped to another
user in a user namespace for that. In a process namespace of its own, all of it, the domains'
QEMUs included, ends with the test, however that ends."""

import os
import shutil
import subprocess
import tempfile
from contextlib import contextmanager
from pathlib import Path
from xml.sax.saxutils import quoteattr

from guest import QEMU, SHELLS, Guest, GuestError, _die_with_parent
from waiting import wait_until

LIBVIRTD = "/usr/sbin/libvirtd"
# A driver for QEMU alone: the others look at the machine. "file": no virtlogd.
QEMU_CONF = 'stdio_handler = "file"\n'
AGENT_CHANNEL = "<channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel>"
# The namespace's first process ends with its child, and waits for orphans on the way.
INIT = f"{LIBVIRTD} & wait $!"


def missing():
    """Why there is no libvirt to test with; None if there is."""
    if not Path(LIBVIRTD).exists() or not shutil.which("virsh"):
        return "no libvirtd or virsh here: packaging/install-packages libvirt"
    if subprocess.run([*_namespaces(), "true"], capture_output=True, check=False).returncode:
        return "no user and process namespaces here, which keep libvirtd apart"
    return None


def _namespaces():
    return ["unshare", "--user", "--map-user=1000", "--map-group=1000", "--pid", "--fork",
            "--kill-child", "--mount-proc"]


class LibvirtHost:
    """Runs within its context. Attributes: uri, folder."""

    def __init__(self):
        # Short: monitor sockets lie deep below it.
        self._folder = tempfile.TemporaryDirectory(prefix="lv")
        self.folder = Path(self._folder.name)
        self._socket = self.folder / "run/libvirt/libvirt-sock"
        self.uri = f"qemu+unix:///session?socket={self._socket}"
        self.log = self.folder / "libvirtd.log"
        self._process = None

    def __enter__(self):
        (self.folder / "config/libvirt").mkdir(parents=True)
        (self.folder / "config/libvirt/qemu.conf").write_text(QEMU_CONF, encoding="utf-8")
        (self.folder / "run").mkdir()
        places = {name: self.folder / place for name, place in {
            "HOME": "home", "XDG_RUNTIME_DIR": "run", "XDG_CONFIG_HOME": "config",
            "XDG_CACHE_HOME": "cache", "XDG_DATA_HOME": "data"}.items()}
        with open(self.log, "wb") as log:
            self._process = subprocess.Popen(
                [*_namespaces(), "sh", "-c", INIT], env={**os.environ, **places},
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, preexec_fn=_die_with_parent)
        try:
            wait_until(self._answers, "libvirtd answers", timeout=30)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self._process.kill()
        self._process.wait()
        # The namespace's processes end a moment later, and may still write.
        wait_until(lambda: not self._processes(), "libvirtd and its domains have ended")
        self._folder.cleanup()

    def _answers(self):
        if self._process.poll() is not None:
            raise GuestError(f"libvirtd ended: {self.log.read_text(errors='replace')}")
        return self.run("list").returncode == 0

    def _processes(self):
        """Of this daemon: it, and its QEMUs."""
        marker = str(self.folder).encode()
        found = []
        for environ in Path("/proc").glob("[0-9]*/environ"):
            try:
                if marker in environ.read_bytes():
                    found.append(int(environ.parent.name))
            except OSError:
                pass
        return found

    def daemon_pid(self):
        """libvirtd's, as this machine counts."""
        for pid in self._processes():
            if Path(f"/proc/{pid}/comm").read_text().strip() == "libvirtd":
                return pid
        raise GuestError("there is no libvirtd")

    def run(self, *arguments, timeout=60):
        """One virsh command."""
        return subprocess.run(["virsh", "--connect", self.uri, *map(str, arguments)],
                              stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=timeout, check=False)

    def virsh(self, *arguments, timeout=60):
        """The output of one that must succeed."""
        result = self.run(*arguments, timeout=timeout)
        if result.returncode:
            raise GuestError(f"virsh {arguments}: {result.stderr}{self.log.read_text()[-3000:]}")
        return result.stdout.strip()

    def define(self, xml):
        path = self.folder / "domain.xml"
        path.write_text(xml, encoding="utf-8")
        self.virsh("define", path)

    @contextmanager
    def idle_domain(self, name, *devices, started=True):
        """A domain that boots nothing."""
        self.define(domain_xml(name, 32, "", devices))
        try:
            if started:
                self.virsh("start", name)
            yield name
        finally:
            self.run("destroy", name)
            self.run("undefine", name)


def domain_xml(name, memory_mib, boot, devices):
    return (f"<domain type='qemu'><name>{name}</name><memory unit='MiB'>{memory_mib}</memory>"
            f"<vcpu>2</vcpu><os><type arch='x86_64' machine='q35'>hvm</type>{boot}</os>"
            "<features><acpi/></features><cpu mode='maximum'/><on_reboot>destroy</on_reboot>"
            f"<devices><emulator>{shutil.which(QEMU)}</emulator><memballoon model='none'/>"
            f"{''.join(devices)}</devices></domain>")


class LibvirtGuest(Guest):
    """The test guest as a domain. Its agent's socket is libvirt's; the shells are ours."""

    def __init__(self, host, name, build_folder, agent="quiesced", logs=None):
        super().__init__(build_folder, agent, logs)
        self.host = host
        self.name = name

    def close(self):
        for shell in self._free_shells:
            shell.close()
        self.host.run("destroy", self.name)
        self.host.run("undefine", self.name)
        self._folder.cleanup()

    def _start(self):
        words = (f"console=ttyS0 loglevel=5 panic=-1 mitigations=off guest.agent={self._agent} "
                 "guest.agent-log=console")
        boot = (f"<kernel>{self._image.kernel}</kernel><initrd>{self._image.initramfs}</initrd>"
                f"<cmdline>{words}</cmdline>")
        self.host.define(domain_xml(self.name, 512, boot, self._devices()))
        self.host.virsh("start", self.name)

    def _devices(self):
        console = quoteattr(str(self.logs / "console.log"))
        yield f"<serial type='file'><source path={console}/><target port='0'/></serial>"
        yield AGENT_CHANNEL
        for number in range(SHELLS):
            yield (f"<channel type='unix'><source mode='bind' path='{self._shell_socket(number)}'/>"
                   f"<target type='virtio' name='org.quiesced.shell.{number}'/></channel>")
        for index, (fs_type, base) in enumerate(self._image.disks.items()):
            overlay = self.folder / f"{fs_type}.qcow2"
            subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "-b", base, "-F", "raw",
                            overlay], check=True)
            yield ("<disk type='file' device='disk'><driver name='qemu' type='qcow2' "
                   f"cache='unsafe'/><source file='{overlay}'/>"
                   f"<target dev='vd{'abcdef'[index]}' bus='virtio'/>"
                   f"<serial>{fs_type}</serial></disk>")

    def _check_alive(self):
        state = self.host.virsh("domstate", self.name)
        if state != "running":
            raise GuestError(f"the domain is {state}: {self.host.log.read_text()[-3000:]}")

    @contextmanager
    def agent(self):
        yield self

    def sync(self, timeout=60):
        """Returns when the agent answers libvirt."""
        ping = ("qemu-agent-command", self.name, '{"execute": "guest-ping"}')
        wait_until(lambda: self.host.run(*ping).returncode == 0, "the agent answers libvirt",
                   timeout)

    def write_counts(self):
        stats = self.host.virsh("domstats", self.name, "--block")
        fields = dict(line.strip().split("=", 1) for line in stats.splitlines() if "=" in line)
        return {fields[f"block.{n}.name"]: int(fields[f"block.{n}.wr.reqs"])
                for n in range(int(fields["block.count"]))}

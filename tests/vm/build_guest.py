#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Builds the test guest: a kernel, an initramfs of this machine's Debian packages with the built
agent in it, and three disks with a filesystem each. Nothing is built twice from the same inputs."""

import argparse
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parent))

import kernel
from cpio import CpioWriter

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]

# Programs of this machine's packages that go in, at the same paths, besides all of busybox.
PROGRAMS = (
    "/usr/sbin/mke2fs", "/usr/sbin/mkfs.xfs", "/usr/sbin/mkfs.btrfs", "/usr/bin/btrfs",
)
# What the workshop adds: tools to build filesystems and what lies below them with.
WORKSHOP_PROGRAMS = (
    "/usr/sbin/dmsetup", "/usr/sbin/mdadm", "/usr/sbin/cryptsetup", "/usr/sbin/sfdisk",
    "/usr/sbin/mkfs.f2fs", "/usr/sbin/mkfs.jfs", "/usr/sbin/mkfs.nilfs2", "/usr/sbin/mkfs.vfat",
    "/usr/sbin/mkfs.exfat", "/usr/bin/mksquashfs", "/usr/bin/genisoimage", "/usr/bin/fuse2fs",
    "/usr/bin/socat",
)
# glibc loads it when a thread is cancelled; ldd does not know.
WORKSHOP_LIBRARIES = ("/lib/x86_64-linux-gnu/libgcc_s.so.1",)
QEMU_GA = Path("/usr/sbin/qemu-ga")

# A user's PATH may lack the folders of mkfs.
SEARCH_PATH = os.environ.get("PATH", "/usr/bin:/bin") + ":/usr/sbin:/sbin"

MIB = 1 << 20
# What mkfs.xfs and mkfs.btrfs accept at least, and a little more; the files are sparse.
DISK_BYTES = {"ext4": 256 * MIB, "xfs": 320 * MIB, "btrfs": 256 * MIB}
NESTED_BYTES = 64 * MIB


class GuestImage(NamedTuple):
    kernel: Path
    initramfs: Path
    disks: dict  # filesystem type -> raw image, not to be written to
    agents: list  # what guest.agent= can be


class GuestBuildError(Exception):
    pass


def libraries(program):
    """The shared objects that a program loads, the dynamic loader included."""
    listed = subprocess.run(["ldd", program], capture_output=True, text=True, check=False)
    if "not a dynamic executable" in listed.stderr or "statically linked" in listed.stdout:
        return []
    if listed.returncode != 0 or "not found" in listed.stdout:
        raise GuestBuildError(f"ldd {program}: {listed.stdout}{listed.stderr}")
    return re.findall(r"(/\S+) \(0x", listed.stdout)


def merged(name):
    """The same path under /usr, for the guest is laid out like Debian: /lib is usr/lib."""
    return re.sub(r"^/?(bin|sbin|lib|lib64)/", r"usr/\1/", name).lstrip("/")


def digest(*parts):
    """One hash over files (paths) and other values."""
    state = hashlib.sha256()
    for part in parts:
        if isinstance(part, Path):
            state.update(f"{part}\n".encode())
            state.update(part.read_bytes())
        else:
            state.update(f"{part}\n".encode())
    return state.hexdigest()


def up_to_date(stamp, value):
    return stamp.exists() and stamp.read_text() == value


def build_kernel(output):
    deb = kernel.fetch_package()
    target = output / "kernel"
    stamp = output / "kernel.stamp"
    value = digest(deb.name, deb.stat().st_size, Path(kernel.__file__))
    if not up_to_date(stamp, value):
        print(f"unpacking {deb.name}", flush=True)
        kernel.unpack(deb, target)
        stamp.write_text(value)
    return target


def add_programs(files, programs):
    """Adds programs and their libraries: name in the guest -> file here."""
    for name, path in programs.items():
        files[name] = path
        for library in libraries(path):
            files[merged(library)] = Path(library)


def add_modules(files, kernel_folder, order):
    for name in (kernel_folder / order).read_text().split():
        files[f"usr/lib/modules/{name}"] = kernel_folder / name
    files[f"usr/lib/modules/{order}"] = kernel_folder / order


def guest_files(agents, kernel_folder):
    """What goes into the initramfs: name in the guest -> file here."""
    files = {
        "init": HERE / "init",
        "usr/sbin/guest-agent": HERE / "guest-agent",
        "usr/sbin/link-ports": HERE / "link-ports",
        "usr/bin/busybox": Path("/bin/busybox"),
        "etc/os-release": Path("/etc/os-release"),
    }
    add_modules(files, kernel_folder, "order")
    programs = {name[1:]: Path(name) for name in PROGRAMS}
    programs.update({f"usr/sbin/{name}": path for name, path in agents.items()})
    add_programs(files, programs)
    return files


def workshop_files(kernel_folder, probe):
    files = {}
    add_modules(files, kernel_folder, "order.workshop")
    missing = [name for name in WORKSHOP_PROGRAMS if not Path(name).exists()]
    if missing:
        raise GuestBuildError(f"{', '.join(missing)}: run packaging/install-packages guest")
    add_programs(files, {name[1:]: Path(name) for name in WORKSHOP_PROGRAMS})
    add_programs(files, {"usr/bin/quiesce-probe": probe})
    files.update({merged(name): Path(name) for name in WORKSHOP_LIBRARIES})
    return files


def add_files(archive, files):
    for name, source in files.items():
        executable = os.access(source, os.X_OK)
        archive.add_file(name, source.read_bytes(), 0o755 if executable else 0o644)


def write_initramfs(path, files):
    with open(path, "wb") as stream:
        archive = CpioWriter(stream)
        add_files(archive, files)
        # The kernel opens it for init before devtmpfs is there.
        archive.add_character_device("dev/console", 5, 1)
        for folder in ("proc", "sys", "run", "tmp", "srv", "root"):
            archive.add_folder(folder)
        archive.add_file("etc/passwd", b"root::0:0:root:/root:/bin/sh\n")
        archive.add_file("etc/group", b"root:x:0:\n")
        listed = subprocess.run(["/bin/busybox", "--list-full"], capture_output=True, text=True,
                                check=True)
        for folder in ("bin", "sbin", "lib", "lib64"):
            archive.add_link(folder, f"usr/{folder}")
        for applet in map(merged, listed.stdout.split()):
            if not archive.has(applet):
                archive.add_link(applet, "/usr/bin/busybox")
        archive.close()


def build_initramfs(output, agents, kernel_folder):
    target = output / "initramfs.cpio"
    stamp = output / "initramfs.stamp"
    files = guest_files(agents, kernel_folder)
    value = digest(*files.values(), Path(__file__), HERE / "cpio.py")
    if not up_to_date(stamp, value):
        stamp.unlink(missing_ok=True)
        write_initramfs(target, files)
        stamp.write_text(value)
    return target


def build_workshop(output, initramfs, kernel_folder, probe):
    """The initramfs with a second archive behind it, which the kernel unpacks over the first."""
    target = output / "workshop.cpio"
    stamp = output / "workshop.stamp"
    files = workshop_files(kernel_folder, probe)
    value = digest(initramfs, *files.values(), Path(__file__), HERE / "cpio.py")
    if not up_to_date(stamp, value):
        stamp.unlink(missing_ok=True)
        with open(target, "wb") as stream:
            stream.write(initramfs.read_bytes())
            archive = CpioWriter(stream)
            add_files(archive, files)
            archive.close()
        stamp.write_text(value)
    return target


def make_disk(path, fs_type, content=None):
    with open(path, "wb") as image:
        image.truncate(DISK_BYTES[fs_type] if content or fs_type != "ext4" else NESTED_BYTES)
    command = {
        "ext4": ["mke2fs", "-q", "-F", "-t", "ext4", *(["-d", content] if content else [])],
        "xfs": ["mkfs.xfs", "-q", "-f"],
        "btrfs": ["mkfs.btrfs", "-q", "-f"],
    }[fs_type]
    command = [shutil.which(command[0], path=SEARCH_PATH), *command[1:], path]
    made = subprocess.run(command, capture_output=True, text=True, check=False)
    if made.returncode != 0:
        # mkfs.btrfs wants to look into every loop device in use.
        remedy = "" if os.geteuid() == 0 else " (root may)"
        raise GuestBuildError(f"{' '.join(map(str, command))}: {made.stderr.strip()}{remedy}")


def build_disks(output):
    folder = output / "disks"
    stamp = output / "disks.stamp"
    value = digest(Path(__file__))
    disks = {fs_type: folder / f"{fs_type}.raw" for fs_type in DISK_BYTES}
    if not up_to_date(stamp, value):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        make_disk(disks["xfs"], "xfs")
        make_disk(disks["btrfs"], "btrfs")
        with tempfile.TemporaryDirectory(dir=output) as content:
            make_disk(Path(content) / "nested.img", "ext4")
            make_disk(disks["ext4"], "ext4", content)
        stamp.write_text(value)
    return disks


def build(build_folder, workshop=False):
    """Builds what is not up to date; build_folder is Meson's, with the agent in it. The workshop is
    for guests that make filesystems of their own; it takes longer to boot."""
    machine = os.uname().machine
    if machine != "x86_64":
        raise GuestBuildError(f"the guest is made of amd64 packages; this machine is {machine}")
    for program in ("dpkg-deb", "apt-get", "qemu-img", "mkfs.xfs", "mkfs.btrfs", "mke2fs"):
        if not shutil.which(program, path=SEARCH_PATH):
            raise GuestBuildError(f"{program} is missing: run packaging/install-packages guest")
    output = Path(build_folder) / "guest"
    output.mkdir(parents=True, exist_ok=True)
    candidates = {"quiesced": Path(build_folder) / "agent" / "quiesced", "qemu-ga": QEMU_GA}
    agents = {name: path for name, path in candidates.items() if path.exists()}
    kernel_folder = build_kernel(output)
    initramfs = build_initramfs(output, agents, kernel_folder)
    if workshop:
        probe = Path(build_folder) / "prober" / "quiesce-probe"
        initramfs = build_workshop(output, initramfs, kernel_folder, probe)
    return GuestImage(
        kernel_folder / "vmlinux", initramfs, build_disks(output), [*agents, "none"]
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.split(":", maxsplit=1)[0])
    parser.add_argument("--build", type=Path, default=ROOT / "build", help="the meson build folder")
    image = build(parser.parse_args().build)
    print(f"kernel     {image.kernel}\ninitramfs  {image.initramfs}")
    for fs_type, path in image.disks.items():
        print(f"{fs_type:<10} {path}")


if __name__ == "__main__":
    try:
        main()
    except (kernel.KernelError, GuestBuildError) as error:
        sys.exit(f"build_guest: {error}")

# SPDX-License-Identifier: LGPL-2.1-or-later
"""The guest's kernel: Debian's, fetched once and unpacked, never installed on this machine."""

import lzma
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

# What init loads, besides what these depend on.
MODULES = (
    "virtio_pci", "virtio_blk", "virtio_console",
    "crc32c_generic", "ext4", "xfs", "btrfs", "loop",
)
# What only the guest with the workshop loads, besides.
WORKSHOP_MODULES = (
    "virtio_scsi", "sd_mod", "nvme",
    "dm-mod", "dm-crypt", "xts", "ecb", "algif_skcipher", "md-mod", "raid1",
    "crc32_generic", "f2fs", "jfs", "nilfs2", "nls_ascii", "nls_cp437", "nls_utf8", "vfat", "exfat",
    "isofs", "squashfs", "overlay", "fuse",
    "vsock", "vsock_loopback",
)


class KernelError(Exception):
    pass


def cache_folder():
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "quiesced"


def listed_package():
    """The one package of group "unpack" in packaging/packages.txt."""
    for line in (ROOT / "packaging" / "packages.txt").read_text().splitlines():
        words = line.split()
        if words[:1] == ["unpack"]:
            return words[1]
    raise KernelError("packaging/packages.txt has no line with group unpack")


def concrete_package(package):
    """linux-image-amd64 is empty but for a dependency on the current kernel's package."""
    for attempt in range(2):
        shown = subprocess.run(
            ["apt-cache", "--no-all-versions", "show", package],
            capture_output=True, text=True, check=False,
        )
        match = re.search(r"^Depends:.*?\b(linux-image-[0-9]\S*)", shown.stdout, re.MULTILINE)
        if match:
            return match[1]
        if attempt == 0 and os.geteuid() == 0:
            subprocess.run(["apt-get", "-q", "update"], check=False)
    raise KernelError(f"apt knows no package {package}: run apt-get update as root")


def fetch_package():
    """The kernel's .deb, from the cache or else from the package mirror."""
    cache = cache_folder()
    cache.mkdir(parents=True, exist_ok=True)
    found = sorted(cache.glob("linux-image-*.deb"), key=lambda path: path.stat().st_mtime)
    if found:
        return found[-1]
    name = concrete_package(listed_package())
    print(f"fetching {name} into {cache}", flush=True)
    with tempfile.TemporaryDirectory(dir=cache) as folder:
        # As root apt would drop to a user who cannot write here.
        command = ["apt-get", "-q", "-o", "APT::Sandbox::User=root", "download", name]
        if subprocess.run(command, cwd=folder, check=False).returncode != 0:
            raise KernelError(f"cannot fetch {name} from the package mirror")
        deb = next(Path(folder).glob("*.deb"))
        return deb.rename(cache / deb.name)


def uncompressed(image):
    """The ELF file inside a bzImage. QEMU starts it directly (PVH), which under TCG saves the three
    seconds that the guest would spend on decompressing itself."""
    start = image.find(b"\xfd7zXZ\0")
    if start < 0:
        raise KernelError("the kernel is not compressed with xz")
    return lzma.LZMADecompressor(lzma.FORMAT_XZ).decompress(image[start:])


def dependencies(module):
    """The names of the modules that this one needs, from its .modinfo section."""
    data = module.read_bytes()
    needed = []
    for field in (rb"\0depends=([^\0]*)\0", rb"\0softdep=pre: ([^\0]*)\0"):
        for match in re.finditer(field, data):
            needed += re.split(r"[ ,]", match[1].decode())
    return [name for name in needed if name]


def load_order(available, wanted):
    """wanted and all they depend on, each after what it needs; available: name -> path."""
    order = {}

    def visit(name):
        name = name.replace("-", "_")
        # What the kernel has built in, or only an alias names (crypto-*), is no file.
        if name in order or name not in available:
            return
        for needed in dependencies(available[name]):
            visit(needed)
        order[name] = available[name]

    for name in wanted:
        if name.replace("-", "_") not in available:
            raise KernelError(f"the kernel package has no module {name}")
        visit(name)
    return list(order.values())


def unpack(deb, target):
    """Fills target with `vmlinux`, the modules, and `order`, which lists them as they are to be
    loaded; `order.workshop` lists those of the workshop that are not in `order`."""
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        subprocess.run(["dpkg-deb", "-x", deb, folder], check=True)
        image = next(Path(folder).glob("boot/vmlinuz-*"))
        available = {
            path.stem.replace("-", "_"): path
            for path in Path(folder).glob("lib/modules/*/kernel/**/*.ko")
        }
        order = load_order(available, MODULES)
        workshop = [path for path in load_order(available, MODULES + WORKSHOP_MODULES)
                    if path not in order]
        for path in order + workshop:
            shutil.copy(path, target)
        for name, listed in ("order", order), ("order.workshop", workshop):
            (target / name).write_text("".join(f"{path.name}\n" for path in listed))
        (target / "vmlinux").write_bytes(uncompressed(image.read_bytes()))

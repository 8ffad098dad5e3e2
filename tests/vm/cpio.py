# SPDX-License-Identifier: LGPL-2.1-or-later
"""Writes an initramfs: a cpio archive in the "newc" format, without root and the same bytes each
time. Source: linux/Documentation/driver-api/early-userspace/buffer-format.rst."""

import stat


class CpioWriter:
    """Adds files to an archive; folders above them come by themselves."""

    def __init__(self, stream):
        self._stream = stream
        self._names = set()

    def add_folder(self, name):
        if name not in self._names:
            self._add(name, stat.S_IFDIR | 0o755)

    def add_file(self, name, data, mode=0o644):
        self._add(name, stat.S_IFREG | mode, data)

    def add_link(self, name, target):
        self._add(name, stat.S_IFLNK | 0o777, target.encode())

    def add_character_device(self, name, major, minor):
        self._add(name, stat.S_IFCHR | 0o600, device=(major, minor))

    def has(self, name):
        return name in self._names

    def close(self):
        self._write("TRAILER!!!", 0, b"", (0, 0))

    def _add(self, name, mode, data=b"", device=(0, 0)):
        folder = name.rpartition("/")[0]
        if folder:
            self.add_folder(folder)
        if name in self._names:
            raise ValueError(f"{name} is in the archive already")
        self._names.add(name)
        self._write(name, mode, data, device)

    def _write(self, name, mode, data, device):
        encoded = name.encode() + b"\0"
        fields = (
            len(self._names),  # inode: any number that no other file has
            mode, 0, 0, 1, 0,  # owner, group, links, time
            len(data),
            0, 0, *device,
            len(encoded), 0,  # checksum: none in this format
        )
        header = b"070701" + b"".join(b"%08X" % field for field in fields) + encoded
        self._stream.write(header + b"\0" * (-len(header) % 4))
        self._stream.write(data)
        self._stream.write(b"\0" * (-len(data) % 4))

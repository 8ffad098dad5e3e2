# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the prober reads of images and of running guests' disks, against real qemu-img, qemu-nbd and
QEMU: the right bytes, an error that names the cause, no process and no export left behind."""

import json
import os
import signal
import socket
import subprocess
import time

import pytest
from agent import wait_until
from probe import BUILD

READ_IMAGE = BUILD / "tests" / "system" / "read-image"
SIZE = 8 * 1024 * 1024
MARK_OFFSET = 3 * 1024 * 1024 + 123


def read_image(*arguments, within=30, **options):
    return subprocess.run([READ_IMAGE, *map(str, arguments)], capture_output=True, text=True,
                          stdin=subprocess.DEVNULL, timeout=within, check=False, **options)


def mark_of(process):
    assert process.returncode == 0, process
    _, size, content = process.stdout.split()
    assert int(size) == SIZE
    return bytes.fromhex(content)


def read_mark(address, *options):
    return mark_of(read_image(*options, address, MARK_OFFSET, 8))


def error_of(*arguments, **options):
    process = read_image(*arguments, **options)
    assert process.returncode == 1, process
    return process.stderr


def raw_image(path, mark=b"original"):
    with open(path, "wb") as file:
        file.truncate(SIZE)
        file.seek(MARK_OFFSET)
        file.write(mark)
    return path


def qemu_img(*arguments):
    subprocess.run(["qemu-img", *map(str, arguments)], check=True, capture_output=True)


def qemu_io(path, *commands):
    subprocess.run(["qemu-io", *[word for command in commands for word in ("-c", command)],
                    str(path)], check=True, capture_output=True)


def processes_naming(word):
    """Pids whose command line holds word, this test's own excepted."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                if str(word).encode() in file.read() and int(pid) != os.getpid():
                    found.append(int(pid))
        except OSError:
            continue
    return found


@pytest.fixture(name="folder")
def fixture_folder(tmp_path):
    """A folder for images; whatever happens in a test, nothing serves one of them afterwards, and
    no private socket's folder is left."""
    temporary = tmp_path / "T"
    temporary.mkdir()
    before = os.environ.get("TMPDIR")
    os.environ["TMPDIR"] = str(temporary)
    yield tmp_path
    os.environ.pop("TMPDIR")
    if before is not None:
        os.environ["TMPDIR"] = before
    wait_until(lambda: not processes_naming(tmp_path), "the end of all that served an image")
    assert not list(temporary.iterdir())


@pytest.fixture(name="raw")
def fixture_raw(folder):
    return raw_image(folder / "disk.raw")


# ---- formats

def test_a_raw_file_is_read_as_it_is(raw):
    assert read_mark(raw) == b"original"


def test_a_block_device_is_read_as_it_is(raw):
    loop = subprocess.run(["losetup", "--find", "--show", "--read-only", raw], check=True,
                          capture_output=True, text=True).stdout.strip()
    try:
        assert read_mark(loop) == b"original"
    finally:
        subprocess.run(["losetup", "--detach", loop], check=True)


@pytest.mark.parametrize("output", ["qcow2", "qcow", "vmdk", "vdi", "vhdx", "qed"])
def test_an_image_format_is_found_by_its_magic_and_read(folder, raw, output):
    image = folder / "misleading.raw"
    qemu_img("convert", "-f", "raw", "-O", output, raw, image)
    assert read_mark(image) == b"original"


def test_a_path_with_commas_and_spaces_is_read(folder, raw):
    image = folder / "a, b,,c.img"
    qemu_img("convert", "-f", "raw", "-O", "qcow2", raw, image)
    assert read_mark(image) == b"original"


def test_an_internal_snapshot_is_read_by_its_name_and_the_image_stays_apart(folder, raw):
    image = folder / "disk.qcow2"
    qemu_img("convert", "-f", "raw", "-O", "qcow2", raw, image)
    for name in ("before", "snapshot.odd,name"):
        qemu_img("snapshot", "-c", name, image)
    qemu_io(image, f"write -P 0x41 {MARK_OFFSET} 8")
    assert read_mark(image) == b"AAAAAAAA"
    assert read_mark(image, "--snapshot", "before") == b"original"
    assert read_mark(image, "--snapshot", "snapshot.odd,name") == b"original"
    assert "missing" in error_of("--snapshot", "missing", image, 0, 1)


def test_a_raw_image_has_no_internal_snapshot(raw):
    assert "no snapshots inside (before" in error_of("--snapshot", "before", raw, 0, 1)


@pytest.mark.parametrize("output", ["qcow2", "qed", "vmdk"])
def test_an_image_with_a_backing_file_is_read_only_on_the_operators_word(folder, raw, output):
    base, overlay = raw, folder / "overlay"
    if output == "vmdk":  # its parent is a vmdk
        base = folder / "base.vmdk"
        qemu_img("convert", "-f", "raw", "-O", "vmdk", raw, base)
    qemu_img("create", "-f", output, "-b", base, "-F", "raw" if base == raw else "vmdk", overlay)
    assert read_mark(overlay, "--format", output) == b"original"
    text = error_of(overlay, 0, 1)
    assert f"--format raw or --format {output}" in text
    assert str(overlay) in text


def test_an_external_data_file_is_read_only_on_the_operators_word(folder, raw):
    image = folder / "image.qcow2"
    qemu_img("create", "-f", "qcow2", "-o", f"data_file={folder / 'data'},data_file_raw=on",
             image, SIZE)
    qemu_io(image, f"write -P 0x42 {MARK_OFFSET} 8")
    assert read_mark(image, "--format", "qcow2") == b"BBBBBBBB"
    assert "names other files" in error_of(image, 0, 1)


def test_what_a_guest_wrote_on_a_device_is_not_taken_for_an_image(folder, raw):
    image = folder / "disk.qcow2"
    qemu_img("convert", "-f", "raw", "-O", "qcow2", raw, image)
    loop = subprocess.run(["losetup", "--find", "--show", "--read-only", image], check=True,
                          capture_output=True, text=True).stdout.strip()
    try:
        assert "begins like a qcow2 image" in error_of(loop, 0, 1)
        assert read_mark(loop, "--format", "qcow2") == b"original"
        magic = read_image("--format", "raw", loop, 0, 4)
        assert magic.stdout.split()[2] == "514649fb"
    finally:
        subprocess.run(["losetup", "--detach", loop], check=True)


def test_json_tells_its_format_itself(folder, raw):
    image = folder / "disk.qcow2"
    qemu_img("convert", "-f", "raw", "-O", "qcow2", raw, image)
    address = json.dumps({"driver": "qcow2", "file": {"driver": "file", "filename": str(image)}})
    assert read_mark(f"json:{address}") == b"original"


def create_luks(path):
    """Now and then it fails where time is measured badly: "Unable to get accurate CPU usage"."""
    return subprocess.run(
        ["qemu-img", "create", "--object", "secret,id=key,data=word", "-f", "luks", "-o",
         "key-secret=key,iter-time=10", path, str(SIZE)],
        capture_output=True, check=False).returncode == 0


def test_luks_is_raw_unless_said_otherwise_and_then_asks_for_its_key(folder):
    image = folder / "disk.luks"
    wait_until(lambda: create_luks(image), "qemu-img's luks image")
    assert read_image(image, 0, 4).stdout.split()[2] == b"LUKS".hex()
    text = error_of("--format", "luks", image, 0, 1)
    assert "key-secret" in text
    assert "qemu-nbd --object secret" in text


# ---- what goes wrong

def test_the_error_holds_what_qemu_nbd_said(folder):
    broken = folder / "broken.qcow2"
    broken.write_bytes(b"QFI\xfb\0\0\0\x03" + bytes(600))
    text = error_of(broken, 0, 1)
    assert str(broken) in text
    assert "qemu-nbd: " in text
    assert "luster" in text, "not the cause: " + text


def test_an_unknown_protocol_names_the_missing_package(folder):
    assert "qemu-block-extra" in error_of(f"quux:{folder}/x", 0, 1)


def test_without_qemu_nbd_the_error_names_the_package(folder, raw):
    """It is hidden by a mount in a namespace of its own."""
    hidden = folder / "not-executable"
    hidden.touch(0o644)
    image = folder / "disk.qcow2"
    qemu_img("convert", "-f", "raw", "-O", "qcow2", raw, image)
    process = subprocess.run(
        ["unshare", "--mount", "sh", "-c", 'mount --bind "$0" /usr/bin/qemu-nbd && exec "$@"',
         hidden, READ_IMAGE, image, "0", "1"],
        capture_output=True, text=True, timeout=30, check=False)
    assert process.returncode == 1, process
    assert "install the package qemu-utils" in process.stderr


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir], ids=["pipe", "directory"])
def test_what_is_no_image_is_an_error_at_once(folder, make):
    make(folder / "odd")
    assert "neither a file nor a block device" in error_of(folder / "odd", 0, 1, within=5)


def test_reading_beyond_the_end_is_an_error(raw):
    assert f"it ends at {SIZE}" in error_of(raw, SIZE - 4, 8)


# ---- the private qemu-nbd

class Reader:
    """A read-image that has opened its image and waits."""

    def __init__(self, *arguments):
        self.process = subprocess.Popen([READ_IMAGE, "--pause", *map(str, arguments)],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, text=True)

    def wait_open(self):
        assert self.process.stdout.readline() == "open\n", self.process.stderr.read()

    def go_on(self, within=30):
        output, errors = self.process.communicate("\n", timeout=within)
        return subprocess.CompletedProcess(self.process.args, self.process.returncode, output,
                                           errors)

    def __enter__(self):
        self.wait_open()
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()


@pytest.fixture(name="qcow2")
def fixture_qcow2(folder, raw):
    image = folder / "disk.qcow2"
    qemu_img("convert", "-f", "raw", "-O", "qcow2", raw, image)
    return image


def child_of(reader, image):
    found = [pid for pid in processes_naming(image) if pid != reader.process.pid]
    assert len(found) == 1
    return found[0]


def gone(pid):
    return not os.path.exists(f"/proc/{pid}")


def test_the_child_ends_with_the_image(qcow2):
    with Reader(qcow2, MARK_OFFSET, 8) as reader:
        child = child_of(reader, qcow2)
        assert mark_of(reader.go_on()) == b"original"
        assert gone(child)


def test_the_child_ends_when_we_are_killed(qcow2):
    with Reader(qcow2, MARK_OFFSET, 8) as reader:
        child = child_of(reader, qcow2)
        os.kill(child, signal.SIGSTOP)  # so that it does not see the connection's end
        reader.process.kill()
        wait_until(lambda: gone(child), "the child's end")


def test_the_child_serves_nobody_else_and_has_a_clean_environment(qcow2):
    with Reader(qcow2, MARK_OFFSET, 8) as reader:
        child = child_of(reader, qcow2)
        with open(f"/proc/{child}/environ", "rb") as file:
            names = {entry.split(b"=")[0] for entry in file.read().split(b"\0") if entry}
        assert names <= {b"PATH", b"LC_ALL", b"HOME", b"TMPDIR", b"LISTEN_FDS", b"LISTEN_PID"}
        assert not list((qcow2.parent / "T").iterdir()), "the socket still has a name"


def test_a_stalled_child_costs_its_timeout_and_is_ended(qcow2):
    with Reader("--timeout", 700, qcow2, MARK_OFFSET, 8) as reader:
        child = child_of(reader, qcow2)
        os.kill(child, signal.SIGSTOP)
        begin = time.monotonic()
        process = reader.go_on(within=10)
        assert process.returncode == 1
        assert "does not answer in time" in process.stderr
        assert str(qcow2) in process.stderr
        assert 0.6 < time.monotonic() - begin < 5
        assert gone(child)


def test_an_interrupt_ends_reading_from_a_stalled_child(qcow2):
    with Reader("--timeout", 60000, qcow2, MARK_OFFSET, 8) as reader:
        child = child_of(reader, qcow2)
        os.kill(child, signal.SIGSTOP)
        reader.process.send_signal(signal.SIGINT)
        process = reader.go_on(within=10)
        assert process.returncode == 1
        assert "interrupted" in process.stderr
        assert gone(child)


def test_a_child_that_dies_is_an_error(qcow2):
    with Reader(qcow2, MARK_OFFSET, 8) as reader:
        os.kill(child_of(reader, qcow2), signal.SIGKILL)
        process = reader.go_on()
        assert process.returncode == 1
        assert str(qcow2) in process.stderr


# ---- NBD servers of others

@pytest.fixture(name="server")
def fixture_server(folder, raw):
    """A qemu-nbd that anybody could run."""
    path = folder / "nbd.sock"
    with subprocess.Popen(["qemu-nbd", "--read-only", "--persistent", "--shared=4", "--format=raw",
                           "--export-name=disk", f"--socket={path}", raw]) as process:
        try:
            wait_until(path.exists, "the server's socket")
            process.address = f"nbd+unix:///disk?socket={path}"
            yield process
        finally:
            process.kill()


def test_an_nbd_server_is_read_and_left_running(server):
    assert read_mark(server.address) == b"original"
    assert read_mark(server.address, "--format", "raw") == b"original"
    assert server.poll() is None


def test_a_large_read_comes_in_pieces(server):
    content = bytes.fromhex(read_image(server.address, 1, SIZE - 1).stdout.split()[2])
    assert len(content) == SIZE - 1
    assert content[MARK_OFFSET - 1:MARK_OFFSET + 7] == b"original"
    assert content.count(0) == SIZE - 9


def test_nbd_over_tcp_is_read(folder, raw):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with subprocess.Popen(["qemu-nbd", "--read-only", "--persistent", "--format=raw",
                           "--bind=127.0.0.1", f"--port={port}", raw]) as process:
        try:
            wait_until(lambda: read_image(f"nbd://127.0.0.1:{port}", 0, 0).returncode == 0,
                       "the server")
            assert read_mark(f"nbd://127.0.0.1:{port}") == b"original"
        finally:
            process.kill()


def test_an_export_that_is_not_there_is_an_error(server):
    text = error_of(server.address.replace("disk?", "other?"), 0, 1)
    assert "cannot open nbd+unix:///other" in text


def test_a_stalled_server_costs_its_timeout(server):
    server.send_signal(signal.SIGSTOP)
    begin = time.monotonic()
    assert "does not answer in time" in error_of("--timeout", 500, server.address, 0, 1)
    assert 0.4 < time.monotonic() - begin < 5


def test_a_server_that_stalls_after_opening_costs_its_timeout(server):
    with Reader("--timeout", 500, server.address, 0, 1) as reader:
        server.send_signal(signal.SIGSTOP)
        process = reader.go_on(within=5)
        assert process.returncode == 1
        assert "does not answer in time" in process.stderr


def test_an_image_behind_nbd_is_not_opened_unasked(folder, qcow2):
    path = folder / "nbd.sock"
    with subprocess.Popen(["qemu-nbd", "--read-only", "--persistent", "--shared=4", "--format=raw",
                           f"--socket={path}", qcow2]) as process:
        try:
            wait_until(path.exists, "the server's socket")
            address = f"nbd+unix:///?socket={path}"
            assert "begins like a qcow2 image" in error_of(address, 0, 1)
            assert read_mark(address, "--format", "qcow2") == b"original"
        finally:
            process.kill()


# ---- a running guest

class Qemu:
    """A QEMU without a guest in it, and its monitor."""

    def __init__(self, folder, *arguments, user=None):
        self.qmp = folder / "qmp.sock"
        command = ["qemu-system-x86_64", "-S", "-nodefaults", "-accel", "tcg", "-display", "none",
                   "-m", "32", *arguments, "-qmp", f"unix:{self.qmp},server=on,wait=off"]
        self.process = subprocess.Popen(command, user=user)
        wait_until(self.qmp.exists, "QEMU's monitor")

    def call(self, command, **arguments):
        with socket.socket(socket.AF_UNIX) as monitor:
            monitor.settimeout(10)
            monitor.connect(str(self.qmp))
            lines = monitor.makefile("rw")
            lines.readline()
            reply = None
            for request in ({"execute": "qmp_capabilities"},
                            {"execute": command, "arguments": arguments}):
                lines.write(json.dumps(request))
                lines.flush()
                reply = json.loads(lines.readline())
                while "event" in reply:
                    reply = json.loads(lines.readline())
            return reply

    def exports(self):
        return self.call("query-block-exports")["return"]

    def serves_nothing(self):
        """No export is there, and no server: another can be started, and stopped."""
        if self.exports():
            return False
        address = {"type": "inet", "data": {"host": "127.0.0.1", "port": "0"}}
        return "return" in self.call("nbd-server-start", addr=address) \
            and "return" in self.call("nbd-server-stop")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(10)


def drive(path, name, image_format="raw", more=""):
    return ["-drive", f"if=none,id={name},file={path},format={image_format}{more}",
            "-device", f"virtio-blk-pci,drive={name}"]


def blockdev(path, name, image_format="raw"):
    return ["-blockdev", f"driver={image_format},node-name=node-{name},file.driver=file,"
                         f"file.filename={path}",
            "-device", f"virtio-blk-pci,drive=node-{name},id={name}"]


def live_marks(process):
    assert process.returncode == 0, process
    lines = [line.split() for line in process.stdout.splitlines() if line != "open"]
    return {name: bytes.fromhex(content) for name, _, content in lines}


@pytest.fixture(name="guest")
def fixture_guest(folder, raw, qcow2):
    other = raw_image(folder / "other.raw", b"the 2nd!")
    del raw
    with Qemu(folder, *drive(qcow2, "vda", "qcow2"), *blockdev(other, "second"),
              *drive(raw_image(folder / "fixed.raw"), "fixed", more=",readonly=on"),
              "-drive", "if=none,id=cd,media=cdrom", "-device", "ide-cd,drive=cd") as qemu:
        yield qemu


SECOND = "/machine/peripheral/second/virtio-backend"


def test_drives_and_blockdevs_are_read_by_the_counters_names(guest):
    marks = live_marks(read_image("--live", guest.qmp, MARK_OFFSET, 8))
    assert marks == {"vda": b"original", SECOND: b"the 2nd!"}
    counted = {entry["device"] or entry["qdev"] for entry in guest.call("query-blockstats")["return"]}
    assert set(marks) <= counted
    assert guest.serves_nothing()


def test_the_exports_are_read_only_and_nobody_elses(guest, folder):
    with Reader("--live", guest.qmp, 0, 1) as reader:
        assert not list((folder / "T").iterdir()), "the socket still has a name"
        assert reader.go_on().returncode == 0
    assert guest.serves_nothing()


def test_exports_are_removed_after_an_interrupt(guest):
    with Reader("--live", guest.qmp, MARK_OFFSET, 8) as reader:
        reader.process.send_signal(signal.SIGINT)
        process = reader.go_on()
        assert process.returncode == 1
        assert "interrupted" in process.stderr
    assert guest.serves_nothing()


def test_exports_are_removed_after_an_error(guest):
    assert "it ends at" in error_of("--live", guest.qmp, SIZE, 1)
    assert guest.serves_nothing()


def test_a_running_nbd_server_is_told_with_its_remedy_and_left_alone(guest):
    address = {"type": "inet", "data": {"host": "127.0.0.1", "port": "0"}}
    assert "return" in guest.call("nbd-server-start", addr=address)
    text = error_of("--live", guest.qmp, 0, 1)
    assert "nbd-server-stop" in text
    assert "already running" in text
    assert "return" in guest.call("nbd-server-stop"), "the server of another was stopped"


def test_a_guest_without_disks_is_an_error(folder):
    with Qemu(folder) as qemu:
        assert "none that it can write to" in error_of("--live", qemu.qmp, 0, 1)
        assert qemu.serves_nothing()


def test_the_disks_of_a_qemu_of_another_user_are_read(folder):
    """As under libvirt: QEMU may not enter any directory of ours."""
    place = folder / "qemu"
    place.mkdir()
    image = raw_image(place / "disk.raw")
    os.chown(place, 65534, 65534)
    os.chown(image, 65534, 65534)
    for parent in [folder, *folder.parents]:
        if not os.stat(parent).st_mode & 1:
            os.chmod(parent, os.stat(parent).st_mode | 0o011)
        if parent.name.startswith("pytest-of-"):
            break
    with Qemu(place, *drive(image, "vda"), user=65534) as qemu:
        assert live_marks(read_image("--live", qemu.qmp, MARK_OFFSET, 8)) == {"vda": b"original"}
        assert qemu.serves_nothing()


def test_an_image_that_a_running_guest_holds_is_read(guest, qcow2):
    del guest
    assert read_mark(qcow2) == b"original"

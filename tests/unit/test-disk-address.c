/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Runs under umockdev-wrapper: sysfs is made of fixtures/sysfs. In the guest where
 * controllers.umockdev was recorded qemu-ga 7.2.22 said the same of the same disks, with two
 * exceptions: it leaves the target of virtio-scsi disks at 0, and of USB and megaraid disks it says
 * "unknown" and no PCI address.
 */
#include "platform/disk-address.h"

#include <check.h>
#include <stdlib.h>
#include <sys/sysmacros.h>
#include <umockdev.h>
#include <unistd.h>

static UMockdevTestbed *testbed;

/* umockdev 0.17 takes a device for a block device only when "/block/" is in its path, which the
 * kernel does not put into those of NVMe. */
static void link_number(const char *number, const char *device_path)
{
    g_autofree char *sys = umockdev_testbed_get_sys_dir(testbed);
    g_autofree char *folder = g_build_filename(sys, "dev/block", NULL);
    g_autofree char *link = g_build_filename(folder, number, NULL);
    g_autofree char *target = g_build_filename("../..", device_path, NULL);

    ck_assert_int_eq(g_mkdir_with_parents(folder, 0755), 0);
    ck_assert_int_eq(symlink(target, link), 0);
}

static void load(const char *name, const char *nvme_path)
{
    g_autofree char *path = g_build_filename(g_getenv("FIXTURES"), "sysfs", name, NULL);
    g_autoptr(GError) error = NULL;

    testbed = umockdev_testbed_new();
    ck_assert_msg(umockdev_in_mock_environment(), "run me under umockdev-wrapper");
    ck_assert_msg(umockdev_testbed_add_from_file(testbed, path, &error), "%s",
                  error ? error->message : "");
    link_number("259:0", nvme_path);
}

static void set_up_controllers(void)
{
    load("controllers.umockdev", "devices/pci0000:00/0000:00:08.0/nvme/nvme0/nvme0n1");
}

static void set_up_stacks(void)
{
    load("stacks.umockdev", "devices/virtual/nvme-subsystem/nvme-subsys0/nvme0n1");
}

static void tear_down(void)
{
    g_object_unref(testbed);
}

/* "virtio 0:0:0 at 0000:03.0" */
static char *describe(const DiskAddress *address)
{
    return g_strdup_printf("%s %d:%d:%d at %d:%d:%d.%d", address->bus_type, address->bus,
                           address->target, address->unit, address->pci.domain, address->pci.bus,
                           address->pci.slot, address->pci.function);
}

static const struct {
    const char *node;
    unsigned major, minor;
    const char *place;
    const char *serial;
} controllers[] = {
    {"/dev/vda", 254, 0, "virtio 0:0:0 at 0:0:3.0", "ext4"},
    {"/dev/vdd", 254, 48, "virtio 0:0:0 at 0:1:5.0", "behind"},
    {"/dev/nvme0n1", 259, 0, "nvme 0:0:0 at 0:0:8.0", "QEMU_NVMe_Ctrl_nvmeser_1"},
    {"/dev/sda", 8, 0, "sata 0:0:1 at 0:0:7.0", "QEMU_HARDDISK_sata"},
    {"/dev/sdb", 8, 16, "scsi 0:3:2 at 0:0:6.0", "0QEMU_QEMU_HARDDISK_vscsi"},
    {"/dev/sdc", 8, 32, "scsi 0:0:5 at 0:0:10.0", "0QEMU_QEMU_HARDDISK_x4"},
    {"/dev/sdd", 8, 48, "usb 0:0:0 at 0:0:9.0", "QEMU_QEMU_HARDDISK_usbser-0:0"},
    {"/dev/sde", 8, 64, "scsi 2:2:0 at 0:0:12.0", "0QEMU_QEMU_HARDDISK_mega"},
    {"/dev/sdf", 8, 80, "ide 1:0:1 at 0:0:14.0", "QEMU_HARDDISK_ide"},
};

START_TEST(a_disk_is_placed_as_on_the_hosts_command_line)
{
    for (size_t i = 0; i < G_N_ELEMENTS(controllers); i++) {
        g_autoptr(DiskAddress) address =
            disk_address_read(makedev(controllers[i].major, controllers[i].minor));
        g_autofree char *place = NULL;

        ck_assert_msg(address != NULL, "%s has no address", controllers[i].node);
        place = describe(address);
        ck_assert_str_eq(address->node, controllers[i].node);
        ck_assert_str_eq(place, controllers[i].place);
        ck_assert_str_eq(address->serial, controllers[i].serial);
        ck_assert(!address->has_ccw);
    }
}
END_TEST

START_TEST(a_partition_has_its_disks_place_and_its_own_node)
{
    g_autoptr(DiskAddress) address = NULL;
    g_autofree char *place = NULL;

    address = disk_address_read(makedev(254, 49));
    place = describe(address);
    ck_assert_str_eq(address->node, "/dev/vdd1");
    ck_assert_str_eq(place, "virtio 0:0:0 at 0:1:5.0");
}
END_TEST

START_TEST(a_disk_without_pci_says_so_and_still_tells_its_bus)
{
    static const struct {
        unsigned major, minor;
        const char *place;
    } expected[] = {
        {254, 0, "virtio 0:0:0 at -1:-1:-1.-1"},
        {202, 0, "xen 0:0:0 at -1:-1:-1.-1"},
        {179, 0, "sd 0:0:0 at -1:-1:-1.-1"},
        {259, 0, "nvme 0:0:0 at -1:-1:-1.-1"},
    };

    for (size_t i = 0; i < G_N_ELEMENTS(expected); i++) {
        g_autoptr(DiskAddress) address =
            disk_address_read(makedev(expected[i].major, expected[i].minor));
        g_autofree char *place = NULL;

        ck_assert_ptr_nonnull(address);
        place = describe(address);
        ck_assert_str_eq(place, expected[i].place);
        ck_assert_ptr_null(address->serial);
    }
}
END_TEST

START_TEST(a_channel_device_has_its_ccw_address)
{
    g_autoptr(DiskAddress) address = NULL;

    address = disk_address_read(makedev(254, 16));
    ck_assert(address->has_ccw);
    ck_assert_uint_eq(address->ccw.cssid, 0);
    ck_assert_uint_eq(address->ccw.ssid, 1);
    ck_assert_uint_eq(address->ccw.subchno, 2);
    ck_assert_uint_eq(address->ccw.devno, 0xaf);
}
END_TEST

START_TEST(virtual_and_unknown_devices_have_no_address)
{
    ck_assert_ptr_null(disk_address_read(makedev(7, 0)));
    ck_assert_ptr_null(disk_address_read(makedev(253, 0)));
    ck_assert_ptr_null(disk_address_read(makedev(9, 127)));
    ck_assert_ptr_null(disk_address_read(makedev(99, 99)));
}
END_TEST

static TCase *add_case(Suite *suite, const char *name, SFun set_up)
{
    TCase *tcase = tcase_create(name);

    tcase_add_checked_fixture(tcase, set_up, tear_down);
    suite_add_tcase(suite, tcase);
    return tcase;
}

int main(void)
{
    Suite *suite = suite_create("disk-address");
    TCase *recorded = add_case(suite, "controllers", set_up_controllers);
    TCase *written = add_case(suite, "stacks", set_up_stacks);
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_test(recorded, a_disk_is_placed_as_on_the_hosts_command_line);
    tcase_add_test(recorded, a_partition_has_its_disks_place_and_its_own_node);
    tcase_add_test(written, a_disk_without_pci_says_so_and_still_tells_its_bus);
    tcase_add_test(written, a_channel_device_has_its_ccw_address);
    tcase_add_test(written, virtual_and_unknown_devices_have_no_address);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

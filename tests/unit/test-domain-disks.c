/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "prober/libvirt/domain-disks.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#define DOMAIN(devices) \
    "<?xml version='1.0'?><domain type='kvm' xmlns:qemu='http://libvirt.org/schemas/domain/qemu'>" \
    "<name>vm1</name><devices><emulator>/usr/bin/kvm</emulator>" devices \
    "</devices><qemu:commandline><qemu:arg value='-s'/></qemu:commandline></domain>"

static const struct {
    const char *xml;
    const char *name;
    const char *format;
    const char *address; /* NULL: a problem that names what stands in problem */
    const char *problem;
    bool writable;
} disks[] = {
    {DOMAIN("<disk type='file' device='disk'><driver name='qemu' type='qcow2'/>"
            "<source file='/srv/a &amp; b.qcow2' index='2'/>"
            "<backingStore type='file'><format type='raw'/><source file='/srv/base.raw'/>"
            "</backingStore><target dev='vda' bus='virtio'/></disk>"),
     "vda", "qcow2", "/srv/a & b.qcow2", NULL, true},
    /* While a blockcopy goes on, and with the backing image first. */
    {DOMAIN("<disk type='file'><backingStore type='file'><source file='/srv/base'/></backingStore>"
            "<mirror type='file'><format type='raw'/><source file='/srv/copy'/></mirror>"
            "<driver type='raw'/><source file='/srv/top'/><target dev='sdb'/></disk>"),
     "sdb", "raw", "/srv/top", NULL, true},
    {DOMAIN("<disk type='block' device='disk'><driver type='raw'/><source dev='/dev/vg/lv'/>"
            "<target dev='vdb'/><readonly/></disk>"),
     "vdb", "raw", "/dev/vg/lv", NULL, false},
    {DOMAIN("<disk type='file' device='cdrom'><source file='/srv/x.iso'/><target dev='sda'/>"
            "</disk>"),
     "sda", NULL, "/srv/x.iso", NULL, false},
    {DOMAIN("<disk type='network' device='disk'><driver type='raw'/><auth username='cinder'>"
            "<secret type='ceph' uuid='u'/></auth><source protocol='rbd' name='volumes/volume-1'>"
            "<host name='10.0.0.1' port='6789'/><host name='10.0.0.2' port='6789'/></source>"
            "<target dev='vda'/></disk>"),
     "vda", "raw", "rbd:volumes/volume-1:id=cinder:mon_host=10.0.0.1\\:6789;10.0.0.2\\:6789", NULL,
     true},
    {DOMAIN("<disk type='network'><source protocol='rbd' name='p/a:b@c'>"
            "<auth username='u'/></source><target dev='vda'/></disk>"),
     "vda", NULL, "rbd:p/a\\:b\\@c:id=u", NULL, true},
    {DOMAIN("<disk type='network'><source protocol='nbd' name='export'>"
            "<host name='store' port='10809'/></source><target dev='vdc'/></disk>"),
     "vdc", NULL, "nbd://store:10809/export", NULL, true},
    {DOMAIN("<disk type='network'><source protocol='iscsi' name='iqn/1'/><target dev='vdd'/>"
            "</disk>"),
     "vdd", NULL, NULL, "iscsi", true},
    {DOMAIN("<disk type='volume'><source pool='p' volume='v'/><target dev='vde'/></disk>"), "vde",
     NULL, NULL, "volume", true},
};

START_TEST(a_disk_is_found_by_its_own_source)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GPtrArray) list = domain_disks_parse(disks[_i].xml, &error);

    ck_assert_msg(list != NULL, "%s", error ? error->message : "");
    ck_assert_uint_eq(list->len, 1);
    const DomainDisk *disk = g_ptr_array_index(list, 0);
    ck_assert_str_eq(disk->name, disks[_i].name);
    ck_assert_pstr_eq(disk->format, disks[_i].format);
    ck_assert_pstr_eq(disk->address, disks[_i].address);
    ck_assert_int_eq(disk->writable, disks[_i].writable);
    ck_assert_int_eq(disk->problem != NULL, disk->address == NULL);
    if (disks[_i].problem)
        ck_assert_ptr_nonnull(strstr(disk->problem, disks[_i].problem));
}
END_TEST

START_TEST(an_empty_drive_is_no_disk)
{
    g_autoptr(GPtrArray) list = domain_disks_parse(
        DOMAIN("<disk type='file' device='cdrom'><target dev='sda'/></disk>"), NULL);

    ck_assert_uint_eq(list->len, 0);
}
END_TEST

START_TEST(text_that_is_no_xml_is_an_error)
{
    g_autoptr(GError) error = NULL;

    ck_assert_ptr_null(
        domain_disks_parse("<domain><devices><disk type='file'><source file='/x'/>", &error));
    ck_assert_ptr_nonnull(error);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("domain-disks");
    TCase *parsing = tcase_create("parsing");

    tcase_add_loop_test(parsing, a_disk_is_found_by_its_own_source, 0, G_N_ELEMENTS(disks));
    tcase_add_test(parsing, an_empty_drive_is_no_disk);
    tcase_add_test(parsing, text_that_is_no_xml_is_an_error);
    suite_add_tcase(suite, parsing);

    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "platform/freeze-plan.h"

#include "platform/filesystem-kind.h"
#include "platform/mount-path.h"
#include "platform/superblock-graph.h"

#include <fnmatch.h>
#include <string.h>
#include <sys/sysmacros.h>

static void target_free(gpointer data)
{
    FreezeTarget *target = data;

    g_free(target->mount_point);
    g_free(target->fs_type);
    g_free(target->source);
    g_ptr_array_unref(target->aliases);
    g_free(target);
}

static void skip_free(gpointer data)
{
    FreezeSkip *skip = data;

    g_free(skip->mount_point);
    g_free(skip->fs_type);
    g_free(skip->source);
    g_free(skip->reason);
    g_free(skip);
}

FreezePlan *freeze_plan_new(void)
{
    FreezePlan *plan = g_new0(FreezePlan, 1);

    plan->targets = g_ptr_array_new_with_free_func(target_free);
    plan->skips = g_ptr_array_new_with_free_func(skip_free);
    return plan;
}

void freeze_plan_free(FreezePlan *plan)
{
    if (!plan)
        return;
    g_ptr_array_unref(plan->targets);
    g_ptr_array_unref(plan->skips);
    g_free(plan);
}

/* All that is known of one superblock while the plan is made. */
typedef struct {
    dev_t device;
    GPtrArray *mounts;   /* of const Mount *, never empty */
    const Mount *chosen; /* of these, the one to open */
    MountReach reach;    /* of chosen */
} Candidate;

static void candidate_free(gpointer data)
{
    Candidate *candidate = data;

    g_ptr_array_unref(candidate->mounts);
    g_free(candidate);
}

/* Higher is better; see freeze_plan_build(). */
static unsigned preference(const Mount *mount, const MountReach *reach)
{
    return (reach->hidden ? 0 : 8u) + (reach->through_remote ? 0 : 4u) +
           (mount->namespace_pid == 0 ? 2u : 0) + (g_str_equal(mount->root, "/") ? 1u : 0);
}

static void choose_mount(Candidate *candidate, GHashTable *reach_by_mount)
{
    for (guint i = 0; i < candidate->mounts->len; i++) {
        const Mount *mount = g_ptr_array_index(candidate->mounts, i);
        const MountReach *reach = g_hash_table_lookup(reach_by_mount, mount);

        if (!candidate->chosen ||
            preference(mount, reach) > preference(candidate->chosen, &candidate->reach)) {
            candidate->chosen = mount;
            candidate->reach = *reach;
        }
    }
}

/* One candidate per superblock, in the order of their first mounts. */
static GPtrArray *collect_candidates(const MountTable *mounts, GHashTable *reach_by_mount)
{
    g_autoptr(GHashTable) by_device = g_hash_table_new(g_int64_hash, g_int64_equal);
    GPtrArray *candidates = g_ptr_array_new_with_free_func(candidate_free);

    for (guint i = 0; i < mounts->mounts->len; i++) {
        Mount *mount = g_ptr_array_index(mounts->mounts, i);
        guint64 device = mount->device;
        Candidate *candidate = g_hash_table_lookup(by_device, &device);

        if (!candidate) {
            candidate = g_new0(Candidate, 1);
            candidate->device = mount->device;
            candidate->mounts = g_ptr_array_new();
            g_ptr_array_add(candidates, candidate);
            G_STATIC_ASSERT(sizeof(dev_t) == sizeof(guint64));
            g_hash_table_insert(by_device, &candidate->device, candidate);
        }
        g_ptr_array_add(candidate->mounts, mount);
    }
    for (guint i = 0; i < candidates->len; i++)
        choose_mount(g_ptr_array_index(candidates, i), reach_by_mount);
    return candidates;
}

static bool matches_any(char *const *patterns, const char *text)
{
    for (; *patterns; patterns++)
        if (fnmatch(*patterns, text, 0) == 0)
            return true;
    return false;
}

static const char *mount_point_of(const Mount *mount)
{
    return mount->mount_point;
}

static const char *type_of(const Mount *mount)
{
    return mount->fs_type;
}

static const char *source_of(const Mount *mount)
{
    return mount->source;
}

static const struct {
    size_t include_offset, exclude_offset;
    const char *(*text)(const Mount *mount);
    const char *not_included, *excluded;
} rule_kinds[] = {
    {offsetof(FreezeRules, include_mount_points), offsetof(FreezeRules, exclude_mount_points),
     mount_point_of, "not among include-mountpoints of the configuration",
     "excluded by exclude-mountpoints of the configuration"},
    {offsetof(FreezeRules, include_types), offsetof(FreezeRules, exclude_types), type_of,
     "not among include-types of the configuration",
     "excluded by exclude-types of the configuration"},
    {offsetof(FreezeRules, include_devices), offsetof(FreezeRules, exclude_devices), source_of,
     "not among include-devices of the configuration",
     "excluded by exclude-devices of the configuration"},
};

/* The reason that the administrator's rules give to leave it out, or NULL. */
static const char *rules_reason(const FreezeRules *rules, const Candidate *candidate)
{
    for (size_t kind = 0; kind < G_N_ELEMENTS(rule_kinds); kind++) {
        char **include = G_STRUCT_MEMBER(char **, rules, rule_kinds[kind].include_offset);
        char **exclude = G_STRUCT_MEMBER(char **, rules, rule_kinds[kind].exclude_offset);
        bool included = include == NULL;

        for (guint i = 0; i < candidate->mounts->len; i++) {
            const Mount *mount = g_ptr_array_index(candidate->mounts, i);
            const char *text = rule_kinds[kind].text(mount);

            included = included || matches_any(include, text);
            if (exclude && g_str_equal(mount->root, candidate->chosen->root) &&
                matches_any(exclude, text))
                return rule_kinds[kind].excluded;
        }
        if (!included)
            return rule_kinds[kind].not_included;
    }
    return NULL;
}

/* Filesystems that live on disks although their superblocks have anonymous device numbers. */
static bool may_be_anonymous(const char *fs_type)
{
    static const char *const types[] = {"btrfs", "bcachefs", "zfs", NULL};

    return g_strv_contains(types, fs_type);
}

/* Why its nature forbids or spares freezing it, or NULL. */
static const char *nature_reason(const Candidate *candidate, const BlockStack *stack)
{
    const Mount *mount = candidate->chosen;
    const char *reason = filesystem_kind_reason(filesystem_kind(mount->fs_type));

    if (reason)
        return reason;
    if (major(candidate->device) == 0 && !may_be_anonymous(mount->fs_type))
        return "lies on no block device";
    if (mount->superblock_read_only)
        return "mounted read-only";
    if (block_stack_is_removed(stack, candidate->device))
        return "its device was removed";
    return NULL;
}

static bool is_mounted_here(const Candidate *candidate)
{
    for (guint i = 0; i < candidate->mounts->len; i++)
        if (((const Mount *)g_ptr_array_index(candidate->mounts, i))->namespace_pid == 0)
            return true;
    return false;
}

static const char *skip_reason(const FreezeRules *rules, const Candidate *candidate,
                               const BlockStack *stack)
{
    const char *reason = nature_reason(candidate, stack);

    if (!reason && !rules->other_namespaces && !is_mounted_here(candidate))
        reason = "mounted only in another mount namespace, excluded by other-namespaces of the "
                 "configuration";
    if (!reason)
        reason = rules_reason(rules, candidate);
    if (!reason && candidate->reach.hidden)
        reason = "cannot be opened: another mount hides it";
    return reason;
}

static void add_skip(FreezePlan *plan, const Candidate *candidate, const char *reason)
{
    FreezeSkip *skip = g_new0(FreezeSkip, 1);

    skip->device = candidate->device;
    skip->mount_point = g_strdup(candidate->chosen->mount_point);
    skip->fs_type = g_strdup(candidate->chosen->fs_type);
    skip->source = g_strdup(candidate->chosen->source);
    skip->reason = g_strdup(reason);
    g_ptr_array_add(plan->skips, skip);
}

static void add_unknown_path(FreezePlan *plan, const char *path)
{
    FreezeSkip *skip = g_new0(FreezeSkip, 1);

    skip->mount_point = g_strdup(path);
    skip->reason = g_strdup("not a mount point");
    g_ptr_array_add(plan->skips, skip);
}

static GPtrArray *aliases_of(const Candidate *candidate)
{
    GPtrArray *aliases = g_ptr_array_new_with_free_func(g_free);

    for (guint i = 0; i < candidate->mounts->len; i++) {
        const Mount *mount = g_ptr_array_index(candidate->mounts, i);

        if (mount->namespace_pid == candidate->chosen->namespace_pid &&
            !g_str_equal(mount->mount_point, candidate->chosen->mount_point) &&
            !g_ptr_array_find_with_equal_func(aliases, mount->mount_point, g_str_equal, NULL))
            g_ptr_array_add(aliases, g_strdup(mount->mount_point));
    }
    return aliases;
}

static FreezeTarget *target_new(const Candidate *candidate, const BlockStack *stack, unsigned wave)
{
    FreezeTarget *target = g_new0(FreezeTarget, 1);
    const Mount *mount = candidate->chosen;

    target->device = candidate->device;
    target->mount_id = mount->mount_id;
    target->mount_point = g_strdup(mount->mount_point);
    target->fs_type = g_strdup(mount->fs_type);
    target->source = g_strdup(mount->source);
    target->namespace_pid = mount->namespace_pid;
    target->namespace_inode = mount->namespace_inode;
    target->block_device = block_stack_first_device(stack, candidate->device);
    target->through_remote = candidate->reach.through_remote;
    target->wave = wave;
    target->aliases = aliases_of(candidate);
    return target;
}

/* Adds to the set the superblocks that a requested path names, in the own namespace if it is a
 * mount point there, else in all others; where mounts are stacked on it, the uppermost is meant. */
static bool add_requested(GHashTable *requested, const GPtrArray *candidates,
                          GHashTable *reach_by_mount, const char *path, bool own_namespace)
{
    g_autofree char *wanted = path[0] == '/' ? g_canonicalize_filename(path, "/") : g_strdup(path);
    const Candidate *hidden = NULL;
    bool found = false;

    for (guint i = 0; i < candidates->len; i++) {
        Candidate *candidate = g_ptr_array_index(candidates, i);

        for (guint j = 0; j < candidate->mounts->len; j++) {
            const Mount *mount = g_ptr_array_index(candidate->mounts, j);
            const MountReach *reach = g_hash_table_lookup(reach_by_mount, mount);

            if ((mount->namespace_pid == 0) != own_namespace ||
                !g_str_equal(mount->mount_point, wanted))
                continue;
            if (reach->hidden) {
                hidden = candidate;
                continue;
            }
            g_hash_table_add(requested, &candidate->device);
            found = true;
        }
    }
    if (!found && hidden)
        g_hash_table_add(requested, (gpointer)&hidden->device);
    return found || hidden;
}

/* The set of dev_t that the requested paths name; unknown paths become skips. */
static GHashTable *resolve_requested(FreezePlan *plan, const GPtrArray *candidates,
                                     GHashTable *reach_by_mount, const char *const *paths)
{
    GHashTable *requested = g_hash_table_new(g_int64_hash, g_int64_equal);

    for (; *paths; paths++)
        if (!add_requested(requested, candidates, reach_by_mount, *paths, true) &&
            !add_requested(requested, candidates, reach_by_mount, *paths, false))
            add_unknown_path(plan, *paths);
    return requested;
}

/* Containers have their own proc, sysfs and tmpfs by the dozen: nobody asks why these are left
 * out. */
static bool is_worth_telling(const Candidate *candidate)
{
    return candidate->chosen->namespace_pid == 0 ||
           filesystem_kind(candidate->chosen->fs_type) != FILESYSTEM_PSEUDO;
}

/* The candidates to freeze, as a set of dev_t; the others become skips. requested may be NULL. */
static GHashTable *choose_targets(FreezePlan *plan, const GPtrArray *candidates,
                                  const FreezeRules *rules, GHashTable *requested,
                                  const BlockStack *stack)
{
    GHashTable *chosen = g_hash_table_new(g_int64_hash, g_int64_equal);

    for (guint i = 0; i < candidates->len; i++) {
        Candidate *candidate = g_ptr_array_index(candidates, i);
        const char *reason;

        if (requested && !g_hash_table_contains(requested, &candidate->device))
            continue;
        reason = skip_reason(rules, candidate, stack);
        if (!reason)
            g_hash_table_add(chosen, &candidate->device);
        else if (requested || is_worth_telling(candidate))
            add_skip(plan, candidate, reason);
    }
    return chosen;
}

/* The kernel cannot freeze the one without stalling the other; who asked for one alone gets what he
 * asked for, and is told. */
static void tell_stalled(FreezePlan *plan, const GPtrArray *candidates, GHashTable *requested,
                         const SuperblockGraph *graph, const BlockStack *stack)
{
    for (guint i = 0; i < candidates->len; i++) {
        const Candidate *candidate = g_ptr_array_index(candidates, i);

        if (g_hash_table_contains(requested, &candidate->device) || nature_reason(candidate, stack))
            continue;
        for (guint j = 0; j < plan->targets->len; j++) {
            const FreezeTarget *target = g_ptr_array_index(plan->targets, j);
            g_autofree char *reason = NULL;

            if (!superblock_graph_lies_on(graph, candidate->device, target->device))
                continue;
            reason = g_strdup_printf("not requested, but it lies on %s: its writes stall while "
                                     "that is frozen",
                                     target->mount_point);
            add_skip(plan, candidate, reason);
            break;
        }
    }
}

/* Wave after wave, each in mount order. */
static void add_targets(FreezePlan *plan, const GPtrArray *candidates, GHashTable *chosen,
                        const SuperblockGraph *graph, const BlockStack *stack)
{
    guint count = g_hash_table_size(chosen);

    for (; plan->targets->len < count; plan->waves++)
        for (guint i = 0; i < candidates->len; i++) {
            const Candidate *candidate = g_ptr_array_index(candidates, i);

            if (g_hash_table_contains(chosen, &candidate->device) &&
                superblock_graph_find(graph, candidate->device)->wave == plan->waves)
                g_ptr_array_add(plan->targets, target_new(candidate, stack, plan->waves));
        }
}

FreezePlan *freeze_plan_build(const MountTable *mounts, const BlockStack *stack,
                              const FreezeRules *rules, const char *const *requested,
                              GError **error)
{
    static const FreezeRules no_rules = {.other_namespaces = true};
    const FreezeRules *effective = rules ? rules : &no_rules;
    g_autoptr(FreezePlan) plan = freeze_plan_new();
    g_autoptr(GHashTable) reach_by_mount = mount_path_reach(mounts);
    g_autoptr(GPtrArray) candidates = collect_candidates(mounts, reach_by_mount);
    g_autoptr(SuperblockGraph) graph = superblock_graph_new(mounts, stack);
    g_autoptr(GHashTable) wanted =
        requested ? resolve_requested(plan, candidates, reach_by_mount, requested) : NULL;
    g_autoptr(GHashTable) chosen = choose_targets(plan, candidates, effective, wanted, stack);

    if (!superblock_graph_order(graph, chosen, error))
        return NULL;
    add_targets(plan, candidates, chosen, graph, stack);
    if (wanted)
        tell_stalled(plan, candidates, wanted, graph, stack);
    return g_steal_pointer(&plan);
}

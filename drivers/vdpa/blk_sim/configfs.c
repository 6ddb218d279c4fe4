// SPDX-License-Identifier: GPL-2.0-only
/*
 * Descriptions of disks: mkdir /sys/kernel/config/vdpa_blk_sim/NAME makes one,
 * and "vdpa dev add name NAME" a disk that is as its attributes say.
 *
 * Locks: vdpa's, vbs_desc.lock, vbs_dev.lock, each inside of the one before.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/configfs.h>
#include <linux/kstrtox.h>
#include <linux/limits.h>
#include <linux/log2.h>
#include <linux/module.h>
#include <linux/ratelimit.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/stringify.h>
#include <linux/sysfs.h>

#include "blk_sim.h"
#include "vdpa_blk_compat.h"

/* What configfs takes in one write; it cuts the rest off without an error. */
#define VBS_WRITE_MAX	(SZ_4K - 1)

/* Bytes of a refused value that are worth a place in the log. */
#define VBS_LOG_MAX	64

/**
 * struct vbs_desc - description of a disk
 * @item: its directory
 * @lock: guards all below; @badblocks has its own for those who read it
 * @params: what it says
 * @badblocks: sectors that answer IOERR
 * @held: a disk is made of it: @params are constant, the directory stays
 * @dev: the disk, for live attributes; NULL while there is none
 */
struct vbs_desc {
	struct config_item item;
	struct mutex lock;	/* guards all below */
	struct vbs_params params;
	struct badblocks badblocks;
	bool held;
	struct vbs_dev *dev;
};

struct vbs_write;

/**
 * struct vbs_attr - an attribute that can be written
 * @name: its file
 * @set: take a value; vbs_desc.lock held.  Returns 0 or a negative errno, after
 *	a log line
 * @live: may be written while the disk exists
 * @limit: of its log lines: scripts loop
 */
struct vbs_attr {
	const char *name;
	int (*set)(const struct vbs_write *w);
	bool live;
	struct ratelimit_state limit;
};

/**
 * struct vbs_write - one write to an attribute
 * @desc: whose
 * @attr: which
 * @val: terminated with NUL, which is in no other place
 * @len: of @val, without the newline that may stand at its end
 */
struct vbs_write {
	struct vbs_desc *desc;
	struct vbs_attr *attr;
	const char *val;
	size_t len;
};

static struct vbs_desc *to_desc(struct config_item *item)
{
	return container_of(item, struct vbs_desc, item);
}

static const char *desc_name(struct vbs_desc *desc)
{
	return config_item_name(&desc->item);
}

static int refuse(const struct vbs_write *w, int err, const char *why)
{
	if (__ratelimit(&w->attr->limit))
		pr_err("%s: %s=%*pE: %s\n", desc_name(w->desc), w->attr->name,
		       (int)min_t(size_t, w->len, VBS_LOG_MAX), w->val, why);
	return err;
}

static int refuse_held(const struct vbs_write *w)
{
	const char *name = desc_name(w->desc);

	if (__ratelimit(&w->attr->limit))
		pr_err("%s: %s=%*pE: the disk exists, remove it first (vdpa dev del %s)\n",
		       name, w->attr->name,
		       (int)min_t(size_t, w->len, VBS_LOG_MAX), w->val, name);
	return -EBUSY;
}

static ssize_t desc_store(struct config_item *item, struct vbs_attr *attr,
			  const char *page, size_t count)
{
	struct vbs_desc *desc = to_desc(item);
	struct vbs_write w = {
		.desc = desc,
		.attr = attr,
		.val = page,
		.len = count - (page[count - 1] == '\n'),
	};
	int err;

	mutex_lock(&desc->lock);
	if (desc->held && !attr->live)
		err = refuse_held(&w);
	else if (memchr(page, '\0', count))
		err = refuse(&w, -EINVAL, "has a NUL byte");
	else
		err = attr->set(&w);
	mutex_unlock(&desc->lock);
	return err ? err : count;
}

#define VBS_STORE(_name, _live)						\
static struct vbs_attr vbs_attr_##_name = {				\
	.name = #_name,							\
	.set = set_##_name,						\
	.live = _live,							\
	.limit = RATELIMIT_STATE_INIT(vbs_attr_##_name.limit,		\
				      DEFAULT_RATELIMIT_INTERVAL,	\
				      DEFAULT_RATELIMIT_BURST),		\
};									\
static ssize_t vbs_desc_##_name##_store(struct config_item *item,	\
					const char *page, size_t count)	\
{									\
	return desc_store(item, &vbs_attr_##_name, page, count);	\
}

/* The format and its values, which are found in desc. */
#define VBS_SHOW(_name, ...)						\
static ssize_t vbs_desc_##_name##_show(struct config_item *item,	\
				       char *page)			\
{									\
	struct vbs_desc *desc = to_desc(item);				\
	ssize_t len;							\
									\
	mutex_lock(&desc->lock);					\
	len = sysfs_emit(page, __VA_ARGS__);				\
	mutex_unlock(&desc->lock);					\
	return len;							\
}

/* ---- numbers ---- */

static bool num_queues_ok(u32 n)
{
	return n && n <= VBS_MAX_QUEUES;
}

static bool queue_size_ok(u32 n)
{
	return n >= 2 && vbs_ring_valid_num(n, false);
}

static bool block_size_ok(u32 n)
{
	return n == 512 || n == 4096;
}

static bool physical_block_size_ok(u32 n)
{
	return !n || (n >= 512 && n <= SZ_1M && is_power_of_2(n));
}

static bool seg_max_ok(u32 n)
{
	return n <= VBS_SEG_MAX;
}

static int set_u32(const struct vbs_write *w, u32 *to, bool (*ok)(u32 n),
		   const char *why)
{
	u32 n;

	if (kstrtou32(w->val, 10, &n) || !ok(n))
		return refuse(w, -EINVAL, why);
	*to = n;
	return 0;
}

#define VBS_U32(_name, _why)						\
static int set_##_name(const struct vbs_write *w)			\
{									\
	return set_u32(w, &w->desc->params._name, _name##_ok, _why);	\
}									\
VBS_STORE(_name, false)							\
VBS_SHOW(_name, "%u\n", desc->params._name)				\
CONFIGFS_ATTR(vbs_desc_, _name)

VBS_U32(num_queues, "not a number from 1 to " __stringify(VBS_MAX_QUEUES));
VBS_U32(queue_size, "not a power of two from 2 to " __stringify(VBS_RING_MAX));
VBS_U32(block_size, "neither 512 nor 4096");
VBS_U32(physical_block_size, "neither 0 nor a power of two from 512 to 1048576");
VBS_U32(seg_max, "not a number from 0 to " __stringify(VBS_SEG_MAX));

static int set_size(const struct vbs_write *w)
{
	u64 bytes;

	if (vbs_parse_size(w->val, &bytes) || bytes < 512 || bytes > LLONG_MAX)
		return refuse(w, -EINVAL,
			      "not a size in bytes from 512 on (suffixes K, M, G, T)");
	w->desc->params.size = bytes;
	return 0;
}

VBS_STORE(size, false)
VBS_SHOW(size, "%llu\n", desc->params.size)
CONFIGFS_ATTR(vbs_desc_, size);

/* ---- switches ---- */

static int set_bool(const struct vbs_write *w, bool *to)
{
	if (w->len != 1 || (*w->val != '0' && *w->val != '1'))
		return refuse(w, -EINVAL, "neither 0 nor 1");
	*to = *w->val == '1';
	return 0;
}

#define VBS_BOOL(_name)							\
static int set_##_name(const struct vbs_write *w)			\
{									\
	return set_bool(w, &w->desc->params._name);			\
}									\
VBS_STORE(_name, false)							\
VBS_SHOW(_name, "%d\n", desc->params._name)				\
CONFIGFS_ATTR(vbs_desc_, _name)

VBS_BOOL(readonly);
VBS_BOOL(write_cache);
VBS_BOOL(direct_io);
VBS_BOOL(discard);

/* ---- strings ---- */

static int set_path(const struct vbs_write *w)
{
	char *path;

	/* As long as a write can be, it may have been longer. */
	BUILD_BUG_ON(VBS_WRITE_MAX >= PATH_MAX);
	if (strlen(w->val) >= VBS_WRITE_MAX)
		return refuse(w, -ENAMETOOLONG, "too long");
	if (w->len && *w->val != '/')
		return refuse(w, -EINVAL, "not an absolute path");
	path = kmemdup_nul(w->val, w->len, GFP_KERNEL);
	if (!path)
		return refuse(w, -ENOMEM, "no memory");
	kfree(w->desc->params.path);
	w->desc->params.path = path;
	return 0;
}

VBS_STORE(path, false)
VBS_SHOW(path, "%s\n", desc->params.path)
CONFIGFS_ATTR(vbs_desc_, path);

static int set_serial(const struct vbs_write *w)
{
	char *serial = w->desc->params.serial;

	if (w->len > VIRTIO_BLK_ID_BYTES)
		return refuse(w, -EINVAL, "longer than "
			      __stringify(VIRTIO_BLK_ID_BYTES) " bytes");
	memset(serial, 0, VIRTIO_BLK_ID_BYTES);
	memcpy(serial, w->val, w->len);
	return 0;
}

VBS_STORE(serial, false)
VBS_SHOW(serial, "%.*s\n", VIRTIO_BLK_ID_BYTES, desc->params.serial)
CONFIGFS_ATTR(vbs_desc_, serial);

/* ---- live attributes ---- */

static int parse_range(const char *val, size_t len, u64 *sector, u32 *nr)
{
	char buf[48], *second = buf, *first;

	if (len >= sizeof(buf))
		return -EINVAL;
	memcpy(buf, val, len);
	buf[len] = '\0';
	first = strsep(&second, " ");
	if (!second || kstrtou64(first, 10, sector) ||
	    kstrtou32(second, 10, nr))
		return -EINVAL;
	/* The table has no room for sectors that no disk can have. */
	if (!*nr || *nr > INT_MAX ||
	    *sector > (LLONG_MAX >> VBS_SECTOR_SHIFT) - *nr)
		return -EINVAL;
	return 0;
}

static bool all_bad(struct badblocks *bb, sector_t sector, u32 nr)
{
	sector_t end = sector + nr, first;
	vdpa_blk_bad_sectors_t len;

	while (sector < end) {
		if (!badblocks_check(bb, sector, 1, &first, &len))
			return false;
		sector = first + len;
	}
	return true;
}

/*
 * A full table shows in what is there afterwards: the return values of the
 * functions differ between kernels, and 6.12 calls half of a range a success.
 */
static int set_badblocks(const struct vbs_write *w)
{
	struct badblocks *bb = &w->desc->badblocks;
	bool clear = *w->val == '-', done;
	u64 sector;
	u32 nr;

	if (parse_range(w->val + clear, w->len - clear, &sector, &nr))
		return refuse(w, -EINVAL,
			      "neither SECTOR LENGTH nor -SECTOR LENGTH");
	if (clear) {
		badblocks_clear(bb, sector, nr);
		done = !vdpa_blk_badblocks_check(bb, sector, nr);
	} else {
		badblocks_set(bb, sector, nr, 1);
		done = all_bad(bb, sector, nr);
	}
	return done ? 0 : refuse(w, -ENOSPC, "no room for more ranges");
}

static ssize_t vbs_desc_badblocks_show(struct config_item *item, char *page)
{
	ssize_t len = badblocks_show(&to_desc(item)->badblocks, page, 0);

	if (len < SZ_4K)
		return len;
	/* What did not fit counts too, and half a line is a wrong number. */
	len = SZ_4K - 1;
	while (len && page[len - 1] != '\n')
		len--;
	return len;
}

VBS_STORE(badblocks, true)
CONFIGFS_ATTR(vbs_desc_, badblocks);

static int set_poll_us(const struct vbs_write *w)
{
	u32 n;

	if (kstrtou32(w->val, 10, &n) || n > VBS_MAX_POLL_US)
		return refuse(w, -EINVAL, "not a number from 0 to "
			      __stringify(VBS_MAX_POLL_US));
	w->desc->params.poll_us = n;
	if (w->desc->dev)
		WRITE_ONCE(w->desc->dev->poll_us, n);
	return 0;
}

VBS_STORE(poll_us, true)
VBS_SHOW(poll_us, "%u\n", desc->params.poll_us)
CONFIGFS_ATTR(vbs_desc_, poll_us);

static int set_revalidate_size(const struct vbs_write *w)
{
	if (w->len != 1 || *w->val != '1')
		return refuse(w, -EINVAL, "not 1");
	if (!w->desc->dev)
		return refuse(w, -ENODEV, "the disk does not exist");
	return vbs_revalidate_size(w->desc->dev);
}

VBS_STORE(revalidate_size, true)
CONFIGFS_ATTR_WO(vbs_desc_, revalidate_size);

/* ---- a directory ---- */

static struct configfs_attribute *vbs_desc_attrs[] = {
	&vbs_desc_attr_path,
	&vbs_desc_attr_size,
	&vbs_desc_attr_num_queues,
	&vbs_desc_attr_queue_size,
	&vbs_desc_attr_block_size,
	&vbs_desc_attr_physical_block_size,
	&vbs_desc_attr_seg_max,
	&vbs_desc_attr_serial,
	&vbs_desc_attr_readonly,
	&vbs_desc_attr_write_cache,
	&vbs_desc_attr_direct_io,
	&vbs_desc_attr_discard,
	&vbs_desc_attr_poll_us,
	&vbs_desc_attr_badblocks,
	&vbs_desc_attr_revalidate_size,
	NULL,
};

static void vbs_desc_free(struct config_item *item)
{
	struct vbs_desc *desc = to_desc(item);

	badblocks_exit(&desc->badblocks);
	vbs_params_destroy(&desc->params);
	mutex_destroy(&desc->lock);
	kfree(desc);
}

/* Not const: 6.12 has plain pointers to operations. */
static struct configfs_item_operations vbs_desc_ops = {
	.release = vbs_desc_free,
};

static const struct config_item_type vbs_desc_type = {
	.ct_item_ops = &vbs_desc_ops,
	.ct_attrs = vbs_desc_attrs,
	.ct_owner = THIS_MODULE,
};

static struct config_item *vbs_make_item(struct config_group *group,
					 const char *name)
{
	struct vbs_desc *desc;
	int err;

	desc = kzalloc(sizeof(*desc), GFP_KERNEL);
	if (!desc)
		return ERR_PTR(-ENOMEM);
	err = vbs_params_init(&desc->params);
	if (err)
		goto err_free;
	err = badblocks_init(&desc->badblocks, 1);
	if (err)
		goto err_params;
	mutex_init(&desc->lock);
	config_item_init_type_name(&desc->item, name, &vbs_desc_type);
	return &desc->item;

err_params:
	vbs_params_destroy(&desc->params);
err_free:
	kfree(desc);
	return ERR_PTR(err);
}

/* ---- the subsystem ---- */

static ssize_t vbs_group_features_show(struct config_item *item, char *page)
{
	struct configfs_attribute **attr;
	int len = 0;

	for (attr = vbs_desc_attrs; *attr; attr++)
		len += sysfs_emit_at(page, len, "%s%s", len ? "," : "",
				     (*attr)->ca_name);
	return len + sysfs_emit_at(page, len, "\n");
}

CONFIGFS_ATTR_RO(vbs_group_, features);

static struct configfs_attribute *vbs_group_attrs[] = {
	&vbs_group_attr_features,
	NULL,
};

static struct configfs_group_operations vbs_group_ops = {
	.make_item = vbs_make_item,
};

static const struct config_item_type vbs_group_type = {
	.ct_group_ops = &vbs_group_ops,
	.ct_attrs = vbs_group_attrs,
	.ct_owner = THIS_MODULE,
};

static struct configfs_subsystem vbs_subsys = {
	.su_group = {
		.cg_item = {
			.ci_namebuf = KBUILD_MODNAME,
			.ci_type = &vbs_group_type,
		},
	},
	.su_mutex = __MUTEX_INITIALIZER(vbs_subsys.su_mutex),
};

/**
 * vbs_configfs_init - once for the module
 *
 * Return: 0 or a negative errno.
 */
int vbs_configfs_init(void)
{
	config_group_init(&vbs_subsys.su_group);
	return configfs_register_subsystem(&vbs_subsys);
}

/**
 * vbs_configfs_exit - once for the module
 *
 * No description is left: each holds a reference to the module.
 */
void vbs_configfs_exit(void)
{
	configfs_unregister_subsystem(&vbs_subsys);
}

/* ---- for the disk ---- */

static struct config_item *find_item(const char *name)
{
	struct config_item *item;

	mutex_lock(&vbs_subsys.su_mutex);
	item = config_group_find_item(&vbs_subsys.su_group, name);
	mutex_unlock(&vbs_subsys.su_mutex);
	return item;
}

struct vbs_desc *vbs_desc_hold(const char *name)
{
	struct config_item *item = find_item(name);
	struct vbs_desc *desc;
	bool busy;

	if (!item)
		return NULL;
	if (configfs_depend_item(&vbs_subsys, item)) {
		config_item_put(item);
		return ERR_PTR(-ENOENT);
	}

	/* A write that has begun is over once we have the lock. */
	desc = to_desc(item);
	mutex_lock(&desc->lock);
	busy = desc->held;
	desc->held = true;
	mutex_unlock(&desc->lock);
	if (busy) {
		configfs_undepend_item(item);
		config_item_put(item);
		return ERR_PTR(-EEXIST);
	}
	return desc;
}

/**
 * vbs_desc_release - the disk is gone
 * @desc: held; it may be gone when this returns
 */
void vbs_desc_release(struct vbs_desc *desc)
{
	mutex_lock(&desc->lock);
	desc->held = false;
	mutex_unlock(&desc->lock);
	configfs_undepend_item(&desc->item);
	config_item_put(&desc->item);
}

const struct vbs_params *vbs_desc_params(const struct vbs_desc *desc)
{
	return &desc->params;
}

struct badblocks *vbs_desc_badblocks(struct vbs_desc *desc)
{
	return &desc->badblocks;
}

void vbs_desc_set_dev(struct vbs_desc *desc, struct vbs_dev *dev)
{
	mutex_lock(&desc->lock);
	desc->dev = dev;
	/* It may have been written since the disk was made of the rest. */
	if (dev)
		WRITE_ONCE(dev->poll_us, desc->params.poll_us);
	mutex_unlock(&desc->lock);
}

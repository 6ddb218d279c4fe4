// SPDX-License-Identifier: GPL-2.0-only
/*
 * What can be read about a disk at work: statistics in sysfs and, for bug
 * reports, the state of its rings in debugfs.
 *
 * No lock is taken: a disk whose backend hangs must be readable too.  Each
 * number is right by itself, two of them may be of different moments.
 */
#include <linux/debugfs.h>
#include <linux/device.h>
#include <linux/jiffies.h>
#include <linux/sched.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/sysfs.h>

#include "blk_sim.h"

/* ---- the disk, as /sys/block/X/stat ---- */

static unsigned int sum_stats(const struct vbs_dev *dev, struct vbs_stats *sum)
{
	unsigned int in_flight = 0, i, group;

	for (i = 0; i < dev->nr_vqs; i++) {
		const struct vbs_vq *vq = dev->vqs[i];

		for (group = 0; group < VBS_STAT_GROUPS; group++) {
			sum->ios[group] += READ_ONCE(vq->stats.ios[group]);
			sum->sectors[group] +=
				READ_ONCE(vq->stats.sectors[group]);
			sum->ticks[group] += READ_ONCE(vq->stats.ticks[group]);
		}
		in_flight += atomic_read(&vq->nr_active);
	}
	return in_flight;
}

/* Those who read such files count on 32 bits that wrap around. */
static unsigned int to_ms(u64 ticks)
{
	return jiffies64_to_msecs(ticks);
}

static ssize_t stat_show(struct device *device, struct device_attribute *attr,
			 char *buf)
{
	struct vbs_dev *dev = vdpa_to_vbs(dev_to_vdpa(device));
	struct vbs_stats sum = {};
	unsigned int in_flight = sum_stats(dev, &sum), group;
	u64 ticks = 0;

	for (group = 0; group < VBS_STAT_GROUPS; group++)
		ticks += sum.ticks[group];
	return sysfs_emit(buf,
			  "%8llu %8u %8llu %8u %8llu %8u %8llu %8u %8u %8u %8u %8llu %8u %8llu %8u %8llu %8u\n",
			  sum.ios[VBS_STAT_READ], 0,
			  sum.sectors[VBS_STAT_READ],
			  to_ms(sum.ticks[VBS_STAT_READ]),
			  sum.ios[VBS_STAT_WRITE], 0,
			  sum.sectors[VBS_STAT_WRITE],
			  to_ms(sum.ticks[VBS_STAT_WRITE]),
			  in_flight, to_ms(atomic_long_read(&dev->io_ticks)),
			  to_ms(ticks),
			  sum.ios[VBS_STAT_DISCARD], 0,
			  sum.sectors[VBS_STAT_DISCARD],
			  to_ms(sum.ticks[VBS_STAT_DISCARD]),
			  sum.ios[VBS_STAT_FLUSH],
			  to_ms(sum.ticks[VBS_STAT_FLUSH]));
}
static DEVICE_ATTR_RO(stat);

static struct attribute *disk_attrs[] = {
	&dev_attr_stat.attr,
	NULL,
};

static const struct attribute_group disk_group = {
	.attrs = disk_attrs,
};

/* ---- a queue, one value in a file ---- */

/**
 * struct vq_attr - a file in the folder of a queue
 * @attr: the file
 * @value: what it shows
 * @shift: what it is to be multiplied with, as a power of two
 */
struct vq_attr {
	struct device_attribute attr;
	const void *value;
	unsigned int shift;
};

static ssize_t counter_show(struct device *device,
			    struct device_attribute *attr, char *buf)
{
	struct vq_attr *va = container_of(attr, struct vq_attr, attr);
	const u64 *value = va->value;

	return sysfs_emit(buf, "%llu\n", READ_ONCE(*value) << va->shift);
}

static ssize_t kicks_show(struct device *device, struct device_attribute *attr,
			  char *buf)
{
	struct vq_attr *va = container_of(attr, struct vq_attr, attr);
	const atomic_long_t *value = va->value;

	return sysfs_emit(buf, "%lu\n",
			  (unsigned long)atomic_long_read(value));
}

#define VQ_FILE(_name, _show, _member, _shift) {			\
	.name = #_name,							\
	.show = _show,							\
	.offset = offsetof(struct vbs_vq, _member),			\
	.shift = _shift,						\
}

#define VQ_COUNT(_name, _member)					\
	VQ_FILE(_name, counter_show, stats._member, 0)
#define VQ_BYTES(_name, _group)						\
	VQ_FILE(_name, counter_show, stats.sectors[_group], VBS_SECTOR_SHIFT)

static const struct {
	const char *name;
	ssize_t (*show)(struct device *device, struct device_attribute *attr,
			char *buf);
	size_t offset;
	unsigned int shift;
} vq_files[] = {
	VQ_COUNT(read_requests, ios[VBS_STAT_READ]),
	VQ_BYTES(read_bytes, VBS_STAT_READ),
	VQ_COUNT(write_requests, ios[VBS_STAT_WRITE]),
	VQ_BYTES(write_bytes, VBS_STAT_WRITE),
	VQ_COUNT(discard_requests, ios[VBS_STAT_DISCARD]),
	VQ_BYTES(discard_bytes, VBS_STAT_DISCARD),
	VQ_COUNT(flush_requests, ios[VBS_STAT_FLUSH]),
	VQ_COUNT(errors, errors),
	VQ_FILE(kicks, kicks_show, kicks, 0),
	VQ_COUNT(interrupts, irqs),
	VQ_COUNT(batches, batches),
	VQ_COUNT(bounced_bytes, bounced),
	VQ_COUNT(broken, broken),
};

struct vq_group {
	struct attribute_group group;
	char name[8];
	struct vq_attr attrs[ARRAY_SIZE(vq_files)];
	struct attribute *list[ARRAY_SIZE(vq_files) + 1];
};

/* vbs_sysfs_free() finds it by @groups, which is therefore the first member. */
struct dev_groups {
	const struct attribute_group *groups[VBS_MAX_QUEUES + 2];
	struct vq_group vqs[];
};

static void init_vq_group(struct vq_group *vg, const struct vbs_vq *vq)
{
	struct vq_attr *va;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(vq_files); i++) {
		va = &vg->attrs[i];
		va->value = (const void *)vq + vq_files[i].offset;
		va->shift = vq_files[i].shift;
		sysfs_attr_init(&va->attr.attr);
		va->attr.attr.name = vq_files[i].name;
		va->attr.attr.mode = 0444;
		va->attr.show = vq_files[i].show;
		vg->list[i] = &va->attr.attr;
	}
	snprintf(vg->name, sizeof(vg->name), "vq%u", vq->index);
	vg->group.name = vg->name;
	vg->group.attrs = vg->list;
}

int vbs_sysfs_init(struct vbs_dev *dev)
{
	struct dev_groups *dg;
	unsigned int i;

	BUILD_BUG_ON(offsetof(struct dev_groups, groups));
	dg = kvzalloc(struct_size(dg, vqs, dev->nr_vqs), GFP_KERNEL);
	if (!dg)
		return -ENOMEM;

	dg->groups[0] = &disk_group;
	for (i = 0; i < dev->nr_vqs; i++) {
		init_vq_group(&dg->vqs[i], dev->vqs[i]);
		dg->groups[i + 1] = &dg->vqs[i].group;
	}
	dev->vdpa.dev.groups = dg->groups;
	return 0;
}

void vbs_sysfs_free(struct vbs_dev *dev)
{
	kvfree(dev->vdpa.dev.groups);
}

/* ---- the rings ---- */

static struct dentry *debugfs_root;

/* In a packed ring with the wrap counter. */
static void show_pos(struct seq_file *m, const char *name, u16 pos,
		     const struct vbs_ring *ring)
{
	unsigned int wrap = pos >> VRING_PACKED_EVENT_F_WRAP_CTR;

	if (READ_ONCE(ring->packed))
		seq_printf(m, "%s: %u wrap %u\n", name,
			   pos - (wrap << VRING_PACKED_EVENT_F_WRAP_CTR), wrap);
	else
		seq_printf(m, "%s: %u\n", name, pos);
}

/*
 * Our own numbers only: the ring itself is the client's memory, and without
 * the queue's lock it may be unmapped at any time.
 */
static int vq_show(struct seq_file *m, void *v)
{
	const struct vbs_vq *vq = m->private;
	const struct vbs_ring *ring = &vq->ring;

	seq_printf(m, "ready: %u\n", READ_ONCE(vq->ready));
	seq_printf(m, "live: %u\n", READ_ONCE(vq->live));
	seq_printf(m, "lost: %u\n", READ_ONCE(vq->lost));
	seq_printf(m, "broken: %u\n", READ_ONCE(vq->broken));
	seq_printf(m, "size: %u\n", READ_ONCE(vq->num));
	show_pos(m, "base", READ_ONCE(vq->base), ring);
	seq_printf(m, "desc: %#llx\n", READ_ONCE(vq->desc.iova));
	seq_printf(m, "avail: %#llx\n", READ_ONCE(vq->avail.iova));
	seq_printf(m, "used: %#llx\n", READ_ONCE(vq->used.iova));
	seq_printf(m, "packed: %u\n", READ_ONCE(ring->packed));
	seq_printf(m, "in_order: %u\n", READ_ONCE(ring->in_order));
	seq_printf(m, "event_idx: %u\n", READ_ONCE(ring->event_idx));
	seq_printf(m, "indirect: %u\n", READ_ONCE(ring->indirect));
	seq_printf(m, "avail_idx: %u\n", READ_ONCE(ring->avail_idx));
	show_pos(m, "last_avail", READ_ONCE(ring->last_avail), ring);
	show_pos(m, "used_idx", READ_ONCE(ring->used_idx), ring);
	show_pos(m, "used_published", READ_ONCE(ring->used_published), ring);
	seq_printf(m, "in_flight: %d\n", atomic_read(&vq->nr_active));
	seq_printf(m, "worker: %d\n", task_pid_nr(vq->worker->task));
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(vq);

/**
 * vbs_debugfs_init - once for the module
 */
void vbs_debugfs_init(void)
{
	debugfs_root = debugfs_create_dir(KBUILD_MODNAME, NULL);
}

/**
 * vbs_debugfs_exit - once for the module; no disk is left
 */
void vbs_debugfs_exit(void)
{
	debugfs_remove(debugfs_root);
}

/**
 * vbs_debugfs_add - show the state of a disk's rings
 * @dev: the disk, with its queues
 */
void vbs_debugfs_add(struct vbs_dev *dev)
{
	char name[8];
	unsigned int i;

	dev->debugfs = debugfs_create_dir(vbs_name(dev), debugfs_root);
	for (i = 0; i < dev->nr_vqs; i++) {
		snprintf(name, sizeof(name), "vq%u", i);
		debugfs_create_file(name, 0444, dev->debugfs, dev->vqs[i],
				    &vq_fops);
	}
}

/**
 * vbs_debugfs_remove - waits for those who read
 * @dev: the disk
 */
void vbs_debugfs_remove(struct vbs_dev *dev)
{
	debugfs_remove(dev->debugfs);
}

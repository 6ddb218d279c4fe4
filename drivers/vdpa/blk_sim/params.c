// SPDX-License-Identifier: GPL-2.0-only
/*
 * Module parameters: defaults for disks, and checks of a whole description.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/module.h>
#include <linux/overflow.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "blk_sim.h"

static unsigned long long size = 1ULL << 30;
static unsigned int num_queues;
static unsigned int block_size = 1U << VBS_SECTOR_SHIFT;
static bool write_cache = true;
static unsigned int poll_us = 50;

int vbs_parse_size(const char *val, u64 *bytes)
{
	static const char suffixes[] = "KMGT";
	size_t digits = strspn(val, "0123456789");
	const char *rest = val + digits;
	const char *suffix;
	char number[24];
	u64 n;

	if (!digits || digits >= sizeof(number))
		return -EINVAL;
	memcpy(number, val, digits);
	number[digits] = '\0';
	if (kstrtoull(number, 10, &n))
		return -EINVAL;
	if (*rest && *rest != '\n') {
		suffix = strchr(suffixes, *rest++);
		if (!suffix || check_shl_overflow(n, 10 * (suffix - suffixes + 1), &n))
			return -EINVAL;
	}
	if (*rest && strcmp(rest, "\n"))
		return -EINVAL;
	*bytes = n;
	return 0;
}

static int size_set(const char *val, const struct kernel_param *kp)
{
	u64 bytes;

	if (vbs_parse_size(val, &bytes) || bytes < 512 || bytes > LLONG_MAX) {
		pr_err("size=%s: not a size in bytes from 512 on (suffixes K, M, G, T)\n",
		       val);
		return -EINVAL;
	}
	*(unsigned long long *)kp->arg = bytes;
	return 0;
}

static const struct kernel_param_ops size_ops = {
	.set = size_set,
	.get = param_get_ullong,
};

static int num_queues_set(const char *val, const struct kernel_param *kp)
{
	int err = param_set_uint_minmax(val, kp, 1, VBS_MAX_QUEUES);

	if (err)
		pr_err("num_queues=%s: not a number from 1 to %u\n", val,
		       VBS_MAX_QUEUES);
	return err;
}

static const struct kernel_param_ops num_queues_ops = {
	.set = num_queues_set,
	.get = param_get_uint,
};

static int block_size_set(const char *val, const struct kernel_param *kp)
{
	unsigned int bytes;

	if (kstrtouint(val, 10, &bytes) || (bytes != 512 && bytes != 4096)) {
		pr_err("block_size=%s: neither 512 nor 4096\n", val);
		return -EINVAL;
	}
	*(unsigned int *)kp->arg = bytes;
	return 0;
}

static const struct kernel_param_ops block_size_ops = {
	.set = block_size_set,
	.get = param_get_uint,
};

static int poll_us_set(const char *val, const struct kernel_param *kp)
{
	int err = param_set_uint_minmax(val, kp, 0, VBS_MAX_POLL_US);

	if (err)
		pr_err("poll_us=%s: not a number from 0 to %u\n", val,
		       VBS_MAX_POLL_US);
	return err;
}

static const struct kernel_param_ops poll_us_ops = {
	.set = poll_us_set,
	.get = param_get_uint,
};

module_param_cb(size, &size_ops, &size, 0444);
MODULE_PARM_DESC(size, "Size of a RAM disk in bytes, suffixes K, M, G, T (default: 1G)");
module_param_cb(num_queues, &num_queues_ops, &num_queues, 0444);
MODULE_PARM_DESC(num_queues, "Number of virtqueues of a disk, 1 to 64 (default: one per online CPU, at most 8)");
module_param_cb(block_size, &block_size_ops, &block_size, 0444);
MODULE_PARM_DESC(block_size, "Logical block size in bytes, 512 or 4096 (default: 512)");
module_param(write_cache, bool, 0444);
MODULE_PARM_DESC(write_cache, "Disks start with the write cache on (default: Y)");
module_param_cb(poll_us, &poll_us_ops, &poll_us, 0444);
MODULE_PARM_DESC(poll_us, "Longest time to poll an empty virtqueue for, in microseconds up to 10000, 0: not at all (default: 50)");

/**
 * vbs_params_setup - once for the module: do its parameters go together?
 *
 * Return: 0 or -EINVAL, after a log line.
 */
int __init vbs_params_setup(void)
{
	if (size % block_size) {
		pr_err("size=%llu: not a multiple of block_size=%u\n", size,
		       block_size);
		return -EINVAL;
	}
	if (!num_queues)
		num_queues = min(num_online_cpus(), 8U);
	return 0;
}

int vbs_params_init(struct vbs_params *params)
{
	*params = (struct vbs_params){
		.path = kstrdup("", GFP_KERNEL),
		.size = size,
		.num_queues = num_queues,
		.queue_size = VBS_RING_MAX,
		.block_size = block_size,
		.poll_us = poll_us,
		.write_cache = write_cache,
		.direct_io = true,
		.discard = true,
	};
	return params->path ? 0 : -ENOMEM;
}

void vbs_params_destroy(struct vbs_params *params)
{
	kfree(params->path);
}

int vbs_params_check(const struct vbs_params *params, const char *name)
{
	if (!*params->path && params->size % params->block_size) {
		pr_err("%s: size=%llu: not a multiple of block_size=%u\n",
		       name, params->size, params->block_size);
		return -EINVAL;
	}
	if (params->physical_block_size &&
	    params->physical_block_size < params->block_size) {
		pr_err("%s: physical_block_size=%u: less than block_size=%u\n",
		       name, params->physical_block_size, params->block_size);
		return -EINVAL;
	}
	return 0;
}

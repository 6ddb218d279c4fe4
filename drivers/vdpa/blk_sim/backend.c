// SPDX-License-Identifier: GPL-2.0-only
/*
 * What stands behind a disk: found out by looking at the path.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/err.h>
#include <linux/fs.h>
#include <linux/namei.h>
#include <linux/path.h>
#include <linux/stat.h>

#include "blk_sim.h"

static struct vbs_backend *refuse(const struct vbs_params *params,
				  const char *name, const char *why, int err)
{
	pr_err("%s: path=%s: %s (%d)\n", name, params->path, why, err);
	return ERR_PTR(err);
}

/* By its type first: opening a FIFO would wait for a writer. */
static struct vbs_backend *open_path(const struct vbs_params *params,
				     const char *name)
{
	struct path path;
	umode_t mode;
	int err;

	err = kern_path(params->path, LOOKUP_FOLLOW, &path);
	if (err)
		return refuse(params, name, err == -ENOENT ? "no such file" :
			      "cannot be looked up", err);
	mode = d_inode(path.dentry)->i_mode;
	path_put(&path);

	if (S_ISBLK(mode))
		return vbs_bdev_open(params, name);
	if (S_ISREG(mode))
		return vbs_file_open(params, name);
	if (S_ISDIR(mode))
		return refuse(params, name, "is a directory", -EISDIR);
	return refuse(params, name, "neither a block device nor a file",
		      -EINVAL);
}

static int check_backend(const struct vbs_backend *be,
			 const struct vbs_params *params, const char *name)
{
	const struct vbs_limits *limits = &be->limits;
	u32 block_size = params->block_size;

	if (limits->block_size > block_size) {
		pr_err("%s: block_size=%u: the backing %s has blocks of %u bytes\n",
		       name, block_size, be->ops->kind, limits->block_size);
		return -EINVAL;
	}
	if (limits->size < block_size) {
		pr_err("%s: path=%s: smaller than a block (%llu bytes)\n",
		       name, params->path, limits->size);
		return -EINVAL;
	}
	if (limits->size % block_size) {
		pr_err("%s: path=%s: %llu bytes are no multiple of block_size=%u\n",
		       name, params->path, limits->size, block_size);
		return -EINVAL;
	}
	return 0;
}

struct vbs_backend *vbs_backend_open(const struct vbs_params *params,
				     const char *name)
{
	struct vbs_backend *be;
	int err;

	be = *params->path ? open_path(params, name) : vbs_ram_create(params);
	if (IS_ERR(be))
		return be;
	err = check_backend(be, params, name);
	if (err) {
		be->ops->free(be);
		return ERR_PTR(err);
	}
	return be;
}

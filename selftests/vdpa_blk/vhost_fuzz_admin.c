// SPDX-License-Identifier: GPL-2.0-only
/* What an administrator does meanwhile: disks that come and go, attributes. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/stat.h>

#include "vdpa_genl.h"
#include "vhost_fuzz.h"

#define CONFIGFS	"/sys/kernel/config"
#define DESCS		CONFIGFS "/vdpa_blk_sim"
#define NULLB		CONFIGFS "/nullb/vbsfuzz"
#define BACKING_MIB	16

static char file[PATH_MAX], null_blk[PATH_MAX];

static int text_write(const char *dir, const char *name, const char *text)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return vv_write(path, text);
}

/* ---- what is behind disks ---- */

static void file_make(void)
{
	const char *dir = getenv("TMPDIR");
	int fd;

	snprintf(file, sizeof(file), "%s/vhost_fuzz.XXXXXX",
		 dir ? dir : "/tmp");
	fd = mkostemp(file, O_CLOEXEC);
	if (fd < 0 || ftruncate(fd, BACKING_MIB << 20))
		file[0] = '\0';
	if (fd >= 0)
		close(fd);
}

/* Its requests end in an interrupt, and take a while. */
static void null_blk_make(void)
{
	static const char * const attrs[][2] = {
		{ "size", "16" }, { "memory_backed", "1" }, { "irqmode", "2" },
		{ "completion_nsec", "200000" }, { "discard", "1" },
		{ "power", "1" },
	};
	char index[16] = "";
	size_t i;
	int fd;

	if (access(CONFIGFS "/nullb", F_OK))
		vv_run("modprobe -q null_blk nr_devices=0");
	if (mkdir(NULLB, 0755))
		return;
	for (i = 0; i < ARRAY_LEN(attrs); i++)
		text_write(NULLB, attrs[i][0], attrs[i][1]);
	snprintf(null_blk, sizeof(null_blk), "/dev/vbsfuzz");
	if (!access(null_blk, F_OK))
		return;
	/* Older kernels have names of their own for them. */
	fd = open(NULLB "/index", O_RDONLY | O_CLOEXEC);
	if (fd >= 0 && read(fd, index, sizeof(index) - 1) > 0)
		snprintf(null_blk, sizeof(null_blk), "/dev/nullb%d",
			 atoi(index));
	close(fd);
	if (access(null_blk, F_OK))
		null_blk[0] = '\0';
}

void fuzz_backings_make(void)
{
	file_make();
	null_blk_make();
	printf("# behind the disks: RAM%s%s%s%s\n", file[0] ? ", " : "", file,
	       null_blk[0] ? ", " : " (no null_blk)", null_blk);
}

void fuzz_backings_free(void)
{
	if (file[0])
		unlink(file);
	rmdir(NULLB);
}

/* ---- descriptions ---- */

static const struct attr {
	const char *name;
	const char *values[5];
} attrs[] = {
	{ "badblocks", { "0 8", "-0 8", "100 1000", "-100 1000", "x" } },
	{ "badblocks", { "7 1", "-7 1", "0 1000000", "-0 1000000",
			 "4096 1" } },
	{ "poll_us", { "0", "50", "100", "1000", "10001" } },
	{ "revalidate_size", { "1", "1", "1", "1", "0" } },
	{ "size", { "512", "1M", "64M", "1G", "-1" } },
	{ "num_queues", { "1", "2", "4", "64", "0" } },
	{ "queue_size", { "2", "16", "256", "1024", "3" } },
	{ "block_size", { "512", "4096", "512", "4096", "1" } },
	{ "seg_max", { "0", "1", "254", "1022", "70000" } },
	{ "serial", { "", "a", "12345678901234567890",
		      "123456789012345678901", "\xff" } },
	{ "readonly", { "0", "0", "0", "1", "2" } },
	{ "write_cache", { "0", "1", "0", "1", "y" } },
	{ "direct_io", { "0", "1", "0", "0", "" } },
	{ "discard", { "0", "1", "0", "1", "-" } },
	{ "path", { "", "/nowhere", "relative", "/", "/dev/null" } },
};

static void desc_dir(char *dir, size_t size, const char *name)
{
	snprintf(dir, size, DESCS "/%s", name);
}

static void any_attr(struct fuzz_thread *t, const char *disk)
{
	const struct attr *a = &ONE_OF(t, attrs);
	char dir[128];

	desc_dir(dir, sizeof(dir), disk);
	text_write(dir, a->name, ONE_OF(t, a->values));
}

/* @value of all, or what is there already. */
static void usual_attr(struct fuzz_thread *t, const char *dir, const char *name,
		       const char * const values[3])
{
	if (percent(t, 60))
		text_write(dir, name, values[pick(t, 3)]);
}

static void usual_attrs(struct fuzz_thread *t, const char *dir)
{
	static const char * const queue_sizes[] = { "16", "256", "1024" };
	static const char * const queues[] = { "1", "2", "4" };
	static const char * const poll[] = { "0", "20", "500" };
	static const char * const cache[] = { "0", "1", "1" };
	static const char * const seg[] = { "1", "16", "254" };

	usual_attr(t, dir, "num_queues", queues);
	usual_attr(t, dir, "queue_size", queue_sizes);
	usual_attr(t, dir, "poll_us", poll);
	usual_attr(t, dir, "write_cache", cache);
	usual_attr(t, dir, "seg_max", seg);
}

/* ---- the disk of the round ---- */

int fuzz_disk_add(struct fuzz_thread *t)
{
	struct fuzz *f = t->f;
	char dir[128];
	int ret;

	if (percent(t, 80)) {
		desc_dir(dir, sizeof(dir), f->disk.name);
		if (mkdir(dir, 0755))
			return -errno;
		usual_attrs(t, dir);
		switch (pick(t, 4)) {
		case 0:
			f->backing = file;
			/* what revalidate_size may have to see */
			if (file[0] && truncate(file, BACKING_MIB << 20))
				return -errno;
			break;
		case 1:
			f->backing = null_blk;
			break;
		}
		if (f->backing)
			text_write(dir, "path", f->backing);
	}
	ret = vdpa_genl_add(f->disk.name, vv_mgmtdev(), 0);
	return ret ? ret : vv_disk_bind(&f->disk);
}

void fuzz_disk_repair(struct fuzz *f)
{
	char dir[128];

	desc_dir(dir, sizeof(dir), f->disk.name);
	text_write(dir, "badblocks", "-0 1000000");
	if (f->backing == file && !truncate(file, BACKING_MIB << 20))
		text_write(dir, "revalidate_size", "1");
}

void fuzz_disk_del(struct fuzz *f)
{
	char dir[128];

	vdpa_genl_del(f->disk.name);
	desc_dir(dir, sizeof(dir), f->disk.name);
	rmdir(dir);
}

/* ---- disks of nobody ---- */

static const char * const others[] = { "vvfuzz-a", "vvfuzz-b" };

void fuzz_others_del(void)
{
	char dir[128];
	size_t i;

	for (i = 0; i < ARRAY_LEN(others); i++) {
		vdpa_genl_del(others[i]);
		desc_dir(dir, sizeof(dir), others[i]);
		rmdir(dir);
	}
}

/* Not all of it: there are hundreds of files. */
static void read_some(struct fuzz_thread *t, const char *dir)
{
	char path[PATH_MAX], buf[4096];
	struct dirent *e;
	DIR *d = opendir(dir);
	int fd;

	if (!d)
		return;
	while ((e = readdir(d))) {
		if (e->d_name[0] == '.' || e->d_type == DT_LNK ||
		    percent(t, 80))
			continue;
		snprintf(path, sizeof(path), "%s/%s", dir, e->d_name);
		if (e->d_type == DT_DIR) {
			read_some(t, path);
			continue;
		}
		fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
		if (fd < 0)
			continue;
		while (read(fd, buf, sizeof(buf)) > 0)
			;
		close(fd);
	}
	closedir(d);
}

static void look_at(struct fuzz_thread *t, const char *disk)
{
	char dir[256];

	switch (pick(t, 6)) {
	case 0:
		vdpa_genl_show(disk);
		break;
	case 1:
		vdpa_genl_config(disk);
		break;
	case 2:
		vdpa_genl_vstats(disk, pick(t, 5));
		break;
	case 3:
		snprintf(dir, sizeof(dir), "/sys/kernel/debug/vdpa_blk_sim/%s",
			 disk);
		read_some(t, dir);
		break;
	case 4:
		desc_dir(dir, sizeof(dir), disk);
		read_some(t, dir);
		break;
	case 5:
		snprintf(dir, sizeof(dir), "/sys/devices/vdpa_blk_sim/%s",
			 disk);
		read_some(t, dir);
		break;
	}
}

static void on_other(struct fuzz_thread *t, const char *disk)
{
	char dir[128];

	desc_dir(dir, sizeof(dir), disk);
	switch (pick(t, 6)) {
	case 0:
		vdpa_genl_add(disk, vv_mgmtdev(), percent(t, 80) ? 0 :
			      VV_F_BASE | fuzz_next(&t->rng) >> pick(t, 64));
		break;
	case 1:
		vdpa_genl_del(disk);
		break;
	case 2:
		if (mkdir(dir, 0755) == 0 && percent(t, 30))
			text_write(dir, "path", file);
		break;
	case 3:
		rmdir(dir);
		break;
	default:
		any_attr(t, disk);
		break;
	}
}

void fuzz_admin(struct fuzz_thread *t)
{
	const char *other = ONE_OF(t, others);
	struct fuzz *f = t->f;

	switch (pick(t, 8)) {
	case 0:
	case 1:
	case 2:
		on_other(t, other);
		break;
	case 3:
	case 4:
		any_attr(t, f->disk.name);
		break;
	case 5:
		look_at(t, other);
		break;
	case 6:
		if (percent(t, 20) && f->backing == file &&
		    truncate(file, (1 + pick(t, 2 * BACKING_MIB)) << 20))
			return;
		any_attr(t, f->disk.name);
		break;
	default:
		look_at(t, f->disk.name);
		break;
	}
}

// SPDX-License-Identifier: GPL-2.0-only
/*
 * Backings that are cut, fill up, fail, go away or do not answer while a client is
 * at work, and disks that do: what needs them fails or waits, and the rest goes on.
 */
#include <fcntl.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define VV_VARIANTS
#include "vhost_bad.h"

const char *vv_module_params = "num_queues=8";
bool vv_abuse = true;

VV_VARIANT(split, 0);
VV_VARIANT(packed, VV_F_PACKED);

#define MIB		(1UL << 20)
#define FILE_SIZE	(16 * MIB)
#define PIECE		(64 << 10)
#define SECTOR(pos)	((pos) / VV_SECTOR)

/* The fixture has made one in RAM. */
static int put_disk_on(struct vv_disk *disk, struct vv_dev *dev,
		       const char *path)
{
	int ret;

	setenv("VDPA_BLK_PATH", path, 1);
	ret = vv_again(disk, dev, 0);
	unsetenv("VDPA_BLK_PATH");
	return ret;
}

/*
 * A disk in a file that is larger than the file system it is in. Nobody has to
 * take that down: it is gone with the last who has the file open. Returns the
 * file.
 */
static int put_disk_on_file(struct vv_disk *disk, struct vv_dev *dev)
{
	char dir[] = "/tmp/vhost_bad_XXXXXX", path[64];
	int fd, ret;

	if (!mkdtemp(dir))
		return -errno;
	if (mount("none", dir, "tmpfs", 0, "size=4m")) {
		rmdir(dir);
		return -errno;
	}
	snprintf(path, sizeof(path), "%s/disk", dir);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	ret = fd < 0 || ftruncate(fd, FILE_SIZE) ? -errno :
		put_disk_on(disk, dev, path);
	umount2(dir, MNT_DETACH);
	rmdir(dir);
	return ret ? ret : fd;
}

static int write_seed(struct vv_queue *q, unsigned long pos, char *buf)
{
	vv_fill(buf, PIECE, pos);
	return vv_blk(q, T_OUT, SECTOR(pos), buf, PIECE);
}

static int check_seed(struct vv_queue *q, unsigned long pos, char *buf)
{
	int ret;

	memset(buf, 0x55, PIECE);
	ret = vv_blk(q, T_IN, SECTOR(pos), buf, PIECE);
	return ret ? ret : vv_differs(buf, PIECE, pos) >= 0 ? -EIO : 0;
}

VV_TEST(file_cut_short)
{
	struct vv_dev *dev = &self->dev;
	struct vv_queue *q = &dev->vq[0];
	char *buf;
	int fd;

	fd = put_disk_on_file(&self->disk, dev);
	ASSERT_LE(0, fd);
	START();
	buf = vv_alloc(dev, PIECE);
	ASSERT_EQ(0, write_seed(q, 0, buf));
	ASSERT_EQ(0, write_seed(q, MIB, buf));
	ASSERT_EQ(0, ftruncate(fd, MIB + 4096));
	EXPECT_EQ(S_IOERR, vv_blk(q, T_IN, SECTOR(2 * MIB), buf, PIECE));
	/* begins before the end */
	EXPECT_EQ(S_IOERR, vv_blk(q, T_IN, SECTOR(MIB), buf, PIECE));
	EXPECT_EQ(S_OK, vv_blk(q, T_IN, SECTOR(MIB), buf, 4096));
	EXPECT_EQ(0, check_seed(q, 0, buf));
	EXPECT_EQ(S_OK, vv_blk(q, T_FLUSH, 0, NULL, 0));
	/* A write makes it longer, and is there then. */
	EXPECT_EQ(0, write_seed(q, 2 * MIB, buf));
	EXPECT_EQ(0, check_seed(q, 2 * MIB, buf));
	ASSERT_EQ(0, ftruncate(fd, FILE_SIZE));
	EXPECT_EQ(0, check_seed(q, 2 * MIB, buf));
}

VV_TEST(file_cut_under_load)
{
	struct vv_dev *dev = &self->dev;
	struct reader r = {};
	pthread_t t;
	int i, fd;

	fd = put_disk_on_file(&self->disk, dev);
	ASSERT_LE(0, fd);
	START();
	READER_START(r, t, &dev->vq[0]);
	for (i = 0; i < 20; i++) {
		ASSERT_EQ(0, ftruncate(fd, i % 2 ? 0 : 2048));
		ASSERT_TRUE(counts(&r, &r.ioerr));
		ASSERT_EQ(0, ftruncate(fd, FILE_SIZE));
		ASSERT_TRUE(counts(&r, &r.ok));
	}
	READER_END(r, t);
	EXPECT_EQ(VV_S_LIVE, vv_get_status(dev));
}

VV_TEST(file_system_that_is_full)
{
	struct virtio_blk_discard_write_zeroes range = {
		.num_sectors = SECTOR(2 * MIB),
	};
	struct vv_dev *dev = &self->dev;
	struct vv_queue *q = &dev->vq[0];
	unsigned long pos, end;
	char *buf;

	ASSERT_LE(0, put_disk_on_file(&self->disk, dev));
	START();
	buf = vv_alloc(dev, PIECE);
	for (pos = 0; pos < FILE_SIZE; pos += PIECE)
		if (write_seed(q, pos, buf))
			break;
	end = pos;
	TH_LOG("full after %lu KiB", end >> 10);
	ASSERT_GT(5 * MIB, end);
	ASSERT_LT(3 * MIB, end);
	for (pos = end; pos < end + 10 * PIECE; pos += PIECE)
		EXPECT_EQ(S_IOERR, write_seed(q, pos, buf));
	/* What has its place goes on, and what has not reads zero. */
	for (pos = 0; pos < end; pos += PIECE)
		EXPECT_EQ(0, check_seed(q, pos, buf));
	EXPECT_EQ(0, write_seed(q, MIB, buf));
	EXPECT_EQ(S_OK, vv_blk(q, T_IN, SECTOR(8 * MIB), buf, PIECE));
	EXPECT_TRUE(vv_is_zero(buf, PIECE));
	/* and what is given back can be had. */
	NEED(F(DISCARD));
	memcpy(buf, &range, sizeof(range));
	ASSERT_EQ(S_OK, vv_blk(q, T_DISCARD, 0, buf, sizeof(range)));
	EXPECT_EQ(0, write_seed(q, 8 * MIB, buf));
	EXPECT_EQ(0, check_seed(q, 8 * MIB, buf));
}

/* ---- null_blk, for the whole program ---- */

#define NULLB		"/sys/kernel/config/nullb/vhost_bad"

static char null_path[64];
static bool null_made;
static pid_t main_pid;

static int write_to(const char *dir, const char *attr, const char *value)
{
	char path[128];
	int fd, ret;

	snprintf(path, sizeof(path), "%s/%s", dir, attr);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	ret = write(fd, value, strlen(value)) < 0 ? -errno : 0;
	close(fd);
	return ret;
}

/* Older kernels have names of their own for them. */
static void find_null(void)
{
	char index[16] = "";
	int fd, tries;
	ssize_t n;

	snprintf(null_path, sizeof(null_path), "/dev/vhost_bad");
	if (access("/sys/block/vhost_bad", F_OK)) {
		fd = open(NULLB "/index", O_RDONLY | O_CLOEXEC);
		n = fd < 0 ? 0 : read(fd, index, sizeof(index) - 1);
		index[n > 0 ? strcspn(index, "\n") : 0] = '\0';
		close(fd);
		snprintf(null_path, sizeof(null_path), "/dev/nullb%s", index);
	}
	for (tries = 0; access(null_path, F_OK) && tries < 100; tries++)
		vv_sleep_ms(20);
}

static int power_null(bool on)
{
	return write_to(NULLB, "power", on ? "1" : "0");
}

static void __attribute__((constructor)) make_null(void)
{
	main_pid = getpid();
	if (geteuid())
		return;
	if (access("/sys/module/null_blk", F_OK))
		vv_run("modprobe -q null_blk nr_devices=0");
	null_made = !mkdir(NULLB, 0700) && !write_to(NULLB, "size", "16") &&
		    !write_to(NULLB, "memory_backed", "1") &&
		    !write_to(NULLB, "discard", "1") && !power_null(true);
	if (null_made)
		find_null();
}

static void __attribute__((destructor)) drop_null(void)
{
	if (main_pid == getpid())
		rmdir(NULLB);
}

#define DISK_ON_NULL_BLK() \
	do { \
		if (!null_made) \
			SKIP(return, "no null_blk can be made"); \
		ASSERT_EQ(0, put_disk_on(&self->disk, &self->dev, null_path)); \
		START(); \
	} while (0)

VV_TEST(device_with_bad_sectors)
{
	struct vv_dev *dev = &self->dev;
	struct vv_queue *q = &dev->vq[0];
	char *buf;

	DISK_ON_NULL_BLK();
	buf = vv_alloc(dev, PIECE);
	ASSERT_EQ(0, write_seed(q, 0, buf));
	ASSERT_EQ(0, write_seed(q, MIB, buf));
	ASSERT_EQ(0, write_to(NULLB, "badblocks", "+2050-2051"));
	EXPECT_EQ(S_IOERR, vv_blk(q, T_IN, 2048, buf, PIECE));
	EXPECT_EQ(S_IOERR, vv_blk(q, T_OUT, 2048, buf, PIECE));
	EXPECT_EQ(S_IOERR, vv_blk(q, T_IN, 2051, buf, 512));
	EXPECT_EQ(S_OK, vv_blk(q, T_IN, 2049, buf, 512));
	EXPECT_EQ(S_OK, vv_blk(q, T_IN, 2052, buf, 512));
	EXPECT_EQ(S_OK, vv_blk(q, T_FLUSH, 0, NULL, 0));
	EXPECT_EQ(0, check_seed(q, 0, buf));
	ASSERT_EQ(0, write_to(NULLB, "badblocks", "-2050-2051"));
	EXPECT_EQ(0, write_seed(q, MIB, buf));
	EXPECT_EQ(0, check_seed(q, MIB, buf));
}

VV_TEST(device_that_goes_away_under_load)
{
	struct vv_dev *dev = &self->dev;
	struct vv_queue *q = &dev->vq[0];
	struct reader r = {};
	char dir[128];
	pthread_t t;

	DISK_ON_NULL_BLK();
	READER_START(r, t, q);
	ASSERT_EQ(0, power_null(false));
	ASSERT_TRUE(counts(&r, &r.ioerr));
	EXPECT_EQ(VV_S_LIVE, vv_get_status(dev));
	/* It is back, and somebody says so. */
	ASSERT_EQ(0, power_null(true));
	find_null();
	ASSERT_TRUE(counts(&r, &r.ioerr));
	snprintf(dir, sizeof(dir), "/sys/kernel/config/vdpa_blk_sim/%s",
		 self->disk.name);
	ASSERT_EQ(0, write_to(dir, "revalidate_size", "1"));
	ASSERT_TRUE(counts(&r, &r.ok));
	READER_END(r, t);
}

/* ---- a device that holds what it is asked for ---- */

#define HELD		"vhost_bad_held"
#define HIGH		(1ULL << 41)

static int make_held(void)
{
	char table[] = "/tmp/vhost_bad_XXXXXX";
	int ret, fd = mkstemp(table);

	if (fd < 0)
		return -errno;
	dprintf(fd, "0 %lu linear %s 0\n", SECTOR(FILE_SIZE), null_path);
	close(fd);
	setenv("DM_DISABLE_UDEV", "1", 1);
	ret = vv_run("dmsetup create " HELD " %s", table);
	unlink(table);
	return ret;
}

/* It goes with the disk that is on it. */
static int put_disk_on_held(struct vv_disk *disk, struct vv_dev *dev)
{
	int ret = put_disk_on(disk, dev, "/dev/mapper/" HELD);

	vv_run("dmsetup remove --deferred " HELD);
	return ret;
}

#define DISK_THAT_HOLDS() \
	do { \
		if (!null_made || make_held()) \
			SKIP(return, "no device can be made by dmsetup"); \
		ASSERT_EQ(0, put_disk_on_held(&self->disk, &self->dev)); \
		START(); \
	} while (0)

/* A call that has to wait for what is held. */
struct call {
	struct vv_disk *disk;
	struct vv_queue *q;
	int (*fn)(struct call *c);
	void (*meanwhile)(void);
	char *buf;
	int head;			/* of the request */
	int ret;
	unsigned int used;		/* when it returned */
};

static void *call_thread(void *arg)
{
	struct call *c = arg;

	c->ret = c->fn(c);
	c->used = vv_nr_used(c->q);
	return NULL;
}

/* The call, and meanwhile something else, with the request at work. */
static int call_while_held(struct call *c)
{
	long long end = vv_now_ms() + c->q->dev->timeout_ms;
	pthread_t t;
	int ret;

	ret = vv_run("dmsetup suspend --noflush --nolockfs " HELD);
	if (ret)
		return ret;
	vv_publish(c->q, c->head);
	vv_kick_always(c->q);
	while (!queue_shows(c->disk, "in_flight") && vv_now_ms() < end)
		vv_sleep_ms(1);
	ret = pthread_create(&t, NULL, call_thread, c);
	if (!ret) {
		vv_sleep_ms(20);
		if (c->meanwhile)
			c->meanwhile();
	}
	/* Whatever has happened: a disk that waits cannot be deleted. */
	vv_run("dmsetup resume " HELD);
	if (ret)
		return -ret;
	pthread_join(t, NULL);
	return c->ret;
}

static int call_unmap(struct call *c)
{
	return vv_unmap(c->q->dev, c->buf, VV_PAGE);
}

static int call_disable(struct call *c)
{
	return vv_set_enable(c->q, false);
}

static int call_suspend(struct call *c)
{
	return vv_suspend(c->q->dev);
}

static int call_reset(struct call *c)
{
	return vv_reset(c->q->dev);
}

VV_TEST(nothing_is_at_work_when_a_call_returns_that_stops_it)
{
	static int (* const calls[])(struct call *c) = {
		call_unmap, call_disable, call_suspend, call_reset,
	};
	struct vv_dev *dev = &self->dev;
	struct call c = { .disk = &self->disk, .q = &dev->vq[0] };
	struct vv_seg seg[3];
	size_t i;

	DISK_THAT_HOLDS();
	c.buf = vv_alloc(dev, VV_PAGE);
	for (i = 0; i < ARRAY_SIZE(calls); i++) {
		ASSERT_EQ(0, map_apart(dev, c.buf));
		ASSERT_EQ(0, vv_reset(dev));
		ASSERT_EQ(0, vv_restart(dev, dev->offered, 1, NUM));
		seg[0] = header(c.q, T_IN);
		seg[1] = seg_of(c.q, c.buf, VV_PAGE, W);
		seg[2] = status(c.q);
		c.head = vv_add(c.q, seg, 3);
		c.fn = calls[i];
		EXPECT_EQ(0, call_while_held(&c));
		EXPECT_EQ(1, c.used)
			TH_LOG("call %zu", i);
		ASSERT_LE(0, vv_get(c.q, NULL));
		EXPECT_EQ(S_OK, c.q->slot[VV_MAX_NUM - 1].status);
	}
}

/* Where what one lets go of is what the other gets. */
static void on_one_cpu(void)
{
	cpu_set_t cpus;

	CPU_ZERO(&cpus);
	CPU_SET(0, &cpus);
	sched_setaffinity(0, sizeof(cpus), &cpus);
}

static char *small_pages(size_t size)
{
	char *mem = mmap(NULL, size, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (mem == MAP_FAILED)
		return NULL;
	madvise(mem, size, MADV_NOHUGEPAGE);
	return mem;
}

/* Vhost unpins it before it says that it is gone. */
static int call_let_go(struct call *c)
{
	on_one_cpu();
	munmap(c->buf, PIECE);
	return vv_iotlb(c->q->dev, VHOST_IOTLB_INVALIDATE, HIGH, PIECE, NULL, 0);
}

static char *others;

static void others_fill(void)
{
	on_one_cpu();
	others = small_pages(4 * MIB);
	if (others)
		memset(others, 0x77, 4 * MIB);
}

static bool others_changed(void)
{
	bool ret = others[0] != 0x77 || memcmp(others, others + 1, 4 * MIB - 1);

	munmap(others, 4 * MIB);
	return ret;
}

VV_TEST(memory_is_nobody_elses_until_its_requests_end)
{
	static const __u32 types[] = { T_IN, T_OUT };
	struct vv_dev *dev = &self->dev;
	struct vv_queue *q = &dev->vq[0];
	struct call c = { .disk = &self->disk, .q = q, .fn = call_let_go,
			  .meanwhile = others_fill };
	struct vv_seg seg[3];
	char *data;
	size_t i;

	DISK_THAT_HOLDS();
	data = vv_alloc(dev, PIECE);
	ASSERT_EQ(0, write_seed(q, 0, data));
	for (i = 0; i < ARRAY_SIZE(types); i++) {
		c.buf = small_pages(PIECE);
		ASSERT_NE(NULL, c.buf);
		vv_fill(c.buf, PIECE, 0);
		ASSERT_EQ(0, vv_iotlb(dev, VHOST_IOTLB_UPDATE, HIGH, PIECE,
				      c.buf, VHOST_ACCESS_RW));
		seg[0] = header(q, types[i]);
		seg[1] = (struct vv_seg){ HIGH, PIECE, types[i] ? 0 : W };
		seg[2] = status(q);
		c.head = vv_add(q, seg, 3);
		EXPECT_EQ(0, call_while_held(&c));
		EXPECT_EQ(1, c.used);
		ASSERT_LE(0, vv_get(q, NULL));
		EXPECT_EQ(S_OK, q->slot[VV_MAX_NUM - 1].status);
		ASSERT_NE(NULL, others);
		EXPECT_FALSE(others_changed());
		EXPECT_EQ(0, check_seed(q, 0, data));
	}
}

/* ---- the disk itself ---- */

VV_TEST(disk_deleted_while_open_and_at_work)
{
	struct vv_dev *dev = &self->dev;
	struct reader r = {};
	int i, status;
	pthread_t t;
	pid_t pid;

	START();
	READER_START(r, t, &dev->vq[0]);
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		close(dev->fd);
		_exit(vv_run("vdpa dev del %s", self->disk.name));
	}
	/* The bus waits for the one who has it open, and that one goes on. */
	for (i = 0; i < 10; i++) {
		vv_sleep_ms(20);
		ASSERT_TRUE(counts(&r, &r.ok));
	}
	EXPECT_EQ(0, r.ioerr);
	EXPECT_EQ(0, waitpid(pid, &status, WNOHANG));
	READER_END(r, t);
	vv_close(dev);
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
	EXPECT_EQ(-ENOENT, vv_open(dev, self->disk.node));
	self->disk.name[0] = '\0';
}

TEST_HARNESS_MAIN

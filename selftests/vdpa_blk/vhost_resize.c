// SPDX-License-Identifier: GPL-2.0-only
/*
 * A disk whose file grows and shrinks under a client. The file is the one of
 * VDPA_BLK_PATH, else one in /tmp.
 */
#include <fcntl.h>
#include <sys/stat.h>

#include "vhost_test.h"

#define MIB	(1ULL << 20)
#define SIZE	(8 * MIB)
#define SECTORS	(SIZE / VV_SECTOR)

static char temporary[] = "/tmp/vhost_resize.XXXXXX";
static const char *backing;
static pid_t main_pid;

static void __attribute__((constructor)) make_file(void)
{
	int fd;

	main_pid = getpid();
	backing = getenv("VDPA_BLK_PATH");
	if (backing)
		return;
	fd = mkstemp(temporary);
	if (fd < 0)
		exit(1);
	if (ftruncate(fd, SIZE))
		exit(1);
	close(fd);
	backing = temporary;
	setenv("VDPA_BLK_PATH", backing, 1);
}

static void __attribute__((destructor)) remove_file(void)
{
	if (backing == temporary && main_pid == getpid())
		unlink(temporary);
}

static int revalidate(const struct vv_disk *disk)
{
	char path[128];
	int fd, ret;

	snprintf(path, sizeof(path),
		 "/sys/kernel/config/vdpa_blk_sim/%s/revalidate_size",
		 disk->name);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	ret = write(fd, "1", 1) == 1 ? 0 : -errno;
	close(fd);
	return ret;
}

static int resize(const struct vv_disk *disk, __u64 bytes)
{
	return truncate(backing, bytes) ? -errno : revalidate(disk);
}

/* Each test begins with a disk of SIZE that no driver uses. */
#define A_DISK() \
	do { \
		ASSERT_EQ(0, resize(&self->disk, SIZE)); \
		ASSERT_EQ(SECTORS, vv_capacity(&self->dev)); \
	} while (0)

/* ... and goes on with a client that listens. */
#define A_CLIENT() \
	do { \
		A_DISK(); \
		START(); \
		ASSERT_EQ(0, vv_set_config_call(&self->dev)); \
	} while (0)

VV_TEST(growing_raises_a_config_interrupt)
{
	struct vv_queue *q = &self->dev.vq[0];
	__u64 last = 2 * SECTORS - 8;
	char *buf;

	A_CLIENT();
	buf = vv_alloc(&self->dev, 4096);
	vv_fill(buf, 4096, 1);
	ASSERT_EQ(S_OK, vv_blk(q, T_OUT, SECTORS - 8, buf, 4096));
	/* Nobody was told yet: the end is where it was. */
	ASSERT_EQ(0, truncate(backing, 2 * SIZE));
	EXPECT_EQ(S_IOERR, vv_blk(q, T_IN, SECTORS, buf, 4096));

	ASSERT_EQ(0, revalidate(&self->disk));
	EXPECT_TRUE(vv_config_irq(&self->dev, self->dev.timeout_ms));
	EXPECT_EQ(2 * SECTORS, vv_capacity(&self->dev));
	EXPECT_EQ(VV_S_LIVE, vv_get_status(&self->dev));
	ASSERT_EQ(S_OK, vv_blk(q, T_IN, SECTORS - 8, buf, 4096));
	EXPECT_EQ(-1, vv_differs(buf, 4096, 1));
	ASSERT_EQ(S_OK, vv_blk(q, T_IN, last, buf, 4096));
	EXPECT_TRUE(vv_is_zero(buf, 4096));
	vv_fill(buf, 4096, 2);
	ASSERT_EQ(S_OK, vv_blk(q, T_OUT, last, buf, 4096));
	vv_fill(buf, 4096, 3);
	ASSERT_EQ(S_OK, vv_blk(q, T_IN, last, buf, 4096));
	EXPECT_EQ(-1, vv_differs(buf, 4096, 2));
	EXPECT_EQ(S_IOERR, vv_blk(q, T_IN, last + 8, buf, 4096));
}

VV_TEST(the_same_size_is_no_news)
{
	A_CLIENT();
	ASSERT_EQ(0, revalidate(&self->disk));
	EXPECT_FALSE(vv_config_irq(&self->dev, 100));
	EXPECT_EQ(0, vv_good_client(&self->dev.vq[0], 1));
}

VV_TEST(a_reset_keeps_the_new_size)
{
	A_CLIENT();
	ASSERT_EQ(0, resize(&self->disk, 2 * SIZE));
	ASSERT_EQ(0, vv_reset(&self->dev));
	EXPECT_EQ(2 * SECTORS, vv_capacity(&self->dev));
	STILL_SERVES();
}

VV_TEST(shrinking_is_refused_while_a_driver_is_there)
{
	struct vv_queue *q = &self->dev.vq[0];
	__u64 beyond = SECTORS / 2 + 8;
	char *buf;
	int ret;

	A_CLIENT();
	buf = vv_alloc(&self->dev, 4096);
	vv_fill(buf, 4096, 1);
	ASSERT_EQ(S_OK, vv_blk(q, T_OUT, 0, buf, 4096));
	ASSERT_EQ(S_OK, vv_blk(q, T_OUT, beyond, buf, 4096));

	EXPECT_EQ(-EBUSY, resize(&self->disk, SIZE / 2));
	EXPECT_EQ(SECTORS, vv_capacity(&self->dev));
	EXPECT_FALSE(vv_config_irq(&self->dev, 0));
	EXPECT_EQ(1, vv_klog_count(self->disk.name, "revalidate_size"));

	ASSERT_EQ(S_OK, vv_blk(q, T_IN, 0, buf, 4096));
	EXPECT_EQ(-1, vv_differs(buf, 4096, 1));
	EXPECT_EQ(S_IOERR, vv_blk(q, T_IN, beyond, buf, 4096));
	/* What is acknowledged has to be there. */
	vv_fill(buf, 4096, 2);
	ret = vv_blk(q, T_OUT, beyond, buf, 4096);
	if (ret == S_OK) {
		TH_LOG("a write beyond the end of the file made it grow");
		vv_fill(buf, 4096, 3);
		ASSERT_EQ(S_OK, vv_blk(q, T_IN, beyond, buf, 4096));
		EXPECT_EQ(-1, vv_differs(buf, 4096, 2));
	} else {
		EXPECT_EQ(S_IOERR, ret);
	}

	/* Once the file is as large as before all is well. */
	ASSERT_EQ(0, resize(&self->disk, SIZE));
	EXPECT_EQ(S_OK, vv_blk(q, T_IN, SECTORS - 8, buf, 4096));
	EXPECT_TRUE(vv_is_zero(buf, 4096));
	EXPECT_EQ(0, vv_good_client(q, 4));
}

VV_TEST(shrinking_is_accepted_without_a_driver)
{
	struct vv_queue *q = &self->dev.vq[0];
	char *buf;

	A_CLIENT();
	ASSERT_EQ(0, vv_reset(&self->dev));
	ASSERT_EQ(0, resize(&self->disk, SIZE / 2));
	ASSERT_EQ(SECTORS / 2, vv_capacity(&self->dev));
	ASSERT_EQ(0, vv_restart(&self->dev, self->dev.offered, 1, 256));
	buf = vv_alloc(&self->dev, 4096);
	EXPECT_EQ(S_OK, vv_blk(q, T_OUT, SECTORS / 2 - 8, buf, 4096));
	EXPECT_EQ(S_IOERR, vv_blk(q, T_OUT, SECTORS / 2, buf, 4096));
	EXPECT_EQ(0, vv_good_client(q, 1));
}

/* Any client that has begun with the set-up may know the capacity. */
VV_TEST(a_driver_is_there_from_its_first_status_on)
{
	A_DISK();
	ASSERT_EQ(0, vv_set_owner(&self->dev));
	ASSERT_EQ(0, vv_set_status(&self->dev, VV_S_ACK | VV_S_DRIVER));
	EXPECT_EQ(-EBUSY, resize(&self->disk, SIZE / 2));
	ASSERT_EQ(0, vv_reset(&self->dev));
	EXPECT_EQ(0, revalidate(&self->disk));
}

VV_TEST(a_suspended_disk_is_in_use)
{
	A_CLIENT();
	ASSERT_EQ(0, vv_suspend(&self->dev));
	EXPECT_EQ(-EBUSY, resize(&self->disk, SIZE / 2));
	ASSERT_EQ(0, resize(&self->disk, 2 * SIZE));
	EXPECT_TRUE(vv_config_irq(&self->dev, self->dev.timeout_ms));
	EXPECT_EQ(2 * SECTORS, vv_capacity(&self->dev));
}

VV_TEST(no_multiple_of_a_block_is_refused)
{
	A_DISK();
	EXPECT_EQ(-EINVAL, resize(&self->disk, SIZE + 100));
	EXPECT_EQ(-EINVAL, resize(&self->disk, SIZE - 100));
	EXPECT_EQ(-EINVAL, resize(&self->disk, 0));
	EXPECT_EQ(SECTORS, vv_capacity(&self->dev));
	EXPECT_EQ(3, vv_klog_count(self->disk.name, "revalidate_size"));
	A_CLIENT();
	EXPECT_EQ(-EINVAL, resize(&self->disk, SIZE + 100));
	EXPECT_EQ(SECTORS, vv_capacity(&self->dev));
	EXPECT_FALSE(vv_config_irq(&self->dev, 0));
	EXPECT_EQ(0, vv_good_client(&self->dev.vq[0], 1));
}

TEST_HARNESS_MAIN

// SPDX-License-Identifier: GPL-2.0-only
/*
 * How vdpa_blk_pci reads the configuration of a function: with the width of each
 * field, all of one state, and not for ever.
 */
#include <string.h>

#include <kselftest_harness.h>

#include <linux/bits.h>

#include "config.h"

#define SIZE		sizeof(struct virtio_blk_config)
#define ALL_FEATURES	(~0ULL)
/* With it a function says that it is fine. */
#define DRIVER_OK	0x0f

/* By offset, virtio 1.3, 5.2.4; 64 bits are read as twice 32. */
static const struct {
	u8 at, width, n;
} fields[] = {
	{ 0, 4, 4 }, { 16, 2, 1 }, { 18, 1, 2 }, { 20, 4, 1 }, { 24, 1, 2 },
	{ 26, 2, 1 }, { 28, 4, 1 }, { 32, 1, 2 }, { 34, 2, 1 }, { 36, 4, 5 },
	{ 56, 1, 4 }, { 60, 4, 8 }, { 92, 1, 4 },
};

/*
 * @bytes has one more than the driver may read. @read is the width that each was
 * read with. The function changes when @change_at of them have been read, @changes
 * times.
 */
static struct {
	struct pci_dev pci;
	struct virtio_pci_modern_device mdev;
	struct virtio_blk_config config;
	u8 bytes[SIZE + 1];
	u8 read[SIZE + 1];
	u8 status;
	u8 generation;
	unsigned int change_at;
	unsigned int changes;
	unsigned int reads;
} t;

u32 vp_modern_generation(struct virtio_pci_modern_device *mdev)
{
	(void)mdev;
	return t.generation;
}

u8 vp_modern_get_status(struct virtio_pci_modern_device *mdev)
{
	(void)mdev;
	return t.status;
}

static void fill(u8 first)
{
	unsigned int i;

	for (i = 0; i <= SIZE; i++)
		t.bytes[i] = first + i;
	t.bytes[offsetof(struct virtio_blk_config, wce)] = 1;
}

static void looked_at(const void *addr, unsigned int width)
{
	memset(t.read + ((u8 *)addr - t.bytes), width, width);
	if (++t.reads % (t.change_at ?: -1U) == 0 && t.changes) {
		t.changes--;
		t.generation++;
		fill(t.generation * 16);
	}
}

u8 ioread8(const void *addr)
{
	u8 val = *(const u8 *)addr;

	looked_at(addr, sizeof(val));
	return val;
}

u16 ioread16(const void *addr)
{
	u16 val;

	memcpy(&val, addr, sizeof(val));
	looked_at(addr, sizeof(val));
	return val;
}

u32 ioread32(const void *addr)
{
	u32 val;

	memcpy(&val, addr, sizeof(val));
	looked_at(addr, sizeof(val));
	return val;
}

void iowrite8(u8 val, void *addr)
{
	*(u8 *)addr = val;
}

FIXTURE(config)
{
};

FIXTURE_SETUP(config)
{
	(void)self;
	t.mdev.pci_dev = &t.pci;
	t.mdev.device = t.bytes;
	t.mdev.device_len = SIZE;
	t.status = DRIVER_OK;
	fill(0);
}

FIXTURE_TEARDOWN(config)
{
	(void)self;
}

/*
 * This host plays a big-endian CPU: a field of another width than its own comes
 * out in the wrong order.
 */
static bool is_what_the_function_has(void)
{
	const u8 *got = (u8 *)&t.config;
	unsigned int i, j, k, at;

	for (i = 0; i < ARRAY_SIZE(fields); i++)
		for (j = 0; j < fields[i].n; j++)
			for (k = 0; k < fields[i].width; k++) {
				at = fields[i].at + j * fields[i].width;
				if (got[at + k] !=
				    t.bytes[at + fields[i].width - 1 - k])
					return false;
			}
	return true;
}

static void read_config(u64 features)
{
	vbp_config_read(&t.mdev, features, &t.config);
}

TEST_F(config, each_field_with_its_width)
{
	unsigned int i, j;

	read_config(ALL_FEATURES);
	EXPECT_TRUE(is_what_the_function_has());
	for (i = 0; i < ARRAY_SIZE(fields); i++)
		for (j = 0; j < fields[i].n * fields[i].width; j++)
			EXPECT_EQ(fields[i].width, t.read[fields[i].at + j])
				TH_LOG("byte %u", fields[i].at + j);
	EXPECT_EQ(0, t.read[SIZE]);
}

/* What a shorter function does not have is 0; half a field it has not. */
TEST_F(config, no_more_than_the_function_has)
{
	unsigned int len, i;
	u8 *got = (u8 *)&t.config;

	for (len = 0; len <= SIZE; len++) {
		memset(t.read, 0, sizeof(t.read));
		memset(&t.config, 0xff, sizeof(t.config));
		t.mdev.device_len = len;
		read_config(ALL_FEATURES);
		for (i = len; i < SIZE; i++) {
			EXPECT_EQ(0, t.read[i]);
			EXPECT_EQ(0, got[i]);
		}
	}
}

/* It changes after each number of reads, once or a few times. */
TEST_F(config, all_of_one_state)
{
	for (t.change_at = 1; t.change_at < 40; t.change_at++) {
		for (t.changes = 1; t.changes < 4;) {
			unsigned int changes = t.changes;

			t.reads = 0;
			read_config(ALL_FEATURES);
			EXPECT_TRUE(is_what_the_function_has())
				TH_LOG("changed after %u reads", t.change_at);
			t.changes = changes + 1;
		}
	}
	EXPECT_EQ(0, t.pci.dev.warnings);
}

TEST_F(config, a_function_that_never_rests)
{
	t.change_at = 1;
	t.changes = -1U;
	read_config(ALL_FEATURES);
	EXPECT_EQ(1, t.pci.dev.warnings);
	EXPECT_GT(10000, t.reads);
}

TEST_F(config, a_function_that_is_gone)
{
	static const struct virtio_blk_config nothing;

	memset(t.bytes, 0xff, sizeof(t.bytes));
	t.status = 0xff;
	read_config(ALL_FEATURES);
	EXPECT_EQ(0, memcmp(&nothing, &t.config, SIZE));
}

TEST_F(config, fields_of_features_that_it_has_not)
{
	static const u8 zeroes[24];

	memset(t.bytes, 0xff, sizeof(t.bytes));
	read_config(ALL_FEATURES & ~BIT_ULL(VIRTIO_BLK_F_SECURE_ERASE));
	EXPECT_EQ(0, t.config.max_secure_erase_sectors);
	EXPECT_EQ(0, t.config.max_secure_erase_seg);
	EXPECT_EQ(0, t.config.secure_erase_sector_alignment);
	EXPECT_NE(0, memcmp(zeroes, &t.config.zoned, sizeof(zeroes)));

	read_config(ALL_FEATURES & ~BIT_ULL(VIRTIO_BLK_F_ZONED));
	EXPECT_NE(0, t.config.max_secure_erase_sectors);
	EXPECT_EQ(0, memcmp(zeroes, &t.config.zoned, sizeof(zeroes)));
}

/* Anything else than 0 and 1 is the end of Linux' virtio_blk. */
TEST_F(config, wce)
{
	size_t at = offsetof(struct virtio_blk_config, wce);
	unsigned int val;

	for (val = 0; val < 256; val++) {
		t.bytes[at] = val;
		read_config(ALL_FEATURES);
		EXPECT_EQ(!!val, t.config.wce);
	}
	vbp_config_write_wce(&t.mdev, 0);
	EXPECT_EQ(0, t.bytes[at]);
	vbp_config_write_wce(&t.mdev, 1);
	EXPECT_EQ(1, t.bytes[at]);
	t.mdev.device_len = at;
	vbp_config_write_wce(&t.mdev, 0);
	EXPECT_EQ(1, t.bytes[at]);
}

TEST_HARNESS_MAIN

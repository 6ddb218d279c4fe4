/* SPDX-License-Identifier: GPL-2.0-only */
/* What tests of bad clients share. */
#ifndef VHOST_BAD_H
#define VHOST_BAD_H

#include <pthread.h>
#include <stdatomic.h>

#include "vhost_test.h"

#define NUM	256

/* printk_ratelimited(): ten lines in five seconds, and a line on the rest. */
#define RATE_LINES	11
#define RATE_MS		5200

/* ---- broken rings ---- */

/* Queue 0 is about to break, queue 1 (if there is one) must not notice. */
static inline void begin(struct __test_metadata *_metadata, struct vv_dev *dev,
			 __u64 features)
{
	unsigned int n = vv_vqs_count(dev) > 1 ? 2 : 1;

	if (vv_get_status(dev) > 0) {
		ASSERT_EQ(0, vv_reset(dev));
		ASSERT_EQ(0, vv_restart(dev, features, n, NUM));
	} else {
		ASSERT_EQ(0, vv_start(dev, features, n, NUM));
	}
	ASSERT_EQ(0, vv_good_client(&dev->vq[0], 1));
}

/* A descriptor as it is, but available. */
static inline void show_packed(struct vv_queue *q, __u16 place)
{
	struct vring_packed_desc *desc = &q->packed_desc[place & ~VV_WRAP];
	__u16 flags = desc->flags & ~(vv_avail_flags(0) |
				      vv_avail_flags(VV_WRAP));

	__atomic_store_n(&desc->flags, flags | vv_avail_flags(place),
			 __ATOMIC_RELEASE);
}

static inline void is_broken(struct __test_metadata *_metadata,
			     struct vv_dev *dev, const char *what)
{
	struct vv_queue *q = &dev->vq[0];
	bool two = vv_vqs_count(dev) > 1;
	__u32 used;

	ASSERT_TRUE(vv_config_irq(dev, dev->timeout_ms))
		TH_LOG("%s: no config interrupt", what);
	EXPECT_EQ(VV_S_LIVE | VV_S_NEEDS_RESET, vv_get_status(dev))
		TH_LOG("%s", what);
	/* Stopped: kicks and fresh requests change nothing. */
	used = vv_used_base(q);
	if (q->packed)
		show_packed(q, used & 0xffff);
	else
		q->avail->idx += 1;
	vv_kick_always(q);
	vv_sleep_ms(5);
	EXPECT_EQ(used, vv_used_base(q))
		TH_LOG("%s: the queue went on", what);
	EXPECT_EQ(0, two ? vv_good_client(&dev->vq[1], 2) : 0)
		TH_LOG("%s: another queue stopped", what);
	vv_may_warn++;
}

#define BEGIN()		begin(_metadata, &self->dev, self->dev.offered)
#define IS_BROKEN(what)	is_broken(_metadata, &self->dev, what)

/* One queue, its rings at these addresses; everything but DRIVER_OK. */
static inline int prepare_at(struct vv_dev *dev, __u64 desc, __u64 avail,
			     __u64 used)
{
	struct vv_queue *q = &dev->vq[0];
	int ret;

	if (vv_get_status(dev))
		vv_reset(dev);
	else
		vv_set_owner(dev);
	ret = vv_set_status(dev, VV_S_ACK | VV_S_DRIVER);
	if (!ret)
		ret = vv_set_features(dev, dev->offered);
	if (!ret)
		ret = vv_set_status(dev, VV_S_LIVE & ~VV_S_DRIVER_OK);
	if (!ret)
		ret = vv_set_config_call(dev);
	if (!ret)
		ret = vv_queue_setup(q, NUM, vv_first_base(dev));
	if (!ret)
		ret = vv_set_addr_raw(q, desc, avail, used);
	if (!ret)
		ret = vv_set_enable(q, true);
	return ret;
}

/* Set DRIVER_OK, and see it break. */
static inline void broken_at_start(struct __test_metadata *_metadata,
				   struct vv_dev *dev, const char *what)
{
	ASSERT_EQ(0, vv_set_status(dev, VV_S_LIVE));
	ASSERT_TRUE(vv_config_irq(dev, dev->timeout_ms))
		TH_LOG("%s", what);
	EXPECT_EQ(VV_S_LIVE | VV_S_NEEDS_RESET, vv_get_status(dev))
		TH_LOG("%s", what);
	vv_kick_always(&dev->vq[0]);
	vv_may_warn++;
	ASSERT_EQ(0, vv_reset(dev));
	vv_unmap_all(dev);
}

/* ---- requests and their memory ---- */

/* A request of any segments: its status, or -errno. */
static inline int submit(struct vv_queue *q, const struct vv_seg *seg,
			 unsigned int n, __u32 *used)
{
	struct vv_slot *slot = &q->slot[VV_MAX_NUM - 1];

	slot->status = 0xff;
	return vv_finish(q, vv_add(q, seg, n), &slot->status, used);
}

static inline struct vv_seg seg_of(struct vv_queue *q, const void *ptr,
				   __u32 len, __u16 flags)
{
	return (struct vv_seg){ vv_iova(q->dev, ptr), len, flags };
}

static inline struct vv_seg header(struct vv_queue *q, __u32 type)
{
	struct vv_slot *slot = &q->slot[VV_MAX_NUM - 1];

	slot->hdr.type = type;
	slot->hdr.sector = 0;
	return seg_of(q, &slot->hdr, sizeof(slot->hdr), 0);
}

static inline struct vv_seg status(struct vv_queue *q)
{
	return seg_of(q, &q->slot[VV_MAX_NUM - 1].status, 1, W);
}

#define NOWHERE(len, flags)	((struct vv_seg){ 1ULL << 40, len, flags })

/*
 * Unmapping drops whole entries of the table, and pages that happen to be
 * neighbours in memory share one. So what a test will unmap alone has to be
 * mapped alone: the pages of queue 0's rings, and @data.
 */
static inline int map_apart(struct vv_dev *dev, char *data)
{
	struct vv_queue *q = &dev->vq[0];
	char *page[] = { (char *)q->desc, (char *)q->avail, (char *)q->used,
			 data, dev->mem + vv_mem_size };
	char *pos = dev->mem;
	size_t i;
	int ret = vv_unmap_all(dev);

	for (i = 0; !ret && i < ARRAY_SIZE(page); i++) {
		if (page[i] > pos)
			ret = vv_map(dev, pos, page[i] - pos, VHOST_ACCESS_RW);
		pos = page[i] + VV_PAGE;
		if (!ret && pos <= dev->mem + vv_mem_size)
			ret = vv_map(dev, page[i], VV_PAGE, VHOST_ACCESS_RW);
	}
	return ret;
}

/* ---- while it works ---- */

/* One of queue 0's own numbers, of a disk that has such a file: or -errno. */
static inline long queue_shows(const struct vv_disk *disk, const char *what)
{
	size_t len = strlen(what);
	char path[96], line[80];
	long ret = -ENOENT;
	FILE *file;

	snprintf(path, sizeof(path), "/sys/kernel/debug/vdpa_blk_sim/%s/vq0",
		 disk->name);
	file = fopen(path, "re");
	if (!file)
		return -errno;
	while (ret < 0 && fgets(line, sizeof(line), file))
		if (!strncmp(line, what, len) && line[len] == ':')
			ret = atol(line + len + 1);
	fclose(file);
	return ret;
}

/* A thread that does reads of one page until told to stop. */
struct reader {
	struct vv_queue *q;
	char *buf;
	bool may_be_silent;		/* no room for a status is fine */
	atomic_bool stop;
	atomic_uint ok, ioerr;
};

static inline void *reader_thread(void *arg)
{
	struct reader *r = arg;
	int ret = 0;

	while (!r->stop && ret >= 0) {
		ret = vv_blk(r->q, T_IN, 0, r->buf, VV_PAGE);
		if (ret == S_OK)
			r->ok++;
		else if (ret == S_IOERR || (ret == 0xff && r->may_be_silent))
			r->ioerr++;
		else
			ret = ret < 0 ? ret : -EIO;
	}
	return (void *)(long)(ret < 0 ? ret : 0);
}

/* Waiting for another thread, as long as it takes but not for ever. */
static inline bool counts(struct reader *r, atomic_uint *counter)
{
	long long end = vv_now_ms() + r->q->dev->timeout_ms;
	unsigned int before = *counter;

	while (*counter == before && vv_now_ms() < end)
		vv_sleep_ms(1);
	return *counter != before;
}

#define READER_START(r, t, queue) \
	do { \
		(r).q = (queue); \
		(r).buf = vv_alloc(&self->dev, VV_PAGE); \
		ASSERT_EQ(0, map_apart(&self->dev, (r).buf)); \
		ASSERT_EQ(0, pthread_create(&(t), NULL, reader_thread, &(r))); \
		ASSERT_TRUE(counts(&(r), &(r).ok)); \
	} while (0)

#define READER_END(r, t) \
	do { \
		void *ret_; \
		\
		(r).stop = true; \
		pthread_join(t, &ret_); \
		EXPECT_EQ(0, (long)ret_); \
	} while (0)

#endif

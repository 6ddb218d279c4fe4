// SPDX-License-Identifier: GPL-2.0-only
/* What a client can do to a device: ioctls, IOTLB messages, rings. */
#include <sched.h>
#include <string.h>
#include <unistd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include "vhost_fuzz.h"

#define ARENA_PAGES	(vv_mem_size / VV_PAGE)

static const __u32 lens[] = {
	0, 1, 2, 15, 16, 17, 511, 512, 513, 4095, 4096, 4097, 8192, 65536,
	0x100000, 0x7fffffff, 0x80000000, 0xfffff000, 0xffffffff,
};

static const __u16 nums[] = {
	0, 1, 2, 3, 4, 7, 8, 16, 128, 255, 256, 257, 1023, 1024, 1025, 0x7fff,
	0x8000, 0xffff,
};

static struct vv_queue *some_queue(struct fuzz_thread *t)
{
	return &t->f->dev.vq[pick(t, t->f->queues)];
}

/* Mostly of the arena. */
static __u64 some_iova(struct fuzz_thread *t)
{
	struct vv_dev *dev = &t->f->dev;

	switch (pick(t, 10)) {
	case 0:
		return fuzz_next(&t->rng);
	case 1:
		return 1ULL << pick(t, 64);
	case 2:
		return -1ULL - pick(t, 8192);
	case 3:
		return (uintptr_t)dev->mem + pick(t, vv_mem_size);
	case 4:
		return dev->iova + vv_mem_size - pick(t, 8192);
	case 5:
		return dev->iova - pick(t, 8192);
	case 6:
		return dev->iova + pick(t, ARENA_PAGES) * VV_PAGE - pick(t, 20);
	default:
		return dev->iova + pick(t, vv_mem_size);
	}
}

/* ---- ioctls ---- */

__u64 fuzz_features(struct fuzz_thread *t)
{
	static const __u64 kinds[] = { 0, 0, VV_F_PACKED, VV_F_PACKED,
				       VV_F_IN_ORDER, VV_F_KINDS };
	__u64 features = t->f->dev.offered & ~VV_F_KINDS;

	features |= t->f->dev.offered & ONE_OF(t, kinds);
	if (percent(t, 50))
		features &= fuzz_next(&t->rng) | VV_F_BASE | VV_F_KINDS;
	return features;
}

static void lock_all(struct fuzz *f)
{
	unsigned int i;

	for (i = 0; i < FUZZ_QUEUES; i++)
		pthread_mutex_lock(&f->lock[i]);
}

static void unlock_all(struct fuzz *f)
{
	unsigned int i;

	for (i = 0; i < FUZZ_QUEUES; i++)
		pthread_mutex_unlock(&f->lock[i]);
}

void fuzz_restart(struct fuzz_thread *t)
{
	static const __u16 sizes[] = { 1, 2, 4, 16, 64, 256, 256, 256 };
	__u64 features = fuzz_features(t);
	struct fuzz *f = t->f;
	unsigned int i;

	lock_all(f);
	vv_reset(&f->dev);
	vv_restart(&f->dev, features, f->queues, ONE_OF(t, sizes));
	for (i = 0; i < f->queues; i++)
		f->dev.vq[i].indirect = features & VV_F_INDIRECT &&
					percent(t, 50);
	unlock_all(f);
}

static int some_fd(struct fuzz_thread *t)
{
	struct vv_queue *q = some_queue(t);

	switch (pick(t, 8)) {
	case 0:
		return -1;
	case 1:
		return pick(t, 64);
	case 2:
		return t->f->dev.config_fd;
	case 3:
		return q->kick_fd;
	default:
		return q->call_fd;
	}
}

static void any_address(struct fuzz_thread *t, struct vv_queue *q)
{
	struct vv_queue *other = some_queue(t);

	switch (pick(t, 3)) {
	case 0:
		vv_set_addr(q);
		break;
	case 1:
		vv_set_addr_raw(q, other->desc_iova, q->avail_iova,
				q->used_iova);
		break;
	case 2:
		vv_set_addr_raw(q, some_iova(t), some_iova(t), some_iova(t));
		break;
	}
}

static void any_config(struct fuzz_thread *t)
{
	__u8 buf[256];
	__u32 off = pick(t, 100), len = pick(t, 100);

	if (percent(t, 10))
		off = ONE_OF(t, lens);
	memset(buf, pick(t, 256), sizeof(buf));
	if (percent(t, 50))
		vv_set_config(&t->f->dev, off, buf, len);
	else
		vv_get_config(&t->f->dev, off, buf, len);
}

/* By number, known to the kernel or not, the first word often a queue. */
static void any_ioctl(struct fuzz_thread *t)
{
	__u64 arg[32];
	unsigned int i;

	for (i = 0; i < ARRAY_LEN(arg); i++)
		arg[i] = percent(t, 50) ? pick(t, 4) : fuzz_next(&t->rng);
	ioctl(t->f->dev.fd,
	      _IOC(pick(t, 4), VHOST_VIRTIO, pick(t, 0x90), ONE_OF(t, lens)),
	      percent(t, 5) ? NULL : arg);
}

static void any_status(struct fuzz_thread *t)
{
	static const __u8 usual[] = { VV_S_ACK, VV_S_ACK | VV_S_DRIVER,
				      VV_S_LIVE & ~VV_S_DRIVER_OK, VV_S_LIVE };

	if (percent(t, 70))
		vv_set_status(&t->f->dev, ONE_OF(t, usual));
	else
		vv_set_status(&t->f->dev, pick(t, 256));
}

static void queue_ioctl(struct fuzz_thread *t)
{
	struct vv_queue other = { .dev = &t->f->dev, .index = pick(t, 70) };
	struct vv_queue *q = percent(t, 95) ? some_queue(t) : &other;

	switch (pick(t, 8)) {
	case 0:
		vv_set_num(q, ONE_OF(t, nums));
		break;
	case 1:
		vv_set_base(q, percent(t, 50) ? ONE_OF(t, nums) :
						fuzz_next(&t->rng));
		break;
	case 2:
		any_address(t, q);
		break;
	case 3:
		vv_set_kick(q, percent(t, 50) ? q->kick_fd : some_fd(t));
		break;
	case 4:
		vv_set_call(q, percent(t, 50) ? q->call_fd : some_fd(t));
		break;
	case 5:
		vv_get_base(q);
		break;
	default:
		vv_set_enable(q, percent(t, 70));
		break;
	}
}

void fuzz_ioctl(struct fuzz_thread *t)
{
	struct vv_dev *dev = &t->f->dev;
	__u64 features;

	switch (pick(t, 20)) {
	case 0:
	case 1:
		fuzz_restart(t);
		break;
	case 2:
		vv_reset(dev);
		break;
	case 3:
		vv_suspend(dev);
		break;
	case 4:
	case 5:
		vv_resume(dev);
		break;
	case 6:
		any_status(t);
		break;
	case 7:
		any_config(t);
		break;
	case 8:
		any_ioctl(t);
		break;
	case 9:
		vv_set_config_call(dev);
		break;
	case 10:
		features = fuzz_next(&t->rng);
		vv_set_backend(dev, percent(t, 50) ? features & 0xff :
						     features);
		break;
	case 11:
		features = percent(t, 50) ? fuzz_features(t) :
					    fuzz_next(&t->rng);
		vv_ioctl(dev, VHOST_SET_FEATURES, &features);
		break;
	default:
		queue_ioctl(t);
		break;
	}
}

/* ---- IOTLB messages ---- */

/* A run of pages, often of a ring. */
static char *some_pages(struct fuzz_thread *t, size_t *size)
{
	struct vv_queue *q = some_queue(t);
	unsigned int first = pick(t, ARENA_PAGES), n = 1 + pick(t, 16);
	void *parts[] = { q->desc, q->avail, q->used };

	if (percent(t, 30)) {
		*size = VV_PAGE;
		return ONE_OF(t, parts);
	}
	if (first + n > ARENA_PAGES)
		n = ARENA_PAGES - first;
	*size = n * VV_PAGE;
	return t->f->dev.mem + first * VV_PAGE;
}

/* A message as no client would send it, or half of one. */
static void any_message(struct fuzz_thread *t)
{
	struct vhost_msg_v2 msg = { .type = percent(t, 80) ?
					    VHOST_IOTLB_MSG_V2 : pick(t, 4) };
	ssize_t n;

	/*
	 * Aligned: vhost takes a map that is not for a larger one, which may
	 * overlap others, and forgets these and their pins.
	 */
	msg.iotlb.iova = some_iova(t) & -VV_PAGE;
	msg.iotlb.size = percent(t, 80) ? ONE_OF(t, lens) : fuzz_next(&t->rng);
	msg.iotlb.uaddr = (uintptr_t)t->f->dev.mem + pick(t, vv_mem_size);
	msg.iotlb.perm = pick(t, 8);
	msg.iotlb.type = pick(t, 8);
	msg.asid = percent(t, 80) ? 0 : fuzz_next(&t->rng);
	if (percent(t, 10))
		msg.iotlb.uaddr = fuzz_next(&t->rng);
	n = percent(t, 80) ? sizeof(msg) : pick(t, sizeof(msg));
	if (write(t->f->dev.fd, &msg, n) < 0)
		return;
}

void fuzz_iotlb(struct fuzz_thread *t)
{
	struct vv_dev *dev = &t->f->dev;
	size_t size;
	char *pages = some_pages(t, &size);

	dev->msg_version = 1 + pick(t, 2);
	switch (pick(t, 16)) {
	case 0:
		vv_unmap_all(dev);
		vv_map_all(dev);
		break;
	case 1:
		vv_map_all(dev);
		break;
	case 2:
		vv_unmap(dev, pages, size);
		break;
	case 3:
		vv_iotlb(dev, VHOST_IOTLB_UPDATE, some_iova(t) & -VV_PAGE, size,
			 pages, 1 + pick(t, 3));
		break;
	case 4:
		vv_iotlb(dev, VHOST_IOTLB_INVALIDATE, some_iova(t),
			 ONE_OF(t, lens), NULL, 0);
		break;
	case 5:
		vv_iotlb(dev, percent(t, 50) ? VHOST_IOTLB_BATCH_BEGIN :
					       VHOST_IOTLB_BATCH_END,
			 0, 0, NULL, 0);
		break;
	case 6:
	case 7:
		any_message(t);
		break;
	default:
		/* in use, and back after a moment, or as other pages */
		vv_unmap(dev, pages, size);
		if (percent(t, 30))
			sched_yield();
		/*
		 * Not MADV_REMOVE: user-mode Linux walks the areas of others
		 * without their lock then, and lockdep says so.
		 */
		if (percent(t, 30))
			madvise(pages, size, MADV_DONTNEED);
		vv_map(dev, pages, size, percent(t, 90) ? VHOST_ACCESS_RW :
							  1 + pick(t, 3));
		break;
	}
}

/* ---- rings ---- */

static const __u32 types[] = {
	VIRTIO_BLK_T_IN, VIRTIO_BLK_T_OUT, VIRTIO_BLK_T_IN, VIRTIO_BLK_T_OUT,
	VIRTIO_BLK_T_FLUSH, VIRTIO_BLK_T_GET_ID, VIRTIO_BLK_T_DISCARD,
	VIRTIO_BLK_T_WRITE_ZEROES, VIRTIO_BLK_T_SECURE_ERASE, 99, 0xffffffff,
};

static void *some_data(struct fuzz_thread *t)
{
	struct vv_dev *dev = &t->f->dev;

	return dev->mem + dev->brk +
	       pick(t, (vv_mem_size - dev->brk) / VV_SECTOR / 2) * VV_SECTOR;
}

static __u64 some_sector(struct fuzz_thread *t)
{
	return percent(t, 95) ? pick(t, 4096) : fuzz_next(&t->rng);
}

/* As a driver makes them, the sort it can be answered. */
static void good_request(struct fuzz_thread *t, struct vv_queue *q)
{
	__u32 type = percent(t, 70) ? types[pick(t, 4)] : ONE_OF(t, types);
	__u32 len = VV_SECTOR * (1 + pick(t, 64));

	if (type == VIRTIO_BLK_T_FLUSH)
		len = 0;
	else if (type >= VIRTIO_BLK_T_DISCARD)
		len = 16 * pick(t, 3);
	if (q->nfree >= 3)
		vv_submit(q, type, some_sector(t), some_data(t), len);
}

/* A chain that the ring can have, of any pieces. */
static void odd_request(struct fuzz_thread *t, struct vv_queue *q)
{
	struct vv_slot *slot = &q->slot[q->free_head % q->num];
	unsigned int i, n = 1 + pick(t, 6);
	struct vv_seg seg[6];
	int head;

	slot->hdr.type = ONE_OF(t, types);
	slot->hdr.sector = some_sector(t);
	for (i = 0; i < n; i++)
		seg[i] = (struct vv_seg){ some_iova(t), ONE_OF(t, lens),
					  i * 2 < n ? 0 : VRING_DESC_F_WRITE };
	if (percent(t, 80))
		seg[0] = (struct vv_seg){ vv_iova(q->dev, &slot->hdr), 16, 0 };
	if (percent(t, 80))
		seg[n - 1] = (struct vv_seg){ vv_iova(q->dev, &slot->status), 1,
					      VRING_DESC_F_WRITE };
	if (percent(t, 5))
		seg[pick(t, n)].flags ^= pick(t, 8);
	if (percent(t, 40))
		head = vv_add_indirect(q, slot->table, seg, n);
	else
		head = vv_add(q, seg, n);
	if (head >= 0)
		vv_publish(q, head);
}

static void scribble(struct fuzz_thread *t, struct vv_queue *q)
{
	static const size_t fields[] = { 0, 2, 4, 8, 12, 14 };
	char *parts[] = { (char *)q->desc, (char *)q->avail, (char *)q->used };
	char *to = ONE_OF(t, parts);
	__u64 value = percent(t, 50) ? ONE_OF(t, nums) : fuzz_next(&t->rng);

	/* Near the place where the device is. */
	if (percent(t, 60))
		to += ((q->next_avail + pick(t, 4)) % q->num) *
		      sizeof(struct vring_desc) + ONE_OF(t, fields);
	else
		to += pick(t, 64);
	memcpy(to, &value, percent(t, 70) ? 2 : 1 << pick(t, 4));
}

/* Behind the client's own back: it knows nothing of what it shows here. */
static void raw_entry(struct fuzz_thread *t, struct vv_queue *q)
{
	__u16 at = pick(t, q->num);

	q->desc[at].addr = some_iova(t);
	q->desc[at].len = ONE_OF(t, lens);
	q->desc[at].flags = percent(t, 50) ? pick(t, 8) : fuzz_next(&t->rng);
	q->desc[at].next = percent(t, 80) ? pick(t, q->num) : ONE_OF(t, nums);
	if (q->packed) {
		q->packed_desc[at].flags ^= percent(t, 50) ?
					    vv_avail_flags(0) :
					    vv_avail_flags(VV_WRAP);
		return;
	}
	q->avail->ring[q->next_avail % q->num] = percent(t, 90) ?
						 at : ONE_OF(t, nums);
	q->avail->idx += percent(t, 90) ? 1 : ONE_OF(t, nums);
}

/* What it has answered so far; with a ring like this it may be anything. */
static void harvest(struct vv_queue *q)
{
	unsigned int i;

	for (i = 0; i < q->num && vv_get(q, NULL) >= 0; i++)
		;
}

void fuzz_ring(struct fuzz_thread *t)
{
	unsigned int i = t->index % t->f->queues;
	struct vv_queue *q = &t->f->dev.vq[i];
	unsigned int n;

	pthread_mutex_lock(&t->f->lock[i]);
	switch (q->num ? pick(t, 32) : 31) {
	case 0:
		scribble(t, q);
		break;
	case 1:
		raw_entry(t, q);
		break;
	case 2 ... 7:
		odd_request(t, q);
		break;
	case 8 ... 11:
		harvest(q);
		break;
	case 12:
		/* as many as there is room for: to be met in flight */
		for (n = q->nfree; n >= 3; n -= 3)
			good_request(t, q);
		break;
	case 13 ... 20:
		good_request(t, q);
		break;
	default:
		if (percent(t, 50))
			vv_kick_always(q);
		else
			vv_kick(q);
		break;
	}
	pthread_mutex_unlock(&t->f->lock[i]);
	if (percent(t, 10))
		sched_yield();
}

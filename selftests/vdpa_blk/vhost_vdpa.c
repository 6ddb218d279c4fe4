// SPDX-License-Identifier: GPL-2.0-only
/* A small client of /dev/vhost-vdpa-N. See vhost_vdpa.h. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include "vhost_vdpa.h"

/*
 * The arena: how much the parts of a ring need, in pages of their own, for
 * the big queues and the small ones.
 */
#define PAGES(bytes)		(((bytes) + VV_PAGE - 1) / VV_PAGE * VV_PAGE)
#define DESC_SIZE(num)		PAGES((num) * sizeof(struct vring_desc))
#define AVAIL_SIZE(num)		PAGES(((num) + 3) * sizeof(__u16))
#define USED_SIZE(num)		PAGES((num) * sizeof(struct vring_used_elem) + \
				      3 * sizeof(__u16))
#define SLOTS_SIZE(num)		((num) * sizeof(struct vv_slot))

size_t __weak vv_mem_size = 1 << 20;
__u64 vv_ring_kind;

long long vv_now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000LL + ts.tv_nsec / 1000000;
}

static long long now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000LL + ts.tv_nsec / 1000;
}

void vv_sleep_ms(int ms)
{
	poll(NULL, 0, ms);
}

unsigned int vv_seed(void)
{
	const char *env = getenv("VDPA_BLK_SEED");
	unsigned int seed = env ? strtoul(env, NULL, 0) : (unsigned long)now_us();

	printf("# seed: VDPA_BLK_SEED=%u\n", seed);
	fflush(stdout);
	return seed;
}

/* ---- the device ---- */

int vv_ioctl(struct vv_dev *dev, unsigned long cmd, void *arg)
{
	return ioctl(dev->fd, cmd, arg) < 0 ? -errno : 0;
}

static char *queue_layout(struct vv_dev *dev, unsigned int i, char *pos)
{
	unsigned int num = i < VV_BIG_QUEUES ? VV_MAX_NUM : VV_SMALL_NUM;
	struct vv_queue *q = &dev->vq[i];

	q->dev = dev;
	q->index = i;
	q->desc = (void *)pos;
	q->avail = (void *)(pos + DESC_SIZE(num));
	q->used = (void *)((char *)q->avail + AVAIL_SIZE(num));
	q->ring_size = DESC_SIZE(num) + AVAIL_SIZE(num) + USED_SIZE(num);
	q->desc_iova = vv_iova(dev, q->desc);
	q->avail_iova = vv_iova(dev, q->avail);
	q->used_iova = vv_iova(dev, q->used);
	q->kick_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	q->call_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	return pos + q->ring_size;
}

static void arena_layout(struct vv_dev *dev)
{
	char *pos = dev->mem;
	unsigned int i;

	for (i = 0; i < VV_MAX_QUEUES; i++)
		pos = queue_layout(dev, i, pos);
	for (i = 0; i < VV_MAX_QUEUES; i++) {
		dev->vq[i].slot = (void *)pos;
		pos += SLOTS_SIZE(i < VV_BIG_QUEUES ? VV_MAX_NUM :
						      VV_SMALL_NUM);
	}
	dev->brk = pos - dev->mem;
}

/*
 * Shared memory suits a parent that pins pages and one that follows the
 * process's addresses.
 */
static int arena_make(struct vv_dev *dev)
{
	int fd = memfd_create("vhost-vdpa-test", MFD_CLOEXEC);
	int ret = 0;

	if (fd < 0)
		return -errno;
	if (ftruncate(fd, vv_mem_size)) {
		ret = -errno;
		goto out;
	}
	dev->mem = mmap(NULL, vv_mem_size, PROT_READ | PROT_WRITE,
			MAP_SHARED | MAP_POPULATE, fd, 0);
	if (dev->mem == MAP_FAILED) {
		ret = -errno;
		dev->mem = NULL;
	}
out:
	close(fd);
	return ret;
}

int vv_open(struct vv_dev *dev, const char *node)
{
	struct rlimit unlimited = { RLIM_INFINITY, RLIM_INFINITY };
	const char *env = getenv("VDPA_BLK_TIMEOUT_MS");
	int ret;

	memset(dev, 0, sizeof(*dev));
	/* Mapped memory may be pinned and is charged to this limit. */
	setrlimit(RLIMIT_MEMLOCK, &unlimited);
	dev->timeout_ms = env ? atoi(env) : VV_TIMEOUT_MS;
	dev->msg_version = 2;
	dev->iova = VV_IOVA;
	dev->fd = open(node, O_RDWR | O_CLOEXEC);
	if (dev->fd < 0)
		return -errno;
	dev->config_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	ret = arena_make(dev);
	if (ret) {
		close(dev->config_fd);
		close(dev->fd);
		dev->fd = -1;
		return ret;
	}
	arena_layout(dev);
	ret = vv_ioctl(dev, VHOST_GET_FEATURES, &dev->offered);
	dev->offered &= ~VV_F_KINDS | vv_ring_kind;
	return ret;
}

void vv_close(struct vv_dev *dev)
{
	unsigned int i;

	if (!dev->mem)
		return;
	close(dev->fd);
	for (i = 0; i < VV_MAX_QUEUES; i++) {
		close(dev->vq[i].kick_fd);
		close(dev->vq[i].call_fd);
	}
	close(dev->config_fd);
	munmap(dev->mem, vv_mem_size);
	dev->mem = NULL;
	dev->fd = -1;
}

int vv_set_owner(struct vv_dev *dev)
{
	return vv_ioctl(dev, VHOST_SET_OWNER, NULL);
}

int vv_get_status(struct vv_dev *dev)
{
	__u8 status = 0;
	int ret = vv_ioctl(dev, VHOST_VDPA_GET_STATUS, &status);

	return ret ? ret : status;
}

int vv_set_status(struct vv_dev *dev, __u8 status)
{
	return vv_ioctl(dev, VHOST_VDPA_SET_STATUS, &status);
}

int vv_reset(struct vv_dev *dev)
{
	return vv_set_status(dev, 0);
}

int vv_set_features(struct vv_dev *dev, __u64 features)
{
	dev->features = features;
	return vv_ioctl(dev, VHOST_SET_FEATURES, &features);
}

int vv_get_backend(struct vv_dev *dev, __u64 *features)
{
	return vv_ioctl(dev, VHOST_GET_BACKEND_FEATURES, features);
}

int vv_set_backend(struct vv_dev *dev, __u64 features)
{
	return vv_ioctl(dev, VHOST_SET_BACKEND_FEATURES, &features);
}

static int config_ioctl(struct vv_dev *dev, unsigned long cmd, __u32 off,
			void *buf, __u32 len)
{
	struct vhost_vdpa_config *c = calloc(1, sizeof(*c) + len);
	int ret;

	if (!c)
		return -ENOMEM;
	c->off = off;
	c->len = len;
	if (cmd == VHOST_VDPA_SET_CONFIG)
		memcpy(c->buf, buf, len);
	ret = vv_ioctl(dev, cmd, c);
	if (!ret && cmd == VHOST_VDPA_GET_CONFIG)
		memcpy(buf, c->buf, len);
	free(c);
	return ret;
}

int vv_get_config(struct vv_dev *dev, __u32 off, void *buf, __u32 len)
{
	return config_ioctl(dev, VHOST_VDPA_GET_CONFIG, off, buf, len);
}

int vv_set_config(struct vv_dev *dev, __u32 off, const void *buf, __u32 len)
{
	return config_ioctl(dev, VHOST_VDPA_SET_CONFIG, off, (void *)buf, len);
}

int vv_set_config_call(struct vv_dev *dev)
{
	return vv_ioctl(dev, VHOST_VDPA_SET_CONFIG_CALL, &dev->config_fd);
}

int vv_vqs_count(struct vv_dev *dev)
{
	__u32 count = 0;
	int ret = vv_ioctl(dev, VHOST_VDPA_GET_VQS_COUNT, &count);

	return ret ? ret : (int)count;
}

int vv_vring_max(struct vv_dev *dev)
{
	__u16 num = 0;
	int ret = vv_ioctl(dev, VHOST_VDPA_GET_VRING_NUM, &num);

	return ret ? ret : num;
}

int vv_suspend(struct vv_dev *dev)
{
	return vv_ioctl(dev, VHOST_VDPA_SUSPEND, NULL);
}

int vv_resume(struct vv_dev *dev)
{
	return vv_ioctl(dev, VHOST_VDPA_RESUME, NULL);
}

__u64 vv_capacity(struct vv_dev *dev)
{
	__u64 sectors = 0;

	vv_get_config(dev, offsetof(struct virtio_blk_config, capacity),
		      &sectors, sizeof(sectors));
	return sectors;
}

unsigned int vv_block_size(struct vv_dev *dev)
{
	__u32 size = 0;

	vv_get_config(dev, offsetof(struct virtio_blk_config, blk_size),
		      &size, sizeof(size));
	return size;
}

bool vv_config_irq(struct vv_dev *dev, int ms)
{
	struct pollfd p = { .fd = dev->config_fd, .events = POLLIN };
	__u64 count;

	return poll(&p, 1, ms) == 1 &&
	       read(dev->config_fd, &count, sizeof(count)) == sizeof(count);
}

/* ---- IOTLB ---- */

int vv_iotlb(struct vv_dev *dev, __u8 type, __u64 iova, __u64 size,
	     const void *addr, __u8 perm)
{
	struct vhost_iotlb_msg body = {
		.iova = iova,
		.size = size,
		.uaddr = (uintptr_t)addr,
		.perm = perm,
		.type = type,
	};
	struct vhost_msg v1 = { .type = VHOST_IOTLB_MSG };
	struct vhost_msg_v2 v2 = { .type = VHOST_IOTLB_MSG_V2 };
	ssize_t ret;

	v1.iotlb = body;
	v2.iotlb = body;
	if (dev->msg_version == 1)
		ret = write(dev->fd, &v1, sizeof(v1));
	else
		ret = write(dev->fd, &v2, sizeof(v2));
	return ret < 0 ? -errno : 0;
}

__u64 vv_iova(struct vv_dev *dev, const void *ptr)
{
	return dev->iova + ((const char *)ptr - dev->mem);
}

int vv_map(struct vv_dev *dev, const void *addr, size_t size, __u8 perm)
{
	return vv_iotlb(dev, VHOST_IOTLB_UPDATE, vv_iova(dev, addr), size,
			addr, perm);
}

int vv_unmap(struct vv_dev *dev, const void *addr, size_t size)
{
	return vv_iotlb(dev, VHOST_IOTLB_INVALIDATE, vv_iova(dev, addr), size,
			NULL, 0);
}

int vv_map_all(struct vv_dev *dev)
{
	return vv_map(dev, dev->mem, vv_mem_size, VHOST_ACCESS_RW);
}

int vv_unmap_all(struct vv_dev *dev)
{
	return vv_unmap(dev, dev->mem, vv_mem_size);
}

/* ---- memory of the arena ---- */

void *vv_alloc(struct vv_dev *dev, size_t size)
{
	void *ptr = dev->mem + dev->brk;

	size = (size + VV_PAGE - 1) & ~(VV_PAGE - 1);
	if (dev->brk + size > vv_mem_size) {
		printf("# the arena is too small for %zu bytes\n", size);
		abort();
	}
	dev->brk += size;
	return ptr;
}

static __u8 pattern(size_t i, __u64 seed)
{
	__u64 x = (i / 8 + 1) * 0x9e3779b97f4a7c15ULL ^
		  (seed + 1) * 0xc2b2ae3d27d4eb4fULL;

	x ^= x >> 29;
	x *= 0xbf58476d1ce4e5b9ULL;
	x ^= x >> 32;
	return x >> (8 * (i % 8));
}

void vv_fill(void *buf, size_t len, __u64 seed)
{
	__u8 *p = buf;
	size_t i;

	for (i = 0; i < len; i++)
		p[i] = pattern(i, seed);
}

long vv_differs(const void *buf, size_t len, __u64 seed)
{
	const __u8 *p = buf;
	size_t i;

	for (i = 0; i < len; i++)
		if (p[i] != pattern(i, seed))
			return i;
	return -1;
}

bool vv_is_zero(const void *buf, size_t len)
{
	const __u8 *p = buf;

	return !len || (!p[0] && !memcmp(p, p + 1, len - 1));
}

/* ---- queues ---- */

static int vring_state(struct vv_queue *q, unsigned long cmd, unsigned int num)
{
	struct vhost_vring_state s = { .index = q->index, .num = num };

	return vv_ioctl(q->dev, cmd, &s);
}

int vv_set_num(struct vv_queue *q, unsigned int num)
{
	return vring_state(q, VHOST_SET_VRING_NUM, num);
}

int vv_set_base(struct vv_queue *q, unsigned int base)
{
	return vring_state(q, VHOST_SET_VRING_BASE, base);
}

long long vv_get_base(struct vv_queue *q)
{
	struct vhost_vring_state s = { .index = q->index };
	int ret = vv_ioctl(q->dev, VHOST_GET_VRING_BASE, &s);

	return ret ? ret : (long long)s.num;
}

int vv_set_addr_raw(struct vv_queue *q, __u64 desc, __u64 avail, __u64 used)
{
	struct vhost_vring_addr a = {
		.index = q->index,
		.desc_user_addr = desc,
		.avail_user_addr = avail,
		.used_user_addr = used,
	};

	return vv_ioctl(q->dev, VHOST_SET_VRING_ADDR, &a);
}

int vv_set_addr(struct vv_queue *q)
{
	return vv_set_addr_raw(q, q->desc_iova, q->avail_iova, q->used_iova);
}

static int vring_file(struct vv_queue *q, unsigned long cmd, int fd)
{
	struct vhost_vring_file f = { .index = q->index, .fd = fd };

	return vv_ioctl(q->dev, cmd, &f);
}

int vv_set_kick(struct vv_queue *q, int fd)
{
	return vring_file(q, VHOST_SET_VRING_KICK, fd);
}

int vv_set_call(struct vv_queue *q, int fd)
{
	return vring_file(q, VHOST_SET_VRING_CALL, fd);
}

int vv_set_enable(struct vv_queue *q, bool on)
{
	return vring_state(q, VHOST_VDPA_SET_VRING_ENABLE, on);
}

int vv_queue_setup(struct vv_queue *q, __u16 num, __u32 base)
{
	int ret;

	vv_ring_init(q, num, base);
	ret = vv_set_num(q, num);
	if (!ret)
		ret = vv_set_base(q, base);
	if (!ret)
		ret = vv_set_addr(q);
	if (!ret)
		ret = vv_set_kick(q, q->kick_fd);
	if (!ret)
		ret = vv_set_call(q, q->call_fd);
	return ret;
}

int vv_restart(struct vv_dev *dev, __u64 features, unsigned int queues,
	       __u16 num)
{
	unsigned int i;
	int ret;

	ret = vv_set_status(dev, VV_S_ACK | VV_S_DRIVER);
	if (!ret)
		ret = vv_set_features(dev, features);
	if (!ret)
		ret = vv_set_status(dev, VV_S_ACK | VV_S_DRIVER |
					 VV_S_FEATURES_OK);
	if (!ret)
		ret = vv_set_config_call(dev);
	for (i = 0; !ret && i < queues; i++) {
		ret = vv_queue_setup(&dev->vq[i], num, vv_first_base(dev));
		if (!ret)
			ret = vv_set_enable(&dev->vq[i], true);
	}
	if (!ret)
		ret = vv_set_status(dev, VV_S_LIVE);
	if (!ret && vv_get_status(dev) != VV_S_LIVE)
		ret = -EPROTO;
	return ret;
}

int vv_start(struct vv_dev *dev, __u64 features, unsigned int queues,
	     __u16 num)
{
	__u64 backend;
	int ret;

	ret = vv_set_owner(dev);
	if (!ret)
		ret = vv_get_backend(dev, &backend);
	if (!ret)
		ret = vv_set_backend(dev, backend);
	if (!ret)
		ret = vv_map_all(dev);
	if (!ret)
		ret = vv_restart(dev, features, queues, num);
	return ret;
}

/* ---- block requests ---- */

/* Does the data of this type go from the device to us? */
static bool is_read(__u32 type)
{
	return type == VIRTIO_BLK_T_IN || type == VIRTIO_BLK_T_GET_ID;
}

int vv_submit(struct vv_queue *q, __u32 type, __u64 sector, void *data,
	      __u32 len)
{
	/* The head is known before the chain is: it picks the slot. */
	struct vv_slot *slot = &q->slot[q->free_head];
	struct vv_seg seg[3];
	unsigned int n = 0;
	int head;

	if (!q->nfree)
		return -ENOSPC;
	slot->hdr.type = type;
	slot->hdr.ioprio = 0;
	slot->hdr.sector = sector;
	slot->status = 0xff;
	seg[n++] = (struct vv_seg){ vv_iova(q->dev, &slot->hdr),
				    sizeof(slot->hdr), 0 };
	if (len)
		seg[n++] = (struct vv_seg){ vv_iova(q->dev, data), len,
					    is_read(type) ?
					    VRING_DESC_F_WRITE : 0 };
	seg[n++] = (struct vv_seg){ vv_iova(q->dev, &slot->status), 1,
				    VRING_DESC_F_WRITE };
	if (q->indirect)
		head = vv_add_indirect(q, slot->table, seg, n);
	else
		head = vv_add(q, seg, n);
	if (head >= 0)
		vv_publish(q, head);
	return head;
}

static int finish(struct vv_queue *q, int head, const __u8 *status,
		  __u32 *used)
{
	int ret;

	vv_kick(q);
	ret = vv_wait(q);
	if (ret)
		return ret;
	ret = vv_get(q, used);
	if (ret != head)
		return ret < 0 ? ret : -EPROTO;
	return __atomic_load_n(status, __ATOMIC_RELAXED);
}

int vv_finish(struct vv_queue *q, int head, const __u8 *status, __u32 *used)
{
	if (head < 0)
		return head;
	vv_publish(q, head);
	return finish(q, head, status, used);
}

int vv_blk_used(struct vv_queue *q, __u32 type, __u64 sector, void *data,
		__u32 len, __u32 *used)
{
	int head = vv_submit(q, type, sector, data, len);

	if (head < 0)
		return head;
	return finish(q, head, &q->slot[head].status, used);
}

int vv_blk(struct vv_queue *q, __u32 type, __u64 sector, void *data, __u32 len)
{
	return vv_blk_used(q, type, sector, data, len, NULL);
}

int vv_good_client(struct vv_queue *q, __u64 seed)
{
	struct vv_dev *dev = q->dev;
	size_t brk = dev->brk;
	char *buf = vv_alloc(dev, VV_PAGE);
	int ret;

	vv_fill(buf, VV_PAGE, seed);
	ret = vv_blk(q, VIRTIO_BLK_T_OUT, 8 * q->index, buf, VV_PAGE);
	if (ret)
		goto out;
	memset(buf, 0, VV_PAGE);
	ret = vv_blk(q, VIRTIO_BLK_T_IN, 8 * q->index, buf, VV_PAGE);
	if (!ret && vv_differs(buf, VV_PAGE, seed) >= 0)
		ret = -EIO;
out:
	dev->brk = brk;
	return ret;
}

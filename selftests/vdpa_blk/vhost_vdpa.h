/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A small client of /dev/vhost-vdpa-N with its own driver for split and packed
 * rings.
 *
 * It is made for tests and benchmarks of vDPA block devices: every step of the
 * set-up can be done alone and in any order, descriptors can be written by
 * hand, and nothing waits for ever. Functions return 0 (or something useful)
 * or a negative errno.
 *
 * The memory the device may see is one shared-memory arena:
 *
 *	rings of queue 0..7 | request slots of queue 0..7 | data
 *
 * The parts of a ring start on pages of their own, so a test can map, unmap
 * or write-protect each of them. Each page costs an IOTLB entry, and these are
 * slow in a sanitizer kernel: only queues 0 and 1 have room for VV_MAX_NUM
 * descriptors, the others for VV_SMALL_NUM, and there is no spare memory.
 */
#ifndef VHOST_VDPA_CLIENT_H
#define VHOST_VDPA_CLIENT_H

#include <endian.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <linux/types.h>
#include <linux/vhost.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>

#if __BYTE_ORDER != __LITTLE_ENDIAN
#error "rings are little-endian and this client writes them in host order"
#endif

/* What an older <linux/vhost.h> does not know yet. */
#ifndef VHOST_BACKEND_F_SUSPEND
#define VHOST_BACKEND_F_SUSPEND			0x4
#define VHOST_VDPA_SUSPEND			_IO(VHOST_VIRTIO, 0x7D)
#endif
#ifndef VHOST_BACKEND_F_RESUME
#define VHOST_BACKEND_F_RESUME			0x5
#define VHOST_VDPA_RESUME			_IO(VHOST_VIRTIO, 0x7E)
#endif
#ifndef VHOST_BACKEND_F_ENABLE_AFTER_DRIVER_OK
#define VHOST_BACKEND_F_ENABLE_AFTER_DRIVER_OK	0x6
#endif
#ifndef VHOST_BACKEND_F_DESC_ASID
#define VHOST_BACKEND_F_DESC_ASID		0x7
#endif
#ifndef VHOST_BACKEND_F_IOTLB_PERSIST
#define VHOST_BACKEND_F_IOTLB_PERSIST		0x8
#endif

#ifndef __weak
#define __weak		__attribute__((__weak__))
#endif
#ifndef __noreturn
#define __noreturn	__attribute__((__noreturn__))
#endif
#ifndef __printf
#define __printf(a, b)	__attribute__((__format__(printf, a, b)))
#endif

#define VV_BIT(n)		(1ULL << (n))

#define VV_S_ACK		VIRTIO_CONFIG_S_ACKNOWLEDGE
#define VV_S_DRIVER		VIRTIO_CONFIG_S_DRIVER
#define VV_S_FEATURES_OK	VIRTIO_CONFIG_S_FEATURES_OK
#define VV_S_DRIVER_OK		VIRTIO_CONFIG_S_DRIVER_OK
#define VV_S_NEEDS_RESET	VIRTIO_CONFIG_S_NEEDS_RESET
#define VV_S_LIVE		0x0f

#define VV_F_INDIRECT		VV_BIT(VIRTIO_RING_F_INDIRECT_DESC)
#define VV_F_EVENT_IDX		VV_BIT(VIRTIO_RING_F_EVENT_IDX)
#define VV_F_PACKED		VV_BIT(VIRTIO_F_RING_PACKED)
#define VV_F_IN_ORDER		VV_BIT(VIRTIO_F_IN_ORDER)
#define VV_F_KINDS		(VV_F_PACKED | VV_F_IN_ORDER)
/* Without these two no vDPA block device can be driven. */
#define VV_F_BASE		(VV_BIT(VIRTIO_F_VERSION_1) | \
				 VV_BIT(VIRTIO_F_ACCESS_PLATFORM))

#define VV_PAGE			4096UL
#define VV_MAX_QUEUES		8
#define VV_MAX_NUM		1024
#define VV_BIG_QUEUES		2
#define VV_SMALL_NUM		256
#define VV_IOVA			0x100000ULL
#define VV_WRAP			0x8000	/* of a place in a packed ring */
#define VV_SECTOR		512

/* Generous, because a sanitizer kernel is slow and a lost request is not. */
#define VV_TIMEOUT_MS		20000

/* One piece of a request; flags take VRING_DESC_F_WRITE. */
struct vv_seg {
	__u64 iova;
	__u32 len;
	__u16 flags;
};

/* Where a request's own bytes live, one slot per head descriptor. */
struct vv_slot {
	struct virtio_blk_outhdr hdr;
	__u8 status;
	__u8 pad[15];
	struct vring_desc table[6];
};

struct vv_dev;

struct vv_queue {
	struct vv_dev *dev;
	unsigned int index;
	__u16 num;
	size_t ring_size;		/* of its part of the arena */

	/* the ring as the test sees it: write anything */
	union {
		struct vring_desc *desc;
		struct vring_packed_desc *packed_desc;
	};
	union {
		struct vring_avail *avail;
		struct vring_packed_desc_event *driver;
	};
	union {
		struct vring_used *used;
		struct vring_packed_desc_event *device;
	};
	__u64 desc_iova;
	__u64 avail_iova;
	__u64 used_iova;
	struct vv_slot *slot;

	/*
	 * The driver's own view, never read back from shared memory. In a
	 * packed ring indices are places with their wrap counter, and heads
	 * are buffer IDs.
	 */
	__u16 next_avail;
	__u16 last_used;
	__u16 free_head;
	__u16 nfree;
	__u16 next[VV_MAX_NUM];
	__u16 chain[VV_MAX_NUM];	/* descriptors of this head, 0: free */
	__u32 in_len[VV_MAX_NUM];	/* its writable bytes */
	__u16 place[VV_MAX_NUM];	/* packed: of its first descriptor */
	__u16 flags[VV_MAX_NUM];	/* packed: what shows it */
	__u16 oldest;			/* in order: the next head to be used */
	bool in_batch;			/* in order: one used element... */
	__u16 batch_head;		/* ...up to this head... */
	__u32 batch_len;		/* ...which has this length */

	bool packed;
	bool in_order;
	bool event_idx;
	bool indirect;
	unsigned int spin_us;		/* look at the ring this long first */
	__u16 kicked;			/* avail index at the last kick */
	unsigned long kicks;
	unsigned long irqs;
	int kick_fd;
	int call_fd;
};

struct vv_dev {
	int fd;
	int config_fd;			/* config interrupt */
	int msg_version;		/* of IOTLB messages: 1 or 2 */
	int timeout_ms;
	__u64 offered;
	__u64 features;
	char *mem;
	size_t brk;			/* first free byte of the data part */
	__u64 iova;			/* where mem[0] is mapped */
	struct vv_queue vq[VV_MAX_QUEUES];
};

/* ---- disks: modules, the vdpa tool, sysfs ---- */

struct vv_disk {
	char name[32];
	char node[64];			/* /dev/vhost-vdpa-N */
};

/*
 * Programs may define these: parameters for their module, the size of the
 * arena, and whether one disk will do for all of their tests.
 */
extern const char *vv_module_params;
extern size_t vv_mem_size;
extern bool vv_share_disk;

/*
 * Programs whose tests are on the abuse list define this as true: vhost_test.h
 * has what is asserted after each of them.
 */
extern bool vv_abuse;

extern struct vv_disk vv_shared_disk;

const char *vv_mgmtdev(void);
/* NULL when tests can run here, or one sentence why not. */
const char *vv_unavailable(void);
/* An installed module first, then the one built in this tree. */
int vv_module_load(void);
/* features 0: the default ones. */
int vv_disk_add(struct vv_disk *disk, __u64 features);
int vv_disk_add_ram(struct vv_disk *disk);
bool vv_can_choose_features(void);	/* does the vdpa tool know how? */
int vv_disk_bind(struct vv_disk *disk);
void vv_disk_del(struct vv_disk *disk);
/* Words only, no shell; -ETIMEDOUT after a minute, else the exit status. */
/* All of a file that is there, sysfs and the like. 0 or a negative errno. */
int vv_write(const char *path, const char *text);
int __printf(1, 2) vv_run(const char *fmt, ...);

/*
 * VV_F_KINDS that devices opened from now on may show in vv_dev.offered; none
 * is what every client starts with.
 */
extern __u64 vv_ring_kind;

/* ---- the kernel log ---- */

void vv_klog_start(void);
/* Print and count lines that say the kernel is unwell. */
int vv_klog_bad(void);
/* Lines since vv_klog_start() that contain both strings (b may be NULL). */
int vv_klog_count(const char *a, const char *b);
/* Warnings and errors of the module's own since then. */
int vv_klog_warnings(void);

/* ---- the witness: a good client of another disk ---- */

int vv_witness_start(void);
/* 0 when it has begun and ended a round since it was asked, or is not there. */
int vv_witness_serves(void);
void vv_witness_end(void);

/* ---- the device ---- */

int vv_open(struct vv_dev *dev, const char *node);
void vv_close(struct vv_dev *dev);
int vv_ioctl(struct vv_dev *dev, unsigned long cmd, void *arg);
int vv_set_owner(struct vv_dev *dev);
int vv_get_status(struct vv_dev *dev);
int vv_set_status(struct vv_dev *dev, __u8 status);
int vv_reset(struct vv_dev *dev);
int vv_set_features(struct vv_dev *dev, __u64 features);
int vv_get_backend(struct vv_dev *dev, __u64 *features);
int vv_set_backend(struct vv_dev *dev, __u64 features);
int vv_get_config(struct vv_dev *dev, __u32 off, void *buf, __u32 len);
int vv_set_config(struct vv_dev *dev, __u32 off, const void *buf, __u32 len);
int vv_set_config_call(struct vv_dev *dev);
int vv_vqs_count(struct vv_dev *dev);
int vv_vring_max(struct vv_dev *dev);
int vv_suspend(struct vv_dev *dev);
int vv_resume(struct vv_dev *dev);

/* ---- IOTLB ---- */

int vv_iotlb(struct vv_dev *dev, __u8 type, __u64 iova, __u64 size,
	     const void *addr, __u8 perm);
int vv_map(struct vv_dev *dev, const void *addr, size_t size, __u8 perm);
int vv_unmap(struct vv_dev *dev, const void *addr, size_t size);
int vv_map_all(struct vv_dev *dev);
int vv_unmap_all(struct vv_dev *dev);

/* ---- memory of the arena ---- */

void *vv_alloc(struct vv_dev *dev, size_t size);
__u64 vv_iova(struct vv_dev *dev, const void *ptr);
void vv_fill(void *buf, size_t len, __u64 seed);
/* Offset of the first byte that differs from vv_fill(), -1 if none does. */
long vv_differs(const void *buf, size_t len, __u64 seed);
bool vv_is_zero(const void *buf, size_t len);

/* ---- queues, one step each ---- */

/* Where a ring begins, for the features negotiated. */
__u32 vv_first_base(const struct vv_dev *dev);
/* By the features negotiated; @base is as for VHOST_SET_VRING_BASE. */
void vv_ring_init(struct vv_queue *q, __u16 num, __u32 base);
int vv_set_num(struct vv_queue *q, unsigned int num);
int vv_set_base(struct vv_queue *q, unsigned int base);
long long vv_get_base(struct vv_queue *q);
int vv_set_addr(struct vv_queue *q);
int vv_set_addr_raw(struct vv_queue *q, __u64 desc, __u64 avail, __u64 used);
int vv_set_kick(struct vv_queue *q, int fd);
int vv_set_call(struct vv_queue *q, int fd);
int vv_set_enable(struct vv_queue *q, bool on);
/* num, base, address, kick, call; not enable */
int vv_queue_setup(struct vv_queue *q, __u16 num, __u32 base);

/* ---- the usual set-up in one go: maps first, then everything else ---- */

int vv_start(struct vv_dev *dev, __u64 features, unsigned int queues,
	     __u16 num);
/* After vv_reset(): the same without owner and maps. */
int vv_restart(struct vv_dev *dev, __u64 features, unsigned int queues,
	       __u16 num);

/* ---- the ring ---- */

/* Each of the first two returns the head. Only vv_publish() shows it. */
int vv_add(struct vv_queue *q, const struct vv_seg *seg, unsigned int n);
int vv_add_indirect(struct vv_queue *q, struct vring_desc *table,
		    const struct vv_seg *seg, unsigned int n);
void vv_publish(struct vv_queue *q, __u16 head);
void vv_kick(struct vv_queue *q);		/* if the device wants it */
void vv_kick_always(struct vv_queue *q);
/*
 * Wait for a used entry: -ETIMEDOUT when none comes, -ENOMSG when one came
 * but its interrupt did not.
 */
int vv_wait(struct vv_queue *q);
int vv_wait_ms(struct vv_queue *q, int ms);
int vv_get(struct vv_queue *q, __u32 *len);	/* head, or -EAGAIN */
__u64 vv_take_irqs(struct vv_queue *q);		/* drain the call eventfd */
bool vv_config_irq(struct vv_dev *dev, int ms);
/* How many are used, and not yet taken by vv_get(). */
unsigned int vv_nr_used(struct vv_queue *q);
/* Where a device is that has nothing at work, as its base tells. */
__u32 vv_used_base(struct vv_queue *q);
/* With EVENT_IDX when that many entries more are used, otherwise always. */
void vv_want_irq(struct vv_queue *q, unsigned int ahead);
void vv_want_no_irq(struct vv_queue *q);
/* Of a split ring. */
__u16 vv_used_idx(struct vv_queue *q);
__u16 *vv_used_event(struct vv_queue *q);
__u16 *vv_avail_event(struct vv_queue *q);
/* Of a packed ring. */
__u16 vv_place_add(const struct vv_queue *q, __u16 place, unsigned int n);
__u16 vv_avail_flags(__u16 place);
__u16 vv_used_flags(__u16 place);

/* ---- block requests ---- */

/* Header, data (len may be 0), status; published, not kicked. */
int vv_submit(struct vv_queue *q, __u32 type, __u64 sector, void *data,
	      __u32 len);
/* Publish, kick and wait: the status byte or -errno; *used may be NULL. */
int vv_finish(struct vv_queue *q, int head, const __u8 *status, __u32 *used);
/* The whole way of one request. */
int vv_blk(struct vv_queue *q, __u32 type, __u64 sector, void *data,
	   __u32 len);
int vv_blk_used(struct vv_queue *q, __u32 type, __u64 sector, void *data,
		__u32 len, __u32 *used);
/* Write, read back and compare 4 KiB with this seed. */
int vv_good_client(struct vv_queue *q, __u64 seed);

__u64 vv_capacity(struct vv_dev *dev);
unsigned int vv_block_size(struct vv_dev *dev);

long long vv_now_ms(void);
void vv_sleep_ms(int ms);
/* A number the user can set again: printed, from VDPA_BLK_SEED or the time. */
unsigned int vv_seed(void);

#endif

/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * vdpa_blk_sim: a virtio-blk device in software on the vDPA bus.
 *
 * The way of a request: kick -> queue.c (worker) -> ring.c (chain of IOVA
 * segments) -> request.c (what is asked) -> backend (do it, through iova.c's
 * pages) -> queue.c (status, used ring, interrupt).
 */
#ifndef VBS_BLK_SIM_H
#define VBS_BLK_SIM_H

#include <linux/cpumask.h>
#include <linux/kthread.h>
#include <linux/maple_tree.h>
#include <linux/mutex.h>
#include <linux/spinlock.h>
#include <linux/vdpa.h>

#include "request.h"
#include "ring.h"

/* Most virtqueues of a disk. */
#define VBS_MAX_QUEUES	64

struct vbs_dev;
struct vbs_mapping;

/* ---- iova.c: address spaces ---- */

/**
 * struct vbs_as - one client's memory: IOVA -> pages
 * @tree: struct vbs_mapping by IOVA; read under RCU, changed under vbs_dev.lock
 * @identity: the client is virtio-vdpa, an IOVA is a physical address.  Set by
 *	its ring allocation, which user space has no way to cause, and cleared
 *	by every reset; changes only while no queue runs
 */
struct vbs_as {
	struct maple_tree tree;
	bool identity;
};

/**
 * struct vbs_mem - an address space in use by a queue, under vbs_vq.lock
 * @as: the address space
 * @hit: mapping found last: most requests need one or two
 *
 * What was found stays valid until the lock is released: whoever removes a
 * mapping takes the lock of every queue before it lets the pages go.
 */
struct vbs_mem {
	struct vbs_as *as;
	const struct vbs_mapping *hit;
};

/**
 * struct vbs_area - a part of a ring, mapped for as long as the queue runs
 * @va: its address
 * @iova: its address for the client
 * @len: bytes
 * @vmap: what to vunmap(), NULL when the pages are contiguous
 */
struct vbs_area {
	void *va;
	u64 iova;
	size_t len;
	void *vmap;
};

extern const struct virtio_map_ops vbs_map_ops;

int vbs_map_init(struct vdpa_device *vdpa);

void vbs_as_init(struct vbs_as *as);
void vbs_as_destroy(struct vbs_as *as);

/**
 * vbs_as_map - add a range of pinned memory
 * @as: address space
 * @iova: first address
 * @size: bytes, not 0
 * @pa: physical address of the range, contiguous
 * @perm: VHOST_MAP_RO, _WO or both, as the device sees it
 *
 * Takes references to the pages.  vbs_dev.lock held.  May sleep.
 *
 * Return: 0, -EEXIST for an overlap, -EINVAL, or -ENOMEM.
 */
int vbs_as_map(struct vbs_as *as, u64 iova, u64 size, phys_addr_t pa, u32 perm);

/**
 * vbs_as_remove - take all ranges that touch an interval out of the map
 * @as: address space
 * @first: first address
 * @last: last address
 *
 * The pages stay until vbs_mappings_free(): the caller waits in between for
 * queues that may use them.  vbs_dev.lock held, or the last user.  May sleep.
 *
 * Return: what was removed, or NULL.
 */
struct vbs_mapping *vbs_as_remove(struct vbs_as *as, u64 first, u64 last);
void vbs_mappings_free(struct vbs_mapping *gone);

/**
 * vbs_mem_map - find the memory behind an IOVA
 * @mem: address space
 * @iova: the address
 * @perm: VHOST_MAP_RO to read, VHOST_MAP_WO to write
 * @len: bytes wanted; set to what is contiguous from @iova, at most that
 *
 * Takes no lock.
 *
 * Return: a kernel address, or NULL when the address is not mapped with @perm.
 */
void *vbs_mem_map(struct vbs_mem *mem, u64 iova, u32 perm, u32 *len);

/* As vbs_mem_read(), the other way. */
int vbs_mem_write(struct vbs_mem *mem, u64 iova, const void *buf, u32 len);

/**
 * vbs_area_map - map client memory of any layout into one piece
 * @area: @iova and @len are set
 * @mem: address space
 * @perm: VHOST_MAP_RO, VHOST_MAP_WO or both
 *
 * The owner unmaps before the mapping goes (vbs_vq_memory_gone()).  May sleep.
 *
 * Return: 0, -EFAULT, or -ENOMEM.
 */
int vbs_area_map(struct vbs_area *area, struct vbs_mem *mem, u32 perm);
void vbs_area_unmap(struct vbs_area *area);

/* ---- backends ---- */

struct vbs_backend;

/**
 * struct vbs_backend_ops - what stores the data
 * @rw: read into, or write from, the client's memory at a byte position
 * @flush: make all completed writes durable
 * @discard: the content of a range no longer matters
 * @write_zeroes: zero a range; with unmap, memory may be given back
 * @free: end
 *
 * All but @free are called by the queues' workers, several at once; they may
 * sleep, and return 0 or a negative errno.  Positions and lengths are bytes,
 * inside the disk and whole sectors.
 */
struct vbs_backend_ops {
	int (*rw)(struct vbs_backend *be, struct vbs_mem *mem, u64 pos,
		  struct vbs_iter *data, bool write);
	int (*flush)(struct vbs_backend *be);
	int (*discard)(struct vbs_backend *be, u64 pos, u64 len);
	int (*write_zeroes)(struct vbs_backend *be, u64 pos, u64 len,
			    bool unmap);
	void (*free)(struct vbs_backend *be);
};

struct vbs_backend {
	const struct vbs_backend_ops *ops;
};

struct vbs_backend *vbs_ram_create(void);
void vbs_ram_exit(void);

/* ---- queue.c: one virtqueue at work ---- */

/**
 * struct vbs_vq - a virtqueue
 * @dev: its disk
 * @index: number in the disk
 * @worker: the thread that serves it
 * @work: queued by every kick
 * @waiters: those who want @lock and wait for the worker to let it go
 * @lock: guards all below; the worker holds it while it uses the ring, so that
 *	taking it, with vbs_vq_lock(), drains the queue.  Inside vbs_dev.lock,
 *	outside vbs_dev.cfg_lock
 * @ready: enabled by the client
 * @has_addr: @desc, @avail and @used were set
 * @live: the ring is mapped and is being served
 * @lost: was live until the client unmapped the ring's memory; starts again
 *	when that is back.  Set under vbs_dev.lock, too
 * @broken: stopped for good, until a reset
 * @num: ring size as the client wants it, unchecked
 * @base: next avail entry while not live
 * @desc: descriptor table, mapped while live
 * @avail: driver area, mapped while live
 * @used: device area, mapped while live
 * @cb: interrupt
 * @affinity: CPUs the client wants the interrupt on
 * @home: CPUs that @worker runs on without such a wish
 * @pinned: @affinity was set
 * @deadline: in jiffies, when the worker lets others have the lock
 * @ring: valid while live
 * @chain: the request at work, as laid out by the client
 * @req: the request at work, decoded
 */
struct vbs_vq {
	struct vbs_dev *dev;
	u16 index;
	struct kthread_worker *worker;
	struct kthread_work work;

	atomic_t waiters;
	struct mutex lock;	/* guards all below */
	bool ready;
	bool has_addr;
	bool live;
	bool lost;
	bool broken;
	u32 num;
	u16 base;
	struct vbs_area desc;
	struct vbs_area avail;
	struct vbs_area used;
	struct vdpa_callback cb;
	cpumask_var_t affinity;
	cpumask_var_t home;
	bool pinned;
	unsigned long deadline;
	struct vbs_ring ring;
	struct vbs_chain chain;
	struct vbs_req req;
};

int vbs_vq_init(struct vbs_vq *vq, struct vbs_dev *dev, u16 index);
void vbs_vq_destroy(struct vbs_vq *vq);

/**
 * vbs_vq_lock - have the worker stop at the next request, and take its lock
 * @vq: the queue
 *
 * May sleep, for as long as one request takes.
 */
static inline void vbs_vq_lock(struct vbs_vq *vq)
	__acquires(&vq->lock)
{
	atomic_inc(&vq->waiters);
	mutex_lock(&vq->lock);
	atomic_dec(&vq->waiters);
}

static inline void vbs_vq_unlock(struct vbs_vq *vq)
	__releases(&vq->lock)
{
	mutex_unlock(&vq->lock);
}

/**
 * vbs_vq_kick - have the worker look at the ring
 * @vq: the queue, in any state
 *
 * Any context: vhost calls this with interrupts off inside an eventfd wake-up.
 */
void vbs_vq_kick(struct vbs_vq *vq);

/**
 * vbs_vq_start - map the ring and serve it, if the client has enabled it
 * @vq: the queue; vbs_dev.lock and vbs_vq.lock held
 *
 * A ring that cannot be mapped is a broken ring.  May sleep.
 */
void vbs_vq_start(struct vbs_vq *vq);

/**
 * vbs_vq_stop - serve the ring no longer
 * @vq: the queue; vbs_vq.lock held
 *
 * All that was taken is in the used ring and published; the ring is not
 * touched again.  May sleep.
 */
void vbs_vq_stop(struct vbs_vq *vq);

/**
 * vbs_vq_memory_gone - the client has unmapped an interval of its memory
 * @vq: the queue
 * @first: first address
 * @last: last address
 *
 * Waits for requests that may use it, and drops a ring that lies in it: nothing
 * of it is touched afterwards.  May sleep.  vbs_vq_memory_back() looks whether it can be
 * mapped again: QEMU unmaps and maps all of a guest's memory when the guest's
 * firmware opens or closes a ROM area.
 */
void vbs_vq_memory_gone(struct vbs_vq *vq, u64 first, u64 last);
void vbs_vq_memory_back(struct vbs_vq *vq);

/**
 * vbs_vq_signal - interrupt the client
 * @vq: the queue; vbs_vq.lock held
 */
void vbs_vq_signal(struct vbs_vq *vq);

/* ---- device.c: the disk ---- */

/**
 * struct vbs_dev - a disk
 * @vdpa: on the bus; first, the bus frees it
 * @backend: the data
 * @as: the client's memory
 * @disk: what requests are checked against; @disk.features change only while
 *	no queue runs
 * @device_features: offered
 * @write_cache: state of the write cache after a reset
 * @serial: answer to GET_ID, padded with NUL
 * @lock: guards the life cycle: @running, @suspended and the changes of
 *	@as and @disk.  Outside vbs_vq.lock
 * @running: DRIVER_OK and not suspended: enabled queues are live
 * @suspended: between suspend() and resume() or reset()
 * @nr_vqs: virtqueues, constant
 * @vqs: the virtqueues
 * @cfg_lock: guards all below; innermost
 * @status: virtio device status
 * @wce: write cache enabled, as in the config space
 * @generation: of the config space
 * @config_cb: config interrupt
 */
struct vbs_dev {
	struct vdpa_device vdpa;
	struct vbs_backend *backend;
	struct vbs_as as;
	struct vbs_disk disk;
	u64 device_features;
	bool write_cache;
	char serial[VIRTIO_BLK_ID_BYTES] __nonstring;

	struct mutex lock;	/* guards the life cycle */
	bool running;
	bool suspended;
	u16 nr_vqs;
	struct vbs_vq **vqs;

	spinlock_t cfg_lock;	/* guards all below */
	u8 status;
	bool wce;
	u32 generation;
	struct vdpa_callback config_cb;
};

static inline struct vbs_dev *vdpa_to_vbs(struct vdpa_device *vdpa)
{
	return container_of(vdpa, struct vbs_dev, vdpa);
}

static inline const char *vbs_name(const struct vbs_dev *dev)
{
	return dev_name(&dev->vdpa.dev);
}

/* Feature bits every client must accept, and all that can be offered. */
#define VBS_FEATURES_NEEDED	(BIT_ULL(VIRTIO_F_VERSION_1) |		\
				 BIT_ULL(VIRTIO_F_ACCESS_PLATFORM))
#define VBS_FEATURES		(VBS_FEATURES_NEEDED |			\
				 BIT_ULL(VIRTIO_RING_F_INDIRECT_DESC) |	\
				 BIT_ULL(VIRTIO_RING_F_EVENT_IDX) |	\
				 BIT_ULL(VIRTIO_BLK_F_SIZE_MAX) |	\
				 BIT_ULL(VIRTIO_BLK_F_SEG_MAX) |	\
				 BIT_ULL(VIRTIO_BLK_F_RO) |		\
				 BIT_ULL(VIRTIO_BLK_F_BLK_SIZE) |	\
				 BIT_ULL(VIRTIO_BLK_F_FLUSH) |		\
				 BIT_ULL(VIRTIO_BLK_F_TOPOLOGY) |	\
				 BIT_ULL(VIRTIO_BLK_F_CONFIG_WCE) |	\
				 BIT_ULL(VIRTIO_BLK_F_MQ) |		\
				 BIT_ULL(VIRTIO_BLK_F_DISCARD) |	\
				 BIT_ULL(VIRTIO_BLK_F_WRITE_ZEROES))

extern const struct vdpa_config_ops vbs_config_ops;

/* ---- main.c: disks come and go ---- */

void vbs_dev_free(struct vdpa_device *vdpa);

/* ---- device.c ---- */

/**
 * vbs_needs_reset - tell the client that a queue is broken
 * @dev: the disk
 *
 * Sets NEEDS_RESET (virtio 1.3, section 2.1.2) and raises a config interrupt.
 */
void vbs_needs_reset(struct vbs_dev *dev);

#endif /* VBS_BLK_SIM_H */

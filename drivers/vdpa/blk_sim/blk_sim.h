/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * vdpa_blk_sim: a virtio-blk device in software on the vDPA bus.
 *
 * The way of a request: kick -> queue.c -> ring*.c (chain of IOVA
 * segments) -> request.c (what is asked) -> io.c, execute.c -> backend (do it,
 * through iova.c's pages) -> io.c (status, used ring, interrupt).
 */
#ifndef VBS_BLK_SIM_H
#define VBS_BLK_SIM_H

#include <linux/badblocks.h>
#include <linux/cpumask.h>
#include <linux/kthread.h>
#include <linux/mutex.h>
#include <linux/sched.h>
#include <linux/spinlock.h>
#include <linux/vdpa.h>
#include <linux/workqueue.h>

#include "iova.h"
#include "request.h"
#include "ring.h"
#include "vdpa_blk_compat.h"

/* Most virtqueues of a disk. */
#define VBS_MAX_QUEUES	64

/* Longest time that an empty ring is polled for, in microseconds. */
#define VBS_MAX_POLL_US	10000

struct vbs_dev;
struct vbs_io;
struct vbs_vq;

/* ---- params.c: what a disk is made of ---- */

/**
 * struct vbs_params - description of a disk, checked by vbs_params_check()
 * @path: block device or regular file; empty for RAM.  Allocated, not NULL
 * @size: bytes, RAM only
 * @num_queues: virtqueues, 1 to VBS_MAX_QUEUES
 * @queue_size: ring size recommended to drivers, a power of two
 * @block_size: logical block size in bytes, 512 or 4096
 * @physical_block_size: bytes, a power of two from @block_size on; 0 for what
 *	the backend has
 * @seg_max: most data segments of a request; 0 for what the backend has
 * @poll_us: longest time to poll an empty ring for, in microseconds; 0 for not
 *	at all.  The one value that may change while a disk exists
 * @serial: answer to GET_ID, padded with NUL; all NUL for the disk's name
 * @readonly: no writes
 * @write_cache: the write cache is on after a reset
 * @direct_io: files without the page cache
 * @discard: offer DISCARD, and let WRITE_ZEROES give space back
 */
struct vbs_params {
	char *path;
	u64 size;
	u32 num_queues;
	u32 queue_size;
	u32 block_size;
	u32 physical_block_size;
	u32 seg_max;
	u32 poll_us;
	char serial[VIRTIO_BLK_ID_BYTES] __nonstring;
	bool readonly;
	bool write_cache;
	bool direct_io;
	bool discard;
};

/**
 * vbs_params_init - the defaults, as the module parameters have them
 * @params: overwritten
 *
 * May sleep.  Return: 0 or -ENOMEM; vbs_params_destroy() is due after a 0.
 */
int vbs_params_init(struct vbs_params *params);
void vbs_params_destroy(struct vbs_params *params);

/**
 * vbs_params_check - do the values go together?
 * @params: each value is valid by itself
 * @name: the disk's, for the log
 *
 * Return: 0 or -EINVAL, after a log line.
 */
int vbs_params_check(const struct vbs_params *params, const char *name);

/**
 * vbs_parse_size - "64M": digits, then K, M, G, T or nothing
 * @val: what the user wrote; a newline may follow
 * @bytes: set on success
 *
 * Return: 0, or -EINVAL for no number or one that does not fit.
 */
int vbs_parse_size(const char *val, u64 *bytes);

int vbs_params_setup(void);

/* ---- configfs.c: descriptions of disks ---- */

struct vbs_desc;

int vbs_configfs_init(void);
void vbs_configfs_exit(void);

/**
 * vbs_desc_hold - look for the description of a disk, and keep it
 * @name: the disk's
 *
 * While it is held it can neither be removed nor changed, but for its live
 * attributes.  May sleep; not under a lock of configfs.
 *
 * Return: the description, NULL when there is none, -ENOENT when it is just
 * being removed, or -EEXIST when a disk has it.
 */
struct vbs_desc *vbs_desc_hold(const char *name);
void vbs_desc_release(struct vbs_desc *desc);

/**
 * vbs_desc_params - what it says; constant while held
 * @desc: held
 */
const struct vbs_params *vbs_desc_params(const struct vbs_desc *desc);

/**
 * vbs_desc_badblocks - sectors that answer IOERR; may change at any time
 * @desc: held
 */
struct badblocks *vbs_desc_badblocks(struct vbs_desc *desc);

/**
 * vbs_desc_set_dev - tell live attributes whom they speak to
 * @desc: held
 * @dev: the disk, or NULL before it goes; waits for an attribute at work
 */
void vbs_desc_set_dev(struct vbs_desc *desc, struct vbs_dev *dev);

/* ---- iova.c: parts of rings ---- */

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

/* As vbs_iter_read(), the other way. */
int vbs_iter_write(struct vbs_iter *iter, struct vbs_mem *mem, const void *buf,
		   u32 len);

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
 * struct vbs_limits - what a backend can do, and likes
 * @size: bytes
 * @block_size: smallest unit of a transfer, bytes
 * @physical_block_size: bytes
 * @alignment_offset: bytes from the start to the first physical block
 * @io_min: bytes, preferred smallest transfer
 * @io_opt: bytes, preferred transfer; 0 for none
 * @seg_max: most segments that need no split
 * @dma_mask: bits of a segment's address that must be 0
 * @discard_granularity: bytes; 0 when it cannot discard
 * @secure_erase: sectors in one secure erase; 0 when it cannot
 */
struct vbs_limits {
	u64 size;
	u32 block_size;
	u32 physical_block_size;
	u32 alignment_offset;
	u32 io_min;
	u32 io_opt;
	u32 seg_max;
	u32 dma_mask;
	u32 discard_granularity;
	u32 secure_erase;
};

/**
 * struct vbs_backend_ops - what stores the data
 * @kind: in words, for the log
 * @rw: read into, or write from, the client's memory at a byte position; with
 *	@io's @durable set, a write is on stable storage when it ends
 * @rw_buf: the same for a buffer in the kernel's memory, to the end.  Segments
 *	that do not suit the backend go through it; NULL when all suit
 * @flush: make all completed writes durable
 * @discard: the content of a range no longer matters
 * @write_zeroes: zero a range; with unmap, space may be given back
 * @secure_erase: as @discard, and nobody can read it any more
 * @size: bytes there are now
 * @gone: the device was removed, for good; may be missing
 * @free: end
 * @io_size: bytes that @rw and @flush want behind each struct vbs_io
 * @async: @rw may return before it has ended.  What sleeps for long is called
 *	from a work queue then.  Without it requests end in the order in which
 *	they came, and drivers are told so (VIRTIO_F_IN_ORDER)
 * @rw_sleeps: @rw may sleep for long, so that nothing else must wait for its
 *	return
 * @flush_sleeps: @flush sleeps for long, too
 *
 * All but @free are called by those who serve queues or from a work queue, several
 * at once, without memory reclaim that does I/O; they may sleep, and return 0
 * or a negative errno.  What is still at work when @rw or @flush returns holds
 * a reference, see vbs_io_get().  Positions and lengths are bytes, inside the
 * disk and whole logical blocks.
 */
struct vbs_backend_ops {
	const char *kind;
	int (*rw)(struct vbs_backend *be, struct vbs_io *io,
		  struct vbs_mem *mem, u64 pos, struct vbs_iter *data,
		  bool write);
	int (*rw_buf)(struct vbs_backend *be, void *buf, u64 pos, u32 len,
		      bool write);
	int (*flush)(struct vbs_backend *be, struct vbs_io *io);
	int (*discard)(struct vbs_backend *be, u64 pos, u64 len);
	int (*write_zeroes)(struct vbs_backend *be, u64 pos, u64 len,
			    bool unmap);
	int (*secure_erase)(struct vbs_backend *be, u64 pos, u64 len);
	u64 (*size)(struct vbs_backend *be);
	bool (*gone)(struct vbs_backend *be);
	void (*free)(struct vbs_backend *be);
	size_t io_size;
	bool async;
	bool rw_sleeps;
	bool flush_sleeps;
};

struct vbs_backend {
	const struct vbs_backend_ops *ops;
	struct vbs_limits limits;
};

/**
 * vbs_backend_open - what stands behind a disk
 * @params: its description, checked
 * @name: the disk's, for the log
 *
 * May sleep.  Return: the backend, or a negative errno, after a log line unless
 * it is -ENOMEM.
 */
struct vbs_backend *vbs_backend_open(const struct vbs_params *params,
				     const char *name);

/* Each opens one kind; vbs_backend_open() knows which. */
struct vbs_backend *vbs_ram_create(const struct vbs_params *params);
void vbs_ram_exit(void);
struct vbs_backend *vbs_bdev_open(const struct vbs_params *params,
				  const char *name);
struct vbs_backend *vbs_file_open(const struct vbs_params *params,
				  const char *name);

/**
 * vbs_backend_begin - calls of backends follow
 *
 * They may be what memory reclaim waits for, and what cleans the page cache:
 * neither must they wait for it.
 *
 * Return: for vbs_backend_end().
 */
static inline unsigned int vbs_backend_begin(void)
{
	unsigned int flags = current->flags;

	current->flags |= PF_MEMALLOC_NOIO | PF_LOCAL_THROTTLE;
	return flags;
}

static inline void vbs_backend_end(unsigned int flags)
{
	current_restore_flags(flags, PF_MEMALLOC_NOIO | PF_LOCAL_THROTTLE);
}

/* ---- io.c: requests being executed ---- */

/* Groups that statistics are kept for, in the order of a block "stat" file. */
enum vbs_stat_group {
	VBS_STAT_READ,
	VBS_STAT_WRITE,
	VBS_STAT_DISCARD,
	VBS_STAT_FLUSH,
	VBS_STAT_GROUPS,
};

/**
 * struct vbs_stats - what a queue has done since it was made
 * @ios: requests completed
 * @sectors: of 512 bytes
 * @ticks: jiffies from start to end, of all requests together
 * @errors: requests that ended with IOERR or UNSUPP
 * @irqs: interrupts
 * @batches: updates of the used index
 * @bounced: bytes that were copied since their segments did not suit
 * @broken: times that the ring was found broken
 *
 * Changed under vbs_vq.done_lock if the backend is asynchronous, else under
 * vbs_vq.lock, as @bounced and @broken always are; read without.
 */
struct vbs_stats {
	u64 ios[VBS_STAT_GROUPS];
	u64 sectors[VBS_STAT_GROUPS];
	u64 ticks[VBS_STAT_GROUPS];
	u64 errors;
	u64 irqs;
	u64 batches;
	u64 bounced;
	u64 broken;
};

/**
 * struct vbs_io - a request at work, from its start to its used entry
 * @vq: its queue
 * @next: in vbs_vq.free while not at work
 * @status: where the status byte goes, in the client's memory
 * @start: in jiffies; asynchronous backends only, as are @buf, @refs and @err
 * @sector: for the trace
 * @type: VIRTIO_BLK_T_*
 * @len: bytes for the used entry should it succeed
 * @sectors: for the statistics
 * @buf: the chain's
 * @durable: a write must be on stable storage when it ends
 * @nowait: must not sleep: -EAGAIN instead, and the worker does all of it again
 * @refs: parts that have not ended; the last one completes the request
 * @err: the first error of a part
 * @work: for what sleeps, and for the end of what ends under a lock
 * @nr_ranges: of @ranges
 * @ranges: DISCARD and the like in @work
 * @priv: the backend's, ops->io_size bytes
 */
struct vbs_io {
	struct vbs_vq *vq;
	struct vbs_io *next;
	u8 *status;
	unsigned long start;
	u64 sector;
	u32 type;
	u32 len;
	u32 sectors;
	struct vbs_buf buf;
	bool durable;
	bool nowait;
	atomic_t refs;
	int err;
	struct work_struct work;
	u32 nr_ranges;
	struct vbs_range *ranges;
	u64 priv[];
};

/**
 * enum vbs_batch_end - how a batch has ended
 * @VBS_BATCH_EMPTY: there is nothing more to do
 * @VBS_BATCH_MORE: there may be
 * @VBS_BATCH_MUST_WAIT: the next request is for something that takes time, and
 *	was given back
 */
enum vbs_batch_end {
	VBS_BATCH_EMPTY,
	VBS_BATCH_MORE,
	VBS_BATCH_MUST_WAIT,
};

/**
 * vbs_io_batch - execute some of the chains that are available
 * @vq: their queue, live; vbs_vq.lock held
 * @nowait: do not sleep; only with a backend that is not asynchronous
 *
 * Requests are completed some time later, or before this returns; what was
 * completed is published together.  May sleep, without @nowait.
 *
 * Return: enum vbs_batch_end, or what vbs_ring_pop() says of a broken ring.
 */
int vbs_io_batch(struct vbs_vq *vq, bool nowait);

/**
 * vbs_io_get - one more part that the end of a request waits for
 * @io: at work
 */
static inline void vbs_io_get(struct vbs_io *io)
{
	atomic_inc(&io->refs);
}

/**
 * vbs_io_put - a part has ended
 * @io: gone when this returns, maybe
 * @err: 0 or a negative errno
 *
 * Any context.
 */
void vbs_io_put(struct vbs_io *io, int err);

/**
 * vbs_io_put_locked - as vbs_io_put(), where locks of others may be held
 * @io: gone when this returns, maybe
 * @err: 0 or a negative errno
 *
 * The last part of a request interrupts the client, and with /dev/vdX that
 * completes what waits there: not something to do under another's lock.
 */
void vbs_io_put_locked(struct vbs_io *io, int err);

/**
 * vbs_io_drain - wait until no request of a queue is at work
 * @vq: the queue; vbs_vq.lock held
 *
 * No interrupt is under way either.  May sleep, for as long as the backend
 * needs.
 */
void vbs_io_drain(struct vbs_vq *vq);

/**
 * vbs_io_alloc - as many as can be at work at once
 * @vq: the queue, not live; vbs_vq.lock held
 *
 * Return: 0 or -ENOMEM.
 */
int vbs_io_alloc(struct vbs_vq *vq);
void vbs_io_free(struct vbs_vq *vq);

/**
 * vbs_io_signal - interrupt the client
 * @vq: the queue
 *
 * vbs_vq.lock held, or a request at work.  Any context.
 */
void vbs_io_signal(struct vbs_vq *vq);

/* ---- execute.c: what io.c leaves to others ---- */

/**
 * vbs_execute_other - start what is neither IN nor OUT
 * @vq: the queue, with the decoded request; vbs_vq.lock held
 * @io: the request
 *
 * May sleep, without @io->nowait.  Return: 0 or a negative errno, of all or, with
 * an asynchronous backend, of this part.
 */
int vbs_execute_other(struct vbs_vq *vq, struct vbs_io *io);

/**
 * vbs_execute_bounced - IN or OUT with segments that do not suit the backend
 * @vq: the queue, with the decoded request; vbs_vq.lock held
 * @pos: position in bytes
 * @write: OUT
 *
 * Its data are copied.  Waits for the backend.  Return: 0 or a negative errno.
 */
int vbs_execute_bounced(struct vbs_vq *vq, u64 pos, bool write);

/* For vbs_sectors_bad(). */
bool vbs_listed_bad(struct vbs_dev *dev, u64 sector, u32 nr);

/* ---- queue.c: one virtqueue at work ---- */

/**
 * struct vbs_vq - a virtqueue
 * @dev: its disk
 * @index: number in the disk
 * @worker: the thread that serves it
 * @work: queued by every kick
 * @later: queues @work when there may be memory again to start with
 * @waiters: those who want @lock and wait for the worker to let it go
 * @kicked: a kick came that found @lock taken: who lets it go looks
 * @lock: guards all below; the worker holds it while it uses the ring, so that
 *	taking it, with vbs_vq_lock(), drains the queue.  Inside vbs_dev.lock,
 *	outside vbs_dev.cfg_lock
 * @ready: enabled by the client
 * @has_addr: @desc, @avail and @used were set
 * @live: the ring is mapped and is being served
 * @lost: was live until the client unmapped the ring's memory
 * @retry: the worker is to start the queue when that is back, or there is memory
 *	to do so; never while the disk does not run
 * @broken: stopped for good, until a reset
 * @num: ring size as the client wants it, unchecked
 * @base: where to begin in the ring, for vbs_ring_init(), while not live
 * @desc: descriptor table, mapped while live
 * @avail: driver area, mapped while live
 * @used: device area, mapped while live
 * @affinity: CPUs the client wants the interrupt on
 * @home: CPUs that @worker runs on without such a wish
 * @pinned: @affinity was set
 * @deadline: in jiffies, when the worker lets others have the lock
 * @batch_start: in jiffies, when the batch at work began
 * @slept: the worker has asked for a kick and gone to sleep
 * @idle_since: when it last found the ring empty, local_clock()
 * @poll_ns: how long it looks for more before it sleeps, in nanoseconds
 * @may_direct: kicks may serve the queue in their own context: the client is
 *	virtio-vdpa, and the backend has no need to sleep.  Constant while live
 * @direct: they do; read without the lock as a hint
 * @runs: with @direct kicks served since it was set, without it times in a row
 *	that the worker found a single request
 * @served: requests since the worker woke up
 * @put_back: the next chain was taken before, and given back
 * @async: the backend is, constant while live
 * @ring: valid while live; its used side is under @done_lock if @async
 * @mem: the client's memory
 * @chain: the request to be started, as laid out by the client
 * @req: the request to be started, decoded
 * @ios: memory of all struct vbs_io while live
 * @kicks: that came
 * @done_lock: guards all below.  Innermost, any context
 * @free: those of @ios that are not at work
 * @nr_active: those that are; 0 means that nobody touches the ring or calls
 *	@cb but who holds @lock.  Changed under this lock, the last decrement
 *	excepted.  Without @async, 1 while a batch is at work
 * @batching: the worker publishes what is completed
 * @cb: interrupt
 * @stats: statistics
 */
struct vbs_vq {
	struct vbs_dev *dev;
	u16 index;
	struct kthread_worker *worker;
	struct kthread_work work;
	struct kthread_delayed_work later;

	atomic_t waiters;
	bool kicked;
	struct mutex lock;	/* guards all below */
	bool ready;
	bool has_addr;
	bool live;
	bool lost;
	bool retry;
	bool broken;
	u32 num;
	u32 base;
	struct vbs_area desc;
	struct vbs_area avail;
	struct vbs_area used;
	cpumask_var_t affinity;
	cpumask_var_t home;
	bool pinned;
	unsigned long deadline;
	unsigned long batch_start;
	bool slept;
	u64 idle_since;
	u64 poll_ns;
	bool may_direct;
	bool direct;
	unsigned int runs;
	unsigned int served;
	bool put_back;
	bool async;
	struct vbs_ring ring;
	struct vbs_mem mem;
	struct vbs_chain chain;
	struct vbs_req req;
	void *ios;
	atomic_long_t kicks;

	spinlock_t done_lock;	/* guards all below */
	struct vbs_io *free;
	atomic_t nr_active;
	bool batching;
	struct vdpa_callback cb;
	struct vbs_stats stats;
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
{
	atomic_inc(&vq->waiters);
	mutex_lock(&vq->lock);
	atomic_dec(&vq->waiters);
}

void vbs_vq_unlock(struct vbs_vq *vq);

/**
 * vbs_vq_kick - look at the ring, or have the worker do it
 * @vq: the queue, in any state
 *
 * Any context: vhost calls this with interrupts off inside an eventfd wake-up,
 * and virtio-vdpa where one must not sleep.  With virtio-vdpa requests may be
 * executed, and the interrupt may come, before this returns.
 */
void vbs_vq_kick(struct vbs_vq *vq);

/**
 * vbs_vq_start - map the ring and serve it, if the client has enabled it
 * @vq: the queue of a disk that runs; vbs_vq.lock held
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
 * of it is touched afterwards.  vbs_dev.lock held.  May sleep.
 */
void vbs_vq_memory_gone(struct vbs_vq *vq, u64 first, u64 last);

/**
 * vbs_vq_memory_back - the client has mapped memory
 * @vq: the queue, in any state
 *
 * Has the worker look whether a ring that was dropped can be mapped again: QEMU
 * unmaps and maps all of a guest's memory when the guest's firmware opens or
 * closes a ROM area.  Takes no lock and does not wait: vhost holds the mmap lock
 * of its client, which backends may want.
 */
void vbs_vq_memory_back(struct vbs_vq *vq);

/* ---- device.c: the disk ---- */

/**
 * struct vbs_dev - a disk
 * @vdpa: on the bus; first, the bus frees it
 * @backend: the data
 * @wq: for requests that sleep, when the backend is asynchronous.  Each disk has
 *	its own: one may be stacked on another, or hang
 * @flush_lost: the backend was changed for another, and writes that a driver
 *	has seen complete may be lost with the old one: the next FLUSH fails
 * @desc: its description, NULL for a RAM disk made by the defaults
 * @badblocks: sectors that answer IOERR, or NULL
 * @as: the client's memory
 * @disk: what requests are checked against; @disk.features change only while
 *	no queue runs, @disk.capacity under @lock and @cfg_lock
 * @limits: for the config space
 * @device_features: offered
 * @queue_size: recommended to drivers
 * @poll_us: longest time that a worker polls an empty ring for, in microseconds;
 *	may change at any time
 * @write_cache: state of the write cache after a reset
 * @serial: answer to GET_ID, padded with NUL
 * @io_stamp: jiffies of the last update of @io_ticks
 * @io_ticks: jiffies with a request at work
 * @debugfs: folder
 * @lock: guards the life cycle: @running and the changes of @as and @disk.
 *	Outside vbs_vq.lock
 * @running: DRIVER_OK and not suspended: enabled queues are live
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
	struct workqueue_struct *wq;
	atomic_t flush_lost;
	struct vbs_desc *desc;
	struct badblocks *badblocks;
	struct vbs_as as;
	struct vbs_disk disk;
	struct vbs_limits limits;
	u64 device_features;
	u32 queue_size;
	u32 poll_us;
	bool write_cache;
	char serial[VIRTIO_BLK_ID_BYTES] __nonstring;
	unsigned long io_stamp;
	atomic_long_t io_ticks;
	struct dentry *debugfs;

	struct mutex lock;	/* guards the life cycle */
	bool running;
	u16 nr_vqs;
	struct vbs_vq **vqs;

	spinlock_t cfg_lock;	/* guards all below */
	u8 status;
	bool wce;
	u32 generation;
	struct vdpa_callback config_cb;
};

/**
 * vbs_sectors_bad - shall a range answer IOERR, for testers?
 * @dev: the disk
 * @sector: first sector
 * @nr: sectors
 *
 * Any context.
 */
static inline bool vbs_sectors_bad(struct vbs_dev *dev, u64 sector, u32 nr)
{
	return unlikely(dev->badblocks && READ_ONCE(dev->badblocks->count)) &&
	       vbs_listed_bad(dev, sector, nr);
}

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
				 BIT_ULL(VIRTIO_F_RING_PACKED) |	\
				 BIT_ULL(VIRTIO_F_IN_ORDER) |		\
				 BIT_ULL(VIRTIO_BLK_F_SIZE_MAX) |	\
				 BIT_ULL(VIRTIO_BLK_F_SEG_MAX) |	\
				 BIT_ULL(VIRTIO_BLK_F_RO) |		\
				 BIT_ULL(VIRTIO_BLK_F_BLK_SIZE) |	\
				 BIT_ULL(VIRTIO_BLK_F_FLUSH) |		\
				 BIT_ULL(VIRTIO_BLK_F_TOPOLOGY) |	\
				 BIT_ULL(VIRTIO_BLK_F_CONFIG_WCE) |	\
				 BIT_ULL(VIRTIO_BLK_F_MQ) |		\
				 BIT_ULL(VIRTIO_BLK_F_DISCARD) |	\
				 BIT_ULL(VIRTIO_BLK_F_WRITE_ZEROES) |	\
				 BIT_ULL(VIRTIO_BLK_F_SECURE_ERASE))

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

/* ---- resize.c ---- */

/**
 * vbs_revalidate_size - look how large the backend is now
 * @dev: the disk
 *
 * A new capacity shows in the config space, and raises a config interrupt.  A
 * device that was removed is opened again by its path first.  May sleep.
 *
 * Return: 0, or, after a log line, -EBUSY when it has shrunk while a driver uses
 * it, -EINVAL when it is no multiple of the block size, or why it could not be
 * opened.
 */
int vbs_revalidate_size(struct vbs_dev *dev);

/* ---- sysfs.c: statistics, and the state of the rings for bug reports ---- */

/**
 * vbs_sysfs_init - prepare the files that come with the device
 * @dev: the disk, with its queues, not registered yet
 *
 * May sleep.  Return: 0 or -ENOMEM; vbs_sysfs_free() is due in both cases, when
 * the device is gone.
 */
int vbs_sysfs_init(struct vbs_dev *dev);
void vbs_sysfs_free(struct vbs_dev *dev);

void vbs_debugfs_init(void);
void vbs_debugfs_exit(void);
void vbs_debugfs_add(struct vbs_dev *dev);
void vbs_debugfs_remove(struct vbs_dev *dev);

#endif /* VBS_BLK_SIM_H */

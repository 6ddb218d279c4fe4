/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A virtio-blk PCI function as a vDPA device.
 *
 * struct vbp_func is a bound function: registers, vectors, queues. It lives
 * from probe to remove. struct vbp_dev is the vDPA device on it, from "vdpa dev
 * add" to "vdpa dev del"; there is at most one.
 *
 *   main.c    binding, management device
 *   irq.c     vectors and who shares them
 *   hw.c      registers: reset, features, queues
 *   device.c  vdpa_config_ops: what a client sees
 *   config.c  the device's configuration space
 *   gone.c    a function that is no longer there
 */
#ifndef VDPA_BLK_PCI_H
#define VDPA_BLK_PCI_H

#include <linux/cpumask.h>
#include <linux/mutex.h>
#include <linux/spinlock.h>
#include <linux/vdpa.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_config.h>
#include <linux/virtio_pci_modern.h>

#include "config.h"

/* Constant, for QEMU 10.0 and Linux 7.3; what a queue has is get_vq_size's. */
#define VBP_RING_MAX	1024

/*
 * Never passed on: 26 is VHOST_F_LOG_ALL to vhost, and the others are about the
 * PCI transport, for which the vDPA bus has no operations.
 */
#define VBP_FEATURES_HIDDEN	(BIT_ULL(26) |				\
				 BIT_ULL(VIRTIO_F_SR_IOV) |		\
				 BIT_ULL(VIRTIO_F_NOTIFICATION_DATA) |	\
				 BIT_ULL(VIRTIO_F_NOTIF_CONFIG_DATA) |	\
				 BIT_ULL(VIRTIO_F_RING_RESET) |		\
				 BIT_ULL(VIRTIO_F_ADMIN_VQ))

/*
 * Without ACCESS_PLATFORM a function takes addresses for physical ones and the
 * IOMMU does not see them: a client could have it write anywhere.
 */
#define VBP_FEATURES_NEEDED	(BIT_ULL(VIRTIO_F_VERSION_1) |		\
				 BIT_ULL(VIRTIO_F_ACCESS_PLATFORM))

/**
 * struct vbp_vq - a queue
 * @notify: its doorbell
 * @notify_pa: bus address of the doorbell
 * @own_page: nothing but this doorbell is in the page at @notify_pa
 * @max_num: entries that the function has for it
 * @vector: MSI-X vector, see irq.c
 * @num: entries asked for
 * @has_addr: addresses were given since the last reset
 * @ready: the client wants it to run
 * @enabled: it runs: the function may access memory for it
 * @desc: IOVA of the descriptor table
 * @driver: IOVA of the avail ring
 * @device: IOVA of the used ring
 * @affinity: CPUs of the vector, as asked for
 * @pinned: @affinity was asked for
 * @cb_lock: guards @cb; the interrupt handler holds it while it calls, so that
 *	after a change nobody is in the old one
 * @cb: told of used entries
 *
 * All but @cb and what does not change after probe is guarded by
 * vbp_func.lock; @ready and @enabled may be read without.
 */
struct vbp_vq {
	void __iomem *notify;
	resource_size_t notify_pa;
	bool own_page;
	u16 max_num;
	u16 vector;

	u32 num;
	bool has_addr;
	bool ready;
	bool enabled;
	u64 desc;
	u64 driver;
	u64 device;

	struct cpumask affinity;
	bool pinned;

	spinlock_t cb_lock;	/* see above */
	struct vdpa_callback cb;
};

struct vbp_func;

/**
 * struct vbp_vector - what a handler of an interrupt knows
 * @func: the function
 * @nr: which vector
 * @name: of the interrupt in /proc/interrupts
 */
struct vbp_vector {
	struct vbp_func *func;
	unsigned int nr;
	char name[40];
};

/**
 * struct vbp_func - a bound function
 * @pdev: the PCI device
 * @mdev: its registers
 * @mgmt: management device
 * @ids: for @mgmt, ends with an empty one
 * @hw_features: what the function offers
 * @features: what can be had of it through the bus
 * @nr_vqs: queues of the function
 * @vqs: the queues
 * @nr_vectors: vectors that could be had
 * @vectors: the vectors
 * @device_locked_by: the task in probe() or remove(), for which the driver core
 *	holds the device lock
 * @reset_by: the task that resets the PCI function here, with @lock held
 * @gone: the function is no longer on the bus, or was not until a reset
 * @stuck: it does not come back from a reset and may not master the bus
 * @dev: the vDPA device or NULL; changes under the lock of the vDPA core and
 *	@lock
 * @lock: guards the registers, for most are behind a selector, and the life
 *	cycle. Taken below vdpa_device.cf_lock, above vbp_vq.cb_lock and
 *	@cb_lock; may be held for seconds while a function resets.
 * @watch: looks after a running function, see gone.c
 * @end_client: the client's requests will not be ended by the function
 * @disk: the host's own, or NULL, from a look at it until the reset of its driver,
 *	which waits for its requests before; under @lock. One on its way out is
 *	found nowhere else.
 * @cb_lock: guards @config_cb and @driver_ok, as vbp_vq.cb_lock does
 * @driver_ok: the client may be called back
 * @config_cb: told of changes of the configuration
 * @generation: of the configuration, when last looked at by a handler
 */
struct vbp_func {
	struct pci_dev *pdev;
	struct virtio_pci_modern_device mdev;
	struct vdpa_mgmt_dev mgmt;
	struct virtio_device_id ids[2];
	u64 hw_features;
	u64 features;
	unsigned int nr_vqs;
	struct vbp_vq *vqs;
	unsigned int nr_vectors;
	struct vbp_vector *vectors;
	struct task_struct *device_locked_by;
	struct task_struct *reset_by;
	bool gone;
	bool stuck;
	struct vbp_dev *dev;
	struct mutex lock;	/* see above */

	struct delayed_work watch;
	bool end_client;
	struct device *disk;

	spinlock_t cb_lock;	/* see above */
	bool driver_ok;
	struct vdpa_callback config_cb;
	u8 generation;
};

/**
 * struct vbp_dev - the vDPA device on a function
 * @vdpa: as the bus knows it
 * @func: the function
 * @device_features: offered to a client
 * @driver_features: accepted by it
 * @status: what the client wrote, and NEEDS_RESET
 * @running: DRIVER_OK was given to the function
 *
 * Guarded by vbp_func.lock; @status may be read without.
 */
struct vbp_dev {
	struct vdpa_device vdpa;
	struct vbp_func *func;
	u64 device_features;
	u64 driver_features;
	u8 status;
	bool running;
};

static inline struct vbp_dev *vdpa_to_vbp(struct vdpa_device *vdpa)
{
	return container_of(vdpa, struct vbp_dev, vdpa);
}

/* device.c */
extern const struct vdpa_config_ops vbp_config_ops;

/**
 * vbp_needs_reset - have the client reset the device
 * @func: the function
 *
 * Sets NEEDS_RESET (virtio 1.3, 2.1.2) and raises the configuration interrupt.
 * Without a vDPA device it does nothing. Needs vbp_func.lock.
 */
void vbp_needs_reset(struct vbp_func *func);

/**
 * vbp_lost_state - somebody else has reset the PCI function
 * @func: the function
 *
 * Tells the client. Needs vbp_func.lock; may sleep.
 */
void vbp_lost_state(struct vbp_func *func);

/* irq.c */

/**
 * vbp_irq_init - get vectors for the queues and the configuration
 * @func: the function, with its queues
 *
 * Fewer than wanted are shared, and the log tells. May sleep.
 *
 * Return: 0; -ENOSPC and the like when none can be had, told in the log.
 */
int vbp_irq_init(struct vbp_func *func);

/**
 * vbp_irq_exit - give the vectors back
 * @func: the function; no handler runs afterwards
 */
void vbp_irq_exit(struct vbp_func *func);

/**
 * vbp_vq_irq - the interrupt of a queue
 * @func: the function
 * @vq: the queue
 *
 * Return: its number; -EINVAL when it is shared.
 */
int vbp_vq_irq(struct vbp_func *func, struct vbp_vq *vq);

/**
 * vbp_config_changed - call back the client, if it is at work
 * @func: the function
 *
 * Any context.
 */
void vbp_config_changed(struct vbp_func *func);

/* hw.c */

/**
 * vbp_hw_reset - reset the function
 * @func: the function
 *
 * When it returns 0 the function does not access memory. Waits for the function
 * and resets it as a PCI function when it takes too long. Needs vbp_func.lock;
 * may sleep.
 *
 * Return: 0, -ENODEV when the function is gone, -EIO when it does not come back
 * and was kept from mastering the bus, or when its link is down.
 */
int vbp_hw_reset(struct vbp_func *func);

/**
 * vbp_hw_negotiate - give the features to the function
 * @func: the function, with status DRIVER
 * @features: what the client accepted
 *
 * Needs vbp_func.lock.
 *
 * Return: 0, -EINVAL when the function does not accept them.
 */
int vbp_hw_negotiate(struct vbp_func *func, u64 features);

/**
 * vbp_hw_enable_vq - set a queue up as asked for, and enable it
 * @func: the function
 * @idx: which queue
 *
 * Needs vbp_func.lock.
 *
 * Return: 0, -EINVAL when it cannot be had like that, -EIO when the function
 * does not take the vector. Both are told in the log.
 */
int vbp_hw_enable_vq(struct vbp_func *func, unsigned int idx);

/* gone.c */

/**
 * vbp_check_gone - look whether the function is still on the bus
 * @func: the function
 *
 * Needs vbp_func.lock, so that nobody resets it meanwhile.
 *
 * Return: true when it is not.
 */
bool vbp_check_gone(struct vbp_func *func);

/**
 * vbp_watch_init - make it possible to watch the function
 * @func: the function
 */
void vbp_watch_init(struct vbp_func *func);

/**
 * vbp_watch - look after the function from now on, while it runs
 * @func: the function
 */
void vbp_watch(struct vbp_func *func);

/**
 * vbp_forget_disk - its driver has no requests any more
 * @func: the function
 *
 * Context: may sleep; vbp_func.lock held.
 */
void vbp_forget_disk(struct vbp_func *func);

/**
 * vbp_end_client - fail the requests that a client waits for
 * @func: the function, which does not access memory any more
 *
 * Soon, and from another thread. Requests of virtio-vdpa fail, so that its disk
 * can be removed; a client of vhost-vdpa has NEEDS_RESET to go by. Needs
 * vbp_func.lock.
 */
void vbp_end_client(struct vbp_func *func);

#endif /* VDPA_BLK_PCI_H */

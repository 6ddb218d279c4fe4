// SPDX-License-Identifier: GPL-2.0-only
/*
 * A function that is gone ends no request. Linux' virtio_blk waits for its
 * requests without a bound when its disk is removed, and the vDPA core, which
 * removes it, lets nobody else in meanwhile: one lost function would hang every
 * "vdpa" command. So the requests of the host's own disk are failed here.
 */
#include <linux/blk-mq.h>
#include <linux/blkdev.h>
#include <linux/device.h>
#include <linux/pci.h>
#include <linux/virtio.h>
#include <linux/workqueue.h>

#include "blk_pci.h"

/* How often a running function is looked at. */
#define WATCH	HZ

/* Of a VF pci_device_is_present() tells whether the PF is there. */
static bool is_present(struct pci_dev *pdev)
{
	u16 command;

	if (!pci_device_is_present(pdev))
		return false;
	pci_read_config_word(pdev, PCI_COMMAND, &command);
	return command != U16_MAX;
}

bool vbp_check_gone(struct vbp_func *func)
{
	lockdep_assert_held(&func->lock);

	if (!func->gone && !is_present(func->pdev)) {
		WRITE_ONCE(func->gone, true);
		dev_warn(&func->pdev->dev, "the function is gone\n");
	}
	return func->gone;
}

/*
 * Not through virtio_blk's own completion, which looks at a status byte that
 * the function did not write. What virtio_blk has allocated for the request on
 * top is lost.
 */
static bool fail_request(struct request *rq, void *data)
{
	unsigned int *nr = data;

	if (blk_mq_request_started(rq) && !blk_mq_request_completed(rq)) {
		blk_mq_end_request(rq, BLK_STS_IOERR);
		(*nr)++;
	}
	return true;
}

static void end_disk(struct vbp_func *func)
{
	struct request_queue *q;
	unsigned int nr = 0;

	if (!func->disk)
		return;
	q = dev_to_disk(func->disk)->queue;
	/* Whoever removes the disk waits for this before he frees anything. */
	if (!percpu_ref_tryget(&q->q_usage_counter))
		return;

	/* With nobody in virtio_blk's queue_rq() what is started stays so. */
	blk_mq_quiesce_queue(q);
	blk_mq_tagset_busy_iter(q->tag_set, fail_request, &nr);
	blk_mq_unquiesce_queue(q);
	/* virtio_blk stops a queue while its ring is full. */
	blk_mq_start_stopped_hw_queues(q, true);
	percpu_ref_put(&q->q_usage_counter);
	if (nr)
		dev_warn(&func->pdev->dev, "%s: %u requests failed\n",
			 dev_name(func->disk), nr);
}

void vbp_forget_disk(struct vbp_func *func)
{
	lockdep_assert_held(&func->lock);

	put_device(func->disk);
	func->disk = NULL;
}

static int remember_disk(struct device *dev, void *data)
{
	struct vbp_func *func = data;

	if (!dev->class || strcmp(dev->class->name, "block"))
		return 0;
	vbp_forget_disk(func);
	func->disk = get_device(dev);
	return 0;
}

/* virtio-vdpa makes its devices children of the function. */
static int look_at_virtio(struct device *dev, void *data)
{
	struct vbp_func *func = data;

	if (!dev->bus || strcmp(dev->bus->name, "virtio"))
		return 0;
	if (func->end_client)
		virtio_break_device(dev_to_virtio(dev));
	return device_for_each_child(dev, func, remember_disk);
}

/* One that is there, but not at work, was reset by whoever owns the hardware. */
static bool is_lost(struct vbp_func *func)
{
	u8 status = vp_modern_get_status(&func->mdev);

	return status == U8_MAX ? vbp_check_gone(func) :
				  !(status & VIRTIO_CONFIG_S_DRIVER_OK);
}

/*
 * With the lock held, so that whoever is a child of the function now has the
 * requests that are meant.
 */
static void watch(struct work_struct *work)
{
	struct vbp_func *func = container_of(to_delayed_work(work),
					     struct vbp_func, watch);

	mutex_lock(&func->lock);
	if (func->dev && func->dev->running) {
		if (is_lost(func))
			vbp_lost_state(func);
		else
			vbp_watch(func);
	}
	if (func->end_client || (func->dev && func->dev->running))
		device_for_each_child(&func->pdev->dev, func, look_at_virtio);
	if (func->end_client)
		end_disk(func);
	func->end_client = false;
	mutex_unlock(&func->lock);
}

void vbp_watch_init(struct vbp_func *func)
{
	INIT_DELAYED_WORK(&func->watch, watch);
}

void vbp_watch(struct vbp_func *func)
{
	schedule_delayed_work(&func->watch, WATCH);
}

void vbp_end_client(struct vbp_func *func)
{
	lockdep_assert_held(&func->lock);

	func->end_client = true;
	cancel_delayed_work(&func->watch);
	schedule_delayed_work(&func->watch, 0);
}

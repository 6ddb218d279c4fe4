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

#include "blk_pci.h"

bool vbp_check_gone(struct vbp_func *func)
{
	if (!READ_ONCE(func->gone) && !pci_device_is_present(func->pdev)) {
		WRITE_ONCE(func->gone, true);
		dev_warn(&func->pdev->dev, "the function is gone\n");
	}
	return READ_ONCE(func->gone);
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

static int end_disk(struct device *dev, void *data)
{
	struct vbp_func *func = data;
	struct request_queue *q;
	unsigned int nr = 0;

	if (!dev->class || strcmp(dev->class->name, "block"))
		return 0;
	q = dev_to_disk(dev)->queue;

	/* With nobody in virtio_blk's queue_rq() what is started stays so. */
	blk_mq_quiesce_queue(q);
	blk_mq_tagset_busy_iter(q->tag_set, fail_request, &nr);
	blk_mq_unquiesce_queue(q);
	/* virtio_blk stops a queue while its ring is full. */
	blk_mq_start_stopped_hw_queues(q, true);
	if (nr)
		dev_warn(&func->pdev->dev, "%s: %u requests failed\n",
			 dev_name(dev), nr);
	return 0;
}

/* virtio-vdpa makes its devices children of the function. */
static int end_virtio(struct device *dev, void *data)
{
	if (!dev->bus || strcmp(dev->bus->name, "virtio"))
		return 0;
	virtio_break_device(dev_to_virtio(dev));
	return device_for_each_child(dev, data, end_disk);
}

void vbp_end_client(struct vbp_func *func)
{
	mutex_lock(&func->lock);
	vbp_needs_reset(func);
	mutex_unlock(&func->lock);
	device_for_each_child(&func->pdev->dev, func, end_virtio);
}

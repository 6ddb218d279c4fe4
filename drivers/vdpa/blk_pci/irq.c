// SPDX-License-Identifier: GPL-2.0-only
/*
 * Vector 0 is for the configuration, the others for the queues, in turns when
 * there are fewer of them than queues. With one vector it is for all.
 */
#include <linux/interrupt.h>
#include <linux/pci.h>
#include <linux/slab.h>

#include "blk_pci.h"

static void call_vq(struct vbp_vq *vq)
{
	unsigned long flags;

	spin_lock_irqsave(&vq->cb_lock, flags);
	/* A late interrupt, or another queue's. */
	if (vq->enabled && vq->cb.callback)
		vq->cb.callback(vq->cb.private);
	spin_unlock_irqrestore(&vq->cb_lock, flags);
}

static irqreturn_t queue_interrupt(int irq, void *data)
{
	struct vbp_vector *vector = data;
	struct vbp_func *func = vector->func;
	unsigned int stride = max(func->nr_vectors - 1, 1u);
	unsigned int i;

	for (i = vector->nr ? vector->nr - 1 : 0; i < func->nr_vqs; i += stride)
		call_vq(&func->vqs[i]);
	return IRQ_HANDLED;
}

void vbp_config_changed(struct vbp_func *func)
{
	unsigned long flags;

	spin_lock_irqsave(&func->cb_lock, flags);
	if (func->driver_ok && func->config_cb.callback)
		func->config_cb.callback(func->config_cb.private);
	spin_unlock_irqrestore(&func->cb_lock, flags);
}

static irqreturn_t config_interrupt(int irq, void *data)
{
	struct vbp_vector *vector = data;

	vbp_config_changed(vector->func);
	return IRQ_HANDLED;
}

/* With MSI-X nothing but this tells why a common vector fired. */
static irqreturn_t common_interrupt(int irq, void *data)
{
	struct vbp_vector *vector = data;
	struct vbp_func *func = vector->func;
	u8 generation = vp_modern_generation(&func->mdev);

	if (generation != READ_ONCE(func->generation) ||
	    vp_modern_get_status(&func->mdev) & VIRTIO_CONFIG_S_NEEDS_RESET) {
		WRITE_ONCE(func->generation, generation);
		vbp_config_changed(func);
	}
	return queue_interrupt(irq, data);
}

static int request_vector(struct vbp_func *func, unsigned int nr)
{
	struct vbp_vector *vector = &func->vectors[nr];
	irq_handler_t handler = queue_interrupt;
	const char *use = "queues";

	if (!nr) {
		handler = func->nr_vectors > 1 ? config_interrupt :
						 common_interrupt;
		use = func->nr_vectors > 1 ? "config" : "all";
	}
	vector->func = func;
	vector->nr = nr;
	if (nr && func->nr_vectors > func->nr_vqs)
		snprintf(vector->name, sizeof(vector->name), "%s-%s-queue%u",
			 KBUILD_MODNAME, pci_name(func->pdev), nr - 1);
	else
		snprintf(vector->name, sizeof(vector->name), "%s-%s-%s",
			 KBUILD_MODNAME, pci_name(func->pdev), use);
	return request_irq(pci_irq_vector(func->pdev, nr), handler, 0,
			   vector->name, vector);
}

static void free_vectors(struct vbp_func *func, unsigned int nr)
{
	while (nr--)
		free_irq(pci_irq_vector(func->pdev, nr), &func->vectors[nr]);
	kfree(func->vectors);
	pci_free_irq_vectors(func->pdev);
}

int vbp_irq_init(struct vbp_func *func)
{
	struct device *dev = &func->pdev->dev;
	unsigned int i;
	int nr;

	nr = pci_alloc_irq_vectors(func->pdev, 1, func->nr_vqs + 1,
				   PCI_IRQ_MSIX);
	if (nr < 0) {
		dev_err(dev, "refused: no MSI-X vector can be had (%d)\n", nr);
		return nr;
	}
	func->nr_vectors = nr;
	func->vectors = kcalloc(nr, sizeof(*func->vectors), GFP_KERNEL);
	if (!func->vectors) {
		pci_free_irq_vectors(func->pdev);
		return -ENOMEM;
	}
	if (nr < func->nr_vqs + 1)
		dev_info(dev, "%d MSI-X vectors for %u queues and the configuration: shared\n",
			 nr, func->nr_vqs);
	for (i = 0; i < func->nr_vqs; i++)
		func->vqs[i].vector = nr > 1 ? 1 + i % (nr - 1) : 0;

	for (i = 0; i < nr; i++) {
		int err = request_vector(func, i);

		if (err) {
			dev_err(dev, "MSI-X vector %u: %d\n", i, err);
			free_vectors(func, i);
			return err;
		}
	}
	return 0;
}

void vbp_irq_exit(struct vbp_func *func)
{
	free_vectors(func, func->nr_vectors);
}

int vbp_vq_irq(struct vbp_func *func, struct vbp_vq *vq)
{
	if (func->nr_vectors < func->nr_vqs + 1)
		return -EINVAL;
	return pci_irq_vector(func->pdev, vq->vector);
}

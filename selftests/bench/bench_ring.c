// SPDX-License-Identifier: GPL-2.0-only
/* A lean split-ring driver for timing.  See bench_ring.h. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "bench_ring.h"

/* Header and status. */
#define EXTRA_DESCS	2

unsigned int br_descs(const struct br_load *load, bool indirect)
{
	return br_slots(load) * (indirect ? 1 : load->segs + EXTRA_DESCS);
}

static struct vring_desc desc(__u64 addr, __u32 len, __u16 flags, __u16 next)
{
	return (struct vring_desc){ addr, len, flags, next };
}

/* The chain of a request, whose descriptor 0 has this index in its table. */
static void write_chain(struct br_slot *slot, const struct br_load *load,
			unsigned int first)
{
	__u16 flags = VRING_DESC_F_NEXT;
	unsigned int i;

	slot->chain[0] = desc(slot->hdr_iova, sizeof(*slot->hdr), flags,
			      first + 1);
	if (!load->write)
		flags |= VRING_DESC_F_WRITE;
	for (i = 0; i < load->segs; i++)
		slot->chain[1 + i] = desc(slot->data_iova + i * load->bs,
					  load->bs, flags, first + 2 + i);
	slot->chain[1 + i] = desc(slot->status_iova, 1, VRING_DESC_F_WRITE, 0);
}

void br_prepare(struct br_queue *q, const struct br_load *load)
{
	unsigned int n = load->segs + EXTRA_DESCS, i, head;
	struct br_slot *slot;

	q->load = *load;
	q->used_len = 1 + (load->write ? 0 : br_len(load));
	q->blocks = BR_SPAN / br_len(load);
	memset(q->slot_of, 0xff, sizeof(q->slot_of));

	for (i = 0; i < br_slots(load); i++) {
		slot = &q->slot[i];
		slot->hdr->type = load->write ? VIRTIO_BLK_T_OUT :
						VIRTIO_BLK_T_IN;
		slot->hdr->ioprio = 0;
		slot->batch = i / load->batch;
		slot->busy = false;
		if (q->tables) {
			head = i;
			slot->chain = q->tables + i * n;
			write_chain(slot, load, 0);
			q->vq->desc[head] = desc(vv_iova(q->vq->dev,
							 slot->chain),
						 n * sizeof(*slot->chain),
						 VRING_DESC_F_INDIRECT, 0);
		} else {
			head = i * n;
			slot->chain = q->vq->desc + head;
			write_chain(slot, load, head);
		}
		q->slot_of[head] = i;
	}
}

static void other_aliases(struct br_queue *q, struct br_slot *slot)
{
	__u64 x = br_random(&q->random);
	__u64 mask = q->aliases - 1;

	slot->chain[0].addr = slot->hdr_iova + ((x & mask) << q->alias_shift);
	slot->chain[1].addr = slot->data_iova +
			      ((x >> 20 & mask) << q->alias_shift);
	slot->chain[2].addr = slot->status_iova +
			      ((x >> 40 & mask) << q->alias_shift);
}

void br_submit(struct br_queue *q, unsigned int batch, bool random)
{
	unsigned int n = q->tables ? 1 : q->load.segs + EXTRA_DESCS;
	unsigned int first = batch * q->load.batch, i;
	unsigned int sectors = br_len(&q->load) / VV_SECTOR;
	struct vring_avail *avail = q->vq->avail;
	__u16 idx = q->vq->next_avail, mask = q->vq->num - 1;
	struct br_slot *slot;

	/*
	 * Nobody waits for an interrupt: one is due when the used index passes
	 * a point that is behind it.
	 */
	if (q->vq->event_idx)
		*vv_used_event(q->vq) = idx - 1;
	for (i = 0; i < q->load.batch; i++) {
		slot = &q->slot[first + i];
		if (random)
			slot->sector = (br_random(&q->random) >> 32) *
				       q->blocks / (1ULL << 32) * sectors;
		slot->hdr->sector = slot->sector;
		*slot->status = 0xff;
		slot->busy = true;
		if (q->aliases > 1)
			other_aliases(q, slot);
		avail->ring[(__u16)(idx + i) & mask] = (first + i) * n;
	}
	q->inflight[batch] = q->load.batch;
	q->all_inflight += q->load.batch;
	q->vq->next_avail = idx + q->load.batch;
	/* Requests before the index that shows them. */
	__atomic_store_n(&avail->idx, q->vq->next_avail, __ATOMIC_RELEASE);
}

static int bad(const struct br_queue *q, const char *what, unsigned int got,
	       unsigned int want)
{
	printf("# queue %u: %s %u, expected %u\n", q->vq->index, what, got,
	       want);
	return -EIO;
}

int br_reap(struct br_queue *q)
{
	__u16 end = vv_used_idx(q->vq), mask = q->vq->num - 1;
	const struct vring_used_elem *e;
	struct br_slot *slot;
	unsigned int n = 0, i;

	for (; q->vq->last_used != end; q->vq->last_used++, n++) {
		e = &q->vq->used->ring[q->vq->last_used & mask];
		i = e->id < q->vq->num ? q->slot_of[e->id] : 0xffff;
		if (i >= br_slots(&q->load) || !q->slot[i].busy) {
			bad(q, "used entry of no request, id", e->id, 0);
			return -EPROTO;
		}
		slot = &q->slot[i];
		slot->busy = false;
		q->inflight[slot->batch]--;
		if (e->len != q->used_len)
			return bad(q, "used length", e->len, q->used_len);
		if (*slot->status != VIRTIO_BLK_S_OK)
			return bad(q, "status", *slot->status, VIRTIO_BLK_S_OK);
	}
	q->all_inflight -= n;
	return n;
}

// SPDX-License-Identifier: GPL-2.0-only
/* The client's driver for split and packed rings. See vhost_vdpa.h. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "vhost_vdpa.h"

#define F_AVAIL		(1 << VRING_PACKED_DESC_F_AVAIL)
#define F_USED		(1 << VRING_PACKED_DESC_F_USED)

/* ---- places in a packed ring ---- */

static __u16 index_of(__u16 place)
{
	return place & ~VV_WRAP;
}

__u16 vv_place_add(const struct vv_queue *q, __u16 place, unsigned int n)
{
	while (n--)
		if (index_of(++place) == q->num)
			place = (~place & VV_WRAP);
	return place;
}

static bool place_between(const struct vv_queue *q, __u16 place, __u16 from,
			  __u16 to)
{
	for (; from != to; from = vv_place_add(q, from, 1))
		if (from == place)
			return true;
	return false;
}

__u16 vv_avail_flags(__u16 place)
{
	return place & VV_WRAP ? F_AVAIL : F_USED;
}

__u16 vv_used_flags(__u16 place)
{
	return place & VV_WRAP ? F_AVAIL | F_USED : 0;
}

static bool is_used(struct vv_queue *q, __u16 place)
{
	__u16 flags = __atomic_load_n(&q->packed_desc[index_of(place)].flags,
				      __ATOMIC_ACQUIRE);

	return (flags & (F_AVAIL | F_USED)) == vv_used_flags(place);
}

/* ---- start ---- */

__u32 vv_first_base(const struct vv_dev *dev)
{
	return dev->features & VV_F_PACKED ? VV_WRAP << 16 | VV_WRAP : 0;
}

/* As if the turn of the ring had been used up to there. */
static void packed_init(struct vv_queue *q, __u16 place)
{
	unsigned int i;

	for (i = 0; i < q->num; i++)
		q->packed_desc[i].flags =
			vv_used_flags(i < index_of(place) ? place : ~place);
}

void vv_ring_init(struct vv_queue *q, __u16 num, __u32 base)
{
	__u64 features = q->dev->features;
	unsigned int i;

	memset(q->desc, 0, q->ring_size);
	q->num = num;
	q->packed = features & VV_F_PACKED;
	q->in_order = features & VV_F_IN_ORDER;
	q->event_idx = features & VV_F_EVENT_IDX;
	if (q->packed) {
		packed_init(q, base);
	} else {
		q->avail->idx = base;
		q->used->idx = base;
	}
	q->next_avail = base;
	q->last_used = base;
	q->kicked = base;
	/* Section 2.7.9: in order means in the order of the ring. */
	q->free_head = q->packed && q->in_order ? index_of(base) : 0;
	q->oldest = q->free_head;
	q->in_batch = false;
	q->nfree = num;
	for (i = 0; i < num; i++) {
		q->next[i] = q->in_order ? (i + 1) % num : i + 1;
		q->chain[i] = 0;
	}
	vv_take_irqs(q);
	q->irqs = 0;
	q->kicks = 0;
}

/* ---- chains ---- */

static void desc_set(struct vring_desc *desc, const struct vv_seg *seg)
{
	desc->addr = seg->iova;
	desc->len = seg->len;
	desc->flags = seg->flags;
	desc->next = 0;
}

static void packed_desc_set(struct vring_packed_desc *desc,
			    const struct vv_seg *seg, __u16 id)
{
	desc->addr = seg->iova;
	desc->len = seg->len;
	desc->id = id;
}

static __u32 writable(const struct vv_seg *seg, unsigned int n)
{
	__u32 sum = 0;

	for (; n--; seg++)
		if (seg->flags & VRING_DESC_F_WRITE)
			sum += seg->len;
	return sum;
}

static void add_split(struct vv_queue *q, const struct vv_seg *seg,
		      unsigned int n)
{
	__u16 d = q->free_head;
	unsigned int i;

	for (i = 0; i < n; i++) {
		desc_set(&q->desc[d], &seg[i]);
		if (i + 1 < n) {
			q->desc[d].flags |= VRING_DESC_F_NEXT;
			q->desc[d].next = q->next[d];
			d = q->next[d];
		}
	}
	q->free_head = q->next[d];
}

static void add_packed(struct vv_queue *q, const struct vv_seg *seg,
		       unsigned int n)
{
	__u16 id = q->free_head, flags;
	struct vring_packed_desc *desc;
	unsigned int i;

	q->place[id] = q->next_avail;
	for (i = 0; i < n; i++) {
		desc = &q->packed_desc[index_of(q->next_avail)];
		packed_desc_set(desc, &seg[i], id);
		flags = seg[i].flags | vv_avail_flags(q->next_avail) |
			(i + 1 < n ? VRING_DESC_F_NEXT : 0);
		if (i)
			desc->flags = flags;
		else
			q->flags[id] = flags;
		q->next_avail = vv_place_add(q, q->next_avail, 1);
	}
	q->free_head = q->in_order ? (id + n) % q->num : q->next[id];
}

int vv_add(struct vv_queue *q, const struct vv_seg *seg, unsigned int n)
{
	__u16 head = q->free_head;

	if (!n || n > q->nfree)
		return -ENOSPC;
	if (q->packed)
		add_packed(q, seg, n);
	else
		add_split(q, seg, n);
	q->nfree -= n;
	q->chain[head] = n;
	q->in_len[head] = writable(seg, n);
	return head;
}

int vv_add_indirect(struct vv_queue *q, struct vring_desc *table,
		    const struct vv_seg *seg, unsigned int n)
{
	struct vring_packed_desc *packed = (void *)table;
	struct vv_seg one = {
		.iova = vv_iova(q->dev, table),
		.len = n * sizeof(*table),
		.flags = VRING_DESC_F_INDIRECT,
	};
	unsigned int i;
	int head;

	for (i = 0; i < n && q->packed; i++) {
		packed_desc_set(&packed[i], &seg[i], 0);
		packed[i].flags = seg[i].flags;
	}
	for (i = 0; i < n && !q->packed; i++) {
		desc_set(&table[i], &seg[i]);
		if (i + 1 < n) {
			table[i].flags |= VRING_DESC_F_NEXT;
			table[i].next = i + 1;
		}
	}
	head = vv_add(q, &one, 1);
	if (head >= 0)
		q->in_len[head] = writable(seg, n);
	return head;
}

void vv_publish(struct vv_queue *q, __u16 head)
{
	/* The device must see the descriptors before what shows them. */
	if (q->packed) {
		__atomic_store_n(&q->packed_desc[index_of(q->place[head])].flags,
				 q->flags[head], __ATOMIC_RELEASE);
		return;
	}
	q->avail->ring[q->next_avail % q->num] = head;
	q->next_avail++;
	__atomic_store_n(&q->avail->idx, q->next_avail, __ATOMIC_RELEASE);
}

/* ---- kicks ---- */

void vv_kick_always(struct vv_queue *q)
{
	__u64 one = 1;

	q->kicked = q->next_avail;
	q->kicks++;
	if (write(q->kick_fd, &one, sizeof(one)) < 0)
		return;	/* a full counter is a kick as well */
}

__u16 *vv_avail_event(struct vv_queue *q)
{
	return (__u16 *)&q->used->ring[q->num];
}

static bool packed_wants_kick(struct vv_queue *q)
{
	__u16 flags = __atomic_load_n(&q->device->flags, __ATOMIC_ACQUIRE);
	__u16 place = __atomic_load_n(&q->device->off_wrap, __ATOMIC_RELAXED);

	if (flags == VRING_PACKED_EVENT_FLAG_DESC && q->event_idx)
		return place_between(q, place, q->kicked, q->next_avail);
	return flags == VRING_PACKED_EVENT_FLAG_ENABLE;
}

void vv_kick(struct vv_queue *q)
{
	bool wanted;

	/* Pairs with the device: publish, then look whether it sleeps. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (q->packed)
		wanted = packed_wants_kick(q);
	else if (q->event_idx)
		wanted = vring_need_event(__atomic_load_n(vv_avail_event(q),
							  __ATOMIC_RELAXED),
					  q->next_avail, q->kicked);
	else
		wanted = !(__atomic_load_n(&q->used->flags, __ATOMIC_RELAXED) &
			   VRING_USED_F_NO_NOTIFY);
	if (wanted)
		vv_kick_always(q);
	else
		q->kicked = q->next_avail;
}

/* ---- interrupts ---- */

__u64 vv_take_irqs(struct vv_queue *q)
{
	__u64 count = 0;

	if (read(q->call_fd, &count, sizeof(count)) != sizeof(count))
		return 0;
	q->irqs += count;
	return count;
}

__u16 *vv_used_event(struct vv_queue *q)
{
	return &q->avail->ring[q->num];
}

void vv_want_irq(struct vv_queue *q, unsigned int ahead)
{
	if (q->packed) {
		__atomic_store_n(&q->driver->off_wrap,
				 vv_place_add(q, q->last_used, ahead),
				 __ATOMIC_RELAXED);
		__atomic_store_n(&q->driver->flags,
				 q->event_idx ? VRING_PACKED_EVENT_FLAG_DESC :
						VRING_PACKED_EVENT_FLAG_ENABLE,
				 __ATOMIC_RELEASE);
	} else if (q->event_idx) {
		__atomic_store_n(vv_used_event(q), q->last_used + ahead,
				 __ATOMIC_RELAXED);
	} else {
		__atomic_store_n(&q->avail->flags, 0, __ATOMIC_RELAXED);
	}
	/* Pairs with the device: ask, then look once more. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

void vv_want_no_irq(struct vv_queue *q)
{
	if (q->packed)
		q->driver->flags = VRING_PACKED_EVENT_FLAG_DISABLE;
	else
		q->avail->flags = VRING_AVAIL_F_NO_INTERRUPT;
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

/* ---- what was used ---- */

__u16 vv_used_idx(struct vv_queue *q)
{
	return __atomic_load_n(&q->used->idx, __ATOMIC_ACQUIRE);
}

static bool more_used(struct vv_queue *q)
{
	if (q->packed)
		return q->in_batch || is_used(q, q->last_used);
	return vv_used_idx(q) != q->last_used;
}

static long long now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000LL + ts.tv_nsec / 1000;
}

static bool spin(struct vv_queue *q)
{
	long long end = now_us() + q->spin_us;

	do {
		if (more_used(q))
			return true;
	} while (now_us() < end);
	return false;
}

static int sleep_till_used(struct vv_queue *q, int ms)
{
	struct pollfd p = { .fd = q->call_fd, .events = POLLIN };
	long long end = vv_now_ms() + ms;
	long long left;

	for (;;) {
		if (q->event_idx)
			vv_want_irq(q, 0);
		else
			__atomic_thread_fence(__ATOMIC_SEQ_CST);
		if (more_used(q))
			return 0;
		left = end - vv_now_ms();
		if (left <= 0 || poll(&p, 1, left) == 0)
			return more_used(q) ? -ENOMSG : -ETIMEDOUT;
		vv_take_irqs(q);
	}
}

int vv_wait_ms(struct vv_queue *q, int ms)
{
	int ret;

	if (spin(q))
		return 0;
	ret = sleep_till_used(q, ms);
	/* A place comes round again with every other turn of the ring. */
	if (q->packed && q->event_idx)
		vv_want_no_irq(q);
	return ret;
}

int vv_wait(struct vv_queue *q)
{
	return vv_wait_ms(q, q->dev->timeout_ms);
}

/* The used element at this place, if its head is one of ours. */
static int read_used(struct vv_queue *q, __u16 at, __u16 *head, __u32 *len)
{
	struct vring_packed_desc *desc = &q->packed_desc[index_of(at)];
	struct vring_used_elem *e = &q->used->ring[at % q->num];
	__u32 id = q->packed ? desc->id : e->id;

	*len = q->packed ? desc->len : e->len;
	/* Section 2.8.4: without WRITE there is no length. */
	if (q->packed && !(desc->flags & VRING_DESC_F_WRITE))
		*len = 0;
	if (id >= q->num || !q->chain[id])
		return -EPROTO;	/* not ours, or completed before */
	*head = id;
	return 0;
}

static void free_chain(struct vv_queue *q, __u16 head)
{
	__u16 n = q->chain[head], d = head;
	unsigned int i;

	q->nfree += n;
	q->chain[head] = 0;
	if (q->in_order) {
		q->oldest = (head + n) % q->num;
		return;
	}
	for (i = 1; i < n && !q->packed; i++)
		d = q->next[d];
	q->next[d] = q->free_head;
	q->free_head = head;
}

/* Those before the last of a batch were written completely. */
static int next_in_order(struct vv_queue *q, __u16 *head, __u32 *len)
{
	int ret = 0;

	if (!q->in_batch)
		ret = read_used(q, q->last_used, &q->batch_head,
				&q->batch_len);
	if (!ret && !q->chain[q->oldest])
		ret = -EPROTO;
	if (ret)
		return ret;
	*head = q->oldest;
	q->in_batch = *head != q->batch_head;
	*len = q->in_batch ? q->in_len[*head] : q->batch_len;
	return 0;
}

int vv_get(struct vv_queue *q, __u32 *len)
{
	__u32 written;
	__u16 head;
	int ret;

	if (!more_used(q))
		return -EAGAIN;
	if (q->in_order)
		ret = next_in_order(q, &head, &written);
	else
		ret = read_used(q, q->last_used, &head, &written);
	if (ret)
		return ret;
	if (len)
		*len = written;
	q->last_used = q->packed ?
		       vv_place_add(q, q->last_used, q->chain[head]) :
		       q->last_used + 1;
	free_chain(q, head);
	return head;
}

/* From @at to behind @last, in order: how many, and where that is. */
static unsigned int skip_batch(struct vv_queue *q, __u16 *at, __u16 *head,
			       __u16 last)
{
	unsigned int n = 0;
	__u16 chain;
	bool end;

	do {
		chain = q->chain[*head];
		end = *head == last || !chain;
		*at = vv_place_add(q, *at, chain);
		*head = (*head + chain) % q->num;
		n++;
	} while (!end);
	return n;
}

static unsigned int look_ahead(struct vv_queue *q, __u16 *at)
{
	__u16 head = q->oldest, used;
	unsigned int n = 0;
	__u32 len;

	*at = q->last_used;
	if (q->in_batch)
		n = skip_batch(q, at, &head, q->batch_head);
	while (is_used(q, *at) && !read_used(q, *at, &used, &len)) {
		if (!q->in_order)
			head = used;
		n += skip_batch(q, at, &head, used);
	}
	return n;
}

unsigned int vv_nr_used(struct vv_queue *q)
{
	__u16 at;

	if (q->packed)
		return look_ahead(q, &at);
	return (__u16)(vv_used_idx(q) - q->last_used);
}

__u32 vv_used_base(struct vv_queue *q)
{
	__u16 at;

	if (!q->packed)
		return vv_used_idx(q);
	look_ahead(q, &at);
	return (__u32)at << 16 | at;
}

/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The device side of a ring, step by step. Each step is compared with what it
 * has to do: its result, what it writes and nothing else, and how often it
 * looks at the client's memory. While the client interferes only what has to
 * hold in any case is.
 */
#ifndef DEVICE_H
#define DEVICE_H

#include "guest.h"

/**
 * struct device - a ring, and where it has to be
 * @g: the ring, and its driver
 * @mem: the client's memory
 * @chain: taken last
 * @dead: it was started where a ring cannot begin
 * @broken: no chain is taken before the next start
 * @raced: the client did something during the step; set by the client
 * @nr_accesses: to memory by this step; counted by the client
 * @avail: what vbs_ring.last_avail has to be, and so on
 * @used: vbs_ring.used_idx
 * @published: vbs_ring.used_published
 * @elem: vbs_ring.used_elem
 * @first_flags: vbs_ring.first_flags
 * @signalled: vbs_ring.signalled
 * @gap: descriptors between the two places where a packed ring began
 * @unseen: descriptors given back since @published, or used elements
 * @busy: descriptors of the chains at work, or just these chains
 * @can_unpop: the last step took a chain
 * @before: @avail before that
 * @work: the chains at work, oldest first
 * @nr_work: how many there are
 */
struct device {
	struct guest_ring *g;
	struct vbs_mem *mem;
	struct vbs_chain *chain;
	bool dead;
	bool broken;
	bool raced;
	u64 nr_accesses;
	u16 avail;
	u16 used;
	u16 published;
	u16 elem;
	u16 first_flags;
	bool signalled;
	u32 gap;
	u32 unseen;
	u32 busy;
	bool can_unpop;
	u16 before;
	struct vbs_buf work[VBS_RING_MAX];
	u32 nr_work;
};

/* @d->g was started at @base. */
void device_begin(struct device *d, u16 base);
/* True when there was a chain. */
bool device_pop(struct device *d);
void device_unpop(struct device *d);
/* Chain @i of those at work, or the first one when they keep their order. */
void device_push(struct device *d, u32 i, u32 len);
void device_publish(struct device *d);
void device_enable_kick(struct device *d);
void device_disable_kick(struct device *d);
/* Everything at work ends. */
void device_stop(struct device *d);
/* And it goes on where it was. */
void device_restart(struct device *d);
/* Or somewhere else. */
void device_reset(struct device *d, u32 base);
/* What is said about an error, or a size. */
void device_number(const struct device *d, u32 num);

#endif

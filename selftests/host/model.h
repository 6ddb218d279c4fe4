/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the specification says about rings and requests, written down a second
 * time in the plainest way: byte by byte, and about memory that keeps still.
 */
#ifndef MODEL_H
#define MODEL_H

#include "guest.h"
#include "request.h"

/* The last promise that was not kept(), in words. */
extern const char *broken_promise;

bool kept(bool cond, const char *what);

#define KEPT(cond)	kept(cond, #cond)

enum model_verdict {
	MODEL_EMPTY,
	MODEL_CHAIN,
	MODEL_BROKEN,
	/* A chain, or broken for a part of the table nobody needs. */
	MODEL_EITHER,
};

/**
 * model_pop - what vbs_ring_pop() has to return now
 * @g: the ring
 * @mem: the client's memory
 *
 * The chain is kept for model_agrees_pop().
 */
enum model_verdict model_pop(struct guest_ring *g, struct vbs_mem *mem);

bool model_agrees_pop(enum model_verdict verdict, int ret,
		      const struct vbs_chain *chain);

/**
 * model_decode - what vbs_req_decode() has to return
 * @chain: with room for the status
 * @mem: the client's memory
 * @disk: the disk
 */
u8 model_decode(const struct vbs_chain *chain, struct vbs_mem *mem,
		const struct vbs_disk *disk);

/* When several answers are right, any of them is. */
bool model_agrees(u8 expected, u8 status);

/* The address of the last writable byte. */
u64 model_status_iova(const struct vbs_chain *chain);

/**
 * model_check - may this request be executed, whatever it came from?
 * @req: the request
 * @chain: where its data has to be
 * @disk: the disk
 *
 * Return: true, or false with a broken_promise.
 */
bool model_check(const struct vbs_req *req, const struct vbs_chain *chain,
		 const struct vbs_disk *disk);

#endif

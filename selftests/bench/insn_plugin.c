// SPDX-License-Identifier: GPL-2.0-only
/*
 * A QEMU TCG plugin that counts the instructions between two marks which a
 * program in the guest executes (see insn_plugin.h), those of the kernel by
 * function and by who called it.
 *
 *	qemu-system-x86_64 -smp 1 -plugin PLUGIN.so,out=FILE ...
 *
 * FILE gets for each window, in hexadecimal but for the counts:
 *
 *	window N kernel COUNT user COUNT
 *	frame ID PARENT CALLER		a call: the address it was made from
 *	count ID ADDRESS COUNT		instructions of a block, in that frame
 *	end N
 *
 * An instruction with a repeat prefix counts once, and once more for each
 * element it stores. QEMU 7.2 enters a block for each, QEMU 10 does not.
 *
 * Frame 0 is a stack on which no call has been seen yet. The counts are of
 * translation blocks as they are entered, so a fault in the middle of one
 * counts the whole of it.
 *
 * Calls and returns are followed by the stack slot of the return address, which
 * also tells one thread from another; the interface has no registers. Only one
 * virtual CPU can be followed.
 */
#define _GNU_SOURCE
#define INSN_PLUGIN
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "insn_plugin.h"

#define NR_BLOCKS	0x100000	/* entries of hash tables */
#define NR_FRAMES	0x40000
#define NR_COUNTS	0x80000
#define MAX_STACKS	1024
#define MAX_DEPTH	512

/*
 * A stack pointer that moves by less stays on the same stack. Stacks are 16 KiB,
 * used from their upper end, with a guard page between them.
 */
#define STACK_STEP	4096

struct block {
	__u64 addr;
	__u64 insns;
	__u64 last;			/* address of the last instruction */
	bool repeats;			/* the first one is "rep movs" or so */
};

struct frame {
	__u32 parent;
	const struct block *caller;
};

struct count {
	__u32 frame;
	const struct block *block;
	__u64 insns;
};

struct stack {
	__u64 sp;			/* slot of the last call or return */
	unsigned int depth;
	struct {
		__u64 slot;
		__u32 frame;
	} call[MAX_DEPTH];
};

static struct block blocks[NR_BLOCKS];
static __u32 frame_of[NR_FRAMES];	/* hash of an index into frames */
static struct frame frames[NR_FRAMES / 2];
static struct count counts[NR_COUNTS];
static struct stack stacks[MAX_STACKS];
static __u32 nr_blocks, nr_frames, nr_counts;
static unsigned int nr_stacks;

static FILE *out;
static int api_version;
static bool counting;
static unsigned int window;
static __u64 kernel_insns, user_insns;
static const struct block *now;		/* the block at work */
static struct stack *stack;		/* and its stack */
static __u32 frame;			/* and its frame there */

/*
 * QEMU takes a plugin by the version this names: 1 up to QEMU 8.2, at least 2
 * from 9.0 on. What is used here is the same in both.
 */
int qemu_plugin_version = 1;

static void __attribute__((constructor)) choose_version(void)
{
	/* new in version 2 */
	if (dlsym(RTLD_DEFAULT, "qemu_plugin_scoreboard_new"))
		qemu_plugin_version = 2;
}

static void give_up(const char *why)
{
	fprintf(stderr, "insn_plugin: %s\n", why);
	exit(1);
}

static __u32 hash(__u64 a, __u64 b)
{
	a = (a ^ b * 0x9e3779b97f4a7c15ULL) * 0xff51afd7ed558ccdULL;
	return (a ^ a >> 32) * 0xc4ceb9fe1a85ec53ULL >> 32;
}

static bool is_kernel(__u64 addr)
{
	return addr >> 63;
}

/* ---- the tables ---- */

/* For ever: QEMU translates the same code many times. */
static struct block *block_get(const struct block *block)
{
	__u32 i = hash(block->addr, block->last) % NR_BLOCKS;

	while (blocks[i].insns && memcmp(&blocks[i], block, sizeof(*block)))
		i = (i + 1) % NR_BLOCKS;
	if (!blocks[i].insns) {
		if (++nr_blocks > NR_BLOCKS / 4 * 3)
			give_up("too many blocks");
		blocks[i] = *block;
	}
	return &blocks[i];
}

static __u32 frame_get(__u32 parent, const struct block *caller)
{
	__u32 i = hash((size_t)caller, parent) % NR_FRAMES;
	struct frame *f;

	for (; frame_of[i]; i = (i + 1) % NR_FRAMES) {
		f = &frames[frame_of[i]];
		if (f->parent == parent && f->caller == caller)
			return frame_of[i];
	}
	if (++nr_frames == NR_FRAMES / 2)
		give_up("too many call paths");
	frames[nr_frames] = (struct frame){ parent, caller };
	frame_of[i] = nr_frames;
	return nr_frames;
}

static void count(const struct block *block, __u64 insns)
{
	__u32 i = hash((size_t)block, frame) % NR_COUNTS;

	while (counts[i].block &&
	       (counts[i].block != block || counts[i].frame != frame))
		i = (i + 1) % NR_COUNTS;
	if (!counts[i].block) {
		if (++nr_counts > NR_COUNTS / 4 * 3)
			give_up("too many blocks in a window");
		counts[i].block = block;
		counts[i].frame = frame;
	}
	counts[i].insns += insns;
	kernel_insns += insns;
}

/* ---- the stacks ---- */

static bool near(__u64 a, __u64 b)
{
	return a - b < STACK_STEP || b - a < STACK_STEP;
}

/* The stack this slot is on; what is below the slot has returned. */
static void stack_at(__u64 slot)
{
	unsigned int i;

	if (!stack || !near(stack->sp, slot)) {
		for (i = 0; i < nr_stacks; i++)
			if (near(stacks[i].sp, slot))
				break;
		if (i == MAX_STACKS)
			give_up("too many stacks");
		if (i == nr_stacks)
			stacks[nr_stacks++].depth = 0;
		stack = &stacks[i];
	}
	stack->sp = slot;
	while (stack->depth && stack->call[stack->depth - 1].slot <= slot)
		stack->depth--;
	frame = stack->depth ? stack->call[stack->depth - 1].frame : 0;
}

/*
 * Is this the store of a call, or the load of a return, which end @block?
 * QEMU 7.2 mixes up loads and stores where it filters, and calls back for what
 * later instructions access when the block has ended with the one asked for.
 */
static bool is_it(__u32 info, bool store, const struct block *block)
{
	return block == now && qemu_plugin_mem_is_store(info) == store &&
	       qemu_plugin_mem_size_shift(info) == 3;
}

static void on_call(unsigned int vcpu, __u32 info, __u64 slot,
		    void *data)
{
	if (!counting || !is_it(info, true, data))
		return;
	stack_at(slot);
	if (stack->depth == MAX_DEPTH)
		give_up("too many calls on a stack");
	frame = frame_get(frame, now);
	stack->call[stack->depth].slot = slot;
	stack->call[stack->depth++].frame = frame;
}

static void on_return(unsigned int vcpu, __u32 info, __u64 slot,
		      void *data)
{
	if (counting && is_it(info, false, data))
		stack_at(slot);
}

static void on_block(unsigned int vcpu, void *data)
{
	const struct block *block = data;
	bool again;

	if (!counting)
		return;
	again = now && now->last == block->addr && block->repeats;
	now = block;
	count(block, block->insns - again);
}

static void on_repeat(unsigned int vcpu, __u32 info, __u64 addr,
		      void *data)
{
	if (counting && data == now && qemu_plugin_mem_is_store(info))
		count(now, 1);
}

static void on_user_block(unsigned int vcpu, void *data)
{
	if (counting)
		user_insns += (size_t)data;
}

/* ---- the window ---- */

static void on_begin(unsigned int vcpu, void *data)
{
	memset(frame_of, 0, sizeof(frame_of));
	memset(counts, 0, sizeof(counts));
	nr_frames = 0;
	nr_counts = 0;
	nr_stacks = 0;
	now = NULL;
	stack = NULL;
	frame = 0;
	kernel_insns = 0;
	user_insns = 0;
	counting = true;
}

static void on_end(unsigned int vcpu, void *data)
{
	__u32 i;

	if (!counting)
		return;
	counting = false;
	fprintf(out, "window %u kernel %llu user %llu\n",
		window, kernel_insns, user_insns);
	for (i = 1; i <= nr_frames; i++)
		fprintf(out, "frame %x %x %llx\n", i, frames[i].parent,
			frames[i].caller->addr);
	for (i = 0; i < NR_COUNTS; i++)
		if (counts[i].block)
			fprintf(out, "count %x %llx %llu\n",
				counts[i].frame, counts[i].block->addr,
				counts[i].insns);
	fprintf(out, "end %u\n", window++);
	/* QEMU may be killed. */
	fflush(out);
}

/* ---- translation ---- */

/* The bytes of an instruction, at most 16. */
static size_t insn_bytes(const struct qemu_plugin_insn *insn, __u8 *buf)
{
	size_t len = qemu_plugin_insn_size(insn);
	size_t data;

	if (len > 16)
		len = 16;
	data = qemu_plugin_insn_data(insn, buf, len);
	if (api_version < 3)
		memcpy(buf, (const void *)data, len);
	return len;
}

static int mark_code(const __u8 *b, size_t len)
{
	static const __u8 mark[8] = INSN_MARK;

	if (len != sizeof(mark) || memcmp(b, mark, INSN_MARK_CODE) ||
	    memcmp(b + 5, mark + 5, 3))
		return 0;
	return b[INSN_MARK_CODE];
}

static bool is_prefix(__u8 b)
{
	return b == 0x66 || b == 0x2e || b == 0x3e || b == 0x64 || b == 0x65 ||
	       b == 0xf2 || b == 0xf3 || (b & 0xf0) == 0x40;
}

/* ins, outs, movs, cmps, stos, lods, scas */
static bool is_repeat(const __u8 *b, size_t len)
{
	bool rep = false;

	for (; len > 1 && is_prefix(*b); b++, len--)
		rep |= *b == 0xf2 || *b == 0xf3;
	return rep && ((b[0] >= 0x6c && b[0] <= 0x6f) ||
		       (b[0] >= 0xa4 && b[0] <= 0xa7) ||
		       (b[0] >= 0xaa && b[0] <= 0xaf));
}

static void watch_mem(struct qemu_plugin_insn *insn, mem_cb_t cb,
		      struct block *block)
{
	qemu_plugin_register_vcpu_mem_cb(insn, cb, QEMU_PLUGIN_CB_NO_REGS,
					 QEMU_PLUGIN_MEM_RW, block);
}

static void watch_kernel_insn(struct qemu_plugin_insn *insn, const __u8 *b,
			      size_t len, struct block *block)
{
	if (is_repeat(b, len)) {
		watch_mem(insn, on_repeat, block);
		return;
	}
	while (len > 1 && is_prefix(*b)) {
		b++;
		len--;
	}
	if (b[0] == 0xe8 || (b[0] == 0xff && len > 1 && (b[1] & 0x38) == 0x10))
		watch_mem(insn, on_call, block);
	else if (b[0] == 0xc3 || b[0] == 0xc2)
		watch_mem(insn, on_return, block);
}

static void watch_user_insn(struct qemu_plugin_insn *insn, const __u8 *b,
			    size_t len)
{
	int code = mark_code(b, len);

	if (code == INSN_BEGIN)
		qemu_plugin_register_vcpu_insn_exec_cb(insn, on_begin,
						       QEMU_PLUGIN_CB_NO_REGS,
						       NULL);
	else if (code == INSN_END)
		qemu_plugin_register_vcpu_insn_exec_cb(insn, on_end,
						       QEMU_PLUGIN_CB_NO_REGS,
						       NULL);
}

static struct block *describe(const struct qemu_plugin_tb *tb)
{
	size_t n = qemu_plugin_tb_n_insns(tb), len;
	struct block block;
	__u8 bytes[16];

	len = insn_bytes(qemu_plugin_tb_get_insn(tb, 0), bytes);
	/* Compared as a whole, padding included. */
	memset(&block, 0, sizeof(block));
	block.addr = qemu_plugin_tb_vaddr(tb);
	block.insns = n;
	block.last = qemu_plugin_insn_vaddr(qemu_plugin_tb_get_insn(tb, n - 1));
	block.repeats = is_repeat(bytes, len);
	return block_get(&block);
}

static void on_translate(qemu_plugin_id_t id, struct qemu_plugin_tb *tb)
{
	bool kernel = is_kernel(qemu_plugin_tb_vaddr(tb));
	struct block *block = kernel ? describe(tb) : NULL;
	size_t i, len, n = qemu_plugin_tb_n_insns(tb);
	struct qemu_plugin_insn *insn;
	__u8 bytes[16];

	if (kernel)
		qemu_plugin_register_vcpu_tb_exec_cb(tb, on_block,
						     QEMU_PLUGIN_CB_NO_REGS,
						     block);
	else
		qemu_plugin_register_vcpu_tb_exec_cb(tb, on_user_block,
						     QEMU_PLUGIN_CB_NO_REGS,
						     (void *)n);
	for (i = 0; i < n; i++) {
		insn = qemu_plugin_tb_get_insn(tb, i);
		len = insn_bytes(insn, bytes);
		if (kernel)
			watch_kernel_insn(insn, bytes, len, block);
		else
			watch_user_insn(insn, bytes, len);
	}
}

int qemu_plugin_install(qemu_plugin_id_t id, const struct qemu_info *info, int argc,
			char **argv)
{
	if (argc != 1 || strncmp(argv[0], "out=", 4)) {
		fprintf(stderr, "insn_plugin: usage: -plugin insn_plugin.so,out=FILE\n");
		return -1;
	}
	if (strcmp(info->target_name, "x86_64") || !info->system_emulation ||
	    info->system.max_vcpus != 1) {
		fprintf(stderr, "insn_plugin: needs qemu-system-x86_64 -smp 1\n");
		return -1;
	}
	out = fopen(argv[0] + 4, "w");
	if (!out) {
		perror(argv[0] + 4);
		return -1;
	}
	api_version = info->version.cur;
	qemu_plugin_register_vcpu_tb_trans_cb(id, on_translate);
	return 0;
}

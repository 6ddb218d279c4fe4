// SPDX-License-Identifier: GPL-2.0-only
/*
 * Preloaded into user-mode Linux with more than one CPU: makes disabling and
 * enabling interrupts cheap.
 *
 * Other CPUs interrupt by a signal, which UML blocks whenever interrupts are
 * disabled: two system calls for each lock, and with lockdep many more. They were
 * two thirds of all its time. Here blocking that signal only sets a flag. A
 * signal that comes nevertheless is sent once more, and blocked in earnest, until
 * it may come.
 *
 * Each CPU is a thread, and has its own flags. A handler may sleep, and go on in
 * another thread.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <ucontext.h>

#define IPI		SIGRTMIN
#define NR_SIGNALS	65
/* What the kernel takes of a sigset_t. */
#define SIGSET_BYTES	(NR_SIGNALS / 8)

/* What UML thinks of the signal, and what is true. */
static __thread volatile bool masked;
static __thread volatile bool blocked;

static void (*handlers[NR_SIGNALS])(int sig, siginfo_t *si, void *frame);

/* The mask that is there when the handler has returned. */
static void frame_set_blocked(ucontext_t *frame, bool block)
{
	if (block)
		sigaddset(&frame->uc_sigmask, IPI);
	else
		sigdelset(&frame->uc_sigmask, IPI);
}

static void handle(int sig, siginfo_t *si, void *frame)
{
	if (sig == IPI && masked) {
		blocked = true;
		pthread_sigqueue(pthread_self(), IPI, si->si_value);
		frame_set_blocked(frame, true);
		return;
	}

	/* Blocked by sa_mask; the handler may let others in. */
	if (sig == IPI)
		blocked = true;
	handlers[sig](sig, si, frame);
	if (sig == IPI) {
		blocked = false;
		masked = false;
	}
	frame_set_blocked(frame, blocked);
}

int sigaction(int sig, const struct sigaction *act, struct sigaction *old)
{
	int (*next)(int sig, const struct sigaction *act,
		    struct sigaction *old) = dlsym(RTLD_NEXT, "sigaction");
	struct sigaction ours;

	if (!act || !(act->sa_flags & SA_SIGINFO) || act->sa_sigaction == handle)
		return next(sig, act, old);
	ours = *act;
	handlers[sig] = act->sa_sigaction;
	ours.sa_sigaction = handle;
	return next(sig, &ours, old);
}

static int change_mask(int how, const sigset_t *set, sigset_t *old)
{
	int err = pthread_sigmask(how, set, old);

	if (!err)
		return 0;
	errno = err;
	return -1;
}

static bool is_ipi_only(const sigset_t *set)
{
	sigset_t only;

	sigemptyset(&only);
	sigaddset(&only, IPI);
	return !memcmp(&only, set, SIGSET_BYTES);
}

static int unmask_ipi(const sigset_t *set)
{
	masked = false;
	if (!blocked)
		return 0;
	blocked = false;
	return change_mask(SIG_UNBLOCK, set, NULL);
}

int sigprocmask(int how, const sigset_t *set, sigset_t *old)
{
	bool was_masked = masked;
	int ret;

	if (set && !old && how != SIG_SETMASK && is_ipi_only(set)) {
		if (how == SIG_UNBLOCK)
			return unmask_ipi(set);
		masked = true;
		return 0;
	}
	ret = change_mask(how, set, old);
	if (old && was_masked)
		sigaddset(old, IPI);
	if (set && how == SIG_SETMASK) {
		blocked = sigismember(set, IPI);
		masked = blocked;
	}
	return ret;
}

/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef STUB_LINUX_BUILD_BUG_H
#define STUB_LINUX_BUILD_BUG_H

#include <assert.h>

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * methods.h - the methods of the control socket
 */
#ifndef OKL4FSD_CONTROL_METHODS_H
#define OKL4FSD_CONTROL_METHODS_H

#include "control/call.h"

/** control_methods - all of them; the last has no name */
extern const struct control_method control_methods[];

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * leaver.h - channels that were removed while somebody was still to have the rest
 */
#ifndef OKL4FSD_GUEST_LEAVER_H
#define OKL4FSD_GUEST_LEAVER_H

/** guest_leavers_end() - end those of a loop's, which is about to stop, whatever is left; on its thread */
void guest_leavers_end(void *loop);

#endif

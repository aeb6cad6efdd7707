/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * joined.h - the endpoint `channel`
 *
 *	board   the same for channels with sessions
 *	joined  the endpoint
 *	couple  two sessions that are joined
 *	member  all of them: finds a partner
 *	pair    two of them, and what goes from one guest to the other
 *	file    what must outlive the process
 */
#ifndef OKL4FSD_ENDPOINT_JOINED_JOINED_H
#define OKL4FSD_ENDPOINT_JOINED_JOINED_H

#include <stdbool.h>

/**
 * joined_links() - whether an endpoint `channel` of one guest names the other, in whichever direction
 * @guest: name of a guest
 * @other: name of another one, or the same
 *
 * Any thread. Return: true when there is one, joined or not.
 */
bool joined_links(const char *guest, const char *other);

#endif

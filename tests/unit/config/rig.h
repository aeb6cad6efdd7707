/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * rig.h - configurations from a string, and the errors that they must give
 */
#ifndef TESTS_UNIT_CONFIG_RIG_H
#define TESTS_UNIT_CONFIG_RIG_H

#include "config/config.h"

/*
 * In all these texts ` stands for ". Errors are without the file's name and without the end of the
 * last line: "1:12: guests: must be an array, not an object".
 */

/** load() - load a configuration from a string; @errors: to be freed */
int load(const char *text, size_t bytes, struct config **cfg, char **errors);

/** refused() - a text must be refused with exactly these lines */
void refused(const char *text, size_t bytes, const char *lines);

/** accepted() - a text must be accepted; Return: the configuration */
struct config *accepted(const char *text);

/* A guest with one channel, in one line */
#define GUEST(channel) "{`guests`:[{`name`:`g`,`socket`:`/s`,`channels`:[" channel "]}]}"
#define CHANNEL(more)  GUEST("{`name`:`c`,`endpoint`:{`type`:`echo`}" more "}")
#define ENDPOINT(e)    GUEST("{`name`:`c`,`endpoint`:" e "}")
#define IN_GUEST(more)                               \
	"{`guests`:[{`name`:`g`,`socket`:`/s`," more \
	"`channels`:[{`name`:`c`,`endpoint`:{`type`:`echo`}}]}]}"

#endif

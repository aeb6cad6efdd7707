/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * config_schema.h - conf/okl4fsd.schema.json, built in (private to control)
 */
#ifndef OKL4FSD_CONTROL_CONFIG_SCHEMA_H
#define OKL4FSD_CONTROL_CONFIG_SCHEMA_H

/** control_config_schema - JSON with a NUL at its end; its references begin with #/components/schemas/ */
extern const unsigned char control_config_schema[];

#endif

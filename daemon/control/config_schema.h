/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * config_schema.h - conf/okl4fsd.schema.json, built in (private to rpc)
 */
#ifndef OKL4FS_RPC_CONFIG_SCHEMA_H
#define OKL4FS_RPC_CONFIG_SCHEMA_H

/** rpc_config_schema - JSON with a NUL at its end; its references begin with #/components/schemas/ */
extern const unsigned char rpc_config_schema[];

#endif

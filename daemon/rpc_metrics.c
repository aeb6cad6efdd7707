// SPDX-License-Identifier: BSD-3-Clause
/*
 * rpc_metrics.c - metrics by way of the control socket
 */
#include <event2/buffer.h>

#include <json-c/json.h>

#include "metrics.h"
#include "rpc_call.h"
#include "rpc_json.h"

const struct rpc_field rpc_metrics_get_result[] = {
	RPC_FIELD("content_type", RPC_STRING, "Of the text, as in HTTP"),
	RPC_FIELD("text", RPC_STRING, "OpenMetrics"),
	RPC_END,
};

/**
 * rpc_metrics_get() - `metrics.get`
 * @req: request
 * @result: out
 *
 * Return: 0 or RPC_INTERNAL_ERROR.
 */
int rpc_metrics_get(struct rpc_request *req, struct json_object **result)
{
	struct evbuffer *text = evbuffer_new();
	int r = RPC_INTERNAL_ERROR;

	if (!text || metrics_write(req->server, METRICS_OPENMETRICS, text) ||
	    evbuffer_add(text, "", 1)) {
		rpc_refuse(req, RPC_INTERNAL_ERROR, "out of memory");
	} else {
		*result = json_object_new_object();
		rpc_add_string(*result, "content_type", metrics_content_type(METRICS_OPENMETRICS));
		rpc_add_string(*result, "text", (const char *)evbuffer_pullup(text, -1));
		r = 0;
	}
	if (text)
		evbuffer_free(text);
	return r;
}

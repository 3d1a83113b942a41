/* SPDX-License-Identifier: Apache-2.0
 * Server-Sent Events as they go out.
 */
#include "frame.h"

#include <apr_lib.h>
#include <apr_strings.h>
#include <jansson.h>
#include <string.h>

enum { DIGITS = 15 }; /* fewer than would overflow */

/* Reads digits; NULL: there are none, or too many. */
static const char *read_number(const char *text, apr_int64_t *number)
{
    const char *p = text;

    *number = 0;
    while (apr_isdigit(*p) && p - text < DIGITS) {
        *number = *number * 10 + (*p++ - '0');
    }
    return p == text || apr_isdigit(*p) ? NULL : p;
}

apr_status_t gc_event_id_parse(const char *text, gc_event_id_t *id)
{
    memset(id, 0, sizeof(*id));
    if (!text || !*text) {
        return APR_SUCCESS;
    }
    text = read_number(text, &id->fence);
    if (!text || *text != '-') {
        return GC_EINPUT;
    }
    id->is_end = strcmp(++text, "end") == 0;
    if (id->is_end) {
        return APR_SUCCESS;
    }
    text = read_number(text, &id->offset);
    return text && !*text ? APR_SUCCESS : GC_EINPUT;
}

/* The first thing that goes wrong is what counts. */
static void append(gc_membuf_t *out, const char *bytes, apr_size_t len, apr_status_t *status)
{
    if (*status == APR_SUCCESS) {
        *status = gc_membuf_append(out, bytes, len);
    }
}

static void append_text(gc_membuf_t *out, const char *text, apr_status_t *status)
{
    append(out, text, strlen(text), status);
}

void gc_frame_retry(gc_membuf_t *out, apr_interval_time_t delay, apr_status_t *status)
{
    char text[48];

    apr_snprintf(text, sizeof(text), "retry: %" APR_INT64_T_FMT "\n\n", delay / 1000);
    append_text(out, text, status);
}

void gc_frame_heartbeat(gc_membuf_t *out, apr_status_t *status)
{
    append_text(out, ":\n\n", status);
}

/* All of an event up to its data. */
static void append_head(gc_membuf_t *out, const gc_event_id_t *id, const char *name,
                        apr_status_t *status)
{
    char text[96];

    if (id->is_end) {
        apr_snprintf(text, sizeof(text), "id: %" APR_INT64_T_FMT "-end\nevent: ", id->fence);
    } else {
        apr_snprintf(text, sizeof(text),
                     "id: %" APR_INT64_T_FMT "-%" APR_INT64_T_FMT "\nevent: ", id->fence,
                     id->offset);
    }
    append_text(out, text, status);
    append_text(out, name, status);
    append_text(out, "\ndata: ", status);
}

void gc_frame_event(gc_membuf_t *out, const gc_event_id_t *id, const char *name, const char *data,
                    apr_size_t len, apr_status_t *status)
{
    append_head(out, id, name, status);
    append(out, data, len, status);
    append_text(out, "\n\n", status);
}

static int append_cb(const char *bytes, size_t len, void *baton)
{
    return gc_membuf_append(baton, bytes, len) == APR_SUCCESS ? 0 : -1;
}

void gc_frame_delta(gc_membuf_t *out, const gc_event_id_t *id, const char *text, apr_size_t len,
                    apr_status_t *status)
{
    json_t *json = json_stringn_nocheck(text, len);

    append_head(out, id, "delta", status);
    append_text(out, "{\"text\":", status);
    if (*status == APR_SUCCESS
        && (!json || json_dump_callback(json, append_cb, out, JSON_ENCODE_ANY) != 0)) {
        *status = APR_ENOMEM;
    }
    append_text(out, "}\n\n", status);
    json_decref(json);
}

apr_size_t gc_frame_whole(const char *text, apr_size_t len, apr_size_t most)
{
    apr_size_t end = len < most ? len : most, begin;

    /* The last character begins at most three bytes before its end. */
    for (begin = end; begin > 0 && end - begin < 4; begin--) {
        unsigned char byte = (unsigned char)text[begin - 1];
        apr_size_t size = byte < 0x80 ? 1 : byte < 0xC0 ? 0 : byte < 0xE0 ? 2 : byte < 0xF0 ? 3 : 4;

        if (size) {
            return begin - 1 + size <= end ? begin - 1 + size : begin - 1;
        }
    }
    return end;
}

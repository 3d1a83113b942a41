/* SPDX-License-Identifier: Apache-2.0
 * An incremental reader of event streams. */
#include "sse.h"

#include <string.h>

#include "core/membuf.h"

#define BOM "\xEF\xBB\xBF"
#define BOM_SIZE (sizeof(BOM) - 1)
#define NAME "data"
#define NAME_SIZE (sizeof(NAME) - 1)

typedef enum {
    AT_START, /* of the stream: a byte order mark may come */
    IN_NAME,  /* from a line's start, as long as it may become the field `data` */
    IN_SPACE, /* behind the colon: one space is not part of the value */
    IN_VALUE,
    IN_OTHER, /* in a comment or another field */
    IN_BARE,
} place_e;

struct gc_sse_t {
    gc_sse_event_cb *on_event;
    void *baton;
    place_e place;
    apr_size_t matched;    /* bytes of BOM or NAME */
    unsigned after_cr : 1; /* a LF that comes now belongs to the CR before it */
    unsigned has_data : 1; /* the event under way has a `data` field, be it an empty one */
    gc_membuf_t data;
};

gc_sse_t *gc_sse_create(apr_pool_t *pool, apr_size_t max, gc_sse_event_cb *on_event, void *baton)
{
    gc_sse_t *sse = apr_pcalloc(pool, sizeof(*sse));

    sse->on_event = on_event;
    sse->baton = baton;
    gc_membuf_init(&sse->data, pool, max);
    return sse;
}

static apr_status_t begin_value(gc_sse_t *sse)
{
    apr_status_t status = sse->has_data ? gc_membuf_append(&sse->data, "\n", 1) : APR_SUCCESS;

    sse->has_data = 1;
    sse->place = IN_SPACE;
    return status;
}

static apr_status_t dispatch(gc_sse_t *sse)
{
    apr_status_t status = APR_SUCCESS;

    if (sse->has_data) {
        status = sse->on_event(sse->baton, GC_SSE_EVENT, sse->data.bytes, sse->data.length);
        gc_membuf_clear(&sse->data);
        sse->has_data = 0;
    }
    return status;
}

static apr_status_t end_line(gc_sse_t *sse)
{
    apr_status_t status = APR_SUCCESS;

    if (sse->place == IN_NAME && sse->matched == 0) {
        status = dispatch(sse);
    } else if (sse->place == IN_NAME && sse->matched == NAME_SIZE) {
        status = begin_value(sse); /* `data` without a colon has an empty value */
    }
    sse->place = IN_NAME;
    sse->matched = 0;
    return status;
}

static apr_status_t take_name_byte(gc_sse_t *sse, char byte)
{
    if (sse->matched == NAME_SIZE && byte == ':') {
        return begin_value(sse);
    }
    if (sse->matched < NAME_SIZE && byte == NAME[sse->matched]) {
        sse->matched++;
    } else {
        sse->place = IN_OTHER;
    }
    return APR_SUCCESS;
}

/* Skips what there is of a byte order mark. One that breaks off is the start of a field that
 * nobody knows. */
static const char *skip_bom(gc_sse_t *sse, const char *at, const char *end)
{
    while (at < end && sse->matched < BOM_SIZE && *at == BOM[sse->matched]) {
        sse->matched++;
        at++;
    }
    if (at < end || sse->matched == BOM_SIZE) {
        sse->place = sse->matched == 0 || sse->matched == BOM_SIZE ? IN_NAME : IN_OTHER;
        sse->matched = 0;
    }
    return at;
}

static const char *find_line_end(const char *at, const char *end)
{
    while (at < end && *at != '\n' && *at != '\r') {
        at++;
    }
    return at;
}

/* Takes what is left of a line after its field's name. */
static apr_status_t take_rest(gc_sse_t *sse, const char *at, const char *stop)
{
    if (sse->place == IN_SPACE && at < stop) {
        at += *at == ' ';
        sse->place = IN_VALUE;
    }
    if (sse->place != IN_VALUE) {
        return APR_SUCCESS;
    }
    return gc_membuf_append(&sse->data, at, (apr_size_t)(stop - at));
}

/* Takes the bytes up to and with the end of the line, as far as there are any. */
static apr_status_t take_line(gc_sse_t *sse, const char **position, const char *end)
{
    const char *at = *position, *stop = find_line_end(at, end);
    apr_status_t status = APR_SUCCESS;

    while (at < stop && sse->place == IN_NAME && status == APR_SUCCESS) {
        status = take_name_byte(sse, *at++);
    }
    if (status == APR_SUCCESS) {
        status = take_rest(sse, at, stop);
    }
    if (stop < end && status == APR_SUCCESS) {
        sse->after_cr = *stop++ == '\r';
        status = end_line(sse);
    }
    *position = stop;
    return status;
}

/* An event that is not dispatched when a bare body begins never will be. */
static int is_bare(gc_sse_t *sse, char byte)
{
    if (sse->place == IN_NAME && sse->matched == 0 && (byte == '{' || byte == '[')) {
        sse->place = IN_BARE;
        gc_membuf_clear(&sse->data);
    }
    return sse->place == IN_BARE;
}

apr_status_t gc_sse_feed(gc_sse_t *sse, const char *bytes, apr_size_t length)
{
    const char *at = bytes, *end = bytes + length;
    apr_status_t status = APR_SUCCESS;

    if (sse->place == AT_START) {
        at = skip_bom(sse, at, end);
    }
    while (at < end && status == APR_SUCCESS) {
        int after_cr = sse->after_cr;

        sse->after_cr = 0;
        if (after_cr && *at == '\n') {
            at++;
        } else if (is_bare(sse, *at)) {
            status = gc_membuf_append(&sse->data, at, (apr_size_t)(end - at));
            at = end;
        } else {
            status = take_line(sse, &at, end);
        }
    }
    return status;
}

apr_status_t gc_sse_end(gc_sse_t *sse)
{
    if (sse->place == IN_BARE) {
        return sse->on_event(sse->baton, GC_SSE_BARE, sse->data.bytes, sse->data.length);
    }
    return sse->has_data || sse->place > IN_NAME || sse->matched > 0 ? APR_INCOMPLETE : APR_SUCCESS;
}

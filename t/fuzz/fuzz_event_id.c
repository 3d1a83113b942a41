/* SPDX-License-Identifier: Apache-2.0
 * Last-Event-ID, and what a client that sends it gets of a reply that has ended. The input is the
 * id and a number on one line, then a text: the reply is that text, so many times.
 *
 * Whoever comes back, with whatever id, has the whole reply afterwards.
 */
#include "fuzz.h"

#include <stdlib.h>
#include <string.h>

#include <apr_strings.h>
#include <jansson.h>

#include "stream/frame.h"
#include "stream/replay.h"

enum { FENCE = 7, MOST = 40 * 1024 };

static const char *print(apr_pool_t *pool, const gc_event_id_t *id)
{
    return id->is_end ? apr_psprintf(pool, "%" APR_INT64_T_FMT "-end", id->fence)
                      : apr_psprintf(pool, "%" APR_INT64_T_FMT "-%" APR_INT64_T_FMT, id->fence,
                                     id->offset);
}

/* An id that is taken is the same as the one that we would have given. */
static void check_id(apr_pool_t *pool, const gc_event_id_t *id)
{
    gc_event_id_t again;

    HOLDS(id->fence >= 0 && id->offset >= 0);
    HOLDS(gc_event_id_parse(print(pool, id), &again) == APR_SUCCESS);
    HOLDS(again.fence == id->fence && again.offset == id->offset && again.is_end == id->is_end);
}

/* --- A client ------------------------------------------------------------- */

typedef struct {
    gc_event_id_t at;
    char *text; /* what it has of the reply */
    size_t len;
    int ended;
} client_t;

/* Cuts a part off the frame: from a word to the end of its line. */
static char *take_field(char **frame, const char *word)
{
    char *value = *frame + strlen(word), *end = strchr(*frame, '\n');

    HOLDS(strncmp(*frame, word, strlen(word)) == 0 && end);
    *end = '\0';
    *frame = end + 1;
    return value;
}

static void take_delta(client_t *client, const char *data)
{
    json_t *json = json_loads(data, 0, NULL);
    const json_t *text = json_object_get(json, "text");
    size_t len = json_string_length(text);

    HOLDS(json_is_string(text) && len > 0 && client->len + len <= MOST);
    memcpy(client->text + client->len, json_string_value(text), len);
    client->len += len;
    HOLDS(client->at.offset == (apr_int64_t)client->len);
    json_decref(json);
}

/* One event; returns what is behind it. */
static char *take_event(client_t *client, char *frame)
{
    const char *id = take_field(&frame, "id: ");
    const char *name = take_field(&frame, "event: ");
    const char *data = take_field(&frame, "data: ");

    HOLDS(!client->ended && gc_event_id_parse(id, &client->at) == APR_SUCCESS);
    HOLDS(client->at.fence == FENCE && *frame == '\n');
    if (strcmp(name, "reset") == 0) {
        HOLDS(client->at.offset == 0 && !client->at.is_end);
        client->len = 0;
    } else if (strcmp(name, "delta") == 0) {
        take_delta(client, data);
    } else {
        HOLDS(strcmp(name, "done") == 0 && client->at.is_end);
        client->ended = 1;
    }
    return frame + 1;
}

/* What a client has that tells this id: where it is no id of this reply, anything. */
static void begin(client_t *client, const gc_event_id_t *from, const char *reply, size_t len)
{
    client->at = *from;
    if (from->fence == FENCE && (size_t)from->offset <= len) {
        client->len = (size_t)from->offset;
        memcpy(client->text, reply, client->len);
    } else if (from->offset > 0) {
        client->text[0] = '?';
        client->len = 1;
    }
}

static void check_replay(apr_pool_t *pool, const gc_event_id_t *from, const char *reply)
{
    gc_message_t message = {.id = 2, .status = "done", .content = reply, .fence = FENCE};
    gc_membuf_t *out = apr_palloc(pool, sizeof(*out));
    client_t client = {.text = apr_palloc(pool, MOST)};
    apr_status_t status = APR_SUCCESS;
    size_t len = strlen(reply);
    char *at;

    gc_membuf_init(out, pool, (apr_size_t)16 * MOST);
    gc_replay_all(out, from, &message, "{\"id\":2}", &status);
    HOLDS(status == APR_SUCCESS && gc_membuf_append(out, "", 1) == APR_SUCCESS);
    begin(&client, from, reply, len);
    for (at = out->bytes; *at;) {
        at = take_event(&client, at);
    }
    HOLDS(client.ended && client.len == len && memcmp(client.text, reply, len) == 0);
}

static const char *repeat(apr_pool_t *pool, const uint8_t *data, size_t size, long times)
{
    size_t i, most = size ? MOST / size : 0;
    size_t count = times < 1 ? 1 : (size_t)times < most ? (size_t)times : most;
    char *text = apr_palloc(pool, count * size + 1);

    for (i = 0; i < count && size; i++) {
        memcpy(text + i * size, data, size);
    }
    text[count * size] = '\0';
    return text;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    apr_pool_t *pool = fuzz_pool();
    char *line = fuzz_line(pool, &data, &size);
    char *last = strchr(line, ' ');
    gc_event_id_t id;

    if (last) {
        *last++ = '\0';
    }
    if (gc_event_id_parse(line, &id) == APR_SUCCESS) {
        check_id(pool, &id);
        if (!id.is_end && size <= MOST && fuzz_is_text((const char *)data, size)) {
            check_replay(pool, &id, repeat(pool, data, size, last ? atol(last) : 1));
        }
    }
    apr_pool_destroy(pool);
    return 0;
}

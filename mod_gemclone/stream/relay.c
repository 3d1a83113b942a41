/* SPDX-License-Identifier: Apache-2.0
 * Processes and hosts hand each other the text of running replies.
 *
 * What is said, in words and numbers with one blank between them:
 *   to all        W REPLY ROOM FENCE HAVE NAME      wanted
 *                 U REPLY ROOM NAME                 unwanted
 *   to NAME       T REPLY ROOM FENCE FROM BYTES...  text
 *                 E REPLY ROOM                      ended
 */
#include "relay.h"

#include <apr_lib.h>
#include <apr_strings.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

enum { HEAD = 192 };

struct gc_relay_t {
    gc_link_t *link;
    gc_relay_handler_t handler;
    char name[GC_RELAY_NAME + 1];
    const char *all, *to; /* the channel of all; what stands before a name in its channel */
    gc_link_listener_t hears_all, hears_own;
    int open; /* channels; both must be */
};

/* --- Saying -------------------------------------------------------------- */

static void say(gc_relay_t *r, const char *channel, const char *head, const char *bytes,
                apr_size_t len)
{
    char small[1024], *text = small;
    apr_size_t head_len = strlen(head);
    const char *argv[] = {"PUBLISH", channel, NULL};
    size_t lens[] = {7, strlen(channel), head_len + len};

    if (head_len + len > sizeof(small) && !(text = malloc(head_len + len))) {
        return; /* whoever lacks it asks again */
    }
    memcpy(text, head, head_len);
    if (len) {
        memcpy(text + head_len, bytes, len);
    }
    argv[2] = text;
    gc_loop_link_say(r->link, NULL, NULL, 3, argv, lens);
    if (text != small) {
        free(text);
    }
}

/* "W REPLY ROOM", or another letter. */
static int write_key(char *head, apr_size_t size, char letter, const gc_relay_key_t *key)
{
    char hex[2 * sizeof(key->room.bytes) + 1];

    sodium_bin2hex(hex, sizeof(hex), key->room.bytes, sizeof(key->room.bytes));
    return apr_snprintf(head, size, "%c %" APR_INT64_T_FMT " %s", letter, key->reply, hex);
}

void gc_loop_relay_want(gc_relay_t *relay, const gc_relay_key_t *key, apr_int64_t fence,
                        apr_size_t have)
{
    char head[HEAD];
    int len = write_key(head, sizeof(head), 'W', key);

    apr_snprintf(head + len, sizeof(head) - (size_t)len,
                 " %" APR_INT64_T_FMT " %" APR_SIZE_T_FMT " %s", fence, have, relay->name);
    say(relay, relay->all, head, NULL, 0);
}

void gc_loop_relay_unwant(gc_relay_t *relay, const gc_relay_key_t *key)
{
    char head[HEAD];
    int len = write_key(head, sizeof(head), 'U', key);

    apr_snprintf(head + len, sizeof(head) - (size_t)len, " %s", relay->name);
    say(relay, relay->all, head, NULL, 0);
}

static void say_to(gc_relay_t *r, const char *name, const char *head, const char *bytes,
                   apr_size_t len)
{
    char channel[256];

    apr_snprintf(channel, sizeof(channel), "%s%s", r->to, name);
    say(r, channel, head, bytes, len);
}

void gc_loop_relay_text(gc_relay_t *relay, const char *name, const gc_relay_key_t *key,
                        apr_int64_t fence, apr_size_t from, const char *bytes, apr_size_t len)
{
    char head[HEAD];
    int at = write_key(head, sizeof(head), 'T', key);

    apr_snprintf(head + at, sizeof(head) - (size_t)at, " %" APR_INT64_T_FMT " %" APR_SIZE_T_FMT " ",
                 fence, from);
    say_to(relay, name, head, bytes, len);
}

void gc_loop_relay_end(gc_relay_t *relay, const char *name, const gc_relay_key_t *key)
{
    char head[HEAD];

    write_key(head, sizeof(head), 'E', key);
    say_to(relay, name, head, NULL, 0);
}

/* --- Hearing ------------------------------------------------------------- */

/* Reads numbers, each with a blank before it; returns what is behind them, or NULL. */
static const char *read_numbers(const char *text, const char *end, apr_int64_t *numbers, int count)
{
    while (text && count-- > 0) {
        const char *digits = text + 1, *p = digits;

        *numbers = 0;
        while (p < end && apr_isdigit(*p) && p - digits < 18) {
            *numbers = *numbers * 10 + (*p++ - '0');
        }
        text = text < end && *text == ' ' && p > digits ? p : NULL;
        numbers++;
    }
    return text;
}

/* Reads reply and room behind the letter; returns what is behind them, or NULL. */
static const char *read_key(const redisReply *message, gc_relay_key_t *key)
{
    const char *text, *end = message->str + message->len;
    size_t len = 2 * sizeof(key->room.bytes), got = 0;

    if (message->type != REDIS_REPLY_STRING || message->len < 2) {
        return NULL;
    }
    text = read_numbers(message->str + 1, end, &key->reply, 1);
    if (!text || (size_t)(end - text) < len + 1 || *text != ' '
        || sodium_hex2bin(key->room.bytes, sizeof(key->room.bytes), text + 1, len, NULL, &got, NULL)
               != 0
        || got != sizeof(key->room.bytes)) {
        return NULL;
    }
    return text + 1 + len;
}

/* A blank and a name at the end of a message; or NULL. */
static const char *read_name(const gc_relay_t *r, const char *text, const char *end)
{
    return text && end - text == 1 + GC_RELAY_NAME && *text == ' '
                   && memcmp(text + 1, r->name, GC_RELAY_NAME) != 0
               ? text + 1
               : NULL;
}

static void heard_all(void *baton, const redisReply *message)
{
    gc_relay_t *r = baton;
    const gc_relay_handler_t *h = &r->handler;
    gc_relay_key_t key;
    const char *text = read_key(message, &key), *end = message->str + message->len, *name;
    apr_int64_t n[2];

    if (!text) {
        return;
    }
    name = read_name(r, *message->str == 'W' ? read_numbers(text, end, n, 2) : text, end);
    if (name && *message->str == 'W') {
        h->wanted(h->baton, &key, n[0], (apr_size_t)n[1], name);
    } else if (name && *message->str == 'U') {
        h->unwanted(h->baton, &key, name);
    }
}

static void heard_own(void *baton, const redisReply *message)
{
    const gc_relay_handler_t *h = &((gc_relay_t *)baton)->handler;
    gc_relay_key_t key;
    const char *text = read_key(message, &key), *end = message->str + message->len;
    apr_int64_t n[2];

    if (text && *message->str == 'E' && text == end) {
        h->ended(h->baton, &key);
    } else if (text && *message->str == 'T' && (text = read_numbers(text, end, n, 2)) && text < end
               && *text == ' ') {
        h->text(h->baton, &key, n[0], (apr_size_t)n[1], text + 1, (apr_size_t)(end - text - 1));
    }
}

static void opened(void *baton, long long ear)
{
    gc_relay_t *r = baton;

    (void)ear;
    if (++r->open == 2) {
        r->handler.hears(r->handler.baton, 1);
    }
}

static void lost(void *baton)
{
    gc_relay_t *r = baton;

    if (r->open-- == 2) {
        r->handler.hears(r->handler.baton, 0);
    }
}

gc_relay_t *gc_loop_relay_start(apr_pool_t *pool, gc_link_t *link, const char *prefix,
                                const gc_relay_handler_t *handler)
{
    gc_relay_t *r = apr_pcalloc(pool, sizeof(*r));
    unsigned char bytes[GC_RELAY_NAME / 2];

    r->link = link;
    r->handler = *handler;
    randombytes_buf(bytes, sizeof(bytes));
    sodium_bin2hex(r->name, sizeof(r->name), bytes, sizeof(bytes));
    r->all = apr_pstrcat(pool, prefix, "replies", NULL);
    r->to = apr_pstrcat(pool, prefix, "to:", NULL);
    r->hears_all = (gc_link_listener_t){
        .channel = r->all, .opened = opened, .lost = lost, .heard = heard_all, .baton = r};
    r->hears_own = r->hears_all;
    r->hears_own.channel = apr_pstrcat(pool, r->to, r->name, NULL);
    r->hears_own.heard = heard_own;
    gc_loop_link_listen(link, &r->hears_all);
    gc_loop_link_listen(link, &r->hears_own);
    return r;
}

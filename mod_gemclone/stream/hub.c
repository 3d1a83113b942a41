/* SPDX-License-Identifier: Apache-2.0
 * Who reads which reply along, and what each of them is still to get.
 */
#include "hub.h"

#include <apr_hash.h>
#include <stdlib.h>
#include <string.h>

#include "core/timeval.h"
#include "ends.h"
#include "relay.h"
#include "replay.h"

/* The most text in one message to another process. */
enum { RELAY_PIECE = 64 * 1024 };

/* Of one reply; there are as many as processes with readers of it. */
enum { MOST_FOLLOWERS = 256 };

/* Text for other processes is gathered for so long, and a reply that is read for the first
 * time has so long to be generated here before others are asked. */
static const struct timeval soon = {.tv_usec = 20000};
static const struct timeval second = {.tv_sec = 1};

/* A follower says again and again that it is one, and is forgotten when it does not. */
#define WANT_AGAIN apr_time_from_sec(5)
#define FORGET_AFTER apr_time_from_sec(15)

/* With Redis, Postgres is asked so many times less often: it is a safety net then. */
#define POLL_FACTOR 5

/* Another process that has readers of a reply which is generated here. */
typedef struct {
    char name[GC_RELAY_NAME + 1];
    gc_uuid_t room; /* of the reply that it means */
    apr_int64_t fence;
    apr_size_t sent; /* of the text under that fence */
    int was_told;    /* of that fence */
    apr_time_t until;
} follower_t;

typedef struct gc_topic_t topic_t;
struct gc_topic_t {
    APR_RING_ENTRY(gc_topic_t) fresh, unsent; /* in these lists, or alone */
    apr_uint64_t serial;
    gc_reply_ref_t ref; /* the user is that of the viewers, if there are any */
    APR_RING_HEAD(viewers_t, gc_viewer_t) viewers;

    int is_local;     /* generated here: the text is the worker's */
    const char *text; /* of the try under this fence, as far as it is known; fence 0: of none */
    apr_size_t len;
    apr_int64_t fence;
    apr_pool_t *pool;  /* holds copy; NULL: there is none */
    gc_membuf_t *copy; /* of another process' text */
    gc_ending_t *end;  /* in one piece of memory; or NULL */

    int is_asked, ask_again; /* Postgres, for the end */
    apr_time_t asked, wanted;
    follower_t *followers;
    int follower_count;
    int is_held; /* in use further up: not to be freed */
};

/* What one viewer was written last may be what the next one needs, too. */
typedef struct {
    apr_uint64_t serial;
    apr_int64_t fence;
    apr_size_t len;
    int has_end;
    gc_event_id_t from, to;
    int is_last;
} frames_key_t;

struct gc_hub_t {
    gc_hub_options_t options;
    apr_pool_t *pool;
    struct event_base *base;
    gc_sink_t sink;
    gc_relay_t *relay; /* or NULL */
    int hears;         /* the relay */
    gc_ends_t *ends;
    apr_hash_t *topics; /* apr_int64_t reply -> topic_t * */
    apr_uint64_t serial;
    APR_RING_HEAD(fresh_t, gc_topic_t) fresh;   /* read, but not generated here */
    APR_RING_HEAD(unsent_t, gc_topic_t) unsent; /* with text for followers */
    APR_RING_HEAD(beats_t, gc_viewer_t) beats;  /* all viewers */
    struct event *soon, *second, *drain;
    int is_over; /* no stream goes on */
    gc_membuf_t frames;
    frames_key_t key; /* of what is in frames */
};

/* --- Topics -------------------------------------------------------------- */

static topic_t *find(gc_hub_t *hub, apr_int64_t reply)
{
    return apr_hash_get(hub->topics, &reply, sizeof(reply));
}

static topic_t *find_or_make(gc_hub_t *hub, apr_int64_t reply)
{
    topic_t *t = find(hub, reply);

    if (!t) {
        t = calloc(1, sizeof(*t));
        if (!t) {
            abort(); /* as APR does: httpd starts another child, and leases run out */
        }
        t->ref.reply = reply;
        t->serial = ++hub->serial;
        APR_RING_INIT(&t->viewers, gc_viewer_t, link);
        APR_RING_ELEM_INIT(t, fresh);
        APR_RING_ELEM_INIT(t, unsent);
        apr_hash_set(hub->topics, &t->ref.reply, sizeof(t->ref.reply), t);
    }
    return t;
}

static gc_relay_key_t key_of(const topic_t *t)
{
    gc_relay_key_t key = {t->ref.reply, t->ref.room};

    return key;
}

static int is_read(const topic_t *t)
{
    return !APR_RING_EMPTY(&t->viewers, gc_viewer_t, link);
}

/* Whether it has readers to whom nobody here tells anything. */
static int is_waiting(const topic_t *t)
{
    return is_read(t) && !t->is_local && !t->end;
}

static void free_topic(gc_hub_t *hub, topic_t *t)
{
    apr_hash_set(hub->topics, &t->ref.reply, sizeof(t->ref.reply), NULL);
    APR_RING_REMOVE(t, fresh);
    APR_RING_REMOVE(t, unsent);
    if (t->pool) {
        apr_pool_destroy(t->pool);
    }
    free(t->end);
    free(t->followers);
    free(t);
}

/* Forgets a topic that is of no use to anybody. */
static void check_use(gc_hub_t *hub, topic_t *t)
{
    if (t->is_held || is_read(t) || t->is_local || t->follower_count) {
        return;
    }
    if (t->wanted && hub->hears) {
        gc_relay_key_t key = key_of(t);

        gc_loop_relay_unwant(hub->relay, &key);
    }
    free_topic(hub, t);
}

static void come_soon(gc_hub_t *hub)
{
    if (!event_pending(hub->soon, EV_TIMEOUT, NULL)) {
        event_add(hub->soon, &soon);
    }
}

static void put_fresh(gc_hub_t *hub, topic_t *t)
{
    APR_RING_REMOVE(t, fresh);
    APR_RING_INSERT_TAIL(&hub->fresh, t, gc_topic_t, fresh);
    come_soon(hub);
}

static void put_unsent(gc_hub_t *hub, topic_t *t)
{
    if (t->follower_count && hub->hears) {
        APR_RING_REMOVE(t, unsent);
        APR_RING_INSERT_TAIL(&hub->unsent, t, gc_topic_t, unsent);
        come_soon(hub);
    }
}

/* Has Postgres asked for the end; the answer comes to end_found. */
static void ask(gc_hub_t *hub, topic_t *t)
{
    if (!is_read(t) || t->end) {
        return;
    }
    if (t->is_asked) {
        t->ask_again = 1; /* what is on its way may have been answered too early */
        return;
    }
    t->is_asked = 1;
    t->asked = apr_time_now();
    gc_loop_ends_ask(hub->ends, &t->ref);
}

/* --- What a viewer is to get next ---------------------------------------- */

static int is_same_id(const gc_event_id_t *a, const gc_event_id_t *b)
{
    return a->fence == b->fence && a->offset == b->offset && a->is_end == b->is_end;
}

/* Fills hub->frames for a viewer and moves its place. Returns 1 when those are its last, 0 when
 * more may follow; -1: without memory. */
static int make_frames(gc_hub_t *hub, gc_viewer_t *v)
{
    const topic_t *t = v->topic;
    const gc_ending_t *end = t->end;
    frames_key_t key = {.serial = t->serial,
                        .fence = end ? end->fence : t->fence,
                        .len = end ? end->len : t->len,
                        .has_end = end != NULL,
                        .from = v->at,
                        .to = v->at};
    const frames_key_t *had = &hub->key;
    apr_status_t rv = APR_SUCCESS;

    if (had->serial != key.serial || had->fence != key.fence || had->len != key.len
        || had->has_end != key.has_end || !is_same_id(&had->from, &key.from)) {
        gc_membuf_clear(&hub->frames);
        if (key.fence) {
            gc_replay_text(&hub->frames, &key.to, key.fence, end ? end->text : t->text, key.len,
                           key.has_end, &rv);
        }
        key.is_last = end && gc_replay_end(&hub->frames, &key.to, end, &rv);
        hub->key = key;
    }
    if (rv != APR_SUCCESS) {
        hub->key.serial = 0;
        return -1;
    }
    v->at = hub->key.to;
    return hub->key.is_last;
}

/* --- Viewers ------------------------------------------------------------- */

static void forget_viewer(gc_viewer_t *v)
{
    APR_RING_REMOVE(v, link);
    APR_RING_REMOVE(v, beat);
    v->topic = NULL;
}

static void end_viewer(gc_viewer_t *v, int dropped)
{
    forget_viewer(v);
    v->type->end(v, dropped);
}

static void drop_slow(gc_hub_t *hub, gc_viewer_t *v)
{
    gc_metrics_count(hub->options.metrics, GC_COUNT_STREAM_DROPPED);
    gc_log(hub->options.log, GEM0602, "reply %" APR_INT64_T_FMT ": a reader was dropped: too slow",
           v->ref.reply);
    end_viewer(v, 1);
}

void gc_loop_hub_wrote(gc_hub_t *hub, gc_viewer_t *viewer)
{
    if (viewer->topic) {
        viewer->written = apr_time_now();
        APR_RING_REMOVE(viewer, beat);
        APR_RING_INSERT_TAIL(&hub->beats, viewer, gc_viewer_t, beat);
    }
}

/* Whether it is still there. */
static int write_frames(gc_hub_t *hub, gc_viewer_t *v, const char *bytes, apr_size_t len)
{
    int state = v->type->write(v, bytes, len);

    gc_loop_hub_wrote(hub, v);
    if (state == GC_VIEWER_FULL && !v->is_full) {
        v->is_full = 1;
        v->full_at = v->topic->len;
    }
    if (state == GC_VIEWER_GONE) {
        end_viewer(v, 1);
    }
    return state != GC_VIEWER_GONE;
}

/* Writes to one viewer until it has all there is, is full, or is done. The topic is held. */
static void pump(gc_hub_t *hub, gc_viewer_t *v)
{
    int is_last = 0;

    while (!is_last && !v->is_full) {
        is_last = make_frames(hub, v);
        if (is_last < 0) {
            end_viewer(v, 1);
            return;
        }
        if (!hub->frames.length || !write_frames(hub, v, hub->frames.bytes, hub->frames.length)) {
            return;
        }
    }
    if (is_last) {
        end_viewer(v, 0);
    } else if (v->topic->len > v->full_at + hub->options.buffer && !v->topic->end) {
        drop_slow(hub, v);
    }
}

/* The same for whoever does not hold the topic, which may be forgotten after that. */
static void pump_one(gc_hub_t *hub, gc_viewer_t *v)
{
    topic_t *t = v->topic;

    t->is_held = 1;
    pump(hub, v);
    t->is_held = 0;
    check_use(hub, t);
}

/* Writes to all viewers of a topic, which may be forgotten after that. */
static void pump_all(gc_hub_t *hub, topic_t *t)
{
    gc_viewer_t *v, *next;

    t->is_held = 1;
    for (v = APR_RING_FIRST(&t->viewers); v != APR_RING_SENTINEL(&t->viewers, gc_viewer_t, link);
         v = next) {
        next = APR_RING_NEXT(v, link);
        pump(hub, v);
    }
    t->is_held = 0;
    check_use(hub, t);
}

/* A stream that is over for a reason of ours: its client is to come back. */
static void send_away(gc_hub_t *hub, gc_viewer_t *v)
{
    apr_status_t rv = APR_SUCCESS;

    hub->key.serial = 0;
    gc_membuf_clear(&hub->frames);
    gc_replay_farewell(&hub->frames, &rv);
    if (rv == APR_SUCCESS) {
        (void)v->type->write(v, hub->frames.bytes, hub->frames.length);
    }
}

void gc_loop_hub_attach(gc_hub_t *hub, gc_viewer_t *viewer)
{
    topic_t *t;

    viewer->is_full = 0;
    if (hub->is_over) {
        viewer->topic = NULL;
        send_away(hub, viewer);
        viewer->type->end(viewer, 0);
        return;
    }
    t = find_or_make(hub, viewer->ref.reply);
    t->ref = viewer->ref;
    viewer->topic = t;
    viewer->written = apr_time_now();
    APR_RING_ELEM_INIT(viewer, link);
    APR_RING_ELEM_INIT(viewer, beat);
    APR_RING_INSERT_TAIL(&t->viewers, viewer, gc_viewer_t, link);
    APR_RING_INSERT_TAIL(&hub->beats, viewer, gc_viewer_t, beat);
    if (!t->is_local && !t->end) {
        put_fresh(hub, t);
    }
    pump_one(hub, viewer);
}

void gc_loop_hub_detach(gc_hub_t *hub, gc_viewer_t *viewer)
{
    topic_t *t = viewer->topic;

    if (t) {
        forget_viewer(viewer);
        check_use(hub, t);
    }
}

void gc_loop_hub_ready(gc_hub_t *hub, gc_viewer_t *viewer)
{
    viewer->is_full = 0;
    if (viewer->topic) {
        pump_one(hub, viewer);
    }
}

/* --- The end, from Postgres ---------------------------------------------- */

static const gc_message_t gone = {.status = "failed", .content = ""};
static const char gone_description[] =
    "{\"status\":\"failed\",\"error\":\"gone\",\"error_detail\":\"The reply was deleted.\"}";

/* Keeps what is borrowed, in one piece. */
static gc_ending_t *keep_end(const gc_message_t *message, const char *description)
{
    gc_ending_t borrowed, *end;
    apr_size_t size;
    char *copy;

    gc_ending_of(&borrowed, message, description);
    size = strlen(description) + 1;
    end = malloc(sizeof(*end) + borrowed.len + 1 + size);
    if (!end) {
        abort();
    }
    *end = borrowed;
    copy = (char *)(end + 1);
    end->text = memcpy(copy, borrowed.text, borrowed.len + 1);
    end->description = memcpy(copy + borrowed.len + 1, description, size);
    return end;
}

static void end_answered(void *baton, apr_int64_t reply)
{
    topic_t *t = find(baton, reply);

    if (t) {
        t->is_asked = 0;
        if (t->ask_again) {
            t->ask_again = 0;
            ask(baton, t);
        }
    }
}

static void end_found(void *baton, apr_int64_t reply, const gc_reply_end_t *end,
                      const char *description)
{
    gc_hub_t *hub = baton;
    topic_t *t = find(hub, reply);

    if (!t || t->end || (!end->gone && !description)) {
        return;
    }
    t->end = end->gone ? keep_end(&gone, gone_description) : keep_end(&end->message, description);
    t->ask_again = 0;
    pump_all(hub, t);
}

/* --- What the worker tells ----------------------------------------------- */

static void sink_text(void *baton, const gc_uuid_t *room, apr_int64_t reply, apr_int64_t fence,
                      const char *text, apr_size_t len)
{
    gc_hub_t *hub = baton;
    topic_t *t = find_or_make(hub, reply);

    if (t->is_local && fence < t->fence) {
        return; /* a try that was lost, and does not know it yet */
    }
    t->ref.room = *room;
    t->is_local = 1;
    t->fence = fence;
    t->text = text;
    t->len = len;
    put_unsent(hub, t);
    if (is_read(t)) {
        pump_all(hub, t);
    }
}

static void send_text(gc_hub_t *hub, topic_t *t);

static void tell_end(gc_hub_t *hub, topic_t *t)
{
    gc_relay_key_t key = key_of(t);
    int i;

    for (i = 0; i < t->follower_count && hub->hears; i++) {
        if (gc_uuid_equal(&t->followers[i].room, &t->ref.room)) {
            gc_loop_relay_end(hub->relay, t->followers[i].name, &key);
        }
    }
    t->follower_count = 0;
}

static void sink_left(void *baton, apr_int64_t reply, apr_int64_t fence, int ended)
{
    gc_hub_t *hub = baton;
    topic_t *t = find(hub, reply);

    if (!t || (t->is_local && fence < t->fence)) {
        return;
    }
    send_text(hub, t);
    t->is_local = 0;
    t->text = NULL;
    t->len = 0;
    if (ended) {
        tell_end(hub, t);
        ask(hub, t);
    } else if (is_read(t)) {
        put_fresh(hub, t);
    }
    check_use(hub, t);
}

/* --- The relay ----------------------------------------------------------- */

static void send_to(gc_hub_t *hub, const topic_t *t, follower_t *f)
{
    gc_relay_key_t key = key_of(t);

    if (!gc_uuid_equal(&f->room, &t->ref.room)) {
        return;
    }
    if (f->fence != t->fence) {
        f->fence = t->fence;
        f->sent = 0;
        f->was_told = 0;
    }
    do {
        apr_size_t piece = t->len - f->sent;

        piece = piece < RELAY_PIECE ? piece : RELAY_PIECE;
        if (piece || !f->was_told) {
            gc_loop_relay_text(hub->relay, f->name, &key, t->fence, f->sent, t->text + f->sent,
                               piece);
        }
        f->was_told = 1;
        f->sent += piece;
    } while (f->sent < t->len);
}

/* Gives all followers of a reply that is generated here what they lack. */
static void send_text(gc_hub_t *hub, topic_t *t)
{
    int i;

    APR_RING_REMOVE(t, unsent);
    APR_RING_ELEM_INIT(t, unsent);
    for (i = 0; t->is_local && hub->hears && i < t->follower_count; i++) {
        send_to(hub, t, &t->followers[i]);
    }
}

static follower_t *find_follower(topic_t *t, const char *name)
{
    int i;

    for (i = 0; i < t->follower_count; i++) {
        if (memcmp(t->followers[i].name, name, GC_RELAY_NAME) == 0) {
            return &t->followers[i];
        }
    }
    return NULL;
}

static follower_t *add_follower(topic_t *t, const char *name)
{
    follower_t *all, *f;

    if (t->follower_count >= MOST_FOLLOWERS) {
        return NULL;
    }
    all = realloc(t->followers, sizeof(*all) * (size_t)(t->follower_count + 1));
    if (!all) {
        return NULL;
    }
    t->followers = all;
    f = &all[t->follower_count++];
    memset(f, 0, sizeof(*f));
    memcpy(f->name, name, GC_RELAY_NAME);
    return f;
}

/* gcc does not see that followers which have moved are the topic's. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wanalyzer-malloc-leak"

/* Remembered also where the reply is not generated here, or not yet: it may be soon. */
static void heard_wanted(void *baton, const gc_relay_key_t *key, apr_int64_t fence, apr_size_t have,
                         const char *name)
{
    gc_hub_t *hub = baton;
    topic_t *t = find_or_make(hub, key->reply);
    follower_t *f = find_follower(t, name);

    if (!f) {
        f = add_follower(t, name);
    }
    if (f) {
        f->room = key->room;
        f->until = apr_time_now() + FORGET_AFTER;
        f->fence = fence;
        f->was_told = fence == t->fence;
        f->sent = f->was_told && have < t->len ? have : f->was_told ? t->len : 0;
        put_unsent(hub, t);
    }
    check_use(hub, t);
}

#pragma GCC diagnostic pop

static void heard_unwanted(void *baton, const gc_relay_key_t *key, const char *name)
{
    gc_hub_t *hub = baton;
    topic_t *t = find(hub, key->reply);
    follower_t *f = t ? find_follower(t, name) : NULL;

    if (f) {
        *f = t->followers[--t->follower_count];
        check_use(hub, t);
    }
}

static void want(gc_hub_t *hub, topic_t *t)
{
    if (hub->hears) {
        gc_relay_key_t key = key_of(t);

        t->wanted = apr_time_now();
        gc_loop_relay_want(hub->relay, &key, t->fence, t->len);
    }
}

/* Begins the copy of another process' text anew. */
static void begin_copy(gc_hub_t *hub, topic_t *t, apr_int64_t fence)
{
    if (!t->copy) {
        apr_pool_create(&t->pool, hub->pool);
        t->copy = apr_palloc(t->pool, sizeof(*t->copy));
        gc_membuf_init(t->copy, t->pool, hub->options.max_reply);
    }
    gc_membuf_clear(t->copy);
    t->fence = fence;
    t->text = "";
    t->len = 0;
}

static void heard_text(void *baton, const gc_relay_key_t *key, apr_int64_t fence, apr_size_t from,
                       const char *bytes, apr_size_t len)
{
    gc_hub_t *hub = baton;
    topic_t *t = find(hub, key->reply);
    apr_size_t known;

    if (!t || !gc_uuid_equal(&key->room, &t->ref.room) || !is_read(t) || t->is_local || t->end
        || fence < t->fence) {
        return;
    }
    if (fence > t->fence || !t->copy) {
        begin_copy(hub, t, fence);
    }
    if (from > t->copy->length) {
        t->len = t->copy->length;
        want(hub, t); /* something was missed */
        return;
    }
    known = t->copy->length - from;
    if (known < len && gc_membuf_append(t->copy, bytes + known, len - known) != APR_SUCCESS) {
        return; /* the whole comes from Postgres */
    }
    t->text = t->copy->bytes ? t->copy->bytes : "";
    t->len = t->copy->length;
    pump_all(hub, t);
}

static void heard_ended(void *baton, const gc_relay_key_t *key)
{
    topic_t *t = find(baton, key->reply);

    if (t && gc_uuid_equal(&key->room, &t->ref.room)) {
        ask(baton, t);
    }
}

/* What was said while nobody heard is missed: whoever reads asks for it again. */
static void hears(void *baton, int hears_now)
{
    gc_hub_t *hub = baton;
    apr_hash_index_t *i;

    hub->hears = hears_now;
    if (!hears_now) {
        return;
    }
    for (i = apr_hash_first(NULL, hub->topics); i; i = apr_hash_next(i)) {
        topic_t *t = apr_hash_this_val(i);

        if (is_waiting(t)) {
            want(hub, t);
        }
    }
}

/* --- Time ---------------------------------------------------------------- */

static void soon_cb(evutil_socket_t fd, short what, void *baton)
{
    gc_hub_t *hub = baton;

    (void)fd;
    (void)what;
    while (!APR_RING_EMPTY(&hub->unsent, gc_topic_t, unsent)) {
        send_text(hub, APR_RING_FIRST(&hub->unsent));
    }
    while (!APR_RING_EMPTY(&hub->fresh, gc_topic_t, fresh)) {
        topic_t *t = APR_RING_FIRST(&hub->fresh);

        APR_RING_REMOVE(t, fresh);
        APR_RING_ELEM_INIT(t, fresh);
        if (is_waiting(t)) {
            want(hub, t);
            ask(hub, t);
        }
    }
}

static void forget_followers(topic_t *t, apr_time_t now)
{
    int i;

    for (i = t->follower_count - 1; i >= 0; i--) {
        if (t->followers[i].until < now) {
            t->followers[i] = t->followers[--t->follower_count];
        }
    }
}

static void look_after(gc_hub_t *hub, topic_t *t, apr_time_t now)
{
    apr_interval_time_t poll = hub->options.poll * (hub->hears ? POLL_FACTOR : 1);

    forget_followers(t, now);
    if (is_waiting(t)) {
        if (t->wanted + WANT_AGAIN <= now) {
            want(hub, t);
        }
        if (!t->is_asked && t->asked + poll <= now) {
            ask(hub, t);
        }
    }
    check_use(hub, t);
}

/* Those that were not written to for longest come first. */
static void beat(gc_hub_t *hub, apr_time_t now)
{
    gc_viewer_t *v = APR_RING_FIRST(&hub->beats), *next;
    apr_status_t rv = APR_SUCCESS;

    hub->key.serial = 0;
    gc_membuf_clear(&hub->frames);
    gc_frame_heartbeat(&hub->frames, &rv);
    for (; v != APR_RING_SENTINEL(&hub->beats, gc_viewer_t, beat) && rv == APR_SUCCESS; v = next) {
        topic_t *t = v->topic;

        /* To the nearest second, which is how often this is looked at. */
        if (v->written + hub->options.heartbeat > now + apr_time_from_msec(500)) {
            break;
        }
        next = APR_RING_NEXT(v, beat);
        if (!v->is_full) {
            (void)write_frames(hub, v, hub->frames.bytes, hub->frames.length);
        } else if (v->written + hub->options.patience <= now) {
            drop_slow(hub, v);
        }
        check_use(hub, t);
    }
}

static void second_cb(evutil_socket_t fd, short what, void *baton)
{
    gc_hub_t *hub = baton;
    apr_time_t now = apr_time_now();
    apr_hash_index_t *i, *next;

    (void)fd;
    (void)what;
    beat(hub, now);
    for (i = apr_hash_first(NULL, hub->topics); i; i = next) {
        topic_t *t = apr_hash_this_val(i);

        next = apr_hash_next(i); /* the topic may go */
        look_after(hub, t, now);
    }
}

static void drain_cb(evutil_socket_t fd, short what, void *baton)
{
    gc_hub_t *hub = baton;

    (void)fd;
    (void)what;
    hub->is_over = 1;
    while (!APR_RING_EMPTY(&hub->beats, gc_viewer_t, beat)) {
        gc_viewer_t *v = APR_RING_FIRST(&hub->beats);
        topic_t *t = v->topic;

        send_away(hub, v);
        end_viewer(v, 0);
        check_use(hub, t);
    }
}

void gc_loop_hub_drain(gc_hub_t *hub, apr_interval_time_t patience)
{
    struct timeval tv = gc_timeval(patience);

    if (patience) {
        event_add(hub->drain, &tv);
    } else {
        drain_cb(-1, 0, hub);
    }
}

/* --- From outside -------------------------------------------------------- */

typedef struct {
    gc_hub_t *hub;
    gc_reply_ref_t ref;
    gc_loop_task_t task;
} ended_t;

static void ended_task(void *baton)
{
    ended_t told = *(ended_t *)baton;
    topic_t *t = find(told.hub, told.ref.reply);

    free(baton);
    if (t) {
        t->ref = told.ref; /* others may read it, and nobody here */
        tell_end(told.hub, t);
        ask(told.hub, t);
        check_use(told.hub, t);
    }
}

void gc_hub_ended(gc_hub_t *hub, const gc_reply_ref_t *ref)
{
    ended_t *told = malloc(sizeof(*told));

    if (!told) {
        abort();
    }
    told->hub = hub;
    told->ref = *ref;
    told->task.call = ended_task;
    told->task.baton = told;
    gc_loop_post(gc_companion_loop(hub->options.companion), &told->task);
}

const gc_sink_t *gc_hub_sink(const gc_hub_t *hub)
{
    return &hub->sink;
}

static apr_status_t stop_cb(void *baton)
{
    gc_hub_t *hub = baton;
    struct event *events[] = {hub->soon, hub->second, hub->drain};
    apr_hash_index_t *i, *next;
    size_t k;

    for (k = 0; k < sizeof(events) / sizeof(events[0]); k++) {
        if (events[k]) {
            event_free(events[k]);
        }
    }
    for (i = apr_hash_first(NULL, hub->topics); i; i = next) {
        topic_t *t = apr_hash_this_val(i);

        next = apr_hash_next(i);
        free_topic(hub, t);
    }
    return APR_SUCCESS;
}

static void start_relay(gc_hub_t *hub)
{
    const gc_relay_handler_t handler = {.wanted = heard_wanted,
                                        .unwanted = heard_unwanted,
                                        .text = heard_text,
                                        .ended = heard_ended,
                                        .hears = hears,
                                        .baton = hub};

    if (hub->options.link) {
        hub->relay =
            gc_loop_relay_start(hub->pool, hub->options.link, hub->options.prefix, &handler);
    }
}

apr_status_t gc_loop_hub_start(apr_pool_t *pool, const gc_hub_options_t *options, gc_hub_t **hub)
{
    gc_hub_t *h = apr_pcalloc(pool, sizeof(*h));
    const gc_ends_options_t ends = {.companion = options->companion,
                                    .db = options->db,
                                    .describe = options->describe,
                                    .found = end_found,
                                    .answered = end_answered,
                                    .baton = h};

    h->options = *options;
    h->pool = pool;
    h->base = gc_loop_base(gc_companion_loop(options->companion));
    h->sink = (gc_sink_t){sink_text, sink_left, h};
    h->topics = apr_hash_make(pool);
    APR_RING_INIT(&h->fresh, gc_topic_t, fresh);
    APR_RING_INIT(&h->unsent, gc_topic_t, unsent);
    APR_RING_INIT(&h->beats, gc_viewer_t, beat);
    gc_membuf_init(&h->frames, pool, 8 * options->max_reply + 4096);
    h->ends = gc_loop_ends_create(pool, &ends);
    h->soon = event_new(h->base, -1, 0, soon_cb, h);
    h->second = event_new(h->base, -1, EV_PERSIST, second_cb, h);
    h->drain = event_new(h->base, -1, 0, drain_cb, h);
    apr_pool_pre_cleanup_register(pool, h, stop_cb);
    if (!h->soon || !h->second || !h->drain || event_add(h->second, &second) != 0) {
        return APR_ENOMEM;
    }
    start_relay(h);
    *hub = h;
    return APR_SUCCESS;
}

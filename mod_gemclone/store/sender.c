/* SPDX-License-Identifier: Apache-2.0
 * Sends prompts, together where there are several.
 */
#include "sender.h"

#include <apr_ring.h>
#include <apr_thread_mutex.h>
#include <errno.h>
#include <semaphore.h>
#include <string.h>

/* A statement takes at most so many prompts, and so many bytes of text unless
 * one prompt alone has more. */
enum { GROUP = 64, GROUP_BYTES = 1024 * 1024 };

/* WAITING entries are in the queue; so is one that is told to lead. */
typedef enum { WAITING, LEADING, TAKEN, DONE } state_e;

/* A prompt whose thread waits here for its end. */
typedef struct entry_t entry_t;
struct entry_t {
    APR_RING_ENTRY(entry_t) link;
    const gc_prompt_t *prompt;
    gc_sent_t *sent;
    state_e state;
    apr_status_t status;
    int goes_alone;
    /* Posted once, when the thread is to lead or its prompt is done. A semaphore
     * and not a condition: whoever wakes needs no mutex that others want too. */
    sem_t woken;
};

struct gc_sender_t {
    gc_sender_options_t options;
    apr_thread_mutex_t *mutex; /* guards what follows, and the states of entries in the queue */
    APR_RING_HEAD(queue_t, entry_t) queue;
    int busy; /* a group is on its way, or an entry has been told to lead one */
};

/* --- One statement ------------------------------------------------------- */

/* Where it was asked for, or NULL. */
static const char *print_trace(const gc_prompt_t *prompt, char text[GC_TRACE_TEXT + 1])
{
    if (!prompt->trace || !*prompt->trace->id) {
        return NULL;
    }
    gc_trace_print(prompt->trace, text);
    return text;
}

static void add_prompts(gc_db_params_t *params, apr_pool_t *pool, entry_t *const *group, int count)
{
    gc_db_array_t users, rooms, contents, tokens, keys, fingerprints, traces;
    char trace[GC_TRACE_TEXT + 1];
    int i;

    gc_db_array_begin(&users, pool, GC_DB_UUID);
    gc_db_array_begin(&rooms, pool, GC_DB_UUID);
    gc_db_array_begin(&contents, pool, GC_DB_TEXT);
    gc_db_array_begin(&tokens, pool, GC_DB_INT4);
    gc_db_array_begin(&keys, pool, GC_DB_TEXT);
    gc_db_array_begin(&fingerprints, pool, GC_DB_BYTEA);
    gc_db_array_begin(&traces, pool, GC_DB_TEXT);
    for (i = 0; i < count; i++) {
        const gc_prompt_t *p = group[i]->prompt;

        gc_db_array_add(&users, p->user->bytes, sizeof(p->user->bytes));
        gc_db_array_add(&rooms, p->room->bytes, sizeof(p->room->bytes));
        gc_db_array_add(&contents, p->content, strlen(p->content));
        gc_db_array_add_int(&tokens, p->tokens);
        gc_db_array_add(&keys, p->key->text, p->key->text ? strlen(p->key->text) : 0);
        gc_db_array_add(&fingerprints, p->key->text ? p->key->fingerprint.bytes : NULL,
                        GC_HASH_BYTES);
        gc_db_array_add(&traces, print_trace(p, trace), GC_TRACE_TEXT);
    }
    gc_db_array_end(&users, params);
    gc_db_array_end(&rooms, params);
    gc_db_array_end(&contents, params);
    gc_db_array_end(&tokens, params);
    gc_db_array_end(&keys, params);
    gc_db_array_end(&fingerprints, params);
    gc_db_array_end(&traces, params);
}

/* In the order of gc_sent_e. */
static const char *const outcomes[] = {"sent", "replayed",   "no_room",  "quota",
                                       "owed", "key_reused", "not_last", "busy"};

static gc_sent_e outcome_of(const char *name)
{
    int i = GC_SENT_BUSY;

    while (i > GC_SENT && strcmp(outcomes[i], name) != 0) {
        i--;
    }
    return i;
}

/* From the column of the outcome on. */
static void read_sent(const gc_db_result_t *rows, int row, int column, gc_sent_t *sent)
{
    sent->outcome = outcome_of(gc_db_text(rows, row, column));
    sent->message = gc_db_int(rows, row, column + 1, 0);
    sent->reply = gc_db_int(rows, row, column + 2, 0);
    sent->created = gc_db_time(rows, row, column + 3);
    sent->used = gc_db_int(rows, row, column + 4, 0);
    sent->limit = gc_db_int(rows, row, column + 5, -1);
}

/* waits: for rooms that are locked. */
static apr_status_t send_group(gc_sender_t *s, apr_pool_t *pool, entry_t *const *group, int count,
                               int waits)
{
    gc_db_params_t params = {0};
    gc_db_result_t *rows;
    apr_status_t rv;
    int i;

    add_prompts(&params, pool, group, count);
    gc_db_add_text(&params, s->options.site);
    gc_db_add_int_or_null(&params, s->options.quota.basic);
    gc_db_add_int_or_null(&params, s->options.quota.pro);
    gc_db_add_int_or_null(&params, s->options.owed);
    gc_db_add_bool(&params, waits);
    rv = gc_db_run(s->options.db, pool, GC_SQL_MESSAGES_SEND, &params, &rows);
    if (rv == APR_SUCCESS && gc_db_rows(rows) != count) {
        rv = GC_EDATABASE;
    }
    for (i = 0; rv == APR_SUCCESS && i < count; i++) {
        read_sent(rows, i, 1, group[gc_db_int(rows, i, 0, 1) - 1]->sent);
    }
    return rv;
}

/* Whether one prompt may be what the database refuses. */
static int is_one_to_blame(apr_status_t rv, int count)
{
    return count > 1 && (rv == GC_EDATABASE || rv == GC_EGONE || rv == GC_EEXIST);
}

/* Each prompt gets its end, or is to be sent again by its own thread, alone. */
static void send_all(gc_sender_t *s, apr_pool_t *pool, entry_t *const *group, int count)
{
    apr_status_t rv = send_group(s, pool, group, count, 0);
    int blamed = is_one_to_blame(rv, count), i;

    for (i = 0; i < count; i++) {
        group[i]->status = rv;
        group[i]->goes_alone =
            blamed || (rv == APR_SUCCESS && group[i]->sent->outcome == GC_SENT_BUSY);
    }
}

/* --- Groups -------------------------------------------------------------- */

/* Takes the first prompts from the queue. Under the mutex. */
static int take_group(gc_sender_t *s, entry_t **group)
{
    apr_size_t bytes = 0;
    int count = 0;

    while (count < GROUP && !APR_RING_EMPTY(&s->queue, entry_t, link)) {
        entry_t *entry = APR_RING_FIRST(&s->queue);

        bytes += strlen(entry->prompt->content);
        if (count > 0 && bytes > GROUP_BYTES) {
            break;
        }
        APR_RING_REMOVE(entry, link);
        entry->state = TAKEN;
        group[count++] = entry;
    }
    return count;
}

/* The next group's turn: the first that waits sends it. Under the mutex. */
static void pass_on(gc_sender_t *s)
{
    entry_t *first;

    s->busy = !APR_RING_EMPTY(&s->queue, entry_t, link);
    if (s->busy) {
        first = APR_RING_FIRST(&s->queue);
        first->state = LEADING;
        sem_post(&first->woken);
    }
}

/* Sends the first group of the queue, in which the leader itself is. */
static void lead(gc_sender_t *s, apr_pool_t *pool, const entry_t *self)
{
    entry_t *group[GROUP];
    int count, i;

    apr_thread_mutex_lock(s->mutex);
    count = take_group(s, group);
    apr_thread_mutex_unlock(s->mutex);

    send_all(s, pool, group, count);

    apr_thread_mutex_lock(s->mutex);
    pass_on(s);
    apr_thread_mutex_unlock(s->mutex);
    for (i = 0; i < count; i++) {
        group[i]->state = DONE;
        if (group[i] != self) {
            sem_post(&group[i]->woken); /* it may be gone after this */
        }
    }
}

/* Whether the prompt went back because nobody took it in time. */
static int give_up(gc_sender_t *s, entry_t *self)
{
    int waits;

    apr_thread_mutex_lock(s->mutex);
    waits = self->state == WAITING;
    if (waits) {
        APR_RING_REMOVE(self, link);
    }
    apr_thread_mutex_unlock(s->mutex);
    return waits;
}

/* Waits until the prompt is done or its thread is to lead: APR_SUCCESS. One that
 * was taken is waited for, since its statement has a bound of its own. */
static apr_status_t await(gc_sender_t *s, entry_t *self)
{
    apr_time_t deadline = apr_time_now() + s->options.patience;
    struct timespec ts = {.tv_sec = apr_time_sec(deadline),
                          .tv_nsec = apr_time_usec(deadline) * 1000};
    int may_give_up = 1;

    while ((may_give_up ? sem_timedwait(&self->woken, &ts) : sem_wait(&self->woken)) != 0) {
        if (errno == ETIMEDOUT) {
            if (give_up(s, self)) {
                return GC_EUNAVAILABLE;
            }
            may_give_up = 0;
        }
    }
    return APR_SUCCESS;
}

apr_status_t gc_sender_send(gc_sender_t *sender, apr_pool_t *pool, const gc_prompt_t *prompt,
                            gc_sent_t *sent)
{
    entry_t self = {.prompt = prompt, .sent = sent, .state = WAITING};
    apr_status_t rv = APR_SUCCESS;
    int leads;

    sem_init(&self.woken, 0, 0);
    APR_RING_ELEM_INIT(&self, link);
    apr_thread_mutex_lock(sender->mutex);
    APR_RING_INSERT_TAIL(&sender->queue, &self, entry_t, link);
    leads = !sender->busy;
    if (leads) {
        sender->busy = 1;
        self.state = LEADING;
    }
    apr_thread_mutex_unlock(sender->mutex);

    if (!leads) {
        rv = await(sender, &self);
    }
    if (rv == APR_SUCCESS && self.state == LEADING) {
        lead(sender, pool, &self);
    }
    sem_destroy(&self.woken);
    if (rv == APR_SUCCESS && self.goes_alone) {
        entry_t *alone = &self;

        return send_group(sender, pool, &alone, 1, 1);
    }
    return rv == APR_SUCCESS ? self.status : rv;
}

apr_status_t gc_sender_regenerate(gc_sender_t *sender, apr_pool_t *pool, const gc_prompt_t *prompt,
                                  apr_int64_t reply, gc_sent_t *sent)
{
    char trace[GC_TRACE_TEXT + 1];
    gc_db_params_t params = {0};
    gc_db_result_t *rows;
    apr_status_t rv;

    gc_db_add_uuid(&params, prompt->user);
    gc_db_add_uuid(&params, prompt->room);
    gc_db_add_int(&params, reply);
    gc_key_add(&params, prompt->key);
    gc_db_add_text(&params, print_trace(prompt, trace));
    gc_db_add_text(&params, sender->options.site);
    gc_db_add_int_or_null(&params, sender->options.quota.basic);
    gc_db_add_int_or_null(&params, sender->options.quota.pro);
    gc_db_add_int_or_null(&params, sender->options.owed);
    rv = gc_db_run(sender->options.db, pool, GC_SQL_REPLY_REGENERATE, &params, &rows);
    if (rv == APR_SUCCESS) {
        read_sent(rows, 0, 0, sent);
    }
    return rv;
}

apr_status_t gc_sender_create(apr_pool_t *pool, const gc_sender_options_t *options,
                              gc_sender_t **sender)
{
    gc_sender_t *s = apr_pcalloc(pool, sizeof(*s));

    s->options = *options;
    APR_RING_INIT(&s->queue, entry_t, link);
    *sender = s;
    return apr_thread_mutex_create(&s->mutex, APR_THREAD_MUTEX_DEFAULT, pool);
}

/* SPDX-License-Identifier: Apache-2.0
 * Streams whose connections are suspended: the loop writes to them, and no thread waits.
 *
 *   a request's thread: open ─▶ SUSPENDED ─▶ the MPM's hook ─▶ the loop: STREAMING
 *      ─▶ EMPTYING (all that is left is written) ─▶ FLUSHING (the request is over) ─▶ LINGERING (we
 * have hung up) ─▶ CLOSING
 *
 * httpd 2.4 has no way to hand a suspended connection back to the MPM, so it ends here, with all
 * that the MPM would have done. Until the hook has run, the connection is the MPM's thread's;
 * after it, that thread still writes two words to its own part of the connection, which
 * therefore is not freed for some time (SETTLE).
 *
 * What is written is a reply's events, which the hub has, or one answer that is not known yet: a
 * source is one of the two.
 */
#include "stream.h"

#include <apr_portable.h>
#include <event2/event_struct.h>
#include <http_config.h>
#include <http_connection.h>
#include <http_core.h>
#include <http_protocol.h>
#include <http_request.h>
#include <mpm_common.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "core/timeval.h"
#include "stream_internal.h"

extern module AP_MODULE_DECLARE_DATA gemclone_module;

#define SETTLE apr_time_from_sec(1)

/* How long a client has to hang up after we did: as httpd's own lingering close. */
#define LINGER apr_time_from_sec(2)

/* What a client may say while it is spoken to. It has nothing to say: the connection ends with
 * the stream. */
enum { MOST_NOISE = 64 * 1024 };

/* What is flushed through, and the most that the filters get at once: httpd's last one waits for
 * the client once it holds 64 KiB (THRESHOLD_MAX_BUFFER). */
enum { SMALL = 1024, PIECE = 32 * 1024 };

/* Where what is written comes from. */
typedef struct {
    void (*attach)(gc_suspended_t *s); /* it may write from here on */
    void (*detach)(gc_suspended_t *s); /* the client has left */
    void (*wrote)(gc_suspended_t *s);  /* the client took something */
    void (*ready)(gc_suspended_t *s);  /* all that was written is gone */
} source_t;

typedef enum { STREAMING, EMPTYING, FLUSHING, LINGERING, CLOSING } state_e;

/* In the connection's pool. */
struct gc_suspended_t {
    gc_viewer_t viewer; /* first, so that one is the other */
    const source_t *source;
    gc_place_e place;
    gc_errand_t *errand; /* or NULL: none is under way */
    gc_answer_later_t answer;
    APR_RING_ENTRY(gc_suspended_t) link;
    gc_streams_t *streams;
    conn_rec *c;
    request_rec *r; /* NULL once it is over */
    int fd;
    apr_bucket_brigade *out;
    char *rest; /* what is not given to the filters yet, malloc'ed; or NULL */
    apr_size_t rest_len, rest_at;
    apr_size_t credit, most_credit; /* bytes that the socket takes for certain */
    struct event readable, writable, timer;
    state_e state;
    int is_told; /* the MPM was told of the end, and with it TLS */
    apr_time_t suspended;
    apr_time_t deadline; /* of the state */
    apr_size_t noise;
};

/* --- Writing ------------------------------------------------------------- */

static void wait_writable(gc_suspended_t *s, apr_interval_time_t most)
{
    struct timeval tv = gc_timeval(most);

    event_add(&s->writable, most > 0 ? &tv : NULL);
}

/* Writes what the filters hold back, as far as the socket takes it. */
static int flush(gc_suspended_t *s)
{
    ap_filter_t *last = s->c->output_filters;

    while (last->next) {
        last = last->next;
    }
    if (s->c->aborted || last->frec->filter_func.out_func(last, NULL) != APR_SUCCESS
        || s->c->aborted) {
        return GC_VIEWER_GONE;
    }
    return s->c->data_in_output_filters ? GC_VIEWER_FULL : GC_VIEWER_READY;
}

/* Says nothing, but what it follows is passed on: mod_ssl gathers small data until something
 * comes that is none, and httpd's own bucket for that, FLUSH, waits for the client. */
static apr_status_t read_nothing(apr_bucket *bucket, const char **data, apr_size_t *len,
                                 apr_read_type_e block)
{
    (void)bucket, (void)block;
    *data = NULL;
    *len = 0;
    return APR_SUCCESS;
}

static const apr_bucket_type_t push_type = {"GEMCLONE_PUSH",
                                            5,
                                            APR_BUCKET_METADATA,
                                            apr_bucket_destroy_noop,
                                            read_nothing,
                                            apr_bucket_setaside_noop,
                                            apr_bucket_split_notimpl,
                                            apr_bucket_simple_copy};

static apr_bucket *make_push(apr_bucket_alloc_t *list)
{
    apr_bucket *b = apr_bucket_alloc(sizeof(*b), list);

    APR_BUCKET_INIT(b);
    b->free = apr_bucket_free;
    b->list = list;
    b->type = &push_type;
    b->length = 0;
    b->start = 0;
    b->data = NULL;
    return b;
}

static int pass(gc_suspended_t *s, ap_filter_t *filters, apr_bucket *bucket, apr_bucket *last)
{
    apr_status_t rv;

    APR_BRIGADE_INSERT_TAIL(s->out, bucket);
    APR_BRIGADE_INSERT_TAIL(s->out, last);
    rv = ap_pass_brigade(filters, s->out);
    apr_brigade_cleanup(s->out);
    return rv == APR_SUCCESS ? flush(s) : GC_VIEWER_GONE;
}

/* Whether the socket takes a small write whole. The kernel says so (sk_stream_is_writeable) while a
 * third of its buffer is free; what fits into a part of that need not be asked for each time. Each
 * write costs some of the buffer for itself. */
static int is_writable(gc_suspended_t *s, apr_size_t len)
{
    struct pollfd fd = {.fd = s->fd, .events = POLLOUT};
    apr_size_t cost = len + 1024;

    if (s->credit < cost) {
        s->credit = poll(&fd, 1, 0) == 1 && fd.revents == POLLOUT ? s->most_credit : 0;
    }
    if (s->credit < cost) {
        return 0;
    }
    s->credit -= cost;
    return 1;
}

/* A small event that the socket takes whole is flushed through: it is neither copied nor set aside,
 * for which each connection would keep memory. With the socket's timeout of 0, a flush that should
 * have to wait nevertheless fails, and the stream is cut: the loop never waits. Anything else goes
 * as far as it can. */
static int write_piece(gc_suspended_t *s, const char *bytes, apr_size_t len)
{
    apr_bucket_alloc_t *list = s->c->bucket_alloc;

    if (len > SMALL) {
        s->credit = 0;
    }
    return len <= SMALL && is_writable(s, len)
               ? pass(s, s->r->output_filters, apr_bucket_transient_create(bytes, len, list),
                      apr_bucket_flush_create(list))
               : pass(s, s->r->output_filters, apr_bucket_heap_create(bytes, len, NULL, list),
                      make_push(list));
}

/* Piece by piece, for with more at once httpd's last filter would wait for the client; how much
 * went. */
static int write_pieces(gc_suspended_t *s, const char *bytes, apr_size_t len, apr_size_t *went)
{
    int state = GC_VIEWER_READY;

    for (*went = 0; *went < len && state == GC_VIEWER_READY;) {
        apr_size_t piece = len - *went < PIECE ? len - *went : PIECE;

        state = write_piece(s, bytes + *went, piece);
        *went += piece;
    }
    return state;
}

/* Keeps what is to be written later, behind what there is. */
static int keep(gc_suspended_t *s, const char *bytes, apr_size_t len)
{
    apr_size_t had = s->rest_len - s->rest_at;
    char *rest = malloc(had + len);

    if (!rest) {
        return GC_VIEWER_GONE;
    }
    if (s->rest) {
        memcpy(rest, s->rest + s->rest_at, had);
    }
    memcpy(rest + had, bytes, len);
    free(s->rest);
    s->rest = rest;
    s->rest_len = had + len;
    s->rest_at = 0;
    return GC_VIEWER_FULL;
}

static void drop_rest(gc_suspended_t *s)
{
    free(s->rest);
    s->rest = NULL;
    s->rest_len = s->rest_at = 0;
}

/* Goes on with what was kept. */
static int write_rest(gc_suspended_t *s)
{
    int state = flush(s);
    apr_size_t went;

    if (s->rest && state == GC_VIEWER_READY) {
        state = write_pieces(s, s->rest + s->rest_at, s->rest_len - s->rest_at, &went);
        s->rest_at += went;
        if (s->rest_at == s->rest_len) {
            drop_rest(s);
        } else if (state == GC_VIEWER_READY) {
            state = GC_VIEWER_FULL;
        }
    }
    return state;
}

static int write_frames(gc_viewer_t *viewer, const char *bytes, apr_size_t len)
{
    gc_suspended_t *s = (gc_suspended_t *)viewer;
    apr_size_t went = 0;
    int state = s->rest || s->c->data_in_output_filters ? GC_VIEWER_FULL
                                                        : write_pieces(s, bytes, len, &went);

    if (state != GC_VIEWER_GONE && went < len) {
        state = keep(s, bytes + went, len - went);
    }
    if (state == GC_VIEWER_FULL) {
        wait_writable(s, 0);
    }
    return state;
}

/* --- The end ------------------------------------------------------------- */

static void free_place(gc_suspended_t *s)
{
    __atomic_sub_fetch(&s->streams->suspended[s->place], 1, __ATOMIC_RELAXED);
}

/* Logs the request and frees it, as the MPM would have done. Its place is another's from now on. */
static void end_request(gc_suspended_t *s)
{
    request_rec *r = s->r;

    free_place(s);
    s->r = NULL;
    s->c->keepalive = AP_CONN_CLOSE;
    if (!s->c->aborted) {
        ap_finalize_request_protocol(r);
    }
    ap_process_request_after_handler(r);
    s->c->cs->state = CONN_STATE_SUSPENDED; /* by which the MPM counts it */
}

static void enter(gc_suspended_t *s, state_e state, apr_interval_time_t patience)
{
    s->state = state;
    s->deadline = apr_time_now() + patience;
}

static void stop_events(gc_suspended_t *s)
{
    event_del(&s->readable);
    event_del(&s->writable);
    event_del(&s->timer);
}

/* The rest is done a moment later, outside whatever ended the stream. */
static void end_stream(gc_suspended_t *s)
{
    static const struct timeval now = {0};

    stop_events(s);
    if (s->c->aborted) {
        drop_rest(s);
    }
    enter(s, EMPTYING, s->c->base_server->timeout);
    event_add(&s->timer, &now);
}

static void ended(gc_viewer_t *viewer, int dropped)
{
    gc_suspended_t *s = (gc_suspended_t *)viewer;

    if (dropped) {
        s->c->aborted = 1; /* nothing more is written: the answer must not look whole */
    }
    end_stream(s);
}

static const gc_viewer_type_t type = {write_frames, ended};

static void destroy(gc_suspended_t *s)
{
    apr_socket_t *socket = ap_get_conn_socket(s->c);

    stop_events(s);
    drop_rest(s);
    APR_RING_REMOVE(s, link);
    apr_socket_close(socket);
    apr_pool_destroy(s->c->pool); /* and s with it */
}

/* Says goodbye, over TLS too; what that needs to have written is written by flush. */
static int say_goodbye(gc_suspended_t *s)
{
    int state;

    s->is_told = 1;
    ap_prep_lingering_close(s->c);
    state = pass(s, s->c->output_filters, ap_bucket_eoc_create(s->c->bucket_alloc),
                 make_push(s->c->bucket_alloc));
    s->c->cs->state = CONN_STATE_SUSPENDED;
    return state;
}

/* The request ends when all of it is given to the filters, or never will be. */
static void go_emptying(gc_suspended_t *s)
{
    int state = s->c->aborted ? GC_VIEWER_GONE : write_rest(s);

    if (state == GC_VIEWER_FULL && apr_time_now() >= s->deadline) {
        s->c->aborted = 1;
        state = GC_VIEWER_GONE;
    }
    if (state != GC_VIEWER_FULL || !s->rest) {
        end_request(s);
        enter(s, FLUSHING, s->c->base_server->timeout);
    }
}

static void go_flushing(gc_suspended_t *s)
{
    int state = flush(s);

    if (state == GC_VIEWER_READY && !s->is_told) {
        state = say_goodbye(s);
    }
    if (state == GC_VIEWER_READY) {
        apr_socket_shutdown(ap_get_conn_socket(s->c), APR_SHUTDOWN_WRITE);
        enter(s, LINGERING, LINGER);
        event_add(&s->readable, NULL);
    } else if (state == GC_VIEWER_GONE || apr_time_now() >= s->deadline) {
        enter(s, CLOSING, 0);
    }
}

/* One step towards the end; comes again until it is reached. */
static void go_on(gc_suspended_t *s)
{
    static const struct timeval tick = {.tv_usec = 100000};
    apr_time_t now = apr_time_now(), settled = s->suspended + SETTLE;

    if (s->state == EMPTYING) {
        go_emptying(s);
    }
    if (s->state == FLUSHING) {
        go_flushing(s);
    }
    if (s->state == LINGERING && now >= s->deadline) {
        enter(s, CLOSING, 0);
    }
    if (s->state == CLOSING && now >= settled && !s->c->sbh) {
        destroy(s);
        return;
    }
    if (s->state == EMPTYING || s->state == FLUSHING) {
        wait_writable(s, s->deadline - now + 1000);
    } else {
        event_add(&s->timer, &tick);
    }
}

static void timer_cb(evutil_socket_t fd, short what, void *baton)
{
    (void)fd;
    (void)what;
    go_on(baton);
}

static void writable_cb(evutil_socket_t fd, short what, void *baton)
{
    gc_suspended_t *s = baton;
    int state;

    (void)fd;
    if (s->state != STREAMING) {
        if (what & EV_WRITE) {
            s->deadline = apr_time_now() + s->c->base_server->timeout; /* it takes something */
        }
        go_on(s);
        return;
    }
    s->source->wrote(s);
    state = write_rest(s);
    if (state == GC_VIEWER_READY) {
        s->source->ready(s);
    } else if (state == GC_VIEWER_FULL) {
        wait_writable(s, 0);
    } else {
        s->source->detach(s);
        end_stream(s);
    }
}

/* Whether the client is still there; what it says is read and thrown away. */
static int is_there(gc_suspended_t *s, int fd)
{
    char noise[4096];
    ssize_t got = recv(fd, noise, sizeof(noise), MSG_DONTWAIT);

    if (got > 0) {
        s->noise += (apr_size_t)got;
    }
    return got > 0 ? s->noise <= MOST_NOISE
                   : got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR);
}

static void readable_cb(evutil_socket_t fd, short what, void *baton)
{
    gc_suspended_t *s = baton;

    (void)what;
    if (is_there(s, fd)) {
        return;
    }
    if (s->state == STREAMING) {
        s->c->aborted = 1;
        s->source->detach(s);
        end_stream(s);
    } else {
        event_del(&s->readable);
        enter(s, CLOSING, 0);
        go_on(s);
    }
}

/* --- Sources --------------------------------------------------------------- */

static gc_hub_t *hub_of(const gc_suspended_t *s)
{
    return s->streams->options.hub;
}

static void attach_viewer(gc_suspended_t *s)
{
    gc_loop_hub_attach(hub_of(s), &s->viewer);
}

static void detach_viewer(gc_suspended_t *s)
{
    gc_loop_hub_detach(hub_of(s), &s->viewer);
}

static void viewer_wrote(gc_suspended_t *s)
{
    gc_loop_hub_wrote(hub_of(s), &s->viewer);
}

static void viewer_ready(gc_suspended_t *s)
{
    gc_loop_hub_ready(hub_of(s), &s->viewer);
}

static const source_t replies = {attach_viewer, detach_viewer, viewer_wrote, viewer_ready};

static void begin_errand(gc_suspended_t *s)
{
    gc_loop_errand_begin(s->errand);
}

static void forget_errand(gc_suspended_t *s)
{
    gc_errand_t *errand = s->errand;

    s->errand = NULL;
    if (errand) {
        gc_loop_errand_forget(errand);
    }
}

static void ignore(gc_suspended_t *s)
{
    (void)s;
}

static const source_t answers = {begin_errand, forget_errand, ignore, ignore};

/* The filters take a small answer whole, and the end writes what they hold back. */
static void errand_done(gc_errand_t *errand)
{
    gc_suspended_t *s = errand->waiter;

    s->errand = NULL;
    s->answer.call(s->answer.baton, s->r);
    gc_errand_free(errand);
    end_stream(s);
}

/* --- The beginning ------------------------------------------------------- */

/* On the loop, which has the connection from here on. */
static void attach_task(void *baton)
{
    gc_suspended_t *s = baton;
    gc_streams_t *streams = s->streams;
    struct event_base *base = gc_loop_base(streams->options.loop);
    int state;

    event_assign(&s->readable, base, s->fd, EV_READ | EV_PERSIST, readable_cb, s);
    event_assign(&s->writable, base, s->fd, EV_WRITE, writable_cb, s);
    evtimer_assign(&s->timer, base, timer_cb, s);
    APR_RING_INSERT_TAIL(&streams->all, s, gc_suspended_t, link);
    state = write_rest(s);
    if (state == GC_VIEWER_GONE) {
        s->source->detach(s);
        end_stream(s);
        return;
    }
    event_add(&s->readable, NULL);
    if (state == GC_VIEWER_FULL) {
        wait_writable(s, 0);
    }
    s->source->attach(s);
}

static void forget_task(void *baton)
{
    gc_loop_errand_forget(baton);
}

/* Of a stream that never begins, on a thread of the MPM's. */
static void give_up(gc_suspended_t *s)
{
    ap_set_module_config(s->c->conn_config, &gemclone_module, NULL);
    if (s->errand) {
        s->errand->task = (gc_loop_task_t){.call = forget_task, .baton = s->errand};
        gc_loop_post(s->streams->options.loop, &s->errand->task);
    }
    drop_rest(s);
    free_place(s);
}

/* The MPM's thread lets go of the connection: to us, or, where it found it aborted, to be closed by
 * the MPM itself, which tells of it by the same hook. */
static void suspend_connection(conn_rec *c, request_rec *r)
{
    gc_suspended_t *s = ap_get_module_config(c->conn_config, &gemclone_module);

    (void)r;
    if (!s || s->suspended) {
        return;
    }
    if (c->cs->state != CONN_STATE_SUSPENDED) {
        give_up(s);
        return;
    }
    s->suspended = apr_time_now();
    gc_loop_post(s->streams->options.loop, &s->viewer.task);
}

/* What one connection leaves unread is bounded in the kernel, too, which may allow less than it is
 * asked for; and what its allocator would keep for later is given back. */
static void spare_memory(gc_suspended_t *s)
{
    apr_socket_t *socket = ap_get_conn_socket(s->c);
    apr_allocator_t *allocator = apr_pool_allocator_get(s->c->pool);
    apr_memnode_t *nodes[2];
    int i, size = 0;
    socklen_t len = sizeof(size);

    apr_socket_opt_set(socket, APR_SO_SNDBUF, (apr_int32_t)s->streams->options.buffer);
    apr_socket_timeout_set(socket, 0);
    if (getsockopt(s->fd, SOL_SOCKET, SO_SNDBUF, &size, &len) == 0 && size > 0) {
        s->most_credit = (apr_size_t)size / 4;
    }
    apr_allocator_max_free_set(allocator, 1);
    for (i = 0; i < 2; i++) { /* it still keeps what the request was read with */
        nodes[i] = apr_allocator_alloc(allocator, 1);
    }
    for (i = 0; i < 2; i++) {
        if (nodes[i]) {
            apr_allocator_free(allocator, nodes[i]);
        }
    }
}

static int write_prologue(gc_suspended_t *s, const char *bytes, apr_size_t len)
{
    apr_size_t went;
    int state = write_pieces(s, bytes, len, &went);

    return state != GC_VIEWER_GONE && went < len ? keep(s, bytes + went, len - went) : state;
}

static gc_suspended_t *make(gc_streams_t *streams, request_rec *r, const source_t *source,
                            gc_place_e place)
{
    conn_rec *c = r->connection;
    gc_suspended_t *s = apr_pcalloc(c->pool, sizeof(*s));

    s->streams = streams;
    s->source = source;
    s->place = place;
    s->c = c;
    s->r = r;
    s->out = apr_brigade_create(c->pool, c->bucket_alloc);
    s->viewer.task.call = attach_task;
    s->viewer.task.baton = s;
    APR_RING_ELEM_INIT(s, link);
    apr_os_sock_get(&s->fd, ap_get_conn_socket(c));
    spare_memory(s);
    apr_table_setn(r->subprocess_env, "nokeepalive", "1"); /* said in the head; chunks it stays */
    return s;
}

int gc_suspended_wait(gc_streams_t *streams, request_rec *r, gc_errand_t *errand,
                      const gc_answer_later_t *answer)
{
    gc_suspended_t *s = make(streams, r, &answers, GC_PLACE_WAIT);

    s->errand = errand;
    s->answer = *answer;
    errand->waiter = s;
    errand->done = errand_done;
    ap_set_module_config(r->connection->conn_config, &gemclone_module, s);
    return SUSPENDED;
}

int gc_suspended_open(gc_streams_t *streams, request_rec *r, const gc_stream_t *stream)
{
    conn_rec *c = r->connection;
    gc_suspended_t *s = make(streams, r, &replies, GC_PLACE_STREAM);
    apr_pool_t *scratch;
    apr_size_t len;
    const char *prologue;

    s->viewer.type = &type;
    s->viewer.ref = stream->ref;
    s->viewer.at = stream->from;
    apr_pool_create(&scratch, r->pool);
    prologue = gc_stream_prologue(scratch, stream, &len);
    ap_set_module_config(c->conn_config, &gemclone_module, s);
    (void)write_prologue(s, prologue, len); /* the loop writes what is left */
    apr_pool_destroy(scratch);
    if (c->aborted) {
        give_up(s);
        return OK;
    }
    return SUSPENDED;
}

void gc_suspended_init(gc_streams_t *streams)
{
    APR_RING_INIT(&streams->all, gc_suspended_t, link);
}

/* No thread of the MPM is left: nothing needs to settle. */
void gc_loop_suspended_close_all(gc_streams_t *streams)
{
    while (!APR_RING_EMPTY(&streams->all, gc_suspended_t, link)) {
        gc_suspended_t *s = APR_RING_FIRST(&streams->all);

        if (s->r) {
            s->source->detach(s);
            (void)write_rest(s);
            end_request(s);
        }
        (void)flush(s);
        destroy(s);
    }
}

void gc_suspended_register(void)
{
    ap_hook_suspend_connection(suspend_connection, NULL, NULL, APR_HOOK_MIDDLE);
}

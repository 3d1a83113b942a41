/* SPDX-License-Identifier: Apache-2.0
 * A non-blocking HTTP client on the loop. */
#include "http.h"

#include <limits.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>

#include <apr_ring.h>
#include <apr_strings.h>
#include <curl/curl.h>
#include <event2/event.h>

#include "core/timeval.h"

#define NEVER APR_INT64_MAX

/* The kernel gives a connection up when what was sent stays unacknowledged for so long, or when
 * so many probes of an idle one do: otherwise calls would go on to share an HTTP/2 connection
 * that a firewall forgot. */
#define UNACKNOWLEDGED_MS 20000
#define KEEPALIVE_IDLE_S 15L
#define KEEPALIVE_EVERY_S 5L

APR_RING_HEAD(call_ring_t, gc_http_call_t);

struct gc_http_t {
    apr_pool_t *pool;
    struct event_base *base;
    gc_http_options_t options;
    CURLM *multi;
    struct event *timer;     /* when curl wants to be called next */
    struct event *kick;      /* somebody is in todo */
    struct call_ring_t todo; /* calls to begin and cancelled ones to free */
};

typedef enum {
    CALL_NEW,       /* in todo */
    CALL_RUNNING,   /* in no ring; curl has it */
    CALL_CANCELLED, /* in todo; its caller's memory may be gone */
    CALL_OVER,      /* in no ring; on_done is being called */
} call_state_e;

typedef enum {
    PHASE_CONNECT,
    PHASE_FIRST,
    PHASE_IDLE,
    PHASES,
} phase_e;

struct gc_http_call_t {
    APR_RING_ENTRY(gc_http_call_t) link;
    gc_http_t *http;
    apr_pool_t *pool;  /* the call's own; destroying it releases everything below */
    apr_pool_t *owner; /* the caller's, NULL from the moment on when it may be gone */
    gc_http_handler_t handler;
    void *baton;
    call_state_e state;
    CURL *easy;
    struct curl_slist *headers;
    const char *body;
    apr_size_t body_length;
    apr_size_t body_sent;
    apr_off_t max_bytes;
    struct event *timer; /* the next deadline, or one that was the next once: see deadline_cb */
    phase_e phase;
    apr_time_t started;
    apr_time_t since; /* the beginning of the phase; in PHASE_IDLE the latest bytes */
    apr_interval_time_t limits[PHASES];
    apr_interval_time_t total;
    gc_http_reason_e reason; /* why a callback made curl give up; GC_HTTP_OK: it did not */
    gc_http_result_t result;
    char error[CURL_ERROR_SIZE];
};

typedef struct {
    apr_time_t at;
    gc_http_reason_e reason;
} deadline_t;

static const struct {
    apr_status_t status;
    int detailed; /* curl's words follow: hosts, addresses, certificates; nothing of the request */
    const char *text;
} reasons[] = {
    [GC_HTTP_OK] = {APR_SUCCESS, 0, "ok"},
    [GC_HTTP_RESOLVE] = {APR_EHOSTUNREACH, 1, "the host name cannot be resolved"},
    [GC_HTTP_CONNECT] = {APR_ECONNREFUSED, 1, "no connection"},
    [GC_HTTP_TLS] = {APR_EACCES, 1, "the certificate was refused"},
    [GC_HTTP_TIMEOUT_CONNECT] = {APR_TIMEUP, 0, "timeout: no connection"},
    [GC_HTTP_TIMEOUT_FIRST] = {APR_TIMEUP, 0, "timeout: the answer did not begin"},
    [GC_HTTP_TIMEOUT_IDLE] = {APR_TIMEUP, 0, "timeout: the answer stopped"},
    [GC_HTTP_TIMEOUT_TOTAL] = {APR_TIMEUP, 0, "timeout: the answer took too long"},
    [GC_HTTP_RESET] = {APR_ECONNRESET, 0, "the connection broke"},
    [GC_HTTP_TOO_BIG] = {APR_ENOSPC, 0, "the answer is too big"},
    [GC_HTTP_ABORTED] = {APR_ECONNABORTED, 0, "aborted by the reader of the answer"},
    [GC_HTTP_OTHER] = {APR_EGENERAL, 0, "the request is invalid, or the answer no HTTP"},
};

static const gc_http_reason_e phase_reasons[PHASES] = {
    [PHASE_CONNECT] = GC_HTTP_TIMEOUT_CONNECT,
    [PHASE_FIRST] = GC_HTTP_TIMEOUT_FIRST,
    [PHASE_IDLE] = GC_HTTP_TIMEOUT_IDLE,
};

static const struct {
    CURLoption option;
    long value;
} fixed_options[] = {
    {CURLOPT_NOSIGNAL, 1L},
    {CURLOPT_QUICK_EXIT, 1L}, /* or a cancelled call blocks until its resolver thread is done */
    {CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_2TLS},
    {CURLOPT_SSL_VERIFYPEER, 1L},
    {CURLOPT_SSL_VERIFYHOST, 2L},
    {CURLOPT_SSLVERSION, CURL_SSLVERSION_TLSv1_2},
    {CURLOPT_FOLLOWLOCATION, 0L},
    {CURLOPT_NETRC, CURL_NETRC_IGNORED},
    {CURLOPT_DISALLOW_USERNAME_IN_URL, 1L},
    {CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L},
    {CURLOPT_TCP_KEEPALIVE, 1L},
    {CURLOPT_TCP_KEEPIDLE, KEEPALIVE_IDLE_S},
    {CURLOPT_TCP_KEEPINTVL, KEEPALIVE_EVERY_S},
    {CURLOPT_UPLOAD_BUFFERSIZE, 16384L}, /* kept as long as the call: thousands stream at once */
};

static gc_http_reason_e reason_of(CURLcode code)
{
    switch (code) {
    case CURLE_OK:
        return GC_HTTP_OK;
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
        return GC_HTTP_RESOLVE;
    case CURLE_COULDNT_CONNECT:
    case CURLE_PROXY:
    case CURLE_SSL_CONNECT_ERROR:
        return GC_HTTP_CONNECT;
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CIPHER:
    case CURLE_SSL_INVALIDCERTSTATUS:
    case CURLE_SSL_ISSUER_ERROR:
        return GC_HTTP_TLS;
    case CURLE_OPERATION_TIMEDOUT: /* curl is told of no other timeout */
        return GC_HTTP_TIMEOUT_CONNECT;
    case CURLE_GOT_NOTHING:
    case CURLE_HTTP2:
    case CURLE_HTTP2_STREAM:
    case CURLE_PARTIAL_FILE:
    case CURLE_RECV_ERROR:
    case CURLE_SEND_ERROR:
        return GC_HTTP_RESET;
    default:
        return GC_HTTP_OTHER;
    }
}

/* The clock of deadlines, in microseconds; it does not jump. */
static apr_time_t now(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return apr_time_make(time.tv_sec, time.tv_nsec / 1000);
}

/* ---- one call: its end ---- */

/* From here on the call touches nothing of its caller's. */
static apr_status_t owner_cleanup(void *data)
{
    gc_http_call_t *call = data;

    call->owner = NULL;
    gc_loop_http_cancel(call);
    return APR_SUCCESS;
}

static void disown(gc_http_call_t *call)
{
    if (call->owner) {
        apr_pool_cleanup_kill(call->owner, call, owner_cleanup);
        call->owner = NULL;
    }
}

/* Runs outside curl only, since curl refuses to give a handle back from inside a callback. */
static apr_status_t call_cleanup(void *data)
{
    gc_http_call_t *call = data;

    disown(call);
    APR_RING_REMOVE(call, link);
    if (call->easy) {
        curl_multi_remove_handle(call->http->multi, call->easy);
        curl_easy_cleanup(call->easy);
    }
    curl_slist_free_all(call->headers);
    if (call->timer) {
        event_free(call->timer);
    }
    return APR_SUCCESS;
}

static void finish(gc_http_call_t *call, gc_http_reason_e reason)
{
    gc_http_result_t *result = &call->result;

    result->reason = reason;
    if (reason != GC_HTTP_ABORTED) {
        result->status = reasons[reason].status;
    }
    result->text = reasons[reason].text;
    if (reasons[reason].detailed && call->error[0]) {
        result->text = apr_pstrcat(call->pool, result->text, ": ", call->error, NULL);
    }
    call->state = CALL_OVER;
    disown(call); /* whoever is told may hand its pool to another thread at once */
    call->handler.on_done(call->baton, result);
    apr_pool_destroy(call->pool);
}

/* ---- one call: its deadlines ---- */

static deadline_t next_deadline(const gc_http_call_t *call)
{
    apr_interval_time_t limit = call->limits[call->phase];
    apr_time_t phase_end = limit > 0 ? call->since + limit : NEVER;
    apr_time_t end = call->total > 0 ? call->started + call->total : NEVER;

    if (phase_end <= end) {
        return (deadline_t){phase_end, phase_reasons[call->phase]};
    }
    return (deadline_t){end, GC_HTTP_TIMEOUT_TOTAL};
}

static void watch(gc_http_call_t *call)
{
    deadline_t deadline = next_deadline(call);
    struct timeval wait = gc_timeval(deadline.at - now());

    if (deadline.at != NEVER) {
        evtimer_add(call->timer, &wait);
    }
}

/* Bytes that came only move `since`; the timer, still set for the old deadline, finds that out
 * here. So a delta costs no work on libevent's heap. */
static void deadline_cb(evutil_socket_t fd, short what, void *baton)
{
    gc_http_call_t *call = baton;
    deadline_t deadline = next_deadline(call);

    (void)fd, (void)what;
    if (call->state != CALL_RUNNING) {
        return;
    }
    if (now() < deadline.at) {
        watch(call);
    } else {
        finish(call, deadline.reason);
    }
}

static void enter_phase(gc_http_call_t *call, phase_e phase)
{
    call->phase = phase;
    call->since = now();
    watch(call);
}

/* ---- one call: what curl calls; a call that was cancelled meanwhile makes it stop ---- */

static int connected_cb(void *baton, char *ip, char *local_ip, int port, int local_port)
{
    gc_http_call_t *call = baton;

    (void)ip, (void)local_ip, (void)port, (void)local_port;
    if (call->state != CALL_RUNNING) {
        return CURL_PREREQFUNC_ABORT;
    }
    enter_phase(call, PHASE_FIRST);
    return CURL_PREREQFUNC_OK;
}

/* The body is read through a callback, and not by curl itself, since a cancelled call's body may
 * be gone. */
static size_t read_cb(char *to, size_t size, size_t count, void *baton)
{
    gc_http_call_t *call = baton;
    apr_size_t length = size * count, left = call->body_length - call->body_sent;

    if (call->state != CALL_RUNNING) {
        return CURL_READFUNC_ABORT;
    }
    if (length > left) {
        length = left;
    }
    if (length > 0) {
        memcpy(to, call->body + call->body_sent, length);
        call->body_sent += length;
    }
    return length;
}

/* An idle connection turned out to be dead: curl sends the request again on another. */
static int seek_cb(void *baton, curl_off_t offset, int origin)
{
    gc_http_call_t *call = baton;

    if (origin != SEEK_SET || offset < 0 || (apr_uint64_t)offset > call->body_length) {
        return CURL_SEEKFUNC_FAIL;
    }
    call->body_sent = (apr_size_t)offset;
    return CURL_SEEKFUNC_OK;
}

static void take_head(gc_http_call_t *call)
{
    char *content_type = NULL;
    long status = 0;

    curl_easy_getinfo(call->easy, CURLINFO_RESPONSE_CODE, &status);
    if (status < 200) {
        return; /* 100 and 103 go before the real one */
    }
    curl_easy_getinfo(call->easy, CURLINFO_CONTENT_TYPE, &content_type);
    call->result.http_status = (int)status;
    if (call->handler.on_head) {
        call->handler.on_head(call->baton, (int)status, content_type);
    }
}

/* Called with each line of the head, and of a trailer later. An empty one ends the head. */
static size_t head_cb(char *line, size_t size, size_t count, void *baton)
{
    gc_http_call_t *call = baton;
    int is_end = *line == '\r' || *line == '\n';

    if (is_end && call->state == CALL_RUNNING && call->result.http_status == 0) {
        take_head(call);
    }
    return call->state == CALL_RUNNING ? size * count : 0;
}

static size_t body_cb(char *bytes, size_t size, size_t count, void *baton)
{
    gc_http_call_t *call = baton;
    apr_size_t length = size * count;

    if (call->state != CALL_RUNNING) {
        return CURL_WRITEFUNC_ERROR;
    }
    if (call->phase == PHASE_IDLE) {
        call->since = now();
    } else {
        enter_phase(call, PHASE_IDLE);
    }
    call->result.received += (apr_off_t)length;
    if (call->max_bytes > 0 && call->result.received > call->max_bytes) {
        call->reason = GC_HTTP_TOO_BIG;
        return CURL_WRITEFUNC_ERROR;
    }
    if (call->handler.on_data) {
        call->result.status = call->handler.on_data(call->baton, bytes, length);
        call->reason = call->result.status == APR_SUCCESS ? GC_HTTP_OK : GC_HTTP_ABORTED;
    }
    if (call->state != CALL_RUNNING || call->reason != GC_HTTP_OK) {
        return CURL_WRITEFUNC_ERROR;
    }
    return length;
}

static int socket_made_cb(void *baton, curl_socket_t fd, curlsocktype purpose)
{
    unsigned timeout = UNACKNOWLEDGED_MS;

    (void)baton, (void)purpose;
    setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &timeout, sizeof(timeout));
    return CURL_SOCKOPT_OK;
}

/* ---- one call: its start ---- */

/* Sets options until one fails; the first failure stays. */
#define SET(call, code, option, value)                                                             \
    do {                                                                                           \
        if ((code) == CURLE_OK) {                                                                  \
            (code) = curl_easy_setopt((call)->easy, (option), (value));                            \
        }                                                                                          \
    } while (0)

static CURLcode set_client_options(gc_http_call_t *call, const gc_http_options_t *options)
{
    CURLcode code = CURLE_OK;
    size_t i;

    for (i = 0; i < sizeof(fixed_options) / sizeof(fixed_options[0]); i++) {
        SET(call, code, fixed_options[i].option, fixed_options[i].value);
    }
    SET(call, code, CURLOPT_PROTOCOLS_STR, "http,https");
    SET(call, code, CURLOPT_USERAGENT, options->user_agent);
    SET(call, code, CURLOPT_PROXY, ""); /* whatever the environment says */
    if (options->ca_file) {
        SET(call, code, CURLOPT_CAINFO, options->ca_file);
        SET(call, code, CURLOPT_CAPATH, NULL); /* else the system's authorities count as well */
    }
    return code;
}

static CURLcode set_callbacks(gc_http_call_t *call)
{
    CURLcode code = CURLE_OK;

    SET(call, code, CURLOPT_PRIVATE, call);
    SET(call, code, CURLOPT_ERRORBUFFER, call->error);
    SET(call, code, CURLOPT_PREREQFUNCTION, connected_cb);
    SET(call, code, CURLOPT_PREREQDATA, call);
    SET(call, code, CURLOPT_READFUNCTION, read_cb);
    SET(call, code, CURLOPT_READDATA, call);
    SET(call, code, CURLOPT_SEEKFUNCTION, seek_cb);
    SET(call, code, CURLOPT_SEEKDATA, call);
    SET(call, code, CURLOPT_HEADERFUNCTION, head_cb);
    SET(call, code, CURLOPT_HEADERDATA, call);
    SET(call, code, CURLOPT_WRITEFUNCTION, body_cb);
    SET(call, code, CURLOPT_WRITEDATA, call);
    SET(call, code, CURLOPT_SOCKOPTFUNCTION, socket_made_cb);
    return code;
}

/* Not less than asked for, and as long as a long allows for none: curl's default of 300 s shall
 * not get in between. Our own timer keeps the limit also while curl makes a call wait for a
 * connection; curl is told all the same, since it shares the time out among the addresses of a
 * host. */
static long connect_timeout_ms(apr_interval_time_t timeout)
{
    return timeout > 0 && timeout / 1000 < INT_MAX ? (long)((timeout + 999) / 1000) : INT_MAX;
}

static CURLcode set_request(gc_http_call_t *call, const gc_http_request_t *request)
{
    CURLcode code = CURLE_OK;

    SET(call, code, CURLOPT_URL, request->url);
    SET(call, code, CURLOPT_HTTPHEADER, call->headers);
    SET(call, code, CURLOPT_FRESH_CONNECT, request->is_once ? 1L : 0L);
    SET(call, code, CURLOPT_CONNECTTIMEOUT_MS, connect_timeout_ms(request->timeouts.connect));
    if (request->method == GC_HTTP_POST) {
        SET(call, code, CURLOPT_POST, 1L);
        SET(call, code, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body_length);
    }
    if (request->method == GC_HTTP_DELETE) {
        SET(call, code, CURLOPT_CUSTOMREQUEST, "DELETE");
    }
    if (strncasecmp(request->url, "https:", 6) == 0) {
        /* Rather share the connection that is being made than make another. Without TLS there is
         * no HTTP/2 to wait for, but curl would not know before the first answer. */
        SET(call, code, CURLOPT_PIPEWAIT, 1L);
    }
    return code;
}

static int is_token(const char *name)
{
    return *name
           && !name[strspn(name, "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz"
                                 "ABCDEFGHIJKLMNOPQRSTUVWXYZ")];
}

static int is_field_value(const char *value)
{
    for (; *value; value++) {
        unsigned char byte = (unsigned char)*value;

        if ((byte < ' ' && byte != '\t') || byte == 0x7f) {
            return 0;
        }
    }
    return 1;
}

static int add_header(gc_http_call_t *call, const char *line)
{
    struct curl_slist *headers = curl_slist_append(call->headers, line);

    if (headers) {
        call->headers = headers;
    }
    return headers != NULL;
}

static int add_headers(gc_http_call_t *call, const gc_http_request_t *request)
{
    apr_size_t i;

    for (i = 0; i < request->header_count; i++) {
        const gc_http_header_t *header = &request->headers[i];
        const char *colon = *header->value ? ": " : ";"; /* the latter sends an empty one */
        const char *line = apr_pstrcat(call->pool, header->name, colon, header->value, NULL);

        if (!is_token(header->name) || !is_field_value(header->value) || !add_header(call, line)) {
            return 0;
        }
    }
    return add_header(call, "Expect:"); /* a big body shall not wait for a 100 */
}

static int prepare(gc_http_call_t *call, const gc_http_request_t *request)
{
    call->timer = evtimer_new(call->http->base, deadline_cb, call);
    call->easy = curl_easy_init();
    return call->timer && call->easy && add_headers(call, request)
           && set_client_options(call, &call->http->options) == CURLE_OK
           && set_callbacks(call) == CURLE_OK && set_request(call, request) == CURLE_OK;
}

static void begin(gc_http_call_t *call)
{
    if (call->reason == GC_HTTP_OK
        && curl_multi_add_handle(call->http->multi, call->easy) == CURLM_OK) {
        call->state = CALL_RUNNING;
        call->started = now();
        enter_phase(call, PHASE_CONNECT);
    } else {
        finish(call, GC_HTTP_OTHER);
    }
}

/* ---- todo: everything that must not happen inside curl or inside its caller ---- */

static void put_to_do(gc_http_call_t *call)
{
    APR_RING_INSERT_TAIL(&call->http->todo, call, gc_http_call_t, link);
    event_active(call->http->kick, EV_TIMEOUT, 0);
}

/* What callbacks put to do meanwhile waits for the next turn, or calls that fail at once could
 * hold up the loop. */
static void kick_cb(evutil_socket_t fd, short what, void *baton)
{
    gc_http_t *http = baton;
    struct call_ring_t turn;

    (void)fd, (void)what;
    APR_RING_INIT(&turn, gc_http_call_t, link);
    APR_RING_CONCAT(&turn, &http->todo, gc_http_call_t, link);
    while (!APR_RING_EMPTY(&turn, gc_http_call_t, link)) {
        gc_http_call_t *call = APR_RING_FIRST(&turn);

        APR_RING_REMOVE(call, link);
        APR_RING_ELEM_INIT(call, link);
        if (call->state == CALL_NEW) {
            begin(call);
        } else {
            apr_pool_destroy(call->pool);
        }
    }
}

gc_http_call_t *gc_loop_http_start(gc_http_t *http, apr_pool_t *pool,
                                   const gc_http_request_t *request,
                                   const gc_http_handler_t *handler, void *baton)
{
    gc_http_call_t *call;
    apr_pool_t *own;

    apr_pool_create(&own, http->pool);
    call = apr_pcalloc(own, sizeof(*call));
    call->http = http;
    call->pool = own;
    call->owner = pool;
    call->handler = *handler;
    call->baton = baton;
    call->body = request->body;
    call->body_length = request->body_length;
    call->max_bytes = request->max_bytes;
    call->limits[PHASE_CONNECT] = request->timeouts.connect;
    call->limits[PHASE_FIRST] = request->timeouts.first;
    call->limits[PHASE_IDLE] = request->timeouts.idle;
    call->total = request->timeouts.total;
    put_to_do(call);
    apr_pool_cleanup_register(own, call, call_cleanup, apr_pool_cleanup_null);
    apr_pool_cleanup_register(pool, call, owner_cleanup, apr_pool_cleanup_null);
    call->reason = prepare(call, request) ? GC_HTTP_OK : GC_HTTP_OTHER;
    return call;
}

void gc_loop_http_cancel(gc_http_call_t *call)
{
    if (call->state == CALL_RUNNING) {
        put_to_do(call);
    }
    if (call->state != CALL_OVER) {
        call->state = CALL_CANCELLED;
        disown(call);
    }
}

/* ---- the client: curl's sockets and timer on the base ---- */

static void finish_done(gc_http_t *http)
{
    CURLMsg *message;
    int left;

    while ((message = curl_multi_info_read(http->multi, &left)) != NULL) {
        CURLcode code = message->data.result;
        gc_http_call_t *call = NULL;

        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &call);
        if (call->state == CALL_RUNNING) {
            finish(call, call->reason != GC_HTTP_OK ? call->reason : reason_of(code));
        }
    }
}

static void ready_cb(evutil_socket_t fd, short what, void *baton)
{
    gc_http_t *http = baton;
    int ready = 0, running;

    ready |= what & EV_READ ? CURL_CSELECT_IN : 0;
    ready |= what & EV_WRITE ? CURL_CSELECT_OUT : 0;
    curl_multi_socket_action(http->multi, fd, ready, &running);
    finish_done(http);
}

static void timer_cb(evutil_socket_t fd, short what, void *baton)
{
    gc_http_t *http = baton;
    int running;

    (void)fd, (void)what;
    curl_multi_socket_action(http->multi, CURL_SOCKET_TIMEOUT, 0, &running);
    finish_done(http);
}

static int set_timer_cb(CURLM *multi, long ms, void *baton)
{
    gc_http_t *http = baton;
    struct timeval wait = {.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000};

    (void)multi;
    return ms < 0 ? evtimer_del(http->timer) : evtimer_add(http->timer, &wait);
}

/* The event of a socket belongs to curl's entry for it, which tells us when it goes. */
static int set_socket_cb(CURL *easy, curl_socket_t fd, int what, void *baton, void *socket_baton)
{
    gc_http_t *http = baton;
    struct event *old = socket_baton, *event = NULL;
    short events = EV_PERSIST;

    (void)easy;
    events |= what & CURL_POLL_IN ? EV_READ : 0;
    events |= what & CURL_POLL_OUT ? EV_WRITE : 0;
    if (old) {
        event_free(old);
    }
    if (what != CURL_POLL_REMOVE) {
        event = event_new(http->base, fd, events, ready_cb, http);
    }
    if (event && event_add(event, NULL) != 0) {
        event_free(event);
        event = NULL;
    }
    curl_multi_assign(http->multi, fd, event);
    return event || what == CURL_POLL_REMOVE ? 0 : -1;
}

/* ---- the client: its life ---- */

static apr_status_t event_cleanup(void *event)
{
    event_free(event);
    return APR_SUCCESS;
}

static apr_status_t multi_cleanup(void *multi)
{
    return curl_multi_cleanup(multi) == CURLM_OK ? APR_SUCCESS : APR_EGENERAL;
}

static struct event *own_event(gc_http_t *http, event_callback_fn callback)
{
    struct event *event = event_new(http->base, -1, 0, callback, http);

    if (event) {
        apr_pool_cleanup_register(http->pool, event, event_cleanup, apr_pool_cleanup_null);
    }
    return event;
}

static void set_multi(gc_http_t *http)
{
    CURLM *multi = http->multi;
    long connections = http->options.max_connections;

    curl_multi_setopt(multi, CURLMOPT_SOCKETFUNCTION, set_socket_cb);
    curl_multi_setopt(multi, CURLMOPT_SOCKETDATA, http);
    curl_multi_setopt(multi, CURLMOPT_TIMERFUNCTION, set_timer_cb);
    curl_multi_setopt(multi, CURLMOPT_TIMERDATA, http);
    if (connections > 0) {
        curl_multi_setopt(multi, CURLMOPT_MAX_TOTAL_CONNECTIONS, connections);
        curl_multi_setopt(multi, CURLMOPT_MAXCONNECTS, connections);
    }
}

apr_status_t gc_loop_http_create(gc_http_t **http, apr_pool_t *pool, struct event_base *base,
                                 const gc_http_options_t *options)
{
    gc_http_t *client;
    apr_pool_t *own;

    apr_pool_create(&own, pool);
    client = apr_pcalloc(own, sizeof(*client));
    client->pool = own;
    client->base = base;
    client->options = *options;
    client->options.ca_file = apr_pstrdup(own, options->ca_file);
    client->options.user_agent = apr_pstrdup(own, options->user_agent);
    APR_RING_INIT(&client->todo, gc_http_call_t, link);

    /* Cleanups run in the opposite order: the multi handle closes its connections through the
     * events. */
    client->timer = own_event(client, timer_cb);
    client->kick = own_event(client, kick_cb);
    client->multi = curl_multi_init();
    if (client->multi) {
        apr_pool_cleanup_register(own, client->multi, multi_cleanup, apr_pool_cleanup_null);
    }
    if (!client->timer || !client->kick || !client->multi) {
        apr_pool_destroy(own);
        return APR_ENOMEM;
    }
    set_multi(client);
    *http = client;
    return APR_SUCCESS;
}

const char *gc_http_url(apr_pool_t *pool, const char *base, const char *path)
{
    apr_size_t length = strlen(base);

    while (length > 0 && base[length - 1] == '/') {
        length--;
    }
    return apr_pstrcat(pool, apr_pstrmemdup(pool, base, length), path, NULL);
}

const char *gc_loop_http_header(gc_http_call_t *call, const char *name)
{
    struct curl_header *header;

    return call->easy
                   && curl_easy_header(call->easy, name, 0, CURLH_HEADER, -1, &header) == CURLHE_OK
               ? header->value
               : NULL;
}

void gc_loop_http_destroy(gc_http_t *http)
{
    apr_pool_destroy(http->pool);
}

/* SPDX-License-Identifier: Apache-2.0
 * Unit tests of the HTTP client, against a small server on the same loop. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <apr_file_io.h>
#include <apr_general.h>
#include <apr_strings.h>
#include <apr_thread_proc.h>
#include <cmocka.h>
#include <curl/curl.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/listener.h>

#include "upstream/http.h"

#define MS(n)      apr_time_from_msec(n)
#define IDLE_TURNS 30
#define PARALLEL   500
#define AT_MOST    50 /* connections, where a test bounds them */
#define PATIENCE_S 20

static apr_pool_t *pool; /* of one test */
static struct event_base *base;
static gc_http_t *http;

/* ---- the server: what it does stands in the path ---- */

static struct {
    struct evconnlistener *listener;
    struct ev_token_bucket_cfg *slow;
    int port;
    int open;
    int accepted;
    int requests;
    int to_drop; /* requests that it answers by hanging up */
    char head[1024];
    char body[2000000];
} server;

static void raw(struct bufferevent *client, const char *bytes)
{
    bufferevent_write(client, bytes, strlen(bytes));
}

static void answer(struct bufferevent *client, const char *head, const char *body)
{
    evbuffer_add_printf(bufferevent_get_output(client),
                        "HTTP/1.1 %s\r\nContent-Length: %d\r\n\r\n%s",
                        head, (int)strlen(body), body);
}

static void close_client(struct bufferevent *client)
{
    bufferevent_free(client);
    server.open--;
}

static void reset_cb(struct bufferevent *client, void *baton)
{
    struct linger linger = { .l_onoff = 1, .l_linger = 0 };

    (void)baton;
    setsockopt(bufferevent_getfd(client), SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
    close_client(client);
}

static void close_cb(struct bufferevent *client, void *baton)
{
    (void)baton;
    close_client(client);
}

static void serve_hello(struct bufferevent *client)
{
    answer(client, "200 OK\r\nContent-Type: text/plain", "hello");
}

static void serve_mirror(struct bufferevent *client)
{
    answer(client, "200 OK", server.body);
}

static void serve_error(struct bufferevent *client)
{
    answer(client, "429 Too Many Requests", "slow down");
}

static void serve_redirect(struct bufferevent *client)
{
    answer(client, "302 Found\r\nLocation: /hello", "");
}

static void serve_early(struct bufferevent *client)
{
    raw(client, "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n");
    serve_hello(client);
}

static void serve_trailer(struct bufferevent *client)
{
    raw(client, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X\r\n\r\n"
                "5\r\nhello\r\n0\r\nX: y\r\n\r\n");
}

static void serve_nothing(struct bufferevent *client)
{
    (void)client;
}

static void serve_head(struct bufferevent *client)
{
    raw(client, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n");
}

static void serve_stall(struct bufferevent *client)
{
    raw(client, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhello");
}

/* 100 bytes in 200 ms. */
static void serve_drip(struct bufferevent *client)
{
    bufferevent_set_rate_limit(client, server.slow);
    answer(client, "200 OK", "....................................................................."
                             "...............................");
}

/* 1000 bytes in two seconds. */
static void serve_crawl(struct bufferevent *client)
{
    char body[1001];

    memset(body, '.', sizeof(body) - 1);
    body[sizeof(body) - 1] = '\0';
    bufferevent_set_rate_limit(client, server.slow);
    answer(client, "200 OK", body);
}

static void serve_big(struct bufferevent *client)
{
    static char body[100001];

    memset(body, 'x', sizeof(body) - 1);
    answer(client, "200 OK", body);
}

static void serve_garbage(struct bufferevent *client)
{
    raw(client, "220 smtp.example ESMTP\r\n");
}

static void serve_reset(struct bufferevent *client)
{
    serve_stall(client);
    bufferevent_setcb(client, NULL, reset_cb, NULL, NULL);
}

static void serve_cut(struct bufferevent *client)
{
    serve_stall(client);
    bufferevent_setcb(client, NULL, close_cb, NULL, NULL);
}

static const struct {
    const char *path;
    void (*serve)(struct bufferevent *client);
} services[] = {
    { "/hello", serve_hello },
    { "/mirror", serve_mirror },
    { "/error", serve_error },
    { "/redirect", serve_redirect },
    { "/early", serve_early },
    { "/trailer", serve_trailer },
    { "/nothing", serve_nothing },
    { "/head", serve_head },
    { "/stall", serve_stall },
    { "/drip", serve_drip },
    { "/crawl", serve_crawl },
    { "/big", serve_big },
    { "/garbage", serve_garbage },
    { "/reset", serve_reset },
    { "/cut", serve_cut },
};

static void serve(struct bufferevent *client)
{
    const char *path = strchr(server.head, ' ') + 1;
    apr_size_t i, length = strcspn(path, " ?");

    for (i = 0; i < sizeof(services) / sizeof(services[0]); i++) {
        if (strlen(services[i].path) == length && strncmp(services[i].path, path, length) == 0) {
            services[i].serve(client);
            return;
        }
    }
    answer(client, "404 Not Found", "");
}

/* Waits for a whole request, takes it off the input and serves it. */
static void request_cb(struct bufferevent *client, void *baton)
{
    struct evbuffer *input = bufferevent_get_input(client);
    struct evbuffer_ptr end = evbuffer_search(input, "\r\n\r\n", 4, NULL);
    apr_size_t head, body = 0;
    const char *length;

    (void)baton;
    if (end.pos < 0) {
        return;
    }
    head = (apr_size_t)end.pos + 4;
    assert_true(head < sizeof(server.head));
    evbuffer_copyout(input, server.head, head);
    server.head[head] = '\0';
    length = strstr(server.head, "Content-Length: ");
    body = length ? (apr_size_t)atoi(length + 16) : 0;
    if (evbuffer_get_length(input) < head + body || body >= sizeof(server.body)) {
        return;
    }
    evbuffer_drain(input, head);
    evbuffer_remove(input, server.body, body);
    server.body[body] = '\0';
    server.requests++;
    if (server.to_drop > 0) {
        server.to_drop--;
        close_client(client);
    }
    else {
        serve(client);
    }
}

static void gone_cb(struct bufferevent *client, short what, void *baton)
{
    (void)what, (void)baton;
    close_client(client);
}

static void accept_cb(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *address,
                      int length, void *baton)
{
    struct bufferevent *client = bufferevent_socket_new(base, fd, BEV_OPT_CLOSE_ON_FREE);

    (void)listener, (void)address, (void)length, (void)baton;
    server.accepted++;
    server.open++;
    bufferevent_setcb(client, request_cb, NULL, gone_cb, NULL);
    bufferevent_enable(client, EV_READ | EV_WRITE);
}

static void server_start(void)
{
    const struct timeval tick = { 0, 20000 };
    struct sockaddr_in address = { .sin_family = AF_INET };
    socklen_t length = sizeof(address);

    memset(&server, 0, sizeof(server));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    server.slow = ev_token_bucket_cfg_new(EV_RATE_LIMIT_MAX, EV_RATE_LIMIT_MAX, 10, 100, &tick);
    server.listener = evconnlistener_new_bind(base, accept_cb, NULL, LEV_OPT_CLOSE_ON_FREE, 1024,
                                              (struct sockaddr *)&address, sizeof(address));
    assert_non_null(server.listener);
    getsockname(evconnlistener_get_fd(server.listener), (struct sockaddr *)&address, &length);
    server.port = ntohs(address.sin_port);
}

/* ---- a call and what it got to hear ---- */

typedef struct probe_t probe_t;
typedef void hook_cb(probe_t *probe);

struct probe_t {
    gc_http_call_t *call;
    apr_pool_t *pool;
    hook_cb *head_hook, *data_hook, *done_hook;
    apr_status_t data_status;
    probe_t *other;
    int heads, data, dones;
    int http_status;
    char type[64];
    char body[1024];
    apr_off_t length;
    gc_http_result_t result;
    char text[512];
};

static int done; /* calls, of all probes */

static void head_cb(void *baton, int http_status, const char *content_type)
{
    probe_t *probe = baton;

    probe->heads++;
    probe->http_status = http_status;
    apr_cpystrn(probe->type, content_type ? content_type : "-", sizeof(probe->type));
    if (probe->head_hook) {
        probe->head_hook(probe);
    }
}

static apr_status_t data_cb(void *baton, const char *bytes, apr_size_t length)
{
    probe_t *probe = baton;

    probe->data++;
    if (probe->length + (apr_off_t)length < (apr_off_t)sizeof(probe->body)) {
        memcpy(probe->body + probe->length, bytes, length);
    }
    probe->length += (apr_off_t)length;
    if (probe->data_hook) {
        probe->data_hook(probe);
    }
    return probe->data_status;
}

static void done_cb(void *baton, const gc_http_result_t *result)
{
    probe_t *probe = baton;

    probe->dones++;
    probe->result = *result;
    apr_cpystrn(probe->text, result->text, sizeof(probe->text));
    done++;
    if (probe->done_hook) {
        probe->done_hook(probe);
    }
}

static const gc_http_handler_t handler = { head_cb, data_cb, done_cb };

static const char *url_of(const char *path)
{
    return apr_psprintf(pool, "http://127.0.0.1:%d%s", server.port, path);
}

static gc_http_request_t get(const char *path)
{
    return (gc_http_request_t) { .url = url_of(path) };
}

static probe_t *start(const gc_http_request_t *request)
{
    probe_t *probe = apr_pcalloc(pool, sizeof(*probe));

    apr_pool_create(&probe->pool, pool);
    probe->call = gc_loop_http_start(http, probe->pool, request, &handler, probe);
    assert_non_null(probe->call);
    assert_int_equal(probe->dones, 0);
    return probe;
}

static probe_t *start_get(const char *path)
{
    gc_http_request_t request = get(path);

    return start(&request);
}

static void too_long_cb(evutil_socket_t fd, short what, void *baton)
{
    (void)fd, (void)what;
    *(int *)baton = 1;
}

/* Runs the loop until so many calls are done. */
static void run(int calls)
{
    const struct timeval patience = { PATIENCE_S, 0 };
    int too_long = 0;
    struct event *guard = evtimer_new(base, too_long_cb, &too_long);

    evtimer_add(guard, &patience);
    while (done < calls && !too_long) {
        event_base_loop(base, EVLOOP_ONCE);
    }
    event_free(guard);
    assert_false(too_long);
    assert_int_equal(done, calls);
}

static void nothing_cb(evutil_socket_t fd, short what, void *baton)
{
    (void)fd, (void)what, (void)baton;
}

/* Lets time pass, to see that nothing more happens: so many turns of the loop as well, for a machine
 * that is busy with others meanwhile. */
static void idle(long ms)
{
    const struct timeval pause = { 0, ms * 1000 / IDLE_TURNS };
    apr_time_t end = apr_time_now() + MS(ms);
    int turns;

    for (turns = 0; turns < IDLE_TURNS || apr_time_now() < end; turns++) {
        event_base_once(base, -1, EV_TIMEOUT, nothing_cb, NULL, &pause);
        event_base_loop(base, EVLOOP_ONCE);
    }
}

static probe_t *run_request(const gc_http_request_t *request)
{
    probe_t *probe = start(request);

    run(done + 1);
    assert_int_equal(probe->dones, 1);
    return probe;
}

static void use_client(long max_connections, const char *ca_file)
{
    const gc_http_options_t options = {
        .max_connections = max_connections,
        .ca_file = ca_file,
        .user_agent = "gemclone-test",
    };

    if (http) {
        gc_loop_http_destroy(http);
    }
    assert_int_equal(gc_loop_http_create(&http, pool, base, &options), APR_SUCCESS);
}

/* ---- answers ---- */

static void test_answer(void **state)
{
    gc_http_request_t request = get("/hello?key=secret");
    probe_t *probe = run_request(&request);

    (void)state;
    assert_int_equal(probe->result.reason, GC_HTTP_OK);
    assert_int_equal(probe->result.status, APR_SUCCESS);
    assert_int_equal(probe->result.http_status, 200);
    assert_int_equal(probe->result.received, 5);
    assert_int_equal(probe->heads, 1);
    assert_int_equal(probe->http_status, 200);
    assert_string_equal(probe->type, "text/plain");
    assert_string_equal(probe->body, "hello");
    assert_non_null(strstr(server.head, "GET /hello?key=secret HTTP/1.1\r\n"));
    assert_non_null(strstr(server.head, "User-Agent: gemclone-test\r\n"));
}

static void test_statuses(void **state)
{
    static const struct {
        const char *path;
        int status;
        const char *body;
    } rows[] = {
        { "/error", 429, "slow down" },
        { "/redirect", 302, "" },
        { "/early", 200, "hello" },
        { "/trailer", 200, "hello" },
        { "/unknown", 404, "" },
    };
    apr_size_t i;

    (void)state;
    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        gc_http_request_t request = get(rows[i].path);
        probe_t *probe = run_request(&request);

        assert_int_equal(probe->result.reason, GC_HTTP_OK);
        assert_int_equal(probe->heads, 1);
        assert_int_equal(probe->http_status, rows[i].status);
        assert_int_equal(probe->result.http_status, rows[i].status);
        assert_string_equal(probe->body, rows[i].body);
    }
}

static void test_post(void **state)
{
    static const gc_http_header_t headers[] = {
        { "Content-Type", "application/json" }, { "X-Key", "k" }, { "X-Empty", "" } };
    gc_http_request_t request = get("/mirror");
    probe_t *probe;

    (void)state;
    request.method = GC_HTTP_POST;
    request.headers = headers;
    request.header_count = 3;
    request.body = "{\"a\":1} and more that is not sent";
    request.body_length = 7;
    probe = run_request(&request);
    assert_int_equal(probe->result.reason, GC_HTTP_OK);
    assert_string_equal(probe->body, "{\"a\":1}");
    assert_non_null(strstr(server.head, "POST /mirror HTTP/1.1\r\n"));
    assert_non_null(strstr(server.head, "\r\nContent-Type: application/json\r\n"));
    assert_non_null(strstr(server.head, "\r\nX-Key: k\r\n"));
    assert_non_null(strstr(server.head, "\r\nX-Empty:\r\n"));
}

static void test_big_post(void **state)
{
    gc_http_request_t request = get("/mirror");
    const apr_size_t size = 1500000;
    char *body = apr_palloc(pool, size + 1);
    probe_t *probe;

    (void)state;
    memset(body, 'y', size);
    body[size] = '\0';
    request.method = GC_HTTP_POST;
    request.body = body;
    request.body_length = size;
    probe = run_request(&request);
    assert_int_equal(probe->result.reason, GC_HTTP_OK);
    assert_int_equal(probe->length, size);
    assert_string_equal(server.body, body);
    assert_null(strstr(server.head, "Expect"));
}

static void test_delete(void **state)
{
    gc_http_request_t request = get("/hello");

    (void)state;
    request.method = GC_HTTP_DELETE;
    assert_int_equal(run_request(&request)->result.reason, GC_HTTP_OK);
    assert_non_null(strstr(server.head, "DELETE /hello HTTP/1.1\r\n"));
}

static void test_no_callbacks(void **state)
{
    static const gc_http_handler_t only_done = { NULL, NULL, done_cb };
    gc_http_request_t request = get("/hello");
    probe_t probe = { 0 };

    (void)state;
    gc_loop_http_start(http, pool, &request, &only_done, &probe);
    run(1);
    assert_int_equal(probe.result.reason, GC_HTTP_OK);
    assert_int_equal(probe.result.received, 5);
}

/* ---- failures ---- */

static void check_invalid(const gc_http_request_t *request)
{
    probe_t *probe = run_request(request);

    assert_int_equal(probe->result.reason, GC_HTTP_OTHER);
    assert_int_not_equal(probe->result.status, APR_SUCCESS);
    assert_int_equal(probe->heads, 0);
    assert_null(strstr(probe->text, "secret"));
    assert_int_equal(server.requests, 0);
}

static void test_invalid_headers(void **state)
{
    static const gc_http_header_t headers[] = {
        { "X-Key", "secret\r\nHost: evil" }, { "X-Key", "a\nb" }, { "X-Key", "a\x7f" },
        { "X\r\nY", "b" }, { "X Y", "b" }, { "X:", "b" }, { "", "b" },
    };
    apr_size_t i;

    (void)state;
    for (i = 0; i < sizeof(headers) / sizeof(headers[0]); i++) {
        gc_http_request_t request = get("/hello");

        request.headers = &headers[i];
        request.header_count = 1;
        check_invalid(&request);
    }
}

static void test_invalid_urls(void **state)
{
    static const char *const urls[] = {
        "file:///etc/passwd?secret", "ftp://127.0.0.1/?secret", "http://u:secret@127.0.0.1/",
        "http://127.0.0.1:99999/?secret", "", "http://",
    };
    apr_size_t i;

    (void)state;
    for (i = 0; i < sizeof(urls) / sizeof(urls[0]); i++) {
        gc_http_request_t request = { .url = urls[i] };

        check_invalid(&request);
    }
}

static void test_failures(void **state)
{
    static const struct {
        const char *path;
        gc_http_reason_e reason;
        apr_status_t status;
        int first_ms, idle_ms;
    } rows[] = {
        { "/reset", GC_HTTP_RESET, APR_ECONNRESET, 5000, 5000 },
        { "/cut", GC_HTTP_RESET, APR_ECONNRESET, 5000, 5000 },
        { "/garbage", GC_HTTP_OTHER, APR_EGENERAL, 5000, 5000 },
        { "/big", GC_HTTP_TOO_BIG, APR_ENOSPC, 5000, 5000 },
        { "/nothing", GC_HTTP_TIMEOUT_FIRST, APR_TIMEUP, 50, 5000 },
        { "/head", GC_HTTP_TIMEOUT_FIRST, APR_TIMEUP, 50, 5000 },
        { "/stall", GC_HTTP_TIMEOUT_IDLE, APR_TIMEUP, 5000, 50 },
    };
    apr_size_t i;

    (void)state;
    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        gc_http_request_t request = get(rows[i].path);
        probe_t *probe;

        request.timeouts = (gc_http_timeouts_t) { .first = MS(rows[i].first_ms), .idle = MS(rows[i].idle_ms) };
        request.max_bytes = 50000;
        probe = run_request(&request);
        assert_int_equal(probe->result.reason, rows[i].reason);
        assert_int_equal(probe->result.status, rows[i].status);
        assert_true(*probe->text);
    }
}

static void test_hang_up(void **state)
{
    gc_http_request_t request = get("/hello");
    probe_t *probe;

    (void)state;
    server.to_drop = 1;
    probe = run_request(&request);
    assert_int_equal(probe->result.reason, GC_HTTP_RESET);
    assert_int_equal(probe->heads, 0);
    assert_int_equal(probe->result.http_status, 0);
}

/* A kept connection may turn out to be dead only when it is used: the request goes again. */
static void test_dead_connection(void **state)
{
    gc_http_request_t request = get("/mirror");
    probe_t *probe;

    (void)state;
    run_request(&request);
    server.to_drop = 1;
    request.method = GC_HTTP_POST;
    request.body = "once more";
    request.body_length = 9;
    probe = run_request(&request);
    assert_int_equal(probe->result.reason, GC_HTTP_OK);
    assert_string_equal(probe->body, "once more");
    assert_int_equal(server.accepted, 2);
    assert_int_equal(server.requests, 3);
}

static void test_refused(void **state)
{
    gc_http_request_t request = get("/hello?secret");
    probe_t *probe;

    (void)state;
    evconnlistener_free(server.listener);
    server.listener = NULL;
    probe = run_request(&request);
    assert_int_equal(probe->result.reason, GC_HTTP_CONNECT);
    assert_int_equal(probe->result.status, APR_ECONNREFUSED);
    assert_non_null(strstr(probe->text, "127.0.0.1"));
    assert_null(strstr(probe->text, "secret"));
}

/* A label of more than 63 letters is refused before anybody is asked. */
static void test_unresolved(void **state)
{
    gc_http_request_t request = {
        .url = "http://aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
               ".invalid/?secret",
    };
    probe_t *probe = run_request(&request);

    (void)state;
    assert_int_equal(probe->result.reason, GC_HTTP_RESOLVE);
    assert_null(strstr(probe->text, "secret"));
}

static void test_reader_aborts(void **state)
{
    probe_t *probe = start_get("/stall");

    (void)state;
    probe->data_status = APR_EINVAL;
    run(1);
    assert_int_equal(probe->result.reason, GC_HTTP_ABORTED);
    assert_int_equal(probe->result.status, APR_EINVAL);
}

/* ---- timeouts ---- */

static void test_timeout_connect_tls(void **state)
{
    gc_http_request_t request = {
        .url = apr_psprintf(pool, "https://127.0.0.1:%d/", server.port),
        .timeouts = { .connect = MS(60) },
    };
    probe_t *probe = run_request(&request);

    (void)state;
    assert_int_equal(probe->result.reason, GC_HTTP_TIMEOUT_CONNECT);
    assert_int_equal(server.accepted, 1);
}

static void test_timeout_connect_waiting(void **state)
{
    gc_http_request_t request = get("/hello");
    probe_t *probe;

    (void)state;
    use_client(1, NULL);
    start_get("/nothing");
    request.timeouts.connect = MS(60);
    probe = run_request(&request);
    assert_int_equal(probe->result.reason, GC_HTTP_TIMEOUT_CONNECT);
    assert_int_equal(server.accepted, 1);
}

static void test_timeout_total(void **state)
{
    static const char *const paths[] = { "/nothing", "/head", "/stall", "/drip" };
    apr_size_t i;

    (void)state;
    for (i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        gc_http_request_t request = get(paths[i]);

        request.timeouts = (gc_http_timeouts_t) { MS(5000), MS(5000), MS(5000), MS(60) };
        assert_int_equal(run_request(&request)->result.reason, GC_HTTP_TIMEOUT_TOTAL);
    }
}

static void test_no_timeout_while_bytes_come(void **state)
{
    gc_http_request_t request = get("/crawl");
    apr_time_t began = apr_time_now();
    probe_t *probe;

    (void)state;
    request.timeouts = (gc_http_timeouts_t) { MS(1000), MS(1000), MS(1000), MS(60000) };
    probe = run_request(&request);
    assert_int_equal(probe->result.reason, GC_HTTP_OK);
    assert_int_equal(probe->length, 1000);
    assert_true(apr_time_now() - began > MS(1200));
}

/* ---- cancelling ---- */

static void check_silent(const probe_t *probe, int heads, int data)
{
    idle(60);
    assert_int_equal(probe->heads, heads);
    assert_int_equal(probe->data, data);
    assert_int_equal(probe->dones, 0);
}

static void test_cancel(void **state)
{
    gc_http_request_t request = get("/stall");
    probe_t *early = start(&request), *late = start(&request);

    (void)state;
    gc_loop_http_cancel(early->call);
    check_silent(early, 0, 0);
    assert_int_equal(server.requests, 1);
    gc_loop_http_cancel(late->call);
    check_silent(late, 1, 1);
    assert_int_equal(server.open, 0);
}

static void cancel_hook(probe_t *probe)
{
    gc_loop_http_cancel(probe->call);
}

static void destroy_hook(probe_t *probe)
{
    apr_pool_destroy(probe->pool);
}

static void test_cancel_in_callbacks(void **state)
{
    hook_cb *const hooks[] = { cancel_hook, destroy_hook };
    apr_size_t i;

    (void)state;
    for (i = 0; i < 2; i++) {
        probe_t *at_head = start_get("/hello"), *at_data = start_get("/hello");

        at_head->head_hook = hooks[i];
        at_data->data_hook = hooks[i];
        check_silent(at_head, 1, 0);
        check_silent(at_data, 1, 1);
    }
    assert_int_equal(server.open, 0);
}

static void test_cancel_in_own_end(void **state)
{
    probe_t *cancels = start_get("/hello"), *destroys = start_get("/hello");

    (void)state;
    cancels->done_hook = cancel_hook;
    destroys->done_hook = destroy_hook;
    run(2);
    assert_int_equal(cancels->dones, 1);
    assert_int_equal(destroys->dones, 1);
}

static void destroy_other_hook(probe_t *probe)
{
    apr_pool_destroy(probe->other->pool);
}

static apr_status_t free_cleanup(void *memory)
{
    free(memory);
    return APR_SUCCESS;
}

static void cancel_other_hook(probe_t *probe)
{
    gc_loop_http_cancel(probe->other->call);
    probe->data_hook = NULL;
}

/* The other's bytes may be there already, in the same turn of the loop. */
static void test_cancel_other(void **state)
{
    probe_t *probes[2];
    int data[2], i;

    (void)state;
    for (i = 0; i < 2; i++) {
        probes[i] = start_get("/drip");
    }
    while (!probes[0]->data || !probes[1]->data) {
        event_base_loop(base, EVLOOP_ONCE);
    }
    for (i = 0; i < 2; i++) {
        data[i] = probes[i]->data;
        probes[i]->other = probes[!i];
        probes[i]->data_hook = cancel_other_hook;
    }
    run(1);
    i = probes[1]->dones;
    assert_int_equal(probes[i]->result.reason, GC_HTTP_OK);
    check_silent(probes[!i], 1, data[!i]);
}

/* The body of the other call goes with its pool while curl still has it to send. */
static void test_free_other(void **state)
{
    const apr_size_t size = 16000000;
    gc_http_request_t request = get("/mirror");
    probe_t *probe = start_get("/hello"), *other;
    apr_pool_t *others;
    char *body;

    (void)state;
    apr_pool_create(&others, pool);
    body = malloc(size);
    assert_non_null(body);
    memset(body, 'z', size);
    apr_pool_cleanup_register(others, body, free_cleanup, apr_pool_cleanup_null);
    request.method = GC_HTTP_POST;
    request.body = body;
    request.body_length = size;
    other = apr_pcalloc(pool, sizeof(*other));
    other->pool = others;
    other->call = gc_loop_http_start(http, others, &request, &handler, other);
    probe->other = other;
    probe->head_hook = destroy_other_hook;
    run(1);
    check_silent(other, 0, 0);
    assert_int_equal(probe->result.reason, GC_HTTP_OK);
}

static void start_hook(probe_t *probe)
{
    gc_http_request_t request = get("/hello");

    probe->head_hook = probe->data_hook = probe->done_hook = NULL;
    gc_loop_http_start(http, pool, &request, &handler, probe->other);
}

static void test_start_in_callbacks(void **state)
{
    probe_t *probes[3], others[3] = { 0 };
    int i;

    (void)state;
    for (i = 0; i < 3; i++) {
        probes[i] = start_get("/hello");
        probes[i]->other = &others[i];
    }
    probes[0]->head_hook = probes[1]->data_hook = probes[2]->done_hook = start_hook;
    run(6);
    for (i = 0; i < 3; i++) {
        assert_int_equal(probes[i]->result.reason, GC_HTTP_OK);
        assert_int_equal(others[i].result.reason, GC_HTTP_OK);
    }
}

static void test_destroy_client(void **state)
{
    probe_t *running = start_get("/stall"), *fresh;

    (void)state;
    idle(30);
    fresh = start_get("/hello");
    gc_loop_http_destroy(http);
    http = NULL;
    check_silent(running, 1, 1);
    check_silent(fresh, 0, 0);
    assert_int_equal(server.open, 0);
    assert_int_equal(server.requests, 1);
}

/* ---- many ---- */

static void run_many(void)
{
    probe_t *probes[PARALLEL];
    int i, before = done;

    for (i = 0; i < PARALLEL; i++) {
        probes[i] = start_get("/hello");
    }
    run(before + PARALLEL);
    for (i = 0; i < PARALLEL; i++) {
        assert_int_equal(probes[i]->dones, 1);
        assert_int_equal(probes[i]->result.reason, GC_HTTP_OK);
        assert_string_equal(probes[i]->body, "hello");
    }
}

static void test_parallel_bounded(void **state)
{
    (void)state;
    use_client(AT_MOST, NULL);
    run_many();
    run_many();
    assert_true(server.accepted <= AT_MOST);
    assert_int_equal(server.requests, 2 * PARALLEL);
}

static void test_parallel_reuse(void **state)
{
    int accepted;

    (void)state;
    use_client(PARALLEL, NULL);
    run_many();
    accepted = server.accepted;
    assert_true(accepted <= PARALLEL);
    run_many();
    assert_int_equal(server.accepted, accepted);
}

static void test_parallel_cancelled(void **state)
{
    probe_t *probes[PARALLEL];
    int i;

    (void)state;
    use_client(AT_MOST, NULL);
    for (i = 0; i < PARALLEL; i++) {
        probes[i] = start_get("/stall");
    }
    idle(50);
    for (i = 0; i < PARALLEL; i++) {
        gc_loop_http_cancel(probes[i]->call);
    }
    run_many();
    for (i = 0; i < PARALLEL; i++) {
        assert_int_equal(probes[i]->dones, 0);
    }
}

/* ---- TLS: openssl is the server, with a certificate that it made before ---- */

static void exec(apr_proc_t *process, const char *const *args)
{
    apr_procattr_t *attributes;

    assert_int_equal(apr_procattr_create(&attributes, pool), APR_SUCCESS);
    assert_int_equal(apr_procattr_cmdtype_set(attributes, APR_PROGRAM_PATH), APR_SUCCESS);
    assert_int_equal(apr_procattr_io_set(attributes, APR_NO_PIPE, APR_FULL_BLOCK, APR_FULL_BLOCK),
                     APR_SUCCESS);
    assert_int_equal(apr_proc_create(process, args[0], args, NULL, attributes, pool), APR_SUCCESS);
}

static apr_status_t remove_cleanup(void *path)
{
    return remove(path) == 0 ? APR_SUCCESS : APR_EGENERAL;
}

/* Whatever becomes of the test, what it leaves behind goes with the pool. */
static const char *to_be_removed(const char *path)
{
    apr_pool_cleanup_register(pool, path, remove_cleanup, apr_pool_cleanup_null);
    return path;
}

static void make_certificate(const char *key, const char *certificate)
{
    const char *const args[] = {
        "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
        "-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost",
        "-keyout", key, "-out", certificate, NULL,
    };
    apr_proc_t process;
    int code;

    exec(&process, args);
    apr_proc_wait(&process, &code, NULL, APR_WAIT);
    assert_int_equal(code, 0);
}

/* Reads the port off "ACCEPT 127.0.0.1:12345". */
static int start_openssl(const char *key, const char *certificate)
{
    apr_proc_t *process = apr_pcalloc(pool, sizeof(*process)); /* the pool ends it */
    const char *const args[] = {
        "openssl", "s_server", "-accept", "127.0.0.1:0", "-key", key, "-cert", certificate, "-www",
        NULL,
    };
    char line[256] = "";

    exec(process, args);
    apr_pool_note_subprocess(pool, process, APR_KILL_ALWAYS);
    while (strncmp(line, "ACCEPT ", 7) != 0) {
        assert_int_equal(apr_file_gets(line, sizeof(line), process->out), APR_SUCCESS);
    }
    return atoi(strrchr(line, ':') + 1);
}

static void test_tls(void **state)
{
    const char *directory, *key, *certificate;
    char *name;
    gc_http_request_t request = { 0 };
    probe_t *probe;
    int port;

    (void)state;
    assert_int_equal(apr_temp_dir_get(&directory, pool), APR_SUCCESS);
    name = apr_pstrcat(pool, directory, "/gemclone-XXXXXX", NULL);
    assert_non_null(mkdtemp(name));
    to_be_removed(name);
    key = to_be_removed(apr_pstrcat(pool, name, "/key.pem", NULL));
    certificate = to_be_removed(apr_pstrcat(pool, name, "/cert.pem", NULL));
    make_certificate(key, certificate);
    port = start_openssl(key, certificate);

    request.url = apr_psprintf(pool, "https://localhost:%d/?secret", port);
    probe = run_request(&request);
    assert_int_equal(probe->result.reason, GC_HTTP_TLS);
    assert_non_null(strstr(probe->text, "self"));
    assert_null(strstr(probe->text, "secret"));

    use_client(0, certificate);
    probe = run_request(&request);
    assert_int_equal(probe->result.reason, GC_HTTP_OK);
    assert_int_equal(probe->http_status, 200);

    request.url = apr_psprintf(pool, "https://127.0.0.1:%d/", port);
    assert_int_equal(run_request(&request)->result.reason, GC_HTTP_TLS);

    use_client(0, "/nonexistent.pem");
    assert_int_equal(run_request(&request)->result.reason, GC_HTTP_TLS);
}

/* ---- the frame ---- */

static int setup(void **state)
{
    (void)state;
    done = 0;
    http = NULL;
    base = event_base_new();
    apr_pool_create(&pool, NULL);
    server_start();
    use_client(0, NULL);
    return 0;
}

/* Whatever a test did, the client must have closed all its connections. */
static int teardown(void **state)
{
    (void)state;
    apr_pool_destroy(pool);
    idle(1);
    assert_int_equal(server.open, 0);
    if (server.listener) {
        evconnlistener_free(server.listener);
    }
    ev_token_bucket_cfg_free(server.slow);
    event_base_free(base);
    return 0;
}

static int group_setup(void **state)
{
    (void)state;
    signal(SIGPIPE, SIG_IGN);
    apr_initialize();
    return curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK ? 0 : -1;
}

static int group_teardown(void **state)
{
    (void)state;
    curl_global_cleanup();
    apr_terminate();
    return 0;
}

#define HTTP_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        HTTP_TEST(test_answer),
        HTTP_TEST(test_statuses),
        HTTP_TEST(test_post),
        HTTP_TEST(test_big_post),
        HTTP_TEST(test_delete),
        HTTP_TEST(test_no_callbacks),
        HTTP_TEST(test_invalid_headers),
        HTTP_TEST(test_invalid_urls),
        HTTP_TEST(test_failures),
        HTTP_TEST(test_hang_up),
        HTTP_TEST(test_dead_connection),
        HTTP_TEST(test_refused),
        HTTP_TEST(test_unresolved),
        HTTP_TEST(test_reader_aborts),
        HTTP_TEST(test_timeout_connect_tls),
        HTTP_TEST(test_timeout_connect_waiting),
        HTTP_TEST(test_timeout_total),
        HTTP_TEST(test_no_timeout_while_bytes_come),
        HTTP_TEST(test_cancel),
        HTTP_TEST(test_cancel_in_callbacks),
        HTTP_TEST(test_cancel_in_own_end),
        HTTP_TEST(test_cancel_other),
        HTTP_TEST(test_free_other),
        HTTP_TEST(test_start_in_callbacks),
        HTTP_TEST(test_destroy_client),
        HTTP_TEST(test_parallel_bounded),
        HTTP_TEST(test_parallel_reuse),
        HTTP_TEST(test_parallel_cancelled),
        HTTP_TEST(test_tls),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, group_setup, group_teardown);
}

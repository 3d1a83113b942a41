/* SPDX-License-Identifier: Apache-2.0
 * Load for streams: an upstream that says what time it is, and clients that look how late it has become.
 *
 *   stream_load upstream MILLISECONDS
 *       Speaks as Gemini's streamGenerateContent does. Each answer is an event every so often, whose
 *       text is the time of writing it, in microseconds; the prompt says for how many seconds: "for=30".
 *       Prints "ready PORT"; ends at the end of standard input.
 *   stream_load clients PORT REQUESTS COUNT SECONDS
 *       Opens so many connections and sends on each a request of a file, in turns, in which a NUL ends
 *       each. Prints "open" once all of them have had an event, measures for so many seconds, and prints
 *       RESULT and a line of JSON. Latencies are in milliseconds, from the upstream's write to our read.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { MOST = 65536, EVENTS = 512, PATIENCE = 120, CONNECTS_AT_ONCE = 64 };

static int poll_fd;

static _Noreturn void die(const char *what)
{
    perror(what);
    exit(1);
}

static int64_t now(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_REALTIME, &ts);
    return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

static void watch(int fd, uint32_t events, void *data)
{
    struct epoll_event e = {.events = events, .data.ptr = data};

    if (epoll_ctl(poll_fd, EPOLL_CTL_ADD, fd, &e) != 0) {
        die("epoll_ctl");
    }
}

/* --- The upstream ------------------------------------------------------------ */

typedef struct {
    int fd;
    int64_t next, until; /* 0: it does not answer */
    char request[65536];
    size_t len;
} answer_t;

static answer_t *answers[MOST];

static void close_answer(answer_t *a)
{
    answers[a->fd] = NULL;
    close(a->fd);
    free(a);
}

static void write_chunk(answer_t *a, const char *text)
{
    char chunk[1024];
    int len = snprintf(chunk, sizeof(chunk), "%zx\r\n%s\r\n", strlen(text), text);

    if (write(a->fd, chunk, (size_t)len) != len) {
        close_answer(a);
    }
}

#define EVENT(text, more)                                                                           \
    "data: {\"candidates\":[{\"content\":{\"role\":\"model\",\"parts\":[{\"text\":\"" text "\"}]},"  \
    "\"index\":0" more "}],\"usageMetadata\":{\"promptTokenCount\":4,\"totalTokenCount\":4},"      \
    "\"modelVersion\":\"bench\"}\r\n\r\n"

static void tick(answer_t *a, int64_t time, int64_t period)
{
    char text[512];

    if (time >= a->until) {
        a->until = 0;
        write_chunk(a, EVENT("end", ",\"finishReason\":\"STOP\""));
        if (answers[a->fd] == a) {
            (void)!write(a->fd, "0\r\n\r\n", 5);
        }
        return;
    }
    a->next += period;
    snprintf(text, sizeof(text), EVENT("%lld ", ""), (long long)time);
    write_chunk(a, text);
}

/* Each answer begins at a moment of its own within the period, so that events are spread over it. */
static void begin_answer(answer_t *a, int64_t period)
{
    static const char head[] = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
                               "Transfer-Encoding: chunked\r\n\r\n";
    const char *seconds = strstr(a->request, "for=");

    a->until = now() + (seconds ? atoi(seconds + 4) : 10) * 1000000ll;
    a->next = now() + rand() % period;
    a->len = 0;
    (void)!write(a->fd, head, sizeof(head) - 1);
}

static void read_request(answer_t *a, int64_t period)
{
    ssize_t got = read(a->fd, a->request + a->len, sizeof(a->request) - 1 - a->len);
    const char *body, *length;

    if (got <= 0) {
        if (got == 0 || errno != EAGAIN) {
            close_answer(a);
        }
        return;
    }
    a->len += (size_t)got;
    a->request[a->len] = '\0';
    body = strstr(a->request, "\r\n\r\n");
    length = strcasestr(a->request, "Content-Length:");
    if (body && length && strlen(body + 4) >= strtoul(length + 15, NULL, 10)) {
        begin_answer(a, period);
    }
}

static void accept_all(int listener)
{
    int fd, on = 1;

    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0 && fd < MOST) {
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
        answers[fd] = calloc(1, sizeof(answer_t));
        answers[fd]->fd = fd;
        watch(fd, EPOLLIN, answers[fd]);
    }
}

static int run_upstream(int64_t period)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(at);
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), fd;
    struct epoll_event events[EVENTS];

    if (bind(listener, (struct sockaddr *)&at, sizeof(at)) != 0 || listen(listener, 4096) != 0
        || getsockname(listener, (struct sockaddr *)&at, &len) != 0) {
        die("listen");
    }
    watch(listener, EPOLLIN, &listener);
    watch(STDIN_FILENO, EPOLLIN | EPOLLHUP, NULL);
    printf("ready %d\n", ntohs(at.sin_port));
    fflush(stdout);
    for (;;) {
        int count = epoll_wait(poll_fd, events, EVENTS, 1), i;
        int64_t time = now();

        for (i = 0; i < count; i++) {
            if (!events[i].data.ptr) {
                return 0; /* whoever started us is gone */
            } else if (events[i].data.ptr == &listener) {
                accept_all(listener);
            } else {
                read_request(events[i].data.ptr, period);
            }
        }
        for (fd = 0; fd < MOST; fd++) {
            if (answers[fd] && answers[fd]->until && answers[fd]->next <= time) {
                tick(answers[fd], time, period);
            }
        }
    }
}

/* --- The clients ------------------------------------------------------------- */

typedef struct {
    int fd;
    const char *request;
    size_t len, sent;
    int is_answered; /* the answer has begun */
    int is_open;     /* it has had an event */
    char rest[256]; /* the end of what was read, where a stamp may be cut */
    size_t rest_len;
} client_t;

static client_t clients[MOST];
static int opened, failed, connecting;
static int is_measuring;
static uint64_t events_seen;
static uint32_t latencies[4000000]; /* microseconds */
static uint64_t latency_count;

static void start_client(client_t *c, int port)
{
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                             .sin_port = htons((uint16_t)port)};

    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (c->fd < 0 || (connect(c->fd, (struct sockaddr *)&to, sizeof(to)) != 0 && errno != EINPROGRESS)) {
        die("connect");
    }
    connecting++;
    watch(c->fd, EPOLLIN | EPOLLOUT | EPOLLET, c);
}

static void fail(client_t *c)
{
    if (c->fd >= 0) {
        close(c->fd);
        c->fd = -1;
        failed++;
        connecting -= !c->is_answered;
    }
}

static void send_request(client_t *c)
{
    while (c->sent < c->len) {
        ssize_t put = write(c->fd, c->request + c->sent, c->len - c->sent);

        if (put <= 0) {
            if (put < 0 && errno != EAGAIN) {
                fail(c);
            }
            return;
        }
        c->sent += (size_t)put;
    }
}

static void note_latency(int64_t stamp, int64_t time)
{
    if (is_measuring && latency_count < sizeof(latencies) / sizeof(latencies[0])) {
        latencies[latency_count++] = time > stamp ? (uint32_t)(time - stamp) : 0;
    }
}

/* A stamp has 16 digits and a blank behind it. Those of an event that brings many, as the first one of
 * a reader who came late does, tell nothing but the last. */
static void look(client_t *c, const char *text, size_t len, int64_t time)
{
    const char *p = text, *end = text + len;

    while ((p = memmem(p, (size_t)(end - p), "text\":", 6))) {
        const char *quote = memchr(p, '}', (size_t)(end - p));

        if (!quote) {
            break;
        }
        if (quote - p >= 22) {
            int64_t stamp = 0;
            const char *digit = quote - 2; /* the blank; after it come the quote and the brace */

            while (digit > p && (*digit < '0' || *digit > '9')) {
                digit--;
            }
            digit -= 15;
            if (digit > p) {
                int i;

                for (i = 0; i < 16; i++) {
                    stamp = stamp * 10 + (digit[i] - '0');
                }
                note_latency(stamp, time);
            }
        }
        events_seen += (uint64_t)is_measuring;
        if (!c->is_open) {
            c->is_open = 1;
            opened++;
        }
        p = quote;
    }
}

static void read_events(client_t *c)
{
    static char bytes[256 + 262144];

    for (;;) {
        ssize_t got;
        size_t len, keep;

        memcpy(bytes, c->rest, c->rest_len);
        got = read(c->fd, bytes + c->rest_len, sizeof(bytes) - c->rest_len);
        if (got <= 0) {
            if (got == 0 || errno != EAGAIN) {
                fail(c);
            }
            return;
        }
        if (!c->is_answered) {
            c->is_answered = 1;
            connecting--;
        }
        len = c->rest_len + (size_t)got;
        look(c, bytes, len, now());
        {
            const char *last = NULL, *p = bytes;

            while ((p = memmem(p, (size_t)(bytes + len - p), "text\":", 6))) {
                last = memchr(p, '}', (size_t)(bytes + len - p)) ? NULL : p;
                p += 6;
            }
            keep = last ? (size_t)(bytes + len - last) : len < 5 ? len : 5;
            keep = keep > sizeof(c->rest) ? sizeof(c->rest) : keep;
        }
        memcpy(c->rest, bytes + len - keep, keep);
        c->rest_len = keep;
    }
}

/* Reads what has come, then sleeps for a millisecond: to be woken for each event would cost the server,
 * which shares the machine, more than sending it. That millisecond is part of the latencies. */
static void poll_clients(void)
{
    struct epoll_event events[EVENTS];
    int count = epoll_wait(poll_fd, events, EVENTS, 0), i;

    if (count < EVENTS) {
        usleep(1000);
    }
    for (i = 0; i < count; i++) {
        client_t *c = events[i].data.ptr;

        if (c->fd >= 0 && c->sent < c->len) {
            send_request(c);
        }
        if (c->fd >= 0) {
            read_events(c);
        }
    }
}

static int by_size(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return (x > y) - (x < y);
}

static double percentile(double part)
{
    return latency_count ? latencies[(uint64_t)((double)(latency_count - 1) * part)] / 1000.0 : 0;
}

static char *read_file(const char *name, size_t *len)
{
    FILE *in = fopen(name, "rb");
    char *text = malloc(64 * 1024 * 1024);

    if (!in || !text) {
        die(name);
    }
    *len = fread(text, 1, 64 * 1024 * 1024, in);
    fclose(in);
    return text;
}

static int run_clients(int port, const char *file, int count, int seconds)
{
    size_t len;
    char *requests = read_file(file, &len), *request = requests;
    int64_t deadline = now() + PATIENCE * 1000000ll, began;
    int started = 0;

    while (opened + failed < count && now() < deadline) {
        while (started < count && connecting < CONNECTS_AT_ONCE) {
            client_t *c = &clients[started++];

            c->request = request;
            c->len = strlen(request);
            request += c->len + 1;
            if (request >= requests + len) {
                request = requests;
            }
            start_client(c, port);
        }
        poll_clients();
    }
    printf("open %d\n", opened);
    fflush(stdout);
    /* The clients' own start is over. */
    for (began = now(); now() < began + 1000000;) {
        poll_clients();
    }
    failed += count - opened - failed > 0 ? count - opened - failed : 0;
    is_measuring = 1;
    for (began = now(); now() < began + seconds * 1000000ll;) {
        poll_clients();
    }
    qsort(latencies, latency_count, sizeof(latencies[0]), by_size);
    printf("RESULT {\"open\":%d,\"errors\":%d,\"events\":%llu,\"seconds\":%.3f,\"p50\":%.3f,\"p99\":%.3f,"
           "\"max\":%.3f}\n",
           opened, failed, (unsigned long long)events_seen, (double)(now() - began) / 1e6, percentile(0.5),
           percentile(0.99), percentile(1));
    return 0;
}

int main(int argc, char **argv)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max < MOST ? limit.rlim_max : MOST;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
    poll_fd = epoll_create1(0);
    if (argc == 3 && strcmp(argv[1], "upstream") == 0) {
        return run_upstream(atoi(argv[2]) * 1000ll);
    }
    if (argc == 6 && strcmp(argv[1], "clients") == 0) {
        return run_clients(atoi(argv[2]), argv[3], atoi(argv[4]), atoi(argv[5]));
    }
    fprintf(stderr, "stream_load upstream MILLISECONDS | clients PORT REQUESTS COUNT SECONDS\n");
    return 2;
}

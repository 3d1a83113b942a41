/* SPDX-License-Identifier: Apache-2.0
 * The least that a handler can do, a fixed answer: what the module's routes are measured against.
 *
 *   BenchAnswer FILE            the answer's bytes, read at start
 *   SetHandler bench-empty      answers with them, from memory, with the headers of a route
 *   SetHandler bench-mark       answers with 204, after passing bench_mark()
 */
#include <httpd.h>

#include <apr_file_io.h>
#include <apr_strings.h>
#include <http_config.h>
#include <http_core.h>
#include <http_protocol.h>
#include <string.h>

static const char *answer;
static apr_size_t length;

static const char *set_answer(cmd_parms *cmd, void *dummy, const char *path)
{
    apr_file_t *file;
    apr_finfo_t info;
    char *bytes;

    (void)dummy;
    if (apr_file_open(&file, path, APR_READ, 0, cmd->pool) != APR_SUCCESS
        || apr_file_info_get(&info, APR_FINFO_SIZE, file) != APR_SUCCESS) {
        return apr_pstrcat(cmd->pool, "BenchAnswer: cannot read ", path, NULL);
    }
    length = (apr_size_t)info.size;
    answer = bytes = apr_palloc(cmd->pool, length + 1);
    return apr_file_read_full(file, bytes, length, NULL) == APR_SUCCESS ? NULL : "BenchAnswer: short read";
}

static int answer_empty(request_rec *r)
{
    apr_bucket_brigade *out = apr_brigade_create(r->pool, r->connection->bucket_alloc);

    ap_set_content_type(r, "application/json");
    apr_table_setn(r->headers_out, "Cache-Control", "private, no-cache");
    apr_table_setn(r->err_headers_out, "Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'");
    apr_table_setn(r->err_headers_out, "X-Content-Type-Options", "nosniff");
    apr_table_setn(r->err_headers_out, "Referrer-Policy", "no-referrer");
    apr_table_setn(r->err_headers_out, "Cross-Origin-Resource-Policy", "same-origin");
    apr_table_setn(r->headers_out, "ETag", "\"00000000000000000000000000000000\"");
    ap_set_content_length(r, (apr_off_t)length);
    APR_BRIGADE_INSERT_TAIL(out, apr_bucket_immortal_create(answer, length, out->bucket_alloc));
    APR_BRIGADE_INSERT_TAIL(out, apr_bucket_eos_create(out->bucket_alloc));
    (void)ap_pass_brigade(r->output_filters, out);
    return OK;
}

/* For `valgrind --tool=callgrind --dump-before=bench_mark`: each call ends one account of instructions
 * and begins the next. */
__attribute__((noinline)) void bench_mark(void);
void bench_mark(void)
{
    __asm__ volatile("");
}

static int handle(request_rec *r)
{
    if (r->handler && strcmp(r->handler, "bench-empty") == 0 && answer) {
        return answer_empty(r);
    }
    if (r->handler && strcmp(r->handler, "bench-mark") == 0) {
        bench_mark();
        r->status = HTTP_NO_CONTENT;
        return OK;
    }
    return DECLINED;
}

static const command_rec directives[] = {
    AP_INIT_TAKE1("BenchAnswer", set_answer, NULL, RSRC_CONF, "the file whose bytes bench-empty answers with"),
    {NULL}};

static void register_hooks(apr_pool_t *pool)
{
    (void)pool;
    ap_hook_handler(handle, NULL, NULL, APR_HOOK_MIDDLE);
}

AP_DECLARE_MODULE(empty) = {STANDARD20_MODULE_STUFF, NULL, NULL, NULL, NULL, directives, register_hooks,
                            AP_MODULE_FLAG_NONE};

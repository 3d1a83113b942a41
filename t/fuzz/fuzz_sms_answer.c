/* SPDX-License-Identifier: Apache-2.0
 * What SMS gateways answer. The input is the HTTP status on one line, then the body.
 */
#include "fuzz.h"

#include <string.h>

#include <jansson.h>

#include "core/membuf.h"
#include "upstream/sms.h"

/* What an answer says that came whole; a log takes its code. */
static void check_answer(const gc_sms_answer_t *answer, int status)
{
    HOLDS(answer->http_status == status);
    HOLDS(strlen(answer->code) < GC_SMS_WORD);
    HOLDS(!answer->code[strspn(answer->code, "abcdefghijklmnopqrstuvwxyz_-0123456789")]);
    HOLDS((answer->verdict == GC_SMS_DONE || answer->verdict == GC_SMS_WRONG)
          == (*answer->code == '\0'));
}

/* Who is let in by a gateway's word: nobody but by this one. */
static int is_approved(const uint8_t *data, size_t size, int status)
{
    json_t *json = json_loadb((const char *)data, size, JSON_ALLOW_NUL, NULL);
    const char *word = json_string_value(json_object_get(json, "status"));
    int is = status / 100 == 2 && word && strcmp(word, "approved") == 0;

    json_decref(json);
    return is;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const gc_sms_settings_t gateways[] = {
        {.kind = GC_SMS_TWILIO}, {.kind = GC_SMS_VERIFY}, {.kind = GC_SMS_WEBHOOK}};
    apr_pool_t *pool = fuzz_pool();
    char *line = fuzz_line(pool, &data, &size);
    gc_http_result_t result = {.http_status = (int)(fuzz_number(&line, 200) % 1000)};
    gc_membuf_t *body = apr_palloc(pool, sizeof(*body));
    gc_sms_answer_t answer;
    int i;

    gc_membuf_init(body, pool, GC_SMS_BODY);
    HOLDS(gc_membuf_append(body, (const char *)data, size) == APR_SUCCESS);
    for (i = 0; i < 3; i++) {
        gc_sms_answer_sent(pool, &gateways[i], &result, body, &answer);
        check_answer(&answer, result.http_status);
        HOLDS(answer.verdict != GC_SMS_DONE || result.http_status / 100 == 2);
        HOLDS(answer.verdict != GC_SMS_WRONG);
    }
    gc_sms_answer_asked(pool, &result, body, &answer);
    check_answer(&answer, result.http_status);
    HOLDS(answer.verdict != GC_SMS_DONE || is_approved(data, size, result.http_status));
    apr_pool_destroy(pool);
    return 0;
}

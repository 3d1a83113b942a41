/* SPDX-License-Identifier: Apache-2.0
 * Access tokens as they come with requests.
 */
#include "bearer.h"

#include <string.h>
#include <strings.h>

#define SCHEME "Bearer "

gc_bearer_e gc_bearer_read(const gc_service_t *service, apr_pool_t *pool, const char *header,
                           apr_time_t now, gc_token_t *token)
{
    if (!header || strncasecmp(header, SCHEME, strlen(SCHEME)) != 0) {
        return GC_BEARER_NONE;
    }
    return gc_token_verify(pool, &service->ring, header + strlen(SCHEME), now, token) == APR_SUCCESS
                   && !gc_ended_has(service->ended, &token->session)
               ? GC_BEARER_GOOD
               : GC_BEARER_BAD;
}

void gc_bearer_note_user(request_rec *r, const gc_uuid_t *user)
{
    r->user = (char *)gc_uuid_text(r->pool, user);
    apr_table_setn(r->notes, "gemclone-user", r->user);
    apr_table_setn(r->subprocess_env, "GEMCLONE_USER", r->user);
}

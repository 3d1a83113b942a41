/* SPDX-License-Identifier: Apache-2.0
 * Access tokens as they come with requests: the API's own, and those for what else the server has
 * (door.h).
 */
#ifndef GC_BEARER_H
#define GC_BEARER_H

#include <httpd.h>

#include "core/token.h"
#include "service.h"

typedef enum {
    GC_BEARER_GOOD,
    GC_BEARER_NONE, /* there is no token */
    GC_BEARER_BAD   /* not good, or not any more */
} gc_bearer_e;

/* Reads the access token of an Authorization header, which may be NULL. What its scope allows is
 * the caller's to see. Asks nobody: sessions that have ended are known (core/ended.h). */
GC_MUST_CHECK gc_bearer_e gc_bearer_read(const gc_service_t *service, apr_pool_t *pool,
                                         const char *header, apr_time_t now, gc_token_t *token);

/* Puts a user down as the request's, for other modules, logs and programs: REMOTE_USER, the note
 * gemclone-user, GEMCLONE_USER. */
void gc_bearer_note_user(request_rec *r, const gc_uuid_t *user);

#endif

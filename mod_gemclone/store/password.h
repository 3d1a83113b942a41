/* SPDX-License-Identifier: Apache-2.0
 * The passwords of accounts: what a try needs, and what follows from it.
 */
#ifndef GC_STORE_PASSWORD_H
#define GC_STORE_PASSWORD_H

#include "limit.h"
#include "session.h"

/* Whom a try is at. */
typedef struct gc_account_t {
    gc_uuid_t user;
    const char *e164;
    const char *hash; /* of the password; NULL: none was set, or there is no such account */
} gc_account_t;

/* Counts a try at an account, which is named by its user or, where that is NULL, by its number. A
 * number without an account counts as one. */
GC_MUST_CHECK apr_status_t gc_password_try(gc_db_t *db, apr_pool_t *pool, const gc_uuid_t *user,
                                           const char *e164, const gc_limit_uses_t *uses,
                                           gc_account_t *account, gc_refusal_t *refusal);

/* The password was right: the try does not count, and the session is opened. better: its hash at
 * today's cost, or NULL. GC_ENOENT: it has been changed meanwhile. */
GC_MUST_CHECK apr_status_t gc_password_accept(gc_db_t *db, apr_pool_t *pool,
                                              const gc_account_t *account, const char *better,
                                              const gc_limit_uses_t *uses,
                                              const gc_session_new_t *session);

typedef struct gc_password_change_t {
    gc_uuid_t user, session;
    int resets;             /* the session is of a reset: whichever password there is goes */
    const char *old, *hash; /* the hash that was tried, or NULL: there was none; and the new one */
    gc_limit_uses_t uses;   /* of a try at the old one */
} gc_password_change_t;

/* Sets a password and ends all other sessions, and of a reset its own as well; what the try at the
 * old one has taken is given back. GC_ENOENT: the
 * session has ended. GC_EEXIST: another request has changed it meanwhile. */
GC_MUST_CHECK apr_status_t gc_password_set(gc_db_t *db, apr_pool_t *pool,
                                           const gc_password_change_t *change);

#endif

/* SPDX-License-Identifier: Apache-2.0
 * Stream tickets: each opens the events of one reply, once, to whoever shows it.
 */
#ifndef GC_TICKET_H
#define GC_TICKET_H

#include "core/code.h"
#include "db.h"

/* Keeps a ticket's hash. GC_ENOENT: the reply is missing, or somebody else's. */
GC_MUST_CHECK apr_status_t gc_ticket_issue(gc_db_t *db, apr_pool_t *pool, const gc_uuid_t *user,
                                           apr_int64_t reply, const gc_hash_t *ticket,
                                           apr_interval_time_t lifetime);

/* Uses a ticket up and tells whose it was. GC_ENOENT: unknown, used, expired, or
 * another reply's. */
GC_MUST_CHECK apr_status_t gc_ticket_take(gc_db_t *db, apr_pool_t *pool, const gc_hash_t *ticket,
                                          const gc_uuid_t *room, apr_int64_t reply,
                                          gc_uuid_t *user);

#endif

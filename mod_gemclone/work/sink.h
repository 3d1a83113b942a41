/* SPDX-License-Identifier: Apache-2.0
 * Where the text of replies goes while it is generated: work hands it out and
 * does not know to whom.
 */
#ifndef GC_SINK_H
#define GC_SINK_H

#include <apr_time.h>

#include "core/uuid.h"

/* All of it is called on the loop. */
typedef struct gc_sink_t {
    /* A try under this fence has so much text by now, none at its beginning. The
     * text, whole UTF-8 characters, stays where it is until the next call for the reply. */
    void (*text)(void *baton, const gc_uuid_t *room, apr_int64_t reply, apr_int64_t fence,
                 const char *text, apr_size_t len);
    /* The try under this fence is over, and its text is gone. ended: the reply's end is durable, or
     * the reply was deleted; else another try follows, here or elsewhere, or goes on already. */
    void (*left)(void *baton, apr_int64_t reply, apr_int64_t fence, int ended);
    void *baton;
} gc_sink_t;

#endif

/* SPDX-License-Identifier: Apache-2.0
 * Answers to GET that may be too long to be held: files of JSON or text.
 *
 * A short one is answered as a whole, with an ETag and all. A longer one is written piece by piece
 * while it is made, by its request's thread, which stays with it until the client has all but the
 * last of it: GemcloneBlockingStreams bounds how many do that. What cannot be made to its end is
 * cut off, without the last chunk, so that no client takes it for the whole.
 */
#ifndef GC_PIECES_H
#define GC_PIECES_H

#include "request.h"

typedef struct gc_pieces_t {
    gc_request_t *q;
    const char *type, *file;
    gc_json_writer_t *out; /* what has not been written yet: to be added to */
    apr_bucket_brigade *brigade;
    int has_begun;  /* it is written in pieces */
    int is_refused; /* there is no thread for it */
} gc_pieces_t;

/* In the request's pool. file: the name by which a browser keeps it. */
gc_pieces_t *gc_pieces_create(gc_request_t *q, const char *type, const char *file);

/* Writes what there is, if that is long enough. Anything but APR_SUCCESS: no more is wanted, and
 * gc_pieces_end is to be told. Call it after each bit of bounded length. */
GC_MUST_CHECK apr_status_t gc_pieces_flush(gc_pieces_t *pieces);

/* The end: all of it is there (APR_SUCCESS), or why it is not. Returns what the handler is to
 * return: as long as nothing was written, that is an answer like any other. */
int gc_pieces_end(gc_pieces_t *pieces, apr_status_t rv);

#endif

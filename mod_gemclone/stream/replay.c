/* SPDX-License-Identifier: Apache-2.0
 * What a reader who has so much of a reply is to get next.
 */
#include "replay.h"

#include <string.h>

/* The most text in one event. */
enum { PIECE = 16 * 1024 };

#define CLIENT_RETRY apr_time_from_sec(2)
#define DRAIN_RETRY apr_time_from_msec(500)

void gc_replay_greet(gc_membuf_t *out, apr_status_t *status)
{
    gc_frame_retry(out, CLIENT_RETRY, status);
}

void gc_replay_farewell(gc_membuf_t *out, apr_status_t *status)
{
    gc_frame_retry(out, DRAIN_RETRY, status);
}

/* Whether a place is one that this text cannot have: the id was made up. */
static int is_misplaced(const gc_event_id_t *at, const char *text, apr_size_t len, int is_whole)
{
    apr_size_t offset = (apr_size_t)at->offset;

    return offset < len ? ((unsigned char)text[offset] & 0xC0) == 0x80 : is_whole && offset > len;
}

void gc_replay_text(gc_membuf_t *out, gc_event_id_t *at, apr_int64_t fence, const char *text,
                    apr_size_t len, int is_whole, apr_status_t *status)
{
    apr_size_t piece;

    if (at->fence != fence || is_misplaced(at, text, len, is_whole)) {
        int has_text = at->offset > 0;

        *at = (gc_event_id_t){.fence = fence};
        if (has_text) {
            gc_frame_event(out, at, "reset", "{}", 2, status);
        }
    }
    if ((apr_size_t)at->offset < len) {
        text += at->offset;
        piece = gc_frame_whole(text, len - (apr_size_t)at->offset, PIECE);
        if (piece) {
            at->offset += (apr_int64_t)piece;
            gc_frame_delta(out, at, text, piece, status);
        }
    }
}

int gc_replay_end(gc_membuf_t *out, gc_event_id_t *at, const gc_ending_t *end, apr_status_t *status)
{
    if ((apr_size_t)at->offset < end->len) {
        return 0;
    }
    *at = (gc_event_id_t){.fence = end->fence, .is_end = 1};
    gc_frame_event(out, at, end->event, end->description, strlen(end->description), status);
    return 1;
}

void gc_ending_of(gc_ending_t *end, const gc_message_t *message, const char *description)
{
    int failed = strcmp(message->status, "failed") == 0;

    end->fence = message->fence;
    end->event = failed ? "error" : "done";
    end->text = message->content;
    end->len = strlen(message->content);
    end->description = description;
}

void gc_replay_all(gc_membuf_t *out, const gc_event_id_t *from, const gc_message_t *message,
                   const char *description, apr_status_t *status)
{
    gc_event_id_t at = *from;
    gc_ending_t end;

    gc_ending_of(&end, message, description);
    do {
        gc_replay_text(out, &at, end.fence, end.text, end.len, 1, status);
    } while (*status == APR_SUCCESS && !gc_replay_end(out, &at, &end, status));
}

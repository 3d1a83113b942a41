-- Verify mod_gemclone:jobs on pg

BEGIN;

SELECT reply_id, room_id, user_id, site, due_at, place, worker, fence, tries, lost, fallback, cancelled, dropped, error,
    reason, charged_on, traceparent, created_at
FROM gemclone.jobs WHERE false;
SELECT room_id, reply_id, user_id, site, tries, lost, error, reason, refunded, charged_on, traceparent,
    created_at, failed_at
FROM gemclone.failures WHERE false;

ROLLBACK;

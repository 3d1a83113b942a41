-- Verify mod_gemclone:jobs on pg

BEGIN;

SELECT reply_id, room_id, user_id, site, due_at, place, worker, fence, tries, lost, fallback, charged_on, traceparent, created_at
FROM gemclone.jobs WHERE false;

ROLLBACK;

-- Verify mod_gemclone:jobs on pg

BEGIN;

SELECT reply_id, room_id, user_id, site, due_at, worker, fence, tries, fallback, charged_on, created_at
FROM gemclone.jobs WHERE false;

ROLLBACK;

-- Revert mod_gemclone:sessions from pg

BEGIN;

DROP FUNCTION gemclone.session_refresh, gemclone.session_open;
DROP TABLE gemclone.sessions, gemclone.sessions_ended;
DROP FUNCTION gemclone.sessions_note_ended;

COMMIT;

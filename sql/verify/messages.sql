-- Verify mod_gemclone:messages on pg

BEGIN;

SELECT room_id, id, parent_id, superseded, sender, status, content, error, error_detail,
       finish_reason, model, tokens, prompt_tokens, cached_tokens, thought_tokens,
       created_at, finished_at
FROM gemclone.messages WHERE false;
SELECT 1 / has_sequence_privilege('gemclone', 'gemclone.message_id', 'USAGE')::int;

ROLLBACK;

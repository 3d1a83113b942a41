-- Verify mod_gemclone:usage on pg

BEGIN;

SELECT user_id, day, prompts, input_tokens, output_tokens FROM gemclone.usage WHERE false;

ROLLBACK;

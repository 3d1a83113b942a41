-- Verify mod_gemclone:billing on pg

BEGIN;

SELECT id, user_id, gone, created_at FROM gemclone.customers WHERE false;
SELECT id, customer, kind, status, asked_at FROM gemclone.reversals WHERE false;
SELECT id, user_id, price, customer, session, url, status, payment_status, subscription, asked_at, created_at
FROM gemclone.checkouts WHERE false;
SELECT id, customer, user_id, status, price, period_start, period_end, cancel_at_period_end, unpaid, created_at,
    asked_at
FROM gemclone.subscriptions WHERE false;
SELECT id, type, api_version, payload, received_at, due_at, worker, fence, tries, outcome, ended_at
FROM gemclone.stripe_events WHERE false;
SELECT 1 / has_function_privilege('gemclone', 'gemclone.stripe_events_claim(text, integer, interval)', 'EXECUTE')::int,
       1 / has_function_privilege('gemclone', 'gemclone.checkout_begin(uuid, text, interval)', 'EXECUTE')::int;

ROLLBACK;

-- Revert mod_gemclone:billing from pg

BEGIN;

DROP FUNCTION gemclone.checkout_begin, gemclone.reversal_store, gemclone.checkout_store,
    gemclone.subscription_gone, gemclone.subscription_store, gemclone.customer_lock, gemclone.paid_refresh,
    gemclone.paid_until, gemclone.subscriptions_doubt, gemclone.stripe_events_count, gemclone.stripe_event_replay, gemclone.stripe_event_again, gemclone.stripe_event_end, gemclone.stripe_events_claim;
DROP TABLE gemclone.stripe_events, gemclone.subscriptions, gemclone.checkouts, gemclone.reversals,
    gemclone.customers;

COMMIT;

-- Deploy mod_gemclone:billing to pg
-- Pro by subscription: what Stripe has told, and what follows from it.
--
-- Stripe is the truth about a subscription; what is here is what it said when it was asked last.
-- Events only say what to ask for. Each answer comes with the time at which it was asked for, and
-- an older one than is stored changes nothing: whatever the order in which events come and are
-- worked off, the last change is asked for after it has happened, and stays.
--
-- No card, name or address of a customer is kept, but for what is in the raw events.

BEGIN;
SET LOCAL lock_timeout = '1s';

-- Whom Stripe knows as what. A user has one customer; rows stay when the user goes.
CREATE TABLE gemclone.customers (
    id         text        PRIMARY KEY,
    user_id    uuid        UNIQUE REFERENCES gemclone.users ON DELETE SET NULL,
    gone       boolean     NOT NULL DEFAULT false,
    created_at timestamptz NOT NULL DEFAULT now()
);

COMMENT ON COLUMN gemclone.customers.gone IS 'deleted in Stripe';

-- Payments that were given back, or that somebody wants back.
CREATE TABLE gemclone.reversals (
    id       text        PRIMARY KEY,
    customer text        NOT NULL REFERENCES gemclone.customers,
    kind     text        NOT NULL CHECK (kind IN ('refund', 'dispute')),
    status   text        NOT NULL,
    asked_at timestamptz NOT NULL
);

COMMENT ON COLUMN gemclone.reversals.id IS 'of the charge, or of the dispute';
COMMENT ON COLUMN gemclone.reversals.status IS 'of a dispute as Stripe has it; of a refund: refunded, partial, none';

CREATE INDEX reversals_customer ON gemclone.reversals (customer);

-- Each attempt to buy; its id is the idempotency key of the request to Stripe.
CREATE TABLE gemclone.checkouts (
    id             uuid        PRIMARY KEY DEFAULT gen_random_uuid(),
    user_id        uuid        NOT NULL REFERENCES gemclone.users ON DELETE CASCADE,
    price          text        NOT NULL,
    customer       text,
    session        text        UNIQUE,
    url            text,
    status         text        NOT NULL DEFAULT 'new',
    payment_status text,
    subscription   text,
    asked_at       timestamptz NOT NULL DEFAULT '-infinity',
    created_at     timestamptz NOT NULL DEFAULT now()
);

COMMENT ON COLUMN gemclone.checkouts.status IS 'new until there is a session; then as Stripe has it: open, complete, expired';

CREATE INDEX checkouts_user ON gemclone.checkouts (user_id, created_at DESC);

CREATE TABLE gemclone.subscriptions (
    id                   text        PRIMARY KEY,
    customer             text        NOT NULL REFERENCES gemclone.customers,
    user_id              uuid        REFERENCES gemclone.users ON DELETE SET NULL,
    status               text        NOT NULL,
    price                text,
    period_start         timestamptz,
    period_end           timestamptz,
    cancel_at_period_end boolean     NOT NULL DEFAULT false,
    unpaid               boolean     NOT NULL DEFAULT false,
    created_at           timestamptz NOT NULL,
    asked_at             timestamptz NOT NULL
);

COMMENT ON COLUMN gemclone.subscriptions.unpaid IS 'its first payment has not come: the bank has yet to say yes, or has said no';

CREATE INDEX subscriptions_user ON gemclone.subscriptions (user_id);
-- Those about which an event may be missing; see subscriptions_doubt.
CREATE INDEX subscriptions_live ON gemclone.subscriptions (period_end)
    WHERE status IN ('trialing', 'active', 'past_due', 'incomplete', 'unpaid', 'paused');

-- Each event that Stripe has delivered, once, as it came.
CREATE TABLE gemclone.stripe_events (
    id          text        PRIMARY KEY,
    type        text        NOT NULL,
    api_version text,
    payload     bytea       NOT NULL,
    received_at timestamptz NOT NULL DEFAULT now(),
    due_at      timestamptz DEFAULT now(),
    worker      text,
    fence       bigint      NOT NULL DEFAULT 0,
    tries       integer     NOT NULL DEFAULT 0,
    outcome     text,
    ended_at    timestamptz
);

COMMENT ON COLUMN gemclone.stripe_events.due_at IS 'when it may be taken, or its lease ends; NULL: it is done with';
COMMENT ON COLUMN gemclone.stripe_events.outcome IS 'done, ignored, or why it has not been done yet';

CREATE INDEX stripe_events_due ON gemclone.stripe_events (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX stripe_events_ended ON gemclone.stripe_events (ended_at) WHERE due_at IS NULL;

-- --- Events -----------------------------------------------------------------

-- Takes at most p_most events that are due and gives their process a lease on them.
CREATE FUNCTION gemclone.stripe_events_claim(p_worker text, p_most integer, p_lease interval)
RETURNS TABLE (id text, type text, fence bigint, tries integer, payload bytea, asked_at timestamptz)
LANGUAGE sql ROWS 16
SET enable_seqscan = off SET enable_sort = off AS $$
    WITH due AS MATERIALIZED (
        SELECT e.ctid FROM gemclone.stripe_events e
        WHERE e.due_at <= now()
        ORDER BY e.due_at
        LIMIT p_most
        FOR UPDATE SKIP LOCKED
    )
    UPDATE gemclone.stripe_events e
    SET worker = p_worker, due_at = now() + p_lease, fence = e.fence + 1, tries = e.tries + 1
    FROM due d WHERE e.ctid = d.ctid
    RETURNING e.id, e.type, e.fence, e.tries, e.payload, now()
$$;

-- Ends an event, or puts it off by p_delay. False: another process has it by now.
CREATE FUNCTION gemclone.stripe_event_end(p_id text, p_fence bigint, p_outcome text, p_delay interval)
RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    UPDATE gemclone.stripe_events e
    SET worker = NULL, outcome = p_outcome, due_at = now() + p_delay,
        ended_at = CASE WHEN p_delay IS NULL THEN now() END
    WHERE e.id = p_id AND e.fence = p_fence;
    RETURN FOUND;
END
$$;

-- How many are not worked off, and how many of them have failed.
CREATE FUNCTION gemclone.stripe_events_count()
RETURNS TABLE (waiting bigint, failing bigint)
LANGUAGE sql ROWS 1 STABLE
SET enable_seqscan = off AS $$
    SELECT count(*), count(*) FILTER (WHERE e.outcome IS NOT NULL)
    FROM gemclone.stripe_events e WHERE e.due_at IS NOT NULL
$$;

-- What no event may tell of. Subscriptions whose period has ended without one, which may be lost or on
-- its way: an event of our own has Stripe asked; at most p_most of them, each once an hour. And once
-- a day, what subscriptions there are at all.
CREATE FUNCTION gemclone.subscriptions_doubt(p_most integer)
RETURNS bigint LANGUAGE plpgsql
SET enable_seqscan = off AS $$
DECLARE
    doubted bigint;
BEGIN
    INSERT INTO gemclone.stripe_events (id, type, payload)
    SELECT 'evt_doubt_' || to_char(now(), 'YYYYMMDDHH24') || '_' || s.id, 'customer.subscription.doubt',
           convert_to(json_build_object(
               'id', 'evt_doubt', 'object', 'event', 'type', 'customer.subscription.doubt',
               'data', json_build_object('object', json_build_object(
                   'id', s.id, 'object', 'subscription', 'customer', s.customer)))::text, 'UTF8')
    FROM (SELECT * FROM gemclone.subscriptions s
          WHERE s.status IN ('trialing', 'active', 'past_due', 'incomplete', 'unpaid', 'paused')
            AND s.period_end < now() - interval '10 minutes' AND s.asked_at < now() - interval '1 hour'
          ORDER BY s.period_end LIMIT p_most) s
    ON CONFLICT (id) DO NOTHING;
    GET DIAGNOSTICS doubted = ROW_COUNT;
    INSERT INTO gemclone.stripe_events (id, type, payload)
    SELECT 'evt_list_' || to_char(now(), 'YYYYMMDD'), 'gemclone.subscriptions.list',
           convert_to('{"id":"evt_list","object":"event","type":"gemclone.subscriptions.list"}', 'UTF8')
    ON CONFLICT (id) DO NOTHING;
    RETURN doubted;
END
$$;

-- Has an event worked off once more, whatever became of it. False: there is no such one.
CREATE FUNCTION gemclone.stripe_event_again(p_id text)
RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    UPDATE gemclone.stripe_events e
    SET due_at = now(), worker = NULL, fence = e.fence + 1, tries = 0, outcome = NULL, ended_at = NULL
    WHERE e.id = p_id;
    RETURN FOUND;
END
$$;

-- The same for admins who have no page for it.
--   psql -c "SELECT gemclone.stripe_event_replay('evt_...')"
CREATE FUNCTION gemclone.stripe_event_replay(p_id text)
RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    IF NOT gemclone.stripe_event_again(p_id) THEN
        RAISE EXCEPTION 'there is no event % here', p_id;
    END IF;
    RETURN 'it is worked off again';
END
$$;

-- --- What follows from it ---------------------------------------------------

-- Until when a user's subscriptions make the account pro; NULL: none does. p_grace: how long a
-- subscription is good after a payment for it has failed, counted from the period that was to be
-- paid. While a payment is disputed nothing is granted; a refund alone changes nothing.
CREATE FUNCTION gemclone.paid_until(p_user uuid, p_grace interval)
RETURNS timestamptz LANGUAGE sql STABLE AS $$
    SELECT max(CASE s.status WHEN 'past_due' THEN s.period_start + p_grace ELSE 'infinity' END)
    FROM gemclone.subscriptions s
    WHERE s.user_id = p_user AND s.status IN ('active', 'trialing', 'past_due') AND NOT s.unpaid
      AND NOT EXISTS (SELECT FROM gemclone.reversals r
                      WHERE r.customer = s.customer AND r.kind = 'dispute'
                        AND r.status NOT IN ('won', 'warning_closed', 'prevented'))
$$;

-- Puts that down. True when it changed.
CREATE FUNCTION gemclone.paid_refresh(p_user uuid, p_grace interval)
RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    UPDATE gemclone.users u SET paid_until = p.until
    FROM (SELECT gemclone.paid_until(p_user, p_grace) AS until) p
    WHERE u.id = p_user AND u.paid_until IS DISTINCT FROM p.until;
    RETURN FOUND;
END
$$;

-- Locks a customer, so that what is stored of one is stored one after the other, and returns whose
-- it is: who came with the customer first. NULL: nobody's who is still here.
CREATE FUNCTION gemclone.customer_lock(p_customer text, p_user uuid)
RETURNS uuid LANGUAGE plpgsql AS $$
DECLARE
    v_user uuid;
BEGIN
    INSERT INTO gemclone.customers (id) VALUES (p_customer) ON CONFLICT (id) DO NOTHING;
    SELECT c.user_id INTO v_user FROM gemclone.customers c WHERE c.id = p_customer FOR UPDATE;
    IF v_user IS NULL THEN
        UPDATE gemclone.customers c SET user_id = u.id
        FROM gemclone.users u
        WHERE c.id = p_customer AND u.id = p_user
          AND NOT EXISTS (SELECT FROM gemclone.customers o WHERE o.user_id = u.id)
        RETURNING u.id INTO v_user;
    END IF;
    RETURN coalesce(v_user, (SELECT u.id FROM gemclone.users u WHERE u.id = p_user));
END
$$;

-- Stores what Stripe said of a subscription. p_user: whom its metadata names, or NULL; p_ours: the
-- price that is sold here. One that names nobody and is for something else is not ours.
-- known: it is stored; user_id: whose it is; changed: what that user has did.
CREATE FUNCTION gemclone.subscription_store(
    p_id text, p_customer text, p_user uuid, p_status text, p_price text, p_start timestamptz,
    p_end timestamptz, p_cancels boolean, p_unpaid boolean, p_created timestamptz, p_ours text,
    p_asked timestamptz, p_grace interval)
RETURNS TABLE (known boolean, user_id uuid, changed boolean)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
    known := EXISTS (SELECT FROM gemclone.subscriptions s WHERE s.id = p_id)
        OR p_user IS NOT NULL
        OR (p_price = p_ours AND EXISTS (SELECT FROM gemclone.customers c WHERE c.id = p_customer));
    changed := false;
    IF known THEN
        user_id := gemclone.customer_lock(p_customer, p_user);
        INSERT INTO gemclone.subscriptions AS s
            (id, customer, user_id, status, price, period_start, period_end, cancel_at_period_end,
             unpaid, created_at, asked_at)
        VALUES (p_id, p_customer, user_id, p_status, p_price, p_start, p_end, p_cancels, p_unpaid,
                p_created, p_asked)
        ON CONFLICT (id) DO UPDATE
        SET customer = p_customer, user_id = EXCLUDED.user_id, status = p_status, price = p_price,
            period_start = p_start, period_end = p_end, cancel_at_period_end = p_cancels,
            unpaid = p_unpaid, asked_at = p_asked
        WHERE s.asked_at < p_asked;
        changed := user_id IS NOT NULL AND gemclone.paid_refresh(user_id, p_grace);
    END IF;
    RETURN NEXT;
END
$$;

-- One that Stripe does not know any more.
CREATE FUNCTION gemclone.subscription_gone(p_id text, p_asked timestamptz, p_grace interval)
RETURNS TABLE (known boolean, user_id uuid, changed boolean)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
    UPDATE gemclone.subscriptions s SET status = 'canceled', asked_at = p_asked
    WHERE s.id = p_id AND s.asked_at < p_asked
    RETURNING s.user_id INTO user_id;
    known := FOUND;
    changed := user_id IS NOT NULL AND gemclone.paid_refresh(user_id, p_grace);
    RETURN NEXT;
END
$$;

-- The same for a Checkout Session. p_checkout: which attempt its metadata names.
CREATE FUNCTION gemclone.checkout_store(
    p_checkout uuid, p_session text, p_url text, p_customer text, p_subscription text,
    p_status text, p_payment text, p_asked timestamptz, p_grace interval)
RETURNS TABLE (known boolean, user_id uuid, changed boolean)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
    changed := false;
    SELECT o.user_id INTO user_id FROM gemclone.checkouts o
    WHERE o.id = p_checkout OR o.session = p_session;
    known := FOUND;
    IF known THEN
        IF p_customer IS NOT NULL THEN
            PERFORM gemclone.customer_lock(p_customer, user_id);
        END IF;
        UPDATE gemclone.checkouts o
        SET session = p_session, url = p_url, subscription = p_subscription, status = p_status,
            payment_status = p_payment, asked_at = p_asked
        WHERE (o.id = p_checkout OR o.session = p_session) AND o.asked_at < p_asked;
        changed := gemclone.paid_refresh(user_id, p_grace);
    END IF;
    RETURN NEXT;
END
$$;

-- The same for a charge that was given back, or a dispute.
CREATE FUNCTION gemclone.reversal_store(
    p_id text, p_customer text, p_kind text, p_status text, p_asked timestamptz, p_grace interval)
RETURNS TABLE (known boolean, user_id uuid, changed boolean)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
    changed := false;
    known := EXISTS (SELECT FROM gemclone.customers c WHERE c.id = p_customer);
    IF known THEN
        user_id := gemclone.customer_lock(p_customer, NULL);
        INSERT INTO gemclone.reversals AS r (id, customer, kind, status, asked_at)
        VALUES (p_id, p_customer, p_kind, p_status, p_asked)
        ON CONFLICT (id) DO UPDATE SET status = p_status, asked_at = p_asked WHERE r.asked_at < p_asked;
        changed := user_id IS NOT NULL AND gemclone.paid_refresh(user_id, p_grace);
    END IF;
    RETURN NEXT;
END
$$;

-- --- Buying -----------------------------------------------------------------

-- Begins to buy, or finds what was begun less than p_age ago: clicks that come together are one
-- attempt, and so are one session. outcome: 'new' or 'again'; 'subscribed': there is a subscription that
-- is not over; 'no_user'.
CREATE FUNCTION gemclone.checkout_begin(p_user uuid, p_price text, p_age interval)
RETURNS TABLE (outcome text, id uuid, customer text, url text, created_at timestamptz, asked_at timestamptz)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
    asked_at := now();
    PERFORM FROM gemclone.users u WHERE u.id = p_user FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        outcome := 'no_user';
    ELSIF EXISTS (SELECT FROM gemclone.subscriptions s WHERE s.user_id = p_user
                  AND s.status IN ('trialing', 'active', 'past_due', 'unpaid', 'paused')) THEN
        outcome := 'subscribed';
    ELSE
        SELECT 'again', o.id, o.customer, o.url, o.created_at
        INTO outcome, id, customer, url, created_at
        FROM gemclone.checkouts o
        WHERE o.user_id = p_user AND o.price = p_price AND o.status IN ('new', 'open')
          AND o.created_at > now() - p_age
        ORDER BY o.created_at DESC LIMIT 1;
        IF NOT FOUND THEN
            outcome := 'new';
            INSERT INTO gemclone.checkouts AS o (user_id, price, customer)
            VALUES (p_user, p_price, (SELECT c.id FROM gemclone.customers c
                                      WHERE c.user_id = p_user AND NOT c.gone))
            RETURNING o.id, o.customer, o.created_at INTO id, customer, created_at;
        END IF;
    END IF;
    RETURN NEXT;
END
$$;

REVOKE EXECUTE ON FUNCTION gemclone.stripe_events_claim, gemclone.stripe_event_end, gemclone.stripe_events_count, gemclone.subscriptions_doubt,
    gemclone.paid_until,
    gemclone.paid_refresh, gemclone.customer_lock, gemclone.subscription_store, gemclone.subscription_gone,
    gemclone.checkout_store, gemclone.reversal_store, gemclone.checkout_begin, gemclone.stripe_event_again FROM PUBLIC;
REVOKE EXECUTE ON FUNCTION gemclone.stripe_event_replay FROM PUBLIC;
GRANT EXECUTE ON FUNCTION gemclone.stripe_events_claim, gemclone.stripe_event_end, gemclone.stripe_events_count, gemclone.subscriptions_doubt,
    gemclone.paid_until,
    gemclone.paid_refresh, gemclone.customer_lock, gemclone.subscription_store, gemclone.subscription_gone,
    gemclone.checkout_store, gemclone.reversal_store, gemclone.checkout_begin, gemclone.stripe_event_again TO gemclone;
GRANT SELECT, INSERT, UPDATE, DELETE ON gemclone.customers, gemclone.reversals, gemclone.checkouts,
    gemclone.subscriptions, gemclone.stripe_events TO gemclone;

COMMIT;

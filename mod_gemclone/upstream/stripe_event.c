/* SPDX-License-Identifier: Apache-2.0
 * Stripe's webhook events.
 */
#include "stripe_event.h"

#include <sodium.h>
#include <string.h>

#include "core/unit.h"
#include "stripe.h"

enum { HASH = crypto_auth_hmacsha256_BYTES, HEX = 2 * HASH, MOST_TIME = 16 };

/* The header's next "name=value", or NULL at its end. */
static const char *next_part(const char **at, apr_size_t *len)
{
    const char *part = *at + strspn(*at, ", ");

    *len = strcspn(part, ",");
    *at = part + *len;
    return *len ? part : NULL;
}

/* The time as it stands there, which is signed with the body. */
static const char *find_time(const char *header, apr_size_t *len, apr_int64_t *seconds)
{
    char text[MOST_TIME + 1];
    const char *part;

    while ((part = next_part(&header, len))) {
        if (strncmp(part, "t=", 2) == 0) {
            part += 2;
            *len -= 2;
            if (*len > MOST_TIME) {
                return NULL;
            }
            memcpy(text, part, *len);
            text[*len] = '\0';
            return *text != '-' && gc_unit_integer(text, seconds) == APR_SUCCESS ? part : NULL;
        }
    }
    return NULL;
}

static void sign(const gc_stripe_secret_t *secret, const char *time, apr_size_t time_len,
                 const char *body, apr_size_t len, char hex[HEX + 1])
{
    crypto_auth_hmacsha256_state state;
    unsigned char hash[HASH];

    crypto_auth_hmacsha256_init(&state, secret->bytes, secret->len);
    crypto_auth_hmacsha256_update(&state, (const unsigned char *)time, time_len);
    crypto_auth_hmacsha256_update(&state, (const unsigned char *)".", 1);
    crypto_auth_hmacsha256_update(&state, (const unsigned char *)body, len);
    crypto_auth_hmacsha256_final(&state, hash);
    sodium_bin2hex(hex, HEX + 1, hash, sizeof(hash));
    sodium_memzero(&state, sizeof(state));
}

/* Whether there is a v1 at all: *count; and whether one of them is this. */
static int has_signature(const char *header, const char hex[HEX + 1], int *count)
{
    const char *part;
    apr_size_t len;
    int found = 0;

    *count = 0;
    while ((part = next_part(&header, &len))) {
        if (strncmp(part, "v1=", 3) == 0) {
            ++*count;
            found |= len - 3 == HEX && sodium_memcmp(part + 3, hex, HEX) == 0;
        }
    }
    return found;
}

gc_stripe_signed_e gc_stripe_verify(const char *header, const char *body, apr_size_t len,
                                    const gc_stripe_secret_t *secrets, int count, apr_time_t now)
{
    apr_int64_t seconds, apart;
    apr_size_t time_len;
    const char *time = header ? find_time(header, &time_len, &seconds) : NULL;
    int i, found = 0, signatures = 0;

    if (!time || !len) {
        return GC_STRIPE_UNSIGNED;
    }
    for (i = 0; i < count; i++) {
        char hex[HEX + 1];

        sign(&secrets[i], time, time_len, body, len, hex);
        found |= has_signature(header, hex, &signatures);
    }
    if (!signatures) {
        return GC_STRIPE_UNSIGNED;
    }
    if (!found) {
        return GC_STRIPE_FORGED;
    }
    apart = seconds > apr_time_sec(now) ? seconds - apr_time_sec(now) : apr_time_sec(now) - seconds;
    return apart > apr_time_sec(GC_STRIPE_TOLERANCE) ? GC_STRIPE_OLD : GC_STRIPE_SIGNED;
}

/* --- What it is about ------------------------------------------------------ */

/* Since basil an invoice names its subscription further down. */
static const char *subscription_of_invoice(const json_t *invoice)
{
    const json_t *parent = json_object_get(invoice, "parent");
    const char *id =
        gc_stripe_reference(json_object_get(parent, "subscription_details"), "subscription");

    return id ? id : gc_stripe_reference(invoice, "subscription");
}

static void read_object(const json_t *object, gc_stripe_event_t *event)
{
    const char *kind = gc_stripe_text(object, "object");
    const char *id = gc_stripe_text(object, "id");

    if (!kind || !gc_stripe_is_id(id)) {
        return; /* an invoice that is yet to come has no id, and nothing follows from it */
    }
    event->customer = gc_stripe_reference(object, "customer");
    if (strcmp(kind, "customer") == 0) {
        event->customer = id;
    } else if (strcmp(kind, "subscription") == 0) {
        event->subscription = id;
    } else if (strcmp(kind, "invoice") == 0) {
        event->subscription = subscription_of_invoice(object);
    } else if (strcmp(kind, "checkout.session") == 0) {
        event->session = id;
        event->subscription = gc_stripe_reference(object, "subscription");
    } else if (strcmp(kind, "charge") == 0) {
        event->charge = id;
    } else if (strcmp(kind, "dispute") == 0) {
        event->dispute = id;
    }
}

apr_status_t gc_stripe_event_read(const json_t *json, gc_stripe_event_t *event, const char **why)
{
    const char *object = gc_stripe_text(json, "object");

    memset(event, 0, sizeof(*event));
    if (object && strcmp(object, "v2.core.event") == 0) {
        *why = "Thin events are not read here: let the endpoint send snapshots.";
        return GC_EINPUT;
    }
    event->id = gc_stripe_text(json, "id");
    event->type = gc_stripe_text(json, "type");
    event->api_version = gc_stripe_text(json, "api_version");
    event->is_live = json_is_true(json_object_get(json, "livemode"));
    if (!object || strcmp(object, "event") != 0 || !gc_stripe_is_id(event->id) || !event->type
        || strlen(event->type) > GC_STRIPE_ID) {
        *why = "This is no event of Stripe's.";
        return GC_EINPUT;
    }
    read_object(json_object_get(json_object_get(json, "data"), "object"), event);
    return APR_SUCCESS;
}

/* SPDX-License-Identifier: Apache-2.0
 * Buying, and looking after what was bought, is done on pages of Stripe's: an errand that asks
 * for the address of one.
 */
#ifndef GC_PURCHASE_H
#define GC_PURCHASE_H

#include "billing.h"
#include "errand.h"

typedef struct gc_purchase_t {
    gc_errand_t errand; /* first, so that one is the other */
    const char *url;    /* once it is done: the page; NULL: there is none to be had now */
} gc_purchase_t;

/* Where a browser goes afterwards. */
typedef struct gc_purchase_pages_t {
    const char *success, *cancel;
} gc_purchase_pages_t;

/* Any thread: a page to pay on, whose session is stored with the attempt. */
gc_purchase_t *gc_purchase_checkout(gc_billing_t *billing, const gc_uuid_t *user,
                                    const gc_billing_attempt_t *attempt,
                                    const gc_purchase_pages_t *pages);

/* Any thread: a page to change or cancel what was bought. */
gc_purchase_t *gc_purchase_portal(gc_billing_t *billing, const char *customer,
                                  const char *return_url);

#endif

/* SPDX-License-Identifier: Apache-2.0
 * What one process of a host does for all: counts what is owed, and removes what is past. By
 * mod_watchdog, which chooses the process, and another one when that dies.
 */
#ifndef GC_SWEEPER_H
#define GC_SWEEPER_H

#include <httpd.h>

/* In post_config. */
apr_status_t gc_sweeper_prepare(apr_pool_t *pconf) __attribute__((warn_unused_result));

/* In a child, once its services are there. It ends with pchild, before they do. */
void gc_sweeper_start(apr_pool_t *pchild);

#endif

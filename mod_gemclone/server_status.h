/* SPDX-License-Identifier: Apache-2.0
 * Our part of mod_status' page.
 */
#ifndef GC_SERVER_STATUS_H
#define GC_SERVER_STATUS_H

/* In register_hooks. Nothing comes of it where mod_status is not loaded. */
void gc_server_status_register(void);

#endif

/* SPDX-License-Identifier: Apache-2.0
 * The configuration: what the directives of config_list.h say, for a server and
 * for a location.
 */
#ifndef GC_CONFIG_H
#define GC_CONFIG_H

#include <apr_file_io.h>
#include <apr_tables.h>
#include <httpd.h>
#include <http_config.h>

#include "core/limit.h"

#define GC_MS(n) ((n)*APR_INT64_C(1000))
#define GC_SEC(n) ((n)*APR_INT64_C(1000000))
#define GC_MIN(n) ((n)*APR_INT64_C(60000000))
#define GC_DAY(n) ((n)*APR_INT64_C(86400000000))
#define GC_KIB(n) ((n)*APR_INT64_C(1024))

/* What an integer, duration or size is while nobody has set it. */
#define GC_UNSET APR_INT64_MIN

/* A secret: where it comes from, and, once the configuration has been checked, what it is. */
typedef struct gc_secret_t {
    const char *name;   /* of a token key: its kid; else NULL */
    const char *kind;   /* of a token key: its algorithm; else NULL */
    const char *source; /* as it stands in the configuration */
    const ap_directive_t *where;
    const unsigned char *bytes;
    apr_size_t len;
} gc_secret_t;

typedef struct gc_setting_t {
    const char *name, *value;
} gc_setting_t;

/* Of GemcloneLimit, and of GemcloneOTPTestNumber. */
typedef struct gc_limit_setting_t {
    gc_limit_e kind;
    gc_limit_t limit;
} gc_limit_setting_t;

typedef struct gc_test_number_t {
    const char *e164, *code;
    apr_time_t until;
} gc_test_number_t;

/* Of a server. Lists hold gc_secret_t (keys), gc_limit_setting_t, gc_test_number_t or gc_setting_t
 * (all else); NULL is unset. */
typedef struct gc_config_t {
#define FLAG(field, name, value, text) apr_int64_t field;
#define INTEGER(field, name, value, least, most, text) apr_int64_t field;
#define DURATION(field, name, value, least, most, text) apr_int64_t field;
#define SIZE(field, name, value, least, most, text) apr_int64_t field;
#define TEXT(field, name, value, text) const char *field;
#define SECRET(field, name, text) gc_secret_t *field;
#define LIST(field, name, arguments, setter, text) apr_array_header_t *field;
#include "config_list.h"
#undef FLAG
#undef INTEGER
#undef DURATION
#undef SIZE
#undef TEXT
#undef SECRET
#undef LIST
    apr_file_t *otp_log_file; /* GemcloneOTPLog, once it is open; or NULL */
} gc_config_t;

/* What the Require lines of a section say: */
enum {
    GC_REQUIRES_SOMETHING = 1, /* one that keeps somebody out */
    GC_REQUIRES_NOTHING = 2,   /* "all granted" */
    GC_REQUIRES_LIMITED = 4,   /* of some methods: takes the place of earlier ones all the same */
    GC_REQUIRES_AFRESH = 8     /* AuthMerging Off: so does this */
};

/* Of a location. */
typedef struct gc_location_t {
    int engine;       /* On, Off or -1: unset */
    const char *base; /* the path of the location that switched it on, without a slash at its end */
    int admin;        /* the admin page is here: 1, 0 or -1: unset */
    const char *admin_base; /* likewise */
    int requires;           /* GC_REQUIRES_…, or 0: no Require here */
    int merges_requires;    /* AuthMerging: with those of the sections before */
} gc_location_t;

/* A location that maps the API into a server, takes it out of it again, or has the admin page. */
typedef struct gc_mapping_t {
    server_rec *server;
    const char *base;
    int on;
    int is_admin;
} gc_mapping_t;

/* The handler that a location with the admin page is set to. */
#define GC_ADMIN_HANDLER "gemclone-admin"

extern const command_rec gc_directives[];

void *gc_config_create(apr_pool_t *pool, server_rec *server);
void *gc_config_merge(apr_pool_t *pool, void *base, void *add);
void *gc_location_create(apr_pool_t *pool, char *path);
void *gc_location_merge(apr_pool_t *pool, void *base, void *add);

/* Forgets the mappings of an earlier pass; call it in pre_config. */
void gc_config_reset(apr_pool_t *pconf);

/* The mapping that a path of a server falls under, or NULL; a path that is not
 * known (NULL) falls under one of the whole server only. */
const gc_mapping_t *gc_config_mapping_of(const server_rec *server, const char *path);

/* Whether a request is for the admin page, as far as that can be told by now: in the location's
 * settings or, before httpd has them, by its path. */
int gc_config_is_admin(const request_rec *r);

/* Whether a request's path is below the API or the admin page. */
int gc_config_is_ours(const server_rec *server, const char *path);

/* Whether httpd's own Require, as far as this location's settings tell, keeps anybody out of it. */
int gc_config_is_guarded(request_rec *r);

/* Whether the API or the admin page is mapped into a server: in it, or in the main server for all.
 */
int gc_config_is_mapped(const server_rec *server);

/* Whether a server needs a service: the API is mapped into it, or AuthType Gemclone stands there.
 * Known once the configuration has been checked. */
int gc_config_is_used(const server_rec *server);
void gc_config_use(const server_rec *server);

/* Reads secrets and holds all values against each other, for every server that
 * needs a service; fills in defaults. Logs what is wrong with file, line
 * and the mend. OK or HTTP_INTERNAL_SERVER_ERROR. */
int gc_config_check(apr_pool_t *pool, server_rec *main);

/* What AuthType says to have access tokens looked at, and Require to have tiers. */
#define GC_AUTH_TYPE "Gemclone"
#define GC_REQUIRE_TIER "gemclone-tier"

/* The tiers by number, from 0; -1: it is none. */
int gc_config_tier(const char *name);
#define GC_TIERS_ARE "the tiers are basic and pro"

/* GemcloneTraceParent's value; -1: it is none. */
typedef enum { GC_TRACING_OFF, GC_TRACING_ACCEPT, GC_TRACING_GENERATE } gc_tracing_e;
int gc_config_tracing(const char *text);

/* The fixed code of a number that GemcloneOTPTestNumber names and whose last day is not over; or
 * NULL. */
const char *gc_config_test_code(const gc_config_t *config, const char *e164, apr_time_t now);

/* Whether codes are sent to numbers that begin as this one does. */
int gc_config_is_served(const gc_config_t *config, const char *e164);

/* A kind's limit, as it is configured. */
gc_limit_t gc_config_limit(const gc_config_t *config, gc_limit_e kind);

/* Whether a text says that there is to be none. */
int gc_config_is_none(const char *text);

/* The value of a setting in a list of gc_setting_t, or NULL. */
const char *gc_config_setting(const apr_array_header_t *list, const char *name);

#endif

/* SPDX-License-Identifier: Apache-2.0
 * Arguments of statements, in Postgres' own forms.
 */
#include "db.h"

#include <apr_strings.h>
#include <string.h>

/* --- Parameters ---------------------------------------------------------- */

static void add(gc_db_params_t *params, const char *value, int len, int binary)
{
    params->values[params->count] = value;
    params->lengths[params->count] = len;
    params->formats[params->count] = binary;
    params->count++;
}

/* Room for a value made here, which lives as long as params. */
static char *scratch(gc_db_params_t *params)
{
    return params->scratch[params->count];
}

void gc_db_add_text(gc_db_params_t *params, const char *text)
{
    add(params, text, 0, 0);
}

void gc_db_add_bytes(gc_db_params_t *params, const void *bytes, apr_size_t len)
{
    add(params, bytes, (int)len, 1);
}

void gc_db_add_uuid(gc_db_params_t *params, const gc_uuid_t *uuid)
{
    add(params, uuid ? (const char *)uuid->bytes : NULL, sizeof(uuid->bytes), 1);
}

void gc_db_add_int(gc_db_params_t *params, apr_int64_t number)
{
    char *text = scratch(params);

    apr_snprintf(text, sizeof(params->scratch[0]), "%" APR_INT64_T_FMT, number);
    add(params, text, 0, 0);
}

void gc_db_add_int_or_null(gc_db_params_t *params, apr_int64_t number)
{
    if (number < 0) {
        add(params, NULL, 0, 0);
    } else {
        gc_db_add_int(params, number);
    }
}

void gc_db_add_bool(gc_db_params_t *params, int truth)
{
    add(params, truth ? "t" : "f", 0, 0);
}

void gc_db_add_interval(gc_db_params_t *params, apr_interval_time_t interval)
{
    char *text = scratch(params);

    apr_snprintf(text, sizeof(params->scratch[0]), "%" APR_INT64_T_FMT " us",
                 (apr_int64_t)interval);
    add(params, text, 0, 0);
}

/* Network order, as all of Postgres' binary forms. */
static void write_number(unsigned char *bytes, apr_uint64_t number, int width)
{
    while (width-- > 0) {
        bytes[width] = (unsigned char)number;
        number >>= 8;
    }
}

void gc_db_add_time(gc_db_params_t *params, apr_time_t time)
{
    char *bytes = scratch(params);

    write_number((unsigned char *)bytes, (apr_uint64_t)(time - GC_DB_EPOCH), 8);
    add(params, bytes, 8, 1);
}

/* --- Arrays -------------------------------------------------------------- */

/* Dimensions, whether there are NULLs, the type, the length, the lower bound. */
#define ARRAY_HEAD 20

static unsigned char *grow(gc_db_array_t *array, apr_size_t len)
{
    unsigned char *room;

    if (array->len + len > array->size) {
        apr_size_t size = 2 * array->size + len;
        unsigned char *bytes = apr_palloc(array->pool, size);

        memcpy(bytes, array->bytes, array->len);
        array->bytes = bytes;
        array->size = size;
    }
    room = array->bytes + array->len;
    array->len += len;
    return room;
}

void gc_db_array_begin(gc_db_array_t *array, apr_pool_t *pool, gc_db_type_e type)
{
    memset(array, 0, sizeof(*array));
    array->pool = pool;
    array->type = type;
    array->size = 256;
    array->bytes = apr_palloc(pool, array->size);
    array->len = ARRAY_HEAD;
}

void gc_db_array_add(gc_db_array_t *array, const void *bytes, apr_size_t len)
{
    unsigned char *room = grow(array, 4 + (bytes ? len : 0));

    array->count++;
    write_number(room, bytes ? len : 0xFFFFFFFF, 4);
    if (bytes) {
        memcpy(room + 4, bytes, len);
    }
}

void gc_db_array_add_int(gc_db_array_t *array, apr_int64_t number)
{
    int width = array->type == GC_DB_INT8 ? 8 : 4;
    unsigned char bytes[8];

    write_number(bytes, (apr_uint64_t)number, width);
    gc_db_array_add(array, bytes, (apr_size_t)width);
}

void gc_db_array_end(gc_db_array_t *array, gc_db_params_t *params)
{
    const apr_uint32_t head[] = {1, 1, array->type, (apr_uint32_t)array->count, 1};
    size_t i;

    for (i = 0; i < ARRAY_HEAD / 4; i++) {
        write_number(array->bytes + 4 * i, head[i], 4);
    }
    add(params, (const char *)array->bytes, (int)array->len, 1);
}

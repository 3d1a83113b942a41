/* SPDX-License-Identifier: Apache-2.0
 * Reading JSON that Gemini sent. */
#include "gemini_json.h"

#include <limits.h>
#include <string.h>

#define MAX_DEPTH 64

/* Counts brackets outside strings. That the text is JSON at all, the parser finds out. */
static int is_shallow(const char *bytes, apr_size_t length)
{
    int depth = 0, in_string = 0;
    apr_size_t i;

    for (i = 0; i < length && depth <= MAX_DEPTH; i++) {
        char byte = bytes[i];

        if (in_string) {
            i += byte == '\\';
            in_string = byte != '"';
        } else if (byte == '{' || byte == '[') {
            depth++;
        } else if (byte == '}' || byte == ']') {
            depth--;
        } else {
            in_string = byte == '"';
        }
    }
    return depth <= MAX_DEPTH;
}

json_t *gc_gemini_json_load(const char *bytes, apr_size_t length)
{
    if (!is_shallow(bytes, length)) {
        return NULL;
    }
    return json_loadb(bytes, length, JSON_ALLOW_NUL, NULL);
}

const char *gc_gemini_json_string(const json_t *object, const char *name)
{
    const char *string = json_string_value(json_object_get(object, name));

    return string ? string : "";
}

void gc_gemini_json_word(char *word, apr_size_t size, const json_t *object, const char *name)
{
    const char *string = gc_gemini_json_string(object, name);
    apr_size_t length = strspn(string, "abcdefghijklmnopqrstuvwxyz0123456789_.:/-"
                                       "ABCDEFGHIJKLMNOPQRSTUVWXYZ");

    if (length > 0 && length < size && string[length] == '\0') {
        memcpy(word, string, length + 1);
    }
}

int gc_gemini_json_count(const json_t *object, const char *name)
{
    json_int_t count = json_integer_value(json_object_get(object, name));

    return count < 0 ? 0 : count > INT_MAX ? INT_MAX : (int)count;
}

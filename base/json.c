/* SPDX-License-Identifier: MIT
 * Owns the one use of cJSON. */
#include "config.h"

#include "base/json.h"

#include "base/utf8.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

int weir_json_parse(const char *text, size_t n, weir_json **ret, struct weir_err *err)
{
    const char *end = text;
    cJSON *j = cJSON_ParseWithLengthOpts(text, n, &end, 0);
    while (j && end < text + n && (*end == ' ' || *end == '\t' || *end == '\n' || *end == '\r'))
        end++;
    if (j && end < text + n) { /* something behind the value */
        cJSON_Delete(j);
        j = NULL;
    }
    if (!j)
        return weir_fail(err, -EINVAL, "not JSON: error at byte %zu", (size_t)(end - text));
    *ret = j;
    return 0;
}

void weir_json_free(weir_json *j) { cJSON_Delete(j); }

enum weir_json_kind weir_json_kind(const weir_json *j)
{
    switch (j ? j->type & 0xFF : cJSON_NULL) { /* above are flags */
    case cJSON_False: return WEIR_JSON_FALSE;
    case cJSON_True: return WEIR_JSON_TRUE;
    case cJSON_Number: return WEIR_JSON_NUMBER;
    case cJSON_String: return WEIR_JSON_STRING;
    case cJSON_Array: return WEIR_JSON_ARRAY;
    case cJSON_Object: return WEIR_JSON_OBJECT;
    default: return WEIR_JSON_NULL;
    }
}

weir_json *weir_json_get(const weir_json *object, const char *key)
{
    return cJSON_GetObjectItemCaseSensitive(object, key);
}

weir_json *weir_json_first(const weir_json *container)
{
    return container ? container->child : NULL;
}
weir_json *weir_json_next(const weir_json *child) { return child->next; }
const char *weir_json_name(const weir_json *child) { return child->string; }

double weir_json_num(const weir_json *j, double fallback)
{
    return cJSON_IsNumber(j) ? j->valuedouble : fallback;
}

const char *weir_json_str(const weir_json *j) { return cJSON_IsString(j) ? j->valuestring : NULL; }

weir_json *weir_json_object(void) { return cJSON_CreateObject(); }
weir_json *weir_json_array(void) { return cJSON_CreateArray(); }

void weir_json_add_num(weir_json *object, const char *key, double v)
{
    cJSON_AddNumberToObject(object, key, v);
}

void weir_json_add_strn(weir_json *object, const char *key, const char *v, size_t n)
{
    char *clean = weir_utf8_clean(v, n);
    if (clean)
        cJSON_AddStringToObject(object, key, clean);
    free(clean);
}

void weir_json_add_str(weir_json *object, const char *key, const char *v)
{
    weir_json_add_strn(object, key, v, strlen(v));
}

void weir_json_add_bool(weir_json *object, const char *key, bool v)
{
    cJSON_AddBoolToObject(object, key, v);
}

void weir_json_add(weir_json *object, const char *key, weir_json *child)
{
    if (!cJSON_AddItemToObject(object, key, child))
        cJSON_Delete(child);
}

void weir_json_push(weir_json *array, weir_json *child)
{
    if (!cJSON_AddItemToArray(array, child))
        cJSON_Delete(child);
}

void weir_json_push_num(weir_json *array, double v)
{
    weir_json_push(array, cJSON_CreateNumber(v));
}

char *weir_json_print(const weir_json *j, bool pretty)
{
    if (!j)
        return NULL;
    return pretty ? cJSON_Print(j) : cJSON_PrintUnformatted(j);
}

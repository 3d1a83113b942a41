/* SPDX-License-Identifier: Apache-2.0
 * How many of Gemini's tokens a text takes, estimated.
 */
#include "weight.h"

#include <string.h>

int gc_weight(const char *text)
{
    return text ? (int)((strlen(text) + 3) / 4) + 1 : 0;
}

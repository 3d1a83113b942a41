/* SPDX-License-Identifier: Apache-2.0
 * Prints every statement of the module: its name, a tab, its text.
 */
#include <stdio.h>

int main(void)
{
#define X(name, sql) printf("%s\t%s\n", #name, sql);
#include "store/statement_list.h"
#undef X
    return 0;
}

/* SPDX-License-Identifier: Apache-2.0
 * Prints every statement of the module: its name, a tab, its text.
 */
#include <stdio.h>

int main(void)
{
#define READ(name, sql) printf("%s\t%s\n", #name, sql);
#define WRITE READ
#include "store/statement_list.h"
#undef READ
#undef WRITE
    return 0;
}

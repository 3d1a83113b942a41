/* SPDX-License-Identifier: Apache-2.0
 * Runs a fuzz target on every file of its corpus, or on the files that are named, without a fuzzer.
 * TAP; the last name that was printed is that of the input that broke it.
 */
#include "fuzz.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static void bail_out(const char *what, const char *name)
{
    printf("Bail out! %s %s\n", what, name);
    exit(1);
}

/* Reads a file into memory that has exactly its size. */
static uint8_t *read_file(const char *name, size_t *size)
{
    struct stat info;
    FILE *file = fopen(name, "rb");
    uint8_t *data;

    if (!file || fstat(fileno(file), &info) != 0 || !S_ISREG(info.st_mode)) {
        bail_out("cannot read", name);
    }
    *size = (size_t)info.st_size;
    data = malloc(*size ? *size : 1);
    if (!data || fread(data, 1, *size, file) != *size) {
        bail_out("cannot read", name);
    }
    fclose(file);
    return data;
}

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash ? slash + 1 : path;
}

static void run(int number, const char *name)
{
    size_t size;
    uint8_t *data = read_file(name, &size);

    printf("# %s\n", name);
    fflush(stdout);
    LLVMFuzzerTestOneInput(data, size);
    free(data);
    printf("ok %d - %s\n", number, base_name(name));
}

static int is_input(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

/* Of t/fuzz/fuzz_NAME: t/fuzz/corpus/NAME below the sources. */
static int run_corpus(const char *program)
{
    const char *sources = getenv("srcdir"), *name = base_name(program);
    char directory[1024], path[2048];
    struct dirent **entries;
    int i, count;

    if (strncmp(name, "fuzz_", 5) != 0) {
        bail_out("no fuzz target:", program);
    }
    snprintf(directory, sizeof(directory), "%s/t/fuzz/corpus/%s", sources ? sources : ".",
             name + 5);
    count = scandir(directory, &entries, is_input, alphasort);
    if (count <= 0) {
        bail_out("no corpus in", directory);
    }
    for (i = 0; i < count; i++) {
        snprintf(path, sizeof(path), "%s/%s", directory, entries[i]->d_name);
        run(i + 1, path);
        free(entries[i]);
    }
    free(entries);
    return count;
}

int main(int argc, char **argv)
{
    int i, count = argc - 1;

    for (i = 1; i < argc; i++) {
        run(i, argv[i]);
    }
    if (!count) {
        count = run_corpus(argv[0]);
    }
    printf("1..%d\n", count);
    return 0;
}

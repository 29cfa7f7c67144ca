/* Preloaded into an agent, lets its look at the node's files hang as a dead disk does: a call never
 * returns for as long as the folder named by BENCH_HANG has a file of the rule's name.
 */
#define _GNU_SOURCE
#undef _FORTIFY_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct statvfs64;

static void wait_while(const char *rule)
{
    const char *folder = getenv("BENCH_HANG");
    char path[512];
    if (folder == NULL)
        return;
    snprintf(path, sizeof path, "%s/%s", folder, rule);
    while (access(path, F_OK) == 0)
        usleep(50000);
}

static void look(const char *path)
{
    if (strstr(path, "/sys/fs/cgroup/"))
        wait_while("cgroups");
    else if (strstr(path, "/host/proc/meminfo"))
        wait_while("proc");
    else if (strstr(path, "/host/proc/1/stat"))
        wait_while("processes");
}

int statvfs64(const char *path, struct statvfs64 *out)
{
    static int (*real)(const char *, struct statvfs64 *);
    if (real == NULL)
        *(void **)&real = dlsym(RTLD_NEXT, "statvfs64");
    wait_while("statvfs");
    return real(path, out);
}

int open64(const char *path, int flags, ...)
{
    static int (*real)(const char *, int, ...);
    va_list rest;
    va_start(rest, flags);
    mode_t mode = va_arg(rest, mode_t);
    va_end(rest);
    if (real == NULL)
        *(void **)&real = dlsym(RTLD_NEXT, "open64");
    look(path);
    return real(path, flags, mode);
}

DIR *opendir(const char *path)
{
    static DIR *(*real)(const char *);
    if (real == NULL)
        *(void **)&real = dlsym(RTLD_NEXT, "opendir");
    look(path);
    return real(path);
}

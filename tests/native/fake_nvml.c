/* A libnvidia-ml.so.1 that answers from a file, so that a test can break a GPU in a running agent.
 *
 * The file named by FAKE_NVML_STATE is mapped by this library and by the test; what the test
 * writes is what the next call sees. tests/native/fake_nvml.py holds the same layout.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum {
    SUCCESS = 0,
    UNINITIALIZED = 1,
    INVALID_ARGUMENT = 2,
    NOT_SUPPORTED = 3,
    DRIVER_NOT_LOADED = 9,
    UNKNOWN = 999,
    HANG = 1000 /* ours: the call never returns */
};

#define GPUS_MAX 16
#define TEXT 96

struct gpu {
    char name[TEXT];
    char uuid[TEXT];
    char only[TEXT]; /* the one call that the fault is for; empty for all */
    uint64_t memory_total;
    uint64_t memory_used;
    uint64_t memory_reserved;
    uint32_t utilization;
    uint32_t temperature;
    uint32_t power_milliwatts;
    uint32_t limit_milliwatts;
    uint32_t fault; /* an nvmlReturn_t, or HANG */
    uint32_t padding;
};

struct state {
    char driver[TEXT];
    uint64_t calls;
    uint32_t count;
    uint32_t init; /* an nvmlReturn_t, or HANG */
    uint32_t latency_microseconds;
    uint32_t padding;
    struct gpu gpus[GPUS_MAX];
};

typedef struct gpu *device;
typedef int result;

struct memory { uint64_t total, free, used; };
struct memory_v2 { uint32_t version; uint64_t total, reserved, free, used; };
struct utilization { uint32_t gpu, memory; };

static struct state *state;
static int initialized;

unsigned long fake_nvml_state_size(void) { return sizeof(struct state); }

static result attach(void)
{
    const char *path = getenv("FAKE_NVML_STATE");
    int file = path ? open(path, O_RDWR) : -1;
    if (file < 0)
        return DRIVER_NOT_LOADED;
    state = mmap(NULL, sizeof *state, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    close(file);
    if (state != MAP_FAILED)
        return SUCCESS;
    state = NULL;
    return UNKNOWN;
}

static void hang_while(const volatile uint32_t *what)
{
    while (*what == HANG)
        usleep(20000);
}

/* Every call passes here: counted, delayed, and failed or hung as the test wants it. */
static result enter(device gpu, const char *call)
{
    if (!initialized)
        return UNINITIALIZED;
    __atomic_add_fetch(&state->calls, 1, __ATOMIC_RELAXED);
    if (state->latency_microseconds)
        usleep(state->latency_microseconds);
    if (gpu == NULL || gpu->fault == SUCCESS)
        return SUCCESS;
    if (gpu->only[0] != '\0' && strcmp(gpu->only, call) != 0)
        return SUCCESS;
    hang_while(&gpu->fault);
    return (result)gpu->fault;
}

result nvmlInitWithFlags(unsigned flags)
{
    (void)flags;
    if (state == NULL) {
        result attached = attach();
        if (attached != SUCCESS)
            return attached;
    }
    hang_while(&state->init);
    if (state->init != SUCCESS)
        return (result)state->init;
    initialized = 1;
    return SUCCESS;
}

result nvmlInit_v2(void) { return nvmlInitWithFlags(0); }

result nvmlShutdown(void)
{
    initialized = 0;
    return SUCCESS;
}

const char *nvmlErrorString(result code)
{
    switch (code) {
    case 4: return "Insufficient Permissions";
    case 9: return "Driver Not Loaded";
    case 10: return "Timeout";
    case 15: return "GPU is lost";
    case 16: return "GPU requires reset";
    case 18: return "Driver/library version mismatch";
    default: return "Unknown Error";
    }
}

result nvmlSystemGetDriverVersion(char *text, unsigned length)
{
    result entered = enter(NULL, __func__);
    if (entered == SUCCESS)
        snprintf(text, length, "%s", state->driver);
    return entered;
}

result nvmlDeviceGetCount_v2(unsigned *count)
{
    result entered = enter(NULL, __func__);
    if (entered == SUCCESS)
        *count = state->count;
    return entered;
}

result nvmlDeviceGetHandleByIndex_v2(unsigned index, device *gpu)
{
    if (state == NULL || index >= state->count)
        return INVALID_ARGUMENT;
    result entered = enter(&state->gpus[index], "nvmlDeviceGetHandleByIndex");
    if (entered == SUCCESS)
        *gpu = &state->gpus[index];
    return entered;
}

#define READ(name, type, statement)                        \
    result name(device gpu, type *out)                     \
    {                                                      \
        result entered = enter(gpu, #name);                \
        if (entered == SUCCESS)                            \
            statement;                                     \
        return entered;                                    \
    }

#define READ_TEXT(name, field)                             \
    result name(device gpu, char *text, unsigned length)   \
    {                                                      \
        result entered = enter(gpu, #name);                \
        if (entered == SUCCESS)                            \
            snprintf(text, length, "%s", gpu->field);      \
        return entered;                                    \
    }

READ_TEXT(nvmlDeviceGetName, name)
READ_TEXT(nvmlDeviceGetUUID, uuid)
READ(nvmlDeviceGetPowerUsage, uint32_t, *out = gpu->power_milliwatts)
READ(nvmlDeviceGetEnforcedPowerLimit, uint32_t, *out = gpu->limit_milliwatts)
READ(nvmlDeviceGetUtilizationRates, struct utilization, out->gpu = gpu->utilization)

/* The first version has no place for the reserve and counts it as used. */
READ(nvmlDeviceGetMemoryInfo, struct memory, {
    out->total = gpu->memory_total;
    out->used = gpu->memory_used + gpu->memory_reserved;
    out->free = out->total - out->used;
})

READ(nvmlDeviceGetMemoryInfo_v2, struct memory_v2, {
    out->total = gpu->memory_total;
    out->reserved = gpu->memory_reserved;
    out->used = gpu->memory_used;
    out->free = out->total - out->used - out->reserved;
})

result nvmlDeviceGetTemperature(device gpu, int sensor, uint32_t *out)
{
    (void)sensor;
    result entered = enter(gpu, __func__);
    if (entered == SUCCESS)
        *out = gpu->temperature;
    return entered;
}

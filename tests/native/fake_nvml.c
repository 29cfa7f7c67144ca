/* A libnvidia-ml.so.1 that answers from a file, so that a test can break a GPU in a running agent.
 *
 * The file named by FAKE_NVML_STATE is mapped by this library and by the test; what the test
 * writes is what the next call sees. tests/native/fake_nvml.py holds the same layout.
 *
 * It is stricter than the real one: a handle of before the last start, a set that was freed, a
 * call while NVML is stopped and a stop while somebody waits are counted as misuses.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum {
    SUCCESS = 0,
    UNINITIALIZED = 1,
    INVALID_ARGUMENT = 2,
    NOT_SUPPORTED = 3,
    NOT_FOUND = 6,
    INSUFFICIENT_SIZE = 7,
    DRIVER_NOT_LOADED = 9,
    TIMEOUT = 10,
    GPU_IS_LOST = 15,
    UNKNOWN = 999,
    HANG = 1000 /* ours: the call never returns */
};

#define GPUS_MAX 16
#define TEXT 96
#define FAULTS 8
#define PROCESSES 128
#define SLICES 8
#define LINKS 20
#define MISSING 24
#define EVENTS 256
#define SEQUENCE 16
#define SETS 8

typedef int result;

struct fault {
    char call[TEXT]; /* the one call that it is for; empty for all */
    uint32_t code;   /* an nvmlReturn_t, or HANG; 0 where the call is only slow */
    uint32_t delay_microseconds;
};

struct process {
    uint64_t memory;
    uint64_t sampled_at; /* microseconds; 0 where the process has no sample */
    uint32_t pid;
    uint32_t kind; /* 0 compute, 1 graphics, 2 MPS */
    uint32_t gpu_instance;
    uint32_t compute_instance;
    uint32_t sm;
    uint32_t padding;
};

struct slice {
    char uuid[TEXT];
    char name[TEXT];
    uint64_t memory_total;
    uint64_t memory_used;
    uint32_t gpu_instance;
    uint32_t compute_instance;
    uint32_t there;
    uint32_t padding;
};

struct link {
    uint32_t up;
    uint32_t padding;
    uint64_t errors[5]; /* by nvmlNvLinkErrorCounter_t */
};

struct gpu {
    char name[TEXT];
    char uuid[TEXT];
    char pci[TEXT];
    struct fault faults[FAULTS];
    uint64_t memory_total;
    uint64_t memory_used;
    uint64_t memory_reserved;
    uint64_t energy_millijoules;
    uint64_t throttle;
    uint64_t ecc[4]; /* error type + 2 * counter type */
    uint64_t remapped[4];
    uint64_t retired[3];
    uint64_t replays;
    uint64_t event_types;
    uint32_t fault_count;
    uint32_t utilization;
    uint32_t memory_utilization;
    uint32_t temperature;
    uint32_t memory_temperature;
    uint32_t power_milliwatts;
    uint32_t limit_milliwatts;
    uint32_t clocks[4];
    uint32_t ecc_mode;
    uint32_t pcie[4]; /* generation, its maximum, width, its maximum */
    uint32_t link_count;
    uint32_t mig_mode;
    uint32_t process_count;
    uint32_t phantoms; /* compute processes beyond the listed ones */
    uint32_t missing[MISSING]; /* fields that the GPU lacks */
    uint32_t missing_count;
    struct slice slices[SLICES];
    struct link links[LINKS];
    struct process processes[PROCESSES];
};

struct event {
    uint64_t type;
    uint64_t data;
    uint32_t gpu;
    uint32_t gpu_instance;
    uint32_t compute_instance;
    uint32_t padding;
};

struct state {
    char driver[TEXT];
    char counted[TEXT]; /* a call whose uses are counted on their own */
    char every_only[TEXT]; /* the one call that "every" is for; empty for all */
    uint64_t calls;
    uint64_t counted_calls;
    uint64_t inits;
    uint64_t misuses;
    uint64_t waits; /* for events; not among the calls */
    uint32_t count;
    uint32_t init; /* an nvmlReturn_t, or HANG */
    uint32_t latency_microseconds;
    uint32_t cuda;
    uint32_t every; /* what calls but start and stop return, if not 0 */
    uint32_t shutdown; /* HANG: a stop never returns */
    uint32_t wait;  /* what the wait for events returns, if not 0 */
    uint32_t sequence[SEQUENCE]; /* what the next starts return, before init holds */
    uint32_t sequence_length;
    uint32_t sequence_next;
    uint32_t sets_alive;
    uint32_t event_sequence;
    struct event events[EVENTS];
    struct gpu gpus[GPUS_MAX];
};

struct memory { uint64_t total, free, used; };
struct memory_v2 { uint32_t version; uint64_t total, reserved, free, used; };
struct utilization { uint32_t gpu, memory; };
struct process_info { uint32_t pid; uint64_t memory; uint32_t gpu_instance, compute_instance; };
struct sample { uint32_t pid; uint64_t at; uint32_t sm, memory, encoder, decoder; };
struct pci_info {
    char legacy[16];
    uint32_t domain, bus, device, device_id, subsystem;
    char bus_id[32];
};
struct field {
    uint32_t id, scope;
    int64_t timestamp, latency;
    uint32_t type;
    result code;
    union { double d; uint32_t u; uint64_t ull; } value;
};
struct event_data {
    void *device;
    uint64_t type, data;
    uint32_t gpu_instance, compute_instance;
};

struct set {
    uint64_t masks[GPUS_MAX];
    uint32_t next;
    int used, waiting;
};

/* A handle is a number: of which start, which GPU, which slice (0: the GPU itself). */
typedef uintptr_t device;
#define HANDLE(gpu, slice) (((uintptr_t)1 << 40) | (generation & 0xffff) << 16 | (gpu) << 8 | (slice))
#define SLICE(handle) ((handle) & 0xff)

static struct state *state;
static int references;
static uintptr_t generation;
static struct set sets[SETS];

unsigned long fake_nvml_state_size(void) { return sizeof(struct state); }

/* For the test's side: wakes whoever waits for an event, to look again. */
void fake_nvml_wake(uint32_t *sequence)
{
    syscall(SYS_futex, sequence, FUTEX_WAKE, 1 << 20, NULL, NULL, 0);
}

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

static result misuse(result code)
{
    if (state != NULL)
        __atomic_add_fetch(&state->misuses, 1, __ATOMIC_RELAXED);
    return code;
}

static result fault_of(struct gpu *gpu, const char *call)
{
    for (uint32_t i = 0; i < gpu->fault_count && i < FAULTS; i++) {
        struct fault *fault = &gpu->faults[i];
        if (fault->call[0] != '\0' && strcmp(fault->call, call) != 0)
            continue;
        if (fault->delay_microseconds)
            usleep(fault->delay_microseconds);
        hang_while(&fault->code);
        /* While it hung, all may have been healed. */
        return i < gpu->fault_count ? (result)fault->code : SUCCESS;
    }
    return SUCCESS;
}

/* Every call passes here: counted, delayed, and failed or hung as the test wants it. */
static result enter(const char *call)
{
    if (references == 0)
        return misuse(UNINITIALIZED);
    __atomic_add_fetch(&state->calls, 1, __ATOMIC_RELAXED);
    if (state->counted[0] != '\0' && strcmp(state->counted, call) == 0)
        __atomic_add_fetch(&state->counted_calls, 1, __ATOMIC_RELAXED);
    if (state->latency_microseconds)
        usleep(state->latency_microseconds);
    if (state->every == SUCCESS || (state->every_only[0] && strcmp(state->every_only, call) != 0))
        return SUCCESS;
    hang_while(&state->every);
    return (result)state->every;
}

static result enter_gpu(device handle, const char *call, struct gpu **gpu)
{
    result entered = enter(call);
    if (entered != SUCCESS)
        return entered;
    unsigned index = handle >> 8 & 0xff;
    if (handle >> 40 != 1 || (handle >> 16 & 0xffff) != (generation & 0xffff) || index >= GPUS_MAX)
        return misuse(INVALID_ARGUMENT);
    *gpu = &state->gpus[index];
    return (*gpu)->fault_count ? fault_of(*gpu, call) : SUCCESS;
}

result nvmlInitWithFlags(unsigned flags)
{
    (void)flags;
    if (state == NULL) {
        result attached = attach();
        if (attached != SUCCESS)
            return attached;
    }
    if (references == 0) {
        if (state->sequence_next < state->sequence_length)
            return (result)state->sequence[state->sequence_next++];
        hang_while(&state->init);
        if (state->init != SUCCESS)
            return (result)state->init;
        generation++;
        __atomic_add_fetch(&state->inits, 1, __ATOMIC_RELAXED);
    }
    references++;
    return SUCCESS;
}

result nvmlInit_v2(void) { return nvmlInitWithFlags(0); }

result nvmlShutdown(void)
{
    if (references == 0)
        return UNINITIALIZED;
    hang_while(&state->shutdown);
    if (--references > 0)
        return SUCCESS;
    for (int i = 0; i < SETS; i++)
        if (sets[i].waiting)
            misuse(0);
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
    result entered = enter(__func__);
    if (entered == SUCCESS)
        snprintf(text, length, "%s", state->driver);
    return entered;
}

result nvmlSystemGetCudaDriverVersion(int *version)
{
    result entered = enter(__func__);
    if (entered == SUCCESS)
        *version = (int)state->cuda;
    return entered;
}

result nvmlDeviceGetCount_v2(unsigned *count)
{
    result entered = enter("nvmlDeviceGetCount");
    if (entered == SUCCESS)
        *count = state->count;
    return entered;
}

result nvmlDeviceGetHandleByIndex_v2(unsigned index, device *handle)
{
    struct gpu *gpu;
    if (state == NULL || index >= state->count)
        return INVALID_ARGUMENT;
    *handle = HANDLE(index, 0);
    return enter_gpu(*handle, "nvmlDeviceGetHandleByIndex", &gpu);
}

#define READ(name, type, statement)                        \
    result name(device handle, type *out)                  \
    {                                                      \
        struct gpu *gpu;                                   \
        result entered = enter_gpu(handle, #name, &gpu);   \
        if (entered == SUCCESS)                            \
            statement;                                     \
        return entered;                                    \
    }

#define READ_TEXT(name, field)                             \
    result name(device handle, char *text, unsigned length)\
    {                                                      \
        struct gpu *gpu;                                   \
        result entered = enter_gpu(handle, #name, &gpu);   \
        if (entered != SUCCESS)                            \
            return entered;                                \
        const char *from = SLICE(handle) ? gpu->slices[SLICE(handle) - 1].field : gpu->field; \
        strncpy(text, from, length - 1);                   \
        text[length - 1] = '\0';                           \
        return entered;                                    \
    }

READ_TEXT(nvmlDeviceGetName, name)
READ_TEXT(nvmlDeviceGetUUID, uuid)
READ(nvmlDeviceGetPowerUsage, uint32_t, *out = gpu->power_milliwatts)
READ(nvmlDeviceGetEnforcedPowerLimit, uint32_t, *out = gpu->limit_milliwatts)
READ(nvmlDeviceGetTotalEnergyConsumption, uint64_t, *out = gpu->energy_millijoules)
READ(nvmlDeviceGetCurrentClocksEventReasons, uint64_t, *out = gpu->throttle)
READ(nvmlDeviceGetCurrentClocksThrottleReasons, uint64_t, *out = gpu->throttle)
READ(nvmlDeviceGetCurrPcieLinkGeneration, uint32_t, *out = gpu->pcie[0])
READ(nvmlDeviceGetMaxPcieLinkGeneration, uint32_t, *out = gpu->pcie[1])
READ(nvmlDeviceGetCurrPcieLinkWidth, uint32_t, *out = gpu->pcie[2])
READ(nvmlDeviceGetMaxPcieLinkWidth, uint32_t, *out = gpu->pcie[3])
READ(nvmlDeviceGetPcieReplayCounter, uint32_t, *out = (uint32_t)gpu->replays)
READ(nvmlDeviceGetSupportedEventTypes, uint64_t, *out = gpu->event_types)

/* The driver does not tell how busy a GPU in MIG mode is. */
READ(nvmlDeviceGetUtilizationRates, struct utilization, {
    if (gpu->mig_mode)
        return NOT_SUPPORTED;
    out->gpu = gpu->utilization;
    out->memory = gpu->memory_utilization;
})

READ(nvmlDeviceGetPciInfo_v3, struct pci_info, {
    memset(out, 0, sizeof *out);
    memcpy(out->bus_id, gpu->pci, sizeof out->bus_id - 1);
})

/* The first version has no place for the reserve and counts it as used. */
READ(nvmlDeviceGetMemoryInfo, struct memory, {
    out->total = gpu->memory_total;
    out->used = gpu->memory_used + gpu->memory_reserved;
    out->free = out->total - out->used;
})

READ(nvmlDeviceGetMemoryInfo_v2, struct memory_v2, {
    struct slice *slice = SLICE(handle) ? &gpu->slices[SLICE(handle) - 1] : NULL;
    out->total = slice ? slice->memory_total : gpu->memory_total;
    out->reserved = slice ? 0 : gpu->memory_reserved;
    out->used = slice ? slice->memory_used : gpu->memory_used;
    out->free = out->total - out->used - out->reserved;
})

result nvmlDeviceGetTemperature(device handle, int sensor, uint32_t *out)
{
    struct gpu *gpu;
    (void)sensor;
    result entered = enter_gpu(handle, __func__, &gpu);
    if (entered == SUCCESS)
        *out = gpu->temperature;
    return entered;
}

struct temperature { uint32_t version, sensor; int32_t temperature; };

READ(nvmlDeviceGetTemperatureV, struct temperature, out->temperature = (int32_t)gpu->temperature)

result nvmlDeviceGetClockInfo(device handle, uint32_t clock, uint32_t *out)
{
    struct gpu *gpu;
    result entered = enter_gpu(handle, __func__, &gpu);
    if (entered == SUCCESS)
        *out = gpu->clocks[clock & 3];
    return entered;
}

result nvmlDeviceGetEccMode(device handle, uint32_t *current, uint32_t *pending)
{
    struct gpu *gpu;
    result entered = enter_gpu(handle, __func__, &gpu);
    if (entered == SUCCESS)
        *current = *pending = gpu->ecc_mode;
    return entered;
}

result nvmlDeviceGetTotalEccErrors(device handle, uint32_t error, uint32_t counter, uint64_t *out)
{
    struct gpu *gpu;
    result entered = enter_gpu(handle, __func__, &gpu);
    if (entered != SUCCESS)
        return entered;
    if (gpu->ecc_mode != 1)
        return NOT_SUPPORTED;
    *out = gpu->ecc[(error & 1) + 2 * (counter & 1)];
    return SUCCESS;
}

result nvmlDeviceGetRemappedRows(device handle, uint32_t *corrected, uint32_t *uncorrected,
                                 uint32_t *pending, uint32_t *failed)
{
    struct gpu *gpu;
    result entered = enter_gpu(handle, __func__, &gpu);
    if (entered != SUCCESS)
        return entered;
    *corrected = (uint32_t)gpu->remapped[0];
    *uncorrected = (uint32_t)gpu->remapped[1];
    *pending = (uint32_t)gpu->remapped[2];
    *failed = (uint32_t)gpu->remapped[3];
    return SUCCESS;
}

static result field_of(const struct gpu *gpu, struct field *field)
{
    for (uint32_t i = 0; i < gpu->missing_count && i < MISSING; i++)
        if (gpu->missing[i] == field->id)
            return NOT_SUPPORTED;
    field->type = 3; /* unsigned long long */
    switch (field->id) {
    case 1: field->value.ull = gpu->ecc_mode; return SUCCESS;
    case 3: case 4: case 5: case 6:
        field->value.ull = gpu->ecc[field->id - 3];
        return gpu->ecc_mode == 1 ? SUCCESS : NOT_SUPPORTED;
    case 29: case 30: case 31: field->value.ull = gpu->retired[field->id - 29]; return SUCCESS;
    case 82: field->type = 1; field->value.u = gpu->memory_temperature; return SUCCESS;
    case 83: field->value.ull = gpu->energy_millijoules; return SUCCESS;
    case 91: field->type = 1; field->value.u = gpu->link_count; return SUCCESS;
    case 94: field->value.ull = gpu->replays; return SUCCESS;
    case 142: case 143: case 144: case 145:
        field->value.ull = gpu->remapped[field->id - 142];
        return SUCCESS;
    default: return NOT_SUPPORTED;
    }
}

result nvmlDeviceGetFieldValues(device handle, int count, struct field *fields)
{
    struct gpu *gpu;
    result entered = enter_gpu(handle, __func__, &gpu);
    for (int i = 0; entered == SUCCESS && i < count; i++)
        fields[i].code = field_of(gpu, &fields[i]);
    return entered;
}

result nvmlDeviceGetNvLinkState(device handle, unsigned link, uint32_t *up)
{
    struct gpu *gpu;
    result entered = enter_gpu(handle, __func__, &gpu);
    if (entered != SUCCESS)
        return entered;
    if (link >= gpu->link_count || link >= LINKS)
        return gpu->link_count ? INVALID_ARGUMENT : NOT_SUPPORTED;
    *up = gpu->links[link].up;
    return SUCCESS;
}

result nvmlDeviceGetNvLinkErrorCounter(device handle, unsigned link, unsigned counter, uint64_t *out)
{
    struct gpu *gpu;
    result entered = enter_gpu(handle, __func__, &gpu);
    if (entered != SUCCESS)
        return entered;
    if (link >= LINKS || counter >= 5)
        return INVALID_ARGUMENT;
    *out = gpu->links[link].errors[counter];
    return SUCCESS;
}

result nvmlDeviceGetMigMode(device handle, uint32_t *current, uint32_t *pending)
{
    struct gpu *gpu;
    result entered = enter_gpu(handle, __func__, &gpu);
    if (entered == SUCCESS)
        *current = *pending = gpu->mig_mode;
    return entered;
}

READ(nvmlDeviceGetMaxMigDeviceCount, uint32_t, *out = SLICES)
READ(nvmlDeviceGetGpuInstanceId, uint32_t, *out = gpu->slices[(SLICE(handle) - 1) % SLICES].gpu_instance)
READ(nvmlDeviceGetComputeInstanceId, uint32_t,
     *out = gpu->slices[(SLICE(handle) - 1) % SLICES].compute_instance)

result nvmlDeviceGetMigDeviceHandleByIndex(device handle, unsigned index, device *slice)
{
    struct gpu *gpu;
    result entered = enter_gpu(handle, __func__, &gpu);
    if (entered != SUCCESS)
        return entered;
    if (index >= SLICES || !gpu->slices[index].there)
        return NOT_FOUND;
    *slice = HANDLE(handle >> 8 & 0xff, index + 1);
    return SUCCESS;
}

static int listed(const struct gpu *gpu, device handle, const struct process *process, uint32_t kind)
{
    const struct slice *slice = SLICE(handle) ? &gpu->slices[SLICE(handle) - 1] : NULL;
    /* A client of MPS is among the compute processes, too. */
    if (process->kind != kind && !(process->kind == 2 && kind == 0))
        return 0;
    return slice == NULL || process->gpu_instance == slice->gpu_instance;
}

static result running(device handle, const char *call, uint32_t kind, uint32_t *count,
                      struct process_info *infos)
{
    struct gpu *gpu;
    result entered = enter_gpu(handle, call, &gpu);
    uint32_t found = 0, room = *count;
    if (entered != SUCCESS)
        return entered;
    for (uint32_t i = 0; i < gpu->process_count && i < PROCESSES; i++) {
        const struct process *p = &gpu->processes[i];
        if (!listed(gpu, handle, p, kind))
            continue;
        if (found < room && infos != NULL)
            infos[found] = (struct process_info){p->pid, p->memory, p->gpu_instance, p->compute_instance};
        found++;
    }
    for (uint32_t i = 0; kind == 0 && i < gpu->phantoms; i++, found++)
        if (found < room && infos != NULL)
            infos[found] = (struct process_info){100000 + i, 1048576 + i, ~0u, ~0u};
    *count = found;
    return found > room ? INSUFFICIENT_SIZE : SUCCESS;
}

#define RUNNING(name, kind)                                                        \
    result name(device handle, uint32_t *count, struct process_info *infos)        \
    {                                                                              \
        return running(handle, #name, kind, count, infos);                         \
    }

RUNNING(nvmlDeviceGetComputeRunningProcesses_v3, 0)
RUNNING(nvmlDeviceGetGraphicsRunningProcesses_v3, 1)
RUNNING(nvmlDeviceGetMPSComputeRunningProcesses_v3, 2)

result nvmlDeviceGetProcessUtilization(device handle, struct sample *samples, uint32_t *count,
                                       uint64_t since)
{
    struct gpu *gpu;
    result entered = enter_gpu(handle, __func__, &gpu);
    uint32_t found = 0, room = *count;
    if (entered != SUCCESS)
        return entered;
    for (uint32_t i = 0; i < gpu->process_count && i < PROCESSES; i++) {
        const struct process *p = &gpu->processes[i];
        if (p->sampled_at <= since)
            continue;
        if (found < room && samples != NULL)
            samples[found] = (struct sample){p->pid, p->sampled_at, p->sm, 0, 0, 0};
        found++;
    }
    *count = found;
    if (found == 0)
        return NOT_FOUND;
    return found > room ? INSUFFICIENT_SIZE : SUCCESS;
}

result nvmlEventSetCreate(struct set **out)
{
    result entered = enter(__func__);
    if (entered != SUCCESS)
        return entered;
    for (int i = 0; i < SETS; i++) {
        if (sets[i].used)
            continue;
        memset(&sets[i], 0, sizeof sets[i]);
        sets[i].used = 1;
        sets[i].next = state->event_sequence;
        __atomic_add_fetch(&state->sets_alive, 1, __ATOMIC_RELAXED);
        *out = &sets[i];
        return SUCCESS;
    }
    return UNKNOWN;
}

result nvmlDeviceRegisterEvents(device handle, uint64_t types, struct set *set)
{
    struct gpu *gpu;
    result entered = enter_gpu(handle, __func__, &gpu);
    if (entered != SUCCESS)
        return entered;
    if (types & ~gpu->event_types)
        return NOT_SUPPORTED;
    set->masks[handle >> 8 & 0xff] |= types;
    return SUCCESS;
}

result nvmlEventSetFree(struct set *set)
{
    result entered = enter(__func__);
    if (!set->used || set->waiting)
        return misuse(INVALID_ARGUMENT);
    set->used = 0;
    __atomic_sub_fetch(&state->sets_alive, 1, __ATOMIC_RELAXED);
    return entered;
}

static int next_event(struct set *set, struct event_data *data)
{
    uint32_t now = __atomic_load_n(&state->event_sequence, __ATOMIC_ACQUIRE);
    if (now - set->next > EVENTS)
        set->next = now - EVENTS;
    while (set->next != now) {
        const struct event *event = &state->events[set->next++ % EVENTS];
        if (event->gpu >= GPUS_MAX || !(set->masks[event->gpu] & event->type))
            continue;
        *data = (struct event_data){(void *)HANDLE((uintptr_t)event->gpu, 0), event->type,
                                    event->data, event->gpu_instance, event->compute_instance};
        return 1;
    }
    return 0;
}

/* A GPU that is gone fails the waits of all the others in its set. */
static int one_is_lost(const struct set *set)
{
    for (int i = 0; i < GPUS_MAX; i++) {
        const struct gpu *gpu = &state->gpus[i];
        for (uint32_t f = 0; set->masks[i] && f < gpu->fault_count && f < FAULTS; f++)
            if (gpu->faults[f].code == GPU_IS_LOST && gpu->faults[f].call[0] == '\0')
                return 1;
    }
    return 0;
}

static uint64_t milliseconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static result wait_for(struct set *set, struct event_data *data, unsigned timeout)
{
    uint64_t end = milliseconds() + timeout;
    for (;;) {
        uint32_t seen = __atomic_load_n(&state->event_sequence, __ATOMIC_ACQUIRE);
        if (next_event(set, data))
            return SUCCESS;
        if (one_is_lost(set))
            return GPU_IS_LOST;
        hang_while(&state->wait);
        if (state->wait != SUCCESS)
            return (result)state->wait;
        uint64_t now = milliseconds();
        if (now >= end)
            return TIMEOUT;
        struct timespec left = {(time_t)((end - now) / 1000), (long)((end - now) % 1000) * 1000000};
        syscall(SYS_futex, &state->event_sequence, FUTEX_WAIT, seen, &left, NULL, 0);
    }
}

result nvmlEventSetWait_v2(struct set *set, struct event_data *data, unsigned timeout)
{
    if (references == 0 || !set->used)
        return misuse(UNINITIALIZED);
    __atomic_add_fetch(&state->waits, 1, __ATOMIC_RELAXED);
    set->waiting = 1;
    result code = wait_for(set, data, timeout);
    set->waiting = 0;
    return code;
}

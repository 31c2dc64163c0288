/* kernel_library.c: kernels by content, compiled once, on all cores.
 *
 * A kernel's name is the hash of its key and of everything else its code depends on:
 *
 *   hash(generator, LLVM version, triple, CPU, features) -> hash(key)
 *
 * The same hash is its symbol (poa_kernel_<hex>), its entry in the table in memory and
 * its file in the cache on disk. What neither has goes through
 *
 *   emit -> verify -> light passes -> object -> (cache) -> JIT linker -> address
 *
 * up to the object in parallel, one LLVM context per kernel and one target machine
 * per thread, because LLVM shares neither between threads. */
#include "codegen/codegen.h"

#include <llvm-c/Error.h>
#include <llvm-c/LLJIT.h>
#include <llvm-c/Orc.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "codegen/emit.h"
#include "codegen/module.h"
#include "codegen/object_cache.h"
#include "runtime/clock.h"

typedef struct kernel {
  poa_hash hash;
  poa_kernel_fn function; /* NULL until compiled and linked */
  int64_t job;            /* of the current get(), or -1 */
} kernel;

struct poa_kernel_library {
  poa_target target;
  poa_hash target_hash;
  LLVMOrcLLJITRef jit;
  poa_object_cache *cache; /* NULL: none */
  kernel *kernels;
  int64_t kernel_count, kernel_capacity;
  int64_t *slots;     /* open addressing: 1 + index of a kernel, 0 is free */
  int64_t slot_count; /* a power of two */
  poa_kernel_statistics statistics;
  char link_message[1000]; /* the linker's last complaint */
};

/* A kernel that this get() must bring in. */
typedef struct job {
  const poa_kernel_request *request;
  int64_t kernel;
  char symbol[POA_SYMBOL_LENGTH];
  LLVMMemoryBufferRef object;
  bool from_disk;
  poa_error error;
} job;

/* The table. */

static int64_t find_slot(const poa_kernel_library *library, poa_hash hash) {
  int64_t slot = (int64_t)(hash.word[0] & (uint64_t)(library->slot_count - 1));
  while (library->slots[slot] &&
         !poa_hash_equal(library->kernels[library->slots[slot] - 1].hash, hash))
    slot = (slot + 1) & (library->slot_count - 1);
  return slot;
}

/* Makes room for `more` kernels, with slots at most half full. */
static bool reserve(poa_kernel_library *library, int64_t more) {
  int64_t need = library->kernel_count + more;
  if (need <= library->kernel_capacity)
    return true;
  int64_t capacity = library->kernel_capacity ? library->kernel_capacity : 64;
  while (capacity < need)
    capacity *= 2;
  kernel *kernels = realloc(library->kernels, (size_t)capacity * sizeof *kernels);
  if (!kernels)
    return false;
  library->kernels = kernels;
  int64_t *slots = calloc((size_t)capacity * 2, sizeof *slots);
  if (!slots)
    return false;
  free(library->slots);
  library->slots = slots;
  library->slot_count = 2 * capacity;
  library->kernel_capacity = capacity;
  for (int64_t i = 0; i < library->kernel_count; ++i)
    slots[find_slot(library, kernels[i].hash)] = i + 1;
  return true;
}

static int64_t find_or_add(poa_kernel_library *library, poa_hash hash) {
  int64_t slot = find_slot(library, hash);
  if (!library->slots[slot]) {
    library->kernels[library->kernel_count++] = (kernel){.hash = hash, .job = -1};
    library->slots[slot] = library->kernel_count;
  }
  return library->slots[slot] - 1;
}

/* Compilation. */

static void compile(const poa_kernel_library *library, LLVMTargetMachineRef machine, job *work) {
  poa_error *error = &work->error;
  const poa_kernel_request *request = work->request;
  poa_emitter e;
  poa_emitter_init(&e, &library->target, machine);
  poa_module_report_to(&e, error);
  poa_status status = request->emit(&e, request->description, work->symbol, error);
  if (status == POA_OK)
    status = poa_module_finish(&e, machine, error);
  if (status == POA_OK)
    status = poa_module_object(&e, machine, &work->object, error);
  if (status != POA_OK)
    poa_fail(error, status, "kernel '%.200s' cannot be generated", request->key);
  poa_emitter_free(&e);
  if (work->object && status == POA_OK)
    poa_object_cache_store(library->cache, library->kernels[work->kernel].hash,
                           LLVMGetBufferStart(work->object), LLVMGetBufferSize(work->object));
}

static bool load(const poa_kernel_library *library, job *work) {
  size_t size;
  void *bytes = poa_object_cache_load(library->cache, library->kernels[work->kernel].hash, &size);
  if (!bytes)
    return false;
  work->object = LLVMCreateMemoryBufferWithMemoryRangeCopy(bytes, size, work->symbol);
  work->from_disk = true;
  free(bytes);
  return true;
}

static int thread_count(int64_t jobs) {
  int cores = omp_get_max_threads();
  return jobs < cores ? (int)jobs : cores;
}

/* Fills in the object of every job, or its error. */
static void run_jobs(const poa_kernel_library *library, job *jobs, int64_t count) {
#pragma omp parallel num_threads(thread_count(count))
  {
    LLVMTargetMachineRef machine = NULL; /* costs half a millisecond; often not needed */
#pragma omp for schedule(dynamic)
    for (int64_t i = 0; i < count; ++i) {
      if (load(library, &jobs[i]))
        continue;
      if (!machine)
        machine = poa_target_machine(&library->target, &jobs[i].error);
      if (machine)
        compile(library, machine, &jobs[i]);
    }
    if (machine)
      LLVMDisposeTargetMachine(machine);
  }
}

/* Linking. */

/* LLVM's message, and before it what the linker reported on the way, if anything. */
static poa_status fail_link(poa_kernel_library *library, LLVMErrorRef failure, const char *what,
                            poa_error *error) {
  char *message = LLVMGetErrorMessage(failure);
  poa_status status = poa_fail(error, POA_UNSUPPORTED, "%s: %s%s%s", what, library->link_message,
                               library->link_message[0] ? "; " : "", message);
  LLVMDisposeErrorMessage(message);
  library->link_message[0] = '\0';
  return status;
}

static void record_link_message(void *context, LLVMErrorRef failure) {
  poa_kernel_library *library = context;
  char *message = LLVMGetErrorMessage(failure);
  snprintf(library->link_message, sizeof library->link_message, "%s", message);
  LLVMDisposeErrorMessage(message);
}

/* Hands the job's object to the linker and looks its symbol up. A failed object leaves
 * nothing behind: its tracker is removed. */
static poa_status link_object(poa_kernel_library *library, job *work, poa_error *error) {
  LLVMOrcJITDylibRef dylib = LLVMOrcLLJITGetMainJITDylib(library->jit);
  LLVMOrcResourceTrackerRef tracker = LLVMOrcJITDylibCreateResourceTracker(dylib);
  LLVMMemoryBufferRef object = work->object;
  work->object = NULL; /* the linker owns it now, failing or not */
  LLVMErrorRef failure = LLVMOrcLLJITAddObjectFileWithRT(library->jit, tracker, object);
  LLVMOrcExecutorAddress address = 0;
  if (!failure)
    failure = LLVMOrcLLJITLookup(library->jit, &address, work->symbol);
  if (failure)
    LLVMConsumeError(LLVMOrcResourceTrackerRemove(tracker));
  LLVMOrcReleaseResourceTracker(tracker);
  if (failure) {
    poa_status status = fail_link(library, failure, "the kernel cannot be linked", error);
    poa_context(error, "kernel '%.200s'", work->request->key);
    return status;
  }
  library->kernels[work->kernel].function = (poa_kernel_fn)(uintptr_t)address;
  return POA_OK;
}

/* A file of the cache that does not link is one more damaged file: compile it again. */
static poa_status finish_job(poa_kernel_library *library, job *work, poa_error *error) {
  if (work->from_disk) {
    poa_error ignored = {0};
    if (link_object(library, work, &ignored) == POA_OK) {
      ++library->statistics.from_disk;
      return POA_OK;
    }
    LLVMTargetMachineRef machine = poa_target_machine(&library->target, &work->error);
    if (machine) {
      compile(library, machine, work);
      LLVMDisposeTargetMachine(machine);
    }
  }
  if (work->error.status != POA_OK)
    return poa_fail(error, work->error.status, "%s", work->error.message);
  poa_status status = link_object(library, work, error);
  library->statistics.compiled += status == POA_OK;
  return status;
}

/* Requests. */

/* Lists in `jobs` each kernel that is missing, once; writes each request's kernel. */
static int64_t collect_jobs(poa_kernel_library *library, const poa_kernel_request *requests,
                            int64_t count, int64_t *kernels, job *jobs) {
  int64_t job_count = 0;
  for (int64_t i = 0; i < count; ++i) {
    poa_hash hash = poa_hash_text(library->target_hash, requests[i].key);
    kernels[i] = find_or_add(library, hash);
    kernel *found = &library->kernels[kernels[i]];
    if (found->function || found->job >= 0) {
      ++library->statistics.from_memory;
      continue;
    }
    job *work = &jobs[job_count];
    work->request = &requests[i];
    work->kernel = kernels[i];
    poa_kernel_symbol(hash, work->symbol);
    found->job = job_count++;
  }
  return job_count;
}

/* The first failure in the order of requests is reported; the rest is linked all the same. */
static poa_status resolve(poa_kernel_library *library, const poa_kernel_request *requests,
                          int64_t count, int64_t *kernels, job *jobs, poa_kernel_fn *functions,
                          poa_error *error) {
  int64_t job_count = collect_jobs(library, requests, count, kernels, jobs);
  if (job_count > 0)
    run_jobs(library, jobs, job_count);
  poa_status status = POA_OK;
  for (int64_t i = 0; i < job_count; ++i) {
    poa_status one = finish_job(library, &jobs[i], status == POA_OK ? error : NULL);
    status = status == POA_OK ? one : status;
    if (jobs[i].object)
      LLVMDisposeMemoryBuffer(jobs[i].object);
    library->kernels[jobs[i].kernel].job = -1;
  }
  for (int64_t i = 0; i < count && status == POA_OK; ++i)
    functions[i] = library->kernels[kernels[i]].function;
  return status;
}

poa_status poa_kernel_library_get(poa_kernel_library *library, const poa_kernel_request *requests,
                                  int64_t count, poa_kernel_fn *functions, poa_error *error) {
  if (count <= 0)
    return POA_OK;
  double start = poa_seconds();
  int64_t *kernels = calloc((size_t)count, sizeof *kernels);
  job *jobs = calloc((size_t)count, sizeof *jobs);
  poa_status status;
  if (!kernels || !jobs || !reserve(library, count))
    status = poa_fail(error, POA_NO_MEMORY, "out of memory for %lld kernels", (long long)count);
  else
    status = resolve(library, requests, count, kernels, jobs, functions, error);
  free(jobs);
  free(kernels);
  library->statistics.seconds += poa_seconds() - start;
  return status;
}

/* The library. */

/* LLJIT's main library sees the symbols of the process: memcpy and memset, which LLVM may
 * call in place of loops, need no definition of ours. */
static poa_status create_jit(poa_kernel_library *library, poa_error *error) {
  LLVMTargetMachineRef machine = poa_target_machine(&library->target, error);
  if (!machine)
    return POA_UNSUPPORTED;
  LLVMOrcLLJITBuilderRef builder = LLVMOrcCreateLLJITBuilder();
  LLVMOrcLLJITBuilderSetJITTargetMachineBuilder(
      builder, LLVMOrcJITTargetMachineBuilderCreateFromTargetMachine(machine));
  LLVMErrorRef failure = LLVMOrcCreateLLJIT(&library->jit, builder);
  if (failure)
    return fail_link(library, failure, "LLVM's JIT cannot start", error);
  LLVMOrcExecutionSessionRef session = LLVMOrcLLJITGetExecutionSession(library->jit);
  LLVMOrcExecutionSessionSetErrorReporter(session, record_link_message, library);
  return POA_OK;
}

poa_status poa_kernel_library_create(poa_kernel_library **library, const poa_target *target,
                                     const char *cache_dir, poa_error *error) {
  *library = NULL;
  poa_kernel_library *made = calloc(1, sizeof *made);
  char *features = strdup(target->features);
  if (!made || !features) {
    free(made);
    free(features);
    return poa_fail(error, POA_NO_MEMORY, "out of memory for a library of kernels");
  }
  made->target = *target;
  made->target.features = features;
  made->target_hash = poa_target_hash(target);
  made->cache = poa_object_cache_open(cache_dir, POA_OBJECT_CACHE_MAX_BYTES);
  poa_status status = create_jit(made, error);
  if (status == POA_OK)
    *library = made;
  else
    poa_kernel_library_free(made);
  return status;
}

void poa_kernel_library_free(poa_kernel_library *library) {
  if (!library)
    return;
  if (library->jit)
    LLVMConsumeError(LLVMOrcDisposeLLJIT(library->jit));
  poa_object_cache_close(library->cache);
  free(library->slots);
  free(library->kernels);
  poa_target_free(&library->target);
  free(library);
}

poa_kernel_statistics poa_kernel_library_statistics(const poa_kernel_library *library) {
  return library->statistics;
}

const poa_target *poa_kernel_library_target(const poa_kernel_library *library) {
  return &library->target;
}

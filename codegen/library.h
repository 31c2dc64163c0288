/* library.h: the part of codegen/ that others use: targets and compiled kernels. No LLVM in
 * sight. */
#ifndef POA_CODEGEN_LIBRARY_H
#define POA_CODEGEN_LIBRARY_H

#include "runtime/plan.h"

typedef struct poa_emitter poa_emitter; /* codegen.h */

/* target.c */

/* The CPU that code is for. Lanes are f32 lanes of the widest vector that is fast. */
typedef struct poa_target {
  char triple[128];
  char cpu[64];
  char *features;   /* owned; LLVM's "+avx2,-..." */
  int vector_lanes; /* 16 with AVX-512F, 8 with AVX, else 4 */
  int vector_count; /* architectural vector registers: 32 or 16 */
  bool has_fma;
} poa_target;

/* `cpu` NULL or "native" is this machine; any other is a name LLVM knows for the
 * host's architecture (x86-64, x86-64-v3, x86-64-v4, znver4, ...). An unknown name,
 * or one with features that this machine lacks, is an error that says so. */
poa_status poa_target_init(poa_target *target, const char *cpu, poa_error *error);
/* Code that is to run elsewhere, or later: `cpu` may add features, "x86-64-v3,+avx512f", and
 * `triple` name another architecture, "aarch64-linux-gnu" (NULL: the host's); nothing is
 * asked of this machine. NULL for `cpu` is native, or generic for another architecture. */
poa_status poa_target_init_for(poa_target *target, const char *cpu, const char *triple,
                               poa_error *error);
void poa_target_free(poa_target *target);
/* Whether its code may use the feature, "avx2". */
bool poa_target_has(const poa_target *target, const char *feature);
/* Whether products can be in bf16: AVX512_BF16. */
bool poa_target_has_bf16(const poa_target *target);

/* kernel_library.c: kernels by content, compiled once, on all cores. */

typedef struct poa_kernel_library poa_kernel_library;

/* Builds one function named `symbol`, with external linkage, in e->module. It may
 * add internal helpers whose names start with `symbol`. */
typedef poa_status (*poa_emit_fn)(poa_emitter *e, const void *description, const char *symbol,
                                  poa_error *error);

typedef struct poa_kernel_request {
  const char *key; /* all that the code depends on, as text; alive during the call */
  poa_emit_fn emit;
  const void *description;
} poa_kernel_request;

typedef struct poa_kernel_statistics {
  int64_t compiled, from_memory, from_disk;
  double seconds; /* spent in poa_kernel_library_get */
} poa_kernel_statistics;

/* `cache_dir` NULL: no disk cache. An unusable folder is not an error: the library
 * works without it. Copies what it needs of `target`. */
poa_status poa_kernel_library_create(poa_kernel_library **library, const poa_target *target,
                                     const char *cache_dir, poa_error *error);
/* Frees the code too: no kernel of the library may run afterwards. */
void poa_kernel_library_free(poa_kernel_library *library);
/* Resolves `count` requests (duplicates welcome) to callable functions, in order. */
poa_status poa_kernel_library_get(poa_kernel_library *library, const poa_kernel_request *requests,
                                  int64_t count, poa_kernel_fn *functions, poa_error *error);
poa_kernel_statistics poa_kernel_library_statistics(const poa_kernel_library *library);
const poa_target *poa_kernel_library_target(const poa_kernel_library *library);

#endif

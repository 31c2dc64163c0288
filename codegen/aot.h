/* aot.h: ahead of time: the kernels of plans and constant data, as objects or text.
 *
 * The kernels are those of the JIT, emitted by the same functions from the same
 * requests, so an ahead-of-time program computes the same bits. Cross-compilation is
 * the same with another target. */
#ifndef POA_CODEGEN_AOT_H
#define POA_CODEGEN_AOT_H

#include "codegen/lower.h"
#include "program/program.h"

typedef enum poa_aot_form { POA_AOT_OBJECT, POA_AOT_LLVM, POA_AOT_ASSEMBLY } poa_aot_form;

/* A program of its own: program->entries[i].plan is lowered[i].plan, whose kernels lowered[i]
 * describes; targets[v] is what variant v is compiled for. */
typedef struct poa_aot_program {
  const poa_program *program;
  const poa_lowered *lowered;
  const poa_target *targets;
  const char *main; /* "poa_features_main": what main() calls with the program */
} poa_aot_program;

/* Writes the program's objects to PREFIX-0.o, PREFIX-1.o, ..; compiles on all cores. They
 * are to be linked with libpoa_program, libpoart and the OpenMP runtime. On failure the caller
 * removes what was written (*count files). */
poa_status poa_aot_program_write(const poa_aot_program *program, const char *prefix, int *count,
                                 poa_error *error);

/* A library: one entry as C functions that need nothing but an OpenMP runtime. */
typedef struct poa_aot_library {
  const char *name;  /* a C identifier; all public symbols begin with it */
  const char *title; /* one line for the header: model, point, source */
  const poa_lowered *lowered;
  const poa_target *target;
  const void *weights;       /* the parameter space, to be put inside; NULL: the caller passes it */
  const char *normalization; /* of images, for the header; "" if unknown */
} poa_aot_library;

/* Writes the library to `path`, whole or not at all. LLVM and assembly text leave the weights
 * out as an external symbol. */
poa_status poa_aot_library_write(const poa_aot_library *library, poa_aot_form form,
                                 const char *path, poa_error *error);
/* Writes its C header: what each function does, shapes, alignment, thread safety, errors. */
poa_status poa_aot_header_write(const poa_aot_library *library, const char *path, poa_error *error);

#endif

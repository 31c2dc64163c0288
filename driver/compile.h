/* compile.h: what the files of `poa compile` share.
 *
 *   compile.c          the command: what is asked for, checked before any work
 *   compile_entries.c  from descriptions and weights to lowered plans
 *   compile_program.c  a program of its own
 *   compile_library.c  a library, an object, or text, and a header
 *   compile_onnx.c     an ONNX file
 *   link.c             the system's linker */
#ifndef POA_DRIVER_COMPILE_H
#define POA_DRIVER_COMPILE_H

#include "codegen/aot.h"
#include "driver/deployment.h"

enum { POA_MAX_BATCHES = 8, POA_MAX_VARIANTS = 2 };

/* An entry at a point, for a batch and a CPU. The last three come from the first four. */
typedef struct poa_compiled_entry {
  const char *entry;
  poa_point point;
  int variant;
  int batch;  /* index into `deployments` */
  bool plain; /* a network with parameters of its own size, from `extraction` */
  poa_graph *graph;
  poa_extraction extraction;
  poa_lowered lowered;
  poa_plan *owned; /* the lowered plan where it is a copy, to be freed; else NULL */
} poa_compiled_entry;

/* Where a parameter of the common table comes from: row `index` of what `entry` read. */
typedef struct poa_parameter_origin {
  const poa_compiled_entry *entry;
  int index;
  poa_parameter parameter;
} poa_parameter_origin;

typedef struct poa_compilation {
  const poa_flags *flags;
  poa_arena *arena; /* of all that is made */
  poa_signals signals;
  const char *entry;
  int batch_count;
  int64_t batches[POA_MAX_BATCHES];            /* images a run takes; 0: not a number of images */
  poa_deployment deployments[POA_MAX_BATCHES]; /* the model with that batch */
  int variant_count;
  poa_target targets[POA_MAX_VARIANTS];
  poa_program_variant variants[POA_MAX_VARIANTS];
  bool bf16; /* products of training steps */
  int64_t point_count;
  poa_point *points;
  bool trainer; /* a program that trains: entries are lowered when they are added */
  bool whole;   /* some entry updates parameters: plans have the whole table of them */
  int entry_count, entry_capacity;
  poa_compiled_entry *entries;
  int parameter_count; /* 0 where an entry updates them: then each graph has the whole table */
  poa_parameter *parameters;
  poa_parameter_origin *origins;
} poa_compilation;

/* The model that is compiled, whatever the batch. */
static inline poa_model *poa_compilation_model(const poa_compilation *c) {
  return c->deployments[0].model;
}

/* compile_entries.c */

/* Adds `entry` at `point` for every batch and variant, as a graph ready to be lowered. */
poa_status poa_compile_add(poa_compilation *c, const char *entry, const poa_point *point,
                           poa_error *error);
/* Gives all graphs one table of parameters, so that they share their space, and lowers them. */
poa_status poa_compile_lower(poa_compilation *c, poa_error *error);
/* The parameter space of the entries' plans, filled; in *weights, from aligned_alloc, the
 * caller's to free. */
poa_status poa_compile_weights(poa_compilation *c, void **weights, poa_error *error);

/* compile_program.c, compile_library.c, compile_onnx.c: write c->flags->output. */

poa_status poa_compile_program(poa_compilation *c, poa_error *error);
poa_status poa_compile_library(poa_compilation *c, poa_aot_form form, bool shared,
                               poa_error *error);
poa_status poa_compile_onnx(poa_compilation *c, poa_error *error);

#endif

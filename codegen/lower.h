/* lower.h: from a scheduled graph to a plan.
 *
 * Kernel number k becomes launch k: its description and key, its buffers as offsets into
 * the arena and the parameter space, its tiles, and whether it must wait for the launches
 * before it. Parameters lie in table order, each on a multiple of POA_ALIGNMENT, at the
 * same offset in every plan of a model. Inputs that no kernel reads are left out. */
#ifndef POA_CODEGEN_LOWER_H
#define POA_CODEGEN_LOWER_H

#include "codegen/library.h"
#include "ir/ir.h"

/* A plan whose kernels are described but not compiled. */
typedef struct poa_lowered {
  poa_plan *plan;
  poa_plan_launch *launches; /* plan->launches, to be filled with kernels */
  /* By launch; `emit` is NULL for an external call. Keys and descriptions are in the arena. */
  poa_kernel_request *requests;
  bool updates; /* whether some parameter is assigned to */
} poa_lowered;

/* Describes the launches of `scheduled` for `target`. All results lie in `arena`, and refer
 * to strings of the graph. Fails where the graph keeps no promise of docs/kernels.md. */
poa_status poa_lower_launches(const poa_graph *scheduled, const poa_target *target,
                              poa_arena *arena, poa_lowered *lowered, poa_error *error);

/* Gives launches[i] the kernel of requests[i] from `library`, which must outlive them: all at once,
 * so that it compiles on all cores. `arena` is for the time of the call. */
poa_status poa_lower_link(const poa_kernel_request *requests, poa_plan_launch *launches, int count,
                          poa_kernel_library *library, poa_arena *arena, poa_error *error);

/* The same, compiled: every launch has its kernel from `library`, which must outlive the
 * plan's use, as must `arena` and the graph's. */
poa_status poa_lower(const poa_graph *scheduled, poa_kernel_library *library, poa_arena *arena,
                     poa_plan **plan, poa_error *error);

/* A plan of nothing but the graph's parameters, for a store of their first values. */
poa_status poa_lower_parameters(const poa_graph *graph, poa_arena *arena, poa_plan **plan,
                                poa_error *error);

#endif

/* schedule.h: what the steps of schedule share, and the check of its result.
 *
 *   order_kernels.c    the order in which kernels run
 *   reuse_in_place.c   results written over operands that die
 *   place_buffers.c    buffers into one block of memory
 *   check_schedule.c   a simulation that proves a schedule right */
#ifndef POA_PASSES_SCHEDULE_H
#define POA_PASSES_SCHEDULE_H

#include "ir/ir.h"

/* When a buffer is first and last touched, in numbers of kernels; -1: before the first. */
typedef struct poa_lifetime {
  int first, last;
  bool arena; /* the node owns a buffer of the arena; else the rest is of no meaning */
} poa_lifetime;

/* schedule.c: one per node. Outputs live until after the last kernel. */
poa_lifetime *poa_find_lifetimes(const poa_graph *graph, poa_arena *arena);

/* order_kernels.c */
void poa_order_kernels(poa_graph *graph, poa_arena *scratch);

/* reuse_in_place.c: changes roots, and the lifetimes with them. */
void poa_reuse_in_place(poa_graph *graph, poa_lifetime *lifetimes, poa_arena *scratch);

/* check_schedule.c: runs the schedule on memory that knows which element of which value
 * each of its cells holds. Fails, naming the kernel, where one reads a cell that holds
 * something else, as after a wrong stride, a buffer reused too early or a parameter
 * overwritten before its last reader. Exact for graphs of up to 2^24 stored elements;
 * beyond, buffers are checked as wholes. */
poa_status poa_schedule_check(const poa_graph *graph, poa_error *error);

#endif

/* first_step.c: see first_step.h. */
#include "program/first_step.h"

static const int64_t page_bytes = 4096;
static const int64_t piece_bytes = INT64_C(4) << 20; /* two huge pages */

/* A store to every page; on a huge page all but the first cost nothing. */
static void touch(char *memory, int64_t bytes) {
  for (int64_t i = 0; i < bytes; i += page_bytes)
    *(volatile char *)&memory[i] = 0;
}

static void work(void *context, int64_t piece) {
  const poa_first_step *first = context;
  if (piece < first->value_pieces) {
    poa_first_values_fill(first->values, piece);
    return;
  }
  int64_t start = (piece - first->value_pieces) * piece_bytes, left = first->arena_bytes - start;
  touch(first->arena + start, left < piece_bytes ? left : piece_bytes);
}

poa_status poa_first_step_begin(poa_first_step *first, poa_supernet *net, const poa_plan *plan,
                                bool initialize, uint64_t seed, poa_error *error) {
  *first = (poa_first_step){0};
  poa_status status = poa_executor_reserve(net->executor, plan->arena_bytes, error);
  if (status == POA_OK && initialize)
    status = poa_first_values_plan(&first->values, net->store, seed, error);
  if (status)
    return status;
  first->value_pieces = first->values ? poa_first_values_pieces(first->values) : 0;
  first->arena = poa_executor_arena(net->executor);
  first->arena_bytes = plan->arena_bytes;
  int64_t touches = (plan->arena_bytes + piece_bytes - 1) / piece_bytes;
  poa_crew_start(&first->crew, poa_executor_threads(net->executor), first->value_pieces + touches,
                 work, first);
  return POA_OK;
}

void poa_first_step_finish(poa_first_step *first) {
  poa_crew_finish(&first->crew);
  poa_first_values_free(first->values);
  first->values = NULL;
}

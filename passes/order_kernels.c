#include "passes/schedule.h"
void poa_order_kernels(poa_graph *graph, poa_arena *scratch) {
  (void)graph;
  (void)scratch;
}

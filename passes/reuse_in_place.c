/* reuse_in_place.c: a result written over an operand that dies.
 *
 *   kernel 7 {
 *     %e = exp %s    : f32[8,6,50,50] in self+0 ..     %s is read here for the last time
 *   }
 *
 * becomes %e in %s+0. That is right where the kernel reads all of the operand's buffer only
 * at the index that it writes: element-wise, or a row as a whole before any of it is
 * written. So the result must be of the last pass over a row, that is, depend on as many
 * reductions, one behind the other, as any full value of the kernel. */
#include <string.h>

#include "passes/schedule.h"
#include "passes/strides.h"

typedef struct reuse {
  poa_graph *graph;
  poa_lifetime *lifetimes;
  int *depth;       /* per node: reductions that it depends on within its kernel */
  poa_value *moved; /* per node: the root that a root's buffer became part of */
} reuse;

/* Nodes first .. end-1 are a kernel. */
typedef struct span {
  poa_value first, end;
} span;

static bool in_kernel(span kernel, poa_value value) {
  return value >= kernel.first && value < kernel.end;
}

static void find_depths(const reuse *r, span kernel) {
  for (poa_value v = kernel.first; v < kernel.end; v++) {
    const poa_node *node = &r->graph->nodes[v];
    int depth = 0;
    for (int o = 0; o < node->operand_count; o++)
      if (in_kernel(kernel, node->operands[o]) && r->depth[node->operands[o]] > depth)
        depth = r->depth[node->operands[o]];
    r->depth[v] = depth + poa_op_is(node->op, POA_FLAG_REDUCTION);
  }
}

/* Whether each value of `type` in the kernel is complete in or before the pass of `value`. */
static bool in_last_pass(const reuse *r, span kernel, poa_value value) {
  const poa_type *type = &r->graph->nodes[value].type;
  for (poa_value v = kernel.first; v < kernel.end; v++)
    if (r->depth[v] > r->depth[value] && poa_same_shape(&r->graph->nodes[v].type, type))
      return false;
  return true;
}

/* Whether the kernel reads the operand's buffer only where it would write `value`. */
static bool read_in_step(const reuse *r, span kernel, poa_value operand, poa_value value) {
  const poa_node *x = &r->graph->nodes[operand], *y = &r->graph->nodes[value];
  for (poa_value v = kernel.first; v < kernel.end; v++) {
    const poa_node *node = &r->graph->nodes[v];
    for (int o = 0; o < node->operand_count; o++) {
      const poa_node *other = &r->graph->nodes[node->operands[o]];
      if (in_kernel(kernel, node->operands[o]) || other->storage.root != x->storage.root)
        continue;
      if (!poa_op_is(node->op, POA_FLAG_ELEMENTWISE | POA_FLAG_REDUCTION) ||
          !poa_same_shape(&other->type, &y->type) ||
          !poa_same_place(&y->type, &other->storage, &x->storage))
        return false;
    }
    if (v != value && node->storage.root == x->storage.root)
      return false;
  }
  return true;
}

/* `value` owns a buffer; may it lie in that of `operand` instead? */
static bool can_reuse(const reuse *r, span kernel, poa_value operand, poa_value value) {
  const poa_node *x = &r->graph->nodes[operand], *y = &r->graph->nodes[value];
  poa_value root = x->storage.root;
  if (root == POA_NO_VALUE || !r->lifetimes[root].arena || in_kernel(kernel, operand) ||
      r->lifetimes[root].last != y->kernel || r->graph->nodes[root].op == POA_OP_input)
    return false;
  poa_storage place = y->storage;
  place.root = root;
  return x->type.dtype == y->type.dtype && poa_same_shape(&x->type, &y->type) &&
         poa_type_elements(r->graph->nodes[root].type) == poa_type_elements(y->type) &&
         poa_same_place(&y->type, &x->storage, &place) && read_in_step(r, kernel, operand, value);
}

static void reuse_operand(reuse *r, span kernel, poa_value value) {
  const poa_node *node = &r->graph->nodes[value];
  if (!poa_op_is(node->op, POA_FLAG_ELEMENTWISE) || node->storage.root != value ||
      !in_last_pass(r, kernel, value))
    return;
  for (poa_value v = kernel.first; v < kernel.end; v++) {
    const poa_node *reader = &r->graph->nodes[v];
    for (int o = 0; o < reader->operand_count; o++) {
      if (!can_reuse(r, kernel, reader->operands[o], value))
        continue;
      poa_value root = r->graph->nodes[reader->operands[o]].storage.root;
      r->moved[value] = root;
      r->lifetimes[root].last = r->lifetimes[value].last;
      r->lifetimes[value].arena = false;
      r->graph->nodes[value].storage.root = root;
      return;
    }
  }
}

/* What lay in a moved buffer follows it. */
static void follow(const reuse *r, poa_value value) {
  poa_storage *storage = &r->graph->nodes[value].storage;
  while (storage->root != POA_NO_VALUE && r->moved[storage->root] != POA_NO_VALUE)
    storage->root = r->moved[storage->root];
}

void poa_reuse_in_place(poa_graph *graph, poa_lifetime *lifetimes, poa_arena *scratch) {
  uint32_t count = graph->node_count;
  reuse r = {.graph = graph, .lifetimes = lifetimes};
  r.depth = poa_arena_alloc(scratch, count * sizeof *r.depth + 1);
  r.moved = poa_arena_alloc(scratch, count * sizeof *r.moved + 1);
  memset(r.moved, 0xff, count * sizeof *r.moved);
  for (poa_value v = 0; v < count;) {
    span kernel = {v, v + 1};
    follow(&r, v);
    if (graph->nodes[v].kernel >= 0)
      while (kernel.end < count && graph->nodes[kernel.end].kernel == graph->nodes[v].kernel)
        follow(&r, kernel.end++);
    v = kernel.end;
    if (graph->nodes[kernel.first].kernel < 0)
      continue;
    find_depths(&r, kernel);
    for (poa_value each = kernel.first; each < kernel.end; each++)
      reuse_operand(&r, kernel, each);
  }
  for (poa_value v = 0; v < count; v++)
    follow(&r, v);
}

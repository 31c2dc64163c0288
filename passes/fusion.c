/* fusion.c: nodes and kernels while fuse works on them. */
#include <string.h>

#include "passes/fusion.h"
#include "passes/strides.h"

int poa_fusion_open(poa_fusion *f, poa_fused_kind kind, const poa_type *domain) {
  if (f->kernel_count == f->kernel_capacity) {
    int capacity = f->kernel_capacity ? 2 * f->kernel_capacity : 256;
    poa_fused_kernel *kernels = poa_arena_alloc(f->scratch, (size_t)capacity * sizeof *kernels);
    if (f->kernel_count)
      memcpy(kernels, f->kernels, (size_t)f->kernel_count * sizeof *kernels);
    f->kernels = kernels;
    f->kernel_capacity = capacity;
  }
  int kernel = f->kernel_count++;
  f->kernels[kernel] = (poa_fused_kernel){.kind = kind,
                                          .domain = *domain,
                                          .simple = kind == POA_FUSED_ROWS,
                                          .first = POA_FUSED_END,
                                          .last = POA_FUSED_END,
                                          .next_scalars = -1};
  if (kind == POA_FUSED_ROWS && domain->rank == 0) {
    if (f->first_scalars < 0)
      f->first_scalars = kernel;
    else
      f->kernels[f->last_scalars].next_scalars = kernel;
    f->last_scalars = kernel;
  }
  return kernel;
}

void poa_fusion_enter(poa_fusion *f, poa_value value, int kernel) {
  poa_fused_node *n = poa_fused(f, value);
  poa_fused_kernel *k = &f->kernels[kernel];
  n->kernel = kernel;
  n->next = POA_FUSED_END;
  if (k->first == POA_FUSED_END)
    k->first = value;
  else
    poa_fused(f, k->last)->next = value;
  k->last = value;
  k->node_count++;
  poa_op op = n->node->op;
  bool simple = poa_op_is(op, POA_FLAG_ELEMENTWISE) || op == POA_OP_iota || op == POA_OP_gather;
  k->simple = k->simple && simple && poa_same_shape(&n->node->type, &k->domain);
}

poa_value poa_fusion_append(poa_fusion *f, const poa_node *node, const poa_value *operands,
                            uint32_t order) {
  if (f->count == f->capacity) {
    uint32_t capacity = f->capacity ? 2 * f->capacity : 1024;
    poa_fused_node *nodes = poa_arena_alloc(f->scratch, capacity * sizeof *nodes);
    if (f->count)
      memcpy(nodes, f->nodes, f->count * sizeof *nodes);
    f->nodes = nodes;
    f->capacity = capacity;
  }
  size_t bytes = (size_t)node->operand_count * sizeof *operands;
  poa_fused_node *n = &f->nodes[f->count];
  *n = (poa_fused_node){.node = node,
                        .order = order,
                        .kernel = POA_FUSED_NONE,
                        .next = POA_FUSED_END,
                        .twin = POA_FUSED_END};
  if (bytes)
    n->operands = memcpy(poa_arena_alloc(f->scratch, bytes), operands, bytes);
  return f->count++;
}

poa_value poa_fusion_twin(poa_fusion *f, poa_value value) {
  poa_fused_node n = *poa_fused(f, value);
  poa_value twin = poa_fusion_append(f, n.node, n.operands, n.order);
  poa_fused(f, twin)->live = true;
  poa_fused(f, twin)->twin = n.twin;
  poa_fused(f, value)->twin = twin;
  return twin;
}

void poa_fusion_reorder(poa_fusion *f, const int *group, int groups) {
  int count = f->kernel_count;
  int *starts = poa_arena_alloc(f->scratch, ((size_t)groups + 1) * sizeof *starts);
  int *position = poa_arena_alloc(f->scratch, (size_t)count * sizeof *position + 1);
  for (int k = 0; k < count; k++)
    starts[group[k] + 1]++;
  for (int g = 0; g < groups; g++)
    starts[g + 1] += starts[g];
  for (int k = 0; k < count; k++)
    position[k] = starts[group[k]]++;
  poa_fused_kernel *old = poa_arena_alloc(f->scratch, (size_t)count * sizeof *old + 1);
  if (count)
    memcpy(old, f->kernels, (size_t)count * sizeof *old);
  for (int k = 0; k < count; k++)
    f->kernels[position[k]] = old[k];
  for (uint32_t i = 0; i < f->count; i++)
    if (f->nodes[i].kernel >= 0)
      f->nodes[i].kernel = position[f->nodes[i].kernel];
}

static bool repeats_operand(const poa_fused_node *n, int operand) {
  for (int o = 0; o < operand; o++)
    if (n->operands[o] == n->operands[operand])
      return true;
  return false;
}

/* Lists the live nodes that read each value. */
static void find_users(poa_fusion *f) {
  for (int filling = 0; filling < 2; filling++) {
    for (uint32_t i = 0; i < f->count; i++) {
      poa_fused_node *n = poa_fused(f, i);
      if (filling)
        n->users = poa_arena_alloc(f->scratch, (size_t)n->user_count * sizeof *n->users + 1);
      n->user_count = 0;
    }
    for (uint32_t i = 0; i < f->count; i++) {
      const poa_fused_node *n = poa_fused(f, i);
      for (int o = 0; n->live && o < n->node->operand_count; o++) {
        poa_fused_node *operand = poa_fused(f, n->operands[o]);
        if (repeats_operand(n, o))
          continue;
        if (filling)
          operand->users[operand->user_count] = i;
        operand->user_count++;
      }
    }
  }
}

/* Sorts live nodes by order, the rest goes. map: old index -> new. */
static void sort_nodes(poa_fusion *f) {
  poa_fused_node *old = f->nodes;
  uint32_t old_count = f->count, orders = 0;
  for (uint32_t i = 0; i < old_count; i++)
    orders = old[i].order >= orders ? old[i].order + 1 : orders;
  uint32_t *starts = poa_arena_alloc(f->scratch, (orders + (size_t)1) * sizeof *starts);
  poa_value *map = poa_arena_alloc(f->scratch, old_count * sizeof *map);
  for (uint32_t i = 0; i < old_count; i++)
    starts[old[i].order + 1] += old[i].live;
  for (uint32_t i = 0; i < orders; i++)
    starts[i + 1] += starts[i];
  f->count = starts[orders];
  f->capacity = f->count + 1;
  f->nodes = poa_arena_alloc(f->scratch, f->capacity * sizeof *f->nodes);
  for (uint32_t i = 0; i < old_count; i++)
    if (old[i].live) {
      map[i] = starts[old[i].order]++;
      f->nodes[map[i]] = old[i];
    }
  for (uint32_t i = 0; i < f->count; i++) {
    poa_fused_node *n = &f->nodes[i];
    n->order = i;
    n->twin = POA_FUSED_END;
    for (int o = 0; o < n->node->operand_count; o++)
      n->operands[o] = map[n->operands[o]];
  }
}

/* Numbers the kernels that still have nodes and lists their nodes in order. */
static void number_kernels(poa_fusion *f) {
  int *map = poa_arena_alloc(f->scratch, (size_t)f->kernel_count * sizeof *map + 1);
  int count = 0;
  for (uint32_t i = 0; i < f->count; i++)
    if (f->nodes[i].kernel >= 0)
      map[f->nodes[i].kernel] = 1;
  for (int k = 0; k < f->kernel_count; k++) {
    if (!map[k])
      continue;
    map[k] = count;
    f->kernels[count] = f->kernels[k];
    f->kernels[count].first = f->kernels[count].last = POA_FUSED_END;
    f->kernels[count].node_count = 0;
    f->kernels[count++].simple = f->kernels[k].kind == POA_FUSED_ROWS;
  }
  f->kernel_count = count;
  for (uint32_t i = 0; i < f->count; i++)
    if (f->nodes[i].kernel >= 0)
      poa_fusion_enter(f, i, map[f->nodes[i].kernel]);
}

void poa_fusion_settle(poa_fusion *f) {
  sort_nodes(f);
  number_kernels(f);
  find_users(f);
}

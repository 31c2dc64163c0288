/* fuse.c: which nodes become one kernel. The steps are in form_kernels.c,
 * merge_kernels.c, repeat_cheap.c and place_assigns.c; here they are prepared and run,
 * and their result is written back.
 *
 * Sources: loop fusion as in Kennedy & McKinley, Maximizing Loop Parallelism and Improving
 * Data Locality via Loop Fusion and Distribution (1993), greedy over a topological order;
 * rematerialization of cheap values as in Briggs et al. (1992). */
#include <assert.h>
#include <string.h>

#include "passes/fusion.h"
#include "passes/internal.h"
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

/* A node that stands at `order`, with operands of its own. */
static poa_value append(poa_fusion *f, const poa_node *node, const poa_value *operands,
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
  poa_value twin = append(f, n.node, n.operands, n.order);
  poa_fused(f, twin)->live = true;
  poa_fused(f, twin)->twin = n.twin;
  poa_fused(f, value)->twin = twin;
  return twin;
}

/* Preparing */

typedef struct preparation {
  poa_fusion *f;
  const poa_node *nodes;
  uint32_t count;
  poa_value *map;        /* node of the graph -> fused node */
  bool *assigned;        /* parameter nodes that an assign writes */
  uint32_t *table, mask; /* parameter nodes by name; UINT32_MAX: empty */
} preparation;

static uint32_t hash_of(const char *set, const char *name) {
  uint32_t hash = 2166136261u; /* FNV-1a */
  for (const char *c = set; *c; c++)
    hash = (hash ^ (unsigned char)*c) * 16777619u;
  hash = (hash ^ '/') * 16777619u;
  for (const char *c = name; *c; c++)
    hash = (hash ^ (unsigned char)*c) * 16777619u;
  return hash;
}

/* The first node of the same parameter. */
static uint32_t first_of_name(preparation *p, uint32_t value) {
  const char *set = poa_node_string(&p->nodes[value], "set");
  const char *name = poa_node_string(&p->nodes[value], "name");
  uint32_t slot = hash_of(set, name) & p->mask;
  for (; p->table[slot] != UINT32_MAX; slot = (slot + 1) & p->mask) {
    const poa_node *other = &p->nodes[p->table[slot]];
    if (!strcmp(poa_node_string(other, "name"), name) &&
        !strcmp(poa_node_string(other, "set"), set))
      return p->table[slot];
  }
  p->table[slot] = value;
  return value;
}

/* A view of a constant is a constant. */
static const poa_node *fold_constant(poa_fusion *f, const poa_node *view,
                                     const poa_value *operands) {
  const poa_node *operand = poa_fused_op(f, operands[0]);
  if (!poa_is_view(view->op) || operand->op != POA_OP_constant)
    return view;
  poa_node *node = poa_arena_alloc(f->scratch, sizeof *node);
  *node = *operand;
  node->type = view->type;
  node->location = view->location;
  return node;
}

/* Whether the value is an assigned parameter, or part of one, seen through movement. Effects
 * come last: what reads it at the end of the step must see it as it was at the beginning. */
static bool shows_assigned(preparation *p, uint32_t value) {
  const poa_node *node = &p->nodes[value];
  int operands = poa_is_view(node->op) || node->op == POA_OP_concat ? node->operand_count : 0;
  for (int o = 0; o < operands; o++)
    if (shows_assigned(p, node->operands[o]))
      return true;
  return node->op == POA_OP_parameter && p->assigned[first_of_name(p, value)];
}

/* `value` as a kernel of its own computes it: a copy. */
static poa_value append_copy(poa_fusion *f, poa_value value, uint32_t order) {
  poa_node *node = poa_arena_alloc(f->scratch, sizeof *node);
  *node = (poa_node){.op = POA_OP_convert,
                     .type = poa_fused_op(f, value)->type,
                     .operand_count = 1,
                     .location = poa_fused_op(f, value)->location};
  return append(f, node, &value, order);
}

static void prepare_node(preparation *p, uint32_t i) {
  poa_fusion *f = p->f;
  const poa_node *node = &p->nodes[i];
  if (node->op == POA_OP_parameter && first_of_name(p, i) != i) {
    p->map[i] = p->map[first_of_name(p, i)];
    return;
  }
  poa_value *operands =
      poa_arena_alloc(f->scratch, (size_t)node->operand_count * sizeof *operands + 1);
  for (int o = 0; o < node->operand_count; o++)
    operands[o] = p->map[node->operands[o]];
  int last = node->operand_count - 1;
  if (poa_op_is(node->op, POA_FLAG_ROOT) && shows_assigned(p, node->operands[last]))
    operands[last] = append_copy(f, operands[last], i);
  if (poa_is_view(node->op))
    node = fold_constant(f, node, operands);
  p->map[i] = append(f, node, operands, i);
}

static void prepare(poa_fusion *f, const poa_node *nodes, uint32_t count) {
  preparation p = {.f = f, .nodes = nodes, .count = count, .mask = 1};
  while (p.mask < 2 * count)
    p.mask = 2 * p.mask + 1;
  p.map = poa_arena_alloc(f->scratch, count * sizeof *p.map);
  p.assigned = poa_arena_alloc(f->scratch, count * sizeof *p.assigned);
  p.table = poa_arena_alloc(f->scratch, (p.mask + (size_t)1) * sizeof *p.table);
  memset(p.table, 0xff, (p.mask + (size_t)1) * sizeof *p.table);
  for (uint32_t i = 0; i < count; i++)
    if (nodes[i].op == POA_OP_parameter)
      first_of_name(&p, i);
  for (uint32_t i = 0; i < count; i++)
    if (nodes[i].op == POA_OP_assign)
      p.assigned[first_of_name(&p, nodes[i].operands[0])] = true;
  for (uint32_t i = 0; i < count; i++)
    prepare_node(&p, i);
}

/* Marks what effects depend on; inputs stay, for callers fill them. */
static void mark_live(poa_fusion *f) {
  for (uint32_t i = f->count; i-- > 0;) {
    poa_fused_node *n = poa_fused(f, i);
    n->live = n->live || poa_op_is(n->node->op, POA_FLAG_ROOT) || n->node->op == POA_OP_input;
    for (int o = 0; n->live && o < n->node->operand_count; o++)
      poa_fused(f, n->operands[o])->live = true;
  }
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

/* After twins came and nodes died: a list of nodes and kernels without gaps. */
static void settle(poa_fusion *f) {
  sort_nodes(f);
  number_kernels(f);
  find_users(f);
}

/* Writing the graph */

typedef struct writer {
  poa_fusion *f;
  poa_value *map; /* fused node -> node of the new graph, POA_NO_VALUE before */
} writer;

static void write_node(writer *w, poa_value value) {
  const poa_fused_node *n = poa_fused(w->f, value);
  poa_node node = *n->node;
  node.operands = n->operands;
  node.kernel = n->kernel;
  node.storage = (poa_storage){.root = POA_NO_VALUE, .place = -1};
  w->map[value] = poa_graph_copy(w->f->graph, &node, w->map);
}

/* Writes a value without a kernel, after what it depends on. */
static void write_outside(writer *w, poa_value value) {
  const poa_fused_node *n = poa_fused(w->f, value);
  if (w->map[value] != POA_NO_VALUE || n->kernel != POA_FUSED_NONE)
    return;
  for (int o = 0; o < n->node->operand_count; o++)
    write_outside(w, n->operands[o]);
  write_node(w, value);
}

static void write_kernel(writer *w, int kernel) {
  poa_fusion *f = w->f;
  for (uint32_t i = f->kernels[kernel].first; i != POA_FUSED_END; i = poa_fused(f, i)->next)
    for (int o = 0; o < poa_fused_op(f, i)->operand_count; o++)
      write_outside(w, poa_fused(f, i)->operands[o]);
  for (uint32_t i = f->kernels[kernel].first; i != POA_FUSED_END; i = poa_fused(f, i)->next)
    write_node(w, i);
}

static void write_graph(poa_fusion *f) {
  writer w = {.f = f};
  uint32_t count;
  poa_graph_take_nodes(f->graph, &count);
  w.map = poa_arena_alloc(f->scratch, f->count * sizeof *w.map + 1);
  memset(w.map, 0xff, f->count * sizeof *w.map);
  for (uint32_t i = 0; i < f->count; i++)
    if (poa_fused_op(f, i)->op == POA_OP_input)
      write_node(&w, i);
  for (int k = 0; k < f->kernel_count; k++)
    write_kernel(&w, k);
  for (uint32_t i = 0; i < f->count; i++)
    write_outside(&w, i);
}

/* The pass */

static bool reduction_fits(const poa_graph *graph, const poa_node *node) {
  int last = poa_node_of(graph, node->operands[0])->type.rank - 1;
  if (node->op == POA_OP_argmax)
    return poa_node_int(node, "axis", 0) == last;
  const poa_attribute *axes = poa_node_attribute(node, "axes");
  return axes->count == 1 || (axes->count > 1 && axes->integers[axes->count - 1] != last);
}

static poa_status require_expanded(const poa_graph *graph, poa_error *error) {
  for (uint32_t i = 0; i < graph->node_count; i++) {
    const poa_node *node = &graph->nodes[i];
    const char *name = poa_op_table(node->op)->name;
    if (poa_op_is(node->op, POA_FLAG_EARLY))
      return poa_fail(error, POA_BAD_INPUT,
                      "fuse: %%%u is a %s; run specialize and differentiate first", i, name);
    if (poa_op_is(node->op, POA_FLAG_COMPOSITE) ||
        (poa_op_is(node->op, POA_FLAG_REDUCTION) && !reduction_fits(graph, node)))
      return poa_fail(error, POA_BAD_INPUT,
                      "fuse: %%%u is a %s that no kernel computes at once; run expand first", i,
                      name);
  }
  return POA_OK;
}

/* Gives every node its kernel.
 *
 *   before:                                  after:
 *     %x = input {..}        : f32[8,64]       %x = input {..}        : f32[8,64]
 *     %m = reduce_max %x ..  : f32[8]          %m = reduce_max %x ..  : f32[8]    @kernel 0
 *     %b = broadcast %m ..   : f32[8,64]       %b = broadcast %m ..   : f32[8,64] @kernel 0
 *     %d = sub %x, %b        : f32[8,64]       %d = sub %x, %b        : f32[8,64] @kernel 0
 *     %w = parameter {..}    : f32[64,4]       %w = parameter {..}    : f32[64,4]
 *     %y = dot %d, %w        : f32[8,4]        %y = dot %d, %w        : f32[8,4]  @kernel 1
 *
 * Requires: known extents; no kernels yet; no early or composite ops; each reduction over the last
 * axis alone or over axes without it. Establishes: docs/kernels.md up to "Storage"; one node per
 * parameter; no views of constants. Keeps: all values. Breaks: the order of nodes; dead
 * nodes go. */
poa_status poa_fuse(poa_graph *graph, const poa_options *options, poa_error *error) {
  (void)options;
  if (poa_require_early(graph, "fuse", error) || require_expanded(graph, error))
    return POA_BAD_INPUT;
  poa_arena *scratch = poa_arena_create();
  if (!scratch)
    return poa_fail(error, POA_NO_MEMORY, "no memory to fuse %s", graph->name);
  poa_fusion f = {.graph = graph, .scratch = scratch, .first_scalars = -1, .last_scalars = -1};
  prepare(&f, graph->nodes, graph->node_count);
  mark_live(&f);
  settle(&f);
  poa_form_kernels(&f);
  poa_sink_kernels(&f);
  settle(&f);
  poa_repeat_cheap(&f);
  settle(&f);
  poa_join_siblings(&f);
  poa_sink_kernels(&f);
  settle(&f);
  poa_repeat_cheap(&f);
  settle(&f);
  poa_place_assigns(&f);
  settle(&f);
  write_graph(&f);
  poa_arena_free(scratch);
  return POA_OK;
}

/* classify.c: from the nodes of one kernel number to a description of its kind.
 *
 * The kind follows from the nodes: a dot makes a gemm, a scatter_add a scatter, a call an
 * external; a reduction over axes without the last one makes columns; the rest is rows.
 *
 *   %3 = exp %1            kernel 4      rows [64 | 384]
 *   %4 = reduce_sum %3     kernel 4      v0 = input @0, v1 = exp v0, v2 = reduce_sum v1
 *   (%3, %4 stored)                      store v1 -> @1, store v2 -> @2
 *
 * Inside the description a broadcast is no operation: a value that does not differ along
 * the inner axis is computed once and meets the others as it is. */
#include <string.h>

#include "codegen/cluster.h"

typedef struct builder {
  const poa_graph *graph;
  poa_arena *arena;
  poa_error *error;
  int number;
  uint32_t first, end;
  int *local; /* node -> value of the cluster, or -1 */
  int touched_count;
  poa_value *touched; /* the nodes whose local is set */
  poa_kernel *kernel;
  poa_cluster *cluster;
  poa_type domain;
  bool reduced[POA_MAX_RANK], pinned[POA_MAX_RANK];
} builder;

static bool mine(const builder *b, const poa_node *node) {
  return node->kernel == b->number;
}

static bool stored(const poa_node *node) {
  return node->storage.root != POA_NO_VALUE;
}

static bool reduces(const poa_node *node) {
  if (node->op == POA_OP_argmax)
    return true;
  return poa_op_is(node->op, POA_FLAG_REDUCTION) && poa_node_attribute(node, "axes")->count > 0;
}

/* The value whose shape the node gives to the kernel: what it writes, for effects. */
static const poa_node *shaped(const builder *b, const poa_node *node) {
  bool effect = node->op == POA_OP_accumulate || node->op == POA_OP_assign;
  return effect ? poa_node_of(b->graph, node->operands[1]) : node;
}

static poa_status misfit(const builder *b, poa_value value, const char *what) {
  const poa_node *node = poa_node_of(b->graph, value);
  return poa_fail(b->error, POA_UNSUPPORTED, "kernel %d: %%%u (%s) %s, a bug of poa's fuse",
                  b->number, value, poa_op_table(node->op)->name, what);
}

/* The domain. */

static void mark_reduced(builder *b, const poa_node *node) {
  if (node->op == POA_OP_argmax) {
    b->reduced[poa_node_int(node, "axis", 0)] = true;
    return;
  }
  const poa_attribute *axes = poa_node_attribute(node, "axes");
  for (int i = 0; i < axes->count; i++)
    b->reduced[axes->integers[i]] = true;
}

static void find_domain(builder *b) {
  bool found = false;
  for (uint32_t v = b->first; v < b->end && !found; v++) {
    const poa_node *node = poa_node_of(b->graph, v);
    if (!mine(b, node))
      continue;
    const poa_type *type = &shaped(b, node)->type;
    if (reduces(node)) {
      b->domain = poa_node_of(b->graph, node->operands[0])->type;
      mark_reduced(b, node);
      found = true;
    } else if (type->rank >= b->domain.rank) {
      b->domain = *type;
    }
  }
  b->cluster->columns = found && !b->reduced[b->domain.rank - 1];
  b->cluster->rank = b->domain.rank;
  for (int a = 0; a < b->domain.rank; a++)
    b->cluster->extent[a] = b->domain.dim[a].value;
}

/* Whether a value of this type has an element per element of the domain. */
static bool is_full(const builder *b, const poa_type *type) {
  return type->rank == b->domain.rank;
}

/* The axes of the domain that the axes of a value of this type are. False: it has none. */
static bool place_axes(const builder *b, const poa_type *type, int *axis) {
  int rank = 0;
  for (int a = 0; a < b->domain.rank; a++) {
    bool dropped = b->cluster->columns ? b->reduced[a] : a == b->domain.rank - 1;
    if (is_full(b, type) || !dropped)
      axis[rank++] = a;
  }
  if (rank != type->rank)
    return false;
  for (int a = 0; a < rank; a++)
    if (type->dim[a].value != b->domain.dim[axis[a]].value)
      return false;
  return true;
}

/* Values. */

static void remember(builder *b, poa_value node, int local) {
  b->local[node] = local;
  b->touched[b->touched_count++] = node;
}

static int add_value(builder *b, poa_cluster_value value) {
  b->cluster->values[b->cluster->value_count] = value;
  return b->cluster->value_count++;
}

static int add_access(builder *b, poa_access access, poa_use use) {
  b->kernel->uses[b->kernel->use_count++] = use;
  b->cluster->accesses[b->cluster->access_count] = access;
  return b->cluster->access_count++;
}

/* The strides of a value of `type` that lies as `storage` says. */
static poa_status access_of(const builder *b, poa_value value, const poa_type *type,
                            const poa_storage *storage, poa_access *access) {
  int axis[POA_MAX_RANK];
  if (!place_axes(b, type, axis))
    return misfit(b, value, "does not fit the kernel's domain");
  *access = (poa_access){.dtype = type->dtype};
  for (int a = 0; a < type->rank; a++)
    access->stride[axis[a]] = storage->stride[a];
  return POA_OK;
}

static bool same_place(const poa_use *a, const poa_use *b) {
  return a->root == b->root && a->offset == b->offset && a->span == b->span && a->dtype == b->dtype;
}

#define MOST_COMPARED 256

/* An earlier load of the very same elements, or -1. Huge scalar kernels do without. */
static int find_load(const builder *b, const poa_access *access, const poa_use *use, bool after) {
  const poa_cluster *c = b->cluster;
  for (int v = 0; v < c->value_count && c->value_count < MOST_COMPARED; v++) {
    const poa_cluster_value *value = &c->values[v];
    if (value->op == POA_OP_input && value->after == after &&
        same_place(&b->kernel->uses[value->access], use) &&
        !memcmp(&c->accesses[value->access], access, sizeof *access))
      return v;
  }
  return -1;
}

static bool after_reduction(const builder *b, const poa_type *type) {
  return b->cluster->columns && !is_full(b, type);
}

static poa_status add_load(builder *b, poa_value value, int *local) {
  const poa_node *node = poa_node_of(b->graph, value);
  poa_access access;
  if (poa_check_stored(b->graph, value, b->error) ||
      access_of(b, value, &node->type, &node->storage, &access))
    return POA_UNSUPPORTED;
  poa_use use = poa_use_of(node, &node->type, 0);
  use.read = true;
  bool after = after_reduction(b, &node->type);
  *local = find_load(b, &access, &use, after);
  if (*local < 0)
    *local = add_value(b, (poa_cluster_value){.op = POA_OP_input,
                                              .dtype = node->type.dtype,
                                              .after = after,
                                              .access = add_access(b, access, use)});
  return POA_OK;
}

static int add_constant(builder *b, const poa_node *node) {
  return add_value(b, (poa_cluster_value){.op = POA_OP_constant,
                                          .dtype = node->type.dtype,
                                          .access = -1,
                                          .constant = poa_node_float(node, "value", 0)});
}

/* The constant that a chain of views without storage shows, or NULL. */
static const poa_node *splat(const builder *b, const poa_node *node) {
  while (poa_op_is(node->op, POA_FLAG_VIEW) && !stored(node) && !mine(b, node))
    node = poa_node_of(b->graph, node->operands[0]);
  return node->op == POA_OP_constant && !stored(node) ? node : NULL;
}

static poa_status find_local(builder *b, poa_value value, int *local) {
  const poa_node *node = poa_node_of(b->graph, value);
  *local = b->local[value];
  if (*local >= 0)
    return POA_OK;
  if (mine(b, node))
    return misfit(b, value, "gives no value that its kernel can use");
  const poa_node *constant = splat(b, node);
  if (constant)
    *local = add_constant(b, constant);
  else if (add_load(b, value, local))
    return POA_UNSUPPORTED;
  remember(b, value, *local);
  return POA_OK;
}

/* Nodes. */

static poa_status add_operation(builder *b, const poa_node *node, int *local) {
  poa_cluster_value value = {
      .op = reduces(node) || poa_op_is(node->op, POA_FLAG_ELEMENTWISE) ? node->op : POA_OP_convert,
      .dtype = node->type.dtype,
      .access = -1,
      .after = after_reduction(b, &node->type) && !reduces(node),
      .operand_count = node->operand_count};
  for (int i = 0; i < node->operand_count; i++)
    if (find_local(b, node->operands[i], &value.operand[i]))
      return POA_UNSUPPORTED;
  *local = add_value(b, value);
  return POA_OK;
}

static poa_status add_iota(builder *b, poa_value v, int *local) {
  const poa_node *node = poa_node_of(b->graph, v);
  int axis[POA_MAX_RANK], along = (int)poa_node_int(node, "axis", 0);
  if (!place_axes(b, &node->type, axis))
    return misfit(b, v, "does not fit the kernel's domain");
  b->pinned[axis[along]] = true;
  *local = add_value(b, (poa_cluster_value){.op = POA_OP_iota,
                                            .dtype = node->type.dtype,
                                            .access = -1,
                                            .after = after_reduction(b, &node->type),
                                            .axis = axis[along]});
  return POA_OK;
}

/* The row numbers, i32[k], lie along the first axis of the gather. */
static poa_status add_row_numbers(builder *b, poa_value rows, int axis, bool after, int *local) {
  const poa_node *node = poa_node_of(b->graph, rows);
  const poa_node *constant = splat(b, node);
  *local = b->local[rows];
  if (constant)
    *local = add_constant(b, constant);
  if (*local >= 0)
    return POA_OK;
  if (poa_check_stored(b->graph, rows, b->error))
    return POA_UNSUPPORTED;
  poa_access access = {.dtype = POA_I32};
  access.stride[axis] = node->storage.stride[0];
  poa_use use = poa_use_of(node, &node->type, 0);
  use.read = true;
  *local = add_value(b, (poa_cluster_value){.op = POA_OP_input,
                                            .dtype = POA_I32,
                                            .after = after,
                                            .access = add_access(b, access, use)});
  return POA_OK;
}

static poa_status add_gather(builder *b, poa_value v, int *local) {
  const poa_node *node = poa_node_of(b->graph, v);
  const poa_node *x = poa_node_of(b->graph, node->operands[0]);
  poa_access access;
  int axis[POA_MAX_RANK], rows;
  if (mine(b, x))
    return misfit(b, v, "gathers from a value of its own kernel");
  if (poa_check_stored(b->graph, node->operands[0], b->error) ||
      access_of(b, v, &node->type, &x->storage, &access))
    return POA_UNSUPPORTED;
  place_axes(b, &node->type, axis);
  access.stride[axis[0]] = 0;
  b->pinned[axis[0]] = true;
  bool after = after_reduction(b, &node->type);
  if (add_row_numbers(b, node->operands[1], axis[0], after, &rows))
    return POA_UNSUPPORTED;
  poa_use use = poa_use_of(x, &x->type, 0);
  use.read = true;
  *local = add_value(b, (poa_cluster_value){.op = POA_OP_gather,
                                            .dtype = node->type.dtype,
                                            .after = after,
                                            .operand_count = 1,
                                            .operand = {rows},
                                            .access = add_access(b, access, use),
                                            .row_stride = x->storage.stride[0],
                                            .row_count = poa_dim(x, 0)});
  return POA_OK;
}

/* Stores value `local` of `type` where `owner` lies, `offset` elements on. */
static poa_status add_store(builder *b, poa_value v, int local, const poa_type *type,
                            const poa_node *owner, int64_t offset, bool accumulate) {
  poa_access access;
  if (access_of(b, v, type, &owner->storage, &access))
    return POA_UNSUPPORTED;
  poa_use use = poa_use_of(owner, type, offset);
  use.written = true;
  use.read = accumulate;
  b->cluster->stores[b->cluster->store_count++] =
      (poa_cluster_store){.value = local,
                          .access = add_access(b, access, use),
                          .full = is_full(b, type),
                          .accumulate = accumulate};
  return POA_OK;
}

static poa_status add_effect(builder *b, poa_value v) {
  const poa_node *node = poa_node_of(b->graph, v), *value = shaped(b, node);
  bool accumulate = node->op == POA_OP_accumulate;
  poa_value owner = accumulate ? v : node->operands[0];
  int local;
  if (find_local(b, node->operands[1], &local) || poa_check_stored(b->graph, owner, b->error))
    return POA_UNSUPPORTED;
  return add_store(b, v, local, &value->type, poa_node_of(b->graph, owner),
                   accumulate ? poa_block_offset(node) : 0, accumulate);
}

static poa_status add_node(builder *b, poa_value v) {
  const poa_node *node = poa_node_of(b->graph, v);
  int local = -1;
  poa_status status = POA_OK;
  if (node->op == POA_OP_accumulate || node->op == POA_OP_assign)
    return add_effect(b, v);
  if (node->op == POA_OP_broadcast)
    status = find_local(b, node->operands[0], &local);
  else if (node->op == POA_OP_iota)
    status = add_iota(b, v, &local);
  else if (node->op == POA_OP_gather)
    status = add_gather(b, v, &local);
  else if (node->op == POA_OP_constant)
    local = add_constant(b, node);
  else if (poa_op_is(node->op, POA_FLAG_ELEMENTWISE | POA_FLAG_REDUCTION))
    status = add_operation(b, node, &local);
  else
    return misfit(b, v, "is no op of a rows or columns kernel");
  if (status)
    return status;
  remember(b, v, local);
  return stored(node) ? add_store(b, v, local, &node->type, node, 0, false) : POA_OK;
}

/* A pass over a row must not see what an earlier pass has put in place of its operands. */
static void find_last_stores(builder *b) {
  const poa_kernel *k = b->kernel;
  for (int s = 0; s < b->cluster->store_count; s++) {
    poa_cluster_store *store = &b->cluster->stores[s];
    for (int u = 0; u < k->use_count; u++)
      if (u != store->access && k->uses[u].read && k->uses[u].root == k->uses[store->access].root)
        store->last = true;
  }
}

static bool has_row_values(const builder *b) {
  for (uint32_t v = b->first; v < b->end; v++) {
    const poa_node *node = poa_node_of(b->graph, v);
    if (mine(b, node) && (reduces(node) || !is_full(b, &shaped(b, node)->type)))
      return true;
  }
  return false;
}

/* Room for every node, a constant or load for each operand, and their accesses. */
static void reserve(builder *b) {
  size_t count = 0;
  for (uint32_t v = b->first; v < b->end; v++)
    if (mine(b, poa_node_of(b->graph, v)))
      count += 2 + (size_t)poa_node_of(b->graph, v)->operand_count;
  poa_cluster *c = b->cluster = poa_arena_alloc(b->arena, sizeof *c);
  c->values = poa_arena_alloc(b->arena, count * sizeof *c->values);
  c->accesses = poa_arena_alloc(b->arena, count * sizeof *c->accesses);
  c->stores = poa_arena_alloc(b->arena, count * sizeof *c->stores);
  b->kernel->uses = poa_arena_alloc(b->arena, count * sizeof *b->kernel->uses);
  b->touched = poa_arena_alloc(b->arena, count * sizeof *b->touched);
  b->kernel->cluster = c;
}

static poa_status classify_cluster(builder *b) {
  reserve(b);
  find_domain(b);
  poa_status status = POA_OK;
  for (uint32_t v = b->first; v < b->end && !status; v++)
    if (mine(b, poa_node_of(b->graph, v)))
      status = add_node(b, v);
  for (int i = 0; i < b->touched_count; i++)
    b->local[b->touched[i]] = -1;
  if (status)
    return status;
  b->kernel->kind = b->cluster->columns ? POA_KERNEL_COLUMNS : POA_KERNEL_ROWS;
  b->cluster->whole_rows = !b->cluster->columns && b->domain.rank > 0 && has_row_values(b);
  find_last_stores(b);
  poa_cluster_normalize(b->cluster, b->pinned, b->reduced);
  return POA_OK;
}

/* The other kinds. */

static poa_status classify_call(builder *b, poa_value v) {
  const poa_node *node = poa_node_of(b->graph, v);
  poa_kernel *k = b->kernel;
  k->kind = POA_KERNEL_EXTERNAL;
  k->call = node;
  k->uses = poa_arena_alloc(b->arena, (size_t)(node->operand_count + 1) * sizeof *k->uses);
  for (int i = 0; i <= node->operand_count; i++) {
    bool result = i == node->operand_count;
    poa_value value = result ? v : node->operands[i];
    if (poa_check_stored(b->graph, value, b->error))
      return POA_UNSUPPORTED;
    const poa_node *at = poa_node_of(b->graph, value);
    k->uses[i] = poa_use_of(at, &at->type, 0);
    k->uses[i].written = result;
    k->uses[i].read = !result;
  }
  k->use_count = node->operand_count + 1;
  return POA_OK;
}

/* The node of the kernel with this op, or POA_NO_VALUE. */
static poa_value find_op(const builder *b, poa_op op) {
  for (uint32_t v = b->first; v < b->end; v++)
    if (mine(b, poa_node_of(b->graph, v)) && poa_node_of(b->graph, v)->op == op)
      return v;
  return POA_NO_VALUE;
}

poa_status poa_classify(const poa_graph *graph, uint32_t first, uint32_t end, int number,
                        int *local, poa_arena *arena, poa_kernel *kernel, poa_error *error) {
  *kernel = (poa_kernel){.kind = POA_KERNEL_ROWS};
  builder b = {.graph = graph,
               .arena = arena,
               .error = error,
               .number = number,
               .first = first,
               .end = end,
               .local = local,
               .kernel = kernel};
  poa_value dot = find_op(&b, POA_OP_dot), scatter = find_op(&b, POA_OP_scatter_add);
  poa_value call = find_op(&b, POA_OP_call);
  if (dot != POA_NO_VALUE)
    return poa_classify_product(graph, dot, find_op(&b, POA_OP_accumulate), arena, kernel, error);
  if (scatter != POA_NO_VALUE)
    return poa_classify_scatter(graph, scatter, arena, kernel, error);
  if (call != POA_NO_VALUE)
    return classify_call(&b, call);
  return classify_cluster(&b);
}

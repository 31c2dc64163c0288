/* verify_storage.c: where values lie. After layout, whatever is read outside its kernel has
 * a root and strides, a view reads its operand's elements, and nothing reaches out of its
 * root's buffer. After schedule, every buffer lies within the arena:
 *
 *   %4 = slice %3 {start=[0,8], limit=[4,16]} : f32[4,8] in %3+8 [16,1]   (%3 in self+0 [16,1]) */
#include <inttypes.h>

#include "ir/verify.h"

/* No buffer has so many elements or bytes. */
#define MOST (INT64_C(1) << 52)

static bool stored(const poa_node *node) {
  return node->storage.root != POA_NO_VALUE;
}

static bool laid_out(const poa_graph *graph) {
  for (poa_value v = 0; v < graph->node_count; v++)
    if (stored(&graph->nodes[v]))
      return true;
  return false;
}

/* Constants are written into code; so are views of them. */
static bool is_splat(const poa_graph *graph, poa_value v) {
  while (poa_op_is(graph->nodes[v].op, POA_FLAG_VIEW))
    v = graph->nodes[v].operands[0];
  return graph->nodes[v].op == POA_OP_constant;
}

static poa_status check_operands_stored(const poa_graph *graph, poa_value v, poa_error *error) {
  const poa_node *node = &graph->nodes[v];
  for (int i = 0; i < node->operand_count; i++) {
    poa_value x = node->operands[i];
    bool inside = node->kernel >= 0 && graph->nodes[x].kernel == node->kernel;
    if (!inside && !stored(&graph->nodes[x]) && !is_splat(graph, x))
      return poa_verify_fail(graph, v, error,
                             "it reads %%%" PRIu32 ", which is made outside its kernel and not "
                             "stored",
                             x);
  }
  return POA_OK;
}

/* First and last element that the value touches in its root's buffer; false if they are
 * beyond all bounds, as text may claim. */
static bool touched(const poa_node *node, int64_t *first, int64_t *last) {
  __int128 lower = node->storage.offset, upper = lower;
  for (int i = 0; i < node->type.rank; i++) {
    __int128 reach = (__int128)(node->type.dim[i].value - 1) * node->storage.stride[i];
    *(reach < 0 ? &lower : &upper) += reach;
  }
  *first = (int64_t)lower;
  *last = (int64_t)upper;
  return lower > -MOST && upper < MOST;
}

static int64_t dtype_bytes(poa_dtype dtype) {
  return dtype == POA_BOOL ? 1 : 4;
}

static poa_status check_place(const poa_graph *graph, poa_value v, int64_t last, poa_error *error) {
  const poa_node *node = &graph->nodes[v];
  if (graph->arena_bytes < 0 || node->op == POA_OP_parameter)
    return POA_OK;
  if (node->storage.place < 0 || node->storage.place > MOST)
    return poa_verify_fail(graph, v, error, "its buffer has no place in a scheduled graph");
  int64_t end = node->storage.place + (last + 1) * dtype_bytes(node->type.dtype);
  if (end > graph->arena_bytes)
    return poa_verify_fail(graph, v, error,
                           "its buffer ends at byte %" PRId64 ", behind the arena's %" PRId64, end,
                           graph->arena_bytes);
  return POA_OK;
}

static poa_status check_root(const poa_graph *graph, poa_value v, poa_error *error) {
  const poa_node *node = &graph->nodes[v];
  poa_value r = node->storage.root;
  if (r >= graph->node_count || graph->nodes[r].storage.root != r)
    return poa_verify_fail(graph, v, error, "its root does not own a buffer");
  const poa_node *root = &graph->nodes[r];
  if (poa_type_elements(node->type) == 0)
    return POA_OK;
  if (root->type.dtype != node->type.dtype)
    return poa_verify_fail(graph, v, error, "it is %s but its root holds %s",
                           poa_dtype_name(node->type.dtype), poa_dtype_name(root->type.dtype));
  int64_t first, last, root_first, root_last;
  if (!touched(node, &first, &last) || !touched(root, &root_first, &root_last))
    return poa_verify_fail(graph, v, error, "its strides reach beyond any buffer");
  if (first < 0 || last > root_last)
    return poa_verify_fail(graph, v, error,
                           "it touches elements %" PRId64 "..%" PRId64
                           " of a buffer that ends at %" PRId64,
                           first, last, root_last);
  return r == v ? check_place(graph, v, last, error) : POA_OK;
}

/* Axes of extent 1 may have any stride: they are left out of shapes and comparisons. */
static int significant_axes(const poa_node *node, const int64_t *stride, int64_t *extents,
                            int64_t *strides) {
  int count = 0;
  for (int i = 0; i < node->type.rank; i++)
    if (node->type.dim[i].value != 1) {
      extents[count] = node->type.dim[i].value;
      strides[count++] = stride[i];
    }
  return count;
}

/* Both shapes are cut into runs of the same number of elements, from the last axis on. In
 * each run, neighbouring axes of either must be contiguous and the innermost strides equal. */
static bool reshape_agrees(const poa_node *x, const poa_node *y) {
  int64_t xe[POA_MAX_RANK], xs[POA_MAX_RANK], ye[POA_MAX_RANK], ys[POA_MAX_RANK];
  int i = significant_axes(x, x->storage.stride, xe, xs) - 1;
  int j = significant_axes(y, y->storage.stride, ye, ys) - 1;
  while (i >= 0 && j >= 0) {
    int64_t x_run = xe[i], y_run = ye[j], inner = xs[i];
    if (ys[j] != inner)
      return false;
    while (x_run != y_run) {
      bool grow_x = x_run < y_run;
      int64_t *run = grow_x ? &x_run : &y_run;
      int *axis = grow_x ? &i : &j;
      if (--*axis < 0 || (grow_x ? xs : ys)[*axis] != inner * *run)
        return false;
      *run *= (grow_x ? xe : ye)[*axis];
    }
    i--;
    j--;
  }
  return i < 0 && j < 0 && x->storage.offset == y->storage.offset;
}

/* Where the view's elements must lie, as its operand's storage says. */
static poa_storage expected_view(const poa_node *x, const poa_node *y) {
  poa_storage s = {.root = x->storage.root, .offset = x->storage.offset, .place = -1};
  const poa_attribute *axes = poa_node_attribute(y, y->op == POA_OP_transpose ? "perm" : "axes");
  const poa_attribute *start = poa_node_attribute(y, "start");
  int64_t axis = poa_node_int(y, "axis", 0);
  if (y->op == POA_OP_window) {
    for (int i = 0; i < y->type.rank; i++)
      s.stride[i] = x->storage.stride[i <= axis ? i : i - 1];
    s.stride[axis] *= poa_node_int(y, "stride", 1);
    return s;
  }
  for (int i = 0; i < x->type.rank; i++) {
    if (y->op == POA_OP_transpose)
      s.stride[i] = x->storage.stride[axes->integers[i]];
    else if (y->op == POA_OP_broadcast)
      s.stride[axes->integers[i]] = x->storage.stride[i];
    else
      s.stride[i] = x->storage.stride[i];
    if (y->op == POA_OP_slice)
      s.offset += start->extents[i].value * x->storage.stride[i];
  }
  return s;
}

static bool view_agrees(const poa_node *x, const poa_node *y) {
  if (x->storage.root != y->storage.root)
    return false;
  if (y->op == POA_OP_reshape)
    return reshape_agrees(x, y);
  poa_storage expected = expected_view(x, y);
  for (int i = 0; i < y->type.rank; i++)
    if (y->type.dim[i].value != 1 && y->storage.stride[i] != expected.stride[i])
      return false;
  return y->storage.offset == expected.offset;
}

static poa_status check_view(const poa_graph *graph, poa_value v, poa_error *error) {
  const poa_node *node = &graph->nodes[v];
  if (!poa_op_is(node->op, POA_FLAG_VIEW) || node->kernel >= 0 || !stored(node) ||
      poa_type_elements(node->type) == 0)
    return POA_OK;
  const poa_node *x = &graph->nodes[node->operands[0]];
  if (stored(x) && view_agrees(x, node))
    return POA_OK;
  char operand[40] = "not stored";
  if (stored(x))
    snprintf(operand, sizeof operand, "in %%%" PRIu32 "+%" PRId64, x->storage.root,
             x->storage.offset);
  return poa_verify_fail(graph, v, error,
                         "this view does not read the elements of %%%" PRIu32 " (%s)",
                         node->operands[0], operand);
}

poa_status poa_verify_storage(const poa_graph *graph, poa_error *error) {
  if (!laid_out(graph))
    return POA_OK;
  for (poa_value v = 0; v < graph->node_count; v++) {
    if (!poa_node_known(&graph->nodes[v]))
      return poa_verify_fail(graph, v, error, "a laid-out graph has only known extents");
    if (check_operands_stored(graph, v, error))
      return POA_BAD_INPUT;
    if (stored(&graph->nodes[v]) && check_root(graph, v, error))
      return POA_BAD_INPUT;
    if (check_view(graph, v, error))
      return POA_BAD_INPUT;
  }
  return POA_OK;
}

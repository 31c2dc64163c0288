/* one_by_one.c: see one_by_one.h. */
#include "support/one_by_one.h"

static void own_dense_buffer(poa_graph *graph, poa_value v) {
  poa_node *node = poa_node_of(graph, v);
  int64_t stride = 1;
  node->storage = (poa_storage){.root = v, .place = graph->arena_bytes};
  for (int a = node->type.rank - 1; a >= 0; a--) {
    node->storage.stride[a] = stride;
    stride *= poa_dim(node, a);
  }
  if (node->op == POA_OP_parameter)
    node->storage.place = -1;
  else
    graph->arena_bytes += (stride * (node->type.dtype == POA_BOOL ? 1 : 4) + 63) / 64 * 64;
}

static bool is_dense(const poa_node *node) {
  int64_t stride = 1;
  for (int a = node->type.rank - 1; a >= 0; a--) {
    if (poa_dim(node, a) > 1 && node->storage.stride[a] != stride)
      return false;
    stride *= poa_dim(node, a);
  }
  return true;
}

static poa_status view(poa_graph *graph, poa_value v, poa_error *error) {
  poa_node *node = poa_node_of(graph, v);
  const poa_node *x = poa_node_of(graph, node->operands[0]);
  if (x->storage.root == POA_NO_VALUE)
    return POA_OK;
  poa_storage s = {.root = x->storage.root, .offset = x->storage.offset, .place = -1};
  const poa_attribute *perm = poa_node_attribute(node, "perm");
  const poa_attribute *axes = poa_node_attribute(node, "axes");
  const poa_attribute *start = poa_node_attribute(node, "start");
  int64_t stride = 1;
  if (node->op == POA_OP_reshape && !is_dense(x))
    return poa_fail(error, POA_UNSUPPORTED, "reshape of a strided view");
  for (int a = node->type.rank - 1; a >= 0; a--) {
    if (node->op == POA_OP_reshape)
      s.stride[a] = stride;
    else if (node->op == POA_OP_transpose)
      s.stride[a] = x->storage.stride[perm->integers[a]];
    else if (node->op == POA_OP_slice)
      s.stride[a] = x->storage.stride[a], s.offset += start->extents[a].value * s.stride[a];
    stride *= poa_dim(node, a);
  }
  for (int a = 0; node->op == POA_OP_broadcast && a < axes->count; a++)
    s.stride[axes->integers[a]] = x->storage.stride[a];
  node->storage = s;
  return POA_OK;
}

poa_status poa_schedule_one_by_one(poa_graph *graph, poa_error *error) {
  int kernels = 0;
  graph->arena_bytes = 0;
  for (uint32_t v = 0; v < graph->node_count; v++) {
    poa_node *node = poa_node_of(graph, v);
    poa_status status = POA_OK;
    if (node->op == POA_OP_concat || poa_op_is(node->op, POA_FLAG_COMPOSITE | POA_FLAG_EARLY))
      return poa_fail(error, POA_UNSUPPORTED, "%s has no kernel", poa_op_table(node->op)->name);
    if (poa_op_is(node->op, POA_FLAG_VIEW)) {
      status = view(graph, v, error);
    } else if (node->op == POA_OP_input || node->op == POA_OP_parameter) {
      own_dense_buffer(graph, v);
    } else if (node->op != POA_OP_constant && node->op != POA_OP_output) {
      node->kernel = kernels++;
      if (node->op == POA_OP_accumulate || node->op == POA_OP_scatter_add)
        node->storage = poa_node_of(graph, node->operands[0])->storage;
      else if (node->op != POA_OP_assign)
        own_dense_buffer(graph, v);
    }
    if (status)
      return status;
  }
  return POA_OK;
}

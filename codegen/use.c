/* use.c: which elements of which buffer a value covers.
 *
 *   %s = slice %x {start=[0,8], limit=[4,16]}, %x: f32[4,32] owns its buffer
 *   storage of %s: root %x, offset 8, strides (32, 1)   ->   elements 8 .. 8 + 103 of %x
 *
 * A strided view is covered by the range from its first to its last element. */
#include "codegen/cluster.h"

poa_use poa_use_of(const poa_node *node, const poa_type *type, int64_t offset) {
  poa_use use = {.root = node->storage.root,
                 .dtype = type->dtype,
                 .offset = node->storage.offset + offset,
                 .span = 1,
                 .rank = type->rank};
  bool empty = false;
  for (int a = 0; a < type->rank; a++) {
    use.extent[a] = type->dim[a].value;
    use.stride[a] = node->storage.stride[a];
    use.span += (use.extent[a] - 1) * use.stride[a];
    empty |= use.extent[a] == 0;
  }
  if (empty)
    use.span = 0;
  return use;
}

poa_status poa_check_stored(const poa_graph *graph, poa_value value, poa_error *error) {
  const poa_node *node = poa_node_of(graph, value);
  if (node->storage.root != POA_NO_VALUE)
    return POA_OK;
  return poa_fail(error, POA_UNSUPPORTED,
                  "%%%u (%s) is read by another kernel but stored nowhere, a bug of poa: run "
                  "layout and schedule after fuse",
                  value, poa_op_table(node->op)->name);
}

int64_t poa_block_offset(const poa_node *accumulate) {
  const poa_attribute *start = poa_node_attribute(accumulate, "start");
  int64_t offset = 0;
  for (int a = 0; a < start->count; a++)
    offset += start->extents[a].value * accumulate->storage.stride[a];
  return offset;
}

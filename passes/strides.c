/* strides.c: a storage carried through the ops that move no data.
 *
 *   %q = dot ..                            : f32[8,50,192]    strides [9600,192,1]
 *   %r = reshape %q                        : f32[8,50,3,64]   strides [9600,192,64,1]
 *   %t = transpose %r {perm=[0,2,1,3]}     : f32[8,3,50,64]   strides [9600,64,192,1]
 *
 * A reshape is a view where each group of axes that it merges is spaced evenly (as in
 * numpy's no-copy reshape). */
#include <string.h>

#include "passes/strides.h"

void poa_dense_strides(const poa_type *type, int64_t *stride) {
  int64_t step = 1;
  for (int a = type->rank - 1; a >= 0; a--) {
    stride[a] = step;
    step *= type->dim[a].value;
  }
}

bool poa_strides_dense(const poa_type *type, const int64_t *stride) {
  int64_t dense[POA_MAX_RANK];
  poa_dense_strides(type, dense);
  for (int a = 0; a < type->rank; a++)
    if (type->dim[a].value != 1 && stride[a] != dense[a])
      return false;
  return true;
}

bool poa_same_place(const poa_type *type, const poa_storage *a, const poa_storage *b) {
  if (a->root != b->root || a->offset != b->offset)
    return false;
  for (int i = 0; i < type->rank; i++)
    if (type->dim[i].value != 1 && a->stride[i] != b->stride[i])
      return false;
  return true;
}

/* The axes of extent other than 1. */
static int proper_axes(const poa_type *type, int *axes) {
  int count = 0;
  for (int a = 0; a < type->rank; a++)
    if (type->dim[a].value != 1)
      axes[count++] = a;
  return count;
}

/* Axes of extent 1 get the stride that a dense packing would give them. */
static void fill_unit_axes(const poa_type *type, int64_t *stride) {
  for (int a = type->rank - 1; a >= 0; a--)
    if (type->dim[a].value == 1)
      stride[a] = a + 1 < type->rank ? stride[a + 1] * type->dim[a + 1].value : 1;
}

bool poa_reshape_strides(const poa_type *from, const int64_t *stride, const poa_type *to,
                         int64_t *result) {
  int old[POA_MAX_RANK], new[POA_MAX_RANK];
  int old_count = proper_axes(from, old), new_count = proper_axes(to, new);
  memset(result, 0, sizeof(int64_t) * POA_MAX_RANK);
  for (int o = 0, n = 0; o < old_count && n < new_count;) {
    /* The smallest groups of old and new axes with equally many elements. */
    int o_end = o + 1, n_end = n + 1;
    int64_t o_size = from->dim[old[o]].value, n_size = to->dim[new[n]].value;
    while (o_size != n_size)
      if (o_size < n_size && o_end < old_count)
        o_size *= from->dim[old[o_end++]].value;
      else if (n_end < new_count)
        n_size *= to->dim[new[n_end++]].value;
      else
        return false;
    for (int i = o; i + 1 < o_end; i++)
      if (stride[old[i]] != stride[old[i + 1]] * from->dim[old[i + 1]].value)
        return false;
    int64_t step = stride[old[o_end - 1]];
    for (int i = n_end - 1; i >= n; i--) {
      result[new[i]] = step;
      step *= to->dim[new[i]].value;
    }
    o = o_end;
    n = n_end;
  }
  fill_unit_axes(to, result);
  return true;
}

bool poa_view_storage(const poa_node *view, const poa_type *operand_type,
                      const poa_storage *operand, poa_storage *result) {
  poa_storage s = {.root = operand->root, .offset = operand->offset, .place = -1};
  const poa_attribute *a;
  switch (view->op) {
  case POA_OP_reshape:
    if (!poa_reshape_strides(operand_type, operand->stride, &view->type, s.stride))
      return false;
    break;
  case POA_OP_transpose:
    a = poa_node_attribute(view, "perm");
    for (int i = 0; i < a->count; i++)
      s.stride[i] = operand->stride[a->integers[i]];
    break;
  case POA_OP_broadcast:
    a = poa_node_attribute(view, "axes");
    for (int i = 0; i < a->count; i++)
      s.stride[a->integers[i]] = operand->stride[i];
    break;
  case POA_OP_window: {
    int64_t axis = poa_node_int(view, "axis", 0);
    for (int i = 0; i < view->type.rank; i++)
      s.stride[i] = operand->stride[i <= axis ? i : i - 1];
    s.stride[axis] *= poa_node_int(view, "stride", 1);
    break;
  }
  default: /* slice */
    memcpy(s.stride, operand->stride, sizeof s.stride);
    a = poa_node_attribute(view, "start");
    for (int i = 0; i < a->count; i++)
      s.offset += a->extents[i].value * s.stride[i];
  }
  *result = s;
  return true;
}

bool poa_operand_storage(const poa_node *view, const poa_type *operand_type,
                         const poa_storage *result, poa_storage *operand) {
  poa_storage s = {.root = result->root, .offset = result->offset, .place = -1};
  if (view->op == POA_OP_transpose) {
    const poa_attribute *perm = poa_node_attribute(view, "perm");
    for (int i = 0; i < perm->count; i++)
      s.stride[perm->integers[i]] = result->stride[i];
  } else if (view->op != POA_OP_reshape ||
             !poa_reshape_strides(&view->type, result->stride, operand_type, s.stride)) {
    return false;
  }
  *operand = s;
  return true;
}

poa_storage poa_block_storage(const poa_storage *whole, const poa_attribute *start) {
  poa_storage block = *whole;
  block.place = -1;
  for (int i = 0; i < start->count; i++)
    block.offset += start->extents[i].value * whole->stride[i];
  return block;
}

bool poa_is_row_of(const poa_type *row, const poa_type *full) {
  if (row->rank != full->rank - 1)
    return false;
  for (int i = 0; i < row->rank; i++)
    if (row->dim[i].value != full->dim[i].value)
      return false;
  return true;
}

int64_t poa_type_bytes(const poa_type *type) {
  return poa_type_elements(*type) * (type->dtype == POA_BOOL ? 1 : 4);
}

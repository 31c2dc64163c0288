/* tensor.c: values into tensors, broadcasting and subscripts.
 *
 * Shapes broadcast as in NumPy: axes are matched from the last one, an extent of 1
 * stretches. The graph is strict, so what stretches becomes reshape and broadcast. */
#include <math.h>
#include <string.h>

#include "frontend/elaborate.h"

bool poa_is_tensor_like(const poa_worth *value) {
  return value->kind == VALUE_TENSOR || value->kind == VALUE_PARAMETER;
}

poa_type *poa_type_of(poa_elaborator *e, poa_value tensor) {
  return &poa_node_of(e->graph, tensor)->type;
}

const char *poa_show_type(poa_elaborator *e, const poa_type *type) {
  char text[512];
  poa_type_print(&e->lattice, type, text, sizeof text);
  return poa_arena_text(e->arena, text);
}

/* Points at where a tensor was made, for errors about its shape. */
static void note_origin(poa_elaborator *e, const char *side, poa_value tensor) {
  const poa_node *node = poa_node_of(e->graph, tensor);
  if (node->location.file)
    poa_diagnose_note(e->diagnostics, node->location, "the %s, %s, comes from here", side,
                      poa_show_type(e, &node->type));
}

static bool extents_are_small(poa_elaborator *e, const poa_syntax *at, poa_value value) {
  const poa_type *type = poa_type_of(e, value);
  for (int i = 0; i < type->rank; i++)
    if (!poa_extent_is_small(type->dim[i])) {
      poa_complain(e, at, "axis %d of this result is too long an expression of elastic names", i);
      return false;
    }
  return true;
}

poa_value poa_append(poa_elaborator *e, const poa_syntax *at, poa_op op, const poa_value *operands,
                     int count, const poa_attribute *attributes, int attribute_count,
                     const poa_type *type) {
  for (int i = 0; i < count; i++)
    if (operands[i] == POA_NO_VALUE)
      return POA_NO_VALUE;
  if (!e->graph) {
    poa_complain(e, at, "a constant is a number, a string, a truth value or a list, no tensor");
    return POA_NO_VALUE;
  }
  if (e->graph->node_count >= POA_MAX_NODES) {
    poa_complain(e, at, "this entry needs more than %d operations", POA_MAX_NODES);
    e->exhausted = true;
    return POA_NO_VALUE;
  }
  poa_error error = {0};
  poa_location location = at->location;
  location.branch = e->branch;
  poa_value value = poa_graph_add(e->graph, op, operands, count, attributes, attribute_count, type,
                                  location, &error);
  if (value == POA_NO_VALUE)
    poa_complain(e, at, "%s", error.message);
  return value == POA_NO_VALUE || extents_are_small(e, at, value) ? value : POA_NO_VALUE;
}

poa_value poa_append_constant(poa_elaborator *e, const poa_syntax *at, double value,
                              const poa_type *type) {
  poa_attribute attribute = poa_attribute_float("value", value);
  return poa_append(e, at, POA_OP_constant, NULL, 0, &attribute, 1, type);
}

static const poa_type scalar_f32 = {.dtype = POA_F32};
static const poa_type scalar_bool = {.dtype = POA_BOOL};

static poa_value number_to_tensor(poa_elaborator *e, const poa_syntax *at,
                                  const poa_number *number) {
  if (poa_number_is_known(number))
    return poa_append_constant(e, at, poa_number_value(number), &scalar_f32);
  poa_attribute attributes[] = {poa_attribute_extents("numerator", &number->numerator, 1),
                                poa_attribute_extents("denominator", &number->denominator, 1)};
  return poa_append(e, at, POA_OP_ratio, NULL, 0, attributes, 2, &scalar_f32);
}

poa_value poa_to_tensor(poa_elaborator *e, const poa_syntax *at, poa_worth value) {
  switch (value.kind) {
  case VALUE_TENSOR:
    return value.tensor;
  case VALUE_PARAMETER:
    return poa_parameter_node(e, value.index, at->location);
  case VALUE_NUMBER:
    return number_to_tensor(e, at, &value.number);
  case VALUE_BOOL:
    return poa_append_constant(e, at, value.boolean, &scalar_bool);
  case VALUE_ERROR:
    return POA_NO_VALUE;
  default:
    poa_complain(e, at, "expected a tensor or a number, found %s", poa_worth_kind_name(value.kind));
    return POA_NO_VALUE;
  }
}

poa_value poa_reshape_to(poa_elaborator *e, const poa_syntax *at, poa_value x,
                         const poa_type *type) {
  if (x == POA_NO_VALUE || poa_type_equal(&e->lattice, poa_type_of(e, x), type))
    return x;
  return poa_append(e, at, POA_OP_reshape, &x, 1, NULL, 0, type);
}

static bool is_one(poa_extent extent) {
  return !extent.expr && extent.value == 1;
}

poa_value poa_stretch(poa_elaborator *e, const poa_syntax *at, poa_value x, const poa_type *type) {
  if (x == POA_NO_VALUE)
    return x;
  poa_type from = *poa_type_of(e, x), wanted = *type;
  wanted.dtype = from.dtype;
  if (poa_type_equal(&e->lattice, &from, &wanted))
    return x;
  poa_type kept = {.dtype = from.dtype};
  int64_t axes[POA_MAX_RANK];
  bool fits = from.rank <= wanted.rank;
  for (int i = 0; fits && i < from.rank; i++) {
    int axis = wanted.rank - from.rank + i;
    bool equal = poa_extent_equal(&e->lattice, from.dim[i], wanted.dim[axis]);
    if (equal) {
      axes[kept.rank] = axis;
      kept.dim[kept.rank++] = from.dim[i];
    }
    fits = equal || is_one(from.dim[i]);
  }
  if (!fits) {
    poa_complain(e, at, "%s does not stretch to %s", poa_show_type(e, &from),
                 poa_show_type(e, &wanted));
    note_origin(e, "value", x);
    return POA_NO_VALUE;
  }
  poa_value narrow = poa_reshape_to(e, at, x, &kept);
  poa_attribute attribute = poa_attribute_ints("axes", axes, kept.rank);
  return poa_append(e, at, POA_OP_broadcast, &narrow, 1, &attribute, 1, &wanted);
}

/* The shape both stretch to. */
static bool common_shape(poa_elaborator *e, const poa_syntax *at, poa_value left, poa_value right,
                         poa_type *common) {
  poa_type a = *poa_type_of(e, left), b = *poa_type_of(e, right);
  *common = a.rank >= b.rank ? a : b;
  int shared = a.rank < b.rank ? a.rank : b.rank;
  for (int i = 1; i <= shared; i++) {
    poa_extent x = a.dim[a.rank - i], y = b.dim[b.rank - i];
    if (is_one(x) || poa_extent_equal(&e->lattice, x, y)) {
      common->dim[common->rank - i] = y;
    } else if (is_one(y)) {
      common->dim[common->rank - i] = x;
    } else {
      poa_complain(e, at, "the shapes %s and %s do not fit: axis %d from the end differs",
                   poa_show_type(e, &a), poa_show_type(e, &b), i);
      note_origin(e, "left side", left);
      note_origin(e, "right side", right);
      return false;
    }
  }
  return true;
}

/* A known number takes the type of the tensor it meets. */
static poa_value as_operand(poa_elaborator *e, const poa_syntax *at, poa_worth value,
                            const poa_worth *other) {
  bool splat =
      value.kind == VALUE_NUMBER && poa_number_is_known(&value.number) && poa_is_tensor_like(other);
  if (!splat)
    return poa_to_tensor(e, at, value);
  poa_value partner = poa_to_tensor(e, at, *other);
  if (partner == POA_NO_VALUE)
    return partner;
  poa_type type = *poa_type_of(e, partner);
  double number = poa_number_value(&value.number);
  bool fits = type.dtype == POA_F32 || number == 0 || number == 1 ||
              (type.dtype == POA_I32 && fabs(number) < 2147483648.0 && number == floor(number));
  if (fits)
    return poa_append_constant(e, at, number, &type);
  poa_complain(e, at, "the number %.9g meets %s; convert that with f32() first", number,
               poa_show_type(e, &type));
  return POA_NO_VALUE;
}

poa_value poa_element_wise(poa_elaborator *e, const poa_syntax *at, poa_op op, poa_worth left,
                           poa_worth right) {
  poa_value operands[2] = {as_operand(e, at, left, &right), as_operand(e, at, right, &left)};
  poa_type common;
  if (operands[0] == POA_NO_VALUE || operands[1] == POA_NO_VALUE ||
      !common_shape(e, at, operands[0], operands[1], &common))
    return POA_NO_VALUE;
  for (int i = 0; i < 2; i++)
    operands[i] = poa_stretch(e, at, operands[i], &common);
  return poa_append(e, at, op, operands, 2, NULL, 0, NULL);
}

/* [.., m, k] @ [k, n]: the leading axes of the left side become rows. */
static poa_value flat_matmul(poa_elaborator *e, const poa_syntax *at, poa_value left,
                             poa_value right) {
  poa_type type = *poa_type_of(e, left), flat = {.dtype = POA_F32, .rank = 2};
  flat.dim[0] = poa_known(1);
  for (int i = 0; i < type.rank - 1; i++)
    flat.dim[0] = poa_extent_combine(e->arena, POA_EXPR_MUL, flat.dim[0], type.dim[i]);
  flat.dim[1] = type.dim[type.rank - 1];
  poa_value operands[2] = {poa_reshape_to(e, at, left, &flat), right};
  poa_value product = poa_append(e, at, POA_OP_dot, operands, 2, NULL, 0, NULL);
  type.dim[type.rank - 1] = poa_type_of(e, right)->dim[1];
  return product == POA_NO_VALUE ? product : poa_reshape_to(e, at, product, &type);
}

static poa_value batched_matmul(poa_elaborator *e, const poa_syntax *at, poa_value left,
                                poa_value right) {
  poa_value operands[2] = {left, right};
  int rank[2] = {poa_type_of(e, left)->rank, poa_type_of(e, right)->rank};
  int longer = rank[0] >= rank[1] ? 0 : 1;
  for (int i = 0; i < 2; i++) {
    poa_type wanted = *poa_type_of(e, operands[longer]), own = *poa_type_of(e, operands[i]);
    memcpy(&wanted.dim[wanted.rank - 2], &own.dim[own.rank - 2], 2 * sizeof wanted.dim[0]);
    operands[i] = poa_stretch(e, at, operands[i], &wanted);
  }
  return poa_append(e, at, POA_OP_dot, operands, 2, NULL, 0, NULL);
}

poa_worth poa_matmul(poa_elaborator *e, const poa_syntax *at, poa_worth left, poa_worth right) {
  poa_value a = poa_to_tensor(e, at, left), b = poa_to_tensor(e, at, right);
  if (a == POA_NO_VALUE || b == POA_NO_VALUE)
    return poa_worth_error();
  poa_type x = *poa_type_of(e, a), y = *poa_type_of(e, b);
  bool fits = x.rank >= 2 && y.rank >= 2 &&
              poa_extent_equal(&e->lattice, x.dim[x.rank - 1], y.dim[y.rank - 2]);
  if (!fits) {
    poa_complain(e, at,
                 "the matrix product of %s and %s does not fit: expected [.., m, k] @ "
                 "[.., k, n]",
                 poa_show_type(e, &x), poa_show_type(e, &y));
    note_origin(e, "left side", a);
    note_origin(e, "right side", b);
    return poa_worth_error();
  }
  poa_value product = y.rank == 2 ? flat_matmul(e, at, a, b) : batched_matmul(e, at, a, b);
  return product == POA_NO_VALUE ? poa_worth_error() : poa_worth_tensor(product);
}

bool poa_to_extent(poa_elaborator *e, const poa_syntax *at, poa_worth value, poa_extent *extent) {
  if (value.kind == VALUE_NUMBER && poa_number_extent(e->arena, &e->lattice, &value.number, extent))
    return true;
  if (value.kind == VALUE_NUMBER && poa_number_is_known(&value.number))
    poa_complain(e, at, "expected an integer, found %.9g", poa_number_value(&value.number));
  else if (value.kind == VALUE_NUMBER)
    poa_complain(e, at, "this is no integer at every point of the lattice");
  else if (value.kind != VALUE_ERROR)
    poa_complain(e, at, "expected an extent, found %s", poa_worth_kind_name(value.kind));
  return false;
}

bool poa_to_type(poa_elaborator *e, const poa_syntax *at, poa_worth list, poa_dtype dtype,
                 poa_type *type) {
  if (list.kind != VALUE_LIST || list.count > POA_MAX_RANK) {
    if (list.kind != VALUE_ERROR)
      poa_complain(e, at, "expected a shape: a list of at most %d extents", POA_MAX_RANK);
    return false;
  }
  *type = (poa_type){.dtype = dtype, .rank = list.count};
  for (int i = 0; i < list.count; i++)
    if (!poa_to_extent(e, at, list.items[i], &type->dim[i]))
      return false;
  return true;
}

bool poa_to_axis(poa_elaborator *e, const poa_syntax *at, poa_worth value, int rank, int *axis) {
  bool integer = value.kind == VALUE_NUMBER && poa_number_is_integer(&value.number);
  int64_t given = integer ? value.number.numerator.value : 0;
  if (integer && given >= -rank && given < rank) {
    *axis = (int)(given < 0 ? given + rank : given);
    return true;
  }
  if (value.kind != VALUE_ERROR && rank == 0)
    poa_complain(e, at, "a single number has no axes");
  else if (value.kind != VALUE_ERROR)
    poa_complain(e, at, "expected an axis from %d to %d", -rank, rank - 1);
  return false;
}

/* A negative known number counts from the end. */
static bool bound(poa_elaborator *e, const poa_syntax *syntax, poa_extent size,
                  poa_extent otherwise, poa_extent *result) {
  *result = otherwise;
  if (!syntax)
    return true;
  if (!poa_to_extent(e, syntax, poa_elaborate(e, syntax), result))
    return false;
  if (!result->expr && result->value < 0)
    *result = poa_extent_combine(e->arena, POA_EXPR_ADD, size, *result);
  return true;
}

typedef struct selection {
  poa_extent start[POA_MAX_RANK], limit[POA_MAX_RANK];
  bool dropped[POA_MAX_RANK];
} selection;

static bool select_axis(poa_elaborator *e, const poa_syntax *subscript, poa_extent size, int axis,
                        selection *s) {
  if (subscript->kind == SYNTAX_RANGE)
    return bound(e, subscript->children[0], size, poa_known(0), &s->start[axis]) &&
           bound(e, subscript->children[1], size, size, &s->limit[axis]);
  s->dropped[axis] = true;
  if (!bound(e, subscript, size, poa_known(0), &s->start[axis]))
    return false;
  s->limit[axis] = poa_extent_combine(e->arena, POA_EXPR_ADD, s->start[axis], poa_known(1));
  return true;
}

static bool select_axes(poa_elaborator *e, const poa_syntax *index, const poa_type *type,
                        selection *s) {
  int given = index->count - 1, rest = -1;
  for (int i = 0; i < given; i++)
    if (index->children[i + 1]->kind == SYNTAX_REST)
      rest = i;
  int used = given - (rest >= 0);
  if (used > type->rank) {
    poa_complain(e, index, "%d subscripts for %s, which has %d axes", used, poa_show_type(e, type),
                 type->rank);
    return false;
  }
  for (int axis = 0; axis < type->rank; axis++) {
    s->start[axis] = poa_known(0);
    s->limit[axis] = type->dim[axis];
    int at = axis;
    if (rest >= 0 && axis >= rest)
      at = axis >= type->rank - (used - rest) ? axis - (type->rank - used) + 1 : -1;
    if (at >= 0 && at < given && !select_axis(e, index->children[at + 1], type->dim[axis], axis, s))
      return false;
  }
  return true;
}

static poa_worth subscript_tensor(poa_elaborator *e, const poa_syntax *index, poa_value tensor) {
  poa_type type = *poa_type_of(e, tensor), dropped = {.dtype = type.dtype};
  selection s = {0};
  if (!select_axes(e, index, &type, &s))
    return poa_worth_error();
  bool whole = true;
  for (int i = 0; i < type.rank; i++)
    whole = whole && poa_extent_equal(&e->lattice, s.start[i], poa_known(0)) &&
            poa_extent_equal(&e->lattice, s.limit[i], type.dim[i]);
  poa_attribute attributes[] = {poa_attribute_extents("start", s.start, type.rank),
                                poa_attribute_extents("limit", s.limit, type.rank)};
  poa_value part =
      whole ? tensor : poa_append(e, index, POA_OP_slice, &tensor, 1, attributes, 2, NULL);
  if (part == POA_NO_VALUE)
    return poa_worth_error();
  for (int i = 0; i < type.rank; i++)
    if (!s.dropped[i])
      dropped.dim[dropped.rank++] = poa_type_of(e, part)->dim[i];
  poa_value result = poa_reshape_to(e, index, part, &dropped);
  return result == POA_NO_VALUE ? poa_worth_error() : poa_worth_tensor(result);
}

static poa_worth subscript_list(poa_elaborator *e, const poa_syntax *index, poa_worth list) {
  poa_worth at = index->count == 2 && index->children[1]->kind != SYNTAX_RANGE
                     ? poa_elaborate(e, index->children[1])
                     : poa_worth_none();
  if (at.kind == VALUE_ERROR)
    return at;
  if (at.kind != VALUE_NUMBER || !poa_number_is_integer(&at.number))
    return poa_complain(e, index, "a list takes one integer as its index");
  int64_t position = at.number.numerator.value;
  if (position < 0)
    position += list.count;
  if (position < 0 || position >= list.count)
    return poa_complain(e, index, "index %lld of a list of %d",
                        (long long)at.number.numerator.value, list.count);
  return list.items[position];
}

static poa_worth subscript_set(poa_elaborator *e, const poa_syntax *index, int set) {
  poa_worth at = index->count == 2 ? poa_elaborate(e, index->children[1]) : poa_worth_none();
  if (at.kind == VALUE_PARAMETER)
    return poa_corresponding(e, index, set, at.index);
  if (at.kind == VALUE_ERROR)
    return at;
  return poa_complain(e, index,
                      "a parameter set takes a parameter of another set as its index, "
                      "as in: for p in student { adam_m[p] }");
}

poa_worth poa_subscript(poa_elaborator *e, const poa_syntax *index, poa_worth value) {
  if (value.kind == VALUE_LIST)
    return subscript_list(e, index, value);
  if (value.kind == VALUE_SET)
    return subscript_set(e, index, value.index);
  if (!poa_is_tensor_like(&value))
    return poa_complain(e, index, "%s takes no subscript", poa_worth_kind_name(value.kind));
  poa_value tensor = poa_to_tensor(e, index, value);
  return tensor == POA_NO_VALUE ? poa_worth_error() : subscript_tensor(e, index, tensor);
}

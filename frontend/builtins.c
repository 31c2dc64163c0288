/* builtins.c: the functions of the language, a row each, and those on numbers and
 * lists. Those on tensors are in builtins_tensor.c. */
#include "frontend/builtins.h"

#include <math.h>
#include <string.h>

const poa_builtin poa_builtins[] = {
    {"abs", "x", poa_builtin_abs},
    {"append", "list, value", poa_builtin_append},
    {"argmax", "x, axis", poa_builtin_argmax},
    {"broadcast_to", "x, shape", poa_builtin_broadcast_to},
    {"concat", "parts, axis", poa_builtin_concat},
    {"conv2d", "x, weight, stride?, padding?, groups?", poa_builtin_conv2d},
    {"cos", "x", poa_builtin_cos},
    {"detach", "x", poa_builtin_detach},
    {"elements", "x", poa_builtin_elements},
    {"erf", "x", poa_builtin_erf},
    {"exp", "x", poa_builtin_exp},
    {"f32", "x", poa_builtin_f32},
    {"floor", "x", poa_builtin_floor},
    {"full", "shape, value", poa_builtin_full},
    {"gather", "x, rows", poa_builtin_gather},
    {"gradient", "of, parameter", poa_builtin_gradient},
    {"i32", "x", poa_builtin_i32},
    {"int", "x", poa_builtin_int},
    {"iota", "shape, axis", poa_builtin_iota},
    {"is_finite", "x", poa_builtin_is_finite},
    {"keep", "count, of?", poa_builtin_keep},
    {"length", "list", poa_builtin_length},
    {"log", "x", poa_builtin_log},
    {"log_softmax", "x", poa_builtin_log_softmax},
    {"max", "a, b?", poa_builtin_max},
    {"mean", "x, axis?, keepdims?", poa_builtin_mean},
    {"min", "a, b", poa_builtin_min},
    {"ones", "shape", poa_builtin_ones},
    {"range", "low, high?", poa_builtin_range},
    {"rearrange", "x, rows, back, axis?", poa_builtin_rearrange},
    {"reduce_max", "x, axis?, keepdims?", poa_builtin_reduce_max},
    {"reshape", "x, shape", poa_builtin_reshape},
    {"rsqrt", "x", poa_builtin_rsqrt},
    {"scatter_add", "base, rows, x", poa_builtin_scatter_add},
    {"shape", "x", poa_builtin_shape},
    {"sin", "x", poa_builtin_sin},
    {"size", "x, axis", poa_builtin_size},
    {"softmax", "x", poa_builtin_softmax},
    {"sqrt", "x", poa_builtin_sqrt},
    {"state", "name, shape, initial", poa_builtin_state},
    {"subset", "of, count", poa_builtin_subset},
    {"sum", "x, axis?, keepdims?", poa_builtin_sum},
    {"tanh", "x", poa_builtin_tanh},
    {"transpose", "x, axes?", poa_builtin_transpose},
    {"where", "condition, a, b", poa_builtin_where},
    {"windows", "x, axis, size, stride?", poa_builtin_windows},
    {"zeros", "shape", poa_builtin_zeros},
};
const int poa_builtin_count = sizeof poa_builtins / sizeof *poa_builtins;

const poa_builtin *poa_find_builtin(const char *name) {
  for (int i = 0; i < poa_builtin_count; i++)
    if (strcmp(poa_builtins[i].name, name) == 0)
      return &poa_builtins[i];
  return NULL;
}

bool poa_was_given(const poa_worth *argument) {
  return argument->kind != VALUE_NONE;
}

bool poa_to_integer(poa_elaborator *e, const poa_syntax *at, poa_worth value, int64_t *result) {
  if (value.kind == VALUE_NUMBER && poa_number_is_integer(&value.number)) {
    *result = value.number.numerator.value;
    return true;
  }
  if (value.kind != VALUE_ERROR)
    poa_complain(e, at, "expected an integer known at compile time, found %s",
                 poa_worth_kind_name(value.kind));
  return false;
}

/* The integer part, towards zero. */
poa_worth poa_builtin_int(poa_elaborator *e, const poa_syntax *call, const poa_worth *a) {
  if (a[0].kind != VALUE_NUMBER || !poa_number_is_known(&a[0].number))
    return poa_complain(e, call, "int() takes a number known at compile time");
  double value = trunc(poa_number_value(&a[0].number));
  if (!(fabs(value) < 9007199254740992.0))
    return poa_complain(e, call, "int(): the number is too large");
  return poa_worth_integer((int64_t)value);
}

static poa_worth top_of_lattice(poa_elaborator *e, const poa_syntax *call, poa_worth value) {
  if (value.kind != VALUE_NUMBER || value.number.is_real)
    return poa_complain(e, call, "max(extent) takes an extent; max(a, b) compares two values");
  poa_point top = poa_lattice_top(&e->lattice);
  poa_worth result = poa_worth_extent(poa_known(poa_extent_at(value.number.numerator, &top)));
  result.number.denominator = poa_known(poa_extent_at(value.number.denominator, &top));
  return result;
}

static poa_worth extreme(poa_elaborator *e, const poa_syntax *call, const poa_worth *a, bool max) {
  bool numbers = a[0].kind == VALUE_NUMBER && a[1].kind == VALUE_NUMBER &&
                 poa_number_is_known(&a[0].number) && poa_number_is_known(&a[1].number);
  if (numbers) {
    bool first = poa_number_value(&a[0].number) >= poa_number_value(&a[1].number);
    return first == max ? a[0] : a[1];
  }
  poa_value value = poa_element_wise(e, call, max ? POA_OP_max : POA_OP_min, a[0], a[1]);
  return value == POA_NO_VALUE ? poa_worth_error() : poa_worth_tensor(value);
}

poa_worth poa_builtin_max(poa_elaborator *e, const poa_syntax *call, const poa_worth *a) {
  return poa_was_given(&a[1]) ? extreme(e, call, a, true) : top_of_lattice(e, call, a[0]);
}

poa_worth poa_builtin_min(poa_elaborator *e, const poa_syntax *call, const poa_worth *a) {
  return extreme(e, call, a, false);
}

/* range(n): 0, 1 .. n-1; range(a, b): a .. b-1 */
poa_worth poa_builtin_range(poa_elaborator *e, const poa_syntax *call, const poa_worth *a) {
  int64_t low = 0, high;
  if (!poa_to_integer(e, call, a[0], &high))
    return poa_worth_error();
  if (poa_was_given(&a[1])) {
    low = high;
    if (!poa_to_integer(e, call, a[1], &high))
      return poa_worth_error();
  }
  int64_t count = high > low ? high - low : 0;
  if (count > POA_MAX_LOOP)
    return poa_complain(e, call, "a range of more than %d", POA_MAX_LOOP);
  if (!poa_charge(e, call, count))
    return poa_worth_error();
  poa_worth list = {.kind = VALUE_LIST, .count = (int)count};
  list.items = poa_arena_alloc(e->arena, (size_t)(count + 1) * sizeof *list.items);
  for (int64_t i = 0; i < count; i++)
    list.items[i] = poa_worth_integer(low + i);
  return list;
}

/* keep(depth): the blocks that depth of the largest depth keeps. */
poa_worth poa_builtin_keep(poa_elaborator *e, const poa_syntax *call, const poa_worth *a) {
  poa_worth keep = {.kind = VALUE_KEEP, .index = -1};
  if (a[0].kind != VALUE_NUMBER || a[0].number.is_real)
    return poa_complain(e, call, "keep() takes a number of blocks, mostly an elastic name");
  const poa_expr *expr = a[0].number.numerator.expr;
  if (expr && expr->kind == POA_EXPR_NAME && !poa_was_given(&a[1])) {
    keep.index = (int)expr->integer;
    keep.total = e->lattice.name[keep.index].max;
    return keep;
  }
  if (!poa_to_integer(e, call, a[0], &keep.kept))
    return poa_worth_error();
  keep.total = keep.kept;
  if (poa_was_given(&a[1]) && !poa_to_integer(e, call, a[1], &keep.total))
    return poa_worth_error();
  if (keep.kept < 1 || keep.kept > keep.total || keep.total > POA_MAX_LOOP)
    return poa_complain(e, call, "keep(%lld) of %lld blocks", (long long)keep.kept,
                        (long long)keep.total);
  return keep;
}

poa_worth poa_builtin_length(poa_elaborator *e, const poa_syntax *call, const poa_worth *a) {
  if (a[0].kind != VALUE_LIST)
    return poa_complain(e, call, "length() takes a list, not %s", poa_worth_kind_name(a[0].kind));
  return poa_worth_integer(a[0].count);
}

poa_worth poa_builtin_append(poa_elaborator *e, const poa_syntax *call, const poa_worth *a) {
  if (a[0].kind != VALUE_LIST)
    return poa_complain(e, call, "append() takes a list, not %s", poa_worth_kind_name(a[0].kind));
  if (!poa_charge(e, call, a[0].count))
    return poa_worth_error();
  poa_worth list = {.kind = VALUE_LIST, .count = a[0].count + 1};
  list.items = poa_arena_alloc(e->arena, (size_t)list.count * sizeof *list.items);
  memcpy(list.items, a[0].items, (size_t)a[0].count * sizeof *list.items);
  list.items[a[0].count] = a[1];
  return list;
}

/* state("name", shape, initial): a tensor that survives steps and is saved. */
poa_worth poa_builtin_state(poa_elaborator *e, const poa_syntax *call, const poa_worth *a) {
  poa_type type;
  if (a[0].kind != VALUE_STRING)
    return poa_complain(e, call, "state() takes a name in quotes, a shape and a first value");
  if (!poa_to_type(e, call, a[1], POA_F32, &type))
    return poa_worth_error();
  if (a[2].kind != VALUE_NUMBER || !poa_number_is_known(&a[2].number))
    return poa_complain(e, call, "the first value of a state is a number");
  return poa_state(e, call, a[0].text, &type, poa_number_value(&a[2].number));
}

/* subset(n, k): k different rows of 0..n-1, drawn anew each step, as i32. */
poa_worth poa_builtin_subset(poa_elaborator *e, const poa_syntax *call, const poa_worth *a) {
  int64_t of, count;
  if (!poa_to_integer(e, call, a[0], &of) || !poa_to_integer(e, call, a[1], &count))
    return poa_worth_error();
  if (count < 1 || count > of)
    return poa_complain(e, call, "subset(): %lld of %lld rows", (long long)count, (long long)of);
  poa_input input = {.type = {POA_I32, 1, {poa_known(count)}},
                     .source = "subset",
                     .argument_count = 1,
                     .location = call->location};
  input.name = poa_arena_format(e->arena, "subset_%d", e->graph ? e->graph->input_count : 0);
  input.arguments = poa_arena_alloc(e->arena, sizeof *input.arguments);
  input.arguments[0] = (poa_source_argument){"of", (double)of, NULL};
  poa_value value = poa_add_input(e, call, input);
  return value == POA_NO_VALUE ? poa_worth_error() : poa_worth_tensor(value);
}

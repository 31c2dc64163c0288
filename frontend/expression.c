/* expression.c: what an expression is worth.
 *
 * Numbers are computed here and now; as soon as a tensor takes part, or a number
 * that is no quotient of extents, nodes are appended to the graph. */
#include <math.h>
#include <string.h>

#include "frontend/elaborate.h"

#define MAX_CALLERS 4 /* shown under an error */

/* How elaboration came to where an error is. */
static void note_callers(poa_elaborator *e) {
  int shown = 0;
  const poa_syntax *last = NULL;
  for (const poa_frame *frame = e->frame; frame && frame->call; frame = frame->caller) {
    if (frame->call != last && shown++ < MAX_CALLERS)
      poa_diagnose_note(e->diagnostics, frame->call->location, "'%s' is called here",
                        frame->definition->name);
    last = frame->call;
  }
}

poa_worth poa_complain(poa_elaborator *e, const poa_syntax *at, const char *format, ...) {
  char message[1200];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(message, sizeof message, format, arguments);
  va_end(arguments);
  poa_diagnose(e->diagnostics, at->location, at->length, "%s", message);
  note_callers(e);
  return poa_worth_error();
}

bool poa_charge(poa_elaborator *e, const poa_syntax *at, int64_t amount) {
  e->work += amount;
  if (e->work > POA_MAX_WORK && !e->exhausted) {
    e->exhausted = true;
    poa_complain(e, at,
                 "this description does more than %d steps of work before the network is "
                 "known; are its loops too long?",
                 POA_MAX_WORK);
  }
  return !e->exhausted;
}

bool poa_enter(poa_elaborator *e, const poa_syntax *at) {
  if (!poa_charge(e, at, 1))
    return false;
  if (e->depth >= POA_MAX_DEPTH) {
    poa_complain(e, at, "expressions, blocks and calls are nested more than %d deep",
                 POA_MAX_DEPTH);
    return false;
  }
  e->depth++;
  return true;
}

void poa_leave(poa_elaborator *e) {
  e->depth--;
}

const char **poa_new_names(poa_elaborator *e, int count) {
  return (const char **)poa_arena_alloc(e->arena, (size_t)(count + 1) * sizeof(const char *));
}

const char *poa_suggestion(poa_elaborator *e, const char *name, const char *const *names,
                           int count) {
  const char *nearest = poa_nearest(name, names, count);
  return nearest ? poa_arena_format(e->arena, "; did you mean '%s'?", nearest) : "";
}

/* Every name that could stand where a value is expected, for suggestions. */
static const char **visible_names(poa_elaborator *e, int *count) {
  const poa_program *program = e->program;
  int variables = e->frame ? e->frame->count : 0;
  int total =
      variables + e->const_count + e->lattice.count + program->set_count + program->module_count;
  const char **names = poa_new_names(e, total);
  int n = 0;
  for (int i = 0; i < variables; i++)
    names[n++] = e->frame->variables[i].name;
  for (int i = 0; i < e->const_count; i++)
    names[n++] = e->consts[i].syntax->name;
  for (int i = 0; i < e->lattice.count; i++)
    names[n++] = e->lattice.name[i].name;
  for (int i = 0; i < program->set_count; i++)
    names[n++] = program->sets[i].name;
  for (int i = 0; i < program->module_count; i++)
    names[n++] = program->modules[i]->name;
  *count = n;
  return names;
}

static poa_worth elastic_value(poa_elaborator *e, int index) {
  if (e->set >= 0 && e->at_max)
    return poa_worth_integer(e->lattice.name[index].max);
  return poa_worth_extent(poa_extent_name(e->arena, index));
}

static poa_worth evaluate_name(poa_elaborator *e, const poa_syntax *syntax) {
  const char *name = syntax->text;
  const poa_worth *variable = poa_find_variable(e, name);
  if (variable)
    return *variable;
  if (strcmp(name, "none") == 0)
    return poa_worth_none();
  if (strcmp(name, "true") == 0 || strcmp(name, "false") == 0)
    return poa_worth_bool(*name == 't');
  bool found;
  poa_worth constant = poa_const_value(e, name, syntax, &found);
  if (found)
    return constant;
  int index = poa_find_elastic(e, name);
  if (index >= 0 && !e->frame)
    return poa_complain(e, syntax,
                        "'%s' is elastic: a constant cannot depend on it; write the "
                        "expression where it is used",
                        name);
  if (index >= 0)
    return elastic_value(e, index);
  index = poa_find_set(e, name);
  if (index >= 0)
    return (poa_worth){.kind = VALUE_SET, .index = index};
  for (int i = 0; i < e->program->module_count; i++)
    if (strcmp(e->program->modules[i]->name, name) == 0)
      return (poa_worth){.kind = VALUE_MODULE, .module = e->program->modules[i]};
  int count;
  const char **names = visible_names(e, &count);
  return poa_complain(e, syntax, "unknown name '%s'%s", name,
                      poa_suggestion(e, name, names, count));
}

static const char *show_worth(poa_elaborator *e, const poa_worth *value) {
  switch (value->kind) {
  case VALUE_STRING:
    return value->text;
  case VALUE_BOOL:
    return value->boolean ? "true" : "false";
  case VALUE_NUMBER:
    if (!poa_number_is_known(&value->number))
      return NULL;
    if (poa_number_is_integer(&value->number))
      return poa_arena_format(e->arena, "%lld", (long long)value->number.numerator.value);
    return poa_arena_format(e->arena, "%.9g", poa_number_value(&value->number));
  default:
    return NULL;
  }
}

/* What `{name}` or `{name.member}` in a string stands for. */
static const char *fill_hole(poa_elaborator *e, const poa_syntax *syntax, char *hole) {
  char *member = strchr(hole, '.');
  if (member)
    *member++ = '\0';
  poa_syntax name = *syntax;
  name.kind = SYNTAX_NAME;
  name.text = poa_arena_text(e->arena, hole);
  poa_worth value = evaluate_name(e, &name);
  if (value.kind == VALUE_ERROR)
    return NULL;
  if (member && value.kind == VALUE_PARAMETER)
    value = poa_parameter_member(e, syntax, value.index, member);
  const char *text = value.kind == VALUE_ERROR ? NULL : show_worth(e, &value);
  if (!text)
    poa_complain(e, syntax, "'{%s}' in this string is %s; a string or a known number fits", hole,
                 poa_worth_kind_name(value.kind));
  return text;
}

static poa_worth evaluate_string(poa_elaborator *e, const poa_syntax *syntax) {
  const char *result = "", *at = syntax->text;
  for (const char *open; (open = strchr(at, '{')); at = strchr(open, '}') + 1) {
    const char *close = strchr(open, '}');
    if (!close)
      return poa_complain(e, syntax, "this string has a '{' without '}'");
    char *hole = poa_arena_format(e->arena, "%.*s", (int)(close - open - 1), open + 1);
    const char *filled = fill_hole(e, syntax, hole);
    if (!filled)
      return poa_worth_error();
    result = poa_arena_format(e->arena, "%s%.*s%s", result, (int)(open - at), at, filled);
    if (strlen(result) > POA_MAX_SCOPE)
      return poa_complain(e, syntax, "filled in, this string has more than %d characters",
                          POA_MAX_SCOPE);
  }
  return poa_worth_text(poa_arena_format(e->arena, "%s%s", result, at));
}

static poa_worth evaluate_list(poa_elaborator *e, const poa_syntax *syntax) {
  poa_worth list = {.kind = VALUE_LIST, .count = syntax->count};
  list.items = poa_arena_alloc(e->arena, (size_t)(syntax->count + 1) * sizeof *list.items);
  for (int i = 0; i < syntax->count; i++) {
    list.items[i] = poa_elaborate(e, syntax->children[i]);
    if (list.items[i].kind == VALUE_ERROR)
      return poa_worth_error();
  }
  return list;
}

static poa_worth evaluate_unary(poa_elaborator *e, const poa_syntax *syntax) {
  poa_worth value = poa_elaborate(e, syntax->children[0]);
  bool negates = strcmp(syntax->text, "-") == 0;
  if (value.kind == VALUE_ERROR)
    return value;
  if (negates && value.kind == VALUE_NUMBER)
    return poa_evaluate_binary(e, syntax, "*", poa_worth_integer(-1), value);
  if (!negates && !poa_is_tensor_like(&value))
    return poa_worth_bool(!poa_worth_is_true(e, syntax, value));
  poa_value tensor = poa_to_tensor(e, syntax, value);
  if (tensor == POA_NO_VALUE)
    return poa_worth_error();
  poa_op op = negates ? POA_OP_neg : POA_OP_not;
  return poa_worth_tensor(poa_append(e, syntax, op, &tensor, 1, NULL, 0, NULL));
}

static bool equal_numbers(const poa_elaborator *e, const poa_number *a, const poa_number *b) {
  if (poa_number_is_known(a) && poa_number_is_known(b))
    return poa_number_value(a) == poa_number_value(b);
  return !a->is_real && !b->is_real && poa_extent_equal(&e->lattice, a->numerator, b->numerator) &&
         poa_extent_equal(&e->lattice, a->denominator, b->denominator);
}

static bool equal_lists(poa_elaborator *e, const poa_syntax *at, const poa_worth *a,
                        const poa_worth *b) {
  if (a->count != b->count || !poa_enter(e, at))
    return false;
  bool equal = true;
  for (int i = 0; equal && i < a->count; i++)
    equal = poa_charge(e, at, 1) && poa_worth_equal(e, at, &a->items[i], &b->items[i]);
  poa_leave(e);
  return equal;
}

bool poa_worth_equal(poa_elaborator *e, const poa_syntax *at, const poa_worth *a,
                     const poa_worth *b) {
  if (a->kind != b->kind)
    return false;
  switch (a->kind) {
  case VALUE_NONE:
    return true;
  case VALUE_BOOL:
    return a->boolean == b->boolean;
  case VALUE_STRING:
    return strcmp(a->text, b->text) == 0;
  case VALUE_NUMBER:
    return equal_numbers(e, &a->number, &b->number);
  case VALUE_LIST:
    return equal_lists(e, at, a, b);
  case VALUE_TENSOR:
    return a->tensor == b->tensor;
  default:
    return a->index == b->index && a->module == b->module;
  }
}

bool poa_worth_is_true(poa_elaborator *e, const poa_syntax *at, poa_worth value) {
  if (value.kind == VALUE_BOOL)
    return value.boolean;
  if (value.kind == VALUE_NUMBER && poa_number_is_known(&value.number))
    return poa_number_value(&value.number) != 0;
  if (value.kind == VALUE_NONE)
    return false;
  if (poa_is_tensor_like(&value))
    poa_complain(e, at,
                 "this condition is a tensor; there is no control flow at run time: "
                 "use where(condition, a, b)");
  else if (value.kind == VALUE_NUMBER)
    poa_complain(e, at,
                 "this condition depends on an elastic name, which has no value before "
                 "the network is specialized");
  else if (value.kind != VALUE_ERROR)
    poa_complain(e, at, "expected a condition, found %s", poa_worth_kind_name(value.kind));
  return false;
}

static poa_worth compare_numbers(const char *op, double a, double b) {
  bool result = *op == '<' ? a < b : *op == '>' ? a > b : *op == '=' ? a == b : a != b;
  if (strchr("<>", *op) && op[1] == '=')
    result |= a == b;
  return poa_worth_bool(result);
}

typedef struct operator_row {
  const char *text;
  poa_op op;
  bool swapped;
} operator_row;

static const operator_row tensor_operators[] = {
    {"+", POA_OP_add, false}, {"-", POA_OP_sub, false}, {"*", POA_OP_mul, false},
    {"/", POA_OP_div, false}, {"^", POA_OP_pow, false}, {"<", POA_OP_lt, false},
    {"<=", POA_OP_le, false}, {">", POA_OP_lt, true},   {">=", POA_OP_le, true},
    {"==", POA_OP_eq, false}, {"!=", POA_OP_ne, false}, {"and", POA_OP_and, false},
    {"or", POA_OP_or, false},
};

/* x ^ 2, x ^ 0.5 and x ^ -0.5 have cheaper forms than pow. */
static bool special_power(poa_elaborator *e, const poa_syntax *at, poa_worth base,
                          const poa_worth *exponent, poa_worth *result) {
  if (!poa_is_tensor_like(&base) || exponent->kind != VALUE_NUMBER ||
      !poa_number_is_known(&exponent->number))
    return false;
  double power = poa_number_value(&exponent->number);
  poa_value x = poa_to_tensor(e, at, base), both[2] = {x, x};
  if (x == POA_NO_VALUE)
    return false;
  if (power == 1)
    *result = poa_worth_tensor(x);
  else if (power == 2)
    *result = poa_worth_tensor(poa_append(e, at, POA_OP_mul, both, 2, NULL, 0, NULL));
  else if (power == 0.5)
    *result = poa_worth_tensor(poa_append(e, at, POA_OP_sqrt, &x, 1, NULL, 0, NULL));
  else if (power == -0.5)
    *result = poa_worth_tensor(poa_append(e, at, POA_OP_rsqrt, &x, 1, NULL, 0, NULL));
  else
    return false;
  return true;
}

static poa_worth tensor_binary(poa_elaborator *e, const poa_syntax *at, const char *op,
                               poa_worth left, poa_worth right) {
  poa_worth special;
  if (*op == '@')
    return poa_matmul(e, at, left, right);
  if (*op == '^' && special_power(e, at, left, &right, &special))
    return special;
  for (size_t i = 0; i < sizeof tensor_operators / sizeof *tensor_operators; i++) {
    const operator_row *row = &tensor_operators[i];
    if (strcmp(row->text, op) != 0)
      continue;
    poa_value result = row->swapped ? poa_element_wise(e, at, row->op, right, left)
                                    : poa_element_wise(e, at, row->op, left, right);
    return result == POA_NO_VALUE ? poa_worth_error() : poa_worth_tensor(result);
  }
  return poa_complain(e, at, "'%s' works on numbers known at compile time, not on tensors", op);
}

static poa_worth number_binary(poa_elaborator *e, const poa_syntax *at, const char *op,
                               poa_worth left, poa_worth right) {
  bool known = poa_number_is_known(&left.number) && poa_number_is_known(&right.number);
  if (strchr("<>=!", *op)) {
    if (known)
      return compare_numbers(op, poa_number_value(&left.number), poa_number_value(&right.number));
    return poa_complain(e, at,
                        "a number that depends on an elastic name has no value before the "
                        "network is specialized, so it cannot be compared");
  }
  poa_worth result = {.kind = VALUE_NUMBER};
  const char *problem;
  if (poa_number_arithmetic(e->arena, op, &left.number, &right.number, &result.number, &problem))
    return result;
  if (problem)
    return poa_complain(e, at, "%s", problem);
  return tensor_binary(e, at, op, left, right);
}

poa_worth poa_evaluate_binary(poa_elaborator *e, const poa_syntax *at, const char *op,
                              poa_worth left, poa_worth right) {
  if (left.kind == VALUE_ERROR || right.kind == VALUE_ERROR)
    return poa_worth_error();
  bool tensors = poa_is_tensor_like(&left) || poa_is_tensor_like(&right);
  bool equality = strcmp(op, "==") == 0 || strcmp(op, "!=") == 0;
  bool plain = left.kind == VALUE_NUMBER || poa_is_tensor_like(&left);
  plain = plain && (right.kind == VALUE_NUMBER || poa_is_tensor_like(&right));
  if (equality && !plain)
    return poa_worth_bool(poa_worth_equal(e, at, &left, &right) == (*op == '='));
  if (left.kind == VALUE_NUMBER && right.kind == VALUE_NUMBER && *op != '@')
    return number_binary(e, at, op, left, right);
  if (tensors)
    return tensor_binary(e, at, op, left, right);
  return poa_complain(e, at, "'%s' does not work on %s and %s", op, poa_worth_kind_name(left.kind),
                      poa_worth_kind_name(right.kind));
}

/* and, or: the right side is only evaluated where the left doesn't decide. */
static poa_worth evaluate_logic(poa_elaborator *e, const poa_syntax *syntax) {
  poa_worth left = poa_elaborate(e, syntax->children[0]);
  bool is_and = strcmp(syntax->text, "and") == 0;
  if (left.kind == VALUE_ERROR)
    return left;
  if (!poa_is_tensor_like(&left)) {
    bool truth = poa_worth_is_true(e, syntax->children[0], left);
    if (truth != is_and)
      return poa_worth_bool(truth);
    poa_worth right = poa_elaborate(e, syntax->children[1]);
    if (poa_is_tensor_like(&right) || right.kind == VALUE_ERROR)
      return right;
    return poa_worth_bool(poa_worth_is_true(e, syntax->children[1], right));
  }
  poa_worth right = poa_elaborate(e, syntax->children[1]);
  return right.kind == VALUE_ERROR ? right : tensor_binary(e, syntax, syntax->text, left, right);
}

static poa_worth evaluate_binary(poa_elaborator *e, const poa_syntax *syntax) {
  if (strcmp(syntax->text, "and") == 0 || strcmp(syntax->text, "or") == 0)
    return evaluate_logic(e, syntax);
  poa_worth left = poa_elaborate(e, syntax->children[0]);
  poa_worth right = poa_elaborate(e, syntax->children[1]);
  return poa_evaluate_binary(e, syntax, syntax->text, left, right);
}

static poa_worth evaluate_member(poa_elaborator *e, const poa_syntax *syntax) {
  poa_worth value = poa_elaborate(e, syntax->children[0]);
  if (value.kind == VALUE_ERROR)
    return value;
  if (value.kind != VALUE_PARAMETER)
    return poa_complain(e, syntax, "only parameters have attributes; this is %s",
                        poa_worth_kind_name(value.kind));
  return poa_parameter_member(e, syntax, value.index, syntax->text);
}

static poa_worth evaluate(poa_elaborator *e, const poa_syntax *syntax) {
  switch (syntax->kind) {
  case SYNTAX_INTEGER:
    return poa_worth_integer(syntax->integer);
  case SYNTAX_REAL:
    return poa_worth_real(syntax->real);
  case SYNTAX_STRING:
    return evaluate_string(e, syntax);
  case SYNTAX_NAME:
    return evaluate_name(e, syntax);
  case SYNTAX_LIST:
    return evaluate_list(e, syntax);
  case SYNTAX_UNARY:
    return evaluate_unary(e, syntax);
  case SYNTAX_BINARY:
    return evaluate_binary(e, syntax);
  case SYNTAX_INDEX: {
    poa_worth value = poa_elaborate(e, syntax->children[0]);
    return value.kind == VALUE_ERROR ? value : poa_subscript(e, syntax, value);
  }
  case SYNTAX_MEMBER:
    return evaluate_member(e, syntax);
  case SYNTAX_CALL:
  case SYNTAX_LABEL:
  case SYNTAX_BRANCH:
    return poa_evaluate_call(e, syntax);
  case SYNTAX_RANGE:
  case SYNTAX_REST:
    break;
  }
  return poa_complain(e, syntax, "a range or '..' stands only between the brackets of a subscript");
}

poa_worth poa_elaborate(poa_elaborator *e, const poa_syntax *syntax) {
  if (!poa_enter(e, syntax))
    return poa_worth_error();
  poa_worth worth = evaluate(e, syntax);
  poa_leave(e);
  return worth;
}

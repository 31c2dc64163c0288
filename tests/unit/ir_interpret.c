/* ir_interpret.c: what every op means, on values small enough to check by hand. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "ir/ir.h"

#define MOST 12

/* One op on operands a, b, c, which are inputs of the types given. */
typedef struct op_case {
  poa_op op;
  const char *operand_type[3];
  double operand[3][MOST];
  const char *attributes, *type;
  double expected[MOST];
} op_case;

#define V "f32[3]"
#define M "f32[2,3]"
#define ABC {1, 2, 3, 4, 5, 6}
#define E1 2.718281828459045

static const op_case cases[] = {
    {POA_OP_constant, {0}, {{0}}, "{value=0.1}", "f32[2]", {0.1, 0.1}},
    {POA_OP_constant, {0}, {{0}}, "{value=2.9}", "i32[1]", {2}},
    {POA_OP_ratio, {0}, {{0}}, "{numerator=128, denominator=width}", "f32[]", {2}},
    {POA_OP_iota, {0}, {{0}}, "{axis=1}", "i32[2,3]", {0, 1, 2, 0, 1, 2}},
    {POA_OP_neg, {V}, {{1, -2, 0.5}}, "", V, {-1, 2, -0.5}},
    {POA_OP_abs, {V}, {{1, -2, -0.5}}, "", V, {1, 2, 0.5}},
    {POA_OP_exp, {V}, {{0, 1, -1}}, "", V, {1, E1, 1 / E1}},
    {POA_OP_log, {V}, {{1, E1, 0}}, "", V, {0, 1, -INFINITY}},
    {POA_OP_sqrt, {V}, {{4, 9, 2.25}}, "", V, {2, 3, 1.5}},
    {POA_OP_rsqrt, {V}, {{4, 1, 0.25}}, "", V, {0.5, 1, 2}},
    {POA_OP_erf, {V}, {{0, 1, -1}}, "", V, {0, 0.8427007929497149, -0.8427007929497149}},
    {POA_OP_tanh, {V}, {{0, 1, -1}}, "", V, {0, 0.7615941559557649, -0.7615941559557649}},
    {POA_OP_sin, {V}, {{0, M_PI_2, -M_PI_2}}, "", V, {0, 1, -1}},
    {POA_OP_cos, {V}, {{0, M_PI, -M_PI}}, "", V, {1, -1, -1}},
    {POA_OP_floor, {V}, {{1.5, -1.5, 2}}, "", V, {1, -2, 2}},
    {POA_OP_is_finite, {V}, {{1, INFINITY, NAN}}, "", "bool[3]", {1, 0, 0}},
    {POA_OP_not, {"bool[2]"}, {{1, 0}}, "", "bool[2]", {0, 1}},
    {POA_OP_convert, {V}, {{1.9, -1.9, 3e9}}, "", "i32[3]", {1, -1, 2147483647}},
    {POA_OP_convert, {V}, {{0, -0.5, 2}}, "", "bool[3]", {0, 1, 1}},
    {POA_OP_convert, {"bool[2]"}, {{0, 1}}, "", "f32[2]", {0, 1}},
    {POA_OP_add, {V, V}, {{1, 2, 3}, {4, 5, 6}}, "", V, {5, 7, 9}},
    {POA_OP_sub, {V, V}, {{1, 2, 3}, {4, 0, 6}}, "", V, {-3, 2, -3}},
    {POA_OP_mul, {V, V}, {{1, 2, 3}, {4, 5, -6}}, "", V, {4, 10, -18}},
    {POA_OP_div, {V, V}, {{1, 3, 3}, {4, 2, -6}}, "", V, {0.25, 1.5, -0.5}},
    {POA_OP_div, {"i32[2]", "i32[2]"}, {{7, -7}, {2, 2}}, "", "i32[2]", {3, -3}},
    {POA_OP_max, {V, V}, {{1, 5, NAN}, {4, 2, 7}}, "", V, {4, 5, 7}},
    {POA_OP_min, {V, V}, {{1, 5, 7}, {4, 2, NAN}}, "", V, {1, 2, NAN}},
    {POA_OP_pow, {V, V}, {{2, 9, 5}, {3, 0.5, 0}}, "", V, {8, 3, 1}},
    {POA_OP_lt, {V, V}, {{1, 2, 3}, {2, 2, 2}}, "", "bool[3]", {1, 0, 0}},
    {POA_OP_le, {V, V}, {{1, 2, 3}, {2, 2, 2}}, "", "bool[3]", {1, 1, 0}},
    {POA_OP_eq, {V, V}, {{1, 2, NAN}, {2, 2, NAN}}, "", "bool[3]", {0, 1, 0}},
    {POA_OP_ne, {V, V}, {{1, 2, NAN}, {2, 2, NAN}}, "", "bool[3]", {1, 0, 1}},
    {POA_OP_and, {"bool[3]", "bool[3]"}, {{1, 1, 0}, {1, 0, 0}}, "", "bool[3]", {1, 0, 0}},
    {POA_OP_or, {"bool[3]", "bool[3]"}, {{1, 1, 0}, {1, 0, 0}}, "", "bool[3]", {1, 1, 0}},
    {POA_OP_select,
     {"bool[2]", "f32[2]", "f32[2]"},
     {{1, 0}, {1, 2}, {3, 4}},
     "",
     "f32[2]",
     {1, 4}},
    {POA_OP_reduce_sum, {M}, {ABC}, "{axes=[1]}", "f32[2]", {6, 15}},
    {POA_OP_reduce_sum, {M}, {ABC}, "{axes=[0,1]}", "f32[]", {21}},
    {POA_OP_reduce_sum, {"f32[2,0]"}, {{0}}, "{axes=[1]}", "f32[2]", {0, 0}},
    {POA_OP_reduce_max, {M}, {ABC}, "{axes=[0]}", "f32[3]", {4, 5, 6}},
    {POA_OP_argmax, {M}, {{3, 7, 7, 9, 1, 9}}, "{axis=1}", "i32[2]", {1, 0}},
    {POA_OP_argmax, {M}, {{3, 7, 7, 9, 1, 9}}, "{axis=0}", "i32[3]", {1, 0, 1}},
    {POA_OP_dot, {M, "f32[3,1]"}, {ABC, {1, 0, 2}}, "", "f32[2,1]", {7, 16}},
    {POA_OP_dot, {M, M}, {ABC, ABC}, "{tb=1, alpha=0.5}", "f32[2,2]", {7, 16, 16, 38.5}},
    {POA_OP_dot, {M, "f32[2,1]"}, {ABC, {1, 2}}, "{ta=1}", "f32[3,1]", {9, 12, 15}},
    /* Ties go to the even neighbour, subnormals to 0. */
    {POA_OP_dot,
     {"f32[1,4]", "f32[4,1]"},
     {{1.00390625, 1.01171875, 1e-40, 3}, {1, 1, 1e38, 1.004}},
     "{bf16=1}",
     "f32[1,1]",
     {1 + 1.015625 + 0 + 3 * 1.0078125}},
    {POA_OP_dot, {"f32[2,1,1]", "f32[2,1,1]"}, {{2, 3}, {5, 7}}, "", "f32[2,1,1]", {10, 21}},
    {POA_OP_reshape, {M}, {ABC}, "", "f32[3,2]", ABC},
    {POA_OP_transpose, {M}, {ABC}, "{perm=[1,0]}", "f32[3,2]", {1, 4, 2, 5, 3, 6}},
    {POA_OP_transpose, {"f32[1,2,3]"}, {ABC}, "{perm=[2,0,1]}", "f32[3,1,2]", {1, 4, 2, 5, 3, 6}},
    {POA_OP_broadcast, {"f32[2]"}, {{1, 2}}, "{axes=[0]}", M, {1, 1, 1, 2, 2, 2}},
    {POA_OP_broadcast, {"f32[3]"}, {{1, 2, 3}}, "{axes=[1]}", M, {1, 2, 3, 1, 2, 3}},
    {POA_OP_slice, {M}, {ABC}, "{start=[0,1], limit=[2,3]}", "f32[2,2]", {2, 3, 5, 6}},
    {POA_OP_slice,
     {"f32[1,128]"},
     {{1, 2}},
     "{start=[0,0], limit=[1,width-62]}",
     "f32[1,width-62]",
     {1, 2}},
    {POA_OP_concat, {"f32[2,1]", "f32[2,2]"}, {{1, 4}, {2, 3, 5, 6}}, "{axis=1}", M, ABC},
    {POA_OP_gather, {"f32[3,2]", "i32[2]"}, {ABC, {2, 0}}, "", "f32[2,2]", {5, 6, 1, 2}},
    {POA_OP_scatter_add,
     {"f32[3,2]", "i32[2]", "f32[2,2]"},
     {ABC, {2, 2}, {10, 20, 30, 40}},
     "",
     "f32[3,2]",
     {1, 2, 3, 4, 45, 66}},
    {POA_OP_accumulate, {M, "f32[1,2]"}, {ABC, {10, 20}}, "{start=[1,1]}", M, {1, 2, 3, 4, 15, 26}},
    {POA_OP_dot,
     {"f32[2,1,1,3]", "f32[3,1]"},
     {ABC, {1, 0, 2}},
     "{rows=2, inner=2}",
     "f32[2,1]",
     {7, 16}},
    {POA_OP_window,
     {"f32[4]"},
     {{1, 2, 3, 4}},
     "{axis=0, size=2, stride=1}",
     "f32[3,2]",
     {1, 2, 2, 3, 3, 4}},
    {POA_OP_window, {M}, {ABC}, "{axis=1, size=1, stride=2}", "f32[2,2,1]", {1, 3, 4, 6}},
    {POA_OP_rearrange,
     {"f32[2,2]", "i32[3]", "i32[2]"},
     {{1, 2, 3, 4}, {1, -1, 0}, {2, 0}},
     "{axis=0}",
     "f32[3,2]",
     {3, 4, 0, 0, 1, 2}},
    {POA_OP_rearrange,
     {"f32[2,2]", "i32[3]", "i32[2]"},
     {{1, 2, 3, 4}, {1, -1, 0}, {2, 0}},
     "{axis=1}",
     "f32[2,3]",
     {2, 0, 1, 4, 0, 3}},
    {POA_OP_conv2d,
     {"f32[1,3,1,1]", "f32[2,1,1,1]"},
     {{1, 2, 3}, {10, 1}},
     "{stride=[1,1], low=[0,0], high=[1,0], groups=1}",
     "f32[1,3,1,1]",
     {12, 23, 30}},
    {POA_OP_conv2d,
     {"f32[1,1,3,2]", "f32[1,1,1,2]"},
     {ABC, {10, 100}},
     "{stride=[1,2], low=[0,0], high=[0,0], groups=2}",
     "f32[1,1,2,2]",
     {10, 200, 50, 600}},
    {POA_OP_conv2d_input,
     {"f32[1,3,1,1]", "f32[2,1,1,1]"},
     {{1, 0, 2}, {10, 1}},
     "{size=[3,1], stride=[1,1], low=[0,0], high=[1,0], groups=1}",
     "f32[1,3,1,1]",
     {10, 1, 20}},
    {POA_OP_conv2d_weight,
     {"f32[1,3,1,1]", "f32[1,3,1,1]"},
     {{1, 2, 3}, {1, 0, 2}},
     "{size=[2,1], stride=[1,1], low=[0,0], high=[1,0], groups=1}",
     "f32[2,1,1,1]",
     {7, 2}},
    {POA_OP_softmax, {"f32[2,2]"}, {{0, 0, 1000, 1000}}, "", "f32[2,2]", {0.5, 0.5, 0.5, 0.5}},
    {POA_OP_log_softmax, {"f32[2]"}, {{1, 1}}, "", "f32[2]", {-M_LN2, -M_LN2}},
    {POA_OP_call, {"f32[2]"}, {{3, 4}}, "{external=\"double\"}", "f32[2]", {6, 8}},
    {POA_OP_keep,
     {V, V},
     {{1, 2, 3}, {4, 5, 6}},
     "{elastic=\"depth\", index=0, of=4}",
     V,
     {1, 2, 3}},
    {POA_OP_keep,
     {V, V},
     {{1, 2, 3}, {4, 5, 6}},
     "{elastic=\"depth\", index=1, of=4}",
     V,
     {4, 5, 6}},
    {POA_OP_detach, {V}, {{1, 2, 3}}, "", V, {1, 2, 3}},
};

/* Ops whose meaning the tests further down check instead. */
static bool tested_below(poa_op op) {
  return op == POA_OP_input || op == POA_OP_parameter || op == POA_OP_assign ||
         op == POA_OP_output || op == POA_OP_gradient;
}

/* What a run loads and what it stored last. */
typedef struct world {
  const op_case *c;
  double parameter, stored[MOST];
  int64_t elements;
} world;

static poa_status load(void *context, const poa_graph *graph, const poa_node *node,
                       poa_tensor *tensor, poa_error *error) {
  (void)graph;
  (void)error;
  world *w = context;
  int operand = node->op == POA_OP_input ? *poa_node_string(node, "name") - 'a' : 0;
  for (int64_t i = 0; i < poa_type_elements(tensor->type); i++)
    tensor->data[i] = w->c && i < MOST ? w->c->operand[operand][i] : w->parameter;
  return POA_OK;
}

static poa_status store(void *context, const poa_graph *graph, const poa_node *node,
                        const poa_tensor *tensor, poa_error *error) {
  (void)graph;
  (void)node;
  (void)error;
  world *w = context;
  w->elements = poa_type_elements(tensor->type);
  for (int64_t i = 0; i < w->elements && i < MOST; i++)
    w->stored[i] = tensor->data[i];
  return POA_OK;
}

static poa_status twice(void *context, const poa_graph *graph, const poa_node *node,
                        const poa_tensor *const *operands, poa_tensor *result, poa_error *error) {
  (void)context;
  (void)graph;
  (void)node;
  (void)error;
  for (int64_t i = 0; i < poa_type_elements(result->type); i++)
    result->data[i] = 2 * operands[0]->data[i];
  return POA_OK;
}

static poa_status interpret(const char *text, world *w, bool round_to_f32, poa_error *error) {
  poa_arena *arena = poa_arena_create();
  poa_graph *graph;
  poa_bindings bindings = {load, store, twice, w};
  poa_status status = poa_graph_parse(arena, "test.ir", text, &graph, error);
  for (poa_value v = 0; !status && graph->specialized && v < graph->node_count; v++)
    for (int i = 0; i < graph->nodes[v].type.rank; i++)
      graph->nodes[v].type.dim[i] =
          poa_known(poa_extent_at(graph->nodes[v].type.dim[i], &graph->point));
  status = status ? status : poa_graph_interpret(graph, &bindings, round_to_f32, error);
  poa_arena_free(arena);
  return status;
}

static void write_case(const op_case *c, char *text, size_t size) {
  FILE *out = fmemopen(text, size, "w");
  fputs("elastic width: 64..128 step 64\nelastic depth: 2..4\nexternal \"double\" = \"f\"()\n"
        "graph @f at {width=64, depth=2} (",
        out);
  int count = 0;
  for (; count < 3 && c->operand_type[count]; count++)
    fprintf(out, "%s%%%c: %s", count ? ", " : "", 'a' + count, c->operand_type[count]);
  fputs(") {\n", out);
  for (int i = 0; i < count; i++)
    fprintf(out, "%%%c = input {name=\"%c\"} : %s\n", 'a' + i, 'a' + i, c->operand_type[i]);
  fprintf(out, "%%y = %s ", poa_op_table(c->op)->name);
  for (int i = 0; i < count; i++)
    fprintf(out, "%s%%%c", i ? ", " : "", 'a' + i);
  fprintf(out, " %s : %s\n%%out = output %%y {kind=\"result\", name=\"y\"} : %s\n}\n",
          c->attributes, c->type, c->type);
  fclose(out);
}

static void run_case(const op_case *c) {
  char text[2000];
  world w = {.c = c};
  poa_error error = {0};
  write_case(c, text, sizeof text);
  cr_assert_eq(interpret(text, &w, false, &error), POA_OK, "%s", error.message);
  for (int64_t i = 0; i < w.elements; i++) {
    bool same = (isnan(w.stored[i]) && isnan(c->expected[i])) || w.stored[i] == c->expected[i] ||
                fabs(w.stored[i] - c->expected[i]) < 1e-15;
    cr_assert(same, "%s: element %d is %.17g, expected %.17g", poa_op_table(c->op)->name, (int)i,
              w.stored[i], c->expected[i]);
  }
}

/* Protects: each op's meaning; a new op without a case fails. */
Test(ir_interpret, every_op) {
  bool seen[POA_OP_COUNT] = {false};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    run_case(&cases[i]);
    seen[cases[i].op] = true;
  }
  for (int op = 0; op < POA_OP_COUNT; op++)
    cr_assert(seen[op] || tested_below((poa_op)op), "no case for op %s",
              poa_op_table((poa_op)op)->name);
}

/* Protects: parameters are loaded by the caller, and assign hands their new value back. */
Test(ir_interpret, assign_stores_the_parameter) {
  world w = {.parameter = 3};
  poa_error error = {0};
  cr_assert_eq(interpret("param \"s\" \"p\": f32[2] = constant(0)\ngraph @f () {\n"
                         "%p = parameter {set=\"s\", name=\"p\"} : f32[2]\n"
                         "%q = add %p, %p : f32[2]\n%r = assign %p, %q : f32[2]\n}",
                         &w, false, &error),
               POA_OK, "%s", error.message);
  cr_assert(w.elements == 2 && w.stored[0] == 6 && w.stored[1] == 6);
}

/* Protects: with rounding every result is a float, without it a double. */
Test(ir_interpret, rounds_on_request) {
  const char *text = "graph @f () {\n%a = constant {value=1} : f32[]\n"
                     "%b = constant {value=3} : f32[]\n%c = div %a, %b : f32[]\n"
                     "%o = output %c {kind=\"result\", name=\"c\"} : f32[]\n}";
  world w = {0};
  cr_assert_eq(interpret(text, &w, false, NULL), POA_OK);
  cr_assert_eq(w.stored[0], 1.0 / 3);
  cr_assert_eq(interpret(text, &w, true, NULL), POA_OK);
  cr_assert_eq(w.stored[0], (double)(float)(1.0 / 3));
}

/* Protects: what cannot be run is an error that says what to do. */
Test(ir_interpret, refuses_what_it_cannot_run) {
  world w = {.parameter = 9};
  poa_error error = {0};
  interpret("param \"s\" \"p\": f32[] = constant(0)\ngraph @f () {\n"
            "%p = parameter {set=\"s\", name=\"p\"} : f32[]\n%g = gradient %p, %p : f32[]\n}",
            &w, false, &error);
  cr_assert(strstr(error.message, "differentiate it first"), "%s", error.message);
  error = (poa_error){0};
  interpret("elastic n: 1..2\ngraph @f () {\n%a = constant {value=1} : f32[n]\n}", &w, false,
            &error);
  cr_assert(strstr(error.message, "specialize it first"), "%s", error.message);
  error = (poa_error){0};
  interpret("graph @f () {\n%a = constant {value=1} : f32[4]\n%r = constant {value=4} : i32[1]\n"
            "%g = gather %a, %r : f32[1]\n}",
            &w, false, &error);
  cr_assert(strstr(error.message, "row 4"), "%s", error.message);
}

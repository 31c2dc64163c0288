/* codegen_ops.c: compiled code against the interpreter, op by op: every row of ops.def that
 * has code, over shapes around the vector's width, for targets with and without wide
 * vectors, each op in a kernel of its own. */
#include <criterion/criterion.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "passes/passes.h"
#include "support/compiled.h"
#include "support/one_by_one.h"
#include "support/sample.h"

#define TEXT 60000

static const char *const targets[] = {"x86-64", "x86-64-v3", "native"};

/* A graph's text being written: parameters and inputs first, then nodes. */
typedef struct text {
  char inputs[TEXT / 4], body[TEXT];
  int input_count;
} text;

static void __attribute__((format(printf, 2, 3))) line(text *t, const char *format, ...) {
  size_t used = strlen(t->body);
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(t->body + used, sizeof t->body - used, format, arguments);
  va_end(arguments);
  strcat(t->body, "\n");
}

/* An input node %NAME of the type. */
static void input(text *t, const char *name, const char *type) {
  size_t used = strlen(t->inputs);
  snprintf(t->inputs + used, sizeof t->inputs - used, "%s%%%s: %s", t->input_count++ ? ", " : "",
           name, type);
  line(t, "%%%s = input {name=\"%s\"} : %s", name, name, type);
}

static void output(text *t, const char *value, const char *type) {
  line(t, "%%out_%s = output %%%s {kind=\"result\", name=\"%s\"} : %s", value, value, value, type);
}

static poa_graph *parse(poa_arena *arena, const char *parameters, const text *t) {
  static char whole[2 * TEXT];
  snprintf(whole, sizeof whole, "%sgraph @f (%s) {\n%s}\n", parameters, t->inputs, t->body);
  poa_error error = {0};
  poa_graph *graph;
  cr_assert_eq(poa_graph_parse(arena, "test", whole, &graph, &error), POA_OK, "%s\n%s",
               error.message, whole);
  return graph;
}

static void interpret(const poa_graph *graph, poa_sample *sample) {
  poa_error error = {0};
  poa_bindings bindings = poa_sample_bindings(sample);
  cr_assert_eq(poa_graph_interpret(graph, &bindings, true, &error), POA_OK, "%s", error.message);
}

/* Runs the scheduled graph on one target, in one part and in three: the same bits. */
static void check_target(poa_graph *graph, const char *cpu, const poa_sample *expected,
                         double tolerance) {
  poa_error error = {0};
  poa_compiled *compiled;
  poa_status status = poa_compiled_create(&compiled, graph, cpu, &error);
  if (status == POA_UNSUPPORTED && strstr(error.message, "this machine"))
    return;
  cr_assert_eq(status, POA_OK, "%s: %s", cpu, error.message);
  poa_sample whole, parts;
  poa_bindings bindings = poa_sample_bindings(&whole);
  cr_assert_eq(poa_compiled_run(compiled, &bindings, 1, &error), POA_OK, "%s", error.message);
  bindings = poa_sample_bindings(&parts);
  cr_assert_eq(poa_compiled_run(compiled, &bindings, 3, &error), POA_OK, "%s", error.message);
  char what[200] = "";
  cr_assert(poa_sample_agree(expected, &whole, tolerance, what, sizeof what), "%s: %s", cpu, what);
  cr_assert(poa_sample_agree(&whole, &parts, 0, what, sizeof what), "%s, split: %s", cpu, what);
  poa_sample_free(&whole);
  poa_sample_free(&parts);
  poa_compiled_free(compiled);
}

/* The same graph as the passes schedule it. */
static void check_passes(const char *parameters, const text *t, const poa_sample *expected,
                         double tolerance) {
  poa_arena *arena = poa_arena_create();
  poa_graph *graph = parse(arena, parameters, t);
  poa_error error = {0};
  poa_options options = {.keep_probes = true};
  cr_assert_eq(poa_pipeline_run(graph, NULL, NULL, &options, true, NULL, NULL, &error), POA_OK,
               "%s", error.message);
  check_target(graph, "native", expected, tolerance);
  poa_arena_free(arena);
}

static void check_parameters(const char *parameters, const text *t, double tolerance) {
  poa_arena *arena = poa_arena_create();
  poa_graph *graph = parse(arena, parameters, t);
  poa_error error = {0};
  poa_sample expected;
  interpret(graph, &expected);
  cr_assert_eq(poa_schedule_one_by_one(graph, &error), POA_OK, "%s", error.message);
  for (size_t i = 0; i < sizeof targets / sizeof *targets; i++)
    check_target(graph, targets[i], &expected, tolerance);
  check_passes(parameters, t, &expected, tolerance);
  poa_sample_free(&expected);
  poa_arena_free(arena);
}

static void check(const text *t, double tolerance) {
  check_parameters("", t, tolerance);
}

/* Element-wise ops. */

static const char *const shapes[] = {
    "",     "1",     "7",    "16",      "17",   "33",     "1,1", "5,1",   "3,5",
    "2,17", "64,48", "4,65", "2,3,4,5", "9001", "3,8195", "0",   "2,0,3",
};

/* What an op takes: dtypes of its operands and of its result. */
typedef struct signature {
  const char *operands[3], *result;
} signature;

static signature signature_of(poa_op op, int variant) {
  const char *number = variant ? "i32" : "f32";
  switch (op) {
  case POA_OP_not:
    return (signature){{"bool"}, "bool"};
  case POA_OP_and:
  case POA_OP_or:
    return (signature){{"bool", "bool"}, "bool"};
  case POA_OP_select:
    return (signature){{"bool", number, number}, number};
  case POA_OP_is_finite:
    return (signature){{"f32"}, "bool"};
  case POA_OP_lt:
  case POA_OP_le:
  case POA_OP_eq:
  case POA_OP_ne:
    return (signature){{number, number}, "bool"};
  default:
    return (signature){{number, number, number}, number};
  }
}

static bool positive_only(poa_op op) {
  return op == POA_OP_log || op == POA_OP_sqrt || op == POA_OP_rsqrt || op == POA_OP_pow;
}

static bool takes_integers(poa_op op) {
  switch (op) {
  case POA_OP_neg:
  case POA_OP_abs:
  case POA_OP_add:
  case POA_OP_sub:
  case POA_OP_mul:
  case POA_OP_div:
  case POA_OP_max:
  case POA_OP_min:
  case POA_OP_lt:
  case POA_OP_le:
  case POA_OP_eq:
  case POA_OP_ne:
  case POA_OP_select:
    return true;
  default:
    return false;
  }
}

static void add_element(text *t, poa_op op, signature s, const char *shape, int number) {
  const poa_op_info *info = poa_op_table(op);
  char name[40], type[60], operands[200] = "", result[40];
  for (int i = 0; i < info->operands; i++) {
    snprintf(name, sizeof name, "%s%c%d", positive_only(op) && i == 0 ? "positive_" : "", 'a' + i,
             number);
    snprintf(type, sizeof type, "%s[%s]", s.operands[i], shape);
    input(t, name, type);
    snprintf(operands + strlen(operands), sizeof operands - strlen(operands), "%s%%%s",
             i ? ", " : "", name);
  }
  snprintf(result, sizeof result, "r%d", number);
  snprintf(type, sizeof type, "%s[%s]", s.result, shape);
  line(t, "%%%s = %s %s : %s", result, info->name, operands, type);
  output(t, result, type);
}

static void check_element(poa_op op, signature s) {
  text *t = calloc(1, sizeof *t);
  for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
    add_element(t, op, s, shapes[i], (int)i);
  check(t, 2e-6);
  free(t);
}

/* Protects every element-wise row of the table. */
Test(codegen_ops, element_wise) {
  for (int op = 0; op < POA_OP_COUNT; op++) {
    if (!poa_op_is((poa_op)op, POA_FLAG_ELEMENTWISE) || op == POA_OP_convert)
      continue;
    check_element((poa_op)op, signature_of((poa_op)op, 0));
    if (takes_integers((poa_op)op))
      check_element((poa_op)op, signature_of((poa_op)op, 1));
  }
}

/* Protects every pair of dtypes. */
Test(codegen_ops, convert) {
  static const char *const dtypes[] = {"f32", "i32", "bool"};
  for (int from = 0; from < 3; from++)
    for (int to = 0; to < 3; to++)
      check_element(POA_OP_convert, (signature){{dtypes[from]}, dtypes[to]});
}

/* The rest. */

/* Protects iota along inner, outer and middle axes, in floats and integers. */
Test(codegen_ops, iota) {
  static text t;
  line(&t, "%%a = iota {axis=0} : i32[37]\n%%b = iota {axis=0} : f32[5,19]\n"
           "%%c = iota {axis=1} : f32[5,19]\n%%d = iota {axis=1} : i32[3,4,18]\n"
           "%%e = iota {axis=0} : i32[1]\n%%f = iota {axis=0} : i32[9000]");
  output(&t, "a", "i32[37]");
  output(&t, "b", "f32[5,19]");
  output(&t, "c", "f32[5,19]");
  output(&t, "d", "i32[3,4,18]");
  output(&t, "e", "i32[1]");
  output(&t, "f", "i32[9000]");
  check(&t, 0);
}

typedef struct reduction_case {
  const char *type, *axes, *result;
} reduction_case;

static const reduction_case row_cases[] = {
    {"f32[1]", "0", "f32[]"},          {"f32[7]", "0", "f32[]"},
    {"f32[5,1]", "1", "f32[5]"},       {"f32[3,16]", "1", "f32[3]"},
    {"f32[3,17]", "1", "f32[3]"},      {"f32[9,100]", "1", "f32[9]"},
    {"f32[2,3,385]", "2", "f32[2,3]"}, {"f32[2,20011]", "1", "f32[2]"},
    {"f32[40000]", "0", "f32[]"},      {"i32[3,33]", "1", "i32[3]"},
    {"f32[0,5]", "1", "f32[0]"},       {"f32[3,49]", "1", "f32[3]"},
    {"f32[4,64]", "1", "f32[4]"},      {"f32[4,128]", "1", "f32[4]"},
};

static const reduction_case column_cases[] = {
    {"f32[5,1]", "0", "f32[1]"},
    {"f32[7,3]", "0", "f32[3]"},
    {"f32[100,16]", "0", "f32[16]"},
    {"f32[3,17]", "0", "f32[17]"},
    {"f32[9,100]", "0", "f32[100]"},
    {"f32[2,3,129]", "0,1", "f32[129]"},
    {"f32[2,3,129]", "1", "f32[2,129]"},
    {"f32[2,3,129]", "0", "f32[3,129]"},
    {"f32[3000,5]", "0", "f32[5]"},
    {"f32[2,3,4,5,6]", "0,2", "f32[3,5,6]"},
    {"i32[33,3]", "0", "i32[3]"},
    {"f32[1,6]", "0", "f32[6]"},
    {"f32[4,1,5,1,6]", "0,2", "f32[1,1,6]"},
    {"f32[1537,96]", "0", "f32[96]"},
    {"f32[5,0]", "0", "f32[0]"},
};

static void check_reductions(const char *op, const reduction_case *cases, size_t count) {
  static text t;
  t = (text){0};
  for (size_t i = 0; i < count; i++) {
    char x[20], y[20];
    snprintf(x, sizeof x, "x%d", (int)i);
    snprintf(y, sizeof y, "y%d", (int)i);
    input(&t, x, cases[i].type);
    if (strcmp(op, "argmax"))
      line(&t, "%%%s = %s %%%s {axes=[%s]} : %s", y, op, x, cases[i].axes, cases[i].result);
    else
      line(&t, "%%%s = argmax %%%s {axis=%s} : i32%s", y, x, cases[i].axes,
           strchr(cases[i].result, '['));
    output(&t, y, cases[i].result);
  }
  check(&t, 2e-5);
}

#define ROWS row_cases, sizeof row_cases / sizeof *row_cases
#define COLUMNS column_cases, sizeof column_cases / sizeof *column_cases

/* Protects reductions over the last axis, of all lengths around vectors and blocks. */
Test(codegen_ops, row_reductions) {
  check_reductions("reduce_sum", ROWS);
  check_reductions("reduce_max", ROWS);
}

/* Protects reductions over other axes, alone and several. */
Test(codegen_ops, column_reductions) {
  check_reductions("reduce_sum", COLUMNS);
  check_reductions("reduce_max", COLUMNS);
}

/* Protects sums of millions from the error of one long chain of additions, which here would
 * be 1e-4 and more. */
Test(codegen_ops, long_sums) {
  static text t;
  input(&t, "positive_a", "f32[3000001]");
  input(&t, "positive_b", "f32[400000,3]");
  line(&t, "%%a = reduce_sum %%positive_a {axes=[0]} : f32[]\n"
           "%%b = reduce_sum %%positive_b {axes=[0]} : f32[3]");
  output(&t, "a", "f32[]");
  output(&t, "b", "f32[3]");
  check(&t, 5e-7);
}

/* Protects the lowest index of equal largest elements. */
Test(codegen_ops, argmax) {
  static text t;
  static const char *const types[] = {"i32[1]", "i32[40]", "i32[7,35]", "f32[5,100]",
                                      "i32[3,1000]"};
  static const char *const results[] = {"i32[]", "i32[]", "i32[7]", "i32[5]", "i32[3]"};
  for (int i = 0; i < 5; i++) {
    char x[20], y[20];
    snprintf(x, sizeof x, "x%d", i);
    snprintf(y, sizeof y, "y%d", i);
    input(&t, x, types[i]);
    line(&t, "%%%s = argmax %%%s {axis=%d} : %s", y, x, strchr(types[i], ',') ? 1 : 0, results[i]);
    output(&t, y, results[i]);
  }
  check(&t, 0);
}

/* Protects reads through views: transposed, sliced, broadcast, by any op, and constants. */
Test(codegen_ops, views) {
  static text t;
  input(&t, "a", "f32[5,18]");
  input(&t, "b", "f32[18,5]");
  input(&t, "c", "f32[5]");
  input(&t, "m", "bool[9,40]");
  input(&t, "q", "f32[3,20,2,8]");
  line(&t, "%%at = transpose %%a {perm=[1,0]} : f32[18,5]\n"
           "%%r = add %%at, %%b : f32[18,5]\n"
           "%%cb = broadcast %%c {axes=[1]} : f32[18,5]\n"
           "%%s = mul %%at, %%cb : f32[18,5]\n"
           "%%cr = broadcast %%c {axes=[0]} : f32[5,18]\n"
           "%%u = sub %%a, %%cr : f32[5,18]\n"
           "%%sl = slice %%a {start=[1,3], limit=[4,18]} : f32[3,15]\n"
           "%%v = exp %%sl : f32[3,15]\n"
           "%%ms = slice %%m {start=[0,5], limit=[9,39]} : bool[9,34]\n"
           "%%w = not %%ms : bool[9,34]\n"
           "%%mt = transpose %%m {perm=[1,0]} : bool[40,9]\n"
           "%%x = not %%mt : bool[40,9]\n"
           "%%k = constant {value=1.5} : f32[18,5]\n"
           "%%y = div %%at, %%k : f32[18,5]\n"
           "%%one = constant {value=2} : f32[]\n"
           "%%two = broadcast %%one {axes=[]} : f32[7,3]\n"
           "%%z = convert %%two : f32[7,3]\n"
           "%%qt = transpose %%q {perm=[0,2,1,3]} : f32[3,2,20,8]\n"
           "%%qc = convert %%qt : f32[3,2,20,8]\n"
           "%%qr = transpose %%q {perm=[3,2,1,0]} : f32[8,2,20,3]\n"
           "%%qd = convert %%qr : f32[8,2,20,3]\n"
           "%%rs = reduce_sum %%qr {axes=[3]} : f32[8,2,20]\n"
           "%%cs = reduce_sum %%qr {axes=[0,2]} : f32[2,3]\n"
           "%%bs = reduce_sum %%cr {axes=[1]} : f32[5]\n"
           "%%bc = reduce_sum %%cr {axes=[0]} : f32[18]");
  output(&t, "r", "f32[18,5]");
  output(&t, "s", "f32[18,5]");
  output(&t, "u", "f32[5,18]");
  output(&t, "v", "f32[3,15]");
  output(&t, "w", "bool[9,34]");
  output(&t, "x", "bool[40,9]");
  output(&t, "y", "f32[18,5]");
  output(&t, "z", "f32[7,3]");
  output(&t, "qc", "f32[3,2,20,8]");
  output(&t, "qd", "f32[8,2,20,3]");
  output(&t, "rs", "f32[8,2,20]");
  output(&t, "cs", "f32[2,3]");
  output(&t, "bs", "f32[5]");
  output(&t, "bc", "f32[18]");
  check(&t, 3e-6);
}

/* Protects gather of rows of every rank, and its transpose in the order of the rows. */
Test(codegen_ops, gather_and_scatter) {
  static text t;
  input(&t, "x", "f32[9,34]");
  input(&t, "v", "f32[9]");
  input(&t, "m", "bool[9,3]");
  input(&t, "h", "f32[9,2,20]");
  input(&t, "rows9", "i32[40]");
  input(&t, "y", "f32[40,34]");
  input(&t, "yv", "f32[40]");
  input(&t, "wide", "f32[9,200]");
  input(&t, "ywide", "f32[200,40]");
  line(&t, "%%a = gather %%x, %%rows9 : f32[40,34]\n"
           "%%b = gather %%v, %%rows9 : f32[40]\n"
           "%%c = gather %%m, %%rows9 : bool[40,3]\n"
           "%%d = gather %%h, %%rows9 : f32[40,2,20]\n"
           "%%x0 = convert %%x : f32[9,34]\n"
           "%%e = scatter_add %%x0, %%rows9, %%y : f32[9,34]\n"
           "%%v0 = convert %%v : f32[9]\n"
           "%%f = scatter_add %%v0, %%rows9, %%yv : f32[9]\n"
           "%%w0 = convert %%wide : f32[9,200]\n"
           "%%yt = transpose %%ywide {perm=[1,0]} : f32[40,200]\n"
           "%%g = scatter_add %%w0, %%rows9, %%yt : f32[9,200]\n"
           "%%h0 = convert %%h : f32[9,2,20]\n"
           "%%k = constant {value=0.5} : f32[40,2,20]\n"
           "%%i = scatter_add %%h0, %%rows9, %%k : f32[9,2,20]");
  output(&t, "a", "f32[40,34]");
  output(&t, "b", "f32[40]");
  output(&t, "c", "bool[40,3]");
  output(&t, "d", "f32[40,2,20]");
  output(&t, "e", "f32[9,34]");
  output(&t, "f", "f32[9]");
  output(&t, "g", "f32[9,200]");
  output(&t, "i", "f32[9,2,20]");
  check(&t, 1e-6);
}

/* Protects accumulation into blocks, of computed values and of products. */
Test(codegen_ops, accumulate) {
  static text t;
  input(&t, "x", "f32[6,40]");
  input(&t, "y", "f32[3,17]");
  input(&t, "p", "f32[3,5]");
  input(&t, "q", "f32[5,17]");
  input(&t, "s", "f32[]");
  input(&t, "r", "f32[]");
  line(&t, "%%x0 = convert %%x : f32[6,40]\n"
           "%%a = accumulate %%x0, %%y {start=[2,21]} : f32[6,40]\n"
           "%%x1 = convert %%x : f32[6,40]\n"
           "%%d = dot %%p, %%q {alpha=0.5} : f32[3,17]\n"
           "%%b = accumulate %%x1, %%d {start=[1,3]} : f32[6,40]\n"
           "%%s0 = convert %%s : f32[]\n"
           "%%c = accumulate %%s0, %%r {start=[]} : f32[]");
  output(&t, "a", "f32[6,40]");
  output(&t, "b", "f32[6,40]");
  output(&t, "c", "f32[]");
  output(&t, "d", "f32[3,17]");
  check(&t, 2e-6);
}

/* Protects products of every orientation, batched by strides and by broadcast. */
Test(codegen_ops, dot) {
  static text t;
  input(&t, "a", "f32[7,13]");
  input(&t, "b", "f32[13,21]");
  input(&t, "c", "f32[21,13]");
  input(&t, "q", "f32[2,19,3,24]");
  input(&t, "w", "f32[24,10]");
  line(&t, "%%r = dot %%a, %%b : f32[7,21]\n"
           "%%s = dot %%a, %%c {tb=1, alpha=0.25} : f32[7,21]\n"
           "%%u = dot %%b, %%a {ta=1, tb=1} : f32[21,7]\n"
           "%%h = transpose %%q {perm=[0,2,1,3]} : f32[2,3,19,24]\n"
           "%%v = dot %%h, %%h {tb=1} : f32[2,3,19,19]\n"
           "%%x = dot %%v, %%h : f32[2,3,19,24]\n"
           "%%wb = broadcast %%w {axes=[2,3]} : f32[2,3,24,10]\n"
           "%%y = dot %%x, %%wb : f32[2,3,19,10]");
  output(&t, "r", "f32[7,21]");
  output(&t, "s", "f32[7,21]");
  output(&t, "u", "f32[21,7]");
  output(&t, "v", "f32[2,3,19,19]");
  output(&t, "x", "f32[2,3,19,24]");
  output(&t, "y", "f32[2,3,19,10]");
  check(&t, 2e-5);
}

static bool has_bf16(void) {
  poa_error error = {0};
  poa_target target;
  cr_assert_eq(poa_target_init(&target, NULL, &error), POA_OK, "%s", error.message);
  bool has = poa_target_has_bf16(&target);
  poa_target_free(&target);
  return has;
}

/* Protects what a dot's bf16 means from being one thing to the interpreter and another to code:
 * batches, joined axes, a sum in place. Operands are inputs, since the rounding of a computed one
 * may fall the other way; the tolerance is that of sums of floats. */
Test(codegen_ops, dot_bf16) {
  static text t;
  if (!has_bf16())
    cr_skip_test("this CPU has no AVX512_BF16");
  input(&t, "a", "f32[7,13]");
  input(&t, "b", "f32[13,21]");
  input(&t, "c", "f32[21,13]");
  input(&t, "q", "f32[2,19,3,24]");
  input(&t, "k", "f32[2,19,3,24]");
  input(&t, "m", "f32[3,7,9,2]");
  input(&t, "w", "f32[18,20]");
  input(&t, "z", "f32[9,30]");
  line(&t, "%%r = dot %%a, %%b {bf16=1} : f32[7,21]\n"
           "%%s = dot %%a, %%c {tb=1, alpha=0.25, bf16=1} : f32[7,21]\n"
           "%%u = dot %%b, %%a {ta=1, tb=1, bf16=1} : f32[21,7]\n"
           "%%h = transpose %%q {perm=[0,2,1,3]} : f32[2,3,19,24]\n"
           "%%g = transpose %%k {perm=[0,2,1,3]} : f32[2,3,19,24]\n"
           "%%v = dot %%h, %%g {tb=1, bf16=1} : f32[2,3,19,19]\n"
           "%%y = dot %%m, %%w {rows=2, inner=2, bf16=1} : f32[21,20]\n"
           "%%z0 = convert %%z : f32[9,30]\n"
           "%%e = accumulate %%z0, %%r {start=[1,3]} : f32[9,30]");
  output(&t, "s", "f32[7,21]");
  output(&t, "u", "f32[21,7]");
  output(&t, "v", "f32[2,3,19,19]");
  output(&t, "y", "f32[21,20]");
  output(&t, "e", "f32[9,30]");
  poa_arena *arena = poa_arena_create();
  poa_graph *graph = parse(arena, "", &t);
  poa_error error = {0};
  poa_sample expected;
  interpret(graph, &expected);
  cr_assert_eq(poa_schedule_one_by_one(graph, &error), POA_OK, "%s", error.message);
  check_target(graph, "native", &expected, 2e-6);
  check_passes("", &t, &expected, 2e-6);
  poa_sample_free(&expected);
  poa_arena_free(arena);
}

/* Protects parameters that are read and written, scalars among them. */
Test(codegen_ops, assign) {
  static text t;
  line(&t, "%%p = parameter {set=\"s\", name=\"w\"} : f32[5,40]\n"
           "%%k = parameter {set=\"\", name=\"count\"} : f32[]\n"
           "%%e = exp %%p : f32[5,40]\n"
           "%%a = assign %%p, %%e : f32[5,40]\n"
           "%%one = constant {value=1} : f32[]\n"
           "%%k1 = add %%k, %%one : f32[]\n"
           "%%b = assign %%k, %%k1 : f32[]");
  check_parameters("param \"s\" \"w\": f32[5,40] = constant(0)\n"
                   "param \"s\" \"other\": f32[3] = constant(0)\n"
                   "param \"\" \"count\": f32[] = constant(0)\n",
                   &t, 2e-6);
}

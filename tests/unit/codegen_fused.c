/* codegen_fused.c: whole patterns through fuse, layout and schedule, compiled, against the
 * interpreter: what real models are made of. Each runs on several targets, and with its
 * tiles split: the same bits. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "passes/passes.h"
#include "support/compiled.h"
#include "support/sample.h"

static const char *const targets[] = {"x86-64", "x86-64-v3", "native"};

static poa_graph *parse(poa_arena *arena, const char *text) {
  poa_error error = {0};
  poa_graph *graph;
  cr_assert_eq(poa_graph_parse(arena, "test", text, &graph, &error), POA_OK, "%s", error.message);
  return graph;
}

static void run(poa_compiled *compiled, int parts, poa_sample *sample) {
  poa_error error = {0};
  poa_bindings bindings = poa_sample_bindings(sample);
  cr_assert_eq(poa_compiled_run(compiled, &bindings, parts, &error), POA_OK, "%s", error.message);
}

static void check_target(const poa_graph *graph, const char *cpu, const poa_sample *expected,
                         double tolerance) {
  poa_error error = {0};
  poa_compiled *compiled;
  cr_assert_eq(poa_compiled_create(&compiled, graph, cpu, &error), POA_OK, "%s: %s", cpu,
               error.message);
  poa_sample whole, parts;
  char what[200] = "";
  run(compiled, 1, &whole);
  cr_assert(poa_sample_agree(expected, &whole, tolerance, what, sizeof what), "%s: %s", cpu, what);
  for (int count = 2; count <= 7; count += 5) {
    run(compiled, count, &parts);
    cr_assert(poa_sample_agree(&whole, &parts, 0, what, sizeof what), "%s, split: %s", cpu, what);
    poa_sample_free(&parts);
  }
  poa_sample_free(&whole);
  poa_compiled_free(compiled);
}

/* Interprets the text, runs the default passes and checks all targets; returns the number of
 * launches. */
static int check(const char *text, double tolerance) {
  poa_arena *arena = poa_arena_create();
  poa_error error = {0};
  poa_graph *graph = parse(arena, text);
  poa_sample expected;
  poa_bindings bindings = poa_sample_bindings(&expected);
  cr_assert_eq(poa_graph_interpret(graph, &bindings, false, &error), POA_OK, "%s", error.message);
  poa_options options = {.keep_probes = true};
  cr_assert_eq(poa_pipeline_run(graph, NULL, NULL, &options, true, NULL, NULL, &error), POA_OK,
               "%s", error.message);
  for (size_t i = 0; i < sizeof targets / sizeof *targets; i++)
    check_target(graph, targets[i], &expected, tolerance);
  int kernels = 0;
  for (uint32_t v = 0; v < graph->node_count; v++)
    kernels = graph->nodes[v].kernel >= kernels ? graph->nodes[v].kernel + 1 : kernels;
  poa_sample_free(&expected);
  poa_arena_free(arena);
  return kernels;
}

#define NORM(rows, width, rank_axes, row_type, full_type)                                          \
  "%n = constant {value=" #width "} : " row_type "\n"                                              \
  "%sum = reduce_sum %x {axes=[1]} : " row_type "\n"                                               \
  "%mean = div %sum, %n : " row_type "\n"                                                          \
  "%meanb = broadcast %mean {axes=[0]} : " full_type "\n"                                          \
  "%c = sub %x, %meanb : " full_type "\n"                                                          \
  "%cc = mul %c, %c : " full_type "\n"                                                             \
  "%ss = reduce_sum %cc {axes=[1]} : " row_type "\n"                                               \
  "%var = div %ss, %n : " row_type "\n"                                                            \
  "%eps = constant {value=1e-6} : " row_type "\n"                                                  \
  "%ve = add %var, %eps : " row_type "\n"                                                          \
  "%rs = rsqrt %ve : " row_type "\n"                                                               \
  "%rsb = broadcast %rs {axes=[0]} : " full_type "\n"                                              \
  "%h = mul %c, %rsb : " full_type "\n"

#define NORM_41_100 NORM(41, 100, , "f32[41]", "f32[41,100]")

/* Protects several passes over a row: mean, variance, result. */
Test(codegen_fused, layer_norm) {
  check("graph @f (%x: f32[41,100], %g: f32[100], %b: f32[100]) {\n"
        "%x = input {name=\"x\"} : f32[41,100]\n"
        "%g = input {name=\"g\"} : f32[100]\n"
        "%b = input {name=\"b\"} : f32[100]\n" NORM_41_100
        "%gb = broadcast %g {axes=[1]} : f32[41,100]\n"
        "%bb = broadcast %b {axes=[1]} : f32[41,100]\n"
        "%hg = mul %h, %gb : f32[41,100]\n"
        "%y = add %hg, %bb : f32[41,100]\n"
        "%o = output %y {kind=\"result\", name=\"y\"} : f32[41,100]\n}\n",
        1e-5);
}

/* Protects its gradients: row sums of products, and column sums of the same values. */
Test(codegen_fused, layer_norm_gradients) {
  check("graph @f (%x: f32[41,100], %g: f32[100], %dy: f32[41,100]) {\n"
        "%x = input {name=\"x\"} : f32[41,100]\n"
        "%g = input {name=\"g\"} : f32[100]\n"
        "%dy = input {name=\"dy\"} : f32[41,100]\n" NORM_41_100
        "%gb = broadcast %g {axes=[1]} : f32[41,100]\n"
        "%dh = mul %dy, %gb : f32[41,100]\n"
        "%dhh = mul %dh, %h : f32[41,100]\n"
        "%s1 = reduce_sum %dh {axes=[1]} : f32[41]\n"
        "%s2 = reduce_sum %dhh {axes=[1]} : f32[41]\n"
        "%m1 = div %s1, %n : f32[41]\n"
        "%m2 = div %s2, %n : f32[41]\n"
        "%m1b = broadcast %m1 {axes=[0]} : f32[41,100]\n"
        "%m2b = broadcast %m2 {axes=[0]} : f32[41,100]\n"
        "%hm = mul %h, %m2b : f32[41,100]\n"
        "%d1 = sub %dh, %m1b : f32[41,100]\n"
        "%d2 = sub %d1, %hm : f32[41,100]\n"
        "%dx = mul %d2, %rsb : f32[41,100]\n"
        "%gg = mul %dy, %h : f32[41,100]\n"
        "%dg = reduce_sum %gg {axes=[0]} : f32[100]\n"
        "%db = reduce_sum %dy {axes=[0]} : f32[100]\n"
        "%o1 = output %dx {kind=\"result\", name=\"dx\"} : f32[41,100]\n"
        "%o2 = output %dg {kind=\"result\", name=\"dg\"} : f32[100]\n"
        "%o3 = output %db {kind=\"result\", name=\"db\"} : f32[100]\n}\n",
        2e-5);
}

/* Protects exponentials kept on the stack, and rows too long to be kept. */
Test(codegen_fused, softmax) {
  check("graph @f (%x: f32[3,4,50], %y: f32[3,20001]) {\n"
        "%x = input {name=\"x\"} : f32[3,4,50]\n"
        "%y = input {name=\"y\"} : f32[3,20001]\n"
        "%a = softmax %x : f32[3,4,50]\n"
        "%b = softmax %y : f32[3,20001]\n"
        "%o1 = output %a {kind=\"result\", name=\"a\"} : f32[3,4,50]\n"
        "%o2 = output %b {kind=\"result\", name=\"b\"} : f32[3,20001]\n}\n",
        1e-5);
}

/* Protects a loss over rows with targets and logits, and its gradient. */
Test(codegen_fused, cross_entropy) {
  check("graph @f (%x: f32[21,300], %t: f32[21,300]) {\n"
        "%x = input {name=\"x\"} : f32[21,300]\n"
        "%t = input {name=\"t\"} : f32[21,300]\n"
        "%p = softmax %t : f32[21,300]\n"
        "%ten = constant {value=10} : f32[21,300]\n"
        "%z = mul %x, %ten : f32[21,300]\n"
        "%l = log_softmax %z : f32[21,300]\n"
        "%pl = mul %p, %l : f32[21,300]\n"
        "%rows = reduce_sum %pl {axes=[1]} : f32[21]\n"
        "%sum = reduce_sum %rows {axes=[0]} : f32[]\n"
        "%scale = constant {value=-0.047619} : f32[]\n"
        "%loss = mul %sum, %scale : f32[]\n"
        "%q = softmax %z : f32[21,300]\n"
        "%d = sub %q, %p : f32[21,300]\n"
        "%best = argmax %x {axis=1} : i32[21]\n"
        "%o1 = output %loss {kind=\"report\", name=\"loss\"} : f32[]\n"
        "%o2 = output %d {kind=\"result\", name=\"d\"} : f32[21,300]\n"
        "%o3 = output %best {kind=\"result\", name=\"best\"} : i32[21]\n}\n",
        3e-5);
}

/* Protects long element-wise chains with biases and residuals over dense data. */
Test(codegen_fused, gelu) {
  check("graph @f (%x: f32[37,130], %b: f32[130], %r: f32[37,130]) {\n"
        "%x = input {name=\"x\"} : f32[37,130]\n"
        "%b = input {name=\"b\"} : f32[130]\n"
        "%r = input {name=\"r\"} : f32[37,130]\n"
        "%bb = broadcast %b {axes=[1]} : f32[37,130]\n"
        "%u = add %x, %bb : f32[37,130]\n"
        "%k = constant {value=0.70710678118654752} : f32[37,130]\n"
        "%uk = mul %u, %k : f32[37,130]\n"
        "%e = erf %uk : f32[37,130]\n"
        "%one = constant {value=1} : f32[37,130]\n"
        "%half = constant {value=0.5} : f32[37,130]\n"
        "%e1 = add %e, %one : f32[37,130]\n"
        "%uh = mul %u, %half : f32[37,130]\n"
        "%g = mul %uh, %e1 : f32[37,130]\n"
        "%y = add %g, %r : f32[37,130]\n"
        "%o = output %y {kind=\"result\", name=\"y\"} : f32[37,130]\n}\n",
        1e-5);
}

/* Protects parameters written where they are read, several in one kernel, with scalars that
 * other kernels compute, and a norm over all elements. */
Test(codegen_fused, optimizer) {
  check("param \"s\" \"w\": f32[40,33] = constant(0)\n"
        "param \"m\" \"w\": f32[40,33] = constant(0)\n"
        "param \"v\" \"positive\": f32[40,33] = constant(0)\n"
        "param \"\" \"t\": f32[] = constant(0)\n"
        "graph @f (%g: f32[40,33]) {\n"
        "%g = input {name=\"g\"} : f32[40,33]\n"
        "%w = parameter {set=\"s\", name=\"w\"} : f32[40,33]\n"
        "%m = parameter {set=\"m\", name=\"w\"} : f32[40,33]\n"
        "%v = parameter {set=\"v\", name=\"positive\"} : f32[40,33]\n"
        "%t = parameter {set=\"\", name=\"t\"} : f32[]\n"
        "%one = constant {value=1} : f32[]\n"
        "%t1 = add %t, %one : f32[]\n"
        "%at = assign %t, %t1 : f32[]\n"
        "%tt = abs %t1 : f32[]\n"
        "%gg = mul %g, %g : f32[40,33]\n"
        "%flat = reshape %gg : f32[1320]\n"
        "%sq = reduce_sum %flat {axes=[0]} : f32[]\n"
        "%norm = sqrt %sq : f32[]\n"
        "%clip = div %one, %norm : f32[]\n"
        "%b1s = constant {value=0.9} : f32[]\n"
        "%p1 = pow %b1s, %tt : f32[]\n"
        "%c1 = sub %one, %p1 : f32[]\n"
        "%clipb = broadcast %clip {axes=[]} : f32[40,33]\n"
        "%c1b = broadcast %c1 {axes=[]} : f32[40,33]\n"
        "%gc = mul %g, %clipb : f32[40,33]\n"
        "%b1 = constant {value=0.9} : f32[40,33]\n"
        "%b1c = constant {value=0.1} : f32[40,33]\n"
        "%b2 = constant {value=0.999} : f32[40,33]\n"
        "%b2c = constant {value=0.001} : f32[40,33]\n"
        "%m0 = mul %m, %b1 : f32[40,33]\n"
        "%g1 = mul %gc, %b1c : f32[40,33]\n"
        "%m1 = add %m0, %g1 : f32[40,33]\n"
        "%v0 = mul %v, %b2 : f32[40,33]\n"
        "%gcc = mul %gc, %gc : f32[40,33]\n"
        "%g2 = mul %gcc, %b2c : f32[40,33]\n"
        "%v1 = add %v0, %g2 : f32[40,33]\n"
        "%mh = div %m1, %c1b : f32[40,33]\n"
        "%sv = sqrt %v1 : f32[40,33]\n"
        "%step = div %mh, %sv : f32[40,33]\n"
        "%w1 = sub %w, %step : f32[40,33]\n"
        "%aw = assign %w, %w1 : f32[40,33]\n"
        "%am = assign %m, %m1 : f32[40,33]\n"
        "%av = assign %v, %v1 : f32[40,33]\n"
        "%o = output %norm {kind=\"report\", name=\"norm\"} : f32[]\n}\n",
        1e-5);
}

/* Protects heads as strided views, batched products, and their results side by side. */
Test(codegen_fused, attention) {
  check("graph @f (%x: f32[2,19,24], %w: f32[24,72], %p: f32[24,24]) {\n"
        "%x = input {name=\"x\"} : f32[2,19,24]\n"
        "%w = input {name=\"w\"} : f32[24,72]\n"
        "%p = input {name=\"p\"} : f32[24,24]\n"
        "%wb = broadcast %w {axes=[1,2]} : f32[2,24,72]\n"
        "%qkv = dot %x, %wb : f32[2,19,72]\n"
        "%r = reshape %qkv : f32[2,19,3,3,8]\n"
        "%t = transpose %r {perm=[2,0,3,1,4]} : f32[3,2,3,19,8]\n"
        "%qs = slice %t {start=[0,0,0,0,0], limit=[1,2,3,19,8]} : f32[1,2,3,19,8]\n"
        "%ks = slice %t {start=[1,0,0,0,0], limit=[2,2,3,19,8]} : f32[1,2,3,19,8]\n"
        "%vs = slice %t {start=[2,0,0,0,0], limit=[3,2,3,19,8]} : f32[1,2,3,19,8]\n"
        "%q = reshape %qs : f32[2,3,19,8]\n"
        "%k = reshape %ks : f32[2,3,19,8]\n"
        "%v = reshape %vs : f32[2,3,19,8]\n"
        "%s = dot %q, %k {tb=1, alpha=0.35} : f32[2,3,19,19]\n"
        "%a = softmax %s : f32[2,3,19,19]\n"
        "%o = dot %a, %v : f32[2,3,19,8]\n"
        "%ot = transpose %o {perm=[0,2,1,3]} : f32[2,19,3,8]\n"
        "%of = reshape %ot : f32[2,19,24]\n"
        "%pb = broadcast %p {axes=[1,2]} : f32[2,24,24]\n"
        "%y = dot %of, %pb : f32[2,19,24]\n"
        "%z = add %y, %x : f32[2,19,24]\n"
        "%out = output %z {kind=\"result\", name=\"z\"} : f32[2,19,24]\n}\n",
        3e-4);
}

/* A convolution and both its gradients, in a text of its own. */
static void check_convolution(const char *x, const char *weight, const char *y, const char *form,
                              const char *x_size, const char *weight_size) {
  char text[4000];
  snprintf(text, sizeof text,
           "graph @f (%%x: f32%s, %%w: f32%s, %%dy: f32%s) {\n"
           "%%x = input {name=\"x\"} : f32%s\n"
           "%%w = input {name=\"w\"} : f32%s\n"
           "%%dy = input {name=\"dy\"} : f32%s\n"
           "%%y = conv2d %%x, %%w {%s} : f32%s\n"
           "%%dx = conv2d_input %%dy, %%w {size=%s, %s} : f32%s\n"
           "%%dw = conv2d_weight %%x, %%dy {size=%s, %s} : f32%s\n"
           "%%o0 = output %%y {kind=\"result\", name=\"y\"} : f32%s\n"
           "%%o1 = output %%dx {kind=\"result\", name=\"dx\"} : f32%s\n"
           "%%o2 = output %%dw {kind=\"result\", name=\"dw\"} : f32%s\n}\n",
           x, weight, y, x, weight, y, form, y, x_size, form, x, weight_size, form, weight, y, x,
           weight);
  check(text, 1e-4);
}

/* Protects windows as operands of products: strides, uneven padding, groups, one row, one pixel. */
Test(codegen_fused, convolutions) {
  check_convolution("[2,9,7,5]", "[3,3,5,18]", "[2,9,7,18]",
                    "stride=[1,1], low=[1,1], high=[1,1], groups=1", "[9,7]", "[3,3]");
  check_convolution("[3,10,9,4]", "[3,3,4,6]", "[3,5,5,6]",
                    "stride=[2,2], low=[1,1], high=[1,1], groups=1", "[10,9]", "[3,3]");
  check_convolution("[1,11,12,3]", "[5,4,3,33]", "[1,4,6,33]",
                    "stride=[3,2], low=[2,1], high=[2,1], groups=1", "[11,12]", "[5,4]");
  check_convolution("[2,6,6,8]", "[3,3,2,12]", "[2,6,6,12]",
                    "stride=[1,1], low=[1,1], high=[1,1], groups=4", "[6,6]", "[3,3]");
  check_convolution("[2,5,5,6]", "[1,1,6,3]", "[2,3,3,3]",
                    "stride=[2,2], low=[0,0], high=[0,0], groups=1", "[5,5]", "[1,1]");
  check_convolution("[2,5,5,6]", "[1,1,6,3]", "[2,5,5,3]",
                    "stride=[1,1], low=[0,0], high=[0,0], groups=1", "[5,5]", "[1,1]");
  check_convolution("[1,1,40,1]", "[1,5,1,1]", "[1,1,36,1]",
                    "stride=[1,1], low=[0,0], high=[0,0], groups=1", "[1,40]", "[1,5]");
}

/* Protects windows that are reduced, and their gradient: overlapping, a border, channels last. */
Test(codegen_fused, max_pool) {
  check("graph @f (%x: f32[2,9,8,5], %dy: f32[2,4,3,5]) {\n"
        "%x = input {name=\"x\"} : f32[2,9,8,5]\n"
        "%dy = input {name=\"dy\"} : f32[2,4,3,5]\n"
        "%a = window %x {axis=1, size=3, stride=2} : f32[2,4,3,8,5]\n"
        "%b = window %a {axis=3, size=3, stride=2} : f32[2,4,3,3,3,5]\n"
        "%y = reduce_max %b {axes=[2,4]} : f32[2,4,3,5]\n"
        "%z = mul %y, %dy : f32[2,4,3,5]\n"
        "%s = reduce_sum %z {axes=[0,1,2,3]} : f32[]\n"
        "%o0 = output %y {kind=\"result\", name=\"y\"} : f32[2,4,3,5]\n"
        "%o1 = output %s {kind=\"result\", name=\"s\"} : f32[]\n}\n",
        1e-5);
}

/* Protects tokens put in front, positions added, rows taken out, and their gradients. */
Test(codegen_fused, tokens) {
  check("graph @f (%x: f32[5,9,20], %c: f32[1,1,20], %p: f32[10,20], %rows45: i32[7]) {\n"
        "%x = input {name=\"x\"} : f32[5,9,20]\n"
        "%c = input {name=\"c\"} : f32[1,1,20]\n"
        "%p = input {name=\"p\"} : f32[10,20]\n"
        "%rows45 = input {name=\"rows45\"} : i32[7]\n"
        "%cr = reshape %c : f32[20]\n"
        "%cb = broadcast %cr {axes=[2]} : f32[5,1,20]\n"
        "%xe = exp %x : f32[5,9,20]\n"
        "%t = concat %cb, %xe {axis=1} : f32[5,10,20]\n"
        "%pb = broadcast %p {axes=[1,2]} : f32[5,10,20]\n"
        "%y = add %t, %pb : f32[5,10,20]\n"
        "%ys = slice %y {start=[0,1,0], limit=[5,10,20]} : f32[5,9,20]\n"
        "%yf = reshape %ys : f32[45,20]\n"
        "%g = gather %yf, %rows45 : f32[7,20]\n"
        "%gg = mul %g, %g : f32[7,20]\n"
        "%zero = constant {value=0} : f32[45,20]\n"
        "%s = scatter_add %zero, %rows45, %gg : f32[45,20]\n"
        "%zero2 = constant {value=0} : f32[5,10,20]\n"
        "%sr = reshape %s : f32[5,9,20]\n"
        "%dy = accumulate %zero2, %sr {start=[0,1,0]} : f32[5,10,20]\n"
        "%dp = reduce_sum %dy {axes=[0]} : f32[10,20]\n"
        "%o1 = output %g {kind=\"result\", name=\"g\"} : f32[7,20]\n"
        "%o2 = output %dp {kind=\"result\", name=\"dp\"} : f32[10,20]\n"
        "%o3 = output %y {kind=\"result\", name=\"y\"} : f32[5,10,20]\n}\n",
        1e-5);
}

/* Protects kernels of thousands of scalars from taking long to compile. */
Test(codegen_fused, thousands_of_scalars) {
  size_t size = 1 << 20;
  char *text = malloc(size);
  int used = snprintf(text, size,
                      "graph @f (%%x: f32[]) {\n%%x = input {name=\"x\"} : f32[]\n"
                      "%%k = constant {value=0.999} : f32[]\n%%v0 = exp %%x : f32[]\n");
  for (int i = 1; i < 4000; i++)
    used += snprintf(text + used, size - (size_t)used, "%%v%d = %s %%v%d, %%%s : f32[]\n", i,
                     i % 2 ? "mul" : "add", i - 1, i % 3 ? "k" : "x");
  for (int i = 0; i < 60; i++)
    used +=
        snprintf(text + used, size - (size_t)used,
                 "%%o%d = output %%v%d {kind=\"report\", name=\"v%d\"} : f32[]\n", i, i * 66, i);
  snprintf(text + used, size - (size_t)used, "}\n");
  check(text, 1e-4);
  free(text);
}

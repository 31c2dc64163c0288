/* ir_text.c: the text form is stable and complete: every op and every stage prints what it
 * reads. Each text below is in the printed form, so one comparison covers both ways. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ir/build.h"

/* The graph as text; the caller frees. */
static char *print(const poa_graph *graph) {
  char *text = NULL;
  size_t size = 0;
  FILE *out = open_memstream(&text, &size);
  poa_graph_print(graph, out);
  fclose(out);
  return text;
}

static void expect_round_trip(const char *text) {
  poa_arena *arena = poa_arena_create();
  poa_graph *graph;
  poa_error error = {0};
  cr_assert_eq(poa_graph_parse(arena, "test.ir", text, &graph, &error), POA_OK, "%s",
               error.message);
  char *printed = print(graph);
  cr_assert_str_eq(printed, text);
  free(printed);
  poa_arena_free(arena);
}

static const char *const prelude =
    "elastic width: 384..1024 step 64\n"
    "elastic depth: 12..24 step 1 group 2\n"
    "elastic other: 0..2 step 1 uniform group 2\n"
    "select_scale 3\n"
    "param \"student\" \"w\": f32[4,8] as [32] = trunc_normal(0.02) loc \"nn.poa\":3:5\n"
    "param \"student\" \"kernel\": f32[3,1,4,8] as [8,4,3,1] by [3,2,0,1] = normal(0.1)\n"
    "param \"teacher\" \"w\": f32[4,8] = copy(\"student\")\n"
    "external \"swish_1\" = \"swish\"(tensor 0, tensor result, int64 320, float 0.1) gradients "
    "[\"swish_grad\", none]\n"
    "graph @step (%x: f32[4,8] = crops(scale_min=0.32, name=\"a b\") use 2, %rows: i32[3], "
    "%flags: bool[4,8], %w: f32[4,width] loc \"a.poa\":1:2) {\n"
    "  %0 = input {name=\"x\"} : f32[4,8]\n"
    "  %1 = input {name=\"rows\"} : i32[3]\n"
    "  %2 = input {name=\"flags\"} : bool[4,8]\n"
    "  %3 = input {name=\"w\"} : f32[4,width]\n"
    "  %4 = parameter {set=\"student\", name=\"w\"} : f32[4,8]\n"
    "  %5 = constant {value=0.1} : f32[]\n"
    "  %6 = constant {value=1} : f32[3,8]\n"
    "  %7 = constant {value=-1} : i32[4]\n"
    "  %8 = constant {value=1} : f32[2,5,4,8]\n"
    "  %9 = constant {value=1} : f32[3,1,4,width]\n"
    "  %10 = constant {value=1} : f32[1,1,width,8]\n";

/* One line per op, over the values of the prelude. */
static const char *const lines[POA_OP_COUNT] = {
    [POA_OP_input] = "%11 = input {name=\"x\"} : f32[4,8]",
    [POA_OP_parameter] = "%11 = parameter {set=\"teacher\", name=\"w\"} : f32[4,8]",
    [POA_OP_constant] = "%11 = constant {value=-inf} : f32[4,4*(width/64)]",
    [POA_OP_ratio] = "%11 = ratio {numerator=1024, denominator=width} : f32[2]",
    [POA_OP_iota] = "%11 = iota {axis=1} : i32[4,width]",
    [POA_OP_neg] = "%11 = neg %0 : f32[4,8]",
    [POA_OP_abs] = "%11 = abs %3 : f32[4,width]",
    [POA_OP_exp] = "%11 = exp %0 : f32[4,8]",
    [POA_OP_log] = "%11 = log %0 : f32[4,8]",
    [POA_OP_sqrt] = "%11 = sqrt %0 : f32[4,8]",
    [POA_OP_rsqrt] = "%11 = rsqrt %0 : f32[4,8]",
    [POA_OP_erf] = "%11 = erf %0 : f32[4,8]",
    [POA_OP_tanh] = "%11 = tanh %0 : f32[4,8]",
    [POA_OP_sin] = "%11 = sin %0 : f32[4,8]",
    [POA_OP_cos] = "%11 = cos %0 : f32[4,8]",
    [POA_OP_floor] = "%11 = floor %0 : f32[4,8]",
    [POA_OP_is_finite] = "%11 = is_finite %0 : bool[4,8]",
    [POA_OP_not] = "%11 = not %2 : bool[4,8]",
    [POA_OP_convert] = "%11 = convert %2 : f32[4,8]",
    [POA_OP_add] = "%11 = add %0, %4 : f32[4,8]",
    [POA_OP_sub] = "%11 = sub %0, %4 : f32[4,8]",
    [POA_OP_mul] = "%11 = mul %0, %4 : f32[4,8] loc \"vit.poa\":12:7",
    [POA_OP_div] = "%11 = div %0, %4 : f32[4,8]",
    [POA_OP_max] = "%11 = max %0, %4 : f32[4,8]",
    [POA_OP_min] = "%11 = min %0, %4 : f32[4,8]",
    [POA_OP_pow] = "%11 = pow %0, %4 : f32[4,8]",
    [POA_OP_lt] = "%11 = lt %0, %4 : bool[4,8]",
    [POA_OP_le] = "%11 = le %0, %4 : bool[4,8]",
    [POA_OP_eq] = "%11 = eq %1, %1 : bool[3]",
    [POA_OP_ne] = "%11 = ne %2, %2 : bool[4,8]",
    [POA_OP_and] = "%11 = and %2, %2 : bool[4,8]",
    [POA_OP_or] = "%11 = or %2, %2 : bool[4,8]",
    [POA_OP_select] = "%11 = select %2, %0, %4 : f32[4,8]",
    [POA_OP_reduce_sum] = "%11 = reduce_sum %3 {axes=[0]} : f32[width]",
    [POA_OP_reduce_max] = "%11 = reduce_max %0 {axes=[0,1]} : f32[]",
    [POA_OP_argmax] = "%11 = argmax %0 {axis=1} : i32[4]",
    [POA_OP_dot] = "%11 = dot %3, %0 {ta=1, alpha=0.125} : f32[width,8]",
    [POA_OP_reshape] = "%11 = reshape %3 : f32[4,width/64,64]",
    [POA_OP_transpose] = "%11 = transpose %3 {perm=[1,0]} : f32[width,4]",
    [POA_OP_broadcast] = "%11 = broadcast %3 {axes=[0,2]} : f32[4,depth+1,width]",
    [POA_OP_slice] = "%11 = slice %3 {start=[0,width-64], limit=[2,width]} : f32[2,64]",
    [POA_OP_concat] = "%11 = concat %3, %0, %3 {axis=1} : f32[4,width+8+width]",
    [POA_OP_gather] = "%11 = gather %0, %1 : f32[3,8]",
    [POA_OP_scatter_add] = "%11 = scatter_add %0, %1, %6 : f32[4,8]",
    [POA_OP_accumulate] = "%11 = accumulate %0, %6 {start=[1,0]} : f32[4,8]",
    [POA_OP_window] = "%11 = window %3 {axis=0, size=3, stride=1} : f32[2,3,width]",
    [POA_OP_rearrange] = "%11 = rearrange %0, %1, %7 {axis=0} : f32[3,8]",
    [POA_OP_conv2d] = "%11 = conv2d %8, %9 {stride=[2,1], low=[1,0], high=[1,0], groups=2} : "
                      "f32[2,3,4,width]",
    [POA_OP_conv2d_input] = "%11 = conv2d_input %8, %10 {size=[5,4], stride=[1,1], low=[0,0], "
                            "high=[0,0], groups=1} : f32[2,5,4,width]",
    [POA_OP_conv2d_weight] = "%11 = conv2d_weight %8, %8 {size=[1,1], stride=[1,1], low=[0,0], "
                             "high=[0,0], groups=1} : f32[1,1,8,8]",
    [POA_OP_softmax] = "%11 = softmax %3 : f32[4,width]",
    [POA_OP_log_softmax] = "%11 = log_softmax %3 : f32[4,width]",
    [POA_OP_call] = "%11 = call %0, %1 {external=\"swish_1\"} : f32[4,8]",
    [POA_OP_keep] = "%11 = keep %0, %4 {elastic=\"depth\", index=3, of=24} : f32[4,8]",
    [POA_OP_detach] = "%11 = detach %0 : f32[4,8]",
    [POA_OP_gradient] = "%11 = gradient %5, %4 : f32[4,8]",
    [POA_OP_assign] = "%11 = assign %4, %0 : f32[4,8]",
    [POA_OP_output] = "%11 = output %0 {kind=\"report\", name=\"dino \\\"x\\\"\\n\"} : f32[4,8]",
};

/* Protects: each op's operands, attributes and type survive; a new op needs a line here. */
Test(ir_text, every_op_round_trips) {
  for (int op = 0; op < POA_OP_COUNT; op++) {
    char text[4000];
    cr_assert(lines[op], "no line for op %s", poa_op_table((poa_op)op)->name);
    snprintf(text, sizeof text, "%s  %s\n}\n", prelude, lines[op]);
    expect_round_trip(text);
  }
}

/* Protects: kernels as groups, storage, places, the point and the peak; a root may stand
 * further down (concat owns the buffer of what it joins). */
Test(ir_text, every_stage_round_trips) {
  expect_round_trip("elastic width: 64..128 step 64\n"
                    "graph @f at {width=64} (%x: f32[4,64]) peak 3072 {\n"
                    "  %0 = input {name=\"x\"} : f32[4,64] in self+0 [64,1] at 0\n"
                    "  kernel 0 {\n"
                    "    %1 = exp %0 : f32[4,64]\n"
                    "    %2 = neg %1 : f32[4,64] in %5+0 [64,1]\n"
                    "  }\n"
                    "  kernel 1 {\n"
                    "    %3 = tanh %0 : f32[4,64] in %5+256 [64,1]\n"
                    "  }\n"
                    "  %4 = transpose %3 {perm=[1,0]} : f32[64,4] in %5+256 [1,64]\n"
                    "  %5 = concat %2, %3 {axis=0} : f32[8,64] in self+0 [64,1] at 1024\n"
                    "  %6 = output %5 {kind=\"result\", name=\"y\"} : f32[8,64] in %5+0 [64,1]\n"
                    "}\n");
}

/* Protects: a graph built in memory prints the expected text (print alone, not parse). */
Test(ir_text, hand_built_graph) {
  poa_arena *arena = poa_arena_create();
  poa_graph *graph = poa_graph_create(arena, "hand");
  poa_location location = {.file = "m.poa", .line = 2, .column = 3, .branch = "a at max"};
  poa_build b = {graph, location};
  poa_type type = {POA_F32, 1, {poa_known(4)}};
  poa_value x = poa_b_constant(&b, 1.0 / 3, &type);
  poa_value y = poa_b_unary(&b, POA_OP_exp, x);
  poa_node_of(graph, y)->kernel = 0;
  poa_node_of(graph, y)->storage = (poa_storage){y, 0, {1}, 64};
  graph->arena_bytes = 80;
  char *text = print(graph);
  cr_assert_str_eq(
      text,
      "graph @hand () peak 80 {\n"
      "  %0 = constant {value=0.3333333333333333} : f32[4] loc \"m.poa\":2:3 of \"a at max\"\n"
      "  kernel 0 {\n"
      "    %1 = exp %0 : f32[4] in self+0 [1] at 64 loc \"m.poa\":2:3 of \"a at max\"\n"
      "  }\n}\n");
  expect_round_trip(text);
  free(text);
  poa_arena_free(arena);
}

static double reread(double value) {
  poa_arena *arena = poa_arena_create();
  poa_graph *graph = poa_graph_create(arena, "f"), *back;
  poa_build b = {.graph = graph};
  poa_type scalar = {.dtype = POA_F32};
  poa_b_constant(&b, value, &scalar);
  char *text = print(graph);
  cr_assert_eq(poa_graph_parse(arena, "f", text, &back, NULL), POA_OK, "%s", text);
  double read = poa_node_float(poa_node_of(back, 0), "value", 0);
  free(text);
  poa_arena_free(arena);
  return read;
}

/* Protects: floats come back bit by bit. */
Test(ir_text, floats_read_back) {
  const double values[] = {0.0,
                           -0.0,
                           1e-6,
                           0.1,
                           1.0 / 3,
                           1e300,
                           5e-324,
                           1e23,
                           INFINITY,
                           -INFINITY,
                           123456789012345678.0};
  for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
    double read = reread(values[i]);
    cr_assert(!memcmp(&read, &values[i], sizeof read), "%a became %a", values[i], read);
  }
  cr_assert(isnan(reread(NAN)));
}

/* Protects: values may have names and gaps in hand-written text; printing numbers them. */
Test(ir_text, names_are_renumbered) {
  poa_arena *arena = poa_arena_create();
  poa_graph *graph;
  const char *text = "graph @f (%x: f32[2]) { # a comment\n"
                     "  %image = input {name=\"x\"} : f32[2]\n"
                     "  %7 = add %image, %image : f32[2]\n}";
  cr_assert_eq(poa_graph_parse(arena, "f", text, &graph, NULL), POA_OK);
  char *printed = print(graph);
  cr_assert_str_eq(printed, "graph @f (%x: f32[2]) {\n"
                            "  %0 = input {name=\"x\"} : f32[2]\n"
                            "  %1 = add %0, %0 : f32[2]\n}\n");
  free(printed);
  poa_arena_free(arena);
}

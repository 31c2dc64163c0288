/* ir_graph.c: extents, the lattice, nodes and their shape rules. */
#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

#include "ir/build.h"

static poa_lattice vit_lattice(void) {
  return (poa_lattice){.count = 2, .name = {{"width", 384, 1024, 64}, {"depth", 12, 24, 1}}};
}

static const char *printed(const poa_lattice *lattice, poa_extent extent) {
  static char text[100];
  poa_extent_print(lattice, extent, text, sizeof text);
  return text;
}

/* Protects: known extents fold, x*1 and x+0 vanish, and overflow saturates. */
Test(ir_graph, extents_fold) {
  poa_arena *arena = poa_arena_create();
  poa_extent width = poa_extent_name(arena, 0);
  poa_extent twelve = poa_extent_combine(arena, POA_EXPR_MUL, poa_known(3), poa_known(4));
  cr_assert(!twelve.expr && twelve.value == 12);
  cr_assert(poa_extent_combine(arena, POA_EXPR_MUL, poa_known(1), width).expr == width.expr);
  cr_assert(poa_extent_combine(arena, POA_EXPR_ADD, width, poa_known(0)).expr == width.expr);
  poa_extent huge = poa_extent_combine(arena, POA_EXPR_MUL, poa_known(INT64_MAX), poa_known(2));
  cr_assert_eq(huge.value, INT64_MAX);
  cr_assert_eq(poa_extent_combine(arena, POA_EXPR_DIV, poa_known(-7), poa_known(2)).value, -4);
  cr_assert_eq(poa_extent_combine(arena, POA_EXPR_MOD, poa_known(-7), poa_known(2)).value, 1);
  cr_assert_eq(poa_extent_combine(arena, POA_EXPR_DIV, poa_known(7), poa_known(0)).value, 0);
  poa_arena_free(arena);
}

/* Protects: printed expressions keep their meaning with the fewest parentheses. */
Test(ir_graph, extents_print) {
  poa_arena *arena = poa_arena_create();
  poa_lattice lattice = vit_lattice();
  poa_extent width = poa_extent_name(arena, 0), depth = poa_extent_name(arena, 1);
  poa_extent heads = poa_extent_combine(arena, POA_EXPR_DIV, width, poa_known(64));
  poa_extent sum = poa_extent_combine(arena, POA_EXPR_ADD, depth, poa_known(1));
  cr_assert_str_eq(printed(&lattice, heads), "width/64");
  cr_assert_str_eq(printed(&lattice, poa_extent_combine(arena, POA_EXPR_MUL, poa_known(4), heads)),
                   "4*(width/64)");
  cr_assert_str_eq(printed(&lattice, poa_extent_combine(arena, POA_EXPR_MUL, sum, width)),
                   "(depth+1)*width");
  cr_assert_str_eq(printed(&lattice, poa_extent_combine(arena, POA_EXPR_SUB, width, sum)),
                   "width-(depth+1)");
  cr_assert_eq(poa_extent_print(&lattice, heads, NULL, 0), 8);
  poa_arena_free(arena);
}

/* Protects: equality means equality at every point, not of the text. */
Test(ir_graph, extents_equal_over_the_lattice) {
  poa_arena *arena = poa_arena_create();
  poa_lattice lattice = vit_lattice();
  poa_extent width = poa_extent_name(arena, 0);
  poa_extent heads = poa_extent_combine(arena, POA_EXPR_DIV, width, poa_known(64));
  poa_extent back = poa_extent_combine(arena, POA_EXPR_MUL, heads, poa_known(64));
  poa_extent coarse = poa_extent_combine(arena, POA_EXPR_DIV, width, poa_known(128));
  poa_extent wrong = poa_extent_combine(arena, POA_EXPR_MUL, coarse, poa_known(128));
  cr_assert(poa_extent_equal(&lattice, back, width));
  cr_assert_not(poa_extent_equal(&lattice, wrong, width));
  cr_assert_not(poa_extent_equal(&lattice, width, poa_known(1024)));
  poa_arena_free(arena);
}

/* Protects: the paper's 143 points in order, the first name outermost. */
Test(ir_graph, lattice_points) {
  poa_lattice lattice = vit_lattice();
  cr_assert_eq(poa_lattice_size(&lattice), 143);
  poa_point point = poa_lattice_point(&lattice, 14);
  cr_assert(point.value[0] == 448 && point.value[1] == 13);
  cr_assert(poa_lattice_contains(&lattice, &point));
  point.value[0] = 450;
  cr_assert_not(poa_lattice_contains(&lattice, &point));
  cr_assert_eq(poa_lattice_top(&lattice).value[1], 24);
}

/* Protects: blocks kept are floor(linspace(0, of-1, kept)), for every depth up to 40. */
Test(ir_graph, blocks_kept) {
  for (int64_t of = 1; of <= 40; of++)
    for (int64_t kept = 1; kept <= of; kept++) {
      bool expected[40] = {false};
      for (int64_t i = 0; i < kept; i++)
        expected[kept == 1 ? 0 : i * (of - 1) / (kept - 1)] = true;
      for (int64_t index = 0; index < of; index++)
        cr_assert_eq(poa_block_kept(kept, of, index), expected[index]);
    }
  cr_assert_not(poa_block_kept(3, 4, -1));
  cr_assert_not(poa_block_kept(INT64_MAX, INT64_MAX, INT64_MAX - 1));
}

static poa_type f32(int rank, int64_t a, int64_t b, int64_t c) {
  return (poa_type){POA_F32, rank, {poa_known(a), poa_known(b), poa_known(c)}};
}

static poa_graph *empty_graph(poa_arena *arena) {
  poa_graph *graph = poa_graph_create(arena, "test");
  graph->lattice = vit_lattice();
  return graph;
}

/* Protects: attributes are stored in the order of the op's row, as copies. */
Test(ir_graph, attributes_are_owned_and_ordered) {
  poa_arena *arena = poa_arena_create();
  poa_graph *graph = empty_graph(arena);
  poa_type type = f32(2, 2, 3, 0);
  char kind[] = "result", name[] = "loss";
  poa_build b = {.graph = graph};
  poa_value x = poa_b_constant(&b, 1, &type);
  poa_attribute attributes[] = {poa_attribute_string("name", name),
                                poa_attribute_string("kind", kind)};
  poa_value y =
      poa_graph_add(graph, POA_OP_output, &x, 1, attributes, 2, NULL, (poa_location){0}, NULL);
  kind[0] = name[0] = '?';
  cr_assert_str_eq(poa_node_of(graph, y)->attributes[0].key, "kind");
  cr_assert_str_eq(poa_node_string(poa_node_of(graph, y), "kind"), "result");
  cr_assert_str_eq(poa_node_string(poa_node_of(graph, y), "name"), "loss");
  cr_assert_null(poa_node_attribute(poa_node_of(graph, y), "axis"));
  poa_arena_free(arena);
}

/* Protects: integers stand for extents and one extent for an expression. */
Test(ir_graph, attributes_are_coerced) {
  poa_arena *arena = poa_arena_create();
  poa_graph *graph = empty_graph(arena);
  poa_type type = f32(1, 8, 0, 0), scalar = f32(0, 0, 0, 0);
  poa_build b = {.graph = graph};
  poa_value x = poa_b_constant(&b, 1, &type);
  int64_t start = 2, limit = 5;
  poa_attribute bounds[] = {poa_attribute_ints("start", &start, 1),
                            poa_attribute_ints("limit", &limit, 1)};
  poa_value y = poa_graph_add(graph, POA_OP_slice, &x, 1, bounds, 2, NULL, (poa_location){0}, NULL);
  cr_assert_eq(poa_dim(poa_node_of(graph, y), 0), 3);
  poa_extent width = poa_extent_name(arena, 0), top = poa_known(1024);
  poa_attribute ratio[] = {poa_attribute_extents("numerator", &top, 1),
                           poa_attribute_expr("denominator", &width)};
  y = poa_graph_add(graph, POA_OP_ratio, NULL, 0, ratio, 2, &scalar, (poa_location){0}, NULL);
  cr_assert_eq(poa_node_attribute(poa_node_of(graph, y), "numerator")->kind, POA_ATTRIBUTE_EXPR);
  poa_arena_free(arena);
}

/* Protects: dot's four ways of storing its operands, with symbolic extents. */
Test(ir_graph, dot_shapes) {
  poa_arena *arena = poa_arena_create();
  poa_graph *graph = empty_graph(arena);
  poa_extent width = poa_extent_name(arena, 0);
  poa_type mk = {POA_F32, 2, {poa_known(5), width}}, km = {POA_F32, 2, {width, poa_known(5)}};
  poa_type kn = {POA_F32, 2, {width, poa_known(7)}}, nk = {POA_F32, 2, {poa_known(7), width}};
  poa_build b = {.graph = graph};
  for (int ta = 0; ta < 2; ta++)
    for (int tb = 0; tb < 2; tb++) {
      poa_value x = poa_b_constant(&b, 0, ta ? &km : &mk),
                y = poa_b_constant(&b, 0, tb ? &nk : &kn);
      const poa_node *dot = poa_node_of(graph, poa_b_dot(&b, x, y, ta, tb, 0.5));
      cr_assert(dot->type.rank == 2 && poa_dim(dot, 0) == 5 && poa_dim(dot, 1) == 7);
      cr_assert_eq(dot->attribute_count, 1 + ta + tb);
    }
  poa_arena_free(arena);
}

/* Protects: unreduce undoes the axes that a reduction dropped. */
Test(ir_graph, unreduce_restores_the_shape) {
  poa_arena *arena = poa_arena_create();
  poa_build b = {.graph = empty_graph(arena)};
  poa_type type = f32(3, 2, 3, 4);
  const int64_t axes[] = {0, 2};
  poa_value x = poa_b_constant(&b, 1, &type);
  poa_value sum = poa_b_reduce(&b, POA_OP_reduce_sum, x, axes, 2);
  cr_assert(poa_node_of(b.graph, sum)->type.rank == 1 &&
            poa_dim(poa_node_of(b.graph, sum), 0) == 3);
  const poa_node *back = poa_node_of(b.graph, poa_b_unreduce(&b, sum, axes, 2, &type));
  cr_assert(poa_type_equal(&b.graph->lattice, &back->type, &type));
  poa_arena_free(arena);
}

/* Protects: a pass can rebuild a graph from the nodes that it took out. */
Test(ir_graph, nodes_are_taken_and_copied) {
  poa_arena *arena = poa_arena_create();
  poa_build b = {.graph = empty_graph(arena)};
  poa_type type = f32(1, 4, 0, 0);
  poa_value x = poa_b_constant(&b, 1, &type);
  poa_b_binary(&b, POA_OP_add, poa_b_unary(&b, POA_OP_exp, x), x);
  uint32_t count;
  poa_node *nodes = poa_graph_take_nodes(b.graph, &count);
  poa_value map[3];
  cr_assert(count == 3 && b.graph->node_count == 0);
  poa_b_constant(&b, 7, &type);
  for (uint32_t v = 0; v < count; v++)
    map[v] = poa_graph_copy(b.graph, &nodes[v], map);
  const poa_node *sum = poa_node_of(b.graph, map[2]);
  cr_assert(sum->operands[0] == map[1] && sum->operands[1] == map[0] && map[0] == 1);
  cr_assert_eq(nodes[2].operands[0], 1, "the original keeps its operands");
  poa_arena_free(arena);
}

/* Protects: every row of ops.def reads well: kinds are known, keys fit the limit. */
Test(ir_graph, the_table_is_well_formed) {
  for (int op = 0; op < POA_OP_COUNT; op++) {
    poa_op found;
    cr_assert(poa_op_from_name(poa_op_table((poa_op)op)->name, &found));
    cr_assert_eq((int)found, op);
  }
  poa_op none;
  cr_assert_not(poa_op_from_name("convolve", &none));
}

/* Protects: suggestions are near, and absent where nothing is. */
Test(ir_graph, nearest_names) {
  const char *names[] = {"reduce_sum", "reduce_max", "reshape"};
  cr_assert_str_eq(poa_nearest("reduce_som", names, 3), "reduce_sum");
  cr_assert_null(poa_nearest("convolution", names, 3));
  cr_assert_null(poa_nearest("x", names, 3));
}

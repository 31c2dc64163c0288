/* lower.c: plans from scheduled graphs: shared kernels, barriers where data flows and only
 * there, places of parameters, and what is refused. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "codegen/gemm.h"
#include "codegen/lower.h"
#include "support/one_by_one.h"

static poa_target target;

static poa_arena *arena;

static void setup(void) {
  poa_error error = {0};
  arena = poa_arena_create();
  cr_assert_eq(poa_target_init(&target, "x86-64", &error), POA_OK, "%s", error.message);
}

static void teardown(void) {
  poa_target_free(&target);
  poa_arena_free(arena);
}

TestSuite(lower, .init = setup, .fini = teardown);

static poa_graph *parse(const char *text) {
  poa_error error = {0};
  poa_graph *graph;
  cr_assert_eq(poa_graph_parse(arena, "test", text, &graph, &error), POA_OK, "%s", error.message);
  return graph;
}

static poa_lowered lower(poa_graph *graph) {
  poa_error error = {0};
  poa_lowered lowered;
  if (graph->arena_bytes < 0)
    cr_assert_eq(poa_schedule_one_by_one(graph, &error), POA_OK, "%s", error.message);
  cr_assert_eq(poa_lower_launches(graph, &target, arena, &lowered, &error), POA_OK, "%s",
               error.message);
  return lowered;
}

/* Protects depth from making new kernels: names, places and the numbers of nodes differ, what is
 * computed does not. */
Test(lower, same_computation_same_key) {
  poa_lowered l = lower(parse("graph @f (%x: f32[3,40], %y: f32[3,40], %z: f32[4,40]) {\n"
                              "%x = input {name=\"x\"} : f32[3,40]\n"
                              "%a = exp %x : f32[3,40]\n"
                              "%y = input {name=\"y\"} : f32[3,40]\n"
                              "%z = input {name=\"z\"} : f32[4,40]\n"
                              "%b = exp %y : f32[3,40]\n"
                              "%c = exp %z : f32[4,40]\n"
                              "%d = log %a : f32[3,40]\n}\n"));
  cr_assert_eq(l.plan->launch_count, 4);
  cr_assert_str_eq(l.requests[0].key, l.requests[1].key);
  cr_assert_str_neq(l.requests[0].key, l.requests[2].key);
  cr_assert_str_neq(l.requests[0].key, l.requests[3].key);
}

/* Protects dense data of any rank from being more than one loop: the same key as flat data. */
Test(lower, dense_axes_are_one) {
  poa_lowered l = lower(parse("graph @f (%x: f32[4,1,10,3], %y: f32[120]) {\n"
                              "%x = input {name=\"x\"} : f32[4,1,10,3]\n"
                              "%a = exp %x : f32[4,1,10,3]\n"
                              "%y = input {name=\"y\"} : f32[120]\n"
                              "%b = exp %y : f32[120]\n}\n"));
  cr_assert_str_eq(l.requests[0].key, l.requests[1].key);
}

/* Protects launches that share nothing from waiting, and those that share from not. */
Test(lower, barriers_where_data_flows) {
  poa_lowered l = lower(parse("param \"s\" \"w\": f32[8] = constant(0)\n"
                              "graph @f (%x: f32[8]) {\n"
                              "%x = input {name=\"x\"} : f32[8]\n"
                              "%w = parameter {set=\"s\", name=\"w\"} : f32[8]\n"
                              "%a = exp %x : f32[8]\n"
                              "%b = neg %w : f32[8]\n"
                              "%c = abs %a : f32[8]\n"
                              "%d = assign %w, %x : f32[8]\n"
                              "%e = assign %w, %b : f32[8]\n}\n"));
  const bool expected[] = {false, false, true, false, true};
  cr_assert_eq(l.plan->launch_count, 5);
  for (int i = 0; i < 5; i++)
    cr_assert_eq(l.launches[i].barrier, expected[i], "launch %d, %s", i, l.launches[i].label);
}

/* Protects blocks that interleave row by row in one buffer: they are different bytes, except
 * where they are not. */
Test(lower, interleaved_blocks_need_no_barrier) {
  poa_lowered l = lower(parse("graph @f at {} (%x: f32[6,24]) peak 1152 {\n"
                              "%x = input {name=\"x\"} : f32[6,24] in self+0 [24,1] at 0\n"
                              "kernel 0 {\n%z = exp %x : f32[6,24] in self+0 [24,1] at 576\n}\n"
                              "%s = slice %x {start=[0,0], limit=[6,8]} : f32[6,8] in %x+0 [24,1]\n"
                              "kernel 1 {\n%a = exp %s : f32[6,8] in %z+0 [24,1]\n}\n"
                              "kernel 2 {\n%b = neg %s : f32[6,8] in %z+8 [24,1]\n}\n"
                              "kernel 3 {\n%c = abs %s : f32[6,8] in %z+15 [24,1]\n}\n}\n"));
  const bool expected[] = {false, true, false, true};
  for (int i = 0; i < 4; i++)
    cr_assert_eq(l.launches[i].barrier, expected[i], "launch %d", i);
}

/* Protects parameters from moving between the plans of a model: aligned, in table order,
 * whatever the entry uses. */
Test(lower, parameters_in_table_order) {
  const char *parameters = "param \"s\" \"a\": f32[3] = constant(1)\n"
                           "param \"s\" \"b\": f32[20,2] as [40] = trunc_normal(0.02)\n"
                           "param \"t\" \"b\": f32[20,2] as [40] = copy(\"s\")\n";
  char text[1000];
  snprintf(text, sizeof text,
           "%sgraph @f () {\n%%p = parameter {set=\"t\", name=\"b\"} : f32[20,2]\n"
           "%%q = exp %%p : f32[20,2]\n}\n",
           parameters);
  poa_lowered l = lower(parse(text));
  const poa_plan_parameter *p = l.plan->parameters;
  cr_assert_eq(l.plan->parameter_count, 3);
  cr_assert(p[0].offset == 0 && p[1].offset == 64 && p[2].offset == 256);
  cr_assert_eq(l.plan->parameter_bytes, 448);
  cr_assert(p[1].shape.rank == 1 && p[1].shape.dim[0] == 40);
  cr_assert(p[1].initializer == POA_INIT_TRUNC_NORMAL && p[2].initializer == POA_INIT_COPY);
  cr_assert_eq(l.launches[0].buffers[0].space, POA_SPACE_PARAMETERS);
  cr_assert_eq(l.launches[0].buffers[0].offset, 256);
}

/* Protects products over leading axes and strided heads from being copied or batched more than
 * their storage asks for. */
Test(lower, batch_axes_merge) {
  poa_lowered l = lower(parse("graph @f (%q: f32[2,3,5,8], %h: f32[2,5,3,8]) {\n"
                              "%q = input {name=\"q\"} : f32[2,3,5,8]\n"
                              "%h = input {name=\"h\"} : f32[2,5,3,8]\n"
                              "%a = dot %q, %q {tb=1} : f32[2,3,5,5]\n"
                              "%t = transpose %h {perm=[0,2,1,3]} : f32[2,3,5,8]\n"
                              "%b = dot %t, %t {tb=1} : f32[2,3,5,5]\n}\n"));
  const poa_gemm *dense = l.requests[0].description, *strided = l.requests[1].description;
  cr_assert(dense->batch_rank == 1 && dense->batch[0] == 6);
  cr_assert(strided->batch_rank == 2 && strided->a.row == 24 && strided->b.column == 24);
  cr_assert_eq(l.launches[0].flops, 2.0 * 6 * 5 * 5 * 8);
}

/* Protects from code for buffers that lie nowhere. */
Test(lower, refuses_without_schedule) {
  poa_error error = {0};
  poa_lowered lowered;
  poa_graph *graph = parse("graph @f (%x: f32[8]) {\n%x = input {name=\"x\"} : f32[8]\n}\n");
  cr_assert_eq(poa_lower_launches(graph, &target, arena, &lowered, &error), POA_UNSUPPORTED);
  cr_assert(strstr(error.message, "schedule"));
}

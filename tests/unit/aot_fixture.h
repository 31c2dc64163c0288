/* aot_fixture.h: what the tests of ahead-of-time compilation share: a folder, graphs, and
 * libraries made of them. Each test has its own, by setup and teardown. */
#ifndef POA_TESTS_AOT_FIXTURE_H
#define POA_TESTS_AOT_FIXTURE_H

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "codegen/aot.h"
#include "frontend/model.h"
#include "passes/passes.h"
#include "support/tools.h"
#include "temporary_folder.h"

static char folder[64];
static poa_arena *arena;
static poa_model *model;
static poa_target target;

static inline void setup(void) {
  poa_error error = {0};
  make_folder(folder);
  arena = poa_arena_create();
  cr_assert_eq(poa_target_init_for(&target, NULL, NULL, &error), POA_OK, "%s", error.message);
}

static inline void teardown(void) {
  poa_target_free(&target);
  if (model)
    poa_model_free(model);
  poa_arena_free(arena);
  remove_folder(folder);
}

/* A name in the folder of the test. */
static inline const char *in_folder(const char *name) {
  return poa_arena_format(arena, "%s/%s", folder, name);
}

static inline void write_file(const char *name, const void *bytes, size_t size) {
  FILE *file = fopen(in_folder(name), "wb");
  cr_assert(file && fwrite(bytes, 1, size, file) == size && fclose(file) == 0);
}

/* The whole file, from malloc, with a terminator. */
static inline char *read_file(const char *name, size_t *size) {
  FILE *file = fopen(in_folder(name), "rb");
  cr_assert_not_null(file, "no file '%s'", name);
  fseek(file, 0, SEEK_END);
  *size = (size_t)ftell(file);
  rewind(file);
  char *bytes = calloc(*size + 1, 1);
  cr_assert(bytes && fread(bytes, 1, *size, file) == *size);
  fclose(file);
  return bytes;
}

/* Graphs. */

/* Two layers, with rows of odd length so that every last vector is a part of one. */
static const char two_layers[] = "param \"\" \"w\": f32[13,21] = constant(0)\n"
                                 "param \"\" \"v\": f32[13,7] = constant(0)\n"
                                 "graph @features (%x: f32[4,21]) {\n"
                                 "%x = input {name=\"x\"} : f32[4,21]\n"
                                 "%w = parameter {set=\"\", name=\"w\"} : f32[13,21]\n"
                                 "%v = parameter {set=\"\", name=\"v\"} : f32[13,7]\n"
                                 "%a = dot %x, %w {tb=1} : f32[4,13]\n"
                                 "%b = tanh %a : f32[4,13]\n"
                                 "%c = dot %b, %v : f32[4,7]\n"
                                 "%o = output %c {name=\"y\", kind=\"result\"} : f32[4,7]\n}\n";

/* Updates its parameter, reports, takes numbers of every type. */
static const char one_step[] = "param \"\" \"w\": f32[6,5] = constant(0)\n"
                               "graph @step (%x: f32[6,5], %rows: i32[6], %keep: bool[6,5]) {\n"
                               "%x = input {name=\"x\"} : f32[6,5]\n"
                               "%rows = input {name=\"rows\"} : i32[6]\n"
                               "%keep = input {name=\"keep\"} : bool[6,5]\n"
                               "%w = parameter {set=\"\", name=\"w\"} : f32[6,5]\n"
                               "%g = gather %x, %rows : f32[6,5]\n"
                               "%s = select %keep, %g, %w : f32[6,5]\n"
                               "%m = mul %s, %w : f32[6,5]\n"
                               "%t = reduce_sum %m {axes=[1]} : f32[6]\n"
                               "%u = sub %w, %s : f32[6,5]\n"
                               "%e = assign %w, %u : f32[6,5]\n"
                               "%o = output %m {name=\"product\", kind=\"result\"} : f32[6,5]\n"
                               "%r = output %t {name=\"loss.row\", kind=\"report\"} : f32[6]\n}\n";

static inline poa_graph *schedule(poa_graph *graph, const poa_options *options) {
  poa_error error = {0};
  cr_assert_eq(poa_pipeline_run(graph, NULL, NULL, options, true, NULL, NULL, &error), POA_OK, "%s",
               error.message);
  return graph;
}

static inline poa_graph *parse(const char *text) {
  poa_error error = {0};
  poa_graph *graph;
  cr_assert_eq(poa_graph_parse(arena, "test", text, &graph, &error), POA_OK, "%s", error.message);
  poa_options options = {.vector_lanes = target.vector_lanes};
  return schedule(graph, &options);
}

static inline poa_lowered lower(const poa_graph *graph, const poa_target *made_for) {
  poa_error error = {0};
  poa_lowered lowered;
  cr_assert_eq(poa_lower_launches(graph, made_for, arena, &lowered, &error), POA_OK, "%s",
               error.message);
  return lowered;
}

/* Numbers in -0.5..0.5 that nothing repeats. */
static inline float *made_up(int64_t count, uint32_t seed) {
  float *values = aligned_alloc(64, (size_t)(count * 4 + 63) / 64 * 64);
  for (int64_t i = 0; i < count; i++) {
    seed = seed * 1664525u + 1013904223u;
    values[i] = (float)(seed >> 8) / 16777216.0f - 0.5f;
  }
  return values;
}

/* Libraries. */

static inline poa_aot_library library_of(const char *name, const poa_lowered *lowered,
                                         const poa_target *made_for, const void *weights) {
  return (poa_aot_library){.name = name,
                           .title = "a test",
                           .lowered = lowered,
                           .target = made_for,
                           .weights = weights,
                           .normalization = "0.25/0.5"};
}

static inline void write_library(const poa_aot_library *library, poa_aot_form form,
                                 const char *file) {
  poa_error error = {0};
  cr_assert_eq(poa_aot_library_write(library, form, in_folder(file), &error), POA_OK, "%s",
               error.message);
  cr_assert_eq(poa_aot_header_write(
                   library, in_folder(poa_arena_format(arena, "%s.h", library->name)), &error),
               POA_OK, "%s", error.message);
}

#endif

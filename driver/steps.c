/* steps.c: see steps.h.
 *
 * What differs between the graphs for n, n + 1 and n + 2 steps is found by comparing their texts
 * without the arguments of the sources, and these number by number. */
#include "driver/steps.h"

#include <stdlib.h>
#include <string.h>

enum { TRIALS = 3 };

static poa_status elaborate(const poa_deployment *d, const char *entry, double steps,
                            poa_arena *arena, poa_graph **graph, poa_error *error) {
  poa_flags flags = d->flags;
  poa_model *model;
  if (flags.override_count == POA_MAX_OVERRIDES)
    return poa_fail(error, POA_BAD_INPUT, "more than %d constants set", POA_MAX_OVERRIDES);
  flags.overrides[flags.override_count++] = poa_arena_format(arena, "steps=%.0f", steps);
  poa_status status = poa_load_model(&flags, &model, error);
  if (status)
    return status;
  poa_arena *scratch = poa_arena_create();
  poa_graph *made;
  status = scratch ? poa_model_graph(model, entry, scratch, &made, error)
                   : poa_fail(error, POA_NO_MEMORY, "out of memory");
  /* Read back from its text, it no longer refers to the model. */
  char *text = NULL;
  size_t size;
  FILE *out = status ? NULL : open_memstream(&text, &size);
  if (out) {
    poa_graph_print(made, out);
    fclose(out);
    status = poa_graph_parse(arena, entry, text, graph, error);
  }
  free(text);
  poa_arena_free(scratch);
  poa_model_free(model);
  return status;
}

/* The graph as text, without its inputs' arguments. */
static char *bare_text(const poa_graph *graph, poa_arena *arena) {
  poa_graph bare = *graph;
  char *text = NULL;
  size_t size;
  bare.inputs = poa_arena_alloc(arena, (size_t)(graph->input_count + 1) * sizeof *bare.inputs);
  memcpy(bare.inputs, graph->inputs, (size_t)graph->input_count * sizeof *bare.inputs);
  for (int i = 0; i < bare.input_count; i++)
    bare.inputs[i].argument_count = 0;
  FILE *out = open_memstream(&text, &size);
  if (!out)
    return NULL;
  poa_graph_print(&bare, out);
  fclose(out);
  return text;
}

static bool same_text(const poa_graph *a, const poa_graph *b, poa_arena *arena) {
  char *left = bare_text(a, arena), *right = bare_text(b, arena);
  bool same = left && right && strcmp(left, right) == 0;
  free(left);
  free(right);
  return same;
}

/* The slope of an argument over the three trials; false where it does not grow evenly. */
static bool find_slope(const poa_source_argument *const argument[TRIALS], double *slope) {
  bool is_text = argument[0]->text != NULL;
  *slope = argument[1]->value - argument[0]->value;
  if (is_text)
    return argument[1]->text && argument[2]->text &&
           strcmp(argument[0]->text, argument[1]->text) == 0 &&
           strcmp(argument[0]->text, argument[2]->text) == 0;
  return argument[2]->value - argument[1]->value == *slope;
}

static bool compare_inputs(poa_graph *const graph[TRIALS], poa_arena *arena,
                           poa_step_slopes *slopes) {
  int most = 1;
  for (int i = 0; i < graph[0]->input_count; i++)
    most += graph[0]->inputs[i].argument_count;
  slopes->slopes = poa_arena_alloc(arena, (size_t)most * sizeof *slopes->slopes);
  for (int i = 0; i < graph[0]->input_count; i++) {
    const poa_input *input = &graph[0]->inputs[i];
    for (int k = 0; k < input->argument_count; k++) {
      const poa_source_argument *argument[TRIALS];
      double slope;
      for (int trial = 0; trial < TRIALS; trial++) {
        if (graph[trial]->inputs[i].argument_count != input->argument_count)
          return false;
        argument[trial] = &graph[trial]->inputs[i].arguments[k];
      }
      if (!find_slope(argument, &slope))
        return false;
      if (slope != 0)
        slopes->slopes[slopes->count++] = (poa_step_slope){
            poa_arena_text(arena, input->name), poa_arena_text(arena, argument[0]->name), slope};
    }
  }
  return true;
}

poa_status poa_find_step_slopes(const poa_deployment *d, const char *entry, poa_arena *arena,
                                poa_step_slopes *slopes, poa_error *error) {
  poa_graph *graph[TRIALS];
  double steps;
  *slopes = (poa_step_slopes){0};
  if (!poa_model_number(d->model, "steps", &steps))
    return POA_OK;
  for (int trial = 0; trial < TRIALS; trial++) {
    poa_status status = elaborate(d, entry, steps + trial, arena, &graph[trial], error);
    if (status)
      return status;
  }
  slopes->vary = same_text(graph[0], graph[1], arena) && same_text(graph[0], graph[2], arena) &&
                 compare_inputs(graph, arena, slopes);
  return POA_OK;
}

void poa_set_step_slopes(const poa_step_slopes *slopes, const poa_plan *plan) {
  for (int s = 0; slopes->vary && s < slopes->count; s++)
    for (int i = 0; i < plan->input_count; i++)
      for (int k = 0; k < plan->inputs[i].argument_count; k++) {
        /* The compiler made the plan in its arena. */
        poa_plan_source_argument *argument =
            (poa_plan_source_argument *)(uintptr_t)&plan->inputs[i].arguments[k];
        if (strcmp(plan->inputs[i].name, slopes->slopes[s].input) == 0 &&
            strcmp(argument->name, slopes->slopes[s].argument) == 0)
          argument->per_step = slopes->slopes[s].per_step;
      }
}

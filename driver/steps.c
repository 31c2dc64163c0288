/* steps.c: see steps.h.
 *
 * The model is elaborated for some numbers of steps, and each graph compared with the one that is
 * compiled: their texts without the arguments of the sources, and these number by number. In the
 * neighbourhood of the compiled number rounding and remainders show; far from it, to either side,
 * what a minimum, a maximum or a condition changes. A slope is taken only if it gives every trial's
 * argument exactly, by the sum that the program will do: then its bits are those of `poa train`. */
#include "driver/steps.h"

#include <stdlib.h>
#include <string.h>

/* What is compared: the entry, and what a program knows of the model besides. */
typedef struct reference {
  const poa_deployment *deployment;
  const char *entry;
  double steps, eval_images;
  const poa_graph *graph;
  char *text;
} reference;

/* The graph as text, without its inputs' arguments; the caller frees it. NULL without memory. */
static char *bare_text(const poa_graph *graph, poa_arena *arena) {
  poa_graph bare = *graph;
  char *text = NULL;
  size_t size;
  bare.inputs = poa_arena_alloc(arena, (size_t)(graph->input_count + 1) * sizeof *bare.inputs);
  if (graph->input_count)
    memcpy(bare.inputs, graph->inputs, (size_t)graph->input_count * sizeof *bare.inputs);
  for (int i = 0; i < bare.input_count; i++)
    bare.inputs[i].argument_count = 0;
  FILE *out = open_memstream(&text, &size);
  if (!out)
    return NULL;
  poa_graph_print(&bare, out);
  if (fclose(out) == 0)
    return text;
  free(text);
  return NULL;
}

/* The first trial, one step more, finds the slope; the others must agree. */
static bool grows_evenly(const poa_source_argument *compiled, const poa_source_argument *other,
                         double more, bool first, double *slope) {
  if (compiled->text || other->text)
    return compiled->text && other->text && strcmp(compiled->text, other->text) == 0;
  if (first)
    *slope = (other->value - compiled->value) / more;
  return other->value == compiled->value + *slope * more;
}

static bool same_growth(const poa_graph *compiled, const poa_graph *other, double more, bool first,
                        poa_step_slopes *slopes) {
  poa_step_slope *slope = slopes->slopes;
  for (int i = 0; i < compiled->input_count; i++) {
    const poa_input *input = &compiled->inputs[i];
    if (other->inputs[i].argument_count != input->argument_count)
      return false;
    for (int k = 0; k < input->argument_count; k++, slope++)
      if (!grows_evenly(&input->arguments[k], &other->inputs[i].arguments[k], more, first,
                        &slope->per_step))
        return false;
  }
  return true;
}

static poa_status compare(const reference *r, poa_model *model, double more, bool first,
                          poa_arena *scratch, poa_step_slopes *slopes, poa_error *error) {
  poa_graph *graph;
  poa_error refusal = {0};
  double eval_images = 0;
  if (poa_model_graph(model, r->entry, scratch, &graph, &refusal)) {
    slopes->vary = false;
    return POA_OK;
  }
  char *text = bare_text(graph, scratch);
  if (!text)
    return poa_fail(error, POA_NO_MEMORY, "no memory for the text of '%s'", r->entry);
  poa_model_number(model, "eval_images", &eval_images);
  slopes->vary = strcmp(text, r->text) == 0 && eval_images == r->eval_images &&
                 same_growth(r->graph, graph, more, first, slopes);
  free(text);
  return POA_OK;
}

/* Compares with the model at another number of steps; one that cannot be does not vary. */
static poa_status try_steps(const reference *r, double steps, bool first, poa_step_slopes *slopes,
                            poa_error *error) {
  poa_flags flags = r->deployment->flags;
  poa_model *model = NULL;
  poa_error refusal = {0};
  if (flags.override_count == POA_MAX_OVERRIDES)
    return poa_fail(error, POA_BAD_INPUT, "more than %d constants set", POA_MAX_OVERRIDES);
  poa_arena *scratch = poa_arena_create();
  if (!scratch)
    return poa_fail(error, POA_NO_MEMORY, "out of memory");
  flags.overrides[flags.override_count++] = poa_arena_format(scratch, "steps=%.0f", steps);
  flags.quiet = true;
  poa_status status = poa_load_model(&flags, &model, &refusal);
  if (status == POA_OK) {
    status = compare(r, model, steps - r->steps, first, scratch, slopes, error);
  } else if (status == POA_NO_MEMORY) {
    poa_fail(error, status, "%s", refusal.message);
  } else {
    slopes->vary = false;
    status = POA_OK;
  }
  poa_model_free(model);
  poa_arena_free(scratch);
  return status;
}

/* A row for each argument of the compiled graph. */
static void list_arguments(const poa_graph *graph, poa_arena *arena, poa_step_slopes *slopes) {
  size_t most = 1;
  for (int i = 0; i < graph->input_count; i++)
    most += (size_t)graph->inputs[i].argument_count;
  slopes->slopes = poa_arena_alloc(arena, most * sizeof *slopes->slopes);
  for (int i = 0; i < graph->input_count; i++)
    for (int k = 0; k < graph->inputs[i].argument_count; k++)
      slopes->slopes[slopes->count++] =
          (poa_step_slope){poa_arena_text(arena, graph->inputs[i].name),
                           poa_arena_text(arena, graph->inputs[i].arguments[k].name), 0};
}

poa_status poa_find_step_slopes(const poa_deployment *d, const char *entry, poa_arena *arena,
                                poa_step_slopes *slopes, poa_error *error) {
  reference r = {.deployment = d, .entry = entry};
  poa_graph *graph;
  *slopes = (poa_step_slopes){0};
  if (!poa_model_number(d->model, "steps", &r.steps))
    return POA_OK;
  poa_model_number(d->model, "eval_images", &r.eval_images);
  poa_status status = poa_model_graph(d->model, entry, arena, &graph, error);
  if (status)
    return status;
  r.graph = graph;
  r.text = bare_text(graph, arena);
  if (!r.text)
    return poa_fail(error, POA_NO_MEMORY, "no memory for the text of '%s'", entry);
  list_arguments(graph, arena, slopes);
  slopes->vary = true;
  const double trials[] = {r.steps + 1, r.steps + 2, r.steps + 3, 1, 2, 10 * r.steps + 7, 1000003};
  for (size_t i = 0; i < sizeof trials / sizeof *trials && slopes->vary && status == POA_OK; i++)
    status = try_steps(&r, trials[i], i == 0, slopes, error);
  free(r.text);
  return status;
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

/* compile_entries.c: from descriptions and weights to lowered plans that share their parameters.
 *
 * One point of an entry that only reads becomes a plain network, with the parameters of its own
 * size. Several points stay sub-networks of the elastic one: they read prefixes of the same
 * weights. Either way the table of parameters holds what some entry reads, and nothing of the
 * optimizer; an entry that updates parameters keeps the whole table, which is a run's state. */
#include <stdlib.h>
#include <string.h>

#include "driver/compile.h"
#include "runtime/plan_copy.h"

/* Whether the entry updates parameters. */
static bool updates(const poa_graph *graph) {
  for (uint32_t i = 0; i < graph->node_count; i++)
    if (graph->nodes[i].op == POA_OP_assign)
      return true;
  return false;
}

/* The graph of an entry at its point, ready to be lowered, in `arena`. */
static poa_status make_graph(poa_compilation *c, poa_compiled_entry *made, poa_arena *arena,
                             poa_error *error) {
  poa_deployment *deployment = &c->deployments[made->batch];
  poa_options options = {.point = made->point,
                         .has_point = true,
                         .vector_lanes = c->targets[made->variant].vector_lanes,
                         .bf16 = c->bf16 && strcmp(made->entry, "step") == 0};
  poa_status status = poa_model_graph(deployment->model, made->entry, arena, &made->graph, error);
  if (status)
    return status;
  c->whole |= updates(made->graph);
  made->plain = c->point_count == 1 && !c->whole;
  if (made->plain)
    status = poa_deployment_plain(deployment, made->entry, &made->point, arena, &made->graph,
                                  &made->extraction, error);
  if (status)
    return status;
  return poa_pipeline_run(made->graph, NULL, NULL, &options, false, NULL, NULL, error);
}

static poa_status lower(poa_compilation *c, poa_compiled_entry *made, poa_error *error) {
  return poa_lower_launches(made->graph, &c->targets[made->variant], c->arena, &made->lowered,
                            error);
}

/* A training step's graph is large and there is one for each point: it goes as soon as it is
 * lowered, which it can be at once, since nothing is shared but the whole table. */
static poa_status make_and_lower(poa_compilation *c, poa_compiled_entry *made, poa_error *error) {
  poa_arena *scratch = poa_arena_create();
  if (!scratch)
    return poa_fail(error, POA_NO_MEMORY, "out of memory");
  poa_status status = make_graph(c, made, scratch, error);
  if (status == POA_OK)
    status = lower(c, made, error);
  if (status == POA_OK && !(made->owned = poa_plan_copy(made->lowered.plan)))
    status = poa_fail(error, POA_NO_MEMORY, "no memory for the plan");
  made->lowered.plan = made->owned;
  made->graph = NULL;
  poa_arena_free(scratch);
  return status;
}

static poa_status add_one(poa_compilation *c, poa_compiled_entry made, poa_error *error) {
  if (c->entry_count == c->entry_capacity) {
    int capacity = 2 * c->entry_capacity + 16;
    poa_compiled_entry *larger = poa_arena_alloc(c->arena, (size_t)capacity * sizeof *larger);
    if (c->entry_count)
      memcpy(larger, c->entries, (size_t)c->entry_count * sizeof *larger);
    c->entries = larger;
    c->entry_capacity = capacity;
  }
  if (poa_check_signals(&c->signals, error))
    return POA_INTERRUPTED;
  poa_compiled_entry *kept = &c->entries[c->entry_count++];
  *kept = made;
  return c->trainer ? make_and_lower(c, kept, error) : make_graph(c, kept, c->arena, error);
}

poa_status poa_compile_add(poa_compilation *c, const char *entry, const poa_point *point,
                           poa_error *error) {
  poa_status status = POA_OK;
  for (int variant = 0; variant < c->variant_count; variant++)
    for (int batch = 0; batch < c->batch_count && status == POA_OK; batch++)
      status = add_one(
          c,
          (poa_compiled_entry){.entry = entry, .point = *point, .variant = variant, .batch = batch},
          error);
  return status;
}

/* The table of parameters. */

static const poa_parameter *find(const poa_parameter *table, int count, const char *set,
                                 const char *name) {
  for (int i = 0; i < count; i++)
    if (strcmp(table[i].name, name) == 0 && strcmp(table[i].set, set) == 0)
      return &table[i];
  return NULL;
}

/* Adds to the common table what `made` reads and the table lacks. */
static void join_table(poa_compilation *c, const poa_compiled_entry *made) {
  const poa_graph *graph = made->graph;
  bool *read = poa_arena_alloc(c->arena, (size_t)graph->parameter_count + 1);
  poa_mark_read_parameters(graph, read);
  for (int i = 0; i < graph->parameter_count; i++) {
    const poa_parameter *p = &graph->parameters[i];
    if (read[i] && !find(c->parameters, c->parameter_count, p->set, p->name)) {
      c->origins[c->parameter_count] = (poa_parameter_origin){made, i, *p};
      c->parameters[c->parameter_count++] = *p;
    }
  }
}

static void share_table(poa_compilation *c) {
  size_t most = 1;
  for (int i = 0; i < c->entry_count; i++)
    most += (size_t)c->entries[i].graph->parameter_count;
  c->parameters = poa_arena_alloc(c->arena, most * sizeof *c->parameters);
  c->origins = poa_arena_alloc(c->arena, most * sizeof *c->origins);
  for (int i = 0; i < c->entry_count; i++)
    join_table(c, &c->entries[i]);
  for (int i = 0; i < c->entry_count; i++) {
    c->entries[i].graph->parameters = c->parameters;
    c->entries[i].graph->parameter_count = c->parameter_count;
  }
}

poa_status poa_compile_lower(poa_compilation *c, poa_error *error) {
  poa_status status = POA_OK;
  if (!c->whole)
    share_table(c);
  for (int i = 0; i < c->entry_count && status == POA_OK; i++)
    if (c->entries[i].graph)
      status = lower(c, &c->entries[i], error);
  return status;
}

/* Weights. */

static poa_status fill(poa_compilation *c, const poa_parameter_origin *origin, float *out,
                       poa_error *error) {
  const poa_compiled_entry *entry = origin->entry;
  poa_deployment *deployment = &c->deployments[entry->batch];
  if (!entry->plain)
    return poa_deployment_values(deployment, &origin->parameter, out, error);
  return poa_deployment_plain_values(deployment, &entry->extraction, origin->index, out, error);
}

poa_status poa_compile_weights(poa_compilation *c, void **weights, poa_error *error) {
  const poa_plan *plan = c->entries[0].lowered.plan;
  size_t bytes = ((size_t)plan->parameter_bytes + 4095) / 4096 * 4096;
  char *block = aligned_alloc(4096, bytes ? bytes : 4096);
  if (!block)
    return poa_fail(error, POA_NO_MEMORY, "no memory for %zu bytes of weights", bytes);
  memset(block, 0, bytes);
  poa_status status = POA_OK;
  for (int i = 0; i < c->parameter_count && status == POA_OK; i++)
    status = fill(c, &c->origins[i], (float *)(void *)(block + plan->parameters[i].offset), error);
  if (status) {
    free(block);
    return status;
  }
  *weights = block;
  return POA_OK;
}

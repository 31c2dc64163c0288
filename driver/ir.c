/* ir.c: prints the graph of an entry at any stage. */
#include <string.h>

#include "driver/precision.h"

static void print_after(void *context, const char *pass, const poa_graph *graph, double seconds) {
  (void)context;
  (void)seconds;
  printf("# after %s\n", pass);
  poa_graph_print(graph, stdout);
}

static poa_status print_stages(const poa_flags *flags, poa_graph *graph, poa_error *error) {
  poa_options options = {.keep_probes = flags->probes, .has_point = flags->at != NULL};
  if (poa_precision_asked(flags, &options.bf16, error))
    return error->status;
  if (flags->at && poa_point_parse(&graph->lattice, flags->at, &options.point, error))
    return error->status;
  if (flags->print_after_all) {
    print_after(NULL, "elaborate", graph, 0);
    return poa_pipeline_run(graph, NULL, NULL, &options, flags->verify, print_after, NULL, error);
  }
  if (flags->after &&
      poa_pipeline_run(graph, NULL, flags->after, &options, flags->verify, NULL, NULL, error))
    return error->status;
  poa_graph_print(graph, stdout);
  return POA_OK;
}

int poa_ir(const poa_flags *flags) {
  poa_error error = {0};
  poa_model *model = NULL;
  poa_graph *graph;
  poa_arena *arena = poa_arena_create();
  bool good =
      !poa_load_model(flags, &model, &error) &&
      !poa_model_graph(model, flags->entry ? flags->entry : "step", arena, &graph, &error) &&
      !print_stages(flags, graph, &error);
  poa_arena_free(arena);
  poa_model_free(model);
  return good ? 0 : poa_report_failure(&error);
}

/* fuzz_frontend.c: arbitrary text as a model description.
 *
 * Loading either succeeds, and then every entry becomes a graph that the verifier accepts
 * and that reads back, or fails with a message. The text stands in a file in memory, so
 * that the whole way from reading the file on is walked; it may import models. */
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "frontend/model.h"
#include "runtime/sources.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A graph of a loaded model has to be right: anything else is our bug. */
static void check_entry(poa_model *model, const char *entry) {
  poa_error error = {0};
  poa_graph *graph;
  poa_arena *arena = poa_arena_create();
  if (poa_model_graph(model, entry, arena, &graph, &error) || poa_graph_verify(graph, &error)) {
    fprintf(stderr, "entry '%s': %s\n", entry, error.message);
    abort();
  }
  poa_arena_free(arena);
}

static void load(const char *path) {
  poa_error error = {0};
  poa_model *model;
  char *shown = NULL;
  size_t length = 0;
  FILE *diagnostics = open_memstream(&shown, &length);
  poa_model_options options = {.path = path,
                               .models_dir = "models",
                               .diagnostics = diagnostics,
                               .source_exists = poa_source_exists};
  const char *folder = getenv("POA_MODELS");
  if (folder)
    options.models_dir = folder;
  poa_status status = poa_model_load(&model, &options, &error);
  fclose(diagnostics);
  if ((status == POA_OK) != (length == 0) || (status != POA_OK) != (*error.message != 0)) {
    fprintf(stderr, "status %d, message '%s', shown:\n%s", status, error.message, shown);
    abort();
  }
  free(shown);
  for (int i = 0; status == POA_OK && i < poa_model_entry_count(model); i++)
    check_entry(model, poa_model_entry_name(model, i));
  poa_model_free(model);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  char path[64];
  int file = memfd_create("description", 0);
  snprintf(path, sizeof path, "/proc/self/fd/%d", file);
  if (file >= 0 && write(file, data, size) == (ssize_t)size)
    load(path);
  close(file);
  return 0;
}

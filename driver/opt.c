/* opt.c: graph text in, passes, graph text out. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "driver/precision.h"

static int list_passes(void) {
  for (int i = 0; i < poa_pipeline_count; i++)
    printf("%-14s %s\n", poa_pipeline[i].name, poa_pipeline[i].description);
  return 0;
}

/* The whole stream as text of the arena; NULL with errno set. */
static char *read_all(FILE *file, poa_arena *arena) {
  size_t size = 0, capacity = 1 << 16;
  char *text = poa_arena_alloc(arena, capacity);
  for (size_t got; (got = fread(text + size, 1, capacity - size - 1, file)) > 0;) {
    size += got;
    if (size + 1 < capacity)
      continue;
    char *grown = poa_arena_alloc(arena, 2 * capacity);
    memcpy(grown, text, size);
    text = grown;
    capacity *= 2;
  }
  return ferror(file) ? NULL : text;
}

static poa_status read_text(const char *path, poa_arena *arena, char **text, poa_error *error) {
  bool standard = strcmp(path, "-") == 0;
  FILE *file = standard ? stdin : fopen(path, "rb");
  *text = file ? read_all(file, arena) : NULL;
  int reason = errno;
  if (file && !standard)
    fclose(file);
  return *text ? POA_OK : poa_fail(error, POA_IO, "cannot read '%s': %s", path, strerror(reason));
}

static poa_status transform(const poa_flags *flags, poa_arena *arena, poa_error *error) {
  const char *path = flags->argument_count ? flags->arguments[0] : "-";
  char *text;
  poa_graph *graph;
  poa_status status = read_text(path, arena, &text, error);
  if (status == POA_OK)
    status = poa_graph_parse(arena, path, text, &graph, error);
  if (status)
    return status;
  poa_options options = {.keep_probes = flags->probes, .has_point = flags->at != NULL};
  if (flags->at)
    status = poa_point_parse(&graph->lattice, flags->at, &options.point, error);
  if (status == POA_OK)
    status = poa_precision_asked(flags, &options.bf16, error);
  if (status == POA_OK && flags->passes)
    status = poa_pipeline_run(graph, flags->passes, NULL, &options, true, NULL, NULL, error);
  if (status == POA_OK)
    poa_graph_print(graph, stdout);
  return status;
}

int poa_opt(const poa_flags *flags) {
  if (flags->list)
    return list_passes();
  poa_error error = {0};
  poa_arena *arena = poa_arena_create();
  poa_status status =
      arena ? transform(flags, arena, &error) : poa_fail(&error, POA_NO_MEMORY, "out of memory");
  poa_arena_free(arena);
  return status ? poa_report_failure(&error) : 0;
}

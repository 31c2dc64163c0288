/* fuzz_ir.c: arbitrary text as a graph.
 *
 * Parsing either fails with a message or gives a graph; what the verifier accepts has to
 * print to text that reads back to the same text. */
#include <stdlib.h>
#include <string.h>

#include "ir/ir.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char *print(const poa_graph *graph) {
  char *text = NULL;
  size_t length;
  FILE *out = open_memstream(&text, &length);
  poa_graph_print(graph, out);
  fclose(out);
  return text;
}

static void check_round_trip(poa_arena *arena, const poa_graph *graph) {
  poa_error error = {0};
  poa_graph *again;
  char *first = print(graph);
  if (poa_graph_parse(arena, "printed", first, &again, &error)) {
    fprintf(stderr, "%s\nin\n%s", error.message, first);
    abort();
  }
  char *second = print(again);
  if (strcmp(first, second) != 0) {
    fprintf(stderr, "%s\nbecame\n%s", first, second);
    abort();
  }
  free(first);
  free(second);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  poa_error error = {0};
  poa_graph *graph;
  poa_arena *arena = poa_arena_create();
  char *text = malloc(size + 1);
  memcpy(text, data, size);
  text[size] = '\0';
  poa_status status = poa_graph_parse(arena, "text", text, &graph, &error);
  if ((status != POA_OK) != (*error.message != 0))
    abort();
  if (status == POA_OK && poa_graph_verify(graph, &error) == POA_OK)
    check_round_trip(arena, graph);
  free(text);
  poa_arena_free(arena);
  return 0;
}

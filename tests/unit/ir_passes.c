/* ir_passes.c: runs the text tests of tests/ir/. Each file is a graph with
 *
 *   # RUN: poa opt --passes=simplify %s | FileCheck %s      ("not poa opt ..": it fails)
 *   # CHECK: %1 = dot %0, %0 {tb=1} : f32[4,4]
 *
 * CHECK lines are found in the output (or the message) in order, CHECK-NEXT in the very
 * next line, CHECK-NOT nowhere between its neighbours; blanks count as one. The same
 * files run through `poa opt` and LLVM's FileCheck. Where the graph can be interpreted
 * before and after, its outputs must agree too. */
#include <criterion/criterion.h>
#include <dirent.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "passes/passes.h"

enum { MOST_RESULTS = 4096 };

/* Text */

static char *read_file(const char *path) {
  FILE *file = fopen(path, "rb");
  cr_assert(file, "cannot read %s", path);
  char *text = calloc(1, 1 << 16);
  cr_assert(fread(text, 1, (1 << 16) - 1, file) > 0, "%s is empty", path);
  fclose(file);
  return text;
}

/* `length` characters of text with runs of blanks as one, none at the ends. */
static void squeeze(const char *text, size_t length, char *out, size_t size) {
  size_t used = 0;
  for (size_t i = 0; i < length && used + 1 < size; i++) {
    bool blank = text[i] == ' ' || text[i] == '\t';
    if (!blank || (used && out[used - 1] != ' '))
      out[used++] = blank ? ' ' : text[i];
  }
  while (used && out[used - 1] == ' ')
    used--;
  out[used] = 0;
}

/* The next line of *text, squeezed; false at the end. */
static bool next_line(const char **text, char *line, size_t size) {
  if (!**text)
    return false;
  size_t length = strcspn(*text, "\n");
  squeeze(*text, length, line, size);
  *text += length + ((*text)[length] == '\n');
  return true;
}

/* What follows "# KEY:" in the line, or NULL. */
static const char *directive(const char *line, const char *key) {
  size_t length = strlen(key);
  if (strncmp(line, "# ", 2) || strncmp(line + 2, key, length) || line[2 + length] != ':')
    return NULL;
  line += 3 + length;
  return line + (*line == ' ');
}

/* Finds `wanted` at or after *text and moves behind its line; no line on the way may
 * hold `banned` (unless empty). */
static bool find(const char **text, const char *wanted, const char *banned, bool next_only) {
  char line[1000];
  while (next_line(text, line, sizeof line)) {
    if (wanted && strstr(line, wanted))
      return true;
    if (next_only || (*banned && strstr(line, banned)))
      return false;
  }
  return !wanted;
}

static void match(const char *path, const char *test, const char *output) {
  char line[1000], banned[1000] = "";
  const char *at = output;
  int checks = 0;
  while (next_line(&test, line, sizeof line)) {
    const char *plain = directive(line, "CHECK"), *next = directive(line, "CHECK-NEXT");
    const char *no = directive(line, "CHECK-NOT");
    if (no)
      snprintf(banned, sizeof banned, "%s", no);
    checks += plain || next || no;
    if (!plain && !next)
      continue;
    cr_assert(find(&at, plain ? plain : next, banned, next), "%s: not found: %s\nin\n%s", path,
              line, output);
    *banned = 0;
  }
  cr_assert(find(&at, NULL, banned, false), "%s: found: %s\nin\n%s", path, banned, output);
  cr_assert(checks, "%s has no CHECK line", path);
}

/* Values: the outputs and assignments of a graph for made-up inputs */

typedef struct results {
  double data[MOST_RESULTS];
  int64_t count;
} results;

/* By the name and place of the element alone, so that both graphs read the same. */
static poa_status load(void *context, const poa_graph *graph, const poa_node *node,
                       poa_tensor *tensor, poa_error *error) {
  (void)context;
  (void)graph;
  (void)error;
  uint64_t seed = 7;
  for (const char *c = poa_node_string(node, "name"); *c; c++)
    seed = seed * 31 + (unsigned char)*c;
  int64_t elements = poa_type_elements(tensor->type);
  for (int64_t i = 0; i < elements; i++) {
    uint64_t x = (seed + (uint64_t)i) * 0x9e3779b97f4a7c15u;
    double unit = (double)((x ^ x >> 29) >> 40 & 0xffff) / 65536;
    tensor->data[i] = tensor->type.dtype == POA_F32   ? 0.5 + unit
                      : tensor->type.dtype == POA_I32 ? floor(3 * unit)
                                                      : unit > 0.5;
  }
  return POA_OK;
}

static poa_status store(void *context, const poa_graph *graph, const poa_node *node,
                        const poa_tensor *tensor, poa_error *error) {
  results *r = context;
  (void)graph;
  (void)error;
  const char *kind = node->op == POA_OP_output ? poa_node_string(node, "kind") : "";
  int64_t elements = strcmp(kind, "probe") ? poa_type_elements(tensor->type) : 0;
  for (int64_t i = 0; i < elements && r->count < MOST_RESULTS; i++)
    r->data[r->count++] = tensor->data[i];
  return POA_OK;
}

static bool interpret(const poa_graph *graph, results *r) {
  poa_bindings bindings = {load, store, NULL, r};
  poa_error error = {0};
  for (uint32_t i = 0; i < graph->node_count; i++)
    if (poa_op_is(graph->nodes[i].op, POA_FLAG_EARLY) || graph->nodes[i].op == POA_OP_call ||
        !poa_type_known(graph->nodes[i].type))
      return false;
  return poa_graph_interpret(graph, &bindings, false, &error) == POA_OK;
}

static void compare(const char *path, const results *before, const results *after) {
  cr_assert(before->count == after->count, "%s: %d values became %d", path, (int)before->count,
            (int)after->count);
  for (int64_t i = 0; i < before->count; i++) {
    double scale = fmax(1, fabs(before->data[i]));
    cr_assert(fabs(before->data[i] - after->data[i]) <= 1e-12 * scale,
              "%s: value %d was %.17g and is %.17g", path, (int)i, before->data[i], after->data[i]);
  }
}

/* Files */

static char *print(const poa_graph *graph) {
  char *text = NULL;
  size_t size;
  FILE *out = open_memstream(&text, &size);
  poa_graph_print(graph, out);
  fclose(out);
  return text;
}

/* The value of --flag= in the RUN line, in `out`; false without it. */
static bool flag(const char *run, const char *name, char *out, size_t size) {
  const char *at = strstr(run, name);
  if (at)
    snprintf(out, size, "%.*s", (int)strcspn(at + strlen(name), " "), at + strlen(name));
  return at;
}

/* "--at=width=64,depth=2" */
static void read_point(const char *run, const poa_graph *graph, poa_options *options) {
  char text[200], *rest = NULL;
  if (!flag(run, "--at=", text, sizeof text))
    return;
  options->has_point = true;
  options->point = poa_lattice_top(&graph->lattice);
  for (char *item = strtok_r(text, ",", &rest); item; item = strtok_r(NULL, ",", &rest))
    for (int i = 0; i < graph->lattice.count; i++) {
      size_t length = strlen(graph->lattice.name[i].name);
      if (!strncmp(item, graph->lattice.name[i].name, length) && item[length] == '=')
        options->point.value[i] = atoll(item + length + 1);
    }
}

static void run_file(const char *path) {
  static results before, after;
  char *test = read_file(path), passes[200];
  const char *run = strstr(test, "# RUN: ");
  poa_error error = {0};
  poa_graph *graph;
  poa_arena *arena = poa_arena_create();
  cr_assert(run && flag(run, "--passes=", passes, sizeof passes), "%s has no RUN line", path);
  cr_assert(poa_graph_parse(arena, path, test, &graph, &error) == POA_OK, "%s", error.message);
  poa_options options = {.keep_probes = strstr(run, "--probes") != NULL,
                         .bf16 = strstr(run, "--precision=bf16") != NULL};
  read_point(run, graph, &options);
  before.count = after.count = 0;
  bool comparable = interpret(graph, &before);
  poa_status status = poa_pipeline_run(graph, passes, NULL, &options, true, NULL, NULL, &error);
  bool must_fail = !strncmp(run, "# RUN: not", 10);
  cr_assert(!status == !must_fail, "%s: %s", path, error.message);
  char *output = status ? strdup(error.message) : print(graph);
  match(path, test, output);
  if (!status && comparable && interpret(graph, &after))
    compare(path, &before, &after);
  free(output);
  free(test);
  poa_arena_free(arena);
}

static int is_test(const struct dirent *entry) {
  size_t length = strlen(entry->d_name);
  return length > 4 && !strcmp(entry->d_name + length - 4, ".txt");
}

static void run_folder(const char *folder) {
  char path[1000];
  struct dirent **entries;
  snprintf(path, sizeof path, "%s/ir/%s", POA_TESTS_DIR, folder);
  int count = scandir(path, &entries, is_test, alphasort);
  cr_assert(count > 0, "no tests in %s", path);
  for (int i = 0; i < count; i++) {
    snprintf(path, sizeof path, "%s/ir/%s/%s", POA_TESTS_DIR, folder, entries[i]->d_name);
    run_file(path);
    free(entries[i]);
  }
  free(entries);
}

/* Each protects what the files of its folder say in their first lines. */

Test(ir_passes, specialize) {
  run_folder("specialize");
}

Test(ir_passes, differentiate) {
  run_folder("differentiate");
}

Test(ir_passes, expand) {
  run_folder("expand");
}

Test(ir_passes, simplify) {
  run_folder("simplify");
}

Test(ir_passes, extract) {
  run_folder("extract");
}

Test(ir_passes, lower_precision) {
  run_folder("lower_precision");
}

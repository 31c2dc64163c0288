/* plugins.c: descriptions that call functions of plugins, beside descriptions of the same
 * network that do not: tests/plugins/swish.c, an activation with its gradient, in the network of
 * examples/swish.poa, and BLAS's matrix product beside our own. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "frontend/model.h"
#include "passes/passes.h"
#include "runtime/philox.h"
#include "support/executed.h"

#define MOST_VALUES 40

/* What a network has computed and been given, by name: "SET.NAME" for parameters. */
typedef struct memory {
  int count;
  struct {
    char name[64];
    double *values;
    int64_t elements;
  } rows[MOST_VALUES];
} memory;

static int find(const memory *m, const char *name) {
  for (int i = 0; i < m->count; i++)
    if (!strcmp(m->rows[i].name, name))
      return i;
  return -1;
}

static void free_memory(memory *m) {
  for (int i = 0; i < m->count; i++)
    free(m->rows[i].values);
}

static void name_of(const poa_node *node, char name[64]) {
  const char *set = node->op == POA_OP_parameter ? poa_node_string(node, "set") : "";
  snprintf(name, 64, "%.20s%s%.40s", set, *set ? "." : "", poa_node_string(node, "name"));
}

/* Parameters as they were left; else made up from the name, normal, parameters small. */
static poa_status load(void *context, const poa_graph *graph, const poa_node *node,
                       poa_tensor *tensor, poa_error *error) {
  (void)graph, (void)error;
  memory *m = context;
  char name[64];
  name_of(node, name);
  int known = find(m, name);
  poa_random random;
  uint32_t use = 5381;
  for (const char *c = name; *c; c++)
    use = use * 33 + (unsigned char)*c;
  poa_random_open(&random, 1, 0, use);
  double size = node->op == POA_OP_parameter ? 0.1 : 1;
  for (int64_t i = 0, n = poa_type_elements(tensor->type); i < n; i++)
    tensor->data[i] =
        known >= 0 ? m->rows[known].values[i] : (double)(float)(size * poa_random_normal(&random));
  return POA_OK;
}

static poa_status store(void *context, const poa_graph *graph, const poa_node *node,
                        const poa_tensor *tensor, poa_error *error) {
  (void)error;
  memory *m = context;
  char name[64];
  name_of(node->op == POA_OP_assign ? poa_node_of(graph, node->operands[0]) : node, name);
  int at = find(m, name);
  if (at < 0) {
    cr_assert_lt(m->count, MOST_VALUES);
    at = m->count++;
    strcpy(m->rows[at].name, name);
    m->rows[at].elements = poa_type_elements(tensor->type);
    m->rows[at].values = malloc((size_t)(m->rows[at].elements + 1) * sizeof(double));
  }
  memcpy(m->rows[at].values, tensor->data, (size_t)m->rows[at].elements * sizeof(double));
  return POA_OK;
}

/* All values of both agree within `limit` of the largest of their tensor. */
static void expect_agreement(const memory *a, const memory *b, double limit) {
  cr_assert_eq(a->count, b->count);
  for (int i = 0; i < a->count; i++) {
    int j = find(b, a->rows[i].name);
    cr_assert(j >= 0 && b->rows[j].elements == a->rows[i].elements, "%s", a->rows[i].name);
    double largest = 0, difference = 0;
    for (int64_t e = 0; e < a->rows[i].elements; e++) {
      double d = fabs(a->rows[i].values[e] - b->rows[j].values[e]);
      difference = d <= difference ? difference : isnan(d) ? INFINITY : d;
      largest = fmax(largest, fabs(a->rows[i].values[e]));
    }
    cr_expect(largest > 0 && difference <= limit * largest, "%s deviates by %.2e of %.2e",
              a->rows[i].name, difference, largest);
  }
}

/* Runs `steps` steps of the entry `step` at the description's sizes, with `in_c` or without. */
static void run(const char *path, bool in_c, const poa_plugins *plugins, int steps, memory *m) {
  const char *overrides[] = {in_c ? "in_c=true" : "in_c=false"};
  poa_model_options options = {.path = path,
                               .models_dir = POA_MODELS_DIR,
                               .override_count = 1,
                               .overrides = overrides,
                               .diagnostics = stderr};
  poa_options passes = {.keep_probes = true};
  poa_model *model;
  poa_graph *graph;
  poa_executed *executed;
  poa_error error = {0};
  poa_arena *arena = poa_arena_create();
  const poa_bindings bindings = {load, store, NULL, m};
  *m = (memory){0};
  cr_assert_eq(poa_model_load(&model, &options, &error), POA_OK, "%s", error.message);
  cr_assert_eq(poa_model_graph(model, "step", arena, &graph, &error), POA_OK, "%s", error.message);
  cr_assert_eq(poa_pipeline_run(graph, NULL, NULL, &passes, true, NULL, NULL, &error), POA_OK, "%s",
               error.message);
  cr_assert_eq(poa_executed_create(&executed, graph, 2, plugins, &error), POA_OK, "%s",
               error.message);
  for (int step = 0; step < steps; step++)
    cr_assert_eq(poa_executed_run(executed, &bindings, &error), POA_OK, "%s", error.message);
  poa_executed_free(executed);
  poa_arena_free(arena);
  poa_model_free(model);
}

static void compare(const char *path, const char *library, int steps, double limit) {
  poa_plugins *plugins;
  poa_error error = {0};
  memory in_c, from_ops;
  cr_assert_eq(poa_plugins_open(&plugins, 1, &library, &error), POA_OK, "%s", error.message);
  run(path, true, plugins, steps, &in_c);
  run(path, false, NULL, steps, &from_ops);
  expect_agreement(&from_ops, &in_c, limit);
  free_memory(&in_c);
  free_memory(&from_ops);
  poa_plugins_close(plugins);
}

/* Protects: an external function and its gradient take part in a step like any op: values,
 * gradients of all parameters on either side of it, and the updated parameters. */
Test(plugins, activation_in_one_step) {
  compare(POA_EXAMPLES_DIR "/swish.poa", POA_PLUGIN_SWISH, 1, 1e-5);
}

/* Protects: the same through a training: parameters carry from step to step. */
Test(plugins, activation_trains) {
  compare(POA_EXAMPLES_DIR "/swish.poa", POA_PLUGIN_SWISH, 50, 1e-4);
}

/* Protects: C functions of many arguments of all kinds, constants in between, two operands with a
 * gradient each; and our matrix product, against an independent one. */
Test(plugins, product_by_blas) {
#ifdef POA_OPENBLAS
  setenv("OPENBLAS_NUM_THREADS", "1", 1); /* its threads would wait for ours */
  compare(POA_TESTS_DIR "/plugins/products.poa", POA_OPENBLAS, 1, 1e-6);
#else
  cr_skip_test("libopenblas is not installed (Debian: libopenblas-dev)");
#endif
}

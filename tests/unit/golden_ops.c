/* golden_ops.c: recorded operators (tests/golden/ops), computed by the modules of models/ through
 * the descriptions of tests/golden: values and gradients, compiled and interpreted. A case is
 * exact up to one rounding to float, so the interpreter, in double, has to come within that. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "frontend/model.h"
#include "passes/passes.h"
#include "runtime/safetensors.h"
#include "support/executed.h"

#define MOST_TENSORS 64
#define MOST_PARAMETERS 8

/* Largest deviation, max|ours - recorded| / max|recorded|. */
typedef struct limits {
  double value, gradient;
} limits;
static const limits compiled_limits = {1e-5, 2e-5}, interpreted_limits = {1e-7, 1e-7};

/* The value of a parameter from step to step. */
typedef struct memory_row {
  char name[32];
  double *values;
} memory_row;

/* A recorded case while it is computed: where values come from and are compared with. */
typedef struct golden {
  poa_safetensors *file;
  const char *prefix; /* of the case's tensors in the file */
  int step;           /* adds its number to names: "g" is "g1"; 0: adds none */
  limits limits;
  bool met[MOST_TENSORS]; /* by tensor of the file: loaded or compared */
  int compared;
  memory_row memory[MOST_PARAMETERS];
  int memory_count;
} golden;

static int find_tensor(const golden *g, const char *name) {
  char key[100], number[12] = "";
  if (g->step)
    snprintf(number, sizeof number, "%d", g->step);
  /* What cases of one file share has no prefix. */
  for (const char *prefix = g->prefix;; prefix = "") {
    snprintf(key, sizeof key, "%s%s%s", prefix, name, number);
    for (int i = 0; i < g->file->tensor_count; i++)
      if (!strcmp(g->file->tensors[i].name, key))
        return i;
    if (!*prefix)
      return -1;
  }
}

/* How a parameter is called in a case: by its own name in the set `golden` and as a state; the
 * parameter p and its moments are p, m and v. */
static const char *case_name(const poa_node *parameter) {
  static const char *const sets[][2] = {{"student", "p"}, {"adam_m", "m"}, {"adam_v", "v"}};
  const char *set = poa_node_string(parameter, "set");
  for (int i = 0; i < 3; i++)
    if (!strcmp(set, sets[i][0]))
      return sets[i][1];
  return strcmp(set, "teacher") ? poa_node_string(parameter, "name") : "teacher";
}

static memory_row *remembered(golden *g, const char *name) {
  for (int i = 0; i < g->memory_count; i++)
    if (!strcmp(g->memory[i].name, name))
      return &g->memory[i];
  return NULL;
}

/* Where element `index` of the recorded tensor lies in `type`, whose leading part it fills; the
 * same number of elements in another shape is the same elements. */
static int64_t place_in(const poa_file_tensor *tensor, const poa_type *type, int64_t index) {
  if (tensor->shape.rank != type->rank)
    return index;
  int64_t place = 0, stride = 1;
  for (int axis = type->rank - 1; axis >= 0; axis--) {
    place += index % tensor->shape.dim[axis] * stride;
    index /= tensor->shape.dim[axis];
    stride *= type->dim[axis].value;
  }
  return place;
}

/* The recorded tensor as one of `type`, zero outside the part recorded. Caller frees. */
static double *spread(const poa_file_tensor *tensor, const poa_type *type) {
  int64_t count = poa_plan_elements(tensor->shape);
  float *recorded = malloc((size_t)(count + 1) * sizeof *recorded);
  double *values = calloc((size_t)poa_type_elements(*type) + 1, sizeof *values);
  poa_tensor_to_f32(tensor, recorded);
  for (int64_t i = 0; i < count; i++)
    values[place_in(tensor, type, i)] = (double)recorded[i];
  free(recorded);
  return values;
}

static poa_status load(void *context, const poa_graph *graph, const poa_node *node,
                       poa_tensor *tensor, poa_error *error) {
  (void)graph, (void)error;
  golden *g = context;
  bool parameter = node->op == POA_OP_parameter;
  const char *name = parameter ? case_name(node) : poa_node_string(node, "name");
  const memory_row *row = parameter ? remembered(g, name) : NULL;
  size_t bytes = (size_t)poa_type_elements(tensor->type) * sizeof *tensor->data;
  int number = find_tensor(g, name);
  if (row) {
    memcpy(tensor->data, row->values, bytes);
  } else if (number >= 0 && !(parameter && g->step)) {
    double *values = spread(&g->file->tensors[number], &tensor->type);
    memcpy(tensor->data, values, bytes);
    free(values);
    g->met[number] = true;
  } else {
    memset(tensor->data, 0, bytes); /* moments, counters and centers begin at zero */
  }
  return POA_OK;
}

/* NaN counts as infinitely far. */
static void compare(golden *g, const char *name, int number, const poa_tensor *ours) {
  double *recorded = spread(&g->file->tensors[number], &ours->type);
  double largest = 0, difference = 0;
  for (int64_t i = 0, n = poa_type_elements(ours->type); i < n; i++) {
    double d = fabs(ours->data[i] - recorded[i]);
    difference = d <= difference ? difference : isnan(d) ? INFINITY : d;
    largest = fmax(largest, fabs(recorded[i]));
  }
  free(recorded);
  double limit = name[0] == 'd' ? g->limits.gradient : g->limits.value;
  cr_expect_leq(difference, limit * largest, "%s: %s deviates by %.2e, the limit is %.0e",
                g->file->path, g->file->tensors[number].name, difference / largest, limit);
  g->met[number] = true;
  g->compared++;
}

static void remember(golden *g, const char *name, const poa_tensor *tensor) {
  memory_row *row = remembered(g, name);
  size_t bytes = (size_t)poa_type_elements(tensor->type) * sizeof *tensor->data;
  if (!row) {
    cr_assert_lt(g->memory_count, MOST_PARAMETERS);
    row = &g->memory[g->memory_count++];
    snprintf(row->name, sizeof row->name, "%s", name);
    row->values = malloc(bytes + 1);
  }
  memcpy(row->values, tensor->data, bytes);
}

static poa_status store(void *context, const poa_graph *graph, const poa_node *node,
                        const poa_tensor *tensor, poa_error *error) {
  (void)error;
  golden *g = context;
  bool assign = node->op == POA_OP_assign;
  const char *name =
      assign ? case_name(poa_node_of(graph, node->operands[0])) : poa_node_string(node, "name");
  char updated[100];
  snprintf(updated, sizeof updated, "%s%s", assign && !g->step ? "new_" : "", name);
  int number = find_tensor(g, updated);
  if (number >= 0)
    compare(g, updated, number, tensor);
  if (assign)
    remember(g, name, tensor);
  return POA_OK;
}

/* Running a description. */

/* A description and how it is computed. */
typedef struct recipe {
  const char *description; /* in tests/golden, without .poa */
  const char *file;        /* in tests/golden/ops, without .safetensors */
  const char *prefix;
  int steps; /* 0: one, whose tensors bear no number */
  const char *overrides[4];
} recipe;

static poa_model *load_model(const recipe *r) {
  char path[400];
  snprintf(path, sizeof path, "%s/%s.poa", POA_GOLDEN_DIR, r->description);
  int count = 0;
  while (count < 4 && r->overrides[count])
    count++;
  poa_model_options options = {.path = path,
                               .models_dir = POA_MODELS_DIR,
                               .override_count = count,
                               .overrides = r->overrides,
                               .diagnostics = stderr};
  poa_model *model;
  poa_error error = {0};
  poa_model_load(&model, &options, &error);
  cr_assert(model, "%s", error.message);
  return model;
}

/* The graph of `op` at the smallest point of the lattice, which is that of every case. */
static poa_graph *make_graph(poa_model *model, poa_arena *arena, const char *passes) {
  poa_options options = {.point = poa_lattice_point(poa_model_lattice(model), 0),
                         .has_point = true,
                         .keep_probes = true};
  poa_graph *graph;
  poa_error error = {0};
  cr_assert_eq(poa_model_graph(model, "op", arena, &graph, &error), POA_OK, "%s", error.message);
  cr_assert_eq(poa_pipeline_run(graph, passes, NULL, &options, true, NULL, NULL, &error), POA_OK,
               "%s", error.message);
  return graph;
}

static void open_golden(golden *g, const recipe *r, limits within) {
  char path[400];
  poa_error error = {0};
  *g = (golden){.prefix = r->prefix, .limits = within};
  snprintf(path, sizeof path, "%s/ops/%s.safetensors", POA_GOLDEN_DIR, r->file);
  cr_assert_eq(poa_safetensors_open(&g->file, path, &error), POA_OK, "%s", error.message);
  cr_assert_leq(g->file->tensor_count, MOST_TENSORS);
}

/* Every tensor of the case has been used, and results compared. */
static void close_golden(golden *g) {
  cr_expect_gt(g->compared, 0);
  for (int i = 0; i < g->file->tensor_count; i++) {
    const char *name = g->file->tensors[i].name;
    if (!strncmp(name, g->prefix, strlen(g->prefix)))
      cr_expect(g->met[i], "%s: %s was neither read nor compared", g->file->path, name);
  }
  for (int i = 0; i < g->memory_count; i++)
    free(g->memory[i].values);
  poa_safetensors_close(g->file);
}

/* The first value of p is recorded as p0. */
static void begin_steps(golden *g, const poa_graph *graph) {
  for (uint32_t v = 0; v < graph->node_count; v++) {
    const poa_node *node = poa_node_of(graph, v);
    if (node->op != POA_OP_parameter || strcmp(case_name(node), "p"))
      continue;
    const poa_file_tensor *first = poa_safetensors_find(g->file, "p0");
    poa_tensor tensor = {node->type, spread(first, &node->type)};
    remember(g, "p", &tensor);
    free(tensor.data);
    g->met[first - g->file->tensors] = true;
    return;
  }
}

static void run_all_steps(const recipe *r, const poa_graph *graph, poa_executed *executed,
                          limits within) {
  golden g;
  poa_error error = {0};
  open_golden(&g, r, within);
  const poa_bindings bindings = {load, store, NULL, &g};
  if (r->steps)
    begin_steps(&g, graph);
  for (int step = r->steps ? 1 : 0; step <= r->steps; step++) {
    g.step = step;
    poa_status status = executed ? poa_executed_run(executed, &bindings, &error)
                                 : poa_graph_interpret(graph, &bindings, false, &error);
    cr_assert_eq(status, POA_OK, "%s", error.message);
  }
  close_golden(&g);
}

static void check(const recipe *r) {
  poa_error error = {0};
  poa_model *model = load_model(r);
  poa_arena *arena = poa_arena_create();
  run_all_steps(r, make_graph(model, arena, "specialize,differentiate"), NULL, interpreted_limits);
  poa_graph *graph = make_graph(model, arena, NULL);
  for (int threads = 1; threads <= 2; threads++) {
    poa_executed *executed;
    cr_assert_eq(poa_executed_create(&executed, graph, threads, NULL, &error), POA_OK, "%s",
                 error.message);
    run_all_steps(r, graph, executed, compiled_limits);
    poa_executed_free(executed);
  }
  poa_arena_free(arena);
  poa_model_free(model);
}

/* Each test protects the module of that name in models/: its values, and its gradients with
 * respect to every operand and weight. */

Test(golden_ops, layer_norm) {
  check(&(recipe){"layernorm", "layernorm", "", 0, {0}});
}

Test(golden_ops, gelu) {
  check(&(recipe){"gelu", "gelu", "", 0, {0}});
}

Test(golden_ops, attention) {
  check(&(recipe){"attention", "attention", "", 0, {0}});
}

Test(golden_ops, cross_entropy) {
  check(&(recipe){"cross_entropy", "cross_entropy", "", 0, {0}});
}

/* Also: the prefix is used, the input scaled, and the gradient outside the prefix zero. */
Test(golden_ops, linear) {
  check(&(recipe){"elastic_linear", "elastic_linear", "plain.", 0, {0}});
}

Test(golden_ops, packed_linear) {
  check(&(recipe){"packed_linear", "elastic_linear", "packed_qkv.", 0, {0}});
}

Test(golden_ops, convolution) {
  check(&(recipe){"conv", "conv", "k7s2p3.", 0, {"h=18", "w=17", "channels=3", "form=[7,2,3]"}});
  check(&(recipe){"conv", "conv", "k3s2p1.", 0, {"h=9", "w=8", "channels=6", "form=[3,2,1]"}});
  check(&(recipe){"conv", "conv", "k3s1p1.", 0, {"h=7", "w=7", "channels=6", "form=[3,1,1]"}});
  check(&(recipe){"conv", "conv", "k1s2p0.", 0, {"h=9", "w=8", "channels=6", "form=[1,2,0]"}});
  check(&(recipe){"conv", "conv", "k4s4p0.", 0, {"h=16", "w=12", "channels=3", "form=[4,4,0]"}});
}

Test(golden_ops, group_norm) {
  check(&(recipe){"groupnorm", "groupnorm", "", 0, {0}});
}

Test(golden_ops, max_pool) {
  check(&(recipe){"maxpool", "maxpool", "", 0, {0}});
}

/* Also: windows that a map does not fill, with and without a roll. */
Test(golden_ops, window_attention) {
  check(&(recipe){"window_attention", "window_attention", "shift0.", 0, {"shift=0"}});
  check(&(recipe){"window_attention", "window_attention", "shift2.", 0, {"shift=2"}});
}

Test(golden_ops, patch_merging) {
  check(&(recipe){"patch_merging", "patch_merging", "", 0, {0}});
}

Test(golden_ops, projection_head) {
  check(&(recipe){"head", "head", "", 0, {0}});
}

Test(golden_ops, koleo) {
  check(&(recipe){"koleo", "koleo", "", 0, {0}});
}

Test(golden_ops, interpolate_positions) {
  check(&(recipe){"pos_bicubic", "pos_bicubic", "14to6.", 0, {"old=14", "new=6"}});
  check(&(recipe){"pos_bicubic", "pos_bicubic", "14to7.", 0, {"old=14", "new=7"}});
  check(&(recipe){"pos_bicubic", "pos_bicubic", "4to2.", 0, {"old=4", "new=2"}});
  check(&(recipe){"pos_bicubic", "pos_bicubic", "4to3.", 0, {"old=4", "new=3"}});
  check(&(recipe){"pos_bicubic", "pos_bicubic", "7to9.", 0, {"old=7", "new=9"}});
}

Test(golden_ops, sinkhorn) {
  check(&(recipe){"sinkhorn", "sinkhorn", "a.", 0, {"rows=12", "columns=40", "temperature=0.05"}});
  check(&(recipe){"sinkhorn", "sinkhorn", "b.", 0, {"rows=30", "columns=24", "temperature=0.04"}});
}

/* Also: the center moves. */
Test(golden_ops, centered_softmax) {
  check(&(recipe){"centering", "centering", "", 0, {0}});
}

/* Also: moments and the step count carry from step to step. */
Test(golden_ops, adamw) {
  check(&(recipe){"adamw_steps", "adamw", "", 3, {0}});
}

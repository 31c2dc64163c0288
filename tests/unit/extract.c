/* extract.c: the plain network that is cut out of the teacher of a recorded step computes the
 * features recorded for it (`extract.cls_global`, `extract.cls_local`), which a program of another
 * origin computed in float64. Its weights are cut here, by loops of their own. */
#include <criterion/criterion.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "frontend/model.h"
#include "passes/extract.h"
#include "runtime/safetensors.h"
#include "support/executed.h"

/* Largest deviation, as a share of the largest feature: of code in float, and of the interpreter,
 * whose doubles differ from what is stored by the rounding of that to float. */
#define COMPILED_LIMIT 1e-4
#define INTERPRETED_LIMIT 1e-6

enum { MOST_OVERRIDES = 64 };

static poa_arena *arena;
static poa_model *model;
static poa_safetensors *file;

static void setup(void) {
  arena = poa_arena_create();
}

static void teardown(void) {
  poa_model_free(model);
  poa_safetensors_close(file);
  poa_arena_free(arena);
}

TestSuite(extract, .init = setup, .fini = teardown);

/* The model of a recorded step. */

static poa_model *load_model(int count, const char **overrides) {
  poa_model_options options = {.path = POA_GOLDEN_DIR "/plain_features.poa",
                               .models_dir = POA_MODELS_DIR,
                               .override_count = count,
                               .overrides = overrides,
                               .diagnostics = stderr};
  poa_model *loaded;
  poa_error error = {0};
  cr_assert_eq(poa_model_load(&loaded, &options, &error), POA_OK, "%s", error.message);
  return loaded;
}

/* Those constants of the case that the model has. */
static int take_config(const char **overrides) {
  json_t *config = json_loads(poa_safetensors_metadata(file, "config"), 0, NULL), *item;
  poa_model *plain = load_model(0, NULL);
  const char *name;
  int count = 0;
  json_object_foreach(config, name, item) {
    if (!poa_model_has_const(plain, name))
      continue;
    cr_assert_lt(count, MOST_OVERRIDES - 3);
    char *value = json_dumps(item, JSON_ENCODE_ANY | JSON_COMPACT);
    overrides[count++] = poa_arena_format(arena, "%s=%s", name, value);
    free(value);
  }
  poa_model_free(plain);
  json_decref(config);
  return count;
}

static void open_case(const char *name) {
  const char *overrides[MOST_OVERRIDES];
  poa_error error = {0};
  const char *path = poa_arena_format(arena, "%s/%s.safetensors", POA_GOLDEN_DIR, name);
  cr_assert_eq(poa_safetensors_open(&file, path, &error), POA_OK, "%s", error.message);
  int count = take_config(overrides);
  const poa_file_tensor *global = poa_safetensors_find(file, "in.global_crops");
  const poa_file_tensor *local = poa_safetensors_find(file, "in.local_crops");
  overrides[count++] = poa_arena_format(arena, "global_rows=%lld", (long long)global->shape.dim[0]);
  if (local && local->shape.dim[0] > 0) {
    overrides[count++] = poa_arena_format(arena, "local_rows=%lld", (long long)local->shape.dim[0]);
    overrides[count++] = poa_arena_format(arena, "local_size=%lld", (long long)local->shape.dim[3]);
  }
  model = load_model(count, overrides);
}

/* "choice": [width, depth] */
static poa_point read_choice(void) {
  const poa_lattice *lattice = poa_model_lattice(model);
  json_t *choice = json_loads(poa_safetensors_metadata(file, "choice"), 0, NULL);
  poa_point point = poa_lattice_top(lattice);
  cr_assert_eq(json_array_size(choice), (size_t)lattice->count);
  for (int i = 0; i < lattice->count; i++)
    point.value[i] = json_integer_value(json_array_get(choice, (size_t)i));
  json_decref(choice);
  cr_assert(poa_lattice_contains(lattice, &point));
  return point;
}

static poa_graph *extract(const char *entry, poa_extraction *extraction) {
  poa_options options = {.point = read_choice(), .has_point = true};
  poa_graph *graph;
  poa_error error = {0};
  cr_assert_eq(poa_model_graph(model, entry, arena, &graph, &error), POA_OK, "%s", error.message);
  cr_assert_eq(poa_extract_parameters(graph, &options, extraction, &error), POA_OK, "%s",
               error.message);
  return graph;
}

/* Running the plain network. */

typedef struct run {
  const char *images; /* the tensor that goes in */
  const char *expected;
  const poa_extraction *extraction;
  bool without_factors;
  double deviation; /* of what came out, as a share of the largest */
} run;

static float *read_values(const poa_file_tensor *tensor) {
  float *values =
      poa_arena_alloc(arena, (size_t)(poa_plan_elements(tensor->shape) + 1) * sizeof *values);
  poa_tensor_to_f32(tensor, values);
  return values;
}

static const poa_plain_parameter *find_plain(const poa_extraction *extraction, const char *name) {
  for (int i = 0; i < extraction->count; i++)
    if (!strcmp(extraction->parameters[i].name, name))
      return &extraction->parameters[i];
  return NULL;
}

/* out = factor * whole[prefix of every axis], from `axis` on, where the axes before lead to
 * `offset`; returns where the next element goes. */
static double *cut(const float *whole, const poa_type *from, const poa_type *to, int axis,
                   int64_t offset, double factor, double *out) {
  if (axis == to->rank) {
    *out = factor * (double)whole[offset];
    return out + 1;
  }
  for (int64_t i = 0; i < to->dim[axis].value; i++)
    out = cut(whole, from, to, axis + 1, offset * from->dim[axis].value + i, factor, out);
  return out;
}

static void load_parameter(const run *r, const poa_node *node, poa_tensor *tensor) {
  const poa_plain_parameter *plain = find_plain(r->extraction, poa_node_string(node, "name"));
  cr_assert(plain, "no parameter %s", poa_node_string(node, "name"));
  const poa_parameter *elastic = &r->extraction->elastic[plain->source];
  const poa_file_tensor *tensor_of =
      poa_safetensors_find(file, poa_arena_format(arena, "%s.%s", elastic->set, elastic->name));
  cr_assert(tensor_of, "%s is not recorded", elastic->name);
  cr_assert_eq(poa_plan_elements(tensor_of->shape), poa_type_elements(elastic->type));
  double factor = r->without_factors ? 1 : plain->factor;
  double *end =
      cut(read_values(tensor_of), &elastic->type, &tensor->type, 0, 0, factor, tensor->data);
  cr_assert_eq(end - tensor->data, poa_type_elements(tensor->type));
}

static poa_status load(void *context, const poa_graph *graph, const poa_node *node,
                       poa_tensor *tensor, poa_error *error) {
  (void)graph, (void)error;
  const run *r = context;
  if (node->op == POA_OP_parameter) {
    load_parameter(r, node, tensor);
    return POA_OK;
  }
  const poa_file_tensor *images = poa_safetensors_find(file, r->images);
  cr_assert_eq(poa_plan_elements(images->shape), poa_type_elements(tensor->type));
  const float *values = read_values(images);
  for (int64_t i = 0; i < poa_type_elements(tensor->type); i++)
    tensor->data[i] = (double)values[i];
  return POA_OK;
}

static poa_status store(void *context, const poa_graph *graph, const poa_node *node,
                        const poa_tensor *tensor, poa_error *error) {
  (void)graph, (void)node, (void)error;
  run *r = context;
  const poa_file_tensor *recorded = poa_safetensors_find(file, r->expected);
  cr_assert_eq(poa_plan_elements(recorded->shape), poa_type_elements(tensor->type));
  const float *expected = read_values(recorded);
  double largest = 0, difference = 0;
  for (int64_t i = 0; i < poa_type_elements(tensor->type); i++) {
    double d = fabs(tensor->data[i] - (double)expected[i]);
    difference = d <= difference ? difference : isnan(d) ? INFINITY : d;
    largest = fmax(largest, fabs((double)expected[i]));
  }
  cr_assert_gt(largest, 0);
  r->deviation = difference / largest;
  return POA_OK;
}

static double interpreted_deviation(const poa_graph *graph, run r) {
  poa_error error = {0};
  const poa_bindings bindings = {load, store, NULL, &r};
  r.deviation = INFINITY;
  cr_assert_eq(poa_graph_interpret(graph, &bindings, false, &error), POA_OK, "%s", error.message);
  return r.deviation;
}

static double compiled_deviation(poa_graph *graph, run r) {
  poa_executed *executed;
  poa_error error = {0};
  const poa_bindings bindings = {load, store, NULL, &r};
  r.deviation = INFINITY;
  cr_assert_eq(poa_pipeline_run(graph, NULL, NULL, NULL, true, NULL, NULL, &error), POA_OK, "%s",
               error.message);
  cr_assert_eq(poa_executed_create(&executed, graph, 2, NULL, &error), POA_OK, "%s", error.message);
  cr_assert_eq(poa_executed_run(executed, &bindings, &error), POA_OK, "%s", error.message);
  poa_executed_free(executed);
  return r.deviation;
}

static void check_entry(const char *name, const char *entry, const char *images) {
  poa_extraction extraction;
  poa_graph *graph = extract(entry, &extraction);
  run r = {images, poa_arena_format(arena, "extract.%s", entry), &extraction, false, 0};
  double interpreted = interpreted_deviation(graph, r);
  double compiled = compiled_deviation(graph, r);
  cr_expect_leq(interpreted, INTERPRETED_LIMIT, "%s: %s deviates by %.2e interpreted", name, entry,
                interpreted);
  cr_expect_leq(compiled, COMPILED_LIMIT, "%s: %s deviates by %.2e compiled", name, entry,
                compiled);
}

static void check_case(const char *name) {
  open_case(name);
  check_entry(name, "cls_global", "in.global_crops");
  if (poa_safetensors_find(file, "extract.cls_local"))
    check_entry(name, "cls_local", "in.local_crops");
}

/* Protects the cut, the factors and the choice of blocks, with width and depth in between. */
Test(extract, middle_of_the_lattice) {
  check_case("vit_a");
}

/* The same at the smallest width and depth. */
Test(extract, smallest) {
  check_case("vit_b");
}

/* The same where extents are no multiples of the vectors of any CPU. */
Test(extract, odd_extents) {
  check_case("vit_odd");
}

/* Protects the tests above: they would notice weights without their factors. */
Test(extract, factors_matter) {
  poa_extraction extraction;
  open_case("vit_a");
  const poa_graph *graph = extract("cls_global", &extraction);
  run r = {"in.global_crops", "extract.cls_global", &extraction, true, 0};
  cr_assert_gt(interpreted_deviation(graph, r), 100 * COMPILED_LIMIT);
}

/* Protects names, shapes and factors as files have them: of blocks 0 to 3 and width 48, three are
 * kept (0, 1 and 3) and 32 channels, and nothing else is in the table. */
Test(extract, table_of_the_plain_network) {
  static const struct expected_row {
    const char *name, *from;
    int rank;
    int64_t dim[3];
    double factor;
  } rows[] = {
      {"cls_token", "cls_token", 3, {1, 1, 32}, 1},
      {"pos_embed", "pos_embed", 3, {1, 17, 32}, 1},
      {"blocks.0.attn.qkv.weight", "blocks.0.attn.qkv.weight", 2, {96, 32}, 1.5},
      {"blocks.1.attn.qkv.bias", "blocks.1.attn.qkv.bias", 1, {96}, 1},
      {"blocks.2.mlp.fc2.weight", "blocks.3.mlp.fc2.weight", 2, {32, 128}, 1.5},
      {"norm.weight", "norm.weight", 1, {32}, 1},
  };
  poa_extraction extraction;
  open_case("vit_a");
  extract("cls_global", &extraction);
  cr_assert_eq(extraction.count, 4 + 3 * 14 + 2);
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    const poa_plain_parameter *plain = find_plain(&extraction, rows[i].name);
    cr_assert(plain, "no %s", rows[i].name);
    cr_expect_str_eq(extraction.elastic[plain->source].name, rows[i].from);
    cr_expect_str_eq(extraction.elastic[plain->source].set, "teacher");
    cr_expect_float_eq(plain->factor, rows[i].factor, 1e-15, "%s", plain->name);
    cr_assert_eq(plain->file_type.rank, rows[i].rank, "%s", plain->name);
    for (int axis = 0; axis < rows[i].rank; axis++)
      cr_expect_eq(plain->file_type.dim[axis].value, rows[i].dim[axis], "%s", plain->name);
  }
  for (int i = 0; i < extraction.count; i++)
    cr_expect_neq(strncmp(extraction.parameters[i].name, "blocks.3", 8), 0);
}

/* onnx.c: an exported model read back: every name is defined before it is used and once, sizes fit
 * shapes, the batch is dynamic, weights bear their names; what ONNX cannot say is refused. (That
 * the numbers are right is checked by tests/cli/onnx.sh, where ONNX Runtime is.) */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "frontend/model.h"
#include "onnx.pb-c.h"
#include "onnx/export.h"
#include "passes/extract.h"
#include "unit/temporary_folder.h"

typedef struct pair {
  poa_arena *arena;
  poa_model *models[2];
  poa_graph *graphs[2];
} pair;

/* `features` at the smallest point of the micro model for batches of 3 and 4. */
static pair open_pair(const char *entry) {
  pair p = {.arena = poa_arena_create()};
  poa_error error = {0};
  for (int i = 0; i < 2; i++) {
    const char *batch = i ? "eval_batch=4" : "eval_batch=3";
    poa_model_options options = {.path = POA_TESTS_DIR "/support/micro.poa",
                                 .models_dir = POA_MODELS_DIR,
                                 .overrides = &batch,
                                 .override_count = 1};
    poa_extraction extraction;
    cr_assert_eq(poa_model_load(&p.models[i], &options, &error), POA_OK, "%s", error.message);
    poa_options at = {.point = poa_lattice_point(poa_model_lattice(p.models[i]), 0),
                      .has_point = true};
    cr_assert_eq(poa_model_graph(p.models[i], entry, p.arena, &p.graphs[i], &error), POA_OK);
    cr_assert_eq(poa_extract_parameters(p.graphs[i], &at, &extraction, &error), POA_OK, "%s",
                 error.message);
  }
  return p;
}

static void close_pair(pair *p) {
  poa_model_free(p->models[0]);
  poa_model_free(p->models[1]);
  poa_arena_free(p->arena);
}

static poa_status count_up(void *context, int index, float *out, poa_error *error) {
  (void)error;
  const poa_graph *graph = context;
  for (int64_t i = 0; i < poa_type_elements(graph->parameters[index].type); i++)
    out[i] = (float)(index * 1000 + i);
  return POA_OK;
}

static poa_status export_pair(const pair *p, const char *path, poa_error *error) {
  poa_onnx_metadata metadata = {"model", "micro"};
  poa_onnx_export export = {.graph = p->graphs[0],
                            .other = p->graphs[1],
                            .batch = 3,
                            .other_batch = 4,
                            .values = count_up,
                            .context = p->graphs[0],
                            .metadata = &metadata,
                            .metadata_count = 1};
  return poa_onnx_write(&export, path, error);
}

static Onnx__ModelProto *read_model(const char *path) {
  FILE *file = fopen(path, "rb");
  cr_assert(file);
  uint8_t *bytes = malloc(1 << 20);
  size_t size = fread(bytes, 1, 1 << 20, file);
  fclose(file);
  Onnx__ModelProto *model = onnx__model_proto__unpack(NULL, size, bytes);
  free(bytes);
  cr_assert(model, "the file is no ONNX model");
  return model;
}

static bool is_defined(const Onnx__GraphProto *graph, size_t before, const char *name) {
  for (size_t i = 0; i < graph->n_input; i++)
    if (strcmp(graph->input[i]->name, name) == 0)
      return true;
  for (size_t i = 0; i < graph->n_initializer; i++)
    if (strcmp(graph->initializer[i]->name, name) == 0)
      return true;
  for (size_t i = 0; i < before; i++)
    if (strcmp(graph->node[i]->output[0], name) == 0)
      return true;
  return false;
}

static void check_nodes(const Onnx__GraphProto *graph) {
  for (size_t i = 0; i < graph->n_node; i++) {
    const Onnx__NodeProto *node = graph->node[i];
    for (size_t k = 0; k < node->n_input; k++)
      cr_expect(is_defined(graph, i, node->input[k]), "%s reads %s, which nothing defines before",
                node->name, node->input[k]);
    cr_expect_not(is_defined(graph, i, node->output[0]), "%s is defined twice", node->output[0]);
    for (size_t k = 0; k < node->n_attribute; k++)
      cr_expect(node->attribute[k]->has_type, "attribute %s of %s has no type",
                node->attribute[k]->name, node->name);
  }
}

static void check_initializers(const Onnx__GraphProto *graph) {
  for (size_t i = 0; i < graph->n_initializer; i++) {
    const Onnx__TensorProto *tensor = graph->initializer[i];
    size_t bytes = tensor->data_type == ONNX__TENSOR_PROTO__DATA_TYPE__INT64  ? 8
                   : tensor->data_type == ONNX__TENSOR_PROTO__DATA_TYPE__BOOL ? 1
                                                                              : 4;
    for (size_t k = 0; k < tensor->n_dims; k++)
      bytes *= (size_t)tensor->dims[k];
    cr_expect_eq(tensor->raw_data.len, bytes, "%s has another size than its shape", tensor->name);
  }
}

Test(onnx, features_read_back) {
  char folder[64], path[100];
  poa_error error = {0};
  make_folder(folder);
  snprintf(path, sizeof path, "%s/features.onnx", folder);
  pair p = open_pair("features");
  cr_assert_eq(export_pair(&p, path, &error), POA_OK, "%s", error.message);
  Onnx__ModelProto *model = read_model(path);
  cr_expect_eq(model->ir_version, 8);
  cr_expect_eq(model->opset_import[0]->version, 17);
  cr_expect_str_eq(model->metadata_props[0]->value, "micro");
  const Onnx__GraphProto *graph = model->graph;
  check_nodes(graph);
  check_initializers(graph);
  cr_assert_eq(graph->n_input, 1);
  const Onnx__TensorShapeProto *shape = graph->input[0]->type->tensor_type->shape;
  cr_expect_str_eq(shape->dim[0]->dim_param, "batch");
  cr_expect_eq(shape->dim[2]->dim_value, 14);
  cr_assert_eq(graph->n_output, 1);
  cr_expect_str_eq(graph->output[0]->name, "features");
  cr_expect(is_defined(graph, graph->n_node, "features"));
  cr_expect(is_defined(graph, 0, "blocks.0.norm1.weight"), "a weight lost its name");
  onnx__model_proto__free_unpacked(model, NULL);
  close_pair(&p);
  remove_folder(folder);
}

/* A graph whose two forms differ by more than the batch has no dynamic form. */
Test(onnx, another_network_is_refused) {
  poa_error error = {0};
  pair p = open_pair("features");
  for (uint32_t i = 0; i < p.graphs[1]->node_count; i++)
    if (p.graphs[1]->nodes[i].op == POA_OP_exp || p.graphs[1]->nodes[i].op == POA_OP_erf)
      p.graphs[1]->nodes[i].op = POA_OP_tanh;
  cr_expect_eq(export_pair(&p, "/nonexistent/x.onnx", &error), POA_UNSUPPORTED);
  cr_expect(strstr(error.message, "another batch size"), "%s", error.message);
  close_pair(&p);
}

static poa_graph *parse(poa_arena *arena, int batch) {
  poa_error error = {0};
  poa_graph *graph;
  char text[1000];
  snprintf(text, sizeof text,
           "graph @g at {} (%%x: f32[%d,4]) {\n"
           "  %%x = input {name=\"x\"} : f32[%d,4]\n"
           "  %%r = constant {value=0} : i32[%d]\n"
           "  %%z = constant {value=0} : f32[%d,4]\n"
           "  %%y = scatter_add %%z, %%r, %%x : f32[%d,4]\n"
           "  %%o = output %%y {kind=\"result\", name=\"y\"} : f32[%d,4]\n"
           "}\n",
           batch, batch, batch, batch, batch, batch);
  cr_assert_eq(poa_graph_parse(arena, "test", text, &graph, &error), POA_OK, "%s", error.message);
  graph->specialized = true;
  return graph;
}

Test(onnx, an_op_without_a_form_is_named) {
  poa_error error = {0};
  pair p = {.arena = poa_arena_create()};
  p.graphs[0] = parse(p.arena, 3);
  p.graphs[1] = parse(p.arena, 4);
  cr_expect_eq(export_pair(&p, "/nonexistent/x.onnx", &error), POA_UNSUPPORTED);
  cr_expect(strstr(error.message, "'scatter_add' has no form in ONNX"), "%s", error.message);
  poa_arena_free(p.arena);
}

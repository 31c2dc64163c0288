/* compile_onnx.c: a plain network as an ONNX file. */
#include "driver/compile.h"
#include "onnx/export.h"

typedef struct source {
  poa_deployment *deployment;
  poa_extraction extraction;
} source;

static poa_status values(void *context, int index, float *out, poa_error *error) {
  const source *s = context;
  return poa_deployment_plain_values(s->deployment, &s->extraction, index, out, error);
}

static poa_status write_model(poa_compilation *c, poa_deployment *other, poa_error *error) {
  poa_deployment *d = &c->deployments[0];
  const poa_point *point = &c->points[0];
  source s = {.deployment = d};
  poa_extraction ignored;
  poa_graph *graph, *with_other;
  char text[256];
  poa_status status =
      poa_deployment_plain(d, c->entry, point, c->arena, &graph, &s.extraction, error);
  if (status == POA_OK)
    status = poa_deployment_plain(other, c->entry, point, c->arena, &with_other, &ignored, error);
  if (status)
    return status;
  poa_point_print(poa_model_lattice(d->model), point, text, sizeof text);
  poa_onnx_metadata metadata[] = {{"model", d->flags.arguments[0]},
                                  {"overrides", d->overrides},
                                  {"point", text},
                                  {"source", d->source},
                                  {"normalization", d->normalization}};
  poa_onnx_export export = {.graph = graph,
                            .other = with_other,
                            .batch = c->batches[0],
                            .other_batch = c->batches[0] + 1,
                            .values = values,
                            .context = &s,
                            .metadata = metadata,
                            .metadata_count = sizeof metadata / sizeof *metadata};
  status = poa_onnx_write(&export, c->flags->output, error);
  if (status == POA_OK)
    printf("%s: %s%s%s, any batch\n", c->flags->output, d->flags.arguments[0], *text ? " at " : "",
           text);
  return status;
}

/* The batch is found by comparing two sizes of it; 1 would hide among other extents. */
poa_status poa_compile_onnx(poa_compilation *c, poa_error *error) {
  poa_deployment other = {0};
  if (c->batches[0] == 0)
    return poa_fail(error, POA_BAD_INPUT,
                    "the entry '%s' has no input images whose first extent is a constant",
                    c->entry);
  poa_status status =
      poa_deployment_open_batch(&other, c->flags, c->entry, c->batches[0] + 1, c->arena, error);
  if (status == POA_OK)
    status = write_model(c, &other, error);
  poa_deployment_close(&other);
  return status;
}

/* sample.c: see sample.h. */
#include "support/sample.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* SplitMix64, a step of it. */
static uint64_t scramble(uint64_t x) {
  x += 0x9e3779b97f4a7c15u;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
  return x ^ (x >> 31);
}

static double unit(const char *name, int64_t element) {
  uint64_t key = 0;
  for (const char *c = name; *c; c++)
    key = scramble(key ^ (uint64_t)(unsigned char)*c);
  return (double)(scramble(key + (uint64_t)element) >> 11) * 0x1p-53;
}

static double value_of(const char *name, poa_dtype dtype, int64_t element) {
  double u = unit(name, element);
  if (dtype == POA_BOOL)
    return u < 0.5;
  if (dtype == POA_I32 && !strncmp(name, "rows", 4))
    return floor(u * atof(name + 4));
  if (dtype == POA_I32)
    return floor(u * 19) - 9;
  return (double)(float)(!strncmp(name, "positive", 8) ? 0.1 + 2.9 * u : 4 * u - 2);
}

static poa_status load(void *context, const poa_graph *graph, const poa_node *node,
                       poa_tensor *tensor, poa_error *error) {
  (void)context, (void)graph, (void)error;
  int64_t elements = poa_type_elements(tensor->type);
  const char *name = poa_node_string(node, "name");
  for (int64_t i = 0; i < elements; i++)
    tensor->data[i] = value_of(name, tensor->type.dtype, i);
  return POA_OK;
}

static poa_status store(void *context, const poa_graph *graph, const poa_node *node,
                        const poa_tensor *tensor, poa_error *error) {
  poa_sample *sample = context;
  if (sample->count == POA_SAMPLE_MOST)
    return poa_fail(error, POA_UNSUPPORTED, "a sample holds %d tensors", POA_SAMPLE_MOST);
  char *name = sample->name[sample->count];
  const poa_node *parameter = &graph->nodes[node->operands[0]];
  if (node->op == POA_OP_assign)
    snprintf(name, sizeof *sample->name, "%.30s.%.30s", poa_node_string(parameter, "set"),
             poa_node_string(parameter, "name"));
  else
    snprintf(name, sizeof *sample->name, "%s", poa_node_string(node, "name"));
  size_t bytes = (size_t)poa_type_elements(tensor->type) * sizeof(double);
  poa_tensor *copy = &sample->tensor[sample->count++];
  *copy = (poa_tensor){tensor->type, malloc(bytes ? bytes : 1)};
  if (!copy->data)
    return poa_fail(error, POA_NO_MEMORY, "no memory for a sample");
  memcpy(copy->data, tensor->data, bytes);
  return POA_OK;
}

poa_bindings poa_sample_bindings(poa_sample *sample) {
  *sample = (poa_sample){0};
  return (poa_bindings){load, store, NULL, sample};
}

void poa_sample_free(poa_sample *sample) {
  for (int i = 0; i < sample->count; i++)
    free(sample->tensor[i].data);
  sample->count = 0;
}

const poa_tensor *poa_sample_find(const poa_sample *sample, const char *name) {
  for (int i = 0; i < sample->count; i++)
    if (!strcmp(sample->name[i], name))
      return &sample->tensor[i];
  return NULL;
}

static bool near(double expected, double actual, double tolerance) {
  if (isnan(expected) || isnan(actual))
    return isnan(expected) && isnan(actual);
  if (isinf(expected) || isinf(actual))
    return expected == actual;
  return fabs(expected - actual) <= tolerance * (1 + fabs(expected));
}

bool poa_sample_agree(const poa_sample *expected, const poa_sample *actual, double tolerance,
                      char *what, size_t size) {
  for (int t = 0; t < expected->count; t++) {
    const poa_tensor *x = &expected->tensor[t];
    const poa_tensor *y = poa_sample_find(actual, expected->name[t]);
    int64_t elements = poa_type_elements(x->type);
    if (!y || poa_type_elements(y->type) != elements)
      return snprintf(what, size, "%s is missing", expected->name[t]), false;
    for (int64_t i = 0; i < elements; i++)
      if (!near(x->data[i], y->data[i], tolerance))
        return snprintf(what, size, "%s[%lld]: expected %.9g, got %.9g", expected->name[t],
                        (long long)i, x->data[i], y->data[i]),
               false;
  }
  return true;
}

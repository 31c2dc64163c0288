/* interpret_ends.c: where values come from and where they go, calls of external
 * functions, and what is left of ops that specialize or differentiate remove. */
#include <string.h>

#include "ir/interpret.h"

static poa_status load(const poa_interpreter *in, const poa_node *node, poa_tensor *y) {
  return in->bindings->load(in->bindings->context, in->graph, node, y, in->error);
}

poa_status poa_interpret_input(const poa_interpreter *in, const poa_node *node,
                               const poa_tensor *const *x, poa_tensor *y) {
  (void)x;
  return load(in, node, y);
}

poa_status poa_interpret_parameter(const poa_interpreter *in, const poa_node *node,
                                   const poa_tensor *const *x, poa_tensor *y) {
  (void)x;
  return load(in, node, y);
}

static void fill(poa_tensor *y, double value) {
  int64_t elements = poa_type_elements(y->type);
  for (int64_t i = 0; i < elements; i++)
    y->data[i] = value;
}

poa_status poa_interpret_constant(const poa_interpreter *in, const poa_node *node,
                                  const poa_tensor *const *x, poa_tensor *y) {
  (void)in;
  (void)x;
  fill(y, poa_node_float(node, "value", 0));
  return POA_OK;
}

static double at_point(const poa_interpreter *in, const poa_node *node, const char *key) {
  return (double)poa_extent_at(poa_node_attribute(node, key)->extents[0], &in->graph->point);
}

poa_status poa_interpret_ratio(const poa_interpreter *in, const poa_node *node,
                               const poa_tensor *const *x, poa_tensor *y) {
  (void)x;
  fill(y, at_point(in, node, "numerator") / at_point(in, node, "denominator"));
  return POA_OK;
}

poa_status poa_interpret_iota(const poa_interpreter *in, const poa_node *node,
                              const poa_tensor *const *x, poa_tensor *y) {
  (void)in;
  (void)x;
  int64_t axis = poa_node_int(node, "axis", 0), index[POA_MAX_RANK] = {0};
  int64_t elements = poa_type_elements(y->type);
  for (int64_t i = 0; i < elements; i++) {
    y->data[i] = (double)index[axis];
    poa_next_index(&y->type, index);
  }
  return POA_OK;
}

static poa_status pass_on(const poa_tensor *x, poa_tensor *y) {
  memcpy(y->data, x->data, (size_t)poa_type_elements(y->type) * sizeof *y->data);
  return POA_OK;
}

static int64_t elastic_value(const poa_graph *graph, const char *name) {
  for (int i = 0; i < graph->lattice.count; i++)
    if (!strcmp(graph->lattice.name[i].name, name))
      return graph->point.value[i];
  return 0;
}

poa_status poa_interpret_keep(const poa_interpreter *in, const poa_node *node,
                              const poa_tensor *const *x, poa_tensor *y) {
  int64_t kept = elastic_value(in->graph, poa_node_string(node, "elastic"));
  bool keeps = poa_block_kept(kept, poa_node_int(node, "of", 0), poa_node_int(node, "index", 0));
  return pass_on(x[keeps ? 0 : 1], y);
}

poa_status poa_interpret_detach(const poa_interpreter *in, const poa_node *node,
                                const poa_tensor *const *x, poa_tensor *y) {
  (void)in;
  (void)node;
  return pass_on(x[0], y);
}

poa_status poa_interpret_gradient(const poa_interpreter *in, const poa_node *node,
                                  const poa_tensor *const *x, poa_tensor *y) {
  (void)node;
  (void)x;
  (void)y;
  return poa_fail(in->error, POA_BAD_INPUT,
                  "a graph with gradient nodes cannot be interpreted (differentiate it first)");
}

poa_status poa_interpret_call(const poa_interpreter *in, const poa_node *node,
                              const poa_tensor *const *x, poa_tensor *y) {
  if (!in->bindings->call)
    return poa_fail(in->error, POA_UNSUPPORTED, "no plugin provides the external function '%s'",
                    poa_node_string(node, "external"));
  return in->bindings->call(in->bindings->context, in->graph, node, x, y, in->error);
}

poa_status poa_interpret_assign(const poa_interpreter *in, const poa_node *node,
                                const poa_tensor *const *x, poa_tensor *y) {
  pass_on(x[1], y);
  return in->bindings->store(in->bindings->context, in->graph, node, y, in->error);
}

poa_status poa_interpret_output(const poa_interpreter *in, const poa_node *node,
                                const poa_tensor *const *x, poa_tensor *y) {
  pass_on(x[0], y);
  return in->bindings->store(in->bindings->context, in->graph, node, y, in->error);
}

/* extract.h: a sub-network as a plain network with parameters of its own. */
#ifndef POA_PASSES_EXTRACT_H
#define POA_PASSES_EXTRACT_H

#include "passes/passes.h"

/* A parameter of the plain network: `factor` times the first elements, along each axis, of
 * parameter number `source` of the elastic network. */
typedef struct poa_plain_parameter {
  const char *name; /* with kept blocks renumbered: blocks.1 where blocks.5 was kept second */
  int source;
  poa_type type, file_type;
  double factor; /* max(in) / in of the layers that read it, else 1 */
} poa_plain_parameter;

typedef struct poa_extraction {
  const poa_parameter *elastic; /* the elastic network's table */
  int count;
  poa_plain_parameter *parameters; /* in the arena of the graph, in the order of its new table */
} poa_extraction;

/* Cuts the plain network out of a symbolic graph that only reads parameters, of one set, at the
 * point of `options`: afterwards graph->parameters are extraction->parameters, in the set "", and
 * no layer scales its input by max(in) / in, unless its weight is read elsewhere without. Fails
 * where the graph updates parameters, reads several sets, or where a parameter's form in files
 * cannot be cut. See extract.c. */
poa_status poa_extract_parameters(poa_graph *graph, const poa_options *options,
                                  poa_extraction *extraction, poa_error *error);

#endif

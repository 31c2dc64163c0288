/* extract.h: a sub-network as a plain network with parameters of its own. */
#ifndef POA_PASSES_EXTRACT_H
#define POA_PASSES_EXTRACT_H

#include "ir/ir.h"

/* A parameter of the plain network: `factor` times the first elements, along each axis, of
 * parameter number `source` of the elastic network. */
typedef struct poa_plain_parameter {
  const char *name; /* with kept blocks renumbered: blocks.1 where blocks.5 was kept second */
  int source;
  poa_type type, file_type;
  double factor; /* max(in) / in of the layers that read it, else 1 */
} poa_plain_parameter;

typedef struct poa_extraction {
  int count;
  poa_plain_parameter *parameters; /* in the arena of the graph */
} poa_extraction;

/* Cuts the plain network out of a specialized graph that only reads parameters: afterwards
 * graph->parameters are extraction->parameters, in the set "", nothing reads a prefix, and no
 * layer scales its input by max(in) / in. Fails where an entry updates parameters, or reads
 * two sets. */
poa_status poa_extract(poa_graph *graph, poa_extraction *extraction, poa_error *error);

#endif

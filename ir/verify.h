/* verify.h: what the two halves of the verifier share. */
#ifndef POA_IR_VERIFY_H
#define POA_IR_VERIFY_H

#include "ir/internal.h"

/* Fails with the message and the text of the node. */
poa_status poa_verify_fail(const poa_graph *graph, poa_value value, poa_error *error,
                           const char *format, ...) __attribute__((format(printf, 4, 5)));

/* No extent of the type or of an attribute is symbolic. */
bool poa_node_known(const poa_node *node);

/* verify_storage.c: what layout and schedule promise. Nothing to check before layout. */
poa_status poa_verify_storage(const poa_graph *graph, poa_error *error);

#endif

/* convolution.h: convolutions as products; part of expand. */
#ifndef POA_PASSES_CONVOLUTION_H
#define POA_PASSES_CONVOLUTION_H

#include "ir/build.h"

/* Writes a conv2d, conv2d_input or conv2d_weight `node` in terms of products, windows, concat
 * and gather; x and y are its operands in the graph being built. */
poa_value poa_expand_convolution(poa_build *b, const poa_node *node, poa_value x, poa_value y);

#endif

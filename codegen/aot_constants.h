/* aot_constants.h: plans and programs as constant data. */
#ifndef POA_CODEGEN_AOT_CONSTANTS_H
#define POA_CODEGEN_AOT_CONSTANTS_H

#include "codegen/aot.h"
#include "codegen/image.h"

/* Puts a poa_program and all it refers to into the image; returns its place. Kernels are the
 * symbols that `symbols[entry][launch]` names (NULL for an external call); the weights are the
 * symbol `weights`, or NULL. */
size_t poa_put_program(poa_image *image, const poa_program *program,
                       const char *const *const *symbols, const char *weights);

#endif

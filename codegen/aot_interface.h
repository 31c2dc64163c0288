/* aot_interface.h: what the C functions of a library are called and take; followed by their code
 * (aot_library.c) and by their header (aot_header.c).
 *
 * An entry that turns images into features and updates nothing takes any number of images:
 *
 *   int net_features(const void *weights, const float *images, int64_t count, float *features,
 *                    void *workspace, int threads);
 *
 * Any other takes what its plan has, in order:
 *
 *   int net_step(void *parameters, const float *in_x, .., float *out_loss, .., void *workspace,
 *                int threads); */
#ifndef POA_CODEGEN_AOT_INTERFACE_H
#define POA_CODEGEN_AOT_INTERFACE_H

#include "codegen/aot.h"

#define POA_AOT_NAME 120       /* characters of a name, with the terminator */
#define POA_AOT_BAD_ARGUMENT 1 /* what functions return for NULL or misaligned pointers */

typedef struct poa_aot_interface {
  const char *name;
  const poa_plan *plan;
  bool batched;                    /* images in, features out, for any count */
  bool inside;                     /* the library has the weights */
  bool parameters;                 /* the caller passes a parameter space .. */
  bool updates;                    /* .. which is written to */
  const poa_plan_input *images;    /* batched */
  const poa_plan_output *features; /* batched */
} poa_aot_interface;

/* Fails where the entry cannot be a library: external calls, weights inside that would be
 * updated, names that are no identifiers. */
poa_status poa_aot_interface_of(const poa_aot_library *library, poa_aot_interface *interface,
                                poa_error *error);

/* Whether the entry's function has a pointer for this output: all but probes. */
static inline bool poa_aot_is_given(const poa_plan_output *output) {
  return output->kind != POA_OUTPUT_PROBE;
}

/* Elements of one image, and of its features. */
static inline int64_t poa_aot_elements_each(poa_plan_shape shape) {
  return poa_plan_elements(shape) / shape.dim[0];
}

#endif

/* features_ends.c: see features_ends.h. */
#include "program/features_ends.h"

static bool are_features_of_images(const poa_plan_output *features, const poa_plan_input *images) {
  const poa_plan_shape *in = &images->shape, *out = &features->shape;
  return images->dtype == POA_PLAN_F32 && features->dtype == POA_PLAN_F32 && in->rank == 4 &&
         in->dim[2] == in->dim[3] && out->rank == 2 && out->dim[0] == in->dim[0];
}

poa_status poa_find_features_ends(const poa_plan *plan, poa_features_ends *ends, poa_error *error) {
  *ends = (poa_features_ends){0};
  if (plan->input_count == 1)
    ends->images = &plan->inputs[0];
  for (int i = plan->output_count - 1; i >= 0; i--)
    if (plan->outputs[i].kind == POA_OUTPUT_RESULT)
      ends->features = &plan->outputs[i];
  if (ends->images && ends->features && are_features_of_images(ends->features, ends->images))
    return POA_OK;
  return poa_fail(error, POA_BAD_INPUT,
                  "the entry 'features' has to take one input, images [n, channels, size, size], "
                  "and to return features [n, d] first");
}

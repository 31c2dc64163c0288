/* preparation.c: crops and masks of one step. */
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/augment.h"
#include "runtime/block_mask.h"
#include "runtime/preparation.h"
#include "runtime/shape.h"

/* Uses of randomness, far from those that plans count from 0. */
static const uint32_t order_use = 0x6f726472u; /* "ordr" */
static const uint32_t mask_use = 0x6d61736bu;  /* "mask" */
static const uint32_t group_use = 0x67726f75u; /* "grou", + seed_group */

/* Crops are keyed by the input's name (FNV-1a): another plan of the same entry may number
 * its inputs otherwise. */
static uint32_t crops_use(const char *name) {
  uint32_t hash = 2166136261u;
  for (; *name; name++)
    hash = (hash ^ (unsigned char)*name) * 16777619u;
  return hash | 1u << 31;
}

typedef struct prepared_input {
  char *name; /* owned */
  poa_plan_shape shape;
  const poa_source_row *row;
  double value[POA_SOURCE_MAX_PARAMETERS];
  int64_t offset, bytes;
  uint32_t use;             /* crops */
  poa_augmenter *augmenter; /* crops */
  poa_normalization normalization;
} prepared_input;

struct poa_preparation {
  const poa_dataset *data;
  uint64_t seed;
  int count;
  prepared_input *inputs;
  int64_t bytes;

  int64_t batch;          /* images of a step; 0 without crops */
  int32_t *order;         /* [data->count], of pass `pass` */
  int64_t pass;           /* -1 before the first */
  int least;              /* shorter side of an image that suffices for all crops; 0: none does */
  poa_held_image *images; /* [batch], of the step that is made */

  bool masked;
  poa_block_mask mask;
  uint8_t *patches;   /* [mask.rows, mask.side * mask.side] */
  int32_t *row_order; /* [mask.rows] */
};

/* Creation: inputs one by one, then what they share. */

static bool is(const prepared_input *input, const char *source) {
  return strcmp(input->row->name, source) == 0;
}

static poa_status add_input(poa_preparation *p, const poa_bound_source *source, poa_error *error) {
  prepared_input *to = &p->inputs[p->count];
  *to = (prepared_input){.name = strdup(source->input->name), .row = source->row};
  if (!to->name)
    return poa_fail(error, POA_NO_MEMORY, "no memory to prepare input '%s'", source->input->name);
  to->shape = source->input->shape;
  memcpy(to->value, source->value, sizeof to->value);
  to->offset = p->bytes;
  to->bytes = poa_plan_elements(to->shape) * poa_plan_dtype_bytes(to->row->dtype);
  p->bytes += (to->bytes + POA_ALIGNMENT - 1) / POA_ALIGNMENT * POA_ALIGNMENT;
  p->count++;
  return POA_OK;
}

static poa_status check_images(const poa_preparation *p, const prepared_input *to, int64_t batch,
                               poa_error *error) {
  if (!p->data)
    return poa_fail(error, POA_BAD_INPUT,
                    "input '%s' is made of images, but there are none: name them with --data",
                    to->name);
  if (p->batch && batch != p->batch)
    return poa_fail(error, POA_BAD_INPUT,
                    "input '%s' crops %lld images a step (first extent %lld / count %.0f), others "
                    "crop %lld; all must crop the same",
                    to->name, (long long)batch, (long long)to->shape.dim[0],
                    to->value[POA_CROPS_COUNT], (long long)p->batch);
  if (batch > p->data->count)
    return poa_fail(error, POA_BAD_INPUT,
                    "input '%s' crops %lld images a step, the data has only %lld; lower the batch "
                    "size",
                    to->name, (long long)batch, (long long)p->data->count);
  return POA_OK;
}

/* So that no crop is enlarged: the smallest box covers scale_min of the area, and is at most 4/3 as
 * long as it is short. */
static int least_side(const prepared_input *to) {
  double least = ceil((double)to->shape.dim[2] / sqrt(0.75 * to->value[POA_CROPS_SCALE_MIN]));
  return least < INT_MAX ? (int)least : 0;
}

static poa_status add_crops(poa_preparation *p, prepared_input *to, poa_error *error) {
  if (to->bytes == 0)
    return POA_OK;
  int64_t batch = to->shape.dim[0] / (int64_t)to->value[POA_CROPS_COUNT];
  poa_status status = check_images(p, to, batch, error);
  if (status != POA_OK)
    return status;
  int least = least_side(to);
  p->least = p->batch && (!p->least || !least) ? 0 : least > p->least ? least : p->least;
  p->batch = batch;
  int group = (int)to->value[POA_CROPS_SEED_GROUP];
  to->use = group < 0 ? crops_use(to->name) : group_use + (uint32_t)group;
  to->normalization = poa_dataset_normalization(p->data, (int)to->shape.dim[1]);
  return poa_augmenter_create(&to->augmenter, (int)to->shape.dim[2], error);
}

static poa_status add_mask(poa_preparation *p, const prepared_input *to, poa_error *error) {
  if (p->masked)
    return poa_fail(error, POA_BAD_INPUT,
                    "input '%s' from block_mask: a step has one set of masks, and another input "
                    "is filled from block_mask already",
                    to->name);
  int side = 1;
  while ((int64_t)side * side < to->shape.dim[1])
    side++;
  p->masked = true;
  p->mask = (poa_block_mask){.rows = to->shape.dim[0],
                             .side = side,
                             .probability = to->value[POA_MASK_PROBABILITY],
                             .low = to->value[POA_MASK_RATIO_MIN],
                             .high = to->value[POA_MASK_RATIO_MAX]};
  p->patches = malloc((size_t)to->bytes);
  p->row_order = malloc((size_t)p->mask.rows * sizeof *p->row_order);
  if (!p->patches || !p->row_order)
    return poa_fail(error, POA_NO_MEMORY, "no memory for the masks of input '%s'", to->name);
  return POA_OK;
}

/* mask_indices and its kin must have room for all that can be masked. */
static poa_status check_list(const poa_preparation *p, const prepared_input *to, poa_error *error) {
  if (!p->masked)
    return poa_fail(error, POA_BAD_INPUT,
                    "input '%s' from %s: there are no masks to list; another input must be filled "
                    "from block_mask",
                    to->name, to->row->name);
  int64_t bound = poa_block_mask_bound(&p->mask);
  if (to->shape.dim[0] < bound)
    return poa_fail(error, POA_BAD_INPUT,
                    "input '%s' from %s: up to %lld patches can be masked (the sum over the bins "
                    "of int(patches * upper end)), its extent %lld is too small",
                    to->name, to->row->name, (long long)bound, (long long)to->shape.dim[0]);
  return POA_OK;
}

static poa_status add_inputs(poa_preparation *p, const poa_plan *plan, poa_error *error) {
  p->inputs = calloc((size_t)plan->input_count + 1, sizeof *p->inputs);
  if (!p->inputs)
    return poa_fail(error, POA_NO_MEMORY, "no memory to prepare inputs");
  for (int i = 0; i < plan->input_count; i++) {
    poa_bound_source source;
    if (plan->inputs[i].source[0] == '\0')
      continue;
    poa_status status = poa_source_bind(&source, &plan->inputs[i], error);
    if (status == POA_OK && source.row->kind == POA_SOURCE_PREPARED)
      status = add_input(p, &source, error);
    if (status != POA_OK)
      return status;
  }
  return POA_OK;
}

static poa_status set_up_inputs(poa_preparation *p, poa_error *error) {
  poa_status status = POA_OK;
  for (int i = 0; i < p->count && status == POA_OK; i++)
    if (is(&p->inputs[i], "crops"))
      status = add_crops(p, &p->inputs[i], error);
    else if (is(&p->inputs[i], "block_mask"))
      status = add_mask(p, &p->inputs[i], error);
  for (int i = 0; i < p->count && status == POA_OK; i++)
    if (!is(&p->inputs[i], "crops") && !is(&p->inputs[i], "block_mask"))
      status = check_list(p, &p->inputs[i], error);
  if (status != POA_OK || !p->batch)
    return status;
  p->pass = -1;
  p->order = malloc((size_t)p->data->count * sizeof *p->order);
  p->images = calloc((size_t)p->batch, sizeof *p->images);
  poa_dataset_keep(p->data, p->least);
  return p->order && p->images ? POA_OK
                               : poa_fail(error, POA_NO_MEMORY, "no memory to shuffle the images");
}

poa_status poa_preparation_create(poa_preparation **preparation, const poa_plan *plan,
                                  const poa_dataset *data, uint64_t seed, poa_error *error) {
  poa_preparation *p = *preparation = calloc(1, sizeof *p);
  if (!p)
    return poa_fail(error, POA_NO_MEMORY, "no memory to prepare inputs");
  p->data = data;
  p->seed = seed;
  poa_status status = add_inputs(p, plan, error);
  if (status == POA_OK)
    status = set_up_inputs(p, error);
  if (status != POA_OK || p->count == 0) {
    poa_preparation_free(p);
    *preparation = NULL;
  }
  return status;
}

void poa_preparation_free(poa_preparation *preparation) {
  if (!preparation)
    return;
  for (int i = 0; i < preparation->count; i++) {
    free(preparation->inputs[i].name);
    poa_augmenter_free(preparation->inputs[i].augmenter);
  }
  free(preparation->inputs);
  free(preparation->order);
  free(preparation->images);
  free(preparation->patches);
  free(preparation->row_order);
  free(preparation);
}

int64_t poa_preparation_bytes(const poa_preparation *preparation) {
  return preparation->bytes;
}

/* One step. */

/* The images of `step`, p->batch of them. */
static const int32_t *images_of(poa_preparation *p, int64_t step) {
  int64_t steps = p->data->count / p->batch, pass = step / steps;
  if (pass != p->pass) {
    poa_random random;
    poa_random_open(&random, p->seed, (uint64_t)pass, order_use);
    poa_random_permutation(&random, p->order, p->data->count);
    p->pass = pass;
  }
  return p->order + step % steps * p->batch;
}

static poa_augmentation augmentation_of(const double *v, bool first, bool last) {
  return (poa_augmentation){.scale_min = v[POA_CROPS_SCALE_MIN],
                            .scale_max = v[POA_CROPS_SCALE_MAX],
                            .flip = v[POA_CROPS_FLIP],
                            .jitter = v[POA_CROPS_JITTER],
                            .brightness = v[POA_CROPS_BRIGHTNESS],
                            .contrast = v[POA_CROPS_CONTRAST],
                            .saturation = v[POA_CROPS_SATURATION],
                            .hue = v[POA_CROPS_HUE],
                            .grey = v[POA_CROPS_GREY],
                            .blur = first ? v[POA_CROPS_BLUR_FIRST] : v[POA_CROPS_BLUR_REST],
                            .solarize = last ? v[POA_CROPS_SOLARIZE_LAST] : 0};
}

static void release_images(poa_preparation *p) {
  for (int64_t i = 0; i < p->batch; i++)
    poa_held_image_release(&p->images[i]);
}

/* All images of a step are held at once, since crop by crop goes over all of them. */
static poa_status take_images(poa_preparation *p, int64_t step, poa_error *error) {
  const int32_t *images = images_of(p, step);
  poa_status status = POA_OK;
  for (int64_t i = 0; i < p->batch && status == POA_OK; i++)
    status = poa_dataset_get_some(p->data, images[i], p->least, &p->images[i], error);
  if (status)
    release_images(p);
  return status;
}

static poa_status make_crops(const poa_preparation *p, const prepared_input *to, int64_t step,
                             float *out, poa_error *error) {
  int channels = (int)to->shape.dim[1], size = (int)to->shape.dim[2];
  int64_t count = (int64_t)to->value[POA_CROPS_COUNT];
  poa_random random;
  poa_random_open(&random, p->seed, (uint64_t)step, to->use);
  for (int64_t crop = 0; crop < count; crop++) {
    poa_augmentation how = augmentation_of(to->value, crop == 0, crop == count - 1);
    for (int64_t i = 0; i < p->batch; i++) {
      poa_pixels pixels = p->images[i].pixels;
      if (poa_augmenter_reserve(to->augmenter, pixels.height, pixels.width, error))
        return error->status;
      poa_augment(to->augmenter, pixels, &how, &to->normalization, &random,
                  (poa_image){out, channels, size});
      out += (int64_t)channels * size * size;
    }
  }
  return POA_OK;
}

static int64_t count_masked(const uint8_t *patches, int64_t count) {
  int64_t masked = 0;
  for (int64_t i = 0; i < count; i++)
    masked += patches[i];
  return masked;
}

/* One entry per masked patch in ascending order, then zeros: its flat position, 1 / masked
 * patches of its crop, or 1. */
static poa_status make_list(const poa_preparation *p, const prepared_input *to, void *out,
                            poa_error *error) {
  int64_t patches = (int64_t)p->mask.side * p->mask.side, used = 0;
  bool indices = is(to, "mask_indices"), weights = is(to, "mask_weights");
  memset(out, 0, (size_t)to->bytes);
  for (int64_t row = 0; row < p->mask.rows; row++) {
    const uint8_t *mask = p->patches + row * patches;
    int64_t masked = count_masked(mask, patches);
    if (used + masked > to->shape.dim[0])
      return poa_fail(error, POA_BAD_INPUT, "input '%s': more than %lld patches are masked",
                      to->name, (long long)to->shape.dim[0]);
    for (int64_t i = 0; i < patches; i++) {
      if (!mask[i])
        continue;
      if (indices)
        ((int32_t *)out)[used++] = (int32_t)(row * patches + i);
      else
        ((float *)out)[used++] = weights ? 1 / (float)masked : 1;
    }
  }
  return POA_OK;
}

static poa_status make_inputs(poa_preparation *p, int64_t step, char *prepared, poa_error *error) {
  poa_status status = POA_OK;
  for (int i = 0; i < p->count && status == POA_OK; i++) {
    const prepared_input *input = &p->inputs[i];
    char *out = prepared + input->offset;
    if (input->bytes == 0)
      continue;
    if (is(input, "crops"))
      status = make_crops(p, input, step, (float *)out, error);
    else if (is(input, "block_mask"))
      memcpy(out, p->patches, (size_t)input->bytes);
    else
      status = make_list(p, input, out, error);
  }
  return status;
}

poa_status poa_preparation_make(poa_preparation *preparation, int64_t step, char *prepared,
                                poa_error *error) {
  poa_preparation *p = preparation;
  if (p->masked) {
    poa_random random;
    poa_random_open(&random, p->seed, (uint64_t)step, mask_use);
    poa_block_mask_draw(&p->mask, &random, p->patches, p->row_order);
  }
  poa_status status = p->batch ? take_images(p, step, error) : POA_OK;
  if (status)
    return status;
  status = make_inputs(p, step, prepared, error);
  release_images(p);
  return status;
}

static bool same_arguments(const prepared_input *input, const poa_bound_source *source) {
  for (int i = 0; i < POA_SOURCE_MAX_PARAMETERS; i++)
    if (input->value[i] != source->value[i])
      return false;
  return true;
}

poa_status poa_preparation_find(const poa_preparation *preparation, const poa_bound_source *source,
                                int64_t *offset, int64_t *bytes, poa_error *error) {
  for (int i = 0; preparation && i < preparation->count; i++) {
    const prepared_input *input = &preparation->inputs[i];
    if (strcmp(input->name, source->input->name) != 0)
      continue;
    if (input->row != source->row || !poa_shapes_equal(input->shape, source->input->shape) ||
        !same_arguments(input, source))
      break;
    *offset = input->offset;
    *bytes = input->bytes;
    return POA_OK;
  }
  return poa_fail(error, POA_BAD_INPUT,
                  "input '%s' from %s: not as in the plan that training began with; inputs made "
                  "of images and masks must be alike in all plans of a run",
                  source->input->name, source->input->source);
}

/* sources.c: the table of sources, and those that are computed when a step begins.
 *
 * Steps count from 0; step_number() counts from 1, as Adam's bias correction wants. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/philox.h"
#include "runtime/schedule.h"
#include "runtime/source_table.h"
#include "runtime/sources.h"

#define REQUIRED ((double)NAN)
#define ANY -HUGE_VAL, HUGE_VAL, false
#define COUNT(least) (least), 1e15, true
#define PROBABILITY 0, 1, false

/* Computed sources. */

static void fill_constant(const poa_bound_source *source, uint64_t seed, int64_t step, void *out) {
  (void)seed, (void)step;
  *(float *)out = (float)source->value[0];
}

static void fill_after(const poa_bound_source *source, uint64_t seed, int64_t step, void *out) {
  (void)seed;
  *(float *)out = step >= (int64_t)source->value[0] ? (float)source->value[1] : 0;
}

static void fill_step_number(const poa_bound_source *source, uint64_t seed, int64_t step,
                             void *out) {
  (void)seed, (void)source;
  *(float *)out = (float)(step + 1);
}

static void fill_linear(const poa_bound_source *source, uint64_t seed, int64_t step, void *out) {
  (void)seed;
  const double *v = source->value;
  *(float *)out = (float)poa_linear_at(v[0], v[1], (int64_t)v[2], step);
}

static void fill_cosine(const poa_bound_source *source, uint64_t seed, int64_t step, void *out) {
  enum { BASE, FINAL, TOTAL, WARMUP, START, FREEZE, STRETCH, ZERO_UNTIL };
  (void)seed;
  const double *v = source->value;
  const poa_cosine schedule = {.base = v[BASE],
                               .final = v[FINAL],
                               .start = v[START],
                               .stretch = v[STRETCH],
                               .total = (int64_t)v[TOTAL],
                               .warmup = (int64_t)v[WARMUP],
                               .freeze = (int64_t)v[FREEZE]};
  *(float *)out = step < (int64_t)v[ZERO_UNTIL] ? 0 : (float)poa_cosine_at(&schedule, step);
}

/* The beginning of a random permutation, without memory for the whole: a reservoir picks
 * which (Vitter's algorithm R), a shuffle their order. */
static void fill_subset(const poa_bound_source *source, uint64_t seed, int64_t step, void *out) {
  int32_t *chosen = out, of = (int32_t)source->value[0];
  int64_t count = source->input->shape.dim[0];
  poa_random random;
  poa_random_open(&random, seed, (uint64_t)step, (uint32_t)source->input->use);
  poa_random_permutation(&random, chosen, count);
  for (int32_t i = (int32_t)count; i < of; i++) {
    int64_t place = poa_random_below(&random, i + 1);
    if (place < count)
      chosen[place] = i;
  }
}

/* Checks of extents. */

static poa_status fail(const poa_bound_source *source, poa_error *error, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static poa_status fail(const poa_bound_source *source, poa_error *error, const char *format, ...) {
  char what[500];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(what, sizeof what, format, arguments);
  va_end(arguments);
  return poa_fail(error, POA_BAD_INPUT, "input '%s' from %s: %s", source->input->name,
                  source->input->source, what);
}

static poa_status check_subset(const poa_bound_source *source, poa_error *error) {
  int64_t count = source->input->shape.dim[0];
  if (count <= (int64_t)source->value[0])
    return POA_OK;
  return fail(source, error, "expected at most of = %.0f entries, found an extent of %lld",
              source->value[0], (long long)count);
}

static poa_status check_crops(const poa_bound_source *source, poa_error *error) {
  const int64_t *dim = source->input->shape.dim;
  const double *v = source->value;
  int64_t count = (int64_t)v[POA_CROPS_COUNT];
  if (count ? dim[0] % count : dim[0]) /* no crops at all is fine */
    return fail(source, error,
                "expected a first extent that is a multiple of count = %.0f, "
                "found %lld",
                v[POA_CROPS_COUNT], (long long)dim[0]);
  if (dim[1] != 1 && dim[1] != 3)
    return fail(source, error, "expected 1 or 3 channels, found %lld", (long long)dim[1]);
  if (dim[2] != dim[3])
    return fail(source, error, "expected square crops, found %lld x %lld", (long long)dim[2],
                (long long)dim[3]);
  if (v[POA_CROPS_SCALE_MIN] > v[POA_CROPS_SCALE_MAX])
    return fail(source, error, "scale_min = %g exceeds scale_max = %g", v[POA_CROPS_SCALE_MIN],
                v[POA_CROPS_SCALE_MAX]);
  return POA_OK;
}

static poa_status check_block_mask(const poa_bound_source *source, poa_error *error) {
  int64_t patches = source->input->shape.dim[1], side = llrint(sqrt((double)patches));
  if (side * side != patches)
    return fail(source, error, "expected a square number of patches, found %lld",
                (long long)patches);
  if (source->value[POA_MASK_RATIO_MIN] > source->value[POA_MASK_RATIO_MAX])
    return fail(source, error, "ratio_min = %g exceeds ratio_max = %g",
                source->value[POA_MASK_RATIO_MIN], source->value[POA_MASK_RATIO_MAX]);
  return POA_OK;
}

/* The table. */

static const poa_source_row rows[] = {
    {.name = "crops",
     .kind = POA_SOURCE_PREPARED,
     .dtype = POA_PLAN_F32,
     .rank = 4,
     .check = check_crops,
     .parameters = {[POA_CROPS_COUNT] = {"count", 1, COUNT(0)},
                    [POA_CROPS_SCALE_MIN] = {"scale_min", 0.08, PROBABILITY},
                    [POA_CROPS_SCALE_MAX] = {"scale_max", 1, PROBABILITY},
                    [POA_CROPS_FLIP] = {"flip", 0.5, PROBABILITY},
                    [POA_CROPS_JITTER] = {"jitter", 0.8, PROBABILITY},
                    [POA_CROPS_BRIGHTNESS] = {"brightness", 0.4, 0, HUGE_VAL, false},
                    [POA_CROPS_CONTRAST] = {"contrast", 0.4, 0, HUGE_VAL, false},
                    [POA_CROPS_SATURATION] = {"saturation", 0.2, 0, HUGE_VAL, false},
                    [POA_CROPS_HUE] = {"hue", 0.1, 0, 0.5, false},
                    [POA_CROPS_GREY] = {"grey", 0.2, PROBABILITY},
                    [POA_CROPS_BLUR_FIRST] = {"blur_first", 0.5, PROBABILITY},
                    [POA_CROPS_BLUR_REST] = {"blur_rest", 0.5, PROBABILITY},
                    [POA_CROPS_SOLARIZE_LAST] = {"solarize_last", 0, PROBABILITY},
                    [POA_CROPS_SEED_GROUP] = {"seed_group", -1, -1, 1000, true}}},
    {.name = "block_mask",
     .kind = POA_SOURCE_PREPARED,
     .dtype = POA_PLAN_BOOL,
     .rank = 2,
     .check = check_block_mask,
     .parameters = {[POA_MASK_PROBABILITY] = {"prob", 0.5, PROBABILITY},
                    [POA_MASK_RATIO_MIN] = {"ratio_min", 0.1, PROBABILITY},
                    [POA_MASK_RATIO_MAX] = {"ratio_max", 0.5, PROBABILITY}}},
    {.name = "mask_indices", .kind = POA_SOURCE_PREPARED, .dtype = POA_PLAN_I32, .rank = 1},
    {.name = "mask_weights", .kind = POA_SOURCE_PREPARED, .dtype = POA_PLAN_F32, .rank = 1},
    {.name = "mask_valid", .kind = POA_SOURCE_PREPARED, .dtype = POA_PLAN_F32, .rank = 1},
    {.name = "subset",
     .dtype = POA_PLAN_I32,
     .rank = 1,
     .fill = fill_subset,
     .check = check_subset,
     .parameters = {{"of", REQUIRED, 1, INT32_MAX, true}}},
    {.name = "cosine",
     .fill = fill_cosine,
     .parameters = {{"base", REQUIRED, ANY},
                    {"final", REQUIRED, ANY},
                    {"total", REQUIRED, COUNT(1)},
                    {"warmup", 0, COUNT(0)},
                    {"start", 0, ANY},
                    {"freeze", 0, COUNT(0)},
                    {"stretch", 1, 1e-6, 1, false},
                    {"zero_until", 0, COUNT(0)}}},
    {.name = "linear",
     .fill = fill_linear,
     .parameters = {{"from", REQUIRED, ANY}, {"to", REQUIRED, ANY}, {"steps", REQUIRED, COUNT(0)}}},
    {.name = "constant", .fill = fill_constant, .parameters = {{"value", REQUIRED, ANY}}},
    {.name = "after",
     .fill = fill_after,
     .parameters = {{"step", REQUIRED, COUNT(0)}, {"value", 1, ANY}}},
    {.name = "step_number", .fill = fill_step_number},
    {.name = "images", .kind = POA_SOURCE_EVALUATOR, .dtype = POA_PLAN_F32, .rank = 4},
};
enum { ROWS = sizeof rows / sizeof *rows };

/* Names. */

static const poa_source_row *find_row(const char *name) {
  for (int i = 0; i < ROWS; i++)
    if (!strcmp(rows[i].name, name))
      return &rows[i];
  return NULL;
}

static int count_parameters(const poa_source_row *row) {
  int count = 0;
  while (count < POA_SOURCE_MAX_PARAMETERS && row->parameters[count].name)
    count++;
  return count;
}

static int find_parameter(const poa_source_row *row, const char *name) {
  int count = count_parameters(row);
  for (int i = 0; i < count; i++)
    if (!strcmp(row->parameters[i].name, name))
      return i;
  return -1;
}

/* "did you mean 'cosine'?", or all names where none is near. */
static void advise(const char *name, const char *const *names, int count, char *advice,
                   size_t size) {
  const char *nearest = poa_nearest(name, names, count);
  if (nearest) {
    snprintf(advice, size, "did you mean '%s'?", nearest);
    return;
  }
  size_t used = (size_t)snprintf(advice, size, "expected %s", count > 1 ? "one of " : "");
  for (int i = 0; i < count && used < size; i++)
    used += (size_t)snprintf(advice + used, size - used, "%s%s", i ? ", " : "", names[i]);
}

bool poa_source_exists(const char *name, char *advice, size_t size) {
  const char *names[ROWS];
  if (find_row(name))
    return true;
  for (int i = 0; i < ROWS; i++)
    names[i] = rows[i].name;
  advise(name, names, ROWS, advice, size);
  return false;
}

/* Binding. */

static poa_status refuse_argument(const poa_bound_source *source, const char *name,
                                  poa_error *error) {
  const char *names[POA_SOURCE_MAX_PARAMETERS];
  char advice[POA_SOURCE_ADVICE];
  int count = count_parameters(source->row);
  if (count == 0)
    return fail(source, error, "takes no arguments, found '%s'", name);
  for (int i = 0; i < count; i++)
    names[i] = source->row->parameters[i].name;
  advise(name, names, count, advice, sizeof advice);
  return fail(source, error, "no argument '%s'; %s", name, advice);
}

static poa_status bind_argument(poa_bound_source *source, const poa_plan_source_argument *argument,
                                poa_error *error) {
  int index = find_parameter(source->row, argument->name);
  if (index < 0)
    return refuse_argument(source, argument->name, error);
  if (argument->text)
    return fail(source, error, "%s: expected a number, found \"%s\"", argument->name,
                argument->text);
  const poa_source_parameter *p = &source->row->parameters[index];
  double value = argument->value, nearby = rint(value);
  if (!isfinite(value))
    return fail(source, error, "%s: expected a number, found %g", p->name, value);
  if (p->whole && fabs(value - nearby) > 1e-9 * fmax(1, fabs(value)))
    return fail(source, error, "%s: expected a whole number, found %g", p->name, value);
  value = p->whole ? nearby : value;
  if (value < p->low || value > p->high)
    return fail(source, error, "%s: expected %g to %g, found %g", p->name, p->low, p->high, value);
  source->value[index] = value;
  return POA_OK;
}

static poa_status bind_arguments(poa_bound_source *source, poa_error *error) {
  const poa_source_parameter *parameters = source->row->parameters;
  for (int i = 0; i < POA_SOURCE_MAX_PARAMETERS; i++)
    source->value[i] = parameters[i].name ? parameters[i].fallback : 0;
  for (int i = 0; i < source->input->argument_count; i++) {
    poa_status status = bind_argument(source, &source->input->arguments[i], error);
    if (status != POA_OK)
      return status;
  }
  for (int i = 0; i < POA_SOURCE_MAX_PARAMETERS; i++)
    if (isnan(source->value[i]))
      return fail(source, error, "lacks the argument '%s'", parameters[i].name);
  return POA_OK;
}

static poa_status check_type(const poa_bound_source *source, poa_error *error) {
  static const char *const names[] = {"f32", "i32", "bool"};
  const poa_plan_input *input = source->input;
  if (input->dtype == source->row->dtype && input->shape.rank == source->row->rank)
    return POA_OK;
  return fail(source, error, "expected a tensor of type %s and rank %d, found %s and %d",
              names[source->row->dtype], source->row->rank, names[input->dtype], input->shape.rank);
}

poa_status poa_source_bind(poa_bound_source *source, const poa_plan_input *input,
                           poa_error *error) {
  char advice[POA_SOURCE_ADVICE];
  *source = (poa_bound_source){.input = input, .row = find_row(input->source)};
  if (!poa_source_exists(input->source, advice, sizeof advice))
    return poa_fail(error, POA_BAD_INPUT, "input '%s': no source '%s'; %s", input->name,
                    input->source, advice);
  poa_status status = check_type(source, error);
  if (status == POA_OK)
    status = bind_arguments(source, error);
  if (status == POA_OK && source->row->check)
    status = source->row->check(source, error);
  return status;
}

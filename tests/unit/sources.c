/* sources: the inputs of every step, from a table of sources and a thread. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/dataset.h"
#include "runtime/sources.h"
#include "temporary_folder.h"

/* A training entry in small: 2 global and 3 local crops of 4 images, masks, schedules. */

enum { BATCH = 4, SIDE = 4, MASKED = 4 + 5 + 6 + 8, ARENA = 1 << 17, MAX_INPUTS = 12 };

typedef struct entry {
  poa_plan plan;
  poa_plan_input inputs[MAX_INPUTS];
  char arena[ARENA];
} entry;

#define ARGUMENTS(...)                                                                             \
  (const poa_plan_source_argument[]){__VA_ARGS__},                                                 \
      sizeof((const poa_plan_source_argument[]){__VA_ARGS__}) / sizeof(poa_plan_source_argument)

static poa_plan_input *add(entry *e, const char *name, const char *source, poa_plan_dtype dtype,
                           poa_plan_shape shape, const poa_plan_source_argument *arguments,
                           size_t argument_count) {
  int index = e->plan.input_count++;
  poa_plan_input *input = &e->inputs[index];
  int64_t offset = index ? input[-1].buffer.offset + input[-1].buffer.bytes : 0;
  int64_t bytes = (poa_plan_elements(shape) * poa_plan_dtype_bytes(dtype) + 63) / 64 * 64;
  *input = (poa_plan_input){.name = name,
                            .dtype = dtype,
                            .shape = shape,
                            .buffer = {POA_SPACE_ARENA, offset, bytes},
                            .source = source,
                            .argument_count = (int)argument_count,
                            .arguments = arguments,
                            .use = index};
  cr_assert(offset + bytes <= ARENA && index < MAX_INPUTS);
  return input;
}

static entry *entry_create(void) {
  entry *e = calloc(1, sizeof *e);
  e->plan.entry = "step";
  e->plan.inputs = e->inputs;
  return e;
}

static const poa_plan_source_argument global_arguments[] = {
    {"count", 2, NULL, 0}, {"scale_min", 0.32, NULL, 0}, {"blur_first", 1, NULL, 0}};
static const poa_plan_source_argument local_arguments[] = {
    {"count", 3, NULL, 0}, {"scale_min", 0.05, NULL, 0}, {"scale_max", 0.32, NULL, 0}};
static const poa_plan_source_argument mask_arguments[] = {
    {"prob", 0.5, NULL, 0}, {"ratio_min", 0.2, NULL, 0}, {"ratio_max", 0.5, NULL, 0}};
static const poa_plan_source_argument subset_arguments[] = {{"of", 8, NULL, 0}};
static const poa_plan_source_argument linear_arguments[] = {
    {"from", 1, NULL, 0}, {"to", 2, NULL, 0}, {"steps", 11, NULL, 0}};

static entry *training_entry(void) {
  entry *e = entry_create();
  const poa_plan_shape list = {1, {MASKED}}, scalar = {0, {0}};
  add(e, "global", "crops", POA_PLAN_F32, (poa_plan_shape){4, {2 * BATCH, 1, 12, 12}},
      global_arguments, 3);
  add(e, "local", "crops", POA_PLAN_F32, (poa_plan_shape){4, {3 * BATCH, 1, 8, 8}}, local_arguments,
      3);
  add(e, "masks", "block_mask", POA_PLAN_BOOL, (poa_plan_shape){2, {2 * BATCH, SIDE * SIDE}},
      mask_arguments, 3);
  add(e, "indices", "mask_indices", POA_PLAN_I32, list, NULL, 0);
  add(e, "weights", "mask_weights", POA_PLAN_F32, list, NULL, 0);
  add(e, "valid", "mask_valid", POA_PLAN_F32, list, NULL, 0);
  add(e, "kept", "subset", POA_PLAN_I32, (poa_plan_shape){1, {5}}, subset_arguments, 1);
  add(e, "also_kept", "subset", POA_PLAN_I32, (poa_plan_shape){1, {8}}, subset_arguments, 1);
  add(e, "t", "step_number", POA_PLAN_F32, scalar, NULL, 0);
  add(e, "temperature", "linear", POA_PLAN_F32, scalar, linear_arguments, 3);
  add(e, "own", "", POA_PLAN_F32, scalar, NULL, 0);
  return e;
}

static void *values(entry *e, const char *name) {
  for (int i = 0; i < e->plan.input_count; i++)
    if (strcmp(e->inputs[i].name, name) == 0)
      return e->arena + e->inputs[i].buffer.offset;
  cr_assert_fail("no input %s", name);
  return NULL;
}

/* `count` flat images, image i all 10 * i + 5. */
static poa_dataset *flat_images(int count) {
  uint8_t *pixels = malloc((size_t)count * 14 * 14);
  for (int i = 0; i < count; i++)
    memset(pixels + i * 14 * 14, 10 * i + 5, 14 * 14);
  poa_dataset *data;
  poa_error error = {0};
  cr_assert_eq(poa_dataset_create(&data, count, 1, 14, 14, pixels, NULL, &error), POA_OK);
  return data;
}

static poa_feeder *start(const entry *e, const poa_dataset *data, uint64_t seed, int64_t step) {
  poa_feeder *feeder;
  poa_error error = {0};
  cr_assert_eq(poa_feeder_create(&feeder, &e->plan, data, seed, step, &error), POA_OK, "%s",
               error.message);
  return feeder;
}

static void fill(poa_feeder *feeder, entry *e, int64_t step) {
  poa_error error = {0};
  double waited = -1;
  cr_assert_eq(poa_feeder_fill(feeder, &e->plan, step, e->arena, &waited, &error), POA_OK, "%s",
               error.message);
  cr_assert(waited >= 0 && waited < 60);
}

/* Guards resuming: a run from the middle, and a second run, get the bits of the first;
 * another seed and another step do not. */
Test(sources, same_bits) {
  enum { STEPS = 9, MIDDLE = 5 };
  poa_dataset *data = flat_images(23);
  entry *e = training_entry(), *again = training_entry();
  char *recorded = malloc((size_t)STEPS * ARENA);
  poa_feeder *first = start(e, data, 7, 0);
  for (int step = 0; step < STEPS; step++) {
    fill(first, e, step);
    memcpy(recorded + step * ARENA, e->arena, ARENA);
    cr_assert(step == 0 || memcmp(recorded, e->arena, ARENA) != 0);
  }
  poa_feeder_free(first);
  for (int from = 0; from <= MIDDLE; from += MIDDLE) {
    poa_feeder *second = start(again, data, 7, from);
    for (int step = from; step < STEPS; step++) {
      fill(second, again, step);
      cr_assert_eq(memcmp(recorded + step * ARENA, again->arena, ARENA), 0, "step %d", step);
    }
    poa_feeder_free(second);
  }
  poa_feeder *other = start(again, data, 8, 0);
  fill(other, again, 0);
  cr_assert_neq(memcmp(recorded, again->arena, again->inputs[1].buffer.offset), 0);
  poa_feeder_free(other);
  poa_dataset_free(data);
  free(recorded);
  free(e);
  free(again);
}

/* Which flat image a crop shows, from its middle value; jitter must be off. */
static int image_of(const float *crop, int pixels, const poa_dataset *data) {
  double value = crop[pixels / 2] * data->deviation[0] + data->mean[0];
  return (int)lrint((value * 255 - 5) / 10);
}

static const poa_plan_source_argument plain_two[] = {{"count", 2, NULL, 0},
                                                     {"jitter", 0, NULL, 0},
                                                     {"blur_first", 0, NULL, 0},
                                                     {"blur_rest", 0, NULL, 0}};
static const poa_plan_source_argument plain_three[] = {
    {"count", 3, NULL, 0}, {"jitter", 0, NULL, 0}, {"blur_first", 1, NULL, 0}};

/* Guards which images a step sees: all inputs the same ones, crop by crop; every image at
 * most once a pass, in an order that changes; three channels from grey images. */
Test(sources, images_of_a_step) {
  poa_dataset *data = flat_images(23);
  entry *e = entry_create();
  add(e, "two", "crops", POA_PLAN_F32, (poa_plan_shape){4, {2 * BATCH, 3, 4, 4}}, plain_two, 4);
  add(e, "three", "crops", POA_PLAN_F32, (poa_plan_shape){4, {3 * BATCH, 1, 6, 6}}, plain_three, 3);
  poa_feeder *feeder = start(e, data, 1, 0);
  int order[4][5 * BATCH];
  for (int pass = 0; pass < 4; pass++) {
    int seen[23] = {0};
    for (int step = 0; step < 5; step++) {
      fill(feeder, e, pass * 5 + step);
      const float *two = values(e, "two"), *three = values(e, "three");
      for (int i = 0; i < BATCH; i++) {
        int image = image_of(two + i * 48, 16, data);
        cr_assert(image >= 0 && image < 23);
        cr_assert_eq(seen[image]++, 0);
        order[pass][step * BATCH + i] = image;
        for (int channel = 0; channel < 3; channel++)
          for (int crop = 0; crop < 2; crop++)
            cr_assert_eq(image_of(two + ((crop * BATCH + i) * 3 + channel) * 16, 16, data), image);
        for (int crop = 0; crop < 3; crop++)
          cr_assert_eq(image_of(three + (crop * BATCH + i) * 36, 36, data), image);
      }
    }
    cr_assert(pass == 0 || memcmp(order[0], order[pass], sizeof order[0]) != 0);
  }
  poa_feeder_free(feeder);
  poa_dataset_free(data);
  free(e);
}

/* Guards which views are blurred and solarized: the first, and the last. Image 0 is dark, and a
 * spot in it is what blur spreads. */
Test(sources, first_and_last_view) {
  static const poa_plan_source_argument whole[] = {
      {"count", 3, NULL, 0},      {"jitter", 0, NULL, 0},     {"scale_min", 1, NULL, 0},
      {"blur_first", 1, NULL, 0}, {"blur_rest", 0, NULL, 0},  {"solarize_last", 1, NULL, 0},
      {"grey", 1, NULL, 0},       {"seed_group", 3, NULL, 0}, {"flip", 0, NULL, 0}};
  enum { SIZE = 15 };
  uint8_t *pixels = calloc(SIZE * SIZE, 1);
  pixels[SIZE * SIZE / 2] = 255;
  poa_dataset *data;
  poa_error error = {0};
  cr_assert_eq(poa_dataset_create(&data, 1, 1, SIZE, SIZE, pixels, NULL, &error), POA_OK);
  entry *e = entry_create();
  add(e, "views", "crops", POA_PLAN_F32, (poa_plan_shape){4, {3, 1, SIZE, SIZE}}, whole, 9);
  poa_feeder *feeder = start(e, data, 1, 0);
  double highest[3] = {0}, blurred = 0;
  for (int step = 0; step < 20; step++) {
    fill(feeder, e, step);
    const float *views = values(e, "views");
    for (int view = 0; view < 3; view++)
      for (int i = 0; i < SIZE * SIZE; i++)
        highest[view] =
            fmax(highest[view], views[view * SIZE * SIZE + i] * data->deviation[0] + data->mean[0]);
    blurred += views[SIZE * SIZE / 2] * data->deviation[0] + data->mean[0] < 0.9;
  }
  cr_assert_gt(blurred, 10);               /* narrow ones spread little */
  cr_assert_float_eq(highest[1], 1, 1e-5); /* as it was */
  cr_assert_float_eq(highest[2], 0, 1e-5); /* the spot has become dark */
  poa_feeder_free(feeder);
  poa_dataset_free(data);
  free(e);
}

/* Guards the masks' lists: indices ascending, weights and validity of the same masks,
 * zeros after the last. */
Test(sources, mask_lists) {
  entry *e = training_entry();
  poa_dataset *data = flat_images(8);
  poa_feeder *feeder = start(e, data, 3, 0);
  for (int step = 0; step < 20; step++) {
    fill(feeder, e, step);
    const uint8_t *masks = values(e, "masks");
    const int32_t *indices = values(e, "indices");
    const float *weights = values(e, "weights"), *valid = values(e, "valid");
    int used = 0;
    double total = 0;
    for (int row = 0; row < 2 * BATCH; row++) {
      int masked = 0;
      for (int i = 0; i < 16; i++)
        masked += masks[row * 16 + i];
      for (int i = 0; i < 16; i++) {
        if (!masks[row * 16 + i])
          continue;
        cr_assert_eq(indices[used], row * 16 + i);
        cr_assert_eq(weights[used], 1 / (float)masked);
        cr_assert_eq(valid[used], 1);
        total += weights[used++];
      }
    }
    cr_assert_gt(used, 0);
    cr_assert_float_eq(total, BATCH, 1e-5); /* half of the crops, each 1 */
    for (; used < MASKED; used++)
      cr_assert(indices[used] == 0 && weights[used] == 0 && valid[used] == 0);
  }
  poa_feeder_free(feeder);
  poa_dataset_free(data);
  free(e);
}

/* Guards subsets: distinct, in range, another one for each use and step, fair. */
Test(sources, subset) {
  entry *e = training_entry();
  poa_dataset *data = flat_images(8);
  poa_feeder *feeder = start(e, data, 3, 0);
  int first[8] = {0}, chosen[8] = {0}, equal = 0;
  enum { STEPS = 4000 };
  for (int step = 0; step < STEPS; step++) {
    fill(feeder, e, step);
    const int32_t *five = values(e, "kept"), *all = values(e, "also_kept");
    int seen = 0, seen_all = 0;
    for (int i = 0; i < 5; i++) {
      cr_assert(five[i] >= 0 && five[i] < 8);
      seen |= 1 << five[i];
      chosen[five[i]]++;
    }
    for (int i = 0; i < 8; i++)
      seen_all |= 1 << all[i];
    cr_assert(__builtin_popcount((unsigned)seen) == 5 && seen_all == 255);
    first[five[0]]++;
    equal += memcmp(five, all, 5 * sizeof *five) == 0;
  }
  for (int i = 0; i < 8; i++) {
    cr_assert(abs(first[i] - STEPS / 8) < 100, "%d first %d times", i, first[i]);
    cr_assert(abs(chosen[i] - STEPS * 5 / 8) < 150, "%d chosen %d times", i, chosen[i]);
  }
  cr_assert_lt(equal, 10);
  poa_feeder_free(feeder);
  poa_dataset_free(data);
  free(e);
}

/* Guards the scalars, and that without images there is neither data nor thread. */
Test(sources, scalars) {
  const poa_plan_shape scalar = {0, {0}};
  entry *e = entry_create();
  add(e, "t", "step_number", POA_PLAN_F32, scalar, NULL, 0);
  add(e, "on", "after", POA_PLAN_F32, scalar,
      ARGUMENTS({"step", 2, NULL, 0}, {"value", 5, NULL, 0}));
  add(e, "fixed", "constant", POA_PLAN_F32, scalar, ARGUMENTS({"value", -0.5, NULL, 0}));
  add(e, "ramp", "linear", POA_PLAN_F32, scalar, linear_arguments, 3);
  add(e, "rate", "cosine", POA_PLAN_F32, scalar,
      ARGUMENTS({"base", 1, NULL, 0}, {"final", 0, NULL, 0}, {"total", 4, NULL, 0},
                {"zero_until", 1, NULL, 0}));
  add(e, "untouched", "", POA_PLAN_F32, scalar, NULL, 0);
  poa_feeder *feeder = start(e, NULL, 0, 0);
  const float on[] = {0, 0, 5, 5}, ramp[] = {1, 1.1f, 1.2f, 1.3f};
  const float rate[] = {0, 0.8535534f, 0.5f, 0.1464466f};
  *(float *)values(e, "untouched") = 42;
  for (int step = 0; step < 4; step++) {
    fill(feeder, e, step);
    cr_assert_eq(*(float *)values(e, "t"), (float)(step + 1));
    cr_assert_eq(*(float *)values(e, "on"), on[step]);
    cr_assert_eq(*(float *)values(e, "fixed"), -0.5f);
    cr_assert_float_eq(*(float *)values(e, "ramp"), ramp[step], 1e-6);
    cr_assert_float_eq(*(float *)values(e, "rate"), rate[step], 1e-6);
    cr_assert_eq(*(float *)values(e, "untouched"), 42);
  }
  poa_feeder_free(feeder);
  free(e);
}

/* Guards that a wrong description is refused when training begins, and how it is told. */
Test(sources, refusals) {
  const poa_plan_shape scalar = {0, {0}}, crops = {4, {8, 1, 4, 4}}, list = {1, {10}};
  const struct {
    const char *source;
    poa_plan_dtype dtype;
    poa_plan_shape shape;
    poa_plan_source_argument arguments[3];
    const char *message;
  } cases[] = {
      {"cosin", POA_PLAN_F32, scalar, {{0}}, "no source 'cosin'; did you mean 'cosine'?"},
      {"constant", POA_PLAN_F32, scalar, {{"valu", 1, NULL, 0}}, "did you mean 'value'?"},
      {"random", POA_PLAN_F32, scalar, {{0}}, "no source 'random'; expected one of crops, block"},
      {"constant", POA_PLAN_F32, scalar, {{"x", 1, NULL, 0}}, "no argument 'x'; expected value"},
      {"linear",
       POA_PLAN_F32,
       scalar,
       {{"warmup", 1, NULL, 0}},
       "no argument 'warmup'; expected one of from, to, steps"},
      {"constant", POA_PLAN_F32, scalar, {{0}}, "lacks the argument 'value'"},
      {"constant", POA_PLAN_F32, scalar, {{"value", NAN, NULL, 0}}, "expected a number"},
      {"constant", POA_PLAN_F32, scalar, {{"value", 0, "high", 0}}, "found \"high\""},
      {"constant", POA_PLAN_I32, scalar, {{"value", 1, NULL, 0}}, "type f32 and rank 0, found i32"},
      {"step_number", POA_PLAN_F32, scalar, {{"of", 1, NULL, 0}}, "takes no arguments, found 'of'"},
      {"after",
       POA_PLAN_F32,
       scalar,
       {{"step", 1.5, NULL, 0}},
       "expected a whole number, found 1.5"},
      {"subset", POA_PLAN_I32, list, {{"of", 9, NULL, 0}}, "at most of = 9 entries"},
      {"crops", POA_PLAN_F32, crops, {{"count", 3, NULL, 0}}, "multiple of count = 3"},
      {"crops", POA_PLAN_F32, crops, {{"flip", 2, NULL, 0}}, "flip: expected 0 to 1, found 2"},
      {"crops",
       POA_PLAN_F32,
       crops,
       {{"scale_min", 0.5, NULL, 0}, {"scale_max", 0.4, NULL, 0}},
       "scale_min = 0.5 exceeds scale_max = 0.4"},
      {"crops", POA_PLAN_F32, {4, {8, 2, 4, 4}}, {{0}}, "1 or 3 channels, found 2"},
      {"crops", POA_PLAN_F32, {4, {8, 1, 4, 5}}, {{0}}, "square crops, found 4 x 5"},
      {"crops", POA_PLAN_F32, {4, {99, 1, 4, 4}}, {{0}}, "crops 99 images a step, the data has"},
      {"block_mask", POA_PLAN_BOOL, {2, {4, 15}}, {{0}}, "square number of patches, found 15"},
      {"mask_indices", POA_PLAN_I32, list, {{0}}, "must be filled from block_mask"},
      {"images", POA_PLAN_F32, crops, {{0}}, "filled only by evaluation"},
  };
  poa_dataset *data = flat_images(8);
  for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
    entry *e = entry_create();
    size_t count = 0;
    while (count < 3 && cases[c].arguments[count].name)
      count++;
    add(e, "x", cases[c].source, cases[c].dtype, cases[c].shape, cases[c].arguments, count);
    poa_feeder *feeder;
    poa_error error = {0};
    cr_assert_eq(poa_feeder_create(&feeder, &e->plan, data, 0, 0, &error), POA_BAD_INPUT, "%zu", c);
    cr_assert(strstr(error.message, cases[c].message), "%zu: %s", c, error.message);
    cr_assert(strstr(error.message, "'x'") && feeder == NULL);
    free(e);
  }
  poa_dataset_free(data);
}

/* Guards what only inputs together can get wrong: missing data, different batches, two
 * sets of masks, a list that is too short. */
Test(sources, refusals_of_pairs) {
  entry *e = training_entry();
  poa_dataset *data = flat_images(8);
  poa_feeder *feeder;
  poa_error none = {0}, batch = {0}, twice = {0}, room = {0};
  cr_assert_eq(poa_feeder_create(&feeder, &e->plan, NULL, 0, 0, &none), POA_BAD_INPUT);
  cr_assert(strstr(none.message, "--data"), "%s", none.message);
  e->inputs[1].shape.dim[0] = 3;
  cr_assert_eq(poa_feeder_create(&feeder, &e->plan, data, 0, 0, &batch), POA_BAD_INPUT);
  cr_assert(strstr(batch.message, "'local' crops 1 images a step"), "%s", batch.message);
  e->inputs[1].shape.dim[0] = 3 * BATCH;
  e->inputs[5].shape.dim[0]--;
  cr_assert_eq(poa_feeder_create(&feeder, &e->plan, data, 0, 0, &room), POA_BAD_INPUT);
  cr_assert(strstr(room.message, "up to 23 patches"), "%s", room.message);
  cr_assert(strstr(room.message, "its extent 22 is too small"), "%s", room.message);
  e->inputs[5].shape.dim[0]++;
  add(e, "more", "block_mask", POA_PLAN_BOOL, (poa_plan_shape){2, {8, 16}}, mask_arguments, 3);
  cr_assert_eq(poa_feeder_create(&feeder, &e->plan, data, 0, 0, &twice), POA_BAD_INPUT);
  cr_assert(strstr(twice.message, "one set of masks"), "%s", twice.message);
  poa_dataset_free(data);
  free(e);
}

/* Guards later plans: another order and fewer inputs are fine, changed crops are not, nor
 * are steps out of order. */
Test(sources, later_plans) {
  poa_dataset *data = flat_images(8);
  entry *e = training_entry(), *later = entry_create(), *changed = entry_create();
  add(later, "local", "crops", POA_PLAN_F32, (poa_plan_shape){4, {3 * BATCH, 1, 8, 8}},
      local_arguments, 3);
  add(changed, "local", "crops", POA_PLAN_F32, (poa_plan_shape){4, {3 * BATCH, 1, 8, 8}},
      local_arguments, 2);
  poa_feeder *feeder = start(e, data, 4, 10), *same = start(e, data, 4, 10);
  poa_error differs = {0}, order = {0};
  double waited;
  fill(feeder, e, 10);
  cr_assert_eq(poa_feeder_fill(feeder, &changed->plan, 11, changed->arena, &waited, &differs),
               POA_BAD_INPUT);
  cr_assert(strstr(differs.message, "alike in all plans"), "%s", differs.message);
  cr_assert_eq(poa_feeder_fill(feeder, &e->plan, 13, e->arena, &waited, &order), POA_BAD_INPUT);
  cr_assert(strstr(order.message, "expected step 11, found 13"), "%s", order.message);
  fill(feeder, later, 11);
  fill(same, e, 10);
  fill(same, e, 11);
  cr_assert_arr_eq(values(e, "local"), values(later, "local"), sizeof(float) * 3 * BATCH * 64);
  poa_feeder_free(feeder);
  poa_feeder_free(same);
  poa_dataset_free(data);
  free(e);
  free(later);
  free(changed);
}

/* Guards the thread's end: freeing at any moment returns, whatever the thread is at. */
Test(sources, free_never_hangs, .timeout = 60) {
  poa_dataset *data = flat_images(8);
  entry *e = training_entry();
  for (int i = 0; i < 300; i++) {
    poa_feeder *feeder = start(e, data, 4, 0);
    for (int step = 0; step < i % 5; step++)
      fill(feeder, e, step);
    poa_feeder_free(feeder);
  }
  poa_dataset_free(data);
  free(e);
}

/* Guards the question that the front end asks of every input, and that whoever errs is told
 * the near name, or all names where none is near. */
Test(sources, exists) {
  char advice[POA_SOURCE_ADVICE] = "untouched";
  cr_assert(poa_source_exists("crops", advice, sizeof advice));
  cr_assert_str_eq(advice, "untouched");
  cr_assert_not(poa_source_exists("block_masks", advice, sizeof advice));
  cr_assert_str_eq(advice, "did you mean 'block_mask'?");
  const char *const far[] = {"", "a_name_far_longer_than_that_of_any_source"};
  for (int i = 0; i < 2; i++) {
    cr_assert_not(poa_source_exists(far[i], advice, sizeof advice));
    cr_assert(strstr(advice, "one of crops, block_mask, "), "%s", advice);
    cr_assert(strstr(advice, ", images") && strlen(advice) + 1 < sizeof advice, "%s", advice);
  }
  cr_assert_not(poa_source_exists("far", advice, 16));
  cr_assert_str_eq(advice, "expected one of");
}

/* Images of files */

enum { FILES = 12 };

static void write_image(const char *folder, int index, bool broken) {
  char path[100];
  int height = 9 + 5 * index % 13, width = 9 + 7 * index % 17;
  snprintf(path, sizeof path, "%s/%02d.pgm", folder, index);
  FILE *file = fopen(path, "wb");
  fprintf(file, "P5 %d %d 255\n", width, height);
  for (int i = 0; !broken && i < height * width; i++)
    fputc(10 * index + 5, file);
  fclose(file);
}

static poa_dataset *open_folder(const char *folder) {
  poa_dataset *data;
  poa_error error = {0};
  cr_assert_eq(poa_dataset_open(&data, folder, "train", &error), POA_OK, "%s", error.message);
  return data;
}

/* Guards resuming over files of all sizes: a run from the middle gets the bits of the first. */
Test(sources, files_same_bits) {
  enum { STEPS = 7, MIDDLE = 4 };
  char folder[64];
  make_folder(folder);
  for (int i = 0; i < FILES; i++)
    write_image(folder, i, i == 3);
  entry *e = training_entry();
  char *recorded = malloc((size_t)STEPS * ARENA);
  for (int from = 0; from <= MIDDLE; from += MIDDLE) {
    poa_dataset *data = open_folder(folder);
    poa_feeder *feeder = start(e, data, 7, from);
    for (int step = from; step < STEPS; step++) {
      fill(feeder, e, step);
      if (from == 0)
        memcpy(recorded + step * ARENA, e->arena, ARENA);
      cr_assert_eq(memcmp(recorded + step * ARENA, e->arena, ARENA), 0, "step %d", step);
    }
    poa_feeder_free(feeder);
    poa_dataset_free(data);
  }
  remove_folder(folder);
  free(recorded);
  free(e);
}

/* Guards what a broken file leaves behind: where its image was, the next one is; all else stays. */
Test(sources, broken_file_is_replaced) {
  enum { STEPS = 9 };
  char folder[64];
  int order[2][STEPS * BATCH], replaced = 0;
  make_folder(folder);
  entry *e = entry_create();
  add(e, "three", "crops", POA_PLAN_F32, (poa_plan_shape){4, {3 * BATCH, 1, 6, 6}}, plain_three, 3);
  for (int broken = 0; broken < 2; broken++) {
    for (int i = 0; i < FILES; i++)
      write_image(folder, i, broken && i == 5);
    poa_dataset *data = open_folder(folder);
    poa_feeder *feeder = start(e, data, 1, 0);
    for (int step = 0; step < STEPS; step++) {
      fill(feeder, e, step);
      const float *three = values(e, "three");
      for (int i = 0; i < BATCH; i++)
        order[broken][step * BATCH + i] = image_of(three + i * 36, 36, data);
    }
    poa_feeder_free(feeder);
    cr_assert_eq(poa_dataset_unreadable(data), broken);
    poa_dataset_free(data);
  }
  for (int i = 0; i < STEPS * BATCH; i++) {
    cr_assert_eq(order[1][i], order[0][i] == 5 ? 6 : order[0][i], "image %d", i);
    replaced += order[0][i] == 5;
  }
  cr_assert_eq(replaced, STEPS * BATCH / FILES);
  remove_folder(folder);
  free(e);
}

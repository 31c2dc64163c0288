/* checkpoint.c: a run's state saved, verified and loaded. */
#include <criterion/criterion.h>

#include "runtime/checkpoint.h"
#include "temporary_folder.h"

static char folder[64], path[100];

static const poa_plan_parameter parameters[] = {
    {.set = "student",
     .name = "w",
     .shape = {2, {6, 2}},
     .offset = 0,
     .initializer = POA_INIT_NORMAL,
     .a = 1},
    {.set = "student",
     .name = "norm.bias",
     .shape = {1, {3}},
     .offset = 64,
     .initializer = POA_INIT_UNIFORM,
     .a = 1},
    {.set = "teacher",
     .name = "w",
     .shape = {2, {6, 2}},
     .offset = 128,
     .initializer = POA_INIT_COPY,
     .copy_of = "student"},
    {.set = "",
     .name = "center",
     .shape = {2, {1, 4}},
     .offset = 192,
     .initializer = POA_INIT_CONSTANT,
     .a = 0.5},
};
static const poa_plan plan = {
    .entry = "step", .parameter_bytes = 256, .parameter_count = 4, .parameters = parameters};
static const poa_checkpoint_info info = {.step = 12,
                                         .seed = UINT64_MAX,
                                         .deck_position = 3,
                                         .model = "models/net.poa",
                                         .precision = "bf16",
                                         .normalization = "0.25/0.5",
                                         .overrides = "width=48"};

static void setup(void) {
  make_folder(folder);
  snprintf(path, sizeof path, "%s/run.safetensors", folder);
}

static void teardown(void) {
  remove_folder(folder);
}

TestSuite(checkpoint, .init = setup, .fini = teardown);

static poa_parameter_store *create(const poa_plan *of, uint64_t seed) {
  poa_parameter_store *store;
  cr_assert_eq(poa_parameter_store_create(&store, of, NULL), POA_OK);
  if (seed)
    cr_assert_eq(poa_parameter_store_initialize(store, seed, 1, NULL), POA_OK);
  return store;
}

static poa_safetensors *open_file(void) {
  poa_error error = {0};
  poa_safetensors *file;
  cr_assert_eq(poa_safetensors_open(&file, path, &error), POA_OK, "%s", error.message);
  return file;
}

static void save(const poa_plan *of) {
  poa_error error = {0};
  poa_parameter_store *store = create(of, 1);
  cr_assert_eq(poa_checkpoint_save(path, store, &info, &error), POA_OK, "%s", error.message);
  poa_parameter_store_free(store);
}

/* Protects: saving and loading gives every parameter and where the run stands, bit for bit, under
 * the names that other tools expect. */
Test(checkpoint, round_trip) {
  poa_error error = {0};
  poa_parameter_store *saved = create(&plan, 1), *loaded = create(&plan, 0);
  save(&plan);
  poa_safetensors *file = open_file();
  cr_assert_not_null(poa_safetensors_find(file, "student.norm.bias"));
  cr_assert_not_null(poa_safetensors_find(file, "center"));
  cr_assert_eq(poa_checkpoint_load(file, loaded, &error), POA_OK, "%s", error.message);
  cr_assert_arr_eq(poa_parameter_store_data(saved), poa_parameter_store_data(loaded), 256);
  poa_checkpoint_info read;
  cr_assert_eq(poa_checkpoint_read_info(file, &read, &error), POA_OK, "%s", error.message);
  cr_assert(read.step == 12 && read.seed == UINT64_MAX && read.deck_position == 3);
  cr_assert_str_eq(read.model, info.model);
  cr_assert_str_eq(read.precision, info.precision);
  cr_assert_str_eq(read.normalization, info.normalization);
  cr_assert_str_eq(read.overrides, info.overrides);
  cr_assert_str_eq(read.version, POA_VERSION);
  poa_safetensors_close(file);
  poa_parameter_store_free(saved);
  poa_parameter_store_free(loaded);
}

/* Protects: a file that does not fit is refused with the tensor's name and both shapes, and
 * memory is not touched, even where most of the file fits. */
Test(checkpoint, misfits_change_nothing) {
  poa_plan_parameter more[5], other_shape[4], other_name[4];
  memcpy(more, parameters, sizeof parameters);
  memcpy(other_shape, parameters, sizeof parameters);
  memcpy(other_name, parameters, sizeof parameters);
  more[4] = (poa_plan_parameter){.set = "", .name = "extra", .shape = {0, {0}}, .offset = 240};
  other_shape[1].shape = (poa_plan_shape){2, {1, 3}};
  other_name[3].name = "centre";
  const struct {
    poa_plan_parameter *list;
    int count;
    const char *expected[2];
  } rows[] = {
      {more, 5, {"lacks the tensor 'extra' []", "has 4 tensors"}},
      {more, 3, {"has the tensor 'center', which the model does not (1 such", ""}},
      {other_shape, 4, {"'student.norm.bias' is [3], but the model has [1,3]", ""}},
      {other_name, 4, {"lacks the tensor 'centre' [1,4]", ""}},
  };
  save(&plan);
  poa_safetensors *file = open_file();
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    poa_error error = {0};
    poa_plan misfit = {.entry = "step",
                       .parameter_bytes = 256,
                       .parameter_count = rows[i].count,
                       .parameters = rows[i].list};
    poa_parameter_store *store = create(&misfit, 0);
    cr_expect_eq(poa_checkpoint_load(file, store, &error), POA_BAD_INPUT);
    cr_expect(strstr(error.message, rows[i].expected[0]) &&
                  strstr(error.message, rows[i].expected[1]) && strstr(error.message, path),
              "%s", error.message);
    const char zeros[256] = {0};
    cr_expect_arr_eq(poa_parameter_store_data(store), zeros, 256);
    poa_parameter_store_free(store);
  }
  poa_safetensors_close(file);
}

/* Protects: another number type is refused on loading, where a conversion would lose bits. */
Test(checkpoint, wrong_dtype) {
  const double value[4] = {0};
  const poa_file_tensor tensor = {
      .name = "center", .dtype = POA_TENSOR_F64, .shape = {2, {1, 4}}, .data = value};
  const poa_plan small = {
      .entry = "step", .parameter_bytes = 256, .parameter_count = 1, .parameters = &parameters[3]};
  poa_error error = {0};
  cr_assert_eq(poa_safetensors_write(path, 1, &tensor, 0, NULL, NULL), POA_OK);
  poa_safetensors *file = open_file();
  poa_parameter_store *store = create(&small, 0);
  cr_expect_eq(poa_checkpoint_load(file, store, &error), POA_BAD_INPUT);
  cr_expect(strstr(error.message, "'center' is of type F64, expected F32"), "%s", error.message);
  poa_parameter_store_free(store);
  poa_safetensors_close(file);
}

/* Protects: metadata that is missing or no number is an error, not step 0. */
Test(checkpoint, damaged_metadata) {
  const struct {
    poa_metadata list[2];
    int count;
    const char *expected;
  } rows[] = {
      {{{"seed", "1"}}, 1, "lacks 'step'"},
      {{{"step", "-1"}}, 1, "'step' is '-1', expected a number"},
      {{{"step", "1x"}}, 1, "'step' is '1x'"},
      {{{"step", ""}}, 1, "'step' is ''"},
      {{{"step", "9223372036854775808"}}, 1, "expected a number in 0..9223372036854775807"},
      {{{"step", "1"}, {"seed", "99999999999999999999"}}, 2, "metadata 'seed'"},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    poa_error error = {0};
    poa_checkpoint_info read;
    cr_assert_eq(poa_safetensors_write(path, 0, NULL, rows[i].count, rows[i].list, NULL), POA_OK);
    poa_safetensors *file = open_file();
    cr_expect_eq(poa_checkpoint_read_info(file, &read, &error), POA_BAD_INPUT);
    cr_expect(strstr(error.message, rows[i].expected), "%s", error.message);
    poa_safetensors_close(file);
  }
}

/* initial_weights.c: a network starts from a plain file's weights. */
#include "program/initial_weights.h"

#include <criterion/criterion.h>

#include "runtime/safetensors.h"
#include "temporary_folder.h"

static const poa_plan_parameter parameters[] = {
    {.set = "student", .name = "net.w", .shape = {2, {6, 2}}, .offset = 0},
    {.set = "student", .name = "net.bias", .shape = {1, {3}}, .offset = 64},
    {.set = "student", .name = "head.w", .shape = {1, {3}}, .offset = 128, .a = 0.5},
    {.set = "teacher",
     .name = "net.bias",
     .shape = {1, {3}},
     .offset = 192,
     .initializer = POA_INIT_COPY,
     .copy_of = "student"},
};
static const poa_plan plan = {
    .entry = "step", .parameter_bytes = 256, .parameter_count = 4, .parameters = parameters};

static const float bias[] = {1, 2, 3};
static char folder[64], path[100];

static poa_parameter_store *create(void) {
  poa_parameter_store *store;
  make_folder(folder);
  snprintf(path, sizeof path, "%s/plain.safetensors", folder);
  cr_assert_eq(poa_parameter_store_create(&store, &plan, NULL), POA_OK);
  cr_assert_eq(poa_parameter_store_initialize(store, 0, 1, NULL), POA_OK);
  return store;
}

static const float *values(const poa_parameter_store *store, int index) {
  return poa_parameter_store_values(store, &parameters[index]);
}

static void close_store(poa_parameter_store *store) {
  poa_parameter_store_free(store);
  remove_folder(folder);
}

/* Protects: values of any float type are taken under a prefix, what starts as a copy is copied
 * anew, a part that the file lacks keeps its first values, what the file has besides does no harm.
 */
Test(initial_weights, taken) {
  poa_parameter_store *store = create();
  uint16_t ones[12];
  for (int i = 0; i < 12; i++)
    ones[i] = 0x3f80; /* 1 as bfloat16 */
  const poa_file_tensor tensors[] = {{"backbone.net.bias", POA_TENSOR_F32, {1, {3}}, .data = bias},
                                     {"backbone.net.w", POA_TENSOR_BF16, {2, {6, 2}}, .data = ones},
                                     {"classifier", POA_TENSOR_F32, {1, {3}}, .data = bias}};
  poa_error error = {0};
  cr_assert_eq(poa_safetensors_write(path, 3, tensors, 0, NULL, NULL), POA_OK);
  cr_expect_eq(poa_take_initial_weights(store, path, &error), POA_OK, "%s", error.message);
  cr_expect_eq(values(store, 0)[11], 1);
  cr_expect_arr_eq(values(store, 1), bias, sizeof bias);
  cr_expect_eq(values(store, 2)[0], 0.5f);
  cr_expect_arr_eq(values(store, 3), bias, sizeof bias);
  close_store(store);
}

/* Protects: a part that is there by halves, another shape, and a file of something else are refused
 * before anything is changed. */
Test(initial_weights, refused) {
  poa_parameter_store *store = create();
  const struct {
    poa_file_tensor tensors[2];
    const char *expected;
  } rows[] = {
      {{{"net.bias", POA_TENSOR_F32, {1, {3}}, .data = bias},
        {"x", POA_TENSOR_F32, {1, {3}}, .data = bias}},
       "lacks 'net.w'"},
      {{{"net.bias", POA_TENSOR_F32, {1, {3}}, .data = bias},
        {"net.w", POA_TENSOR_F32, {1, {3}}, .data = bias}},
       "'net.w' is [3], and in the largest network of this model [6,2]"},
      {{{"x", POA_TENSOR_F32, {1, {3}}, .data = bias},
        {"y", POA_TENSOR_F32, {1, {3}}, .data = bias}},
       "has none of the model's parameters, such as 'net.w': it has 'x'"},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    poa_error error = {0};
    cr_assert_eq(poa_safetensors_write(path, 2, rows[i].tensors, 0, NULL, NULL), POA_OK);
    cr_expect_eq(poa_take_initial_weights(store, path, &error), POA_BAD_INPUT);
    cr_expect(strstr(error.message, rows[i].expected), "%s", error.message);
    cr_expect_eq(values(store, 1)[0], 0, "something was changed");
  }
  close_store(store);
}

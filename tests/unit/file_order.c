/* file_order.c: parameters whose axes stand in another order in files than in memory. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/checkpoint.h"
#include "runtime/file_order.h"
#include "temporary_folder.h"

/* [kh, kw, in, out] = [1, 2, 3, 2] in memory, [out, in, kh, kw] in files. */
static const poa_file_order order = {4, {3, 2, 0, 1}};
static const poa_plan_shape file_shape = {4, {2, 3, 1, 2}};
static const float memory[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11};
static const float file[] = {0, 6, 2, 8, 4, 10, 1, 7, 3, 9, 5, 11};

/* Protects: both directions, element by element, and the shape in memory. */
Test(file_order, both_directions) {
  float result[12];
  poa_plan_shape shape = poa_memory_shape(&order, file_shape);
  cr_assert(shape.dim[0] == 1 && shape.dim[1] == 2 && shape.dim[2] == 3 && shape.dim[3] == 2);
  poa_to_file_order(&order, file_shape, memory, result);
  cr_assert_arr_eq(result, file, sizeof file);
  poa_to_memory_order(&order, file_shape, file, result);
  cr_assert_arr_eq(result, memory, sizeof memory);
}

/* Protects: a parameter without another order is neither copied nor changed. */
Test(file_order, the_same_order) {
  poa_file_order same = poa_order_of_axes(NULL, 4);
  float *copy, result[12];
  cr_assert(!poa_is_reordered(&same));
  cr_assert_eq(poa_values_for_file(&same, file_shape, memory, &copy), memory);
  cr_assert_null(copy);
  poa_to_memory_order(&same, file_shape, memory, result);
  cr_assert_arr_eq(result, memory, sizeof memory);
}

/* Protects: a checkpoint holds what other programs expect, and gives back what was in memory. */
Test(file_order, checkpoint) {
  static const poa_plan_parameter parameter = {
      .set = "", .name = "conv", .shape = {4, {2, 3, 1, 2}}, .order = {4, {3, 2, 0, 1}}};
  static const poa_plan plan = {
      .entry = "step", .parameter_bytes = 64, .parameter_count = 1, .parameters = &parameter};
  static const poa_checkpoint_info info = {.model = "net.poa", .overrides = ""};
  char folder[64], path[100];
  make_folder(folder);
  snprintf(path, sizeof path, "%s/run.safetensors", folder);
  poa_parameter_store *store, *loaded;
  poa_safetensors *saved;
  poa_error error = {0};
  cr_assert_eq(poa_parameter_store_create(&store, &plan, &error), POA_OK);
  memcpy(poa_parameter_store_values(store, &parameter), memory, sizeof memory);
  cr_assert_eq(poa_checkpoint_save(path, store, &info, &error), POA_OK, "%s", error.message);
  cr_assert_eq(poa_safetensors_open(&saved, path, &error), POA_OK, "%s", error.message);
  float values[12];
  poa_tensor_to_f32(poa_safetensors_find(saved, "conv"), values);
  cr_assert_arr_eq(values, file, sizeof file);
  cr_assert_eq(poa_parameter_store_create(&loaded, &plan, &error), POA_OK);
  cr_assert_eq(poa_checkpoint_load(saved, loaded, &error), POA_OK, "%s", error.message);
  cr_assert_arr_eq(poa_parameter_store_values(loaded, &parameter), memory, sizeof memory);
  poa_parameter_store_free(store);
  poa_parameter_store_free(loaded);
  poa_safetensors_close(saved);
  remove_folder(folder);
}

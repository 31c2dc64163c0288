/* recorded_choices.h: the lists that the method's reference code deals sub-networks from. */
#ifndef POA_TESTS_RECORDED_CHOICES_H
#define POA_TESTS_RECORDED_CHOICES_H

#include <criterion/criterion.h>
#include <stdlib.h>

#include "runtime/deck.h"
#include "runtime/safetensors.h"

/* Compares a deck of `axes` axes, entry by entry, with the list `name`, whose last row is the
 * largest network, and frees it. */
static inline void expect_recorded(poa_deck *deck, const char *name, int axes) {
  poa_error error = {0};
  poa_safetensors *file;
  cr_assert_eq(
      poa_safetensors_open(&file, POA_GOLDEN_DIR "/ops/elastic_choices.safetensors", &error),
      POA_OK, "%s", error.message);
  const poa_file_tensor *tensor = poa_safetensors_find(file, name);
  cr_assert(tensor, "%s", name);
  int32_t *rows = calloc((size_t)poa_plan_elements(tensor->shape), sizeof *rows);
  cr_assert_eq(poa_tensor_to_i32(tensor, rows, &error), POA_OK, "%s", error.message);
  int64_t size = poa_deck_size(deck), values[8];
  cr_assert_eq(size, tensor->shape.dim[0] - 1, "%s", name);
  cr_assert_eq(axes, tensor->shape.dim[1], "%s", name);
  for (int64_t i = 0; i <= size; i++) {
    int64_t point = i < size ? poa_deck_entry(deck, i) : poa_deck_point_count(deck) - 1;
    poa_deck_point(deck, point, values);
    for (int j = 0; j < axes; j++)
      cr_assert_eq(values[j], rows[i * axes + j], "%s row %d", name, (int)i);
  }
  free(rows);
  poa_safetensors_close(file);
  poa_deck_free(deck);
}

#endif

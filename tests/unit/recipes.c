/* recipes.c: the paper's recipes: which sub-networks there are, and how often each is trained. */
#include <criterion/criterion.h>
#include <stdlib.h>

#include "frontend/model.h"
#include "program/sampling.h"
#include "runtime/safetensors.h"

static poa_model *load(const char *recipe, const char *override) {
  poa_model_options options = {.path = recipe,
                               .models_dir = POA_MODELS_DIR,
                               .override_count = override ? 1 : 0,
                               .overrides = &override,
                               .diagnostics = stderr};
  poa_model *model;
  poa_error error = {0};
  poa_model_load(&model, &options, &error);
  cr_assert(model, "%s", error.message);
  return model;
}

static void expect_size(const char *recipe, int64_t size) {
  poa_model *model = load(recipe, NULL);
  cr_expect_eq(poa_lattice_size(poa_model_lattice(model)), size, "%s", recipe);
  poa_model_free(model);
}

/* Protects: the lattices of the paper: 143, 39 and 465 networks. */
Test(recipes, lattices_of_the_paper) {
  expect_size(POA_MODELS_DIR "/vitl16.poa", 143);
  expect_size(POA_MODELS_DIR "/swinb.poa", 39);
  expect_size(POA_MODELS_DIR "/resnet152.poa", 465);
}

/* Compares the deck that a recipe deals from with a recorded list, whose last row is the largest
 * network. */
static void expect_deck(const char *recipe, const char *override, const char *name) {
  poa_model *model = load(recipe, override);
  const poa_lattice *lattice = poa_model_lattice(model);
  poa_error error = {0};
  poa_deck *deck;
  poa_safetensors *file;
  cr_assert_eq(poa_sampling_deck(lattice, &deck, &error), POA_OK, "%s", error.message);
  cr_assert_eq(
      poa_safetensors_open(&file, POA_GOLDEN_DIR "/ops/elastic_choices.safetensors", &error),
      POA_OK, "%s", error.message);
  const poa_file_tensor *tensor = poa_safetensors_find(file, name);
  int32_t *rows = calloc((size_t)poa_plan_elements(tensor->shape), sizeof *rows);
  cr_assert_eq(poa_tensor_to_i32(tensor, rows, &error), POA_OK, "%s", error.message);
  cr_assert_eq(poa_deck_size(deck), tensor->shape.dim[0] - 1, "%s", recipe);
  cr_assert_eq(lattice->count, tensor->shape.dim[1], "%s", recipe);
  for (int64_t i = 0; i < poa_deck_size(deck); i++) {
    int64_t values[POA_MAX_ELASTIC];
    poa_deck_point(deck, poa_deck_entry(deck, i), values);
    for (int j = 0; j < lattice->count; j++)
      cr_assert_eq(values[j], rows[i * lattice->count + j], "%s row %d", recipe, (int)i);
  }
  free(rows);
  poa_safetensors_close(file);
  poa_deck_free(deck);
  poa_model_free(model);
}

/* Protects: `sampling`, `uniform` and names of one item, as the recipes use them. */
Test(recipes, sampling_of_the_paper) {
  expect_deck(POA_MODELS_DIR "/vitl16.poa", NULL, "networks.vit");
  expect_deck(POA_MODELS_DIR "/swinb.poa", NULL, "networks.swin");
  expect_deck(POA_MODELS_DIR "/resnet152.poa", "max_depths=[3,5,8,3]", "networks.resnet");
}

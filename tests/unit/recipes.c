/* recipes.c: the paper's recipes: which sub-networks there are, and how often each is trained. */
#include <criterion/criterion.h>

#include "frontend/model.h"
#include "program/sampling.h"
#include "unit/recorded_choices.h"

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

static void expect_deck(const char *recipe, const char *override, const char *name) {
  poa_model *model = load(recipe, override);
  const poa_lattice *lattice = poa_model_lattice(model);
  poa_error error = {0};
  poa_deck *deck;
  cr_assert_eq(poa_sampling_deck(lattice, &deck, &error), POA_OK, "%s", error.message);
  expect_recorded(deck, name, lattice->count);
  poa_model_free(model);
}

/* Protects: `sampling`, `uniform` and names of one item, as the recipes use them. */
Test(recipes, sampling_of_the_paper) {
  expect_deck(POA_MODELS_DIR "/vitl16.poa", NULL, "networks.vit");
  expect_deck(POA_MODELS_DIR "/swinb.poa", NULL, "networks.swin");
  expect_deck(POA_MODELS_DIR "/resnet152.poa", "max_depths=[3,5,8,3]", "networks.resnet");
}

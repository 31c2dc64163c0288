/* deck.c: the lattice, its weights and the dealing. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/deck.h"
#include "unit/recorded_choices.h"

static poa_deck *create(int count, const poa_deck_axis *axes, double select_scale) {
  poa_error error = {0};
  poa_deck *deck;
  cr_assert_eq(poa_deck_create(&deck, count, axes, select_scale, &error), POA_OK, "%s",
               error.message);
  return deck;
}

/* Protects: the deck is the list that the method's reference code deals from, for each kind of
 * lattice: two names; a name and a group of names that count as one axis. */
Test(deck, recorded_lists) {
  const poa_deck_axis two[] = {{384, 1024, 64, 0, false}, {12, 24, 1, 0, false}};
  expect_recorded(create(2, two, 3), "networks.vit", 2);
  const poa_deck_axis short_two[] = {{96, 128, 16, 0, false}, {6, 18, 1, 0, false}};
  expect_recorded(create(2, short_two, 2), "networks.swin", 2);
  const poa_deck_axis grouped[] = {{0, 2, 1, 0, true},
                                   {3, 3, 1, 7, false},
                                   {4, 5, 1, 7, false},
                                   {6, 8, 1, 7, false},
                                   {3, 3, 1, 7, false}};
  expect_recorded(create(5, grouped, 2), "networks.resnet", 5);
}

/* Protects: each pass deals every entry once; the order changes from pass to pass and seed to seed;
 * a step's point follows from seed and step alone, so a resumed run deals the same. */
Test(deck, deals_every_entry_once_per_pass) {
  const poa_deck_axis axes[] = {{1, 3, 1, 0, false}, {1, 2, 1, 0, false}};
  poa_deck *deck = create(2, axes, 2), *other = create(2, axes, 2);
  int64_t size = poa_deck_size(deck);
  cr_assert_eq(size, 4 + 2 + 3 + 2 + 2);
  int differs_by_pass = 0, differs_by_seed = 0;
  for (int pass = 0; pass < 20; pass++) {
    int dealt[6] = {0};
    for (int64_t i = 0; i < size; i++) {
      int64_t point = poa_deck_deal(deck, 1, pass * size + i);
      dealt[point]++;
      differs_by_pass += point != poa_deck_deal(other, 1, i);
      differs_by_seed += point != poa_deck_deal(other, 2, pass * size + i);
      cr_assert_eq(point, poa_deck_deal(other, 1, pass * size + i));
    }
    cr_assert(dealt[0] == 4 && dealt[1] == 2 && dealt[2] == 3 && dealt[3] == 2 && dealt[4] == 2);
    cr_assert_eq(dealt[5], 0, "the maximal point is never dealt");
  }
  cr_assert(differs_by_pass > 0 && differs_by_seed > 0);
  poa_deck_free(deck);
  poa_deck_free(other);
}

/* Protects: names that do not vary do not weigh; a lattice of one point still deals it. */
Test(deck, names_of_one_value) {
  const poa_deck_axis fixed[] = {{5, 5, 1, 0, false}, {1, 3, 2, 0, false}};
  poa_deck *deck = create(2, fixed, 3);
  cr_assert_eq(poa_deck_size(deck), 3);
  poa_deck_free(deck);
  deck = create(1, fixed, 3);
  cr_assert_eq(poa_deck_deal(deck, 1, 4), 0);
  poa_deck_free(deck);
  deck = create(0, NULL, 3);
  cr_assert_eq(poa_deck_deal(deck, 1, 4), 0);
  poa_deck_free(deck);
}

/* Protects: lattices that make no sense or no end are refused. */
Test(deck, refusals) {
  const struct {
    poa_deck_axis axes[2];
    double select_scale;
    const char *expected;
  } rows[] = {
      {{{1, 3, 1, 0, false}, {4, 3, 1, 0, false}}, 2, "elastic name 2 ranges over 4..3"},
      {{{1, 4, 2, 0, false}, {1, 1, 1, 0, false}}, 2, "elastic name 1 ranges over 1..4 step 2"},
      {{{1, 4, 0, 0, false}, {1, 1, 1, 0, false}}, 2, "step of at least 1"},
      {{{INT64_MIN, INT64_MAX, 1, 0, false}, {1, 1, 1, 0, false}}, 2, "step of at least 1"},
      {{{1, 100000, 1, 0, false}, {1, 100000, 1, 0, false}}, 2, "too many sub-networks"},
      {{{1, 100000, 1, 3, false}, {1, 100000, 1, 3, false}}, 2, "too many sub-networks"},
      {{{1, 1000, 1, 0, false}, {1, 1000, 1, 0, false}}, 1000, "too many sub-networks"},
      {{{1, 2, 1, 0, false}, {1, 2, 1, 0, false}}, 0.5, "select_scale is 0.5"},
      {{{1, 2, 1, 0, false}, {1, 2, 1, 0, false}}, NAN, "select_scale is"},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    poa_error error = {0};
    poa_deck *deck;
    cr_expect_eq(poa_deck_create(&deck, 2, rows[i].axes, rows[i].select_scale, &error),
                 POA_BAD_INPUT, "row %zu", i);
    cr_expect(strstr(error.message, rows[i].expected), "%s", error.message);
  }
}

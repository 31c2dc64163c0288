/* deck.c: the lattice, its weights, and the shuffled order. */
#include "runtime/deck.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/philox.h"

/* The use of randomness that names the streams of the shuffles ("deck"). */
static const uint32_t deck_use = 0x6465636bu;
static const int64_t max_entries = 10000000;

/* One axis: its points, `width` values each (more than one for a group of names). */
typedef struct axis_points {
  int width;
  bool uniform;
  int64_t count;
  int64_t *values; /* [count, width] */
} axis_points;

struct poa_deck {
  int axis_count;
  axis_points *axes;
  int64_t point_count, size;
  int32_t *entries; /* [size]: the point of each entry */
  int32_t *order;   /* [size]: entries in the order of the last pass dealt */
  uint64_t order_seed;
  int64_t order_pass; /* -1: none yet */
};

static int64_t value_count(const poa_deck_axis *axis) {
  return (axis->max - axis->min) / axis->step + 1;
}

static poa_status check_axis(const poa_deck_axis *axis, int index, poa_error *error) {
  int64_t span;
  if (axis->step >= 1 && axis->min <= axis->max &&
      !__builtin_sub_overflow(axis->max, axis->min, &span) && span % axis->step == 0 &&
      span / axis->step < max_entries)
    return POA_OK;
  return poa_fail(error, POA_BAD_INPUT,
                  "elastic name %d ranges over %lld..%lld step %lld; expected "
                  "min <= max and a step of at least 1 that divides max - min (into at most %lld "
                  "values)",
                  index + 1, (long long)axis->min, (long long)axis->max, (long long)axis->step,
                  (long long)max_entries);
}

/* The values of point `point` of the names in lattice order. */
static void decode(const poa_deck_axis *names, int width, int64_t point, int64_t *values) {
  for (int i = width - 1; i >= 0; i--) {
    int64_t count = value_count(&names[i]);
    values[i] = names[i].min + point % count * names[i].step;
    point /= count;
  }
}

/* A combination of a group's values: its sum and its place among all combinations. */
typedef struct ranked_point {
  int64_t sum, point;
} ranked_point;

static int compare_ranked(const void *a, const void *b) {
  const ranked_point *x = a, *y = b;
  return x->sum != y->sum ? (x->sum > y->sum) - (x->sum < y->sum)
                          : (x->point > y->point) - (x->point < y->point);
}

static bool fill_axis(axis_points *axis, const poa_deck_axis *names, int width) {
  axis->width = width;
  axis->uniform = names[0].uniform;
  axis->count = 1;
  for (int i = 0; i < width; i++)
    if (axis->count <= max_entries)
      axis->count *= value_count(&names[i]);
  if (axis->count > max_entries)
    return true; /* refused when the entries are counted */
  ranked_point *ranked = calloc((size_t)axis->count, sizeof *ranked);
  axis->values = calloc((size_t)(axis->count * width), sizeof *axis->values);
  if (ranked && axis->values) {
    for (int64_t i = 0; i < axis->count; i++) {
      decode(names, width, i, axis->values);
      ranked[i].point = i;
      for (int j = 0; j < width; j++)
        ranked[i].sum += axis->values[j];
    }
    qsort(ranked, (size_t)axis->count, sizeof *ranked, compare_ranked);
    for (int64_t i = 0; i < axis->count; i++)
      decode(names, width, ranked[i].point, axis->values + i * width);
  }
  bool done = ranked && axis->values;
  free(ranked);
  return done;
}

static poa_status fill_axes(poa_deck *deck, int count, const poa_deck_axis *names,
                            poa_error *error) {
  for (int i = 0; i < count; i++) {
    poa_status status = check_axis(&names[i], i, error);
    if (status != POA_OK)
      return status;
  }
  for (int first = 0, last; first < count; first = last) {
    last = first + 1;
    while (names[first].group && last < count && names[last].group == names[first].group)
      last++;
    if (!fill_axis(&deck->axes[deck->axis_count++], names + first, last - first))
      return poa_fail(error, POA_NO_MEMORY, "out of memory for the lattice");
  }
  return POA_OK;
}

/* linspace(select_scale, 1, count)[index]. An axis of one value is not elastic and does not
 * weigh: its scale is 1. */
static double scale_at(const axis_points *axis, double select_scale, int64_t index) {
  if (axis->uniform || index == axis->count - 1)
    return 1;
  return select_scale + (double)index * ((1 - select_scale) / (double)(axis->count - 1));
}

/* How often a point lies in the deck: the product, rounded half to even. */
static int64_t repeats(const poa_deck *deck, int64_t point, double select_scale) {
  double product = 1;
  int64_t inner = deck->point_count;
  for (int i = 0; i < deck->axis_count; i++) {
    inner /= deck->axes[i].count;
    product *= scale_at(&deck->axes[i], select_scale, point / inner % deck->axes[i].count);
  }
  return (int64_t)fmin(rint(product), (double)max_entries + 1);
}

static poa_status too_large(poa_error *error) {
  return poa_fail(error, POA_BAD_INPUT,
                  "the lattice has too many sub-networks to deal: more than "
                  "%lld entries; make ranges shorter, steps longer or select_scale smaller",
                  (long long)max_entries);
}

/* Counts points and entries; the maximal point has none. */
static poa_status count_entries(poa_deck *deck, double select_scale, poa_error *error) {
  deck->point_count = 1;
  for (int i = 0; i < deck->axis_count; i++) {
    if (deck->axes[i].count > max_entries / deck->point_count)
      return too_large(error);
    deck->point_count *= deck->axes[i].count;
  }
  for (int64_t point = 0; point < deck->point_count - 1; point++) {
    deck->size += repeats(deck, point, select_scale);
    if (deck->size > max_entries)
      return too_large(error);
  }
  return POA_OK;
}

static poa_status fill_entries(poa_deck *deck, double select_scale, poa_error *error) {
  poa_status status = count_entries(deck, select_scale, error);
  if (status != POA_OK)
    return status;
  deck->entries = calloc((size_t)deck->size + 1, sizeof *deck->entries);
  deck->order = calloc((size_t)deck->size + 1, sizeof *deck->order);
  if (!deck->entries || !deck->order)
    return poa_fail(error, POA_NO_MEMORY, "out of memory for the sampling deck");
  int64_t entry = 0;
  for (int64_t point = 0; point < deck->point_count - 1; point++)
    for (int64_t i = repeats(deck, point, select_scale); i > 0; i--)
      deck->entries[entry++] = (int32_t)point;
  return POA_OK;
}

poa_status poa_deck_create(poa_deck **deck, int axis_count, const poa_deck_axis *axes,
                           double select_scale, poa_error *error) {
  *deck = NULL;
  if (!(select_scale >= 1 && select_scale <= 1000))
    return poa_fail(error, POA_BAD_INPUT, "select_scale is %g, expected a number in 1..1000",
                    select_scale);
  poa_deck *made = calloc(1, sizeof *made);
  axis_points *points = calloc((size_t)axis_count + 1, sizeof *points);
  if (!made || !points) {
    free(made);
    free(points);
    return poa_fail(error, POA_NO_MEMORY, "out of memory for the sampling deck");
  }
  made->axes = points;
  made->order_pass = -1;
  poa_status status = fill_axes(made, axis_count, axes, error);
  if (status == POA_OK)
    status = fill_entries(made, select_scale, error);
  if (status != POA_OK) {
    poa_deck_free(made);
    return status;
  }
  *deck = made;
  return POA_OK;
}

void poa_deck_free(poa_deck *deck) {
  if (!deck)
    return;
  for (int i = 0; i < deck->axis_count; i++)
    free(deck->axes[i].values);
  free(deck->axes);
  free(deck->entries);
  free(deck->order);
  free(deck);
}

int64_t poa_deck_point_count(const poa_deck *deck) {
  return deck->point_count;
}

void poa_deck_point(const poa_deck *deck, int64_t point, int64_t *values) {
  int64_t inner = deck->point_count;
  for (int i = 0; i < deck->axis_count; i++) {
    const axis_points *axis = &deck->axes[i];
    inner /= axis->count;
    int64_t index = point / inner % axis->count;
    memcpy(values, axis->values + index * axis->width, (size_t)axis->width * sizeof *values);
    values += axis->width;
  }
}

int64_t poa_deck_size(const poa_deck *deck) {
  return deck->size;
}

int64_t poa_deck_entry(const poa_deck *deck, int64_t entry) {
  return deck->entries[entry];
}

int64_t poa_deck_deal(poa_deck *deck, uint64_t seed, int64_t step) {
  if (deck->size == 0)
    return deck->point_count - 1;
  int64_t pass = step / deck->size;
  if (pass != deck->order_pass || seed != deck->order_seed) {
    poa_random random;
    poa_random_open(&random, seed, (uint64_t)pass, deck_use);
    poa_random_permutation(&random, deck->order, deck->size);
    deck->order_pass = pass;
    deck->order_seed = seed;
  }
  return deck->entries[deck->order[step % deck->size]];
}

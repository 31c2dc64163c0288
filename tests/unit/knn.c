/* knn.c: weighted k-nearest-neighbour evaluation. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/knn.h"
#include "runtime/philox.h"

enum { CLASSES = 7 };

typedef struct labelled_rows {
  float *features;
  int32_t *labels;
  int64_t count;
} labelled_rows;

/* Rows scattered around one centre per class, so that classes overlap. */
static labelled_rows make(int64_t count, int64_t dim, uint32_t use) {
  labelled_rows made = {calloc((size_t)(count * dim), 4), calloc((size_t)count, 4), count};
  poa_random random;
  poa_random_open(&random, 1, 0, use);
  for (int64_t i = 0; i < count; i++) {
    made.labels[i] = (int32_t)poa_random_below(&random, CLASSES);
    for (int64_t k = 0; k < dim; k++)
      made.features[i * dim + k] =
          (float)(3 * poa_random_normal(&random) + (k % CLASSES == made.labels[i]));
  }
  return made;
}

static poa_knn_rows rows(const labelled_rows *set) {
  return (poa_knn_rows){set->features, set->labels, set->count};
}

static void release(labelled_rows *set) {
  free(set->features);
  free(set->labels);
}

static double accuracy(const labelled_rows *train, const labelled_rows *test, int64_t dim, int k,
                       int threads) {
  poa_error error = {0};
  double result;
  poa_knn_rows a = rows(train), b = rows(test);
  poa_knn_settings settings = {.neighbours = k, .temperature = 0.07, .threads = threads};
  cr_assert_eq(poa_knn_accuracy(&a, &b, dim, CLASSES, settings, &result, &error), POA_OK, "%s",
               error.message);
  return result;
}

static double cosine(const float *x, const float *y, int64_t dim) {
  double xy = 0, xx = 0, yy = 0;
  for (int64_t k = 0; k < dim; k++) {
    xy += (double)x[k] * y[k];
    xx += (double)x[k] * x[k];
    yy += (double)y[k] * y[k];
  }
  return xy / sqrt(xx * yy);
}

/* The plain definition in double: take the best k, one at a time. */
static double reference(const labelled_rows *train, const labelled_rows *test, int64_t dim, int k) {
  int right = 0;
  double *similarity = calloc((size_t)train->count, sizeof *similarity);
  for (int64_t i = 0; i < test->count; i++) {
    double votes[CLASSES] = {0};
    for (int64_t j = 0; j < train->count; j++)
      similarity[j] = cosine(test->features + i * dim, train->features + j * dim, dim);
    for (int n = 0; n < k && n < train->count; n++) {
      int64_t best = 0;
      for (int64_t j = 1; j < train->count; j++)
        best = similarity[j] > similarity[best] ? j : best;
      votes[train->labels[best]] += exp(similarity[best] / 0.07);
      similarity[best] = -2;
    }
    int answer = 0;
    for (int c = 1; c < CLASSES; c++)
      answer = votes[c] > votes[answer] ? c : answer;
    right += answer == test->labels[i];
  }
  free(similarity);
  return (double)right / (double)test->count;
}

/* Protects: the blocked search agrees with the definition, for counts that fill no block, fewer
 * rows than neighbours, and any number of threads. */
Test(knn, agrees_with_the_definition) {
  const struct {
    int64_t train, test, dim;
    int k;
  } cases[] = {{1000, 301, 24, 20}, {33, 65, 7, 20}, {5, 3, 1, 20}, {64, 64, 16, 1}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    labelled_rows train = make(cases[i].train, cases[i].dim, 1),
                  test = make(cases[i].test, cases[i].dim, 2);
    double expected = reference(&train, &test, cases[i].dim, cases[i].k);
    for (int threads = 1; threads <= 3; threads++)
      cr_expect_eq(accuracy(&train, &test, cases[i].dim, cases[i].k, threads), expected, "case %zu",
                   i);
    release(&train);
    release(&test);
  }
}

/* Protects: of equally near rows the earlier is taken, of equal votes the lower class wins. */
Test(knn, ties) {
  float train_features[] = {1, 0, 2, 0, 1, 0, 0, 0};
  int32_t train_labels[] = {3, 1, 1, 2}, answer[1];
  float test_features[] = {5, 0};
  labelled_rows train = {train_features, train_labels, 4}, test = {test_features, answer, 1};
  answer[0] = 3; /* k = 1: row 0 before the equal rows 1 and 2 */
  cr_expect_eq(accuracy(&train, &test, 2, 1, 1), 1);
  answer[0] = 1; /* k = 2: one vote each for 3 and 1 */
  cr_expect_eq(accuracy(&train, &test, 2, 2, 1), 1);
}

/* Protects: what cannot be evaluated is an error that says why. */
Test(knn, refusals) {
  float good[] = {1, 2}, bad[] = {1, NAN};
  int32_t zero[] = {0}, large[] = {7};
  const poa_knn_rows fine = {good, zero, 1}, wild = {bad, zero, 1}, label = {good, large, 1};
  const poa_knn_rows none = {good, zero, 0};
  const struct {
    poa_knn_rows train, test;
    int k;
    double temperature;
    const char *expected;
  } cases[] = {
      {wild, fine, 1, 1, "features of training row 0 are not finite"},
      {fine, wild, 1, 1, "features of test row 0 are not finite"},
      {label, fine, 1, 1, "label 7 of training row 0 is not in 0..6"},
      {fine, none, 1, 1, "test rows, but there are 0"},
      {fine, fine, 0, 1, "at least 1 neighbour"},
      {fine, fine, 1, 0, "a temperature above 0"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    poa_error error = {0};
    double result;
    poa_knn_settings settings = {.neighbours = cases[i].k, .temperature = cases[i].temperature};
    cr_expect_eq(
        poa_knn_accuracy(&cases[i].train, &cases[i].test, 2, CLASSES, settings, &result, &error),
        POA_BAD_INPUT);
    cr_expect(strstr(error.message, cases[i].expected), "%s", error.message);
  }
}

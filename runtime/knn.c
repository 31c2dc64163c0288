/* knn.c: weighted k-nearest-neighbour classification.
 *
 * All similarities are a matrix product that is never held: panels of training rows,
 * transposed so that vectors run along rows, meet groups of test rows, and each
 * block of similarities goes straight into the lists of the nearest. Each sum runs over
 * the features in order, whatever the blocks, the lanes and the threads. */
#include "runtime/knn.h"

#include <math.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>

enum {
  PANEL = 16, /* training rows of a panel */
  GROUP = 4,  /* test rows at a time */
  CHUNK = 64, /* test rows that meet a panel while it is in the cache */
};

/* similarity[GROUP][PANEL] = tests[GROUP, dim] x panel[dim, PANEL] */
typedef void multiply_fn(const float *tests, const float *panel, int64_t dim, float *similarity);

typedef struct neighbour {
  float similarity;
  int32_t row;
} neighbour;

typedef struct neighbour_search {
  int64_t dim, train_count, test_count;
  int neighbours;
  multiply_fn *multiply; /* the one for this CPU */
  float *panels;         /* [panels, dim, PANEL]: normalized training rows, zeros at the end */
  float *tests;          /* [test rows up to whole groups, dim], normalized */
  neighbour *nearest;    /* [test rows up to whole groups, neighbours], nearest first */
} neighbour_search;

typedef float four __attribute__((vector_size(16), aligned(4)));
typedef float eight __attribute__((vector_size(32), aligned(4)));

/* Any CPU: four lanes; two passes over the panel, whose sums fit 16 registers. */
static void multiply_by_four(const float *tests, const float *panel, int64_t dim,
                             float *similarity) {
  for (int half = 0; half < PANEL; half += 8) {
    four sum[GROUP][2] = {0};
    for (int64_t k = 0; k < dim; k++)
#pragma GCC unroll 4
      for (int row = 0; row < GROUP; row++) {
        sum[row][0] += tests[row * dim + k] * *(const four *)(panel + k * PANEL + half);
        sum[row][1] += tests[row * dim + k] * *(const four *)(panel + k * PANEL + half + 4);
      }
    for (int row = 0; row < GROUP; row++)
      memcpy(similarity + row * PANEL + half, sum[row], sizeof sum[row]);
  }
}

#if defined(__x86_64__)
/* AVX2: eight lanes. Without FMA, whose sums would differ from those of other CPUs. */
__attribute__((target("avx2"))) static void
multiply_by_eight(const float *tests, const float *panel, int64_t dim, float *similarity) {
  eight sum[GROUP][2] = {0};
  for (int64_t k = 0; k < dim; k++)
#pragma GCC unroll 4
    for (int row = 0; row < GROUP; row++) {
      sum[row][0] += tests[row * dim + k] * *(const eight *)(panel + k * PANEL);
      sum[row][1] += tests[row * dim + k] * *(const eight *)(panel + k * PANEL + 8);
    }
  memcpy(similarity, sum, sizeof sum);
}

static multiply_fn *best_multiply(void) {
  return __builtin_cpu_supports("avx2") ? multiply_by_eight : multiply_by_four;
}
#else
static multiply_fn *best_multiply(void) {
  return multiply_by_four;
}
#endif

/* Puts a row into the list, before all that are less similar; the last falls out. */
static void insert(neighbour *nearest, int count, float similarity, int64_t row) {
  int place = count - 1;
  for (; place > 0 && nearest[place - 1].similarity < similarity; place--)
    nearest[place] = nearest[place - 1];
  nearest[place] = (neighbour){.similarity = similarity, .row = (int32_t)row};
}

/* Rows come in order, so of equals the earlier stays before the later. */
static void collect(neighbour *nearest, int count, const float *similarity, int64_t first,
                    int64_t valid) {
  float least = nearest[count - 1].similarity;
  for (int64_t i = 0; i < valid; i++)
    if (similarity[i] > least) {
      insert(nearest, count, similarity[i], first + i);
      least = nearest[count - 1].similarity;
    }
}

static void search_chunk(const neighbour_search *search, int64_t chunk) {
  int64_t first = chunk * CHUNK, last = first + CHUNK;
  last = last < search->test_count ? last : search->test_count;
  float similarity[GROUP * PANEL];
  for (int64_t column = 0; column < search->train_count; column += PANEL) {
    const float *panel = search->panels + column * search->dim;
    int64_t left = search->train_count - column;
    for (int64_t row = first; row < last; row += GROUP) {
      search->multiply(search->tests + row * search->dim, panel, search->dim, similarity);
      for (int i = 0; i < GROUP; i++)
        collect(search->nearest + (row + i) * search->neighbours, search->neighbours,
                similarity + i * PANEL, column, left < PANEL ? left : PANEL);
    }
  }
}

/* The class with most votes. k is small, so each neighbour's class is summed anew. */
static int32_t vote(const neighbour *nearest, int count, const int32_t *labels,
                    double temperature) {
  int32_t best = -1;
  double most = 0;
  for (int i = 0; i < count; i++) {
    int32_t label = labels[nearest[i].row];
    double votes = 0;
    for (int j = 0; j < count; j++) /* relative to the nearest: no overflow, same ratios */
      if (labels[nearest[j].row] == label)
        votes += exp((nearest[j].similarity - nearest[0].similarity) / temperature);
    if (votes > most || (votes == most && label < best)) {
      most = votes;
      best = label;
    }
  }
  return best;
}

/* The factor that makes the row one long; 0 for a row of zeros, negative if not finite. */
static float normalizer(const float *row, int64_t dim) {
  double squares = 0;
  for (int64_t k = 0; k < dim; k++)
    squares += (double)row[k] * row[k];
  return !isfinite(squares) ? -1 : squares > 0 ? (float)(1 / sqrt(squares)) : 0;
}

static void load_row(const neighbour_search *search, bool training, const float *row, int64_t index,
                     float factor) {
  float *panel = search->panels + (index - index % PANEL) * search->dim + index % PANEL;
  float *out = training ? panel : search->tests + index * search->dim;
  for (int64_t k = 0; k < search->dim; k++)
    out[k * (training ? PANEL : 1)] = row[k] * factor;
}

static poa_status load_rows(const neighbour_search *search, bool training, const poa_knn_rows *rows,
                            int threads, poa_error *error) {
  int64_t bad = INT64_MAX;
#pragma omp parallel for num_threads(threads) reduction(min : bad)
  for (int64_t i = 0; i < rows->count; i++) {
    const float *row = rows->features + i * search->dim;
    float factor = normalizer(row, search->dim);
    if (factor < 0)
      bad = i < bad ? i : bad;
    else
      load_row(search, training, row, i, factor);
  }
  if (bad == INT64_MAX)
    return POA_OK;
  return poa_fail(error, POA_BAD_INPUT,
                  "the features of %s row %lld are not finite; the model has "
                  "diverged",
                  training ? "training" : "test", (long long)bad);
}

static poa_status check_rows(const poa_knn_rows *rows, const char *what, int classes,
                             poa_error *error) {
  if (rows->count < 1 || rows->count > INT32_MAX)
    return poa_fail(error, POA_BAD_INPUT, "k-NN evaluation needs 1..%d %s rows, but there are %lld",
                    INT32_MAX, what, (long long)rows->count);
  for (int64_t i = 0; i < rows->count; i++)
    if (rows->labels[i] < 0 || rows->labels[i] >= classes)
      return poa_fail(error, POA_BAD_INPUT, "label %d of %s row %lld is not in 0..%d",
                      (int)rows->labels[i], what, (long long)i, classes - 1);
  return POA_OK;
}

static int64_t round_up(int64_t value, int64_t unit) {
  return (value + unit - 1) / unit * unit;
}

/* aligned_alloc wants whole multiples of the alignment. */
static void *allocate(int64_t count, size_t bytes) {
  size_t total;
  if (__builtin_mul_overflow((size_t)count, bytes, &total) || total > SIZE_MAX / 2)
    return NULL;
  void *data = aligned_alloc(64, (total + 64) & ~(size_t)63);
  if (data)
    memset(data, 0, total);
  return data;
}

static poa_status create(neighbour_search *search, int64_t dim, const poa_knn_rows *train,
                         const poa_knn_rows *test, int neighbours, poa_error *error) {
  int64_t tests = round_up(test->count, GROUP);
  *search = (neighbour_search){.dim = dim, .train_count = train->count, .test_count = test->count};
  search->multiply = best_multiply();
  search->neighbours = neighbours < train->count ? neighbours : (int)train->count;
  search->panels = allocate(round_up(train->count, PANEL) * dim, sizeof(float));
  search->tests = allocate(tests * dim, sizeof(float));
  search->nearest = allocate(tests * search->neighbours, sizeof(neighbour));
  if (!search->panels || !search->tests || !search->nearest)
    return poa_fail(error, POA_NO_MEMORY,
                    "out of memory for k-NN evaluation of %lld rows of %lld "
                    "features",
                    (long long)(train->count + test->count), (long long)dim);
  for (int64_t i = 0; i < tests * search->neighbours; i++)
    search->nearest[i].similarity = -INFINITY;
  return POA_OK;
}

static int64_t count_right(const neighbour_search *search, const poa_knn_rows *train,
                           const poa_knn_rows *test, double temperature, int threads) {
  int64_t right = 0, chunks = (test->count + CHUNK - 1) / CHUNK;
#pragma omp parallel for num_threads(threads) schedule(dynamic) reduction(+ : right)
  for (int64_t chunk = 0; chunk < chunks; chunk++) {
    search_chunk(search, chunk);
    for (int64_t i = chunk * CHUNK; i < (chunk + 1) * CHUNK && i < test->count; i++)
      right += vote(search->nearest + i * search->neighbours, search->neighbours, train->labels,
                    temperature) == test->labels[i];
  }
  return right;
}

poa_status poa_knn_accuracy(const poa_knn_rows *train, const poa_knn_rows *test, int64_t dim,
                            int classes, poa_knn_settings settings, double *accuracy,
                            poa_error *error) {
  *accuracy = 0;
  if (settings.neighbours < 1 || !(settings.temperature > 0) || dim < 1)
    return poa_fail(error, POA_BAD_INPUT,
                    "k-NN evaluation needs at least 1 neighbour, a temperature "
                    "above 0 and at least 1 feature; got %d, %g and %lld",
                    settings.neighbours, settings.temperature, (long long)dim);
  poa_status status = check_rows(train, "training", classes, error);
  if (status == POA_OK)
    status = check_rows(test, "test", classes, error);
  if (status != POA_OK)
    return status;
  int threads = settings.threads > 0 ? settings.threads : omp_get_max_threads();
  neighbour_search search;
  status = create(&search, dim, train, test, settings.neighbours, error);
  if (status == POA_OK)
    status = load_rows(&search, true, train, threads, error);
  if (status == POA_OK)
    status = load_rows(&search, false, test, threads, error);
  if (status == POA_OK)
    *accuracy = (double)count_right(&search, train, test, settings.temperature, threads) /
                (double)test->count;
  free(search.panels);
  free(search.tests);
  free(search.nearest);
  return status;
}

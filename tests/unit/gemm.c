/* Matrix products of generated code against naive loops in double precision: every
 * form of operand, every remainder, on every level of x86-64. Operands end where their
 * last element does, in front of a page that must not be touched. */
#include "codegen/gemm.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* Of the sum of |a b|; FMA chains of length 2000 stay well below, and so do chains in bf16, where
 * products are exact and sums are of floats. */
#define TOLERANCE 4e-7

static poa_kernel_library *library_for(const char *cpu) {
  poa_error error = {0};
  poa_target target;
  if (poa_target_init(&target, cpu, &error) != POA_OK)
    return NULL; /* this machine cannot run it */
  poa_kernel_library *library = NULL;
  poa_status status = poa_kernel_library_create(&library, &target, NULL, &error);
  cr_assert_eq(status, POA_OK, "%s", error.message);
  poa_target_free(&target);
  return library;
}

/* What products are run on. */
typedef struct machine {
  poa_kernel_library *library;
  bool bf16;
} machine;

/* To bf16, the nearest, ties to even; noise has no NaN and nothing that overflows. */
static double round_bf16(float x) {
  uint32_t bits;
  memcpy(&bits, &x, 4);
  bits = (bits + 0x7fff + (bits >> 16 & 1)) & 0xffff0000u;
  memcpy(&x, &bits, 4);
  return (double)x;
}

static int64_t along(const poa_gemm_axes *axes, int64_t index) {
  int64_t offset = 0;
  for (int d = axes->rank - 1; d >= 0; --d) {
    offset += index % axes->extent[d] * axes->stride[d];
    index /= axes->extent[d];
  }
  return offset;
}

/* Where element (i, k) of A lies. */
static int64_t place_in_a(const poa_gemm *g, int64_t i, int64_t k) {
  return g->rows.rank ? along(&g->rows, i) + along(&g->inner, k) : i * g->a.row + k * g->a.column;
}

/* Elements from the first to the last of an operand of m x n. */
static int64_t span(const poa_gemm *g, const poa_gemm_operand *o, int64_t m, int64_t n) {
  int64_t last = (m - 1) * o->row + (n - 1) * o->column;
  for (int d = 0; d < g->batch_rank; ++d)
    last += (g->batch[d] - 1) * o->batch[d];
  return m && n ? last + 1 : 0;
}

typedef struct memory {
  void *base;
  size_t bytes;
  float *data;
  int64_t count;
} memory;

/* `count` floats of noise that end at a page nobody may touch. */
static memory allocate(int64_t count, uint32_t seed) {
  size_t page = (size_t)sysconf(_SC_PAGESIZE);
  size_t pages = ((size_t)count * 4 + page - 1) / page;
  memory m = {.bytes = (pages + 1) * page, .count = count};
  m.base = mmap(NULL, m.bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  cr_assert(m.base != MAP_FAILED);
  mprotect((char *)m.base + pages * page, page, PROT_NONE);
  m.data = (float *)((char *)m.base + pages * page) - count;
  for (int64_t i = 0; i < count; ++i) {
    seed = seed * 1664525u + 1013904223u;
    m.data[i] = (float)(int32_t)seed * 0x1p-31f;
  }
  return m;
}

static void release(memory *m) {
  munmap(m->base, m->bytes);
}

static int64_t batches_of(const poa_gemm *g) {
  int64_t count = 1;
  for (int d = 0; d < g->batch_rank; ++d)
    count *= g->batch[d];
  return count;
}

static int64_t batch_offset(const poa_gemm *g, const poa_gemm_operand *o, int64_t batch) {
  int64_t offset = 0;
  for (int d = g->batch_rank - 1; d >= 0; --d) {
    offset += batch % g->batch[d] * o->batch[d];
    batch /= g->batch[d];
  }
  return offset;
}

/* Marks in `touched` and checks one batch of C against loops in double. */
static void check_batch(const poa_gemm *g, const memory *a, const memory *b, const float *before,
                        const memory *c, bool *touched, int64_t batch, const char *name) {
  const float *pa = a->data + batch_offset(g, &g->a, batch);
  const float *pb = b->data + batch_offset(g, &g->b, batch);
  int64_t corner = batch_offset(g, &g->c, batch);
  for (int64_t i = 0; i < g->m; ++i)
    for (int64_t j = 0; j < g->n; ++j) {
      double sum = 0, size = 0;
      for (int64_t k = 0; k < g->k; ++k) {
        float x = pa[place_in_a(g, i, k)], y = pb[k * g->b.row + j * g->b.column];
        double product = g->bf16 ? round_bf16(x) * round_bf16(y) : (double)x * (double)y;
        sum += product;
        size += fabs(product);
      }
      int64_t at = corner + i * g->c.row + j * g->c.column;
      double old = g->accumulate ? (double)before[at] : 0;
      double want = old + (double)g->alpha * sum;
      double bound = TOLERANCE * ((double)fabsf(g->alpha) * size + fabs(old));
      touched[at] = true;
      cr_assert(fabs((double)c->data[at] - want) <= bound, "%s: C[%ld][%ld][%ld] is %g, not %g",
                name, (long)batch, (long)i, (long)j, (double)c->data[at], want);
    }
}

static void check(const poa_gemm *g, const memory *a, const memory *b, const float *before,
                  const memory *c, const char *name) {
  bool *touched = calloc((size_t)c->count + 1, sizeof *touched);
  for (int64_t batch = 0; batch < batches_of(g); ++batch)
    check_batch(g, a, b, before, c, touched, batch, name);
  for (int64_t i = 0; i < c->count; ++i)
    cr_assert(touched[i] || memcmp(&before[i], &c->data[i], 4) == 0,
              "%s: element %ld of C's buffer is none of C's and was written", name, (long)i);
  free(touched);
}

/* Runs the product in one range, checks it, then tile by tile from the last one, and
 * expects the same bits. */
static void run(const machine *on, const poa_gemm *description) {
  poa_error error = {0};
  char key[512];
  poa_gemm with_precision = *description;
  const poa_gemm *g = &with_precision;
  with_precision.bf16 = on->bf16;
  cr_assert_lt(poa_gemm_key(g, key, sizeof key), (int)sizeof key);
  poa_kernel_request request = {key, poa_gemm_emit, g};
  poa_kernel_fn kernel = NULL;
  poa_status status = poa_kernel_library_get(on->library, &request, 1, &kernel, &error);
  cr_assert_eq(status, POA_OK, "%s: %s", key, error.message);
  int64_t tiles = poa_gemm_tiles(g, poa_kernel_library_target(on->library));
  int64_t span_a = span(g, &g->a, g->m, g->k);
  if (g->rows.rank)
    span_a = span(g, &g->a, 1, 1) + place_in_a(g, g->m - 1, g->k - 1);
  memory a = allocate(span_a, 1), b = allocate(span(g, &g->b, g->k, g->n), 2);
  memory c = allocate(span(g, &g->c, g->m, g->n), 3);
  size_t bytes = (size_t)c.count * 4;
  float *before = malloc(bytes + 1), *result = malloc(bytes + 1);
  memcpy(before, c.data, bytes);
  void *buffers[] = {a.data, b.data, c.data};
  kernel(buffers, 0, tiles);
  check(g, &a, &b, before, &c, key);
  memcpy(result, c.data, bytes);
  memcpy(c.data, before, bytes);
  for (int64_t tile = tiles - 1; tile >= 0; --tile)
    kernel(buffers, tile, tile + 1);
  cr_assert(memcmp(result, c.data, bytes) == 0, "%s: the bits depend on the tiles", key);
  free(before), free(result);
  release(&a), release(&b), release(&c);
}

/* A dense product; transposed operands are stored column by column. `gap` more elements
 * lie between the rows (or columns) of every operand than it has. */
static poa_gemm product(int64_t m, int64_t n, int64_t k, bool transpose_a, bool transpose_b,
                        int64_t gap) {
  poa_gemm g = {.m = m, .n = n, .k = k, .alpha = 1};
  g.a.row = transpose_a ? 1 : k + gap, g.a.column = transpose_a ? m + gap : 1;
  g.b.row = transpose_b ? 1 : n + gap, g.b.column = transpose_b ? k + gap : 1;
  g.c.row = n + gap, g.c.column = 1;
  return g;
}

/* All transpositions x {overwrite, accumulate} x alpha. */
static void run_forms(const machine *on, int64_t m, int64_t n, int64_t k, int64_t gap) {
  for (int form = 0; form < 16; ++form) {
    poa_gemm g = product(m, n, k, form & 1, form & 2, gap);
    g.accumulate = form & 4;
    g.alpha = form & 8 ? 0.7f : 1;
    run(on, &g);
  }
}

static const char *const levels[] = {"x86-64", "x86-64-v3", "x86-64-v4"};

static bool on_level(void (*body)(const machine *on), const char *cpu) {
  machine on = {.library = library_for(cpu)};
  if (!on.library)
    return false;
  body(&on);
  poa_kernel_library_free(on.library);
  return true;
}

/* Calls `body` with a library for each level this machine has, or for the machine itself
 * if it is another kind of machine. */
static void on_all_levels(void (*body)(const machine *on)) {
  bool any = false;
  for (size_t i = 0; i < sizeof levels / sizeof levels[0]; ++i)
    any |= on_level(body, levels[i]);
  if (!any)
    cr_assert(on_level(body, "native"));
}

/* The same in bf16, on this machine. */
static void in_bf16(void (*body)(const machine *on)) {
  machine on = {.library = library_for("native"), .bf16 = true};
  cr_assert(on.library);
  bool has = poa_target_has_bf16(poa_kernel_library_target(on.library));
  if (has)
    body(&on);
  poa_kernel_library_free(on.library);
  if (!has)
    cr_skip_test("this CPU has no AVX512_BF16");
}

static void remainders(const machine *on) {
  static const int64_t shapes[][3] = {{1, 1, 1},    {7, 5, 3},    {17, 17, 16}, {13, 50, 31},
                                      {65, 49, 33}, {48, 96, 64}, {31, 129, 2}, {101, 113, 97}};
  for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; ++i)
    run_forms(on, shapes[i][0], shapes[i][1], shapes[i][2], i % 3);
}

/* Protects the edge kernels and masks in all four transpositions, accumulating and not,
 * scaled and not. */
Test(gemm, remainders) {
  on_all_levels(remainders);
}

Test(gemm, remainders_bf16) {
  in_bf16(remainders);
}

/* The windows [b, oh, ow | kh, kw, c] of an image [b, h, w, c], times [kh * kw * c, n]; with
 * `transposed`, their transpose times [b * oh * ow, n]. */
static poa_gemm windows(int64_t images, int64_t size, int64_t channels, int64_t window,
                        int64_t stride, int64_t n, bool transposed) {
  int64_t out = (size - window) / stride + 1, row = size * channels;
  poa_gemm_axes places = {3, {images, out, out}, {size * row, stride * row, stride * channels}};
  poa_gemm_axes taps = {2, {window, window * channels}, {row, 1}};
  poa_gemm g = {.n = n, .alpha = 1, .rows = places, .inner = taps};
  if (transposed)
    g.rows = taps, g.inner = places;
  g.m = images * out * out, g.k = window * window * channels;
  if (transposed)
    g.m = window * window * channels, g.k = images * out * out;
  g.b = (poa_gemm_operand){.row = n, .column = 1};
  g.c = g.b;
  return g;
}

static void joined_axes(const machine *on) {
  static const int64_t shapes[][6] = {{2, 6, 3, 3, 1, 5},  {1, 9, 16, 3, 2, 32},
                                      {3, 7, 5, 2, 2, 17}, {2, 12, 64, 3, 1, 70},
                                      {1, 5, 1, 5, 1, 3},  {2, 17, 3, 7, 2, 48}};
  for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; ++i)
    for (int form = 0; form < 8; ++form) {
      const int64_t *s = shapes[i];
      poa_gemm g = windows(s[0], s[1], s[2], s[3], s[4], s[5], form & 1);
      g.accumulate = form & 2;
      g.alpha = form & 4 ? 0.7f : 1;
      run(on, &g);
    }
  /* No axis of unit stride; two groups as batches. */
  poa_gemm g = windows(2, 6, 4, 3, 1, 8, false);
  g.inner = (poa_gemm_axes){3, {3, 3, 2}, {24, 4, 2}};
  g.k = 18;
  g.batch_rank = 1, g.batch[0] = 2;
  g.a.batch[0] = 1, g.b.batch[0] = 18 * 8, g.c.batch[0] = g.m * 8;
  run(on, &g);
}

/* Protects products over windows: blocks gathered along columns and along rows, runs cut by
 * blocks of k and by tiles, steps longer than one element. */
Test(gemm, joined_axes) {
  on_all_levels(joined_axes);
}

Test(gemm, joined_axes_bf16) {
  in_bf16(joined_axes);
}

static void blocked_k(const machine *on) {
  run_forms(on, 19, 37, 1001, 0);
  run_forms(on, 130, 70, 800, 5);
}

/* Protects the running sum over blocks of k: resumed from C, or from the stack when it is
 * still to be scaled and added. */
Test(gemm, blocked_k) {
  on_all_levels(blocked_k);
}

Test(gemm, blocked_k_bf16) {
  in_bf16(blocked_k);
}

static void vectors(const machine *on) {
  static const int64_t shapes[][3] = {{1, 200, 300},  {200, 1, 300}, {1, 1, 777}, {1, 1, 5},
                                      {200, 3, 129},  {2, 70, 64},   {1, 40, 1},  {50, 1, 1},
                                      {300, 10, 256}, {5, 300, 17},  {4, 4, 16}};
  for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; ++i)
    run_forms(on, shapes[i][0], shapes[i][1], shapes[i][2], i % 2);
}

/* Protects matrix-vector products and scalar products: sums across lanes. */
Test(gemm, vectors) {
  on_all_levels(vectors);
}

Test(gemm, vectors_bf16) {
  in_bf16(vectors);
}

/* Protects the sharing of cache sets being cured by copies: rows 4 KiB apart. */
static void large_strides(const machine *on) {
  poa_gemm g = product(70, 100, 70, false, false, 0);
  g.a.row = g.b.row = g.c.row = 1024;
  run(on, &g);
  g.accumulate = true;
  run(on, &g);
}

Test(gemm, large_strides) {
  on_all_levels(large_strides);
}

Test(gemm, large_strides_bf16) {
  in_bf16(large_strides);
}

/* Strides without a unit: column, row and both of C, of A and B as well. */
static void odd_strides(const machine *on) {
  for (int form = 0; form < 8; ++form) {
    poa_gemm g = product(29, 53, 23, false, false, 0);
    g.c.row = form & 1 ? 1 : 160, g.c.column = form & 1 ? 31 : 3;
    if (form & 2)
      g.a.row = 50, g.a.column = 2, g.b.row = 170, g.b.column = 3;
    g.accumulate = form & 4;
    run(on, &g);
    g.alpha = 0.7f;
    run(on, &g);
  }
  poa_gemm blocked = product(9, 21, 900, false, false, 0);
  blocked.c.row = 50, blocked.c.column = 2;
  run(on, &blocked);
}

Test(gemm, odd_strides) {
  on_all_levels(odd_strides);
}

Test(gemm, odd_strides_bf16) {
  in_bf16(odd_strides);
}

/* Attention's heads: [batch, token, 3, head, dim] holds q, k and v; the scores are dense
 * per head, the result goes back interleaved. */
static void heads(const machine *on) {
  int64_t batch = 2, tokens = 37, count = 3, dim = 24, width = count * dim;
  poa_gemm scores = {.m = tokens, .n = tokens, .k = dim, .batch_rank = 2, .batch = {batch, count}};
  scores.alpha = 0.25f;
  scores.a = (poa_gemm_operand){3 * width, 1, {tokens * 3 * width, dim}};
  scores.b = (poa_gemm_operand){1, 3 * width, {tokens * 3 * width, dim}};
  scores.c = (poa_gemm_operand){tokens, 1, {count * tokens * tokens, tokens * tokens}};
  run(on, &scores);
  poa_gemm values = {.m = tokens, .n = dim, .k = tokens, .batch_rank = 2, .batch = {batch, count}};
  values.alpha = 1;
  values.a = scores.c;
  values.b = scores.a;
  values.c = (poa_gemm_operand){width, 1, {tokens * width, dim}};
  run(on, &values);
  values.accumulate = true;
  run(on, &values);
}

Test(gemm, attention_heads) {
  on_all_levels(heads);
}

Test(gemm, attention_heads_bf16) {
  in_bf16(heads);
}

/* Four batch extents, operands that lack some of them, extents that merge into m or n. */
static void batches(const machine *on) {
  poa_gemm g = product(11, 18, 7, false, true, 0);
  g.batch_rank = 4;
  memcpy(g.batch, (int64_t[]){2, 3, 1, 5}, sizeof g.batch);
  memcpy(g.a.batch, (int64_t[]){0, 77, 0, 231}, sizeof g.a.batch);
  memcpy(g.b.batch, (int64_t[]){126, 0, 0, 252}, sizeof g.b.batch);
  memcpy(g.c.batch, (int64_t[]){198, 396, 0, 1188}, sizeof g.c.batch);
  run(on, &g);
  g.accumulate = true;
  run(on, &g);
  poa_gemm rows = product(11, 18, 7, false, false, 0);
  rows.batch_rank = 2;
  memcpy(rows.batch, (int64_t[]){4, 3}, 2 * sizeof(int64_t));
  memcpy(rows.a.batch, (int64_t[]){231, 77}, 2 * sizeof(int64_t));
  memcpy(rows.c.batch, (int64_t[]){594, 198}, 2 * sizeof(int64_t));
  run(on, &rows);
  poa_gemm columns = product(11, 18, 7, false, false, 54);
  columns.batch_rank = 1, columns.batch[0] = 4;
  columns.b.batch[0] = columns.c.batch[0] = 18;
  run(on, &columns);
  poa_gemm small = product(17, 17, 16, false, true, 0);
  small.batch_rank = 1, small.batch[0] = 300;
  small.a.batch[0] = small.b.batch[0] = 272, small.c.batch[0] = 289;
  run(on, &small);
}

Test(gemm, batches) {
  on_all_levels(batches);
}

Test(gemm, batches_bf16) {
  in_bf16(batches);
}

static int64_t draw(uint32_t *state, int64_t most) {
  *state = *state * 1664525u + 1013904223u;
  return 1 + (int64_t)((uint64_t)*state * (uint64_t)most >> 32);
}

static void any_shapes(const machine *on) {
  uint32_t state = 5;
  for (int i = 0; i < 60; ++i) {
    bool ta = draw(&state, 2) == 1, tb = draw(&state, 2) == 1;
    int64_t m = draw(&state, 90), n = draw(&state, 90), k = draw(&state, i % 8 ? 90 : 1700);
    poa_gemm g = product(m, n, k, ta, tb, draw(&state, 4) - 1);
    g.accumulate = draw(&state, 2) == 1;
    g.alpha = draw(&state, 2) == 1 ? 1 : 0.7f;
    run(on, &g);
  }
}

/* Protects what no table of shapes thought of. */
Test(gemm, any_shapes) {
  on_all_levels(any_shapes);
}

Test(gemm, any_shapes_bf16) {
  in_bf16(any_shapes);
}

/* k = 0 clears C or leaves it; no rows, columns or batches is no work. */
static void nothing(const machine *on) {
  run_forms(on, 5, 20, 0, 0);
  for (int form = 0; form < 3; ++form) {
    poa_gemm g = product(form == 0 ? 0 : 4, form == 1 ? 0 : 4, 4, false, false, 0);
    if (form == 2)
      g.batch_rank = 1, g.batch[0] = 0;
    cr_assert_eq(poa_gemm_tiles(&g, poa_kernel_library_target(on->library)), 0);
    run(on, &g);
  }
}

Test(gemm, nothing_to_do) {
  on_all_levels(nothing);
}

Test(gemm, nothing_to_do_bf16) {
  in_bf16(nothing);
}

/* Protects against a silent race: batches that share their result. */
Test(gemm, results_in_one_place_are_refused) {
  poa_kernel_library *library = library_for("native");
  poa_gemm g = product(4, 4, 4, false, false, 0);
  g.batch_rank = 1, g.batch[0] = 2, g.a.batch[0] = 16;
  poa_kernel_request request = {"race", poa_gemm_emit, &g};
  poa_kernel_fn kernel = NULL;
  poa_error error = {0};
  poa_status status = poa_kernel_library_get(library, &request, 1, &kernel, &error);
  cr_assert_eq(status, POA_BAD_INPUT);
  cr_assert(strstr(error.message, "same place"), "%s", error.message);
  poa_kernel_library_free(library);
}

/* Protects from an instruction that the CPU does not know. */
Test(gemm, bf16_without_the_instruction_is_refused) {
  poa_error error = {0};
  poa_target target;
  cr_assert_eq(poa_target_init_for(&target, "x86-64-v4", "x86_64-linux-gnu", &error), POA_OK);
  cr_assert(!poa_target_has_bf16(&target));
  poa_target_free(&target);
  poa_kernel_library *library = library_for("x86-64");
  if (!library)
    cr_skip_test("this machine is no x86-64");
  poa_gemm g = product(4, 4, 4, false, false, 0);
  g.bf16 = true;
  poa_kernel_request request = {"bf16", poa_gemm_emit, &g};
  poa_kernel_fn kernel = NULL;
  poa_status status = poa_kernel_library_get(library, &request, 1, &kernel, &error);
  cr_assert_eq(status, POA_UNSUPPORTED);
  cr_assert(strstr(error.message, "AVX512_BF16"), "%s", error.message);
  poa_kernel_library_free(library);
}

/* Protects sharing: a key names all that matters and only that. */
Test(gemm, keys) {
  poa_gemm g = product(8, 16, 4, false, false, 0), h = g;
  char key[512], other[512], few[8];
  poa_gemm_key(&g, key, sizeof key);
  h.batch_rank = 2, h.batch[0] = h.batch[1] = 1, h.a.batch[1] = 99;
  poa_gemm_key(&h, other, sizeof other);
  cr_assert_str_eq(key, other);
  h.alpha = 0.5f;
  poa_gemm_key(&h, other, sizeof other);
  cr_assert_str_neq(key, other);
  h = g;
  h.bf16 = true;
  poa_gemm_key(&h, other, sizeof other);
  cr_assert_str_neq(key, other);
  cr_assert_eq(poa_gemm_key(&g, few, sizeof few), (int)strlen(key));
  cr_assert_eq(strlen(few), sizeof few - 1);
}

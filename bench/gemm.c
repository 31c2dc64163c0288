/* gemm.c (bench): GFLOP/s of generated matrix products, next to the FMA peak that
 * the same cores reach just before and after.
 *
 *   gemm [CPU [WORD [bf16]]]  CPU as for --target ("native"); WORD: only shapes whose line
 *                             contains it ("NT", "x48", "1576"); bf16: operands rounded, beside
 *                             the peak of the dot product that is used then
 *
 * Build by hand (Linux, from the top of the repository, with a build in build/):
 *
 *   cc -O2 -D_GNU_SOURCE -fopenmp -I. -Iinclude -I$(llvm-config-19 --includedir) \
 *     bench/gemm.c build/libpoa_codegen.a build/libpoart.a \
 *     $(llvm-config-19 --ldflags --libs) -o build/bench_gemm */
#include "codegen/gemm.h"
#include "codegen/emit.h"
#include "codegen/gemm_plan.h"

#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define PEAK_CHAINS 12
#define PEAK_STEPS 200000
#define MAX_THREADS 2
#define ENOUGH_SECONDS 0.15
#define ENOUGH_RUNS 9

typedef struct shape {
  const char *form; /* of A and B: N as written, T transposed in memory */
  int64_t m, n, k, batch;
} shape;

static const shape shapes[] = {
    {"NN", 1576, 1152, 384, 1},  {"NN", 1576, 384, 1536, 1},  {"NN", 1576, 384, 384, 1},
    {"NT", 1576, 1536, 384, 1},  {"NT", 1576, 384, 1536, 1},  {"NT", 1576, 384, 1152, 1},
    {"TN", 384, 1536, 1576, 1},  {"TN", 1536, 384, 1576, 1},  {"TN", 384, 384, 1576, 1},
    {"NT", 197, 197, 64, 48},    {"NN", 197, 64, 197, 48},    {"TN", 197, 64, 197, 48},
    {"NN", 2080, 192, 64, 1},    {"NT", 2080, 192, 64, 1},    {"NT", 2080, 64, 64, 1},
    {"NT", 2080, 256, 64, 1},    {"NT", 2080, 64, 256, 1},    {"NN", 2080, 256, 64, 1},
    {"NT", 4160, 384, 128, 1},   {"NT", 4160, 128, 128, 1},   {"NT", 4160, 512, 128, 1},
    {"NT", 4160, 128, 512, 1},   {"NN", 4160, 768, 192, 1},   {"NN", 4160, 192, 768, 1},
    {"TN", 64, 192, 2080, 1},    {"TN", 128, 512, 4160, 1},   {"TN", 192, 768, 4160, 1},
    {"NT", 17, 17, 16, 480},     {"NN", 17, 16, 17, 480},     {"TN", 17, 16, 17, 480},
    {"NT", 800, 8192, 256, 1},   {"NN", 800, 256, 8192, 1},   {"TN", 256, 8192, 800, 1},
    {"NN", 1024, 1024, 1024, 1}, {"NT", 1024, 1024, 1024, 1}, {"TN", 2048, 2048, 2048, 1},
    {"NT", 333, 777, 555, 1},    {"TN", 333, 777, 555, 1},    {"NN", 50, 100, 3000, 1},
    {"NN", 4096, 10, 256, 1},    {"NT", 4096, 10, 256, 1},    {"NN", 100, 100, 32, 64},
    {"NN", 1, 1536, 384, 1},     {"NT", 1, 1536, 384, 1},     {"NN", 1576, 1, 384, 1},
    {"NT", 3152, 1536, 384, 1},  {"NN", 3152, 1536, 384, 1},  {"NT", 3152, 384, 1536, 1},
    {"NN", 3152, 384, 1536, 1},  {"NT", 3152, 384, 384, 1},   {"NN", 3152, 384, 384, 1},
    {"TN", 384, 1536, 3152, 1},  {"TN", 384, 384, 3152, 1},   {"NT", 197, 197, 64, 96},
    {"NN", 197, 64, 197, 96},    {"TN", 197, 64, 197, 96},    {"NT", 557, 2048, 2048, 1},
    {"TN", 2048, 2048, 557, 1},  {"NT", 557, 16384, 256, 1},
};

static double seconds_now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static bool in_bf16;

/* Independent FMAs, or dot products of pairs, on registers alone; each tile is PEAK_STEPS times
 * PEAK_CHAINS of them. */
static poa_status emit_peak(poa_emitter *e, const void *unused, const char *symbol,
                            poa_error *error) {
  (void)unused, (void)error;
  poa_emit_kernel(e, symbol);
  int lanes = e->target->vector_lanes;
  LLVMTypeRef vector = emit_vector_type(e->f32, lanes);
  LLVMValueRef buffer = emit_buffer(e, 0), factor = emit_load(e, vector, buffer, 64);
  LLVMValueRef tiles = emit_sub(e, emit_last(e), emit_first(e));
  LLVMValueRef steps = emit_mul(e, tiles, emit_index(e, PEAK_STEPS));
  poa_emit_loop loop = poa_emit_loop_begin(e, emit_index(e, 0), steps, emit_index(e, 1));
  LLVMValueRef chains[PEAK_CHAINS], sum = emit_zero(vector);
  for (int i = 0; i < PEAK_CHAINS; ++i)
    chains[i] = poa_emit_loop_carry(e, &loop, emit_zero(vector));
  for (int i = 0; i < PEAK_CHAINS; ++i)
    poa_emit_loop_set(e, chains[i],
                      in_bf16 ? poa_emit_bf16_dot(e, factor, factor, chains[i])
                              : emit_fma(e, factor, factor, chains[i]));
  poa_emit_loop_end(e, &loop);
  for (int i = 0; i < PEAK_CHAINS; ++i)
    sum = emit_add(e, sum, chains[i]);
  emit_store(e, sum, emit_at(e, e->f32, buffer, emit_index(e, 16)), 64);
  emit_return(e);
  return POA_OK;
}

/* Best time of a run by a team, each thread with its share of the tiles. */
static double best_seconds(poa_kernel_fn kernel, void *const *buffers, int64_t tiles, int threads) {
  double best = 1e30, total = 0;
  for (int run = 0; run < ENOUGH_RUNS || total < ENOUGH_SECONDS; ++run) {
    double start = seconds_now();
#pragma omp parallel num_threads(threads)
    {
      int64_t self = omp_get_thread_num(), team = omp_get_num_threads();
      kernel(buffers, tiles * self / team, tiles * (self + 1) / team);
    }
    double seconds = seconds_now() - start;
    total += seconds;
    best = seconds < best ? seconds : best;
  }
  return best;
}

static double peak_gflops(poa_kernel_fn kernel, int lanes, int threads) {
  _Alignas(64) static float data[MAX_THREADS][64];
  double best = 1e30;
  for (int run = 0; run < 5; ++run) {
    double start = seconds_now();
#pragma omp parallel num_threads(threads)
    {
      void *buffers[] = {data[omp_get_thread_num()]};
      kernel(buffers, 0, 1);
    }
    double seconds = seconds_now() - start;
    best = seconds < best ? seconds : best;
  }
  return (in_bf16 ? 4e-9 : 2e-9) * PEAK_STEPS * PEAK_CHAINS * lanes * threads / best;
}

static poa_gemm gemm_of(const shape *s) {
  poa_gemm g = {.m = s->m, .n = s->n, .k = s->k, .batch_rank = 1, .batch = {s->batch}, .alpha = 1};
  g.bf16 = in_bf16;
  bool ta = s->form[0] == 'T', tb = s->form[1] == 'T';
  g.a = (poa_gemm_operand){ta ? 1 : s->k, ta ? s->m : 1, {s->m * s->k}};
  g.b = (poa_gemm_operand){tb ? 1 : s->n, tb ? s->k : 1, {s->k * s->n}};
  g.c = (poa_gemm_operand){s->n, 1, {s->m * s->n}};
  return g;
}

static float *noise(int64_t count) {
  float *data = aligned_alloc(64, ((size_t)count * 4 + 63) / 64 * 64);
  for (int64_t i = 0; i < count; ++i)
    data[i] = (float)((i * 2654435761u >> 8 & 0xffff) / 65536.0 - 0.5);
  return data;
}

static poa_kernel_fn get(poa_kernel_library *library, const char *key, poa_emit_fn emit,
                         const void *description) {
  poa_error error = {0};
  poa_kernel_request request = {key, emit, description};
  poa_kernel_fn kernel = NULL;
  if (poa_kernel_library_get(library, &request, 1, &kernel, &error) != POA_OK) {
    fprintf(stderr, "%s\n", error.message);
    exit(1);
  }
  return kernel;
}

static void measure(poa_kernel_library *library, const shape *s, poa_kernel_fn peak) {
  const poa_target *target = poa_kernel_library_target(library);
  poa_gemm g = gemm_of(s);
  char key[512];
  poa_gemm_key(&g, key, sizeof key);
  double start = poa_kernel_library_statistics(library).seconds;
  poa_kernel_fn kernel = get(library, key, poa_gemm_emit, &g);
  double compile = poa_kernel_library_statistics(library).seconds - start;
  void *buffers[] = {noise(g.m * g.k * s->batch), noise(g.k * g.n * s->batch),
                     noise(g.m * g.n * s->batch)};
  int64_t tiles = poa_gemm_tiles(&g, target);
  printf("%s %5ld %5ld %5ld x%-3ld", s->form, (long)s->m, (long)s->n, (long)s->k, (long)s->batch);
  for (int threads = 1; threads <= MAX_THREADS; ++threads) {
    double before = peak_gflops(peak, target->vector_lanes, threads);
    double seconds = best_seconds(kernel, buffers, tiles, threads);
    double after = peak_gflops(peak, target->vector_lanes, threads);
    double rate = 2e-9 * (double)(g.m * g.n * g.k * s->batch) / seconds;
    printf(" %8.1f (%3.0f %%)", rate, 100 * rate / (before > after ? before : after));
  }
  printf(" %6ld %8.1f\n", (long)tiles, compile * 1e3);
  fflush(stdout);
  for (int i = 0; i < 3; ++i)
    free(buffers[i]);
}

int main(int argc, char **argv) {
  poa_error error = {0};
  poa_target target;
  poa_kernel_library *library;
  in_bf16 = argc > 3 && strcmp(argv[3], "bf16") == 0;
  if (poa_target_init(&target, argc > 1 ? argv[1] : NULL, &error) != POA_OK ||
      poa_kernel_library_create(&library, &target, NULL, &error) != POA_OK) {
    fprintf(stderr, "%s\n", error.message);
    return 1;
  }
  poa_kernel_fn peak = get(library, "peak", emit_peak, NULL);
  printf("%s, %d lanes: FMA peak %.1f GFLOP/s on 1 thread, %.1f on 2\n", target.cpu,
         target.vector_lanes, peak_gflops(peak, target.vector_lanes, 1),
         peak_gflops(peak, target.vector_lanes, 2));
  printf("%-2s %5s %5s %5s %4s %17s %17s %6s %8s\n", "", "m", "n", "k", "", "1 thread", "2 threads",
         "tiles", "ms");
  for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; ++i) {
    char line[100];
    const shape *s = &shapes[i];
    snprintf(line, sizeof line, "%s %ld %ld %ld x%ld", s->form, (long)s->m, (long)s->n, (long)s->k,
             (long)s->batch);
    if (argc < 3 || strstr(line, argv[2]))
      measure(library, s, peak);
  }
  poa_kernel_library_free(library);
  poa_target_free(&target);
  return 0;
}

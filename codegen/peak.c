/* peak.c: see peak.h. The loop that is timed, one turn of it, with 24 chains of 16 lanes:
 *
 *   c0 = c0 * factor + term;  c1 = c1 * factor + term;  ..  c23 = ..
 *
 * Chains begin at different values, else they would be one and the same; with factor 1/2 they
 * stay finite and normal. In bf16 the same of dot products, c0 = c0 + factor . term, twice as many
 * operations each. */
#include "codegen/peak.h"

#include <omp.h>
#include <stdlib.h>

#include "codegen/emit.h"
#include "codegen/gemm_plan.h"

#define MAX_CHAINS 24
#define TURNS 4096 /* of the loop in a tile: some 15 microseconds */
#define RUN_SECONDS 0.01
#define RUNS 20

/* Two registers hold factor and term, two are left to the compiler. */
static int chain_count(const poa_target *target) {
  int free_registers = target->vector_count - 4;
  return free_registers < MAX_CHAINS ? free_registers : MAX_CHAINS;
}

/* Buffers: factor, term and the chains' first values, a vector each; a vector per tile. */
static poa_status emit_chains(poa_emitter *e, const void *in_bf16, const char *symbol,
                              poa_error *error) {
  (void)error;
  bool bf16 = *(const bool *)in_bf16;
  poa_emit_kernel(e, symbol);
  int lanes = e->target->vector_lanes, count = chain_count(e->target);
  LLVMTypeRef vector = emit_vector_type(e->f32, lanes);
  LLVMValueRef values = emit_buffer(e, 0), results = emit_buffer(e, 1);
  LLVMValueRef start[MAX_CHAINS + 2], chain[MAX_CHAINS];
  for (int i = 0; i < count + 2; i++)
    start[i] = emit_load(e, vector, emit_at(e, vector, values, emit_index(e, i)), 4);
  poa_emit_loop tile = poa_emit_loop_begin(e, emit_first(e), emit_last(e), emit_index(e, 1));
  poa_emit_loop turn =
      poa_emit_loop_begin(e, emit_index(e, 0), emit_index(e, TURNS), emit_index(e, 1));
  for (int i = 0; i < count; i++)
    chain[i] = poa_emit_loop_carry(e, &turn, start[i + 2]);
  for (int i = 0; i < count; i++)
    poa_emit_loop_set(e, chain[i],
                      bf16 ? poa_emit_bf16_dot(e, start[0], start[1], chain[i])
                           : emit_fma(e, chain[i], start[0], start[1]));
  poa_emit_loop_end(e, &turn);
  LLVMValueRef sum = emit_zero(vector);
  for (int i = 0; i < count; i++)
    sum = emit_add(e, sum, chain[i]);
  emit_store(e, sum, emit_at(e, vector, results, tile.index), 4);
  poa_emit_loop_end(e, &tile);
  emit_return(e);
  return POA_OK;
}

static double run(poa_kernel_fn kernel, void *const *buffers, int64_t tiles_each, int threads) {
  double start = 0, end = 0;
#pragma omp parallel num_threads(threads)
  {
    int64_t self = omp_get_thread_num();
#pragma omp barrier
#pragma omp master
    start = omp_get_wtime();
    kernel(buffers, self * tiles_each, (self + 1) * tiles_each);
#pragma omp barrier
#pragma omp master
    end = omp_get_wtime();
  }
  return end - start;
}

/* Enough tiles for a run that the clock can tell from nothing. */
static int64_t calibrate(poa_kernel_fn kernel, void *const *buffers, int64_t most) {
  int64_t tiles = 1;
  while (2 * tiles <= most && run(kernel, buffers, tiles, 1) < RUN_SECONDS)
    tiles *= 2;
  return tiles;
}

static double best_rate(const poa_target *target, poa_kernel_fn kernel, void *const *buffers,
                        int64_t most, int threads) {
  int64_t tiles = calibrate(kernel, buffers, most);
  double flops = 2.0 * TURNS * chain_count(target) * target->vector_lanes;
  double best = run(kernel, buffers, tiles, threads);
  for (int i = 1; i < RUNS; i++) {
    double seconds = run(kernel, buffers, tiles, threads);
    best = seconds < best ? seconds : best;
  }
  return flops * (double)tiles * threads / best * 1e-9;
}

poa_status poa_measure_peak(poa_kernel_library *library, bool bf16, int threads, double *gflops,
                            poa_error *error) {
  const poa_target *target = poa_kernel_library_target(library);
  const poa_kernel_request request = {bf16 ? "bf16 chains" : "fma chains", emit_chains, &bf16};
  const int64_t most = 1 << 14; /* tiles of a thread */
  int lanes = target->vector_lanes;
  poa_kernel_fn kernel;
  poa_status status = poa_kernel_library_get(library, &request, 1, &kernel, error);
  if (status)
    return status;
  float values[(MAX_CHAINS + 2) * POA_EMIT_MAX_LANES];
  for (int i = 0; i < (MAX_CHAINS + 2) * lanes; i++)
    values[i] = i < lanes ? 0.5f : 1 + (float)i / 64;
  float *results = malloc((size_t)(most * threads * lanes) * sizeof *results);
  if (!results)
    return poa_fail(error, POA_NO_MEMORY, "no memory to measure the peak");
  *gflops = best_rate(target, kernel, (void *const[]){values, results}, most, threads);
  *gflops *= bf16 ? 2 : 1;
  free(results);
  return POA_OK;
}

/* aot_runner.c: what runtime/executor.c does, as code of the library itself, so that a library
 * needs no other than an OpenMP runtime:
 *
 *   run(arena, parameters, threads)
 *     threads == 1: walk(arena, parameters, 0, 1)
 *     else          GOMP_parallel(team, {arena, parameters}, threads, 0)
 *   team(spaces)    walk(.., omp_get_thread_num(), omp_get_num_threads())
 *   walk            for each launch of the table: a barrier if it asks for one, this thread's
 *                   share of the tiles, the pointers of its buffers, the kernel
 *
 * Both libgomp and libomp have these entry points. Nothing is kept between calls; each thread
 * makes pointers out of offsets on its own stack. */
#include "codegen/aot_runner.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include "codegen/image.h"

/* A row of the table, as walk reads it. */
typedef struct launch_row {
  const void *kernel;
  int64_t tiles;
  int64_t first_place; /* its buffers are places[first_place..] */
  int64_t place_count;
  int64_t barrier;
} launch_row;

/* A buffer: twice its offset, and 1 more in the parameter space. */
static int64_t place_of(poa_plan_buffer buffer) {
  return 2 * buffer.offset + (buffer.space == POA_SPACE_PARAMETERS);
}

typedef struct table {
  LLVMValueRef launches, places; /* pointers to launch_row and i64 */
  int64_t count;
  int64_t most_places; /* of any launch */
} table;

/* The table. */

static void fill_rows(const poa_plan *plan, const char *const *symbols, launch_row *rows,
                      poa_image_pointer *kernels, int64_t *places, int64_t *most) {
  int64_t used = 0;
  *most = 1;
  for (int i = 0; i < plan->launch_count; i++) {
    const poa_plan_launch *launch = &plan->launches[i];
    rows[i] = (launch_row){.tiles = launch->tiles,
                           .first_place = used,
                           .place_count = launch->buffer_count,
                           .barrier = launch->barrier};
    kernels[i] = (poa_image_pointer){(size_t)i * sizeof *rows + offsetof(launch_row, kernel),
                                     POA_NO_PLACE, symbols[i]};
    for (int j = 0; j < launch->buffer_count; j++)
      places[used++] = place_of(launch->buffers[j]);
    *most = launch->buffer_count > *most ? launch->buffer_count : *most;
  }
}

static size_t count_places(const poa_plan *plan) {
  size_t count = 0;
  for (int i = 0; i < plan->launch_count; i++)
    count += (size_t)plan->launches[i].buffer_count;
  return count;
}

static LLVMValueRef at_byte(poa_emitter *e, LLVMValueRef global, size_t place) {
  LLVMValueRef index = emit_index(e, (int64_t)place);
  return LLVMConstInBoundsGEP2(e->i8, global, &index, 1);
}

static poa_status put_table(poa_emitter *e, const char *name, poa_image *image,
                            const launch_row *rows, const poa_image_pointer *kernels,
                            const int64_t *places, size_t place_count, table *t, poa_error *error) {
  char symbol[200];
  LLVMValueRef global;
  size_t count = (size_t)t->count;
  size_t launches = poa_image_put(image, rows, count * sizeof *rows, kernels, count);
  size_t listed = poa_image_put(image, places, place_count * sizeof *places, NULL, 0);
  snprintf(symbol, sizeof symbol, "%s_launches", name);
  poa_status status = poa_image_emit(image, e, symbol, &global, error);
  if (status == POA_OK) {
    t->launches = at_byte(e, global, launches);
    t->places = at_byte(e, global, listed);
  }
  return status;
}

static poa_status emit_table(poa_emitter *e, const char *name, const poa_plan *plan,
                             const char *const *symbols, table *t, poa_error *error) {
  size_t count = (size_t)plan->launch_count, place_count = count_places(plan);
  launch_row *rows = calloc(count + 1, sizeof *rows);
  poa_image_pointer *kernels = calloc(count + 1, sizeof *kernels);
  int64_t *places = calloc(place_count + 1, sizeof *places);
  poa_image *image = poa_image_create();
  poa_status status = POA_OK;
  t->count = plan->launch_count;
  if (rows && kernels && places && image) {
    fill_rows(plan, symbols, rows, kernels, places, &t->most_places);
    status = put_table(e, name, image, rows, kernels, places, place_count, t, error);
  } else {
    status = poa_fail(error, POA_NO_MEMORY, "out of memory for a library's launches");
  }
  poa_image_free(image);
  free(places);
  free(kernels);
  free(rows);
  return status;
}

/* Walking. */

static LLVMValueRef begin(poa_emitter *e, const char *name, const char *what, LLVMTypeRef result,
                          LLVMTypeRef *parameters, unsigned count) {
  char symbol[200];
  snprintf(symbol, sizeof symbol, "%s_%s", name, what);
  return poa_emit_helper(e, symbol, LLVMFunctionType(result, parameters, count, false));
}

static LLVMValueRef openmp(poa_emitter *e, const char *name, LLVMTypeRef result,
                           LLVMTypeRef *parameters, unsigned count) {
  LLVMValueRef found = LLVMGetNamedFunction(e->module, name);
  return found
             ? found
             : LLVMAddFunction(e->module, name, LLVMFunctionType(result, parameters, count, false));
}

static LLVMValueRef load_field(poa_emitter *e, LLVMValueRef row, LLVMTypeRef type, size_t offset) {
  return emit_load(e, type, emit_at(e, e->i8, row, emit_index(e, (int64_t)offset)), 8);
}

/* The launch's buffers as pointers, in `list`. */
static void emit_pointers(poa_emitter *e, const table *t, LLVMValueRef row, LLVMValueRef list,
                          LLVMValueRef arena, LLVMValueRef parameters) {
  LLVMValueRef first = load_field(e, row, e->i64, offsetof(launch_row, first_place));
  LLVMValueRef count = load_field(e, row, e->i64, offsetof(launch_row, place_count));
  LLVMValueRef places = emit_at(e, e->i64, t->places, first);
  poa_emit_loop i = poa_emit_loop_begin(e, emit_index(e, 0), count, emit_index(e, 1));
  LLVMValueRef place = emit_load(e, e->i64, emit_at(e, e->i64, places, i.index), 8);
  LLVMValueRef space = emit_and(e, place, emit_index(e, 1));
  LLVMValueRef base = LLVMBuildSelect(
      e->builder, emit_compare_int(e, LLVMIntNE, space, emit_index(e, 0)), parameters, arena, "");
  LLVMValueRef pointer = emit_at(e, e->i8, base, emit_shift_right(e, place, emit_index(e, 1)));
  emit_store(e, pointer, emit_at(e, e->pointer, list, i.index), 8);
  poa_emit_loop_end(e, &i);
}

/* This thread's share of the tiles, as run_share of runtime/executor.c has it; returns the
 * number of odd tiles. */
static LLVMValueRef emit_share(poa_emitter *e, LLVMValueRef tiles, LLVMValueRef thread,
                               LLVMValueRef threads, LLVMValueRef odd, LLVMValueRef *first,
                               LLVMValueRef *last) {
  LLVMValueRef each = emit_div(e, tiles, threads), left = emit_rem(e, tiles, threads);
  LLVMValueRef rank = emit_rem(e, emit_add(e, emit_sub(e, thread, odd), threads), threads);
  LLVMValueRef takes = emit_compare_int(e, LLVMIntSLT, rank, left);
  *first = emit_add(e, emit_mul(e, rank, each), emit_min(e, rank, left));
  *last = emit_add(e, emit_add(e, *first, each), emit_from_mask(e, takes, e->i64));
  return left;
}

/* GOMP_barrier() where the launch asks for it and there is somebody to wait for; odd tiles are
 * dealt from thread 0 again. */
static LLVMValueRef emit_barrier(poa_emitter *e, LLVMValueRef row, LLVMValueRef threads,
                                 LLVMValueRef odd) {
  LLVMValueRef flag = load_field(e, row, e->i64, offsetof(launch_row, barrier));
  LLVMValueRef waits = emit_compare_int(e, LLVMIntNE, flag, emit_index(e, 0));
  LLVMValueRef several = emit_compare_int(e, LLVMIntSGT, threads, emit_index(e, 1));
  poa_emit_branch branch = poa_emit_if(e, emit_and(e, waits, several));
  emit_call(e, openmp(e, "GOMP_barrier", LLVMVoidTypeInContext(e->context), NULL, 0), NULL, 0);
  poa_emit_end_if(e, &branch);
  return emit_select(e, waits, emit_index(e, 0), odd);
}

static void emit_launch(poa_emitter *e, const table *t, LLVMValueRef row, LLVMValueRef list,
                        LLVMValueRef first, LLVMValueRef last) {
  LLVMTypeRef parameters[] = {e->pointer, e->i64, e->i64};
  LLVMTypeRef type = LLVMFunctionType(LLVMVoidTypeInContext(e->context), parameters, 3, false);
  poa_emit_branch branch = poa_emit_if(e, emit_compare_int(e, LLVMIntSLT, first, last));
  emit_pointers(e, t, row, list, LLVMGetParam(e->function, 0), LLVMGetParam(e->function, 1));
  LLVMValueRef kernel = load_field(e, row, e->pointer, offsetof(launch_row, kernel));
  LLVMBuildCall2(e->builder, type, kernel, (LLVMValueRef[]){list, first, last}, 3, "");
  poa_emit_end_if(e, &branch);
}

/* void walk(ptr arena, ptr parameters, i64 thread, i64 threads) */
static LLVMValueRef emit_walk(poa_emitter *e, const char *name, const table *t) {
  LLVMTypeRef types[] = {e->pointer, e->pointer, e->i64, e->i64};
  LLVMValueRef walk = begin(e, name, "walk", LLVMVoidTypeInContext(e->context), types, 4);
  LLVMValueRef thread = LLVMGetParam(walk, 2), threads = LLVMGetParam(walk, 3);
  LLVMValueRef list =
      LLVMBuildArrayAlloca(e->builder, e->pointer, emit_index(e, t->most_places), "");
  poa_emit_loop i =
      poa_emit_loop_begin(e, emit_index(e, 0), emit_index(e, t->count), emit_index(e, 1));
  LLVMValueRef odd = poa_emit_loop_carry(e, &i, emit_index(e, 0));
  LLVMValueRef at = emit_mul(e, i.index, emit_index(e, (int64_t)sizeof(launch_row)));
  LLVMValueRef row = emit_at(e, e->i8, t->launches, at), first, last;
  LLVMValueRef dealt = emit_barrier(e, row, threads, odd);
  LLVMValueRef tiles = load_field(e, row, e->i64, offsetof(launch_row, tiles));
  LLVMValueRef left = emit_share(e, tiles, thread, threads, dealt, &first, &last);
  emit_launch(e, t, row, list, first, last);
  poa_emit_loop_set(e, odd, emit_rem(e, emit_add(e, dealt, left), threads));
  poa_emit_loop_end(e, &i);
  emit_return(e);
  return walk;
}

/* Teams. */

static LLVMValueRef call_for_index(poa_emitter *e, const char *name) {
  return emit_to_index(e, emit_call(e, openmp(e, name, e->i32, NULL, 0), NULL, 0));
}

/* void team(ptr spaces): what each thread of a parallel region does. */
static LLVMValueRef emit_team(poa_emitter *e, const char *name, LLVMValueRef walk) {
  LLVMTypeRef type = e->pointer;
  LLVMValueRef team = begin(e, name, "team", LLVMVoidTypeInContext(e->context), &type, 1);
  LLVMValueRef spaces = LLVMGetParam(team, 0);
  LLVMValueRef arguments[] = {
      load_field(e, spaces, e->pointer, 0), load_field(e, spaces, e->pointer, sizeof(void *)),
      call_for_index(e, "omp_get_thread_num"), call_for_index(e, "omp_get_num_threads")};
  emit_call(e, walk, arguments, 4);
  emit_return(e);
  return team;
}

/* void run(ptr arena, ptr parameters, i32 threads) */
static LLVMValueRef emit_run(poa_emitter *e, const char *name, LLVMValueRef walk,
                             LLVMValueRef team) {
  LLVMTypeRef types[] = {e->pointer, e->pointer, e->i32};
  LLVMTypeRef parallel_types[] = {e->pointer, e->pointer, e->i32, e->i32};
  LLVMTypeRef nothing = LLVMVoidTypeInContext(e->context);
  LLVMValueRef parallel = openmp(e, "GOMP_parallel", nothing, parallel_types, 4);
  LLVMValueRef run = begin(e, name, "run", nothing, types, 3);
  LLVMValueRef arena = LLVMGetParam(run, 0), parameters = LLVMGetParam(run, 1);
  LLVMValueRef threads = LLVMGetParam(run, 2);
  LLVMValueRef spaces = LLVMBuildArrayAlloca(e->builder, e->pointer, emit_index(e, 2), "");
  poa_emit_branch branch =
      poa_emit_if(e, emit_compare_int(e, LLVMIntEQ, threads, emit_int32(e, 1)));
  emit_call(e, walk, (LLVMValueRef[]){arena, parameters, emit_index(e, 0), emit_index(e, 1)}, 4);
  poa_emit_else(e, &branch);
  emit_store(e, arena, spaces, 8);
  emit_store(e, parameters, emit_at(e, e->pointer, spaces, emit_index(e, 1)), 8);
  emit_call(e, parallel, (LLVMValueRef[]){team, spaces, threads, emit_int32(e, 0)}, 4);
  poa_emit_end_if(e, &branch);
  emit_return(e);
  return run;
}

poa_status poa_aot_emit_runner(poa_emitter *e, const char *name, const poa_plan *plan,
                               const char *const *symbols, LLVMValueRef *run, poa_error *error) {
  table t = {0};
  poa_status status = emit_table(e, name, plan, symbols, &t, error);
  if (status)
    return status;
  LLVMValueRef walk = emit_walk(e, name, &t);
  *run = emit_run(e, name, walk, emit_team(e, name, walk));
  return POA_OK;
}

/* executor.c: the executor on hand-made kernels. */
#include <criterion/criterion.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "runtime/executor.h"

/* Counts, for each tile, how often it was computed: +1 to buffers[0][tile]. */
static void count_tiles(void *const *buffers, int64_t first, int64_t last) {
  for (int64_t tile = first; tile < last; tile++)
    ((int32_t *)buffers[0])[tile]++;
}

/* buffers[1][tile] = sum of all of buffers[0]: reads what all tiles of the launch before wrote. */
static void sum_all(void *const *buffers, int64_t first, int64_t last) {
  const int32_t *in = buffers[0];
  for (int64_t tile = first; tile < last; tile++) {
    int32_t total = 0;
    for (int i = 0; i < 64; i++)
      total += in[i];
    ((int32_t *)buffers[1])[tile] = total;
  }
}

/* Writes who computed each tile; whoever gets tile 0 is held up there. */
static void sign_tiles(void *const *buffers, int64_t first, int64_t last) {
  for (int64_t tile = first; tile < last; tile++) {
    if (tile == 0)
      nanosleep(&(struct timespec){.tv_nsec = 300000000}, NULL);
    ((int32_t *)buffers[0])[tile] = omp_get_thread_num() + 1;
  }
}

static void clear(void *const *buffers, int64_t first, int64_t last) {
  memset((char *)buffers[0] + first * 4, 0, (size_t)(last - first) * 4);
}

static void add_one(void *const *buffers, int64_t first, int64_t last) {
  for (int64_t tile = first; tile < last; tile++)
    ((float *)buffers[0])[tile] += 1;
}

static poa_plan_buffer arena(int64_t offset, int64_t bytes) {
  return (poa_plan_buffer){.space = POA_SPACE_ARENA, .offset = offset, .bytes = bytes};
}

static poa_plan_launch launch(poa_kernel_fn kernel, const poa_plan_buffer *buffers, int count,
                              int64_t tiles, bool barrier) {
  return (poa_plan_launch){.kernel = kernel,
                           .buffers = buffers,
                           .buffer_count = count,
                           .tiles = tiles,
                           .barrier = barrier,
                           .label = "test"};
}

static poa_prepared *prepare(poa_executor *executor, const poa_plan *plan,
                             const poa_parameter_store *store) {
  poa_error error = {0};
  poa_prepared *prepared;
  cr_assert_eq(poa_executor_prepare(executor, plan, store, &prepared, &error), POA_OK, "%s",
               error.message);
  return prepared;
}

static poa_executor *create(int threads) {
  poa_error error = {0};
  poa_executor *executor;
  cr_assert_eq(poa_executor_create(&executor, threads, NULL, &error), POA_OK, "%s", error.message);
  return executor;
}

/* Protects: the shares of all threads cover every tile exactly once, for any count of tiles
 * and threads, also where odd tiles go round from launch to launch. */
Test(executor, every_tile_once) {
  for (int threads = 1; threads <= 5; threads++)
    for (int64_t tiles = 1; tiles <= 13; tiles++) {
      enum { LAUNCHES = 7 };
      poa_plan_buffer buffers[LAUNCHES];
      poa_plan_launch launches[LAUNCHES];
      for (int i = 0; i < LAUNCHES; i++) {
        buffers[i] = arena(i * 64, tiles * 4);
        launches[i] = launch(count_tiles, &buffers[i], 1, tiles, i == 4);
      }
      poa_plan plan = {.entry = "test",
                       .arena_bytes = LAUNCHES * 64,
                       .launch_count = LAUNCHES,
                       .launches = launches};
      poa_executor *executor = create(threads);
      poa_prepared *prepared = prepare(executor, &plan, NULL);
      poa_executor_run(executor, prepared, NULL);
      for (int i = 0; i < LAUNCHES; i++)
        for (int64_t tile = 0; tile < tiles; tile++)
          cr_assert_eq(((int32_t *)poa_prepared_pointer(prepared, buffers[i]))[tile], 1,
                       "%d threads, %d tiles, launch %d, tile %d", threads, (int)tiles, i,
                       (int)tile);
      poa_prepared_free(prepared);
      poa_executor_free(executor);
    }
}

/* Protects: a barrier makes all tiles of earlier launches visible, over many steps. */
Test(executor, barrier_orders_launches) {
  const poa_plan_buffer first[] = {arena(0, 256)}, both[] = {arena(0, 256), arena(256, 256)};
  const poa_plan_launch launches[] = {launch(clear, first, 1, 64, false),
                                      launch(count_tiles, first, 1, 64, true),
                                      launch(sum_all, both, 2, 64, true)};
  poa_plan plan = {.entry = "test", .arena_bytes = 512, .launch_count = 3, .launches = launches};
  poa_executor *executor = create(3);
  poa_prepared *prepared = prepare(executor, &plan, NULL);
  for (int step = 0; step < 200; step++) {
    poa_executor_run(executor, prepared, NULL);
    const int32_t *sums = poa_prepared_pointer(prepared, both[1]);
    for (int i = 0; i < 64; i++)
      cr_assert_eq(sums[i], 64);
  }
  poa_prepared_free(prepared);
  poa_executor_free(executor);
}

/* Protects: a thread that is held up keeps no more than the tiles it has taken; the others do the
 * rest of its share. */
Test(executor, tiles_of_a_late_thread_are_taken) {
  enum { TILES = 64 };
  poa_plan_buffer buffer = arena(0, TILES * 4);
  poa_plan_launch launches[] = {launch(sign_tiles, &buffer, 1, TILES, false)};
  poa_plan plan = {
      .entry = "step", .arena_bytes = TILES * 4, .launch_count = 1, .launches = launches};
  poa_executor *executor = create(2);
  poa_prepared *prepared = prepare(executor, &plan, NULL);
  poa_executor_run(executor, prepared, NULL);
  const int32_t *signed_by = poa_prepared_pointer(prepared, buffer);
  int others = 0;
  for (int i = 0; i < TILES; i++) {
    cr_assert(signed_by[i] != 0, "tile %d was left out", i);
    others += signed_by[i] != signed_by[0];
  }
  cr_expect_gt(others, TILES / 2 + TILES / 8);
  poa_prepared_free(prepared);
  poa_executor_free(executor);
}

/* Protects: one arena serves plans of different sizes in turn; a plan prepared before the
 * arena grew runs in the new one. */
Test(executor, arena_grows_under_prepared_plans) {
  const poa_plan_buffer near[] = {arena(0, 40)}, far[] = {arena(8 << 20, 40)};
  const poa_plan_launch small_launch = launch(count_tiles, near, 1, 10, false);
  const poa_plan_launch large_launch = launch(count_tiles, far, 1, 10, false);
  poa_plan small = {.entry = "s", .arena_bytes = 64, .launch_count = 1, .launches = &small_launch};
  poa_plan large = {
      .entry = "l", .arena_bytes = (8 << 20) + 64, .launch_count = 1, .launches = &large_launch};
  poa_executor *executor = create(2);
  poa_prepared *a = prepare(executor, &small, NULL);
  poa_executor_run(executor, a, NULL);
  poa_prepared *b = prepare(executor, &large, NULL);
  cr_assert_eq((uintptr_t)poa_executor_arena(executor) % POA_ALIGNMENT, 0);
  memset(poa_executor_arena(executor), 0, 64);
  poa_executor_run(executor, b, NULL);
  poa_executor_run(executor, a, NULL);
  poa_executor_run(executor, a, NULL);
  cr_assert_eq(*(int32_t *)poa_prepared_pointer(a, near[0]), 2);
  cr_assert_eq(*(int32_t *)poa_prepared_pointer(b, far[0]), 1);
  poa_prepared_free(a);
  poa_prepared_free(b);
  poa_executor_free(executor);
}

/* Protects: parameters survive steps, and timing fills a value per launch and changes nothing. */
Test(executor, parameters_survive_and_times_are_taken) {
  poa_error error = {0};
  const poa_plan_parameter parameter = {.set = "",
                                        .name = "x",
                                        .shape = {1, {5}},
                                        .offset = 64,
                                        .initializer = POA_INIT_CONSTANT,
                                        .a = 2};
  const poa_plan_buffer buffer = {.space = POA_SPACE_PARAMETERS, .offset = 64, .bytes = 20};
  const poa_plan_launch launches[] = {launch(add_one, &buffer, 1, 5, false),
                                      launch(add_one, &buffer, 1, 5, true)};
  poa_plan plan = {.entry = "test",
                   .parameter_bytes = 128,
                   .parameter_count = 1,
                   .parameters = &parameter,
                   .launch_count = 2,
                   .launches = launches};
  poa_parameter_store *store;
  cr_assert_eq(poa_parameter_store_create(&store, &plan, &error), POA_OK);
  cr_assert_eq(poa_parameter_store_initialize(store, 1, 2, &error), POA_OK);
  poa_executor *executor = create(2);
  poa_prepared *prepared = prepare(executor, &plan, store);
  double seconds[2] = {-1, -1};
  poa_executor_run(executor, prepared, NULL);
  poa_executor_run(executor, prepared, seconds);
  for (int i = 0; i < 5; i++)
    cr_assert_eq(poa_parameter_store_values(store, &parameter)[i], 6);
  cr_assert(seconds[0] >= 0 && seconds[1] >= 0);
  poa_prepared_free(prepared);
  poa_executor_free(executor);
  poa_parameter_store_free(store);
}

/* Protects: a plan that does not hold together is refused with a message, never run. */
Test(executor, refuses_damaged_plans) {
  const poa_plan_buffer good = arena(0, 64), beyond = arena(32, 64), negative = arena(-64, 64);
  const poa_plan_buffer parameters = {.space = POA_SPACE_PARAMETERS, .bytes = 64};
  const struct {
    poa_plan_launch launch;
    int64_t parameter_bytes;
    const char *expected;
  } rows[] = {
      {launch(count_tiles, &beyond, 1, 1, false), 0, "offset 32 of the arena"},
      {launch(count_tiles, &negative, 1, 1, false), 0, "offset -64"},
      {launch(count_tiles, &parameters, 1, 1, false), 0, "of the parameters, which has 0"},
      {launch(count_tiles, &good, 1, 1, false), 64, "the store holds 0"},
      {launch(count_tiles, &good, 1, 0, false), 0, "at least one tile"},
      {launch(NULL, &good, 1, 1, false), 0, "either a kernel or an external function"},
  };
  poa_executor *executor = create(1);
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    poa_error error = {0};
    poa_prepared *prepared;
    poa_plan plan = {.entry = "test",
                     .arena_bytes = 64,
                     .launch_count = 1,
                     .parameter_bytes = rows[i].parameter_bytes,
                     .launches = &rows[i].launch};
    cr_expect_eq(poa_executor_prepare(executor, &plan, NULL, &prepared, &error), POA_BAD_INPUT);
    cr_expect(strstr(error.message, rows[i].expected), "%s", error.message);
    cr_expect_null(prepared);
  }
  poa_executor_free(executor);
}

/* Protects: a plan too large for the machine is an error, and the executor stays usable. */
Test(executor, arena_too_large) {
  poa_error error = {0};
  poa_executor *executor = create(1);
  poa_prepared *prepared;
  poa_plan huge = {.entry = "huge", .arena_bytes = INT64_C(1) << 60};
  cr_assert_eq(poa_executor_prepare(executor, &huge, NULL, &prepared, &error), POA_NO_MEMORY);
  cr_assert(strstr(error.message, "the values of a step"), "%s", error.message);
  poa_plan empty = {.entry = "empty"};
  poa_prepared_free(prepare(executor, &empty, NULL));
  poa_executor_free(executor);
}

/* external.c: functions of plugins, called by a plan. */
#include <criterion/criterion.h>
#include <string.h>

#include "runtime/executor.h"

static poa_plugins *open_scale(void) {
  poa_error error = {0};
  poa_plugins *plugins;
  const char *const paths[] = {POA_PLUGIN_SCALE};
  cr_assert_eq(poa_plugins_open(&plugins, 1, paths, &error), POA_OK, "%s", error.message);
  return plugins;
}

static void fill(void *const *buffers, int64_t first, int64_t last) {
  for (int64_t i = first; i < last; i++)
    ((float *)buffers[0])[i] = (float)i;
}

/* Protects: a plan's external launch gets its buffers and constants of every kind, sees what
 * earlier launches wrote without a barrier of its own, and is seen by later ones. */
Test(external, called_between_kernels) {
  const poa_plan_buffer buffers[] = {{POA_SPACE_ARENA, 0, 400}, {POA_SPACE_ARENA, 448, 400}};
  const poa_plan_argument scale_arguments[] = {{POA_ARGUMENT_POINTER, 0, 0},
                                               {POA_ARGUMENT_POINTER, 1, 0},
                                               {POA_ARGUMENT_INT64, 100, 0},
                                               {POA_ARGUMENT_DOUBLE, 0, 2.5}};
  const poa_plan_argument affine_arguments[] = {{POA_ARGUMENT_POINTER, 1, 0},
                                                {POA_ARGUMENT_POINTER, 0, 0},
                                                {POA_ARGUMENT_INT, 100, 0},
                                                {POA_ARGUMENT_FLOAT, 0, 2},
                                                {POA_ARGUMENT_INT64, -7, 0}};
  const poa_plan_external scale = {"scale", 4, scale_arguments};
  const poa_plan_external affine = {"affine", 5, affine_arguments};
  const poa_plan_launch launches[] = {
      {.kernel = fill, .buffer_count = 2, .buffers = buffers, .tiles = 100, .label = "fill"},
      {.external = &scale, .buffer_count = 2, .buffers = buffers, .tiles = 1, .label = "scale"},
      {.external = &affine, .buffer_count = 2, .buffers = buffers, .tiles = 1, .label = "affine"},
  };
  poa_plan plan = {.entry = "test", .arena_bytes = 896, .launch_count = 3, .launches = launches};
  poa_plugins *plugins = open_scale();
  poa_executor *executor;
  poa_prepared *prepared;
  poa_error error = {0};
  cr_assert_eq(poa_executor_create(&executor, 3, plugins, &error), POA_OK);
  cr_assert_eq(poa_executor_prepare(executor, &plan, NULL, &prepared, &error), POA_OK, "%s",
               error.message);
  for (int step = 0; step < 50; step++) {
    poa_executor_run(executor, prepared, NULL);
    const float *result = poa_prepared_pointer(prepared, buffers[0]);
    for (int i = 0; i < 100; i++)
      cr_assert_eq(result[i], 5.0f * (float)i - 7);
  }
  poa_prepared_free(prepared);
  poa_executor_free(executor);
  poa_plugins_close(plugins);
}

/* Protects: a file that is missing, no library, or a folder is named in the error, and a bare
 * name is not looked for in the system's library folders. */
Test(external, plugin_errors) {
  const char *const rows[][2] = {
      {"/nonexistent/plugin.so", "No such file"},
      {"libm.so.6", "No such file"},
      {POA_TESTS_DIR, "is not a file"},
      {POA_TESTS_DIR "/plugins/scale.c", "cannot load plugin"},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    poa_error error = {0};
    poa_plugins *plugins;
    const char *const paths[] = {POA_PLUGIN_SCALE, rows[i][0]};
    cr_expect_eq(poa_plugins_open(&plugins, 2, paths, &error), POA_IO);
    cr_expect(strstr(error.message, rows[i][0]) && strstr(error.message, rows[i][1]), "%s",
              error.message);
  }
}

/* Protects: a symbol counts only where a plugin defines it. A description must not reach
 * `system` of the C library through a plugin that is linked against it. */
Test(external, symbol_errors) {
  poa_plugins *plugins = open_scale();
  const struct {
    const poa_plugins *plugins;
    const char *symbol, *expected;
  } rows[] = {
      {plugins, "scael", "none of the plugins searched: '" POA_PLUGIN_SCALE "'"},
      {plugins, "system", "'system' is defined by none"},
      {NULL, "scale", "no plugin was given"},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    poa_error error = {0};
    poa_external_call *call;
    const poa_plan_external external = {rows[i].symbol, 0, NULL};
    cr_expect_eq(poa_external_call_create(&call, rows[i].plugins, &external, 0, &error),
                 POA_BAD_INPUT);
    cr_expect(strstr(error.message, rows[i].expected), "%s", error.message);
  }
  poa_plugins_close(plugins);
}

/* Protects: arguments that cannot be passed are refused before any call. */
Test(external, argument_errors) {
  poa_plugins *plugins = open_scale();
  const struct {
    poa_plan_argument argument;
    const char *expected;
  } rows[] = {
      {{POA_ARGUMENT_POINTER, 2, 0}, "points to buffer 2, but the call has 2"},
      {{POA_ARGUMENT_INT, INT64_C(1) << 40, 0}, "does not fit a C int"},
      {{(poa_plan_argument_kind)77, 0, 0}, "unknown kind 77"},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    poa_error error = {0};
    poa_external_call *call;
    const poa_plan_external external = {"scale", 1, &rows[i].argument};
    cr_expect_eq(poa_external_call_create(&call, plugins, &external, 2, &error), POA_BAD_INPUT);
    cr_expect(strstr(error.message, rows[i].expected), "%s", error.message);
  }
  poa_plugins_close(plugins);
}

/* bench.c: times training steps on made-up images, as training would run them: sub-networks
 * from the deck, images prepared beside the step.
 *
 *   compile every sub-network that the steps need; one step of each to warm up;
 *   the timed steps, with the peak right before and after; one more, launch by launch; what
 *   starting costs; the model's FLOPs. */
#include "driver/bench.h"

#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "codegen/peak.h"
#include "driver/precision.h"
#include "driver/products.h"
#include "driver/session.h"
#include "program/first_step.h"
#include "program/sampling.h"
#include "runtime/clock.h"
#include "runtime/dataset.h"
#include "runtime/philox.h"
#include "runtime/sources.h"

#define DEFAULT_STEPS 8

typedef struct bench {
  const poa_flags *flags;
  poa_session session;
  poa_first_step first;
  poa_arena *arena; /* of the results */
  uint64_t seed;
  poa_program_at **program_of; /* by step */
  poa_program_at **distinct;   /* result.program_count of them */
  poa_dataset *images;
  poa_feeder *feeder;
  int64_t fed; /* steps that the feeder has filled */
  poa_bench_result result;
  poa_error *error;
} bench;

static void *allocate(const bench *b, int64_t count, size_t size) {
  return poa_arena_alloc(b->arena, (size_t)(count + 1) * size);
}

/* Images. */

/* As many, as coloured and as large as the largest input of images. */
static poa_plan_shape image_shape(const poa_plan *plan) {
  poa_plan_shape shape = {.rank = 4, .dim = {1, 3, 32, 32}};
  for (int i = 0; i < plan->input_count; i++) {
    const poa_plan_input *input = &plan->inputs[i];
    if (input->shape.rank != 4 || !*input->source)
      continue;
    shape.dim[1] = input->shape.dim[1];
    for (int axis = 0; axis < 4; axis++)
      if (axis != 1 && input->shape.dim[axis] > shape.dim[axis])
        shape.dim[axis] = input->shape.dim[axis];
  }
  return shape;
}

static poa_status make_images(bench *b, const poa_plan *plan) {
  poa_plan_shape shape = image_shape(plan);
  int64_t bytes = poa_plan_elements(shape);
  uint8_t *pixels = malloc((size_t)bytes + 4);
  if (!pixels)
    return poa_fail(b->error, POA_NO_MEMORY, "no memory for %lld bytes of images",
                    (long long)bytes);
  poa_random random;
  poa_random_open(&random, b->seed, 0, 0);
  for (int64_t i = 0; i < bytes; i += 4) {
    uint32_t word = poa_random_u32(&random);
    memcpy(pixels + i, &word, sizeof word);
  }
  return poa_dataset_create(&b->images, shape.dim[0], (int)shape.dim[1], (int)shape.dim[2],
                            (int)shape.dim[3], pixels, NULL, b->error);
}

static poa_status open_feeder(bench *b, const poa_plan *plan) {
  poa_status status = make_images(b, plan);
  return status ? status : poa_feeder_create(&b->feeder, plan, b->images, b->seed, 0, b->error);
}

/* Compiling. */

static poa_status choose_points(bench *b) {
  const poa_lattice *lattice = b->result.lattice;
  poa_bench_step *steps = b->result.steps;
  poa_deck *deck = NULL;
  poa_point fixed;
  const char *at = b->flags->at;
  poa_status status = at ? poa_point_parse(lattice, at, &fixed, b->error)
                         : poa_sampling_deck(lattice, &deck, b->error);
  for (int64_t i = 0; i < b->result.step_count && status == POA_OK; i++)
    steps[i].point = at ? fixed : poa_sampling_point(deck, b->seed, i);
  poa_deck_free(deck);
  return status;
}

static double plan_flops(const poa_plan *plan) {
  double flops = 0;
  for (int i = 0; i < plan->launch_count; i++)
    flops += plan->launches[i].flops;
  return flops;
}

static void note_program(bench *b, poa_program_at *program, double seconds) {
  poa_bench_result *r = &b->result;
  b->distinct[r->program_count] = program;
  r->programs[r->program_count++] = (poa_bench_program){.point = program->point,
                                                        .launches = program->plan->launch_count,
                                                        .run = plan_flops(program->plan),
                                                        .pass_seconds = program->pass_seconds,
                                                        .seconds = seconds};
  r->pass_seconds += program->pass_seconds;
  r->compile_seconds += seconds;
  if (program->plan->arena_bytes > r->arena_bytes)
    r->arena_bytes = program->plan->arena_bytes;
  r->parameter_bytes = program->plan->parameter_bytes;
}

/* NULL: not compiled before. */
static poa_bench_program *find_program(const bench *b, const poa_program_at *program) {
  for (int64_t i = 0; i < b->result.program_count; i++)
    if (b->distinct[i] == program)
      return &b->result.programs[i];
  return NULL;
}

/* The rest of what training needs is made beside the kernels of the first. */
static poa_status make_first(bench *b) {
  poa_supernet *net = &b->session.net;
  poa_program_at *program;
  double start = poa_seconds();
  poa_status status =
      poa_supernet_plan(net, "step", &b->result.steps[0].point, false, &program, b->error);
  if (status == POA_OK)
    status = open_feeder(b, program->plan);
  if (status == POA_OK)
    status = poa_first_step_begin(&b->first, net, program->plan, true, b->seed, b->error);
  if (status == POA_OK)
    status = poa_supernet_link(net, program, b->error);
  if (status == POA_OK)
    note_program(b, program, poa_seconds() - start);
  poa_first_step_finish(&b->first);
  return status;
}

static poa_status compile_programs(bench *b) {
  if (make_first(b))
    return b->error->status;
  for (int64_t i = 0; i < b->result.step_count; i++) {
    poa_bench_step *step = &b->result.steps[i];
    double start = poa_seconds();
    if (poa_supernet_program(&b->session.net, "step", &step->point, false, &b->program_of[i],
                             b->error))
      return b->error->status;
    if (!find_program(b, b->program_of[i]))
      note_program(b, b->program_of[i], poa_seconds() - start);
  }
  b->result.kernels = poa_kernel_library_statistics(b->session.library);
  b->result.kernel_count = b->result.kernels.compiled + b->result.kernels.from_disk;
  return POA_OK;
}

/* What the description asks for; an arena of its own, as large as a graph before simplify. */
static poa_status count_flops(bench *b) {
  poa_bench_result *r = &b->result;
  poa_arena *scratch = poa_arena_create();
  poa_status status =
      scratch ? POA_OK : poa_fail(b->error, POA_NO_MEMORY, "no memory to count products");
  for (int64_t i = 0; i < r->program_count && status == POA_OK; i++)
    status = poa_model_flops(b->session.model, "step", &r->programs[i].point, scratch,
                             &r->programs[i].flops, b->error);
  poa_arena_free(scratch);
  for (int64_t i = 0; i < r->step_count && status == POA_OK; i++) {
    const poa_bench_program *program = find_program(b, b->program_of[i]);
    r->steps[i].flops = program->flops;
    r->steps[i].run = program->run;
  }
  return status;
}

/* Pointers into the arena are final once all are prepared. */
static poa_status prepare_programs(bench *b) {
  poa_status status = POA_OK;
  for (int64_t i = 0; i < b->result.program_count && status == POA_OK; i++)
    status = poa_supernet_prepare(&b->session.net, b->distinct[i], b->error);
  return status;
}

/* Running. */

static poa_status run_step(bench *b, poa_program_at *program, double *waited, double *seconds) {
  void *arena = poa_executor_arena(b->session.net.executor);
  if (poa_feeder_fill(b->feeder, program->plan, b->fed, arena, waited, b->error))
    return b->error->status;
  b->fed++;
  poa_executor_run(b->session.net.executor, program->prepared, seconds);
  return POA_OK;
}

static poa_status warm_up(bench *b) {
  double waited;
  for (int64_t i = 0; i < b->result.program_count; i++)
    if (run_step(b, b->distinct[i], &waited, NULL))
      return b->error->status;
  return POA_OK;
}

static int compare_doubles(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static void sort(double *values, int64_t count) {
  qsort(values, (size_t)count, sizeof *values, compare_doubles);
}

/* Below which a share of the sorted values lies, between two of them in proportion. */
static double quantile(const double *sorted, int64_t count, double share) {
  double at = share * (double)(count - 1);
  int64_t below = (int64_t)at, above = below + 1 < count ? below + 1 : below;
  return sorted[below] + (at - (double)below) * (sorted[above] - sorted[below]);
}

static void summarize(bench *b) {
  poa_bench_result *r = &b->result;
  int64_t n = r->step_count;
  double *seconds = allocate(b, n, sizeof *seconds), *flops = allocate(b, n, sizeof *flops);
  double *run = allocate(b, n, sizeof *run);
  for (int64_t i = 0; i < n; i++) {
    seconds[i] = r->steps[i].seconds;
    flops[i] = r->steps[i].flops;
    run[i] = r->steps[i].run;
  }
  sort(seconds, n);
  sort(flops, n);
  sort(run, n);
  r->shortest = seconds[0];
  r->lower = quantile(seconds, n, 0.25);
  r->median = quantile(seconds, n, 0.5);
  r->upper = quantile(seconds, n, 0.75);
  r->longest = seconds[n - 1];
  r->model_flops = quantile(flops, n, 0.5);
  r->run_flops = quantile(run, n, 0.5);
  r->mfu = r->model_flops * 1e-9 / (r->median * r->peak_gflops);
}

static poa_status time_steps(bench *b) {
  for (int64_t i = 0; i < b->result.step_count; i++) {
    poa_bench_step *step = &b->result.steps[i];
    double start = poa_seconds();
    if (run_step(b, b->program_of[i], &step->waited, NULL))
      return b->error->status;
    step->seconds = poa_seconds() - start;
  }
  return POA_OK;
}

/* One step, launch by launch. */

static int by_name(const void *a, const void *b) {
  const poa_bench_row *x = a, *y = b;
  return strcmp(x->name, y->name);
}

static int by_falling_time(const void *a, const void *b) {
  const poa_bench_row *x = a, *y = b;
  return (x->seconds < y->seconds) - (x->seconds > y->seconds);
}

/* Rows of one name become one; the most expensive come first. Returns how many are left. */
static int merge_rows(poa_bench_row *rows, int count) {
  int merged = 0;
  qsort(rows, (size_t)count, sizeof *rows, by_name);
  for (int i = 0; i < count; i++) {
    poa_bench_row row = rows[i];
    if (merged && !strcmp(rows[merged - 1].name, row.name)) {
      rows[merged - 1].launches += row.launches;
      rows[merged - 1].seconds += row.seconds;
      rows[merged - 1].flops += row.flops;
      rows[merged - 1].bytes += row.bytes;
    } else {
      rows[merged++] = row;
    }
  }
  qsort(rows, (size_t)merged, sizeof *rows, by_falling_time);
  return merged;
}

static poa_bench_row launch_row(const poa_plan_launch *launch, const char *name, double seconds) {
  return (poa_bench_row){name, 1, seconds, launch->flops, (double)launch->bytes};
}

static poa_status profile_step(bench *b) {
  poa_bench_result *r = &b->result;
  poa_program_at *program = b->program_of[r->step_count - 1];
  const poa_plan *plan = program->plan;
  double waited, *seconds = allocate(b, plan->launch_count, sizeof *seconds);
  if (run_step(b, program, &waited, seconds))
    return b->error->status;
  r->profiled = program->point;
  r->families = allocate(b, plan->launch_count, sizeof *r->families);
  r->branches = allocate(b, plan->launch_count, sizeof *r->branches);
  r->labels = allocate(b, plan->launch_count, sizeof *r->labels);
  for (int i = 0; i < plan->launch_count; i++) {
    const poa_plan_launch *launch = &plan->launches[i];
    const char *branch = launch->branch ? launch->branch : plan->entry;
    r->families[i] = launch_row(launch, launch->family, seconds[i]);
    r->branches[i] = launch_row(launch, branch, seconds[i]);
    r->labels[i] = launch_row(launch, launch->label, seconds[i]);
    r->profiled_seconds += seconds[i];
  }
  r->family_count = merge_rows(r->families, plan->launch_count);
  r->branch_count = merge_rows(r->branches, plan->launch_count);
  r->label_count = merge_rows(r->labels, plan->launch_count);
  return POA_OK;
}

/* The larger of what was measured; the machine may be shared. */
static poa_status measure_peak(bench *b) {
  double gflops = 0;
  poa_status status =
      poa_measure_peak(b->session.library, b->session.bf16, b->result.threads, &gflops, b->error);
  if (gflops > b->result.peak_gflops)
    b->result.peak_gflops = gflops;
  return status;
}

static int64_t resident_bytes(void) {
  struct rusage usage;
  return getrusage(RUSAGE_SELF, &usage) ? 0 : usage.ru_maxrss * 1024;
}

/* What a first step takes beyond the step itself. */
static poa_status measure_starts(bench *b) {
  poa_bench_result *r = &b->result;
  char point[256];
  r->resident_bytes = resident_bytes(); /* before more is loaded for what follows */
  poa_point_print(r->lattice, &r->steps[0].point, point, sizeof point);
  poa_status status =
      poa_bench_first_steps(b->flags, point, b->arena, &r->cold, &r->warm, b->error);
  r->cold -= r->steps[0].seconds;
  r->warm -= r->steps[0].seconds;
  return status ? status : poa_bench_new_points(b->flags, &r->new_first, &r->new_last, b->error);
}

/* --first-step: what measure_starts runs. */
static poa_status run_first_step(bench *b) {
  poa_status (*const stages[])(bench *) = {choose_points, compile_programs, prepare_programs,
                                           warm_up};
  for (size_t i = 0; i < sizeof stages / sizeof *stages; i++) {
    poa_status status = stages[i](b);
    if (status)
      return status;
  }
  printf("%.9f\n", poa_seconds());
  return POA_OK;
}

static poa_status measure(bench *b) {
  poa_status (*const stages[])(bench *) = {
      choose_points, compile_programs, prepare_programs, warm_up,        measure_peak,
      time_steps,    measure_peak,     profile_step,     measure_starts, count_flops};
  for (size_t i = 0; i < sizeof stages / sizeof *stages; i++) {
    poa_status status = stages[i](b);
    if (status)
      return status;
  }
  summarize(b);
  if (b->flags->json)
    return poa_bench_print_json(&b->result, b->error);
  poa_bench_print(&b->result);
  return POA_OK;
}

static void open_result(bench *b, const poa_model *model) {
  int64_t steps = b->flags->first_step ? 1 : b->flags->steps > 0 ? b->flags->steps : DEFAULT_STEPS;
  b->seed = b->flags->seed > 0 ? (uint64_t)b->flags->seed : 0;
  b->program_of = allocate(b, steps, sizeof *b->program_of);
  b->distinct = allocate(b, steps, sizeof *b->distinct);
  b->result = (poa_bench_result){.model = poa_model_path(model),
                                 .cpu = b->session.target.cpu,
                                 .lattice = poa_model_lattice(model),
                                 .threads = poa_executor_threads(b->session.net.executor),
                                 .lanes = b->session.target.vector_lanes,
                                 .precision = poa_precision_name(b->session.bf16),
                                 .step_count = steps,
                                 .steps = allocate(b, steps, sizeof *b->result.steps),
                                 .programs = allocate(b, steps, sizeof *b->result.programs)};
}

int poa_bench(const poa_flags *flags) {
  poa_error error = {0};
  poa_model *model = NULL;
  bench b = {.flags = flags, .arena = poa_arena_create(), .error = &error};
  poa_status status =
      b.arena ? POA_OK : poa_fail(&error, POA_NO_MEMORY, "no memory for the results");
  if (status == POA_OK)
    status = poa_load_model(flags, &model, &error);
  if (status == POA_OK)
    status = poa_session_open(&b.session, model, flags, &error);
  if (status == POA_OK) {
    open_result(&b, model);
    status = flags->first_step ? run_first_step(&b) : measure(&b);
  }
  poa_feeder_free(b.feeder);
  poa_dataset_free(b.images);
  poa_session_close(&b.session);
  poa_arena_free(b.arena);
  return status ? poa_report_failure(&error) : 0;
}

/* bench_report.c: the results of a benchmark as text and as JSON. */
#include <jansson.h>
#include <stdlib.h>

#include "driver/bench.h"

#define MEBIBYTE 1048576.0

/* Text. */

static void print_steps(const poa_bench_result *r) {
  printf("\n  step  %-28s  %9s  %9s  %9s  %9s\n", "sub-network", "seconds", "waited", "GFLOP",
         "run");
  for (int64_t i = 0; i < r->step_count; i++) {
    const poa_bench_step *s = &r->steps[i];
    char point[256];
    poa_point_print(r->lattice, &s->point, point, sizeof point);
    printf("  %4lld  %-28s  %9.4f  %9.4f  %9.2f  %9.2f\n", (long long)i, point, s->seconds,
           s->waited, s->flops * 1e-9, s->run * 1e-9);
  }
}

static void print_summary(const poa_bench_result *r) {
  printf(
      "\nstep      %.4f s median of %lld; %.4f shortest, half of them %.4f to %.4f, %.4f longest\n",
      r->median, (long long)r->step_count, r->shortest, r->lower, r->upper, r->longest);
  printf(
      "products  %.2f GFLOP that the description asks for, %.1f GFLOP/s: %.1f %% of the %s peak, "
      "%.1f\n",
      r->model_flops * 1e-9, r->model_flops * 1e-9 / r->median, 100 * r->mfu, r->precision,
      r->peak_gflops);
  printf("          %.2f GFLOP that are run, %.1f GFLOP/s\n", r->run_flops * 1e-9,
         r->run_flops * 1e-9 / r->median);
  printf("compiled  %lld sub-network%s in %.2f s, of which passes %.2f s and kernels %.2f s: %lld "
         "compiled, %lld from disk, %lld from memory\n",
         (long long)r->program_count, r->program_count == 1 ? "" : "s", r->compile_seconds,
         r->pass_seconds, r->kernels.seconds, (long long)r->kernels.compiled,
         (long long)r->kernels.from_disk, (long long)r->kernels.from_memory);
  printf("memory    %.1f MiB of values as planned, %.1f MiB of parameters and state, %.1f MiB "
         "resident at most\n",
         (double)r->arena_bytes / MEBIBYTE, (double)r->parameter_bytes / MEBIBYTE,
         (double)r->resident_bytes / MEBIBYTE);
  printf(
      "start     %.2f s until the first step with nothing compiled, %.2f s with kernels on disk\n",
      r->cold, r->warm);
  if (r->new_first >= 0)
    printf("          %.0f ms to compile for another value of %s", 1e3 * r->new_first,
           r->lattice->name[0].name);
  if (r->new_first >= 0 && r->new_last >= 0)
    printf(", %.0f ms for one of the last elastic name", 1e3 * r->new_last);
  if (r->new_first >= 0)
    putchar('\n');
}

static void print_rows(const poa_bench_result *r, const char *title, const poa_bench_row *rows,
                       int count) {
  printf("\n  %9s  %6s  %8s  %9s  %6s  %8s  %6s  %s\n", "seconds", "share", "launches", "GFLOP/s",
         "peak", "MB", "GB/s", title);
  for (int i = 0; i < count; i++) {
    const poa_bench_row *row = &rows[i];
    printf("  %9.5f  %5.1f%%  %8d", row->seconds, 100 * row->seconds / r->profiled_seconds,
           row->launches);
    double gflops = row->flops / row->seconds * 1e-9;
    if (row->flops > 0)
      printf("  %9.1f  %5.1f%%", gflops, 100 * gflops / r->peak_gflops);
    else
      printf("  %9s  %6s", "", "");
    printf("  %8.1f  %6.1f  %s\n", row->bytes * 1e-6, row->bytes / row->seconds * 1e-9, row->name);
  }
}

static int shown_labels(const poa_bench_result *r) {
  return r->label_count < POA_BENCH_LABELS ? r->label_count : POA_BENCH_LABELS;
}

void poa_bench_print(const poa_bench_result *r) {
  char point[256];
  printf("%s on %d thread%s of %s, %d lanes, products in %s\n", r->model, r->threads,
         r->threads == 1 ? "" : "s", r->cpu, r->lanes, r->precision);
  print_steps(r);
  print_summary(r);
  poa_point_print(r->lattice, &r->profiled, point, sizeof point);
  printf("\none more step%s%s, launch by launch: %.4f s\n", *point ? " at " : "", point,
         r->profiled_seconds);
  print_rows(r, "family", r->families, r->family_count);
  print_rows(r, "branch", r->branches, r->branch_count);
  print_rows(r, "label", r->labels, shown_labels(r));
}

/* JSON. */

static json_t *point_json(const poa_lattice *lattice, const poa_point *point) {
  json_t *object = json_object();
  for (int i = 0; i < lattice->count; i++)
    json_object_set_new(object, lattice->name[i].name, json_integer(point->value[i]));
  return object;
}

static void add_steps(json_t *root, const poa_bench_result *r) {
  json_t *list = json_array();
  json_object_set_new(root, "timed_steps", list);
  for (int64_t i = 0; i < r->step_count; i++) {
    json_t *step = json_object();
    json_object_set_new(step, "at", point_json(r->lattice, &r->steps[i].point));
    json_object_set_new(step, "seconds", json_real(r->steps[i].seconds));
    json_object_set_new(step, "waited", json_real(r->steps[i].waited));
    json_object_set_new(step, "flops", json_real(r->steps[i].flops));
    json_object_set_new(step, "run_flops", json_real(r->steps[i].run));
    json_array_append_new(list, step);
  }
  json_t *seconds = json_object();
  json_object_set_new(root, "step_seconds", seconds);
  json_object_set_new(seconds, "median", json_real(r->median));
  json_object_set_new(seconds, "min", json_real(r->shortest));
  json_object_set_new(seconds, "lower_quartile", json_real(r->lower));
  json_object_set_new(seconds, "upper_quartile", json_real(r->upper));
  json_object_set_new(seconds, "max", json_real(r->longest));
}

static json_t *milliseconds(double seconds) {
  return seconds < 0 ? json_null() : json_real(1e3 * seconds);
}

/* The figures that most readers want, without structure. */
static void add_figures(json_t *root, const poa_bench_result *r) {
  json_object_set_new(root, "precision", json_string(r->precision));
  json_object_set_new(root, "steps", json_integer(r->step_count));
  json_object_set_new(root, "step_s", json_real(r->median));
  json_object_set_new(root, "peak_gflops", json_real(r->peak_gflops));
  json_object_set_new(root, "model_gflop", json_real(r->model_flops * 1e-9));
  json_object_set_new(root, "run_gflop", json_real(r->run_flops * 1e-9));
  json_object_set_new(root, "mfu", json_real(r->mfu));
  json_object_set_new(root, "planned_peak_bytes",
                      json_integer(r->arena_bytes + r->parameter_bytes));
  json_object_set_new(root, "rss_peak_bytes", json_integer(r->resident_bytes));
  json_object_set_new(root, "cold_s", json_real(r->cold));
  json_object_set_new(root, "warm_s", json_real(r->warm));
  json_object_set_new(root, "new_width_ms", milliseconds(r->new_first));
  json_object_set_new(root, "new_depth_ms", milliseconds(r->new_last));
  json_object_set_new(root, "kernels", json_integer(r->kernel_count));
  json_object_set_new(root, "kernels_compiled", json_integer(r->kernels.compiled));
}

static void add_compilation(json_t *root, const poa_bench_result *r) {
  json_t *compile = json_object();
  json_object_set_new(root, "compile", compile);
  json_object_set_new(compile, "seconds", json_real(r->compile_seconds));
  json_object_set_new(compile, "pass_seconds", json_real(r->pass_seconds));
  json_object_set_new(compile, "kernel_seconds", json_real(r->kernels.seconds));
  json_object_set_new(compile, "kernels_compiled", json_integer(r->kernels.compiled));
  json_object_set_new(compile, "kernels_from_disk", json_integer(r->kernels.from_disk));
  json_object_set_new(compile, "kernels_from_memory", json_integer(r->kernels.from_memory));
  json_t *list = json_array();
  json_object_set_new(compile, "programs", list);
  for (int64_t i = 0; i < r->program_count; i++) {
    const poa_bench_program *p = &r->programs[i];
    json_t *program = json_object();
    json_object_set_new(program, "at", point_json(r->lattice, &p->point));
    json_object_set_new(program, "launches", json_integer(p->launches));
    json_object_set_new(program, "pass_seconds", json_real(p->pass_seconds));
    json_object_set_new(program, "seconds", json_real(p->seconds));
    json_array_append_new(list, program);
  }
}

static void add_rows(json_t *root, const char *key, const poa_bench_row *rows, int count) {
  json_t *list = json_array();
  json_object_set_new(root, key, list);
  for (int i = 0; i < count; i++) {
    json_t *row = json_object();
    json_object_set_new(row, "name", json_string(rows[i].name));
    json_object_set_new(row, "launches", json_integer(rows[i].launches));
    json_object_set_new(row, "seconds", json_real(rows[i].seconds));
    json_object_set_new(row, "flops", json_real(rows[i].flops));
    json_object_set_new(row, "bytes", json_real(rows[i].bytes));
    json_array_append_new(list, row);
  }
}

static void add_profile(json_t *root, const poa_bench_result *r) {
  json_t *profile = json_object();
  json_object_set_new(root, "profile", profile);
  json_object_set_new(profile, "at", point_json(r->lattice, &r->profiled));
  json_object_set_new(profile, "seconds", json_real(r->profiled_seconds));
  add_rows(profile, "families", r->families, r->family_count);
  add_rows(profile, "branches", r->branches, r->branch_count);
  add_rows(profile, "labels", r->labels, shown_labels(r));
}

poa_status poa_bench_print_json(const poa_bench_result *r, poa_error *error) {
  json_t *root = json_object();
  json_object_set_new(root, "model", json_string(r->model));
  json_object_set_new(root, "cpu", json_string(r->cpu));
  json_object_set_new(root, "lanes", json_integer(r->lanes));
  json_object_set_new(root, "threads", json_integer(r->threads));
  add_figures(root, r);
  add_steps(root, r);
  add_compilation(root, r);
  add_profile(root, r);
  json_t *memory = json_object();
  json_object_set_new(root, "memory", memory);
  json_object_set_new(memory, "arena_bytes", json_integer(r->arena_bytes));
  json_object_set_new(memory, "parameter_bytes", json_integer(r->parameter_bytes));
  json_object_set_new(memory, "peak_resident_bytes", json_integer(r->resident_bytes));
  char *text = json_dumps(root, JSON_INDENT(2) | JSON_REAL_PRECISION(12));
  json_decref(root);
  if (!text)
    return poa_fail(error, POA_NO_MEMORY, "no memory to print the results");
  puts(text);
  free(text);
  return POA_OK;
}

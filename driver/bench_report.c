/* bench_report.c: the results of a benchmark as text and as JSON. */
#include <cjson/cJSON.h>
#include <stdlib.h>

#include "driver/bench.h"

#define MEBIBYTE 1048576.0

/* Text. */

static void print_steps(const poa_bench_result *r) {
  printf("\n  step  %-28s  %9s  %9s  %9s  %9s\n", "sub-network", "seconds", "waited", "GFLOP",
         "GFLOP/s");
  for (int64_t i = 0; i < r->step_count; i++) {
    const poa_bench_step *s = &r->steps[i];
    char point[256];
    poa_point_print(r->lattice, &s->point, point, sizeof point);
    printf("  %4lld  %-28s  %9.4f  %9.4f  %9.2f  %9.1f\n", (long long)i, point, s->seconds,
           s->waited, s->flops * 1e-9, s->flops / s->seconds * 1e-9);
  }
}

static void print_summary(const poa_bench_result *r) {
  printf("\nstep      %.4f s median, %.4f shortest, %.4f longest of %lld\n", r->median, r->shortest,
         r->longest, (long long)r->step_count);
  printf("products  %.2f GFLOP a step, %.1f GFLOP/s over whole steps: %.1f %% of the peak, %.1f\n",
         r->mean_flops * 1e-9, r->gflops, 100 * r->gflops / r->peak_gflops, r->peak_gflops);
  printf("compiled  %lld sub-network%s in %.2f s, of which passes %.2f s and kernels %.2f s: %lld "
         "compiled, %lld from disk, %lld from memory\n",
         (long long)r->program_count, r->program_count == 1 ? "" : "s", r->compile_seconds,
         r->pass_seconds, r->kernels.seconds, (long long)r->kernels.compiled,
         (long long)r->kernels.from_disk, (long long)r->kernels.from_memory);
  printf("memory    %.1f MiB of values as planned, %.1f MiB of parameters and state, %.1f MiB "
         "resident at most\n",
         (double)r->arena_bytes / MEBIBYTE, (double)r->parameter_bytes / MEBIBYTE,
         (double)r->resident_bytes / MEBIBYTE);
}

static void print_rows(const poa_bench_result *r, const char *title, const poa_bench_row *rows,
                       int count) {
  printf("\n  %9s  %6s  %8s  %9s  %6s  %s\n", "seconds", "share", "launches", "GFLOP/s", "peak",
         title);
  for (int i = 0; i < count; i++) {
    const poa_bench_row *row = &rows[i];
    printf("  %9.5f  %5.1f%%  %8d", row->seconds, 100 * row->seconds / r->profiled_seconds,
           row->launches);
    double gflops = row->flops / row->seconds * 1e-9;
    if (row->flops > 0)
      printf("  %9.1f  %5.1f%%", gflops, 100 * gflops / r->peak_gflops);
    else
      printf("  %9s  %6s", "", "");
    printf("  %s\n", row->name);
  }
}

static int shown_labels(const poa_bench_result *r) {
  return r->label_count < POA_BENCH_LABELS ? r->label_count : POA_BENCH_LABELS;
}

void poa_bench_print(const poa_bench_result *r) {
  char point[256];
  printf("%s on %d thread%s of %s, %d lanes\n", r->model, r->threads, r->threads == 1 ? "" : "s",
         r->cpu, r->lanes);
  print_steps(r);
  print_summary(r);
  poa_point_print(r->lattice, &r->profiled, point, sizeof point);
  printf("\none more step%s%s, launch by launch: %.4f s\n", *point ? " at " : "", point,
         r->profiled_seconds);
  print_rows(r, "family", r->families, r->family_count);
  print_rows(r, "label", r->labels, shown_labels(r));
}

/* JSON. */

static cJSON *point_json(const poa_lattice *lattice, const poa_point *point) {
  cJSON *object = cJSON_CreateObject();
  for (int i = 0; i < lattice->count; i++)
    cJSON_AddNumberToObject(object, lattice->name[i].name, (double)point->value[i]);
  return object;
}

static void add_steps(cJSON *root, const poa_bench_result *r) {
  cJSON *list = cJSON_AddArrayToObject(root, "steps");
  for (int64_t i = 0; i < r->step_count; i++) {
    cJSON *step = cJSON_CreateObject();
    cJSON_AddItemToObject(step, "at", point_json(r->lattice, &r->steps[i].point));
    cJSON_AddNumberToObject(step, "seconds", r->steps[i].seconds);
    cJSON_AddNumberToObject(step, "waited", r->steps[i].waited);
    cJSON_AddNumberToObject(step, "flops", r->steps[i].flops);
    cJSON_AddItemToArray(list, step);
  }
  cJSON *seconds = cJSON_AddObjectToObject(root, "step_seconds");
  cJSON_AddNumberToObject(seconds, "median", r->median);
  cJSON_AddNumberToObject(seconds, "min", r->shortest);
  cJSON_AddNumberToObject(seconds, "max", r->longest);
  cJSON_AddNumberToObject(root, "mean_flops", r->mean_flops);
  cJSON_AddNumberToObject(root, "gflops", r->gflops);
  cJSON_AddNumberToObject(root, "peak_gflops", r->peak_gflops);
  cJSON_AddNumberToObject(root, "share_of_peak", r->gflops / r->peak_gflops);
}

static void add_compilation(cJSON *root, const poa_bench_result *r) {
  cJSON *compile = cJSON_AddObjectToObject(root, "compile");
  cJSON_AddNumberToObject(compile, "seconds", r->compile_seconds);
  cJSON_AddNumberToObject(compile, "pass_seconds", r->pass_seconds);
  cJSON_AddNumberToObject(compile, "kernel_seconds", r->kernels.seconds);
  cJSON_AddNumberToObject(compile, "kernels_compiled", (double)r->kernels.compiled);
  cJSON_AddNumberToObject(compile, "kernels_from_disk", (double)r->kernels.from_disk);
  cJSON_AddNumberToObject(compile, "kernels_from_memory", (double)r->kernels.from_memory);
  cJSON *list = cJSON_AddArrayToObject(compile, "programs");
  for (int64_t i = 0; i < r->program_count; i++) {
    const poa_bench_program *p = &r->programs[i];
    cJSON *program = cJSON_CreateObject();
    cJSON_AddItemToObject(program, "at", point_json(r->lattice, &p->point));
    cJSON_AddNumberToObject(program, "launches", p->launches);
    cJSON_AddNumberToObject(program, "pass_seconds", p->pass_seconds);
    cJSON_AddNumberToObject(program, "seconds", p->seconds);
    cJSON_AddItemToArray(list, program);
  }
}

static void add_rows(cJSON *root, const char *key, const poa_bench_row *rows, int count) {
  cJSON *list = cJSON_AddArrayToObject(root, key);
  for (int i = 0; i < count; i++) {
    cJSON *row = cJSON_CreateObject();
    cJSON_AddStringToObject(row, "name", rows[i].name);
    cJSON_AddNumberToObject(row, "launches", rows[i].launches);
    cJSON_AddNumberToObject(row, "seconds", rows[i].seconds);
    cJSON_AddNumberToObject(row, "flops", rows[i].flops);
    cJSON_AddItemToArray(list, row);
  }
}

static void add_profile(cJSON *root, const poa_bench_result *r) {
  cJSON *profile = cJSON_AddObjectToObject(root, "profile");
  cJSON_AddItemToObject(profile, "at", point_json(r->lattice, &r->profiled));
  cJSON_AddNumberToObject(profile, "seconds", r->profiled_seconds);
  add_rows(profile, "families", r->families, r->family_count);
  add_rows(profile, "labels", r->labels, shown_labels(r));
}

poa_status poa_bench_print_json(const poa_bench_result *r, poa_error *error) {
  cJSON *root = cJSON_CreateObject();
  cJSON_AddStringToObject(root, "model", r->model);
  cJSON_AddStringToObject(root, "cpu", r->cpu);
  cJSON_AddNumberToObject(root, "lanes", r->lanes);
  cJSON_AddNumberToObject(root, "threads", r->threads);
  add_steps(root, r);
  add_compilation(root, r);
  add_profile(root, r);
  cJSON *memory = cJSON_AddObjectToObject(root, "memory");
  cJSON_AddNumberToObject(memory, "arena_bytes", (double)r->arena_bytes);
  cJSON_AddNumberToObject(memory, "parameter_bytes", (double)r->parameter_bytes);
  cJSON_AddNumberToObject(memory, "peak_resident_bytes", (double)r->resident_bytes);
  char *text = cJSON_Print(root);
  cJSON_Delete(root);
  if (!text)
    return poa_fail(error, POA_NO_MEMORY, "no memory to print the results");
  puts(text);
  free(text);
  return POA_OK;
}

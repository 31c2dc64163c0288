/* bench.h: what `poa bench` measures, and how it is shown. */
#ifndef POA_DRIVER_BENCH_H
#define POA_DRIVER_BENCH_H

#include "codegen/library.h"
#include "driver/driver.h"

/* A timed step. */
typedef struct poa_bench_step {
  poa_point point;
  double seconds; /* of the whole: inputs and computation */
  double waited;  /* of these, for images */
  double flops;   /* of the matrix products that the description asks for (products.h) */
  double run;     /* of those that are run */
} poa_bench_step;

/* A compiled sub-network. */
typedef struct poa_bench_program {
  poa_point point;
  int launches;
  double flops, run;   /* as of a step */
  double pass_seconds; /* from description to scheduled graph */
  double seconds;      /* from description to machine code, passes and all */
} poa_bench_program;

/* Launches of one family, branch or label in a step that was timed launch by launch. */
typedef struct poa_bench_row {
  const char *name;
  int launches;
  double seconds, flops, bytes; /* flops: of products that are run; bytes: as plan.h counts them */
} poa_bench_row;

#define POA_BENCH_LABELS 15

typedef struct poa_bench_result {
  const char *model, *cpu;
  const poa_lattice *lattice;
  int threads, lanes;
  const char *precision; /* of products */
  int64_t step_count, program_count;
  poa_bench_step *steps;
  poa_bench_program *programs;
  /* Of the steps, seconds; a quarter of them take less than `lower`, a quarter more than `upper`.
   */
  double median, shortest, longest, lower, upper;
  double model_flops, run_flops; /* medians of the steps */
  double peak_gflops;            /* of fp32 multiply-adds on as many threads */
  double mfu;                    /* model_flops / (median * peak) */
  /* One more step, launch by launch; rows by falling time. */
  poa_point profiled;
  double profiled_seconds; /* the sum over its launches */
  int family_count, branch_count, label_count;
  poa_bench_row *families, *branches, *labels; /* the first POA_BENCH_LABELS of the labels */
  poa_kernel_statistics kernels;               /* all programs, the peak's kernel not among them */
  double pass_seconds, compile_seconds;
  int64_t arena_bytes; /* the largest of the programs */
  int64_t parameter_bytes, resident_bytes;
  /* From the start of a process to the end of its first step, less a later one: with no kernels
   * on disk, and with all of them. Seconds. */
  double cold, warm;
  /* To compile a sub-network with another value of the first elastic name, and one of another value
   * of the last, where the rest was compiled before; -1: there is no other value. Seconds. */
  double new_first, new_last;
  int64_t kernel_count; /* different kernels of the programs */
} poa_bench_result;

/* bench_start.c */

/* Starts this program twice to run a first step at `point` ("" for a single network): without
 * kernels on disk and with those of the first time. Whole seconds from the start of the process. */
poa_status poa_bench_first_steps(const poa_flags *flags, const char *point, poa_arena *arena,
                                 double *cold, double *warm, poa_error *error);
/* Compiles sub-networks from the middle of the lattice without kernels on disk; see new_first. */
poa_status poa_bench_new_points(const poa_flags *flags, double *new_first, double *new_last,
                                poa_error *error);

/* bench_report.c */
void poa_bench_print(const poa_bench_result *result);
/* One JSON object. */
poa_status poa_bench_print_json(const poa_bench_result *result, poa_error *error);

#endif

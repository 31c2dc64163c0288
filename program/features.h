/* features.h: what the files of the program that computes features share.
 *
 *   features_main.c     the command line, and what is done in which order
 *   features_choice.c   which sub-network: by point, FLOPs or latency
 *   features_stream.c   images into batches, features out of them
 *   features_input.c    files and standard input into the stream
 *   features_ends.c     what the entry takes and returns
 *   features_output.c   .npy, safetensors, text
 *   features_bench.c    how fast
 *   features_judge.c    nearest neighbours */
#ifndef POA_PROGRAM_FEATURES_H
#define POA_PROGRAM_FEATURES_H

#include "program/command_line.h"
#include "program/features_ends.h"
#include "program/program.h"
#include "runtime/executor.h"

enum { POA_MAX_SIZES = 16 };

typedef struct poa_features_flags {
  const char *at, *output, *format, *weights, *knn;
  int64_t threads, limit;    /* 0: not given */
  double max_gflops, max_ms; /* 0: not given */
  bool bench, info, help, version, json;
} poa_features_flags;

/* A sub-network that is ready to run, for one batch size. */
typedef struct poa_ready_size {
  const poa_program_entry *entry;
  poa_prepared *prepared;
  poa_features_ends ends;
} poa_ready_size;

typedef struct poa_features {
  const poa_program *program;
  const poa_features_flags *flags;
  int variant;
  poa_executor *executor;
  poa_parameter_store *store;
  poa_point point;
  int size_count;
  poa_ready_size sizes[POA_MAX_SIZES]; /* of the point, largest batch first */
  int channels, side;                  /* of an image */
  int64_t dimension;                   /* of a feature */
  bool normalized, told;               /* told: that normalization is unknown */
  poa_normalization normalization;
  /* The stream: images wait until a batch is full. */
  float *waiting; /* [sizes[0] batch, channels, side, side] */
  int64_t waiting_count;
  float *results; /* [result_count, dimension] */
  int64_t result_count, result_capacity;
} poa_features;

/* features_choice.c: fills point and sizes, as the flags say. */
poa_status poa_features_choose(poa_features *f, poa_error *error);
/* Makes the program's `point` ready: its sizes, channels, side, dimension. */
poa_status poa_features_take(poa_features *f, const poa_point *point, poa_error *error);
void poa_features_release(poa_features *f);

/* features_stream.c */

int64_t poa_features_image_floats(const poa_features *f);
/* Takes one normalized image [channels, side, side]; its feature comes out in turn. */
poa_status poa_features_add(poa_features *f, const float *image, poa_error *error);
/* Computes what still waits. */
poa_status poa_features_flush(poa_features *f, poa_error *error);

/* features_input.c: adds all images of a file, or of standard input ("-"). Names, for text output,
 * are appended to `names` if it is not NULL: a line each. */
poa_status poa_features_read(poa_features *f, const char *path, FILE *names, poa_error *error);

/* features_output.c: writes the results as --output and --format say. `names`: a line each. */
poa_status poa_features_check_output(const poa_features_flags *flags, poa_error *error);
poa_status poa_features_write(const poa_features *f, const char *names, poa_error *error);

/* features_bench.c: prints latency and throughput of the point's sizes. */
poa_status poa_features_bench(poa_features *f, poa_error *error);
/* The median time of a run of `size`, in seconds. */
double poa_features_time(poa_features *f, const poa_ready_size *size, double least_seconds);

/* features_judge.c: accuracy on the data set at flags->knn. */
poa_status poa_features_judge(poa_features *f, poa_error *error);

#endif

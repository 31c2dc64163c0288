/* poa.h: the library behind the `poa` command.
 *
 * A network is an entry of a description at one point of its lattice, with weights, compiled for
 * this machine when it is opened:
 *
 *   poa_error error = {0};
 *   poa_network *network;
 *   poa_network_options options = {.at = "width=64,depth=3", .batch = 1};
 *   if (poa_network_open(&network, "runs/fashion", &options, &error))
 *     fprintf(stderr, "%s\n", error.message);
 *   poa_network_run(network, (const void *[]){images}, (void *[]){features});
 *   poa_network_close(network);
 *
 * Every function that can fail returns a poa_status and takes, as its last argument, a poa_error
 * that receives the message. Networks are independent of each other: different threads may use
 * different ones at the same time, but one only one at a time. */
#ifndef POA_H
#define POA_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define POA_VERSION "0.1.0"

typedef enum poa_status {
  POA_OK = 0,
  POA_BAD_INPUT,   /* the user's description, file, flag or data is wrong */
  POA_IO,          /* the system refused: a file, a thread, a library */
  POA_NO_MEMORY,   /* an allocation failed */
  POA_UNSUPPORTED, /* asked for something this build or machine lacks */
  POA_INTERRUPTED, /* a signal asked for an orderly stop */
} poa_status;

/* Receives the message of a failure. Zero-initialize before use; may be reused
 * after being zeroed again. `message` is complete and needs no prefix. */
typedef struct poa_error {
  poa_status status;
  char message[2000];
} poa_error;

/* Networks (libpoa) */

typedef struct poa_network poa_network;

/* All zero is a good default. */
typedef struct poa_network_options {
  const char *entry;            /* NULL: "features"; one that updates no parameters */
  const char *at;               /* a point, "width=64,depth=3"; NULL: the largest network */
  const char *weights;          /* a file or run's folder; NULL: the model's own, or first values */
  const char *set;              /* the run's parameter set; NULL: what the entry reads */
  const char *const *constants; /* "NAME=VALUE", `constant_count` of them */
  int constant_count;
  int64_t batch;     /* images a run takes; 0: as the description says */
  int threads;       /* 0: one per core */
  const char *cpu;   /* NULL: this one; else "x86-64-v3", .. */
  const char *cache; /* folder of compiled kernels; NULL: the user's; "": none */
} poa_network_options;

typedef enum poa_element { POA_ELEMENT_F32, POA_ELEMENT_I32, POA_ELEMENT_BOOL } poa_element;

/* An input or output. `name` lives as long as the network. */
typedef struct poa_network_tensor {
  const char *name;
  poa_element element; /* 4 bytes; a bool is one byte, 0 or 1 */
  int rank;
  int64_t extent[8]; /* row-major */
} poa_network_tensor;

/* Opens `model`: a run's folder, an extracted file, or a description or the name of a recipe.
 * `options` may be NULL. On success *network is the caller's, to be closed; on failure it is NULL.
 */
poa_status poa_network_open(poa_network **network, const char *model,
                            const poa_network_options *options, poa_error *error);
void poa_network_close(poa_network *network); /* NULL is fine */

int poa_network_input_count(const poa_network *network);
int poa_network_output_count(const poa_network *network);
/* Input or output number `index`; all zero if there is none. */
poa_network_tensor poa_network_input(const poa_network *network, int index);
poa_network_tensor poa_network_output(const poa_network *network, int index);

/* Computes the outputs from the inputs, each a dense array of the tensor's elements, in the order
 * of their numbers. An output that is NULL is not copied. Allocates nothing. */
void poa_network_run(poa_network *network, const void *const *inputs, void *const *outputs);

/* Within poa */

/* Records a failure and returns `status`. Keeps an earlier failure if there is
 * one. `error` may be NULL. */
poa_status poa_fail(poa_error *error, poa_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Puts "CONTEXT: " before the message of a recorded failure; returns its status. */
poa_status poa_context(poa_error *error, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* "Did you mean": the candidate nearest to `name` in edit distance, or NULL if none is near. */
const char *poa_nearest(const char *name, const char *const *candidates, int count);

#ifdef __cplusplus
}
#endif

#endif

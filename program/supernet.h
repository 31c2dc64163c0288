/* supernet.h: an elastic network at work: its parameters, its executor, and a plan for each entry
 * and point that was asked for.
 *
 * Where plans come from differs: the `poa` command compiles them when they are first asked for
 * (driver/session.c), an ahead-of-time program has them (compiled_plans.c). What trains and
 * evaluates does not notice. */
#ifndef POA_PROGRAM_SUPERNET_H
#define POA_PROGRAM_SUPERNET_H

#include "runtime/executor.h"
#include "runtime/lattice.h"
#include "runtime/parameter_store.h"

/* An entry at a point of the lattice. */
typedef struct poa_program_at {
  char entry[64];
  poa_point point;
  bool probes;
  const poa_plan *plan;
  bool owned;             /* the plan is freed with it, by free() */
  poa_prepared *prepared; /* NULL until first run */
  double pass_seconds;    /* from description to scheduled graph; 0 ahead of time */
  struct poa_program_at *next;
} poa_program_at;

/* How large a sub-network is. */
typedef struct poa_subnetwork {
  poa_point point;
  int64_t parameters; /* elements that the entry `features` reads */
  double flops;       /* two per multiply-add of its matrix products, per image */
} poa_subnetwork;

typedef struct poa_supernet {
  const char *model;     /* as messages call it */
  const char *processor; /* that the plans are for */
  const poa_lattice *lattice;
  bool has_features;  /* there is an entry `features`, to evaluate by */
  double eval_images; /* training images that evaluation asks at most; 0: all */
  poa_executor *executor;
  poa_parameter_store *store; /* made with the first plan */
  poa_program_at *programs;
  /* Fills in the plan of program->entry at program->point. */
  poa_status (*make)(void *context, poa_program_at *program, poa_error *error);
  poa_status (*measure)(void *context, poa_subnetwork *network, poa_error *error);
  /* How the plans came about, for the end of a run: "10 kernels compiled". */
  void (*describe)(void *context, char *text, size_t size);
  void *context;
} poa_supernet;

/* Frees programs, executor and store; what `context` owns is its maker's. */
void poa_supernet_close(poa_supernet *net);

/* The program of `entry` at `point`, made now or taken from before. It belongs to the network.
 * The parameter store exists afterwards (zeros until initialized). */
poa_status poa_supernet_program(poa_supernet *net, const char *entry, const poa_point *point,
                                bool probes, poa_program_at **program, poa_error *error);
/* Makes the program ready to run: pointers into the arena are final until the next
 * program is made ready. */
poa_status poa_supernet_prepare(poa_supernet *net, poa_program_at *program, poa_error *error);

const poa_plan_output *poa_plan_find_output(const poa_plan *plan, const char *name);

#endif

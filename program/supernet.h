/* supernet.h: an elastic network at work: its parameters, its executor, and a plan for each entry
 * and point that was asked for.
 *
 * Where plans come from differs: the `poa` command compiles them when they are first asked for
 * (driver/session.c), an ahead-of-time program has them (compiled_plans.c). What trains and
 * evaluates does not notice. */
#ifndef POA_PROGRAM_SUPERNET_H
#define POA_PROGRAM_SUPERNET_H

#include "runtime/arena.h"
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
  poa_arena *unlinked;    /* what `link` still needs; NULL once the plan has its kernels */
  const void *kernels;    /* in it, what they are */
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
  /* Fills in the plan of program->entry at program->point, perhaps without kernels: then
   * program->unlinked holds what `link` gets them by, which then frees and empties it. Both may be
   * called on any thread, one at a time. */
  poa_status (*make)(void *context, poa_program_at *program, poa_error *error);
  poa_status (*link)(void *context, poa_program_at *program, poa_error *error);
  poa_status (*measure)(void *context, poa_subnetwork *network, poa_error *error);
  /* How the plans came about, for the end of a run: "10 kernels compiled". */
  void (*describe)(void *context, char *text, size_t size);
  void *context;
} poa_supernet;

/* Frees programs, executor and store; what `context` owns is its maker's. */
void poa_supernet_close(poa_supernet *net);

/* The plan of `entry` at `point`, made now or taken from before, which need not have its kernels
 * yet: poa_supernet_link fetches them. It belongs to the network. The parameter store exists
 * afterwards (zeros until initialized). */
poa_status poa_supernet_plan(poa_supernet *net, const char *entry, const poa_point *point,
                             bool probes, poa_program_at **program, poa_error *error);
poa_status poa_supernet_link(poa_supernet *net, poa_program_at *program, poa_error *error);
/* Both. */
poa_status poa_supernet_program(poa_supernet *net, const char *entry, const poa_point *point,
                                bool probes, poa_program_at **program, poa_error *error);
/* Its program without probes, if there is one, or NULL. */
poa_program_at *poa_supernet_find(const poa_supernet *net, const char *entry,
                                  const poa_point *point);
/* Makes a program, with its kernels, that is not the network's until it adopts it. This alone may
 * be called beside others that use the network, where none of them makes plans. */
poa_status poa_supernet_make(const poa_supernet *net, const char *entry, const poa_point *point,
                             poa_program_at **program, poa_error *error);
void poa_supernet_adopt(poa_supernet *net, poa_program_at *program);
/* Makes the program ready to run: pointers into the arena are final until the next
 * program is made ready. */
poa_status poa_supernet_prepare(poa_supernet *net, poa_program_at *program, poa_error *error);

const poa_plan_output *poa_plan_find_output(const poa_plan *plan, const char *name);

#endif

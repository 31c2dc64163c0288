/* compiled_plans.h: an elastic network whose plans are compiled into the program. */
#ifndef POA_PROGRAM_COMPILED_PLANS_H
#define POA_PROGRAM_COMPILED_PLANS_H

#include "program/program.h"
#include "program/supernet.h"

typedef struct poa_compiled_plans {
  const poa_program *program;
  int variant;
  double more_steps; /* than the program was compiled for: moves the schedules */
} poa_compiled_plans;

/* Makes `net` take its plans from `plans`, which must outlive it. The caller closes it. */
poa_status poa_compiled_plans_open(poa_supernet *net, poa_compiled_plans *plans, int threads,
                                   const poa_plugins *plugins, poa_error *error);

#endif

/* openmp_start.h: what has to be done before OpenMP is used for the first time. */
#ifndef POA_RUNTIME_OPENMP_START_H
#define POA_RUNTIME_OPENMP_START_H

/* LLVM's runtime registers itself in a piece of shared memory named after the process id. A process
 * that is killed at that moment leaves an empty one behind, and the next process that gets its
 * number dies of a bus error in it. Removes such a remnant under our own number. Call it once,
 * early, while there is one thread. */
void poa_openmp_start(void);

#endif

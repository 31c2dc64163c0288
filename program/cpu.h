/* cpu.h: whether this CPU can run the code of a program.
 *
 * Asked before anything else: an instruction that the CPU lacks would end the program with
 * no word. */
#ifndef POA_PROGRAM_CPU_H
#define POA_PROGRAM_CPU_H

#include "program/program.h"

/* Writes to `missing` (of `size`) what `features` ("+avx2,+fma,..") switches on and this CPU lacks,
 * separated by blanks; true if it lacks nothing that generated code uses. */
bool poa_cpu_supports(const char *features, char *missing, size_t size);

/* The first variant that can run here. Fails with what is missing for the last, the least. */
poa_status poa_choose_variant(const poa_program *program, int *variant, poa_error *error);

/* Tells on stderr of more threads than this process has processors: each step then waits for those
 * that have none. `prefix` begins the line; -1 or 0 threads mean that no number was given. */
void poa_warn_of_threads(const char *prefix, int64_t threads);

#endif

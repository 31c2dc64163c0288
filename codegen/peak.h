/* peak.h: what the cores can do at best, measured: the yardstick for everything else.
 *
 * A kernel of fused multiply-adds alone, on as many independent chains as the registers hold
 * (a core starts two a cycle and waits four for each: eight chains are the least), runs
 * on the threads of a step. Without FMA the same is counted for a product and a sum. */
#ifndef POA_CODEGEN_PEAK_H
#define POA_CODEGEN_PEAK_H

#include "codegen/library.h"

/* Sets *gflops, of fp32 or of products of bf16 (on a target that has them), to the best of several
 * runs on `threads` threads (at least 1), some 0.2 s in all. The kernel comes from `library` and
 * counts in its statistics. */
poa_status poa_measure_peak(poa_kernel_library *library, bool bf16, int threads, double *gflops,
                            poa_error *error);

#endif

/* barriers.h: where launches must wait for each other.
 *
 *   a  writes X        |
 *   b  reads X         | barrier before b
 *   c  reads Y         |  none: touches nothing of b's
 *   d  writes Y        | barrier before d: c reads it
 *
 * A launch waits if it reads or writes bytes that a launch since the last barrier wrote, or
 * writes bytes that one read. Blocks of one buffer that interleave row by row (the heads of
 * q, k and v) are told apart where one row length divides the strides of both. */
#ifndef POA_CODEGEN_BARRIERS_H
#define POA_CODEGEN_BARRIERS_H

#include "codegen/cluster.h"

/* Sets launches[i].barrier from buffers and uses[i], the uses of launch i in the order of
 * its buffers. */
void poa_place_barriers(poa_plan_launch *launches, int count, const poa_use *const *uses,
                        poa_arena *arena);

#endif

/* one_by_one.h: the plainest schedule there is: every node a kernel of its own, every result
 * dense in a buffer of its own, nothing ever reused. What compiled code gives then
 * depends on no decision of fuse, layout and schedule. */
#ifndef POA_TESTS_ONE_BY_ONE_H
#define POA_TESTS_ONE_BY_ONE_H

#include "ir/ir.h"

/* Gives kernels and storage to the nodes of a plain graph: no composite ops, reductions as
 * expand leaves them. Fails on concat, and on views of views that strides cannot say. */
poa_status poa_schedule_one_by_one(poa_graph *graph, poa_error *error);

#endif

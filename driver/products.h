/* products.h: the matrix products that a description asks for, counted as a framework would run
 * them. */
#ifndef POA_DRIVER_PRODUCTS_H
#define POA_DRIVER_PRODUCTS_H

#include "driver/driver.h"

/* Two for each multiply-add of the products and convolutions that results, reports and updates of a
 * specialized graph depend on; what only probes read does not count. */
double poa_products_flops(const poa_graph *graph, poa_arena *scratch);

/* The FLOPs of `entry` at a point of the model's lattice: the products of every branch forward, and
 * for each the gradients that are needed, one by either operand. Nothing is shared between
 * branches, nothing is cut, nothing is computed twice: the count depends on the description alone,
 * not on what the compiler makes of it. Resets `scratch`. */
poa_status poa_model_flops(poa_model *model, const char *entry, const poa_point *point,
                           poa_arena *scratch, double *flops, poa_error *error);

#endif

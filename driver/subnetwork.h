/* subnetwork.h: how large a sub-network is, from its graph alone. */
#ifndef POA_DRIVER_SUBNETWORK_H
#define POA_DRIVER_SUBNETWORK_H

#include "driver/driver.h"
#include "program/supernet.h"

/* Measures the entry `features` at `point`. Resets `scratch` and builds the graph there. */
poa_status poa_subnetwork_measure(poa_model *model, const poa_point *point, poa_arena *scratch,
                                  poa_subnetwork *result, poa_error *error);

#endif

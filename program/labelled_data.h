/* labelled_data.h: the two splits that evaluation needs. */
#ifndef POA_PROGRAM_LABELLED_DATA_H
#define POA_PROGRAM_LABELLED_DATA_H

#include "runtime/dataset.h"

/* Opens both splits at `path`, each the caller's, also after failure; says what is missing if there
 * are no labels. */
poa_status poa_open_labelled(const char *path, poa_dataset **train, poa_dataset **test,
                             poa_error *error);

/* Tells on standard error of files of the two, which may be NULL, that could not be read. */
void poa_complain_of_data(const poa_dataset *train, const poa_dataset *test);

#endif

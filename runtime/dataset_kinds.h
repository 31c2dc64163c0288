/* dataset_kinds.h: the kinds of data sets that dataset_open.c tries, one after the other. */
#ifndef POA_RUNTIME_DATASET_KINDS_H
#define POA_RUNTIME_DATASET_KINDS_H

#include "runtime/dataset.h"

/* Each of these looks into `folder`. If what it finds is not of its kind it sets *recognized to
 * false and returns POA_OK; else it opens the training or test split, or fails. */

/* dataset_idx.c: MNIST's files, labelled */
poa_status poa_dataset_open_idx_folder(poa_dataset **dataset, const char *folder, bool train,
                                       bool *recognized, poa_error *error);
/* dataset_cifar.c */
poa_status poa_dataset_open_cifar10(poa_dataset **dataset, const char *folder, bool train,
                                    bool *recognized, poa_error *error);
poa_status poa_dataset_open_cifar100(poa_dataset **dataset, const char *folder, bool train,
                                     bool *recognized, poa_error *error);
/* dataset_files.c: train.txt, and test.txt or val.txt */
poa_status poa_dataset_open_lists(poa_dataset **dataset, const char *folder, bool train,
                                  bool *recognized, poa_error *error);
/* dataset_files.c: image files, in train/ and test/ or val/, or anywhere */
poa_status poa_dataset_open_image_folder(poa_dataset **dataset, const char *folder, bool train,
                                         bool *recognized, poa_error *error);

/* Single files. */

/* dataset_idx.c: one IDX file of images, without labels */
poa_status poa_dataset_open_idx(poa_dataset **dataset, const char *path, poa_error *error);
/* dataset_files.c: one list, which is a training split */
poa_status poa_dataset_open_list(poa_dataset **dataset, const char *path, bool train,
                                 poa_error *error);

#endif

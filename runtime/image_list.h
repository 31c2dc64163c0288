/* image_list.h: which image files there are, in an order that does not change, and their labels. */
#ifndef POA_RUNTIME_IMAGE_LIST_H
#define POA_RUNTIME_IMAGE_LIST_H

#include "runtime/arena.h"

typedef struct poa_image_list {
  poa_arena *arena; /* holds the names */
  const char *folder;
  int64_t count, capacity;
  const char **names; /* within the folder, or beginning with '/' */
  int32_t *labels;    /* [count], or NULL */
  /* Files left out since no decoder for their format is linked, and the first of them. */
  int64_t foreign;
  const char *first_foreign;
} poa_image_list;

/* All files under `folder` whose names end like an image's (.jpg .jpeg .png .webp .ppm .pgm .pnm,
 * in any case), sorted by name, folder by folder; hidden ones are passed over, links followed. If
 * all lie in sub-folders, and `classes` has at least two, a file's label is the place of its first
 * sub-folder among the sorted sub-folders of `classes`, which must have it. */
poa_status poa_image_list_scan(poa_image_list *list, const char *folder, const char *classes,
                               poa_error *error);

/* A text file: in each line the path of an image, relative to the file's folder, and perhaps a tab
 * or blank and a label, an integer from 0 on; either all have one or none. Lines that are empty or
 * begin with # are passed over. Whether the images exist is not looked at. */
poa_status poa_image_list_read(poa_image_list *list, const char *path, poa_error *error);

/* *list may be all zero. */
void poa_image_list_free(poa_image_list *list);

/* For the two: appends a name, copied, with its label. */
poa_status poa_image_list_add(poa_image_list *list, const char *name, size_t length, int32_t label,
                              poa_error *error);

#endif

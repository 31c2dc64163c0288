/* file_images.c: see file_images.h. */
#include "runtime/file_images.h"

#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "runtime/image_files.h"

enum { TOLD = 5 }; /* complaints; the rest is only counted */

typedef struct kept_image {
  uint8_t *pixels; /* NULL: not kept */
  int height, width;
  int8_t channels;
  bool unreadable;
} kept_image;

struct poa_file_images {
  poa_image_list list;
  kept_image *images; /* [list.count] */
  int least;          /* with which images are kept; -1: none are */
  int64_t room;       /* bytes that may still be kept */

  pthread_mutex_t mutex; /* of all below */
  int64_t unreadable;
  int noted, told;
  poa_error complaint[TOLD];
};

void poa_held_image_release(poa_held_image *image) {
  free(image->own);
  *image = (poa_held_image){0};
}

static int64_t room_in_memory(void) {
  const int64_t most = (int64_t)1 << 30;
  int64_t pages = sysconf(_SC_PHYS_PAGES), bytes = sysconf(_SC_PAGESIZE);
  return pages > 0 && bytes > 0 && pages < 8 * most / bytes ? pages * bytes / 8 : most;
}

/* Counts `count` files, of which `failure` tells. */
static void note(poa_file_images *f, int64_t count, const poa_error *failure) {
  pthread_mutex_lock(&f->mutex);
  f->unreadable += count;
  if (f->noted < TOLD)
    f->complaint[f->noted++] = *failure;
  pthread_mutex_unlock(&f->mutex);
}

static poa_status load(const poa_file_images *f, const char *name, int least,
                       poa_loaded_images *loaded, poa_error *error) {
  char path[PATH_MAX];
  const char *folder = f->list.folder;
  size_t length = strlen(folder);
  const char *between = length && folder[length - 1] == '/' ? "" : "/";
  bool whole = name[0] == '/';
  if (snprintf(path, sizeof path, "%s%s%s", whole ? "" : folder, whole ? "" : between, name) >=
      (int)sizeof path)
    return poa_fail(error, POA_BAD_INPUT, "%.200s..: the path is too long", name);
  poa_status status = poa_images_load(path, least, loaded, error);
  if (status == POA_OK && (loaded->count != 1 || !loaded->pixels)) {
    poa_images_free(loaded);
    return poa_fail(error, POA_BAD_INPUT, "%s: holds several images or none, or values of networks",
                    path);
  }
  return status;
}

/* Formats without a decoder are told by what reading one of them says. */
static void note_foreign(poa_file_images *f) {
  poa_loaded_images loaded = {0};
  poa_error failure = {0};
  if (!f->list.foreign)
    return;
  if (load(f, f->list.first_foreign, 0, &loaded, &failure) == POA_OK)
    poa_images_free(&loaded); /* its name lies; it stays left out */
  size_t used = strlen(failure.message);
  if (f->list.foreign > 1)
    snprintf(failure.message + used, sizeof failure.message - used,
             "; so it is with %lld files in all", (long long)f->list.foreign);
  note(f, f->list.foreign, &failure);
}

poa_status poa_file_images_create(poa_file_images **files, poa_image_list *list, poa_error *error) {
  poa_file_images *f = *files = calloc(1, sizeof *f);
  if (f)
    f->images = calloc((size_t)list->count + 1, sizeof *f->images);
  if (!f || !f->images) {
    free(f);
    *files = NULL;
    poa_image_list_free(list);
    return poa_fail(error, POA_NO_MEMORY, "no memory for a list of images");
  }
  f->list = *list;
  *list = (poa_image_list){0};
  f->least = -1;
  f->room = room_in_memory();
  pthread_mutex_init(&f->mutex, NULL);
  note_foreign(f);
  return POA_OK;
}

void poa_file_images_free(poa_file_images *files) {
  if (!files)
    return;
  for (int64_t i = 0; i < files->list.count; i++)
    free(files->images[i].pixels);
  free(files->images);
  poa_image_list_free(&files->list);
  pthread_mutex_destroy(&files->mutex);
  free(files);
}

void poa_file_images_keep(poa_file_images *files, int least) {
  for (int64_t i = 0; least != files->least && i < files->list.count; i++) {
    free(files->images[i].pixels);
    files->images[i].pixels = NULL;
  }
  files->room = least != files->least ? room_in_memory() : files->room;
  files->least = least;
}

/* Those that come first stay: every pass asks for all, so none is worth more than another. */
static bool keep(poa_file_images *f, kept_image *kept, int least, const poa_loaded_images *loaded) {
  int64_t bytes = (int64_t)loaded->channels * loaded->height * loaded->width;
  if (least != f->least || bytes > f->room)
    return false;
  f->room -= bytes;
  *kept =
      (kept_image){loaded->pixels, loaded->height, loaded->width, (int8_t)loaded->channels, false};
  return true;
}

bool poa_file_images_get(poa_file_images *files, int64_t index, int least, poa_held_image *image) {
  kept_image *kept = &files->images[index];
  *image = (poa_held_image){0};
  if (kept->unreadable)
    return false;
  if (kept->pixels && least == files->least) {
    image->pixels = (poa_pixels){kept->pixels, kept->channels, kept->height, kept->width};
    return true;
  }
  poa_loaded_images loaded = {0};
  poa_error failure = {0};
  if (load(files, files->list.names[index], least, &loaded, &failure)) {
    kept->unreadable = true;
    note(files, 1, &failure);
    return false;
  }
  image->pixels = (poa_pixels){loaded.pixels, loaded.channels, loaded.height, loaded.width};
  image->own = keep(files, kept, least, &loaded) ? NULL : loaded.pixels;
  return true;
}

int64_t poa_file_images_unreadable(poa_file_images *files) {
  pthread_mutex_lock(&files->mutex);
  int64_t count = files->unreadable;
  pthread_mutex_unlock(&files->mutex);
  return count;
}

bool poa_file_images_complaint(poa_file_images *files, char *message, size_t size) {
  pthread_mutex_lock(&files->mutex);
  bool any = files->told < files->noted;
  if (any)
    snprintf(message, size, "%s", files->complaint[files->told++].message);
  pthread_mutex_unlock(&files->mutex);
  return any;
}
